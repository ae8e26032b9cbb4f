//! The habits of a chain: how often each hour of the week was empty, and how emptiness clusters.

use super::{FEWEST_KNOWN, WEEK};
use crate::model::Level;

/// The hours of a week, as a number of hours.
const HOURS_OF_WEEK: i64 = 7 * 24;
/// The limits of the odds ratio: emptiness is never taken to end emptiness, and no past is long
/// enough to show a stronger clustering.
const ODDS_RATIO: (f64, f64) = (1.0, 1e6);
/// The probability that the next working day after a quiet day out of turn is quiet as well: holidays
/// and closures last for days, up to two weeks.
const QUIET_AGAIN: f64 = 0.5;
/// The probability of a past day's empty hours below which the day counts as an exceptional one.
const EXCEPTIONAL: f64 = 1e-3;

/// Hours of a week, by hours counted from 1970, of whose days the first was a Thursday.
#[derive(Debug, Clone)]
pub(super) struct Habit {
    /// The number of known hours, by hour of the week.
    known: [u32; WEEK],
    /// The number of empty ones among them.
    empty: [u32; WEEK],
    /// How much likelier an hour is empty after an empty one, as a ratio of odds.
    odds_ratio: f64,
    /// The probability that a day is as quiet as the quietest day of the week, whatever its own is.
    quiet_day: f64,
    /// The length of the longest series of empty hours.
    pub(super) longest: usize,
}

/// The empty hours of one day.
#[derive(Debug, Clone, Copy)]
struct EmptyHours {
    /// The natural logarithm of their probability by the day's own hours.
    own: f64,
    /// The same by the hours of the quietest day.
    quiet: f64,
}

impl Habit {
    /// Learns from the hours before `first + levels.len()`; `None` if too few of them are known.
    pub(super) fn learn(first: i64, levels: &[Level]) -> Option<Self> {
        let hours = || (first..).zip(levels.iter().copied());
        if hours().filter(|(_, level)| *level != Level::UNKNOWN).count() < FEWEST_KNOWN {
            return None;
        }
        let (mut known, mut empty) = ([0; WEEK], [0; WEEK]);
        for (hour, level) in hours().filter(|(_, level)| *level != Level::UNKNOWN) {
            known[of_week(hour)] += 1;
            empty[of_week(hour)] += u32::from(level == Level::EMPTY);
        }
        let (odds_ratio, longest) = (odds_ratio(first, levels), longest_series(levels));
        let mut habit = Self { known, empty, odds_ratio, quiet_day: 0.0, longest };
        habit.quiet_day = habit.quiet_days(first, levels);
        Some(habit)
    }

    /// The number of known hours.
    pub(super) fn known_hours(&self) -> u32 {
        self.known.iter().sum()
    }

    /// The number of empty hours among them.
    pub(super) fn empty_hours(&self) -> u32 {
        self.empty.iter().sum()
    }

    /// Returns the natural logarithm of the probability that the hours from `first` to before `end`
    /// are all empty, as an upper bound: each hour by the same hour of other weeks, likelier after
    /// another empty one, and each day either by its own hours or as a quiet day out of turn, such as
    /// a holiday.
    pub(super) fn ln_probability(&self, first: i64, end: i64) -> f64 {
        // The likeliest course up to a day, where that day is an ordinary one and where it is quiet.
        let (mut ordinary, mut quiet) = (0.0_f64, f64::NEG_INFINITY);
        let mut hour = first;
        while hour < end {
            let next_day = (hour.div_euclid(24) + 1) * 24;
            let hours = hour..next_day.min(end);
            let day = self.empty_hours_of(hours.clone().map(|hour| (hour, hour > first)));
            // A weekend is quiet by itself, and says nothing about a closure.
            let alone = self.empty_hours_of(hours.map(|hour| (hour, false)));
            let again = if alone.quiet - alone.own < 1.0 { 0.0 } else { QUIET_AGAIN.ln() };
            let begins_or_lasts = (ordinary + self.quiet_day.ln()).max(quiet + again);
            (ordinary, quiet) = (ordinary.max(quiet) + day.own, begins_or_lasts + day.quiet);
            hour = next_day;
        }
        ordinary.max(quiet)
    }

