//! A period of time with a start and an end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The time from `start` (inclusive) to `end` (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// The start, which belongs to the period.
    pub start: Timestamp,
    /// The end, which does not belong to the period.
    pub end: Timestamp,
}

impl Period {
    /// Creates the period between two times.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Returns the length in whole seconds; 0 if the period ends before it starts.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        (self.end.as_second() - self.start.as_second()).max(0).unsigned_abs()
    }
}
