//! A year of simulated traffic of several kinds: no ordinary year has a note, and each outage has.

use std::ops::Range;
use std::sync::LazyLock;

use fastrand::Rng;
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::{Note, notes};
use crate::model::{Activity, WarningCode};

const YEAR: i64 = 365 * 24;

/// The mean number of log files of an hour.
type Mean = fn(Hour) -> f64;

/// The kinds of traffic.
const TRAFFIC: [(&str, Mean); 8] = [
    ("machines, busier by day", |hour| 40.0 * hour.season() * (1.0 + 0.4 * hour.daylight())),
    ("one log file every five minutes", |_| 12.0),
    ("maintenance on the first of each month", |hour| if hour.day == 1 { 10.0 } else { 40.0 }),
    ("an office", |hour| if hour.is_working() { 60.0 * hour.season() } else { 0.3 }),
    ("an office without anything at night", |hour| if hour.is_working() { 25.0 * hour.season() } else { 0.0 }),
    ("a team that logs in now and then", |hour| if hour.is_working() { 0.7 * hour.season() } else { 0.02 }),
    ("a nightly job", |hour| if hour.of_day == 3 { 4.0 } else { 0.05 }),
    ("nearly nothing", |_| 0.01),
];

/// An hour of the simulated year, which begins in January 2026.
#[derive(Clone, Copy)]
struct Hour {
    /// Counted from the start of the year.
    index: i64,
    /// The day of the month.
    day: i8,
    of_day: i8,
    weekday: Weekday,
    /// True on a public holiday, and when the office is closed: two weeks in August, and from Christmas
    /// to New Year.
    is_holiday: bool,
}

impl Hour {
    fn new(index: i64, first: i64) -> Self {
        let time = Activity::start_of(first + index).to_zoned(TimeZone::UTC);
        let holidays = [(1, 1), (1, 6), (4, 3), (4, 6), (5, 1), (5, 14), (5, 25), (8, 15), (11, 1), (12, 25), (12, 26)];
        let date = (time.month(), time.day());
        let is_closed = ((8, 3)..=(8, 16)).contains(&date) || ((12, 24)..=(12, 31)).contains(&date);
        let is_holiday = holidays.contains(&date) || is_closed;
        Self { index, day: time.day(), of_day: time.hour(), weekday: time.weekday(), is_holiday }
    }

    fn is_working(self) -> bool {
        // Clocks are an hour ahead from the end of March to the end of October.
        let summer = i8::from((87 * 24..297 * 24).contains(&self.index));
        let is_weekend = matches!(self.weekday, Weekday::Saturday | Weekday::Sunday);
        (7..17).contains(&(self.of_day + summer)) && !is_weekend && !self.is_holiday
    }

    fn season(self) -> f64 {
        1.0 + 0.3 * (self.index as f64 / YEAR as f64 * std::f64::consts::TAU).cos()
    }

    fn daylight(self) -> f64 {
        (f64::from(self.of_day) / 24.0 * std::f64::consts::TAU).sin()
    }
}

/// Returns the hours of the year.
fn hours() -> &'static [Hour] {
    static HOURS: LazyLock<Vec<Hour>> =
        LazyLock::new(|| (0..YEAR).map(|index| Hour::new(index, first_hour())).collect());
    &HOURS
}

/// Returns a year of one kind of traffic, with noise beyond that of independent events.
fn year(mean: Mean, rng: &mut Rng) -> Vec<u64> {
    let mut busyness = 0.0_f64;
    let numbers = hours().iter().map(|hour| {
        // Busy hours follow busy ones.
        busyness = 0.9 * busyness + 0.15 * gauss(rng);
        poisson(mean(*hour) * busyness.exp(), rng)
    });
    numbers.collect()
}

