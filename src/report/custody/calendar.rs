//! The calendar of a report: which hours of a chain are covered, empty, missing or violated.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::later;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// The state of one hour; a later variant takes precedence over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hour {
    /// The hour is outside the requested range.
    Outside,
    /// The hour is covered, and no log file was delivered.
    Empty,
    /// The hour is covered, and the log files that were delivered are intact.
    Covered,
    /// Something in the hour could not be judged.
    Open,
    /// The hour is not covered.
    Gap,
    /// Something in the hour was changed or removed.
    Violated,
}

/// The states that are drawn, with the CSS class of each.
const DRAWN: [(Hour, &str); 5] = [
    (Hour::Empty, "empty"),
    (Hour::Covered, "covered"),
    (Hour::Open, "open"),
    (Hour::Gap, "gap"),
    (Hour::Violated, "violated"),
];

/// The number of days beyond which each cell of a picture is a day instead of an hour.
const MANY_DAYS: usize = 800;

/// The hours of one chain, by day (UTC).
#[derive(Debug, Default)]
pub(super) struct Calendar {
    days: BTreeMap<Date, [Option<Hour>; 24]>,
    /// The hour of the most recent digest.
    current: Option<Timestamp>,
}

impl Calendar {
    /// Marks the hour of a digest that covers `[start, end)`. It counts for the hour that contains
    /// its middle, because each chain has its own minute.
    pub(super) fn digest(&mut self, start: Timestamp, end: Timestamp, hour: Hour) {
        let middle = start.as_second() / 2 + end.as_second() / 2;
        self.current = Timestamp::from_second(middle).ok();
        self.mark(self.current, hour);
    }

    /// Marks the hour of the last digest for a log file that it lists.
    pub(super) fn log_file(&mut self, hour: Hour) {
        self.mark(self.current, hour);
    }

    /// Marks the hour that contains `time`.
    pub(super) fn at(&mut self, time: Timestamp, hour: Hour) {
        self.mark(Some(time), hour);
    }

    /// Marks the hours of a part of the range that is not covered.
    pub(super) fn gap(&mut self, from: Timestamp, to: Timestamp, hour: Hour) {
        let half = SignedDuration::from_mins(30);
        let mut time = later(from, half);
        if time >= to {
            self.mark(Some(from), hour);
        }
        while time < to {
            self.mark(Some(time), hour);
            time = later(time, half * 2);
        }
    }

    fn mark(&mut self, time: Option<Timestamp>, hour: Hour) {
        let Some(time) = time.map(|time| time.to_zoned(TimeZone::UTC)) else { return };
        let day = self.days.entry(time.date()).or_default();
        if let Some(cell) = usize::try_from(time.hour()).ok().and_then(|at| day.get_mut(at)) {
            *cell = (*cell).max(Some(hour));
        }
    }

    /// Draws the picture, in blocks of a month by hours, or of a year by days.
    pub(super) fn picture(&self) -> Picture {
        let by_day = self.days.len() > MANY_DAYS;
        let mut blocks: BTreeMap<String, Block> = BTreeMap::new();
        for (date, hours) in &self.days {
            let column = f64::from(date.day() - 1);
            if by_day {
                let name = date.year().to_string();
                let rows = 12;
                let block = blocks.entry(name.clone()).or_insert_with(|| Block::new(name, rows));
                let worst = hours.iter().flatten().max().copied().unwrap_or(Hour::Outside);
                block.cell(column, f64::from(date.month() - 1), worst);
            } else {
                let name = date.strftime("%Y-%m").to_string();
                let block = blocks.entry(name.clone()).or_insert_with(|| Block::new(name, 24));
                for (row, hour) in hours.iter().enumerate() {
                    block.cell(column, row as f64, hour.unwrap_or(Hour::Outside));
                }
            }
        }
        Picture { by_day, blocks: blocks.into_values().map(Block::close).collect() }
    }
}

/// The drawing of one chain, for a template.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    /// True if a cell is a day instead of an hour.
    pub by_day: bool,
    pub blocks: Vec<Drawn>,
}

/// One block of cells, as SVG paths.
#[derive(Debug, Serialize)]
pub(super) struct Drawn {
    pub name: String,
    pub rows: u32,
    /// The CSS class and the path of each state.
    pub paths: Vec<(&'static str, String)>,
    /// A path of crosses over the violated cells, which are visible without colour.
    pub crosses: String,
}

struct Block {
    name: String,
    rows: u32,
    paths: BTreeMap<Hour, String>,
    crosses: String,
}

/// The size of a cell, and of the part of it that is filled, in units of the picture.
const CELL: f64 = 10.0;
const FILLED: f64 = 9.0;

impl Block {
    fn new(name: String, rows: u32) -> Self {
        Self { name, rows, paths: BTreeMap::new(), crosses: String::new() }
    }

    fn cell(&mut self, column: f64, row: f64, hour: Hour) {
        let (x, y) = (column * CELL, row * CELL);
        // Writing to a String can't fail.
        let _ = write!(self.paths.entry(hour).or_default(), "M{x} {y}h{FILLED}v{FILLED}h-{FILLED}z");
        if hour == Hour::Violated {
            let inner = FILLED - 4.0;
            let (left, top) = (x + 2.0, y + 2.0);
            let _ = write!(self.crosses, "M{left} {top}l{inner} {inner}m0 -{inner}l-{inner} {inner}");
        }
    }

    fn close(mut self) -> Drawn {
        let paths = DRAWN.iter().filter_map(|(hour, class)| Some((*class, self.paths.remove(hour)?))).collect();
        Drawn { name: self.name, rows: self.rows, paths, crosses: self.crosses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_shows_the_worst_that_is_known_of_it() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut calendar = Calendar::default();
        calendar.digest(at("2026-03-01T00:25:00Z"), at("2026-03-01T01:25:00Z"), Hour::Empty);
        calendar.digest(at("2026-03-01T01:25:00Z"), at("2026-03-01T02:25:00Z"), Hour::Empty);
        calendar.log_file(Hour::Violated);
        calendar.log_file(Hour::Covered);
        calendar.gap(at("2026-03-01T02:25:00Z"), at("2026-03-01T05:25:00Z"), Hour::Gap);
        let day = calendar.days.values().next().unwrap();
        assert_eq!(
            day[..6],
            [Some(Hour::Empty), Some(Hour::Violated), Some(Hour::Gap), Some(Hour::Gap), Some(Hour::Gap), None]
        );
        let picture = calendar.picture();
        assert_eq!((picture.by_day, picture.blocks.len(), picture.blocks[0].name.as_str()), (false, 1, "2026-03"));
        assert!(picture.blocks[0].crosses.starts_with("M2 12l"));
    }
}
