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

/// The number of days to be shown beyond which each cell of a picture is a day instead of an hour.
const MANY_DAYS: usize = 62;

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

    /// Returns whether something is to be seen: an hour that is open, a gap, or violated.
    fn is_shown(hours: &[Option<Hour>; 24]) -> bool {
        hours.iter().flatten().any(|hour| *hour >= Hour::Open)
    }

    /// Draws the days on which something is to be seen, a row a day, or a row a month if they are
    /// many. Days between them on which nothing was found share a row. `None` if nothing is to be seen.
    pub(super) fn picture(&self) -> Option<Picture> {
        let shown = self.days.values().filter(|hours| Self::is_shown(hours)).count();
        match shown {
            0 => None,
            _ if shown > MANY_DAYS => Some(self.by_month()),
            _ => Some(self.by_day()),
        }
    }

    fn by_day(&self) -> Picture {
        let mut drawing = Drawing::default();
        let mut skipped: Vec<Date> = Vec::new();
        for (date, hours) in &self.days {
            if !Self::is_shown(hours) {
                skipped.push(*date);
                continue;
            }
            drawing.skip(&std::mem::take(&mut skipped));
            drawing.row(date.to_string(), &hours.map(|hour| hour.unwrap_or(Hour::Outside)));
        }
        drawing.skip(&skipped);
        drawing.close(24, &[(0, "00"), (6, "06"), (12, "12"), (18, "18")], "a row is a day, a column an hour (UTC)")
    }

    fn by_month(&self) -> Picture {
        let mut months: BTreeMap<String, [Hour; 31]> = BTreeMap::new();
        for (date, hours) in &self.days {
            let month = months.entry(date.strftime("%Y-%m").to_string()).or_insert([Hour::Outside; 31]);
            let worst = hours.iter().flatten().max().copied().unwrap_or(Hour::Outside);
            if let Some(day) = usize::try_from(date.day() - 1).ok().and_then(|index| month.get_mut(index)) {
                *day = worst;
            }
        }
        let mut drawing = Drawing::default();
        for (month, days) in months {
            drawing.row(month, &days);
        }
        let columns = [(0, "1"), (7, "8"), (14, "15"), (21, "22"), (28, "29")];
        drawing.close(31, &columns, "a row is a month, a column a day (UTC); a day shows the worst of its hours")
    }
}

/// The drawing of one chain, for a template. Coordinates are units of its view box.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    /// The meaning of rows and columns.
    pub caption: &'static str,
    pub width: u32,
    pub height: u32,
    /// The labels of the columns.
    pub columns: Vec<Label>,
    /// The labels of the rows.
    pub rows: Vec<Label>,
    /// The rows of days on which nothing was found.
    pub skipped: Vec<Label>,
    /// The CSS class and the path of each state.
    pub paths: Vec<(&'static str, String)>,
    /// A path of lines between the columns.
    pub grid: String,
    /// A path of crosses over the violated cells, which are visible without colour.
    pub crosses: String,
}

/// A text of a drawing, with the position of its baseline.
#[derive(Debug, Serialize)]
pub(super) struct Label {
    pub x: u32,
    pub y: u32,
    pub text: String,
}

/// The size of a cell, the part of its height that is filled, and the room for labels, in units of
/// the picture.
const CELL: u32 = 14;
const FILLED: u32 = 12;
const LEFT: u32 = 84;
const TOP: u32 = 18;
/// The distance of a baseline from the top of its row.
const BASELINE: u32 = 10;

/// A picture that is being drawn, row by row.
#[derive(Default)]
struct Drawing {
    height: u32,
    rows: Vec<Label>,
    skipped: Vec<Label>,
    paths: BTreeMap<Hour, String>,
    crosses: String,
}

