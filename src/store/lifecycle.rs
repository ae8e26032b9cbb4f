//! Lifecycle rules of a bucket, by which objects expire without anyone deleting them.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The time at which a rule lets an object expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// This many days after the object was made, from the next midnight UTC on.
    Days(i32),
    /// From this time on, every object, as long as the rule is enabled.
    At(Timestamp),
}

/// One enabled rule that lets objects expire.
///
/// Source: Amazon S3 user guide, "Lifecycle configuration elements" and "Setting lifecycle
/// configuration": S3 adds the days to the creation time and rounds up to the next midnight UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRule {
    /// The rule's name.
    pub id: String,
    /// The prefix of the keys that it applies to; empty for all.
    pub prefix: String,
    /// The time at which objects expire.
    pub expiry: Expiry,
    /// True if it applies only to objects with certain tags or sizes: of an object that is gone,
    /// these can't be determined.
    pub narrowed: bool,
}

impl LifecycleRule {
    /// Returns whether it applies to objects with this key, as far as a key tells.
    pub fn applies_to(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
    }

    /// Returns whether, by `now`, it has removed an object that was made at `made`.
    pub fn has_removed(&self, made: Timestamp, now: Timestamp) -> bool {
        match self.expiry {
            Expiry::At(_) => made < self.horizon(now),
            Expiry::Days(days) => {
                let old_enough = made.saturating_add(SignedDuration::from_hours(24 * i64::from(days)));
                let midnight = old_enough.ok().and_then(|at| {
                    let day = at.to_zoned(TimeZone::UTC).start_of_day().ok()?.timestamp();
                    if day == at { Some(day) } else { day.saturating_add(SignedDuration::from_hours(24)).ok() }
                });
                midnight.is_some_and(|midnight| midnight <= now)
            }
        }
    }

    /// Returns the time before which an object must have been made to be removed by `now`.
    pub fn horizon(&self, now: Timestamp) -> Timestamp {
        let today = now.to_zoned(TimeZone::UTC).start_of_day().map_or(now, |day| day.timestamp());
        match self.expiry {
            Expiry::At(at) if at <= now => today,
            Expiry::At(_) => Timestamp::MIN,
            Expiry::Days(days) => {
                today.saturating_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

impl fmt::Display for LifecycleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => write!(f, "lifecycle rule '{}' lets every object expire ", self.id)?,
            prefix => write!(f, "lifecycle rule '{}' lets objects under {prefix} expire ", self.id)?,
        }
        match self.expiry {
            Expiry::Days(1) => write!(f, "after 1 day"),
            Expiry::Days(days) => write!(f, "after {days} days"),
            Expiry::At(at) => write!(f, "at {at}"),
        }?;
        if self.narrowed { write!(f, " (those with certain tags or sizes alone)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rule(expiry: Expiry) -> LifecycleRule {
        LifecycleRule { id: "old".to_owned(), prefix: "AWSLogs/".to_owned(), expiry, narrowed: false }
    }

    #[test]
    fn days_are_counted_to_the_next_midnight() {
        let rule = rule(Expiry::Days(3));
        // The example of the S3 user guide: made at 2014-01-15 10:30, three days, removed at
        // 2014-01-19 00:00.
        let made = at("2014-01-15T10:30:00Z");
        assert!(!rule.has_removed(made, at("2014-01-18T23:59:59Z")));
        assert!(rule.has_removed(made, at("2014-01-19T00:00:00Z")));
        assert_eq!(rule.horizon(at("2014-01-19T07:00:00Z")), at("2014-01-16T00:00:00Z"));
    }

    #[test]
    fn what_was_made_before_the_horizon_is_what_was_removed() {
        for rule in [rule(Expiry::Days(2)), rule(Expiry::At(at("2026-03-04T00:00:00Z")))] {
            for now in ["2026-03-03T12:00:00Z", "2026-03-04T00:00:00Z", "2026-03-09T23:59:59Z"] {
                let (now, horizon) = (at(now), rule.horizon(at(now)));
                for hours in -80..80 {
                    let made = at("2026-03-05T00:30:00Z") + SignedDuration::from_hours(hours);
                    assert_eq!(rule.has_removed(made, now), made < horizon, "{rule} {made} {now}");
                }
            }
        }
    }
}
