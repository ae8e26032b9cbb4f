//! The causes of gaps, decided from the digests of a chain and a few facts about it.

use jiff::Timestamp;

use crate::audit::digests::entry::{Absence, ChainEntry, EntryState};
use crate::model::{DigestStatus, GapCause, Period};

/// The length of the shortest piece that can hold an hourly digest of its own. A shorter one is
/// merged with the piece that it touches.
pub(crate) const ROOM_SECONDS: i64 = 30 * 60;

/// A part of a hole with one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub cause: GapCause,
    pub from: Timestamp,
    pub to: Timestamp,
    /// The number of digests that exist but are not valid.
    pub present: u64,
    /// The number of digests that are known by name and do not exist.
    pub named: u64,
}

impl Piece {
    /// A piece of which no digest is known.
    pub(crate) fn without_digests(cause: GapCause, from: Timestamp, to: Timestamp) -> Self {
        Self { cause, from, to, present: 0, named: 0 }
    }
}

/// A digest of the standard series, as far as the cause of a gap depends on it.
pub(crate) trait HourlyDigest {
    /// Returns the period that it covers, or would cover if it was valid.
    fn period(&self) -> Period;
    /// Returns the reason why its period is not covered; `None` for a valid digest.
    fn cause(&self) -> Option<GapCause>;
    /// Returns whether it does not exist.
    fn is_absent(&self) -> bool;
    /// Returns whether it names no predecessor. Only a valid digest is asked.
    fn is_starting(&self) -> bool;
}

impl HourlyDigest for &ChainEntry {
    fn period(&self) -> Period {
        Period { start: self.start(), end: self.end() }
    }

    fn cause(&self) -> Option<GapCause> {
        match &self.state {
            EntryState::Absent(_, Absence::Missing) => Some(GapCause::DigestsMissing),
            EntryState::Absent(_, Absence::NotYetDelivered) => Some(GapCause::NotYetDelivered),
            EntryState::Absent(_, Absence::Expired) => Some(GapCause::Expired),
            EntryState::Absent(_, Absence::Unexplained) => Some(GapCause::DigestsUnverified),
            EntryState::Absent(_, Absence::BeforeFirst) => Some(GapCause::BeforeFirstDigest),
            EntryState::Valid(_) => None,
            EntryState::Rejected(digest) => Some(match digest.rejection.status {
                DigestStatus::Invalid => GapCause::DigestsInvalid,
                _ => GapCause::DigestsUnverified,
            }),
        }
    }

    fn is_absent(&self) -> bool {
        self.absence().is_some()
    }

    fn is_starting(&self) -> bool {
        self.valid().is_some_and(|digest| digest.summary().predecessor().is_none())
    }
}

/// The facts about a chain and a run that decide the causes of its gaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GapFacts {
    /// True if a part of the chain could not be listed.
    pub listing_failed: bool,
    /// The time from which this chain continues another one.
    pub continues_from: Option<Timestamp>,
    /// True if there are digests older than the range.
    pub has_earlier: bool,
    /// True if any digest of the chain is known.
    pub has_digests: bool,
    /// The begin of the range; `None` for the chain's own.
    pub range_start: Option<Timestamp>,
    /// The end of the range.
    pub range_end: Timestamp,
    /// The time from which on a digest's end is so recent that it may still be delivered.
    pub awaited_from: Timestamp,
    /// The time from which on the end of the range may be uncovered: the running hour and the
    /// delivery of its digest take more than an hour, whatever the grace.
    pub fresh_from: Timestamp,
    /// True if digests may still be delivered to the store.
    pub is_live: bool,
}