impl Drawing {
    /// Draws a row of cells. Neighbours of the same state are one rectangle: the lines of the grid
    /// divide it.
    fn row(&mut self, label: String, cells: &[Hour]) {
        let y = TOP + self.height;
        self.height += CELL;
        self.rows.push(Label { x: 0, y: y + BASELINE, text: label });
        let mut column = 0;
        for run in cells.chunk_by(|one, other| one == other) {
            let length = u32::try_from(run.len()).unwrap_or(0);
            let (x, width) = (LEFT + column * CELL, length * CELL);
            // Writing to a String can't fail.
            let _ = write!(self.paths.entry(run[0]).or_default(), "M{x} {y}h{width}v{FILLED}h-{width}z");
            for index in (0..length).filter(|_| run[0] == Hour::Violated) {
                let (left, top, inner) = (x + index * CELL + 4, y + 3, FILLED - 6);
                let _ = write!(self.crosses, "M{left} {top}l{inner} {inner}m0 -{inner}l-{inner} {inner}");
            }
            column += length;
        }
    }

    /// Draws a row in place of days on which nothing was found.
    fn skip(&mut self, days: &[Date]) {
        let (Some(first), Some(last)) = (days.first(), days.last()) else { return };
        let y = TOP + self.height;
        self.height += CELL;
        let text = match days.len() {
            1 => format!("{first}: no findings"),
            count => format!("{first} to {last}, {count} days: no findings"),
        };
        self.skipped.push(Label { x: 0, y: y + BASELINE, text });
    }

    fn close(mut self, count: u32, columns: &[(u32, &str)], caption: &'static str) -> Picture {
        let paths = DRAWN.iter().filter_map(|(hour, class)| Some((*class, self.paths.remove(hour)?))).collect();
        let lines = (1..count).map(|column| format!("M{} {TOP}v{}", LEFT + column * CELL, self.height)).collect();
        let label = |(column, text): &(u32, &str)| Label { x: LEFT + column * CELL, y: TOP - 6, text: (*text).into() };
        Picture {
            caption,
            width: LEFT + count * CELL,
            height: TOP + self.height,
            columns: columns.iter().map(label).collect(),
            rows: self.rows,
            skipped: self.skipped,
            paths,
            grid: lines,
            crosses: self.crosses,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_hour_shows_the_worst_that_is_known_of_it() {
        let mut calendar = Calendar::default();
        calendar.digest(at("2026-03-01T00:25:00Z"), at("2026-03-01T01:25:00Z"), Hour::Empty);
        calendar.digest(at("2026-03-01T01:25:00Z"), at("2026-03-01T02:25:00Z"), Hour::Empty);
        assert!(calendar.picture().is_none(), "nothing is to be seen");
        calendar.log_file(Hour::Violated);
        calendar.log_file(Hour::Covered);
        calendar.gap(at("2026-03-01T02:25:00Z"), at("2026-03-01T05:25:00Z"), Hour::Gap);
        let day = calendar.days.values().next().unwrap();
        assert_eq!(
            day[..6],
            [Some(Hour::Empty), Some(Hour::Violated), Some(Hour::Gap), Some(Hour::Gap), Some(Hour::Gap), None]
        );
        let picture = calendar.picture().unwrap();
        assert_eq!((picture.rows.len(), picture.rows[0].text.as_str()), (1, "2026-03-01"));
        assert!(picture.crosses.starts_with("M102 21l6 6"), "{}", picture.crosses);
        assert_eq!(picture.paths[1], ("gap", "M112 18h42v12h-42z".to_owned()));
    }

    #[test]
    fn days_on_which_nothing_was_found_share_a_row_and_many_days_become_months() {
        let day = SignedDuration::from_hours(24);
        let start = at("2026-01-01T12:00:00Z");
        let mut calendar = Calendar::default();
        for number in 0..200 {
            let hour = if number % 50 == 49 { Hour::Violated } else { Hour::Covered };
            calendar.at(start + day * number, hour);
        }
        let picture = calendar.picture().unwrap();
        assert_eq!((picture.rows.len(), picture.skipped.len(), picture.columns.len()), (4, 4, 4));
        assert_eq!(picture.skipped[0].text, "2026-01-01 to 2026-02-18, 49 days: no findings");
        for number in 0..200 {
            calendar.at(start + day * number, Hour::Gap);
        }
        let picture = calendar.picture().unwrap();
        assert_eq!((picture.rows.len(), picture.columns.len()), (7, 5), "a row a month");
        assert_eq!(picture.crosses.matches('M').count(), 4);
    }
}
