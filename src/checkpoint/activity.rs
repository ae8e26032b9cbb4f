//! The activity of a chain in a checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Activity, PackedActivity};

/// The activity of a chain, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct WireActivity {
    /// The start of the first hour.
    from: Timestamp,
    /// One byte an hour, compressed with DEFLATE (RFC 1951), in base64.
    hours: String,
}

impl WireActivity {
    /// Returns the JSON form; `None` for an activity without hours.
    pub(super) fn of(activity: &PackedActivity) -> Option<Self> {
        let hours = (!activity.hours.is_empty()).then(|| STANDARD.encode(&activity.hours))?;
        Some(Self { from: Activity::start_of(activity.first), hours })
    }

    /// # Errors
    ///
    /// Fails if the hours are no base64, not compressed, or too many.
    pub(super) fn read(self) -> Result<PackedActivity, String> {
        let wrong = |what: &str| format!("the hours of a chain's activity {what}");
        let hours = STANDARD.decode(&self.hours).map_err(|_| wrong("are no base64"))?;
        let packed = PackedActivity { first: Activity::hour_of(self.from), hours: hours.into() };
        packed.unpack().map_err(wrong)?;
        Ok(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Level;

    #[test]
    fn hours_are_kept_and_what_no_run_wrote_is_refused() {
        let packed = PackedActivity::of(&Activity::new(492_000, vec![Level::EMPTY, Level(54)]));
        let wire = WireActivity::of(&packed).unwrap();
        assert_eq!(wire.from.to_string(), "2026-02-16T00:00:00Z");
        assert_eq!(wire.read(), Ok(packed));
        assert!(WireActivity::of(&PackedActivity::default()).is_none());
        let read = |hours: &str| WireActivity { from: Timestamp::UNIX_EPOCH, hours: hours.to_owned() }.read();
        for (hours, what) in [("?", "base64"), ("////", "decompressed")] {
            assert!(read(hours).is_err_and(|error| error.contains(what)), "{what}");
        }
    }
}
