//! Silence: a series of empty digests that the chain's own past does not explain.

use std::ops::Range;

use super::habit::{Habit, longest_series};
use super::{WINDOW, decline};
use crate::model::{Activity, Level};
use crate::records::format_time;

/// The shortest series that is judged. The past has at most 13 hours of each hour of the week, which
/// leaves each an empty hour's probability of at least 1/28: four of them are never rare enough.
const SHORTEST: usize = 5;

/// A series of empty hours whose probability is below the limit.
#[derive(Debug, Clone)]
pub(super) struct Silence {
    /// The hours, counted from 1970.
    pub(super) hours: Range<i64>,
    /// The hours before them, by which they were judged.
    habit: Habit,
}

impl Silence {
    /// Returns whether it and other hours have any in common.
    pub(super) fn overlaps(&self, other: &Range<i64>) -> bool {
        self.hours.start < other.end && other.start < self.hours.end
    }

    /// Returns the statement about it, to follow the name of the chain.
    pub(super) fn statement(&self, chains: usize) -> String {
        let Range { start, end } = self.hours;
        let (known, empty, longest) = (self.habit.known_hours(), self.habit.empty_hours(), self.habit.longest);
        let chains = match chains {
            1 => String::new(),
            chains => format!(", divided by the number of chains, {chains}"),
        };
        format!(
            "its valid digests that start from {} to before {} list no log file, {} hours in a row. Of the {known} \
             hours before, within 13 weeks, of which a valid digest is known, {empty} had none, at most {longest} in a \
             row; estimated from the same hours of those weeks, the probability of such a series is below 1 in \
             1,000,000{chains}",
            format_time(Activity::start_of(start)),
            format_time(Activity::start_of(end)),
            end - start,
        )
    }
}

/// Returns the series of empty hours whose probability is below `rare`, and that end after `known_to` or
/// in the days before it in which declines are looked for.
pub(super) fn find(activity: &Activity, known_to: i64, rare: f64) -> Vec<Silence> {
    let levels = activity.levels();
    let looked_from = known_to.saturating_sub_unsigned(decline::HOURS_BEFORE as u64);
    let mut found = Vec::new();
    let mut begin = 0;
    for series in levels.chunk_by(|one, next| (*one == Level::EMPTY) == (*next == Level::EMPTY)) {
        let end = begin + series.len();
        if series[0] == Level::EMPTY && series.len() >= SHORTEST && hour(activity, end) > looked_from {
            found.extend(judge(activity, begin..end, rare));
        }
        begin = end;
    }
    found
}

/// Returns a series of empty hours, given as indexes, if the hours before it do not explain it.
fn judge(activity: &Activity, series: Range<usize>, rare: f64) -> Option<Silence> {
    let past = series.start.saturating_sub(WINDOW)..series.start;
    if series.len() <= longest_series(&activity.levels()[past.clone()]) {
        return None;
    }
    let habit = Habit::learn(hour(activity, past.start), &activity.levels()[past])?;
    let hours = hour(activity, series.start)..hour(activity, series.end);
    let is_rare = habit.ln_probability(hours.start, hours.end) < rare.ln();
    is_rare.then_some(Silence { hours, habit })
}

/// Returns the number of an hour, counted from 1970, by its index.
fn hour(activity: &Activity, index: usize) -> i64 {
    activity.first().saturating_add(i64::try_from(index).unwrap_or(i64::MAX))
}
