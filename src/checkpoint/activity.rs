//! The activity of a chain in a checkpoint: the first hour, and the hours' levels, compressed.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Activity, Level};

/// The largest number of hours that are read: ten years, far more than any version keeps.
const MOST_HOURS: u64 = 10 * 366 * 24;

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
    pub(super) fn of(activity: &Activity) -> Option<Self> {
        if activity.levels().is_empty() {
            return None;
        }
        let bytes: Vec<u8> = activity.levels().iter().map(|level| level.0).collect();
        let mut compressed = DeflateEncoder::new(Vec::new(), Compression::default());
        let compressed = compressed.write_all(&bytes).and_then(|()| compressed.finish()).ok()?;
        Some(Self { from: Activity::start_of(activity.first()), hours: STANDARD.encode(compressed) })
    }

    /// # Errors
    ///
    /// Fails if the hours are no base64 or not compressed, or too many.
    pub(super) fn read(self) -> Result<Activity, String> {
        let wrong = |what: &str| format!("the hours of a chain's activity {what}");
        let compressed = STANDARD.decode(&self.hours).map_err(|_| wrong("are no base64"))?;
        let mut bytes = Vec::new();
        let mut hours = DeflateDecoder::new(&*compressed).take(MOST_HOURS + 1);
        hours.read_to_end(&mut bytes).map_err(|_| wrong("can't be decompressed"))?;
        if bytes.len() as u64 > MOST_HOURS {
            return Err(wrong(&format!("are more than {MOST_HOURS}")));
        }
        Ok(Activity::new(Activity::hour_of(self.from), bytes.into_iter().map(Level).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_kept() {
        let levels = (0..3000_u32).map(|hour| Level((hour % 256) as u8)).collect();
        let activity = Activity::new(492_000, levels);
        let wire = WireActivity::of(&activity).unwrap();
        assert_eq!(wire.from.to_string(), "2026-02-16T00:00:00Z");
        assert_eq!(wire.read(), Ok(activity));
        assert!(WireActivity::of(&Activity::default()).is_none());
    }

    #[test]
    fn what_no_run_wrote_is_refused() {
        let read = |hours: &str| WireActivity { from: Timestamp::UNIX_EPOCH, hours: hours.to_owned() }.read();
        let too_many = WireActivity::of(&Activity::new(0, vec![Level::EMPTY; 100_000])).unwrap();
        for (hours, what) in [("?", "base64"), ("////", "decompressed"), (&too_many.hours, "more than 87840")] {
            assert!(read(hours).is_err_and(|error| error.contains(what)), "{what}");
        }
    }
}
