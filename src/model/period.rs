//! A time with a begin and an end.

use jiff::Timestamp;

/// The time from `start` (inclusive) to `end` (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// The begin.
    pub start: Timestamp,
    /// The end.
    pub end: Timestamp,
}

impl Period {
    /// The period between two times.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Its length in whole seconds; none if it ends before it begins.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        (self.end.as_second() - self.start.as_second()).max(0).unsigned_abs()
    }
}