/// Explains why a hole is not covered. A valid digest starts at its end, unless that is the end of
/// the range. `digests` are sorted by end time; `names_unverified` tells whether the predecessor
/// that a valid digest names could not be verified.
pub(crate) fn explain<D: HourlyDigest>(
    facts: &GapFacts,
    digests: &[D],
    hole: Period,
    names_unverified: impl Fn(&D) -> bool,
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut cursor = hole.start;
    let rest = |from, to| explain_rest(facts, digests, from, to, &names_unverified);
    for digest in digests {
        let period = digest.period();
        let Some(cause) = digest.cause().filter(|_| period.end > hole.start && period.start < hole.end) else {
            continue;
        };
        let end = period.end.min(hole.end);
        if end <= cursor && !pieces.is_empty() {
            continue;
        }
        let mut from = cursor;
        if cause == GapCause::NotYetDelivered {
            // Only digests that ended within the grace, two hours by default, may still come. A
            // valid digest follows, so older ones were delivered.
            let split = facts.awaited_from.min(period.start);
            if has_room(cursor, split) {
                pieces.push(Piece::without_digests(GapCause::DigestsMissing, cursor, split));
                from = split;
            }
        } else if !digest.is_absent() && has_room(cursor, period.start) {
            // A digest that is not valid accounts for its own hour only.
            pieces.extend(rest(cursor, period.start));
            from = period.start;
        }
        if from < end {
            let is_absent = digest.is_absent();
            pieces.push(Piece { cause, from, to: end, present: u64::from(!is_absent), named: u64::from(is_absent) });
        }
        cursor = end;
    }
    if let Some(last) = pieces.last_mut().filter(|_| !has_room(cursor, hole.end)) {
        last.to = hole.end;
    } else if cursor < hole.end {
        pieces.extend(rest(cursor, hole.end));
    }
    merge(pieces)
}

/// Returns whether a time can hold an hourly digest.
fn has_room(from: Timestamp, to: Timestamp) -> bool {
    to.as_second() - from.as_second() >= ROOM_SECONDS
}

/// Merges neighbouring pieces of the same cause.
fn merge(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::new();
    for piece in pieces {
        match merged.last_mut().filter(|last| last.cause == piece.cause) {
            Some(last) => {
                last.to = piece.to;
                last.present += piece.present;
                last.named += piece.named;
            }
            None => merged.push(piece),
        }
    }
    merged
}

/// Explains a time of which no digest of any kind is known.
fn explain_rest<D: HourlyDigest>(
    facts: &GapFacts,
    digests: &[D],
    from: Timestamp,
    to: Timestamp,
    names_unverified: impl Fn(&D) -> bool,
) -> Vec<Piece> {
    if facts.listing_failed {
        return vec![Piece::without_digests(GapCause::ListingFailed, from, to)];
    }
    let mut valid = digests.iter().filter(|digest| digest.cause().is_none());
    let Some(next) = valid.clone().find(|digest| digest.period().start >= to) else {
        return match to == facts.range_end {
            true => explain_tail(facts, from, to),
            false => vec![Piece::without_digests(GapCause::DigestsUnverified, from, to)],
        };
    };
    let cause = if names_unverified(next) {
        // If the digest that it names cannot be verified, that may be a starting digest, and then
        // nothing is missing before it.
        GapCause::DigestsUnverified
    } else if facts.continues_from == Some(next.period().start) {
        // Before the handover, the digests belong to another chain.
        GapCause::BeforeFirstDigest
    } else if !next.is_starting() {
        GapCause::DigestsMissing
    } else {
        let is_first = !valid.any(|digest| digest.period().end <= from);
        let began = is_first && !facts.has_earlier && facts.range_start == Some(from);
        if began { GapCause::BeforeFirstDigest } else { GapCause::LoggingStopped }
    };
    vec![Piece::without_digests(cause, from, to)]
}