fn gauss(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

fn poisson(mean: f64, rng: &mut Rng) -> u64 {
    if mean > 30.0 {
        return (mean + mean.sqrt() * gauss(rng)).round().max(0.0) as u64;
    }
    let limit = (-mean).exp();
    let (mut count, mut product) = (0, rng.f64());
    while product > limit {
        count += 1;
        product *= rng.f64();
    }
    count
}

fn first_hour() -> i64 {
    Activity::hour_of("2026-01-01T00:00:00Z".parse().unwrap())
}

/// Returns the time at which the period of an hour's digest starts.
fn start(hour: i64) -> Timestamp {
    Activity::start_of(first_hour() + hour).checked_add(jiff::SignedDuration::from_mins(17)).unwrap()
}

/// Returns the notes of one run over the whole time.
fn in_one_run(numbers: &[u64]) -> Vec<Note> {
    let mut activity = Activity::default();
    (0..).zip(numbers).for_each(|(hour, number)| activity.add(start(hour), *number));
    notes(&activity, 0, 1)
}

/// Returns the notes of nightly runs, with the day of the year of each.
fn in_nightly_runs(numbers: &[u64]) -> Vec<(usize, Note)> {
    let mut kept = Activity::default();
    let mut found = Vec::new();
    for (day, of_day) in numbers.chunks(24).enumerate() {
        let known_to = kept.end();
        let first = i64::try_from(day).unwrap() * 24;
        (first..).zip(of_day).for_each(|(hour, number)| kept.add(start(hour), *number));
        found.extend(notes(&kept, known_to, 1).into_iter().map(|note| (day, note)));
        kept = super::kept(&kept);
    }
    found
}

/// Returns the same numbers, each multiplied by a factor in a part of the time.
fn scaled(numbers: &[u64], hours: Range<usize>, factor: f64) -> Vec<u64> {
    let mut numbers = numbers.to_vec();
    numbers[hours].iter_mut().for_each(|number| *number = (*number as f64 * factor).round() as u64);
    numbers
}

#[test]
fn an_ordinary_year_has_no_note() {
    for (kind, mean) in TRAFFIC {
        for seed in 0..12 {
            let numbers = year(mean, &mut Rng::with_seed(seed));
            assert_eq!(in_one_run(&numbers), [], "{kind}, seed {seed}");
        }
    }
}

#[test]
fn an_ordinary_year_of_nightly_runs_has_no_note() {
    for (kind, mean) in TRAFFIC {
        for seed in 0..3 {
            let numbers = year(mean, &mut Rng::with_seed(seed));
            assert_eq!(in_nightly_runs(&numbers), [], "{kind}, seed {seed}");
        }
    }
}

#[test]
fn an_outage_has_a_note_of_silence() {
    // The hours from a Tuesday at 09:00 UTC in June.
    let from = 173 * 24 + 9;
    for ((kind, mean), hours) in TRAFFIC.into_iter().zip([8, 8, 8, 5 * 24, 35 * 24, 40 * 24, 28 * 24, 0]) {
        for seed in 0..3 {
            let numbers = scaled(&year(mean, &mut Rng::with_seed(seed)), from..from + hours, 0.0);
            let noted = in_one_run(&numbers);
            assert_eq!(noted.len(), usize::from(hours > 0), "{kind}, seed {seed}: {noted:?}");
            assert!(noted.iter().all(|note| note.code == WarningCode::Silence), "{kind}, seed {seed}: {noted:?}");
            let nightly = in_nightly_runs(&numbers);
            let days: Vec<usize> = nightly.iter().map(|(day, _)| *day).collect();
            // The silence is told again each night while it lasts, and the last night tells all of it.
            assert!(days.windows(2).all(|pair| pair[1] - pair[0] == 1), "{kind}, seed {seed}: {days:?}");
            assert_eq!(nightly.last().map(|(_, note)| note), noted.first(), "{kind}, seed {seed}");
        }
    }
}

#[test]
fn a_source_that_falls_to_a_tenth_has_a_note() {
    let from = 250;
    for (kind, mean) in TRAFFIC.into_iter().take(2) {
        for seed in 0..3 {
            let numbers = scaled(&year(mean, &mut Rng::with_seed(seed)), from * 24..(from + 20) * 24, 0.1);
            let noted = in_one_run(&numbers);
            assert!(!noted.is_empty(), "{kind}, seed {seed}");
            assert!(noted.iter().all(|note| note.code == WarningCode::FewerLogFiles), "{kind}, seed {seed}: {noted:?}");
            let days: Vec<usize> = in_nightly_runs(&numbers).into_iter().map(|(day, _)| day).collect();
            // After a week it is the habit of the chain.
            let week: Vec<usize> = (from..from + 7).collect();
            assert_eq!(days, week, "{kind}, seed {seed}");
        }
    }
}

#[test]
fn nothing_is_said_of_a_short_past() {
    let numbers: Vec<u64> = std::iter::repeat_n(9, 27 * 24).chain(std::iter::repeat_n(0, 24)).collect();
    assert_eq!(in_one_run(&numbers), []);
    let numbers: Vec<u64> = std::iter::repeat_n(9, 28 * 24).chain(std::iter::repeat_n(0, 48)).collect();
    assert_eq!(in_one_run(&numbers).len(), 1);
}

#[test]
fn a_gap_ends_a_silence() {
    let mut activity = Activity::default();
    for hour in 0..29 * 24 {
        let is_known = !(28 * 24 + 4..28 * 24 + 20).contains(&hour);
        if is_known {
            activity.add(start(hour), if hour < 28 * 24 { 9 } else { 0 });
        }
    }
    assert_eq!(notes(&activity, 0, 1), []);
}
