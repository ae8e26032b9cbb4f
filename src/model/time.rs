//! Arithmetic with times that never fails: a result before the first or after the last
//! representable time is clamped to it.

use jiff::{SignedDuration, Timestamp};

/// A day. Times are UTC, so every day has 24 hours.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The time `by` before `time`.
#[must_use]
pub fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(time)
}

/// The time `by` after `time`.
#[must_use]
pub fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(time)
}

/// The start of the day, in UTC, that holds a time.
#[must_use]
pub fn begin_of_day(time: Timestamp) -> Timestamp {
    let second = time.as_second();
    Timestamp::from_second(second - second.rem_euclid(DAY.as_secs())).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stop_at_the_first_and_the_last_one() {
        let hour = SignedDuration::from_hours(1);
        assert_eq!(earlier(Timestamp::MIN, hour), Timestamp::MIN);
        assert_eq!(later(Timestamp::MAX, hour), Timestamp::MAX);
        for (time, day) in [
            ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2026-03-01T23:59:59.9Z", "2026-03-01T00:00:00Z"),
            ("1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z"),
        ] {
            assert_eq!(begin_of_day(time.parse().unwrap()), day.parse().unwrap(), "{time}");
        }
    }
}