/// Explains the end of the range if no valid digest follows it.
fn explain_tail(facts: &GapFacts, from: Timestamp, to: Timestamp) -> Vec<Piece> {
    if !facts.has_digests && !facts.has_earlier {
        return vec![Piece::without_digests(GapCause::NoDigests, from, to)];
    }
    if !facts.is_live {
        return vec![Piece::without_digests(GapCause::AfterLastDigest, from, to)];
    }
    let split = facts.fresh_from.clamp(from, to);
    let pieces = [(GapCause::AfterLastDigest, from, split), (GapCause::NotYetDelivered, split, to)];
    let pieces = pieces.into_iter().filter(|(_, from, to)| from < to);
    pieces.map(|(cause, from, to)| Piece::without_digests(cause, from, to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digest of one hour, from the minute of the day at which it starts.
    #[derive(Debug, Clone, Copy)]
    struct Digest {
        start: i64,
        cause: Option<GapCause>,
        is_absent: bool,
        is_starting: bool,
        names_unverified: bool,
    }

    impl HourlyDigest for Digest {
        fn period(&self) -> Period {
            Period { start: at(self.start), end: at(self.start + 60) }
        }

        fn cause(&self) -> Option<GapCause> {
            self.cause
        }

        fn is_absent(&self) -> bool {
            self.is_absent
        }

        fn is_starting(&self) -> bool {
            self.is_starting
        }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_772_323_200 + 60 * minute).unwrap()
    }

    fn valid(start: i64) -> Digest {
        Digest { start, cause: None, is_absent: false, is_starting: false, names_unverified: false }
    }

    fn starting(start: i64) -> Digest {
        Digest { is_starting: true, ..valid(start) }
    }

    fn rejected(start: i64, cause: GapCause) -> Digest {
        Digest { cause: Some(cause), ..valid(start) }
    }

    fn absent(start: i64, cause: GapCause) -> Digest {
        Digest { is_absent: true, ..rejected(start, cause) }
    }

    /// The facts of a range from minute 0 to minute 600, looked at long after.
    fn facts() -> GapFacts {
        GapFacts {
            listing_failed: false,
            continues_from: None,
            has_earlier: true,
            has_digests: true,
            range_start: Some(at(0)),
            range_end: at(600),
            awaited_from: at(5000),
            fresh_from: at(5000),
            is_live: true,
        }
    }

    /// The causes of a hole, each with the minutes of its begin and end.
    fn causes(facts: &GapFacts, digests: &[Digest], hole: (i64, i64)) -> Vec<(GapCause, i64, i64)> {
        let hole = Period { start: at(hole.0), end: at(hole.1) };
        let minute = |time: Timestamp| (time.as_second() - at(0).as_second()) / 60;
        let pieces = explain(facts, digests, hole, |digest| digest.names_unverified);
        pieces.iter().map(|piece| (piece.cause, minute(piece.from), minute(piece.to))).collect()
    }

    #[test]
    fn the_digest_after_a_hole_says_what_was_before_it() {
        use GapCause::{BeforeFirstDigest, DigestsMissing, DigestsUnverified, ListingFailed, LoggingStopped};
        let unverified = Digest { names_unverified: true, ..valid(180) };
        let known = facts();
        let first = GapFacts { has_earlier: false, ..known };
        let continued = GapFacts { continues_from: Some(at(180)), ..known };
        let unlisted = GapFacts { listing_failed: true, ..known };
        for (facts, digests, hole, cause) in [
            (known, vec![valid(0), valid(180)], (60, 180), DigestsMissing),
            (known, vec![valid(0), starting(180)], (60, 180), LoggingStopped),
            (known, vec![valid(0), unverified], (60, 180), DigestsUnverified),
            (unlisted, vec![valid(0), valid(180)], (60, 180), ListingFailed),
            (continued, vec![valid(180)], (0, 180), BeforeFirstDigest),
            // Only where nothing is older did the chain begin within the range.
            (first, vec![starting(180)], (0, 180), BeforeFirstDigest),
            (known, vec![starting(180)], (0, 180), LoggingStopped),
            (first, vec![valid(180)], (0, 180), DigestsMissing),
            (first, vec![valid(0), starting(180)], (60, 180), LoggingStopped),
        ] {
            let expected = vec![(cause, hole.0, hole.1)];
            assert_eq!(causes(&facts, &digests, hole), expected, "{digests:?}");
        }
    }

    #[test]
    fn digests_that_are_not_valid_account_for_their_own_hours() {
        use GapCause::{DigestsInvalid, DigestsMissing, DigestsUnverified, Expired, NotYetDelivered};
        let invalid = rejected(120, DigestsInvalid);
        let unverified = rejected(180, DigestsUnverified);
        for (digests, hole, expected) in [
            (vec![valid(0), rejected(60, DigestsInvalid), valid(120)], (60, 120), vec![(DigestsInvalid, 60, 120)]),
            // The hours around an invalid digest have a cause of their own.
            (
                vec![valid(0), invalid, valid(240)],
                (60, 240),
                vec![(DigestsMissing, 60, 120), (DigestsInvalid, 120, 180), (DigestsMissing, 180, 240)],
            ),
            // Neighbours of the same cause are one gap.
            (
                vec![valid(0), rejected(60, DigestsInvalid), invalid, unverified, valid(240)],
                (60, 240),
                vec![(DigestsInvalid, 60, 180), (DigestsUnverified, 180, 240)],
            ),
            // A missing digest stands for the hours before it, which nobody names.
            (vec![valid(0), absent(180, DigestsMissing), valid(240)], (60, 240), vec![(DigestsMissing, 60, 240)]),
            (vec![absent(120, Expired), valid(180)], (0, 180), vec![(Expired, 0, 180)]),
            // A rest that can't hold a digest belongs to its neighbour.
            (vec![valid(0), rejected(60, DigestsInvalid), valid(140)], (60, 140), vec![(DigestsInvalid, 60, 140)]),
            (vec![absent(60, NotYetDelivered), valid(120)], (60, 120), vec![(NotYetDelivered, 60, 120)]),
        ] {
            assert_eq!(causes(&facts(), &digests, hole), expected, "{digests:?}");
        }
    }

    #[test]
    fn only_digests_within_the_grace_may_still_come() {
        use GapCause::{DigestsMissing, NotYetDelivered};
        let facts = GapFacts { awaited_from: at(150), ..facts() };
        let digests = [valid(0), absent(180, NotYetDelivered), valid(240)];
        assert_eq!(causes(&facts, &digests, (60, 240)), [(DigestsMissing, 60, 150), (NotYetDelivered, 150, 240)]);
    }

    #[test]
    fn the_end_of_the_range_may_be_uncovered_as_long_as_digests_may_come() {
        use GapCause::{AfterLastDigest, NoDigests, NotYetDelivered};
        let known = facts();
        let fresh = GapFacts { fresh_from: at(540), ..known };
        let copy = GapFacts { is_live: false, ..fresh };
        let never = GapFacts { has_digests: false, has_earlier: false, ..known };
        for (facts, digests, hole, expected) in [
            (known, vec![valid(0)], (60, 600), vec![(AfterLastDigest, 60, 600)]),
            (fresh, vec![valid(0)], (60, 600), vec![(AfterLastDigest, 60, 540), (NotYetDelivered, 540, 600)]),
            (fresh, vec![valid(480)], (540, 600), vec![(NotYetDelivered, 540, 600)]),
            (copy, vec![valid(0)], (60, 600), vec![(AfterLastDigest, 60, 600)]),
            (never, vec![], (0, 600), vec![(NoDigests, 0, 600)]),
        ] {
            assert_eq!(causes(&facts, &digests, hole), expected, "{digests:?}");
        }
    }

    #[test]
    fn the_digests_of_a_gap_are_counted() {
        let digests = [
            valid(0),
            rejected(60, GapCause::DigestsInvalid),
            rejected(120, GapCause::DigestsInvalid),
            absent(240, GapCause::DigestsMissing),
            valid(300),
        ];
        let hole = Period { start: at(60), end: at(300) };
        let pieces = explain(&facts(), &digests, hole, |_| false);
        let counts: Vec<_> = pieces.iter().map(|piece| (piece.present, piece.named)).collect();
        assert_eq!(counts, [(2, 0), (0, 1)]);
    }
}
