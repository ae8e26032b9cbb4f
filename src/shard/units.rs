//! Cutting chains into units of work. Pure decisions on the number of objects of each day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::manifest::UnitEstimate;
use crate::model::TimeRange;

/// A part of a chain's range, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub range: TimeRange,
    pub estimate: UnitEstimate,
}

/// The number of objects of a chain on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct DayCount {
    pub digests: u64,
    pub log_files: u64,
}

/// Cuts a chain's range into pieces of no more than `most` objects, at the begins of months, and of
/// days where a month has more. A day is never divided: its log files lie in one folder. `days` are
/// named by their begins.
pub(super) fn cut(range: TimeRange, days: &BTreeMap<Timestamp, DayCount>, most: u64) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // The parts that are not divided further, each with the time at which it begins.
    let mut parts: Vec<(Timestamp, UnitEstimate)> = Vec::new();
    let mut months: BTreeMap<Date, Vec<(Timestamp, UnitEstimate)>> = BTreeMap::new();
    for (day, count) in days {
        let date = day.to_zoned(TimeZone::UTC).date().first_of_month();
        let estimate = UnitEstimate { digests: count.digests, log_files: count.log_files };
        months.entry(date).or_default().push((*day, estimate));
    }
    for (month, days) in months {
        let whole: UnitEstimate = days.iter().map(|(_, estimate)| *estimate).sum();
        if whole.objects() > most {
            parts.extend(days);
        } else if let Ok(begin) = month.to_zoned(TimeZone::UTC) {
            parts.push((begin.timestamp(), whole));
        }
    }
    for (begin, estimate) in parts {
        let is_inside = range.start.is_none_or(|start| start < begin) && range.end.is_none_or(|end| begin < end);
        match pieces.last_mut() {
            Some(last) if is_inside && last.estimate.objects() + estimate.objects() > most => {
                last.range.end = Some(begin);
                pieces.push(Piece { range: TimeRange { start: Some(begin), end: range.end }, estimate });
            }
            Some(last) => last.estimate += estimate,
            None => pieces.push(Piece { range, estimate }),
        }
    }
    if pieces.is_empty() {
        pieces.push(Piece { range, estimate: UnitEstimate::default() });
    }
    pieces
}

/// Groups pieces, given in the order of their chains, into units: those of the same range that
/// follow each other, as long as they have no more than `most` objects together. Returns the indexes
/// of the pieces of each unit.
pub(super) fn group(pieces: &[Piece], most: u64, most_chains: usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<(TimeRange, usize, u64)> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let fits = open.iter_mut().find(|(range, ..)| *range == piece.range);
        match fits {
            Some((_, group, objects))
                if *objects + piece.estimate.objects() <= most && groups[*group].len() < most_chains =>
            {
                groups[*group].push(index);
                *objects += piece.estimate.objects();
            }
            Some((_, group, objects)) => {
                *group = groups.len();
                *objects = piece.estimate.objects();
                groups.push(vec![index]);
            }
            None => {
                open.push((piece.range, groups.len(), piece.estimate.objects()));
                groups.push(vec![index]);
            }
        }
    }
    groups
}