    /// Returns the probabilities of empty hours, of which each is given with whether it follows an
    /// empty one.
    fn empty_hours_of(&self, hours: impl Iterator<Item = (i64, bool)>) -> EmptyHours {
        let mut sums = EmptyHours { own: 0.0, quiet: 0.0 };
        for (hour, follows) in hours {
            sums.own += self.sticky(self.share(of_week(hour)), follows).ln();
            sums.quiet += self.sticky(self.quietest(hour), follows).ln();
        }
        sums
    }

    /// The share of empty hours at an hour of the week, never 0 nor 1: as if one more had been known,
    /// which was empty with the probability of any hour, or with 1/2 if that is larger.
    fn share(&self, of_week: usize) -> f64 {
        let any = (f64::from(self.empty_hours()) + 0.5) / (f64::from(self.known_hours()) + 1.0);
        (f64::from(self.empty[of_week]) + any.max(0.5)) / (f64::from(self.known[of_week]) + 1.0)
    }

    /// The share at the same hour of the day, on the day of the week where it is largest.
    fn quietest(&self, hour: i64) -> f64 {
        (of_week(hour) % 24..WEEK).step_by(24).map(|of_week| self.share(of_week)).fold(0.0, f64::max)
    }

    /// Returns the probability of an empty hour that may follow an empty one.
    fn sticky(&self, share: f64, follows: bool) -> f64 {
        let odds = share / (1.0 - share) * if follows { self.odds_ratio } else { 1.0 };
        odds / (1.0 + odds)
    }

    /// Returns the probability of a quiet day out of turn, by the days of the past.
    fn quiet_days(&self, first: i64, levels: &[Level]) -> f64 {
        let (mut counted, mut exceptional) = (0_u32, 0_u32);
        for (day, of_day) in days(first, levels) {
            let known = of_day.iter().filter(|level| **level != Level::UNKNOWN).count();
            if known < 12 {
                continue;
            }
            counted += 1;
            let empty = (day..).zip(of_day).filter(|(_, level)| **level == Level::EMPTY).map(|(hour, _)| (hour, false));
            exceptional += u32::from(self.empty_hours_of(empty).own < EXCEPTIONAL.ln());
        }
        (f64::from(exceptional) + 1.0) / (f64::from(counted) + 1.0)
    }
}

/// Returns the length of the longest series of empty hours.
pub(super) fn longest_series(levels: &[Level]) -> usize {
    levels.split(|level| *level != Level::EMPTY).map(<[Level]>::len).max().unwrap_or_default()
}

/// Returns the hour of the week of an hour counted from 1970.
pub(super) fn of_week(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(HOURS_OF_WEEK)).unwrap_or_default()
}

/// Returns the parts of each day, in UTC, with the number of the first hour of the part.
pub(super) fn days(first: i64, levels: &[Level]) -> impl Iterator<Item = (i64, &[Level])> {
    let mut rest = levels;
    let mut hour = first;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let to_midnight = usize::try_from(24 - hour.rem_euclid(24)).unwrap_or(24);
        let (day, after) = rest.split_at(to_midnight.min(rest.len()));
        let start = hour;
        rest = after;
        hour += i64::try_from(day.len()).unwrap_or(24);
        Some((start, day))
    })
}

/// Returns the ratio of the odds that an hour is empty after an empty one and after one that is not,
/// over the hours of the week: Mantel and Haenszel's estimate over strata, with half an observation
/// added to both sums.
fn odds_ratio(first: i64, levels: &[Level]) -> f64 {
    let mut tables = [[0_u32; 4]; WEEK];
    for (hour, pair) in (first + 1..).zip(levels.windows(2)) {
        if pair.contains(&Level::UNKNOWN) {
            continue;
        }
        let cell = usize::from(pair[0] != Level::EMPTY) * 2 + usize::from(pair[1] != Level::EMPTY);
        tables[of_week(hour)][cell] += 1;
    }
    let (mut concordant, mut discordant) = (0.5, 0.5);
    for table in tables {
        let [both, ends, begins, neither] = table.map(f64::from);
        let observed = both + ends + begins + neither;
        if observed > 0.0 {
            concordant += both * neither / observed;
            discordant += ends * begins / observed;
        }
    }
    (concordant / discordant).clamp(ODDS_RATIO.0, ODDS_RATIO.1)
}
