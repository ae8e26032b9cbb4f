//! The numbers of log files that the digests of a chain list, hour by hour.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;

/// The length of an hour, in seconds.
const HOUR: i64 = 3600;
/// The largest number of hours that are kept: ten years.
const MOST_HOURS: usize = 10 * 366 * 24;

/// The numbers of log files that the valid digests of a chain list, by the hour in which a digest's
/// period starts. An hour takes one byte, which is precise enough for comparisons of magnitude.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Activity {
    /// The first hour, counted from 1970-01-01T00:00:00Z.
    first: i64,
    levels: Vec<Level>,
}

/// The number of log files of one hour, on a logarithmic scale.
///
/// 0 stands for an hour of which no valid digest is known. Else the value is 1 + 8 log2(1 + n),
/// rounded, for n log files: 1 for none, 9 for one, 54 for 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Level(pub u8);

impl Level {
    /// An hour of which no valid digest is known.
    pub const UNKNOWN: Self = Self(0);
    /// An hour whose digest lists no log file.
    pub const EMPTY: Self = Self(1);
    /// The number of steps in which the number of log files doubles.
    const STEPS: f64 = 8.0;

    /// Returns the level of a number of log files.
    pub fn of(log_files: u64) -> Self {
        Self::UNKNOWN.plus(log_files)
    }

    /// Returns log2(1 + n) for n log files; `None` for an unknown hour.
    pub fn log2(self) -> Option<f64> {
        (self != Self::UNKNOWN).then(|| (f64::from(self.0) - 1.0) / Self::STEPS)
    }

    /// Returns the level of an hour with further log files.
    fn plus(self, log_files: u64) -> Self {
        let known = self.log2().map_or(0.0, |log2| log2.exp2() - 1.0);
        #[expect(clippy::cast_precision_loss, reason = "the scale is coarser by far")]
        let steps = (1.0 + known + log_files as f64).log2() * Self::STEPS;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to a byte")]
        let steps = steps.round().clamp(0.0, 254.0) as u8;
        Self(1 + steps)
    }
}

impl Activity {
    /// Creates the activity of consecutive hours. `first` is the first hour, counted from 1970.
    pub fn new(first: i64, levels: Vec<Level>) -> Self {
        Self { first, levels }
    }

    /// The first hour, counted from 1970.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// The hour after the last one, counted from 1970.
    pub fn end(&self) -> i64 {
        self.first.saturating_add(i64::try_from(self.levels.len()).unwrap_or(i64::MAX))
    }

    /// The levels of the hours.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Returns the number of the hour in which a time lies, counted from 1970.
    pub fn hour_of(time: Timestamp) -> i64 {
        time.as_second().div_euclid(HOUR)
    }

    /// Returns the start of an hour.
    pub fn start_of(hour: i64) -> Timestamp {
        Timestamp::from_second(hour.saturating_mul(HOUR)).unwrap_or(Timestamp::MAX)
    }

    /// Adds a digest whose period starts at `start` and that lists this number of log files. An hour
    /// with several digests has the log files of all of them: a backfill digest lists those that the
    /// standard one does not. A digest that starts before the first hour is left out: digests are added
    /// in the order of their time. After ten years without any, hours begin anew.
    pub fn add(&mut self, start: Timestamp, log_files: u64) {
        let hour = Self::hour_of(start);
        if self.levels.is_empty() || hour.saturating_sub(self.first) >= Self::most_hours() {
            *self = Self { first: hour, levels: Vec::new() };
        }
        let Ok(index) = usize::try_from(hour - self.first) else { return };
        if index >= self.levels.len() {
            self.levels.resize(index + 1, Level::UNKNOWN);
        }
        self.levels[index] = self.levels[index].plus(log_files);
    }

    /// Returns the newest hours, at most `hours`, and those of no more than five years.
    #[must_use]
    pub fn newest(&self, hours: usize) -> Self {
        let left_out = self.levels.len().saturating_sub(hours.min(MOST_HOURS / 2));
        let first = self.first.saturating_add(i64::try_from(left_out).unwrap_or(i64::MAX));
        Self { first, levels: self.levels[left_out..].to_vec() }
    }

