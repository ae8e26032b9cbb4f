//! Which part of a range is covered: a set of moments, kept as intervals that neither touch nor overlap.

use jiff::Timestamp;

/// A set of half-open intervals `[from, to)`, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Sorted, neither touching nor overlapping, none empty.
    intervals: Vec<(Timestamp, Timestamp)>,
}

impl Coverage {
    /// Adds `[from, to)`. An empty or reversed interval adds nothing.
    pub fn add(&mut self, from: Timestamp, to: Timestamp) {
        if from >= to {
            return;
        }
        let first = self.intervals.partition_point(|&(_, end)| end < from);
        let last = self.intervals.partition_point(|&(start, _)| start <= to);
        let touched = &self.intervals[first..last];
        let from = touched.first().map_or(from, |&(start, _)| start.min(from));
        let to = touched.last().map_or(to, |&(_, end)| end.max(to));
        self.intervals.splice(first..last, [(from, to)]);
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        other.intervals.iter().for_each(|&(from, to)| self.add(from, to));
    }

    /// Where it begins and ends; `None` if it is empty.
    pub fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.intervals.first()?.0, self.intervals.last()?.1))
    }

    /// The parts of `[from, to)` that are not covered, by time.
    pub fn holes(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut holes = Vec::new();
        let mut cursor = from;
        for &(start, end) in &self.intervals {
            if start >= to {
                break;
            }
            if start > cursor {
                holes.push((cursor, start));
            }
            cursor = cursor.max(end);
        }
        if cursor < to {
            holes.push((cursor, to));
        }
        holes
    }

    /// Whether all of `[from, to]` is covered.
    pub fn contains(&self, from: Timestamp, to: Timestamp) -> bool {
        self.intervals.iter().any(|&(start, end)| start <= from && to <= end)
    }

    /// How many seconds of `[from, to)` are covered.
    pub fn seconds(&self, from: Timestamp, to: Timestamp) -> u64 {
        let length = |(start, end): (Timestamp, Timestamp)| (end.as_second() - start.as_second()).max(0).unsigned_abs();
        self.intervals.iter().map(|&(start, end)| length((start.max(from), end.min(to)))).sum()
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
            coverage.holes(at(0), at(70)).iter().map(|(from, to)| (from.as_second(), to.as_second())).collect();
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
