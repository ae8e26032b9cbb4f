//! Times in the forms in which people type them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::parse_compact_time;

/// A time as people type it: a moment, or an age counted back from the current time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeArgument {
    /// A moment.
    At(Timestamp),
    /// The time that lies this long before the current time.
    Ago(SignedDuration),
}

impl TimeArgument {
    /// Returns the moment, with ages counted back from `now`.
    ///
    /// # Errors
    ///
    /// Fails if the age reaches back beyond the first representable time.
    pub fn resolve(self, now: Timestamp) -> Result<Timestamp, String> {
        match self {
            Self::At(time) => Ok(time),
            Self::Ago(age) => {
                now.checked_sub(age).map_err(|_| "the age reaches back further than times can be told".to_owned())
            }
        }
    }
}

/// Parses RFC 3339, a date (its 00:00 UTC), `20260301T000000Z`, or an age such as `24h` or `7d`.
///
/// # Errors
///
/// Returns the forms that are accepted.
pub fn parse_time(text: &str) -> Result<TimeArgument, String> {
    if let Some(age) = text.strip_prefix('-').filter(|rest| span(rest).is_some()) {
        return Err(format!("an age counts back by itself: write {age}"));
    }
    // A `Date` would also be parsed from a longer text.
    let is_date = text.len() == "2026-03-01".len();
    let date =
        || text.parse::<Date>().ok().filter(|_| is_date)?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    let moment = parse_compact_time(text).or_else(|| text.parse().ok()).or_else(date);
    moment.map(TimeArgument::At).or_else(|| span(text).map(TimeArgument::Ago)).ok_or_else(|| {
        "a time is written as 2026-03-01T00:00:00Z, as 2026-03-01, as 20260301T000000Z, or as an age such as \
         24h or 7d"
            .to_owned()
    })
}

/// Parses an age such as `24h` or `7d`.
///
/// # Errors
///
/// Returns the forms that are accepted.
pub fn parse_age(text: &str) -> Result<SignedDuration, String> {
    span(text).ok_or_else(|| "an age is written as 90min, 24h or 7d".to_owned())
}

fn span(text: &str) -> Option<SignedDuration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: i64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> TimeArgument {
        TimeArgument::At(text.parse().unwrap())
    }

    #[test]
    fn every_promised_form_is_read() {
        assert_eq!(parse_time("2026-03-01T01:02:03Z"), Ok(at("2026-03-01T01:02:03Z")));
        assert_eq!(parse_time("2026-03-01T01:02:03+02:00"), Ok(at("2026-02-28T23:02:03Z")));
        assert_eq!(parse_time("2026-03-01"), Ok(at("2026-03-01T00:00:00Z")));
        assert_eq!(parse_time("20260301T000000Z"), Ok(at("2026-03-01T00:00:00Z")));
        assert_eq!(parse_time("24h"), Ok(TimeArgument::Ago(SignedDuration::from_hours(24))));
        assert_eq!(parse_time("7d"), Ok(TimeArgument::Ago(SignedDuration::from_hours(7 * 24))));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "7",
            "7y",
            "-7d",
            "99999999999999999999d",
            "2026-03-01T00:00:00",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