    fn most_hours() -> i64 {
        i64::try_from(MOST_HOURS).unwrap_or(i64::MAX)
    }
}

/// The activity of a chain in little memory: most chains are nearly empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackedActivity {
    /// The first hour, counted from 1970-01-01T00:00:00Z.
    pub first: i64,
    /// One byte an hour, compressed with DEFLATE (RFC 1951); empty if there is no hour.
    pub hours: Box<[u8]>,
}

impl PackedActivity {
    /// Packs an activity.
    pub fn of(activity: &Activity) -> Self {
        if activity.levels.is_empty() {
            return Self::default();
        }
        let bytes: Vec<u8> = activity.levels.iter().map(|level| level.0).collect();
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        // Writing to memory does not fail.
        match packed.write_all(&bytes).and_then(|()| packed.finish()) {
            Ok(hours) => Self { first: activity.first, hours: hours.into() },
            Err(_) => Self::default(),
        }
    }

    /// Unpacks the activity.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the bytes: they are not compressed, or have more than ten years.
    pub fn unpack(&self) -> Result<Activity, &'static str> {
        if self.hours.is_empty() {
            return Ok(Activity::default());
        }
        let mut bytes = Vec::new();
        let mut hours = DeflateDecoder::new(&*self.hours).take(MOST_HOURS as u64 + 1);
        hours.read_to_end(&mut bytes).map_err(|_| "can't be decompressed")?;
        if bytes.len() > MOST_HOURS {
            return Err("are more than ten years");
        }
        Ok(Activity::new(self.first, bytes.into_iter().map(Level).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * HOUR + 720).unwrap()
    }

    #[test]
    fn a_level_is_the_logarithm_of_a_number() {
        for (log_files, level) in [(0, 1), (1, 9), (3, 17), (99, 54), (u64::MAX, 255)] {
            assert_eq!(Level::of(log_files), Level(level), "{log_files}");
        }
        assert_eq!(Level::of(7).log2(), Some(3.0));
        assert_eq!(Level::UNKNOWN.log2(), None);
    }

    #[test]
    fn hours_between_digests_are_unknown_and_digests_of_one_hour_add_up() {
        let mut activity = Activity::default();
        for (hour, log_files) in [(100, 1), (101, 0), (104, 1), (104, 2), (99, 5)] {
            activity.add(at(hour), log_files);
        }
        let levels = [9, 1, 0, 0, 17].map(Level).to_vec();
        assert_eq!(activity, Activity::new(100, levels));
        assert_eq!(activity.end(), 105);
        assert_eq!(activity.newest(2), Activity::new(103, [0, 17].map(Level).to_vec()));
        assert_eq!(activity.newest(9), activity);
    }

    #[test]
    fn times_that_no_chain_has_take_no_memory() {
        let mut activity = Activity::new(i64::MIN, vec![Level::EMPTY]);
        activity.add(at(100), 1);
        assert_eq!(activity, Activity::new(100, vec![Level(9)]));
        activity.add(Timestamp::MAX, 1);
        assert_eq!(activity.levels().len(), 1);
    }

    #[test]
    fn hours_are_packed_and_unpacked() {
        let levels = (0..3000_u32).map(|hour| Level((hour % 256) as u8)).collect();
        for activity in [Activity::new(492_000, levels), Activity::default()] {
            assert_eq!(PackedActivity::of(&activity).unpack(), Ok(activity));
        }
        let quiet = PackedActivity::of(&Activity::new(0, vec![Level::EMPTY; 2184]));
        assert!(quiet.hours.len() < 40, "{}", quiet.hours.len());
        let many = PackedActivity::of(&Activity::new(0, vec![Level::EMPTY; 100_000]));
        assert_eq!(many.unpack(), Err("are more than ten years"));
        assert_eq!(PackedActivity { first: 0, hours: [255; 3].into() }.unpack(), Err("can't be decompressed"));
    }
}
