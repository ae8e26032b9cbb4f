//! The part of a trail's history that an audit is asked to examine.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From `start` (inclusive) to `end` (exclusive); an open side reaches to the first or the last
/// digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TimeRange {
    /// The time at which the range begins.
    pub start: Option<Timestamp>,
    /// The time at which the range ends.
    pub end: Option<Timestamp>,
}

impl TimeRange {
    /// Returns whether a digest of this period belongs to the range: it ends after the start and
    /// starts before the end.
    pub fn includes(&self, digest_start: Timestamp, digest_end: Timestamp) -> bool {
        self.reaches(digest_end) && self.end.is_none_or(|end| digest_start < end)
    }

    /// Returns whether a digest with this end time is not too old for the range.
    pub fn reaches(&self, digest_end: Timestamp) -> bool {
        self.start.is_none_or(|start| digest_end > start)
    }

    /// Returns whether `time` is after the range's end.
    pub fn is_after_end(&self, time: Timestamp) -> bool {
        self.end.is_some_and(|end| time > end)
    }
}