/// Orders units so that neighbours read below different prefixes: round by round, one of each prefix
/// that has units left. `prefixes` has the prefix of each unit; returns their indexes. S3 answers
/// some 5,500 GETs a second below one prefix (S3 user guide, "Optimizing performance").
pub(super) fn interleave<T: Ord>(prefixes: &[T]) -> Vec<usize> {
    let mut by_prefix: BTreeMap<&T, Vec<usize>> = BTreeMap::new();
    for (index, prefix) in prefixes.iter().enumerate() {
        by_prefix.entry(prefix).or_default().push(index);
    }
    let most = by_prefix.values().map(Vec::len).max().unwrap_or_default();
    (0..most).flat_map(|round| by_prefix.values().filter_map(move |units| units.get(round).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DAY;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn range(start: Option<&str>, end: Option<&str>) -> TimeRange {
        TimeRange { start: start.map(at), end: end.map(at) }
    }

    /// Days from 1 January 2026 on with this number of log files and 24 digests each.
    fn days(log_files: &[u64]) -> BTreeMap<Timestamp, DayCount> {
        let begin = at("2026-01-01T00:00:00Z");
        let day = |index: usize| begin + DAY * i32::try_from(index).unwrap();
        let count = |log_files: &u64| DayCount { digests: 24, log_files: *log_files };
        log_files.iter().enumerate().map(|(index, log_files)| (day(index), count(log_files))).collect()
    }

    fn cuts(range: TimeRange, log_files: &[u64], most: u64) -> Vec<String> {
        let pieces = cut(range, &days(log_files), most);
        let all: u64 = log_files.iter().map(|log_files| log_files + 24).sum();
        assert_eq!(pieces.iter().map(|piece| piece.estimate.objects()).sum::<u64>(), all);
        assert_eq!(pieces.first().unwrap().range.start, range.start);
        assert_eq!(pieces.last().unwrap().range.end, range.end);
        for pair in pieces.windows(2) {
            assert_eq!(pair[0].range.end, pair[1].range.start);
            assert!(pair[0].range.end.is_some());
        }
        let shown = |piece: &Piece| piece.range.start.map_or("…".to_owned(), |at| at.strftime("%m-%d").to_string());
        pieces.iter().map(shown).collect()
    }

    #[test]
    fn a_quiet_chain_is_one_piece_and_a_busy_one_is_cut_at_months_and_then_at_days() {
        let year = range(Some("2026-01-01T05:00:00Z"), Some("2026-12-31T00:00:00Z"));
        assert_eq!(cuts(year, &[0; 365], 10_000), ["01-01"]);
        // 744, 672, 744 … digests: two months fit.
        assert_eq!(cuts(year, &[0; 365], 1500), ["01-01", "03-01", "05-01", "07-01", "09-01", "11-01"]);
        // January is too large for one piece, and the part of it that is left goes on into February.
        let january: Vec<u64> = [100; 31].into_iter().chain([0; 28]).collect();
        assert_eq!(cuts(year, &january, 2000), ["01-01", "01-17", "02-01"]);
        // A day with more than a piece may have is a piece of its own.
        assert_eq!(cuts(year, &[9, 5000, 9, 9], 1000), ["01-01", "01-02", "01-03"]);
        assert_eq!(cuts(range(None, None), &[900, 900], 1000), ["…", "01-02"]);
        assert_eq!(cuts(year, &[], 1000), ["01-01"]);
    }

    #[test]
    fn nothing_is_cut_outside_the_range() {
        // Digests of the days beside the range are listed, too.
        let inner = range(Some("2026-01-02T12:00:00Z"), Some("2026-01-04T00:00:00Z"));
        assert_eq!(cuts(inner, &[500, 500, 500, 500, 500], 600), ["01-02", "01-03"]);
    }

    #[test]
    fn pieces_of_one_range_share_a_unit_up_to_its_size() {
        let piece = |range, objects| Piece { range, estimate: UnitEstimate { digests: objects, log_files: 0 } };
        let all = range(Some("2026-01-01T00:00:00Z"), None);
        let part = range(Some("2026-01-01T00:00:00Z"), Some("2026-02-01T00:00:00Z"));
        let pieces = [piece(all, 4), piece(part, 9), piece(all, 5), piece(all, 2), piece(all, 8), piece(part, 1)];
        assert_eq!(group(&pieces, 10, 100), [vec![0, 2], vec![1, 5], vec![3, 4]]);
        assert_eq!(group(&pieces, 10, 1), [vec![0], vec![1], vec![2], vec![3], vec![4], vec![5]]);
        assert!(group(&[], 10, 1).is_empty());
    }

    #[test]
    fn neighbouring_units_read_below_different_prefixes() {
        assert_eq!(interleave(&["a", "a", "a", "b", "c", "c"]), [0, 3, 4, 1, 5, 2]);
        assert!(interleave::<&str>(&[]).is_empty());
    }
}
