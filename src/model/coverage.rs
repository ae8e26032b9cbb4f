//! The covered part of a range: a set of times, kept as intervals that neither touch nor overlap.

use jiff::Timestamp;

use super::Period;

/// A set of half-open intervals `[from, to)`, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Sorted, neither touching nor overlapping, none empty.
    intervals: Vec<Period>,
}

impl Coverage {
    /// Adds `[from, to)`. An empty or reversed interval adds nothing.
    pub fn add(&mut self, from: Timestamp, to: Timestamp) {
        if from >= to {
            return;
        }
        let first = self.intervals.partition_point(|interval| interval.end < from);
        let last = self.intervals.partition_point(|interval| interval.start <= to);
        let touched = &self.intervals[first..last];
        let start = touched.first().map_or(from, |interval| interval.start.min(from));
        let end = touched.last().map_or(to, |interval| interval.end.max(to));
        self.intervals.splice(first..last, [Period { start, end }]);
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        other.intervals.iter().for_each(|interval| self.add(interval.start, interval.end));
    }

    /// The period from the start of the first interval to the end of the last; `None` if there are
    /// none.
    pub fn bounds(&self) -> Option<Period> {
        Some(Period { start: self.intervals.first()?.start, end: self.intervals.last()?.end })
    }

    /// The parts of `[from, to)` that are not covered, by time.
    pub fn holes(&self, from: Timestamp, to: Timestamp) -> Vec<Period> {
        let mut holes = Vec::new();
        let mut cursor = from;
        for interval in &self.intervals {
            if interval.start >= to {
                break;
            }
            if interval.start > cursor {
                holes.push(Period { start: cursor, end: interval.start });
            }
            cursor = cursor.max(interval.end);
        }
        if cursor < to {
            holes.push(Period { start: cursor, end: to });
        }
        holes
    }

    /// Returns whether all of `[from, to]` is covered.
    pub fn contains(&self, from: Timestamp, to: Timestamp) -> bool {
        self.intervals.iter().any(|interval| interval.start <= from && to <= interval.end)
    }

    /// Returns the number of seconds of `[from, to)` that are covered.
    pub fn seconds(&self, from: Timestamp, to: Timestamp) -> u64 {
        let inside = |interval: &Period| Period { start: interval.start.max(from), end: interval.end.min(to) };
        self.intervals.iter().map(|interval| inside(interval).seconds()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn intervals_in_any_order_leave_the_same_holes() {
        let mut coverage = Coverage::default();
        for (from, to) in [(50, 60), (10, 20), (20, 30), (28, 35), (90, 90), (99, 70)] {
            coverage.add(at(from), at(to));
        }
        let holes: Vec<_> =
            coverage.holes(at(0), at(70)).iter().map(|hole| (hole.start.as_second(), hole.end.as_second())).collect();
        assert_eq!(holes, [(0, 10), (35, 50), (60, 70)]);
        assert_eq!(coverage.seconds(at(0), at(70)), 35);
        assert_eq!(coverage.seconds(at(15), at(55)), 25);
    }

    #[test]
    fn an_interval_that_swallows_others_leaves_one() {
        let mut coverage = Coverage::default();
        for (from, to) in [(10, 20), (30, 40), (50, 60), (0, 100)] {
            coverage.add(at(from), at(to));
        }
        assert_eq!(coverage.holes(at(0), at(100)), []);
        assert_eq!(coverage.seconds(at(0), at(100)), 100);
    }
}
