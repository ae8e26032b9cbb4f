//! The numbers of log files that the digests of a chain list, hour by hour.

use jiff::Timestamp;

/// The length of an hour, in seconds.
const HOUR: i64 = 3600;

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
        #[expect(clippy::cast_precision_loss, reason = "the scale is coarser by far")]
        let steps = (1.0 + log_files as f64).log2() * Self::STEPS;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to a byte")]
        let steps = steps.round().clamp(0.0, 254.0) as u8;
        Self(1 + steps)
    }

    /// Returns log2(1 + n) for n log files; `None` for an unknown hour.
    pub fn log2(self) -> Option<f64> {
        (self != Self::UNKNOWN).then(|| (f64::from(self.0) - 1.0) / Self::STEPS)
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
    /// with several digests has the level of the one that lists most. A digest that starts before
    /// the first hour is left out: digests are added in the order of their time.
    pub fn add(&mut self, start: Timestamp, log_files: u64) {
        let hour = Self::hour_of(start);
        if self.levels.is_empty() {
            self.first = hour;
        }
        let Ok(index) = usize::try_from(hour - self.first) else { return };
        if index >= self.levels.len() {
            self.levels.resize(index + 1, Level::UNKNOWN);
        }
        self.levels[index] = self.levels[index].max(Level::of(log_files));
    }

    /// Returns the newest hours, at most `hours`.
    #[must_use]
    pub fn newest(&self, hours: usize) -> Self {
        let left_out = self.levels.len().saturating_sub(hours);
        let first = self.first.saturating_add(i64::try_from(left_out).unwrap_or(i64::MAX));
        Self { first, levels: self.levels[left_out..].to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_the_logarithm_of_a_number() {
        for (log_files, level) in [(0, 1), (1, 9), (3, 17), (99, 54), (u64::MAX, 255)] {
            assert_eq!(Level::of(log_files), Level(level), "{log_files}");
        }
        assert_eq!(Level::of(7).log2(), Some(3.0));
        assert_eq!(Level::UNKNOWN.log2(), None);
    }

    #[test]
    fn hours_between_digests_are_unknown() {
        let at = |hour: i64| Timestamp::from_second(hour * HOUR + 720).unwrap();
        let mut activity = Activity::default();
        for (hour, log_files) in [(100, 1), (101, 0), (104, 3), (104, 1), (99, 5)] {
            activity.add(at(hour), log_files);
        }
        let levels = [9, 1, 0, 0, 17].map(Level).to_vec();
        assert_eq!(activity, Activity::new(100, levels));
        assert_eq!(activity.end(), 105);
        assert_eq!(activity.newest(2), Activity::new(103, [0, 17].map(Level).to_vec()));
        assert_eq!(activity.newest(9), activity);
    }
}
