//! Decline: days with far fewer log files than the same hours of earlier weeks.

use std::ops::Range;

use super::habit::{days, of_week};
use super::silence::Silence;
use super::{FEWEST_KNOWN, WEEK, WINDOW};
use crate::model::{Activity, Level};
use crate::records::format_time;

/// The fewest hours of a day that are compared.
const FEWEST_HOURS: usize = 20;
/// The fewest known hours of an hour of the week that have a median.
const FEWEST_WEEKS: usize = 4;
/// The smallest decline that has a note, as a logarithm to base 2: to half as many as is usual, and as any
/// day of the past had.
const LEAST: f64 = 1.0;
/// The smallest spread of days: the precision of a level.
const LEAST_SPREAD: f64 = 0.125;
/// The ratio of a normal distribution's standard deviation to its median absolute deviation.
const NORMAL: f64 = 1.4826;
/// The number of days after which a decline has become the habit of a chain: runs that cover later
/// days only do not note it.
const MOST_DAYS: i64 = 7;
/// The number of hours before a run that are looked at, 8 days: they tell whether a decline is new.
pub(super) const HOURS_BEFORE: usize = 8 * 24;

/// Days in a row with less than half as many log files as the past leads to expect, of which at least
/// one has far fewer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decline {
    /// The hours, counted from 1970.
    pub(super) hours: Range<i64>,
    /// The largest fall of a day that has far fewer.
    far: Option<Fall>,
}

/// A fall of the number of log files on one day.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fall {
    /// The fall, as a logarithm to base 2.
    by: f64,
    /// The limit that it exceeds, as a logarithm to base 2.
    limit: f64,
}

impl Decline {
    /// Returns the statement about it, to follow the name of the chain; `None` if no day has far fewer.
    pub(super) fn statement(&self) -> Option<String> {
        let Fall { by, limit } = self.far?;
        let Range { start, end } = self.hours;
        let one_day = if end - start > 24 { ", on the day that is farthest below it" } else { "" };
        Some(format!(
            "its valid digests that start from {} to before {} list, by the geometric mean of 1 + n over the hours of \
             a day, less than half as many log files as the median of the same hours of the weeks before, at most 13: \
             1/{:.1} of it{one_day}. Each day of those weeks of which {FEWEST_HOURS} hours can be compared had at \
             least twice as many, by the same measure, and by the spread of these days a fall to less than 1/{:.1} is \
             improbable",
            format_time(Activity::start_of(start)),
            format_time(Activity::start_of(end)),
            by.exp2(),
            limit.exp2(),
        ))
    }
}

/// The hours before a day.
#[derive(Clone, Copy)]
struct Past<'a> {
    /// The first hour, counted from 1970.
    first: i64,
    levels: &'a [Level],
}

/// Returns the declines on whole days that end after `known_to`. Days that a silence explains are left
/// out.
pub(super) fn find(activity: &Activity, known_to: i64, rare: f64, silences: &[Silence]) -> Vec<Decline> {
    // The tail of a normal distribution beyond z is below exp(-z²/2).
    let z = (-2.0 * rare.ln()).sqrt();
    let mut found: Vec<Decline> = Vec::new();
    for (day, of_day) in days(activity.first(), activity.levels()) {
        let hours = day..day + 24;
        let is_past = usize::try_from(known_to - day).is_ok_and(|before| before > HOURS_BEFORE);
        if of_day.len() < 24 || is_past || silences.iter().any(|silence| silence.overlaps(&hours)) {
            continue;
        }
        let Some(decline) = judge(activity, day, of_day, z) else { continue };
        match found.last_mut().filter(|last| last.hours.end == day) {
            Some(last) => {
                last.hours.end = decline.hours.end;
                let falls = last.far.into_iter().chain(decline.far);
                last.far = falls.max_by(|one, other| one.by.total_cmp(&other.by));
            }
            None => found.push(decline),
        }
    }
    found.retain(|decline| {
        let is_new = known_to - decline.hours.start < MOST_DAYS * 24 && decline.hours.end > known_to;
        decline.far.is_some() && is_new
    });
    found
}

/// Returns the decline of one day, if it has less than half as many log files.
fn judge(activity: &Activity, day: i64, of_day: &[Level], z: f64) -> Option<Decline> {
    let index = usize::try_from(day - activity.first()).ok()?;
    let past = index.saturating_sub(WINDOW)..index;
    let first = activity.first().saturating_add(i64::try_from(past.start).ok()?);
    let past = Past { first, levels: &activity.levels()[past] };
    let own = difference(day, of_day, |hour| past.median(of_week(hour)))?;
    if own >= -LEAST || past.levels.iter().filter(|level| **level != Level::UNKNOWN).count() < FEWEST_KNOWN {
        return None;
    }
    let medians: Vec<Option<f64>> = (0..WEEK).map(|of_week| past.median(of_week)).collect();
    // A holiday may be like any day of the week.
    let quietest = |hour: i64| {
        let of_days = (of_week(hour) % 24..WEEK).step_by(24).filter_map(|of_week| medians[of_week]);
        of_days.min_by(f64::total_cmp)
    };
    let against_quietest = difference(day, of_day, quietest)?;
    let PastDays { spread, lowest } = past.days(&medians)?;
    let limit = (z * spread).max(LEAST);
    let is_far = own.max(against_quietest) < -limit && own < lowest - LEAST;
    Some(Decline { hours: day..day + 24, far: is_far.then_some(Fall { by: -own, limit }) })
}

/// The days before a day, by the mean difference of their hours from what is usual.
struct PastDays {
    /// The spread of these differences, as a standard deviation.
    spread: f64,
    /// The lowest difference.
    lowest: f64,
}

impl Past<'_> {
    /// Returns the median of log2(1 + n) over the known hours at an hour of the week; `None` if there
    /// are too few.
    fn median(self, of_week: usize) -> Option<f64> {
        let offset = (WEEK + of_week - self::of_week(self.first)) % WEEK;
        let at_hour = self.levels.iter().skip(offset).step_by(WEEK);
        let mut values: Vec<f64> = at_hour.filter_map(|level| level.log2()).collect();
        if values.len() < FEWEST_WEEKS { None } else { median(&mut values) }
    }

    /// Returns the days of the past, compared with the medians of their hours.
    fn days(self, medians: &[Option<f64>]) -> Option<PastDays> {
        let differences = days(self.first, self.levels)
            .filter_map(|(day, of_day)| difference(day, of_day, |hour| medians[of_week(hour)]));
        let mut values: Vec<f64> = differences.collect();
        let lowest = values.iter().copied().min_by(f64::total_cmp)?;
        let centre = median(&mut values)?;
        values.iter_mut().for_each(|value| *value = (*value - centre).abs());
        Some(PastDays { spread: (median(&mut values)? * NORMAL).max(LEAST_SPREAD), lowest })
    }
}

/// Returns the mean difference of a day's hours from what is usual; `None` if too few of them can be
/// compared.
fn difference(day: i64, of_day: &[Level], usual: impl Fn(i64) -> Option<f64>) -> Option<f64> {
    let differences = (day..).zip(of_day).filter_map(|(hour, level)| Some(level.log2()? - usual(hour)?));
    let (mut sum, mut count) = (0.0, 0_u32);
    for difference in differences {
        sum += difference;
        count += 1;
    }
    (usize::try_from(count).ok()? >= FEWEST_HOURS).then(|| sum / f64::from(count))
}

/// Returns the median, the lower one of two; `None` if there is no value.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}
