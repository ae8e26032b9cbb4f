//! The part of the range that a chain's valid digests cover, and the causes of the gaps in the
//! rest.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::audit::coverage::causes::{self, GapFacts, HourlyDigest as _, Piece, ROOM_SECONDS};
use crate::audit::coverage::cut_tail;
use crate::audit::coverage::examined_chain::ExaminedChain;
use crate::audit::coverage::expiry::Explanation;
use crate::audit::digests::digest_spool::SpooledDigest;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState};
use crate::audit::error::AuditError;
use crate::audit::request::{DELIVERY_TIME, awaited_from, fresh_from};
use crate::audit::shared::context::Context;
use crate::model::{ChainFault, Coverage, DigestKind, FindingId, GapCause, Period, earlier, later};
use crate::records::{ChainRecord, GapRecord, History};
use crate::verify::ValidDigest;

/// The largest number of contradictions of earlier runs that a chain's detail spells out. Each
/// digest has a record of its own.
const SPELLED_OUT_CONTRADICTIONS: usize = 3;

/// The coverage of the range by one chain, its gaps and its closing record.
pub(crate) struct ChainCoverage {
    /// The time that valid digests cover, including those next to the range.
    pub coverage: Coverage,
    /// Sorted by time.
    pub gaps: Vec<GapRecord>,
    /// The record that closes the chain.
    pub record: ChainRecord,
    /// True if the newest digests of the chain were removed, whatever other fault it has.
    pub is_cut: bool,
}

/// Determines which part of the range is covered, and the causes of the gaps in the rest.
pub(crate) fn cover_range(chain: &ExaminedChain, context: &Context) -> Result<ChainCoverage, AuditError> {
    let standard: Vec<&ChainEntry> = chain.judged.entries.iter().filter(|e| e.kind == DigestKind::Standard).collect();
    let Period { start: from, end: to } = bounds(chain, context);
    let coverage = covered(chain, &standard);
    let explainer = GapExplainer { chain, context, standard: &standard };
    let mut gaps = Vec::new();
    for Period { start, end } in coverage.holes(from, to) {
        gaps.extend(explainer.explain(start, end, to));
    }
    let mut gaps = explainer.expire_all(gaps)?;
    gaps.splice(0..0, explainer.still_open(&coverage)?);
    if chain.judged.entries.is_empty() && gaps.is_empty() && chain.goes_on_as.is_none() {
        // This holds even if the range is empty because it has no start: a chain that should exist
        // has no digests.
        gaps.push(explainer.record(Piece { cause: GapCause::NoDigests, from, to, present: 0, named: 0 }));
    }
    if chain.listing_failure.is_some() && gaps.iter().all(|gap| gap.cause != GapCause::ListingFailed) {
        // Whatever is covered, an incomplete listing may have omitted other digests.
        gaps.push(explainer.record(Piece { cause: GapCause::ListingFailed, from, to, present: 0, named: 0 }));
        gaps.sort_by_key(|gap| (gap.from, gap.to));
    }
    let seconds = |start: Timestamp, end: Timestamp| (end.as_second() - start.as_second()).max(0).unsigned_abs();
    let Fault { fault, detail, is_cut } = fault(chain, context);
    let contradicting = chain.contradictions.iter().map(|contradiction| &contradiction.object);
    let record = ChainRecord {
        id: fault.map(|fault| FindingId::of_chain(&chain.judged.id, fault, contradicting)),
        chain: chain.judged.id.clone(),
        fault,
        detail,
        from,
        to,
        covered_seconds: coverage.seconds(from, to),
        requested_seconds: seconds(from, to),
        fresh_log_files: 0,
        edge_log_files: 0,
        history: History::default(),
    };
    for gap in &mut gaps {
        cut_tail::describe_gap(gap, context);
        if let Some(why) = unexplained(gap, chain) {
            gap.detail += &format!("; {why}");
        }
    }
    Ok(ChainCoverage { coverage, gaps, record, is_cut })
}

/// Returns the time that valid digests cover, the time between two that are linked, and the one up
/// to the chain that continues this one.
fn covered(chain: &ExaminedChain, standard: &[&ChainEntry]) -> Coverage {
    let mut coverage = Coverage::default();
    for digest in valid(standard) {
        let Period { start, end } = digest.summary().period();
        coverage.add(start, end);
        if let Some(before) = linked_predecessor(digest, standard) {
            coverage.add(before.summary().period().end, start);
        }
    }
    if let (Some(handover), Some(last)) = (&chain.goes_on_as, coverage.bounds().map(|bounds| bounds.end)) {
        coverage.add(last, handover.at);
    }
    coverage
}

/// The fault of a chain as a whole, in a word and in words.
struct Fault {
    fault: Option<ChainFault>,
    detail: Option<String>,
    is_cut: bool,
}

/// Returns the fault of the chain as a whole.
fn fault(chain: &ExaminedChain, context: &Context) -> Fault {
    // A location that could not be listed is no evidence of a cut tail, nor is a delivery that an
    // older digest accounts for. A pointer to a location that cannot be listed says nothing about
    // the newest digests.
    let evidence = !chain.own_listing_failed && !chain.delivery_accounted && chain.goes_on_as.is_none();
    let cut = cut_tail::cut(&chain.judged.id, &chain.judged.entries, chain.lost_all, context).filter(|_| evidence);
    let fault = match (chain.contradictions.is_empty(), &cut) {
        (false, _) => ChainFault::CheckpointContradicted,
        (true, Some(_)) => ChainFault::TailCut,
        (true, None) => return Fault { fault: None, detail: None, is_cut: false },
    };
    let is_cut = cut.is_some();
    let contradicted = chain.contradictions.iter().map(|contradiction| contradiction.detail.clone());
    let more = chain.contradictions.len().saturating_sub(SPELLED_OUT_CONTRADICTIONS);
    let more = (more > 0).then(|| format!("{more} more digests that earlier runs verified are gone or others now"));
    let detail: Vec<String> = contradicted.take(SPELLED_OUT_CONTRADICTIONS).chain(more).chain(cut).collect();
    Fault { fault: Some(fault), detail: Some(detail.join("; ")), is_cut }
}

/// Returns the reason why it is unknown whether a lifecycle rule removed the digests of a gap.
fn unexplained(gap: &GapRecord, chain: &ExaminedChain) -> Option<String> {
    let inside = |entry: &&ChainEntry| entry.end() > gap.from && entry.start() < gap.to;
    chain.judged.entries.iter().filter(inside).find_map(|entry| match &entry.state {
        EntryState::Absent(object, Absence::Unexplained) => match chain.judged.expiry.of_digest(object, entry.end()) {
            Explanation::Open(why) => Some(why),
            _ => None,
        },
        _ => None,
    })
}

/// The range as it applies to this chain: an open side reaches to its first or last digest.
fn bounds(chain: &ExaminedChain, context: &Context) -> Period {
    let range = &context.range;
    let standard = chain.judged.entries.iter().any(|entry| entry.kind == DigestKind::Standard);
    let counts = |entry: &&ChainEntry| !standard || entry.kind == DigestKind::Standard;
    let inside = || chain.judged.entries.iter().filter(counts).filter(|e| range.includes(e.start(), e.end()));
    let (first, last) = proven_bounds(inside()).map(|bounds| (bounds.start, bounds.end)).unzip();
    let from = range.start.or(first);
    let to = range.end.or(last);
    // Outside the two handovers, the other chain accounts for the time.
    let from = match &chain.goes_on_from {
        Some(handover) if context.examined.contains(&handover.other) => from.max(Some(handover.at)),
        _ => from,
    };
    let to = match &chain.goes_on_as {
        Some(handover) => Some(to.unwrap_or(handover.at).min(handover.at)),
        None => to,
    };
    // An expected chain without digests has no time of its own. Use that of its unlisted log files,
    // or else that of the other chains.
    let files = chain.log_folder.strays.bounds().filter(|_| chain.judged.entries.is_empty());
    let files = files.map(|files| Period { end: later(files.end, NAMED_FOR), ..files });
    let others = files.or(context.ends).filter(|_| chain.judged.entries.is_empty());
    let from = from.or(others.map(|others| others.start.min(to.unwrap_or(others.start)))).or(to);
    let to = to.or(others.map(|others| others.end));
    let from = from.or(to).unwrap_or(context.request.now);
    Period::new(from, to.unwrap_or(from).max(from))
}

/// The period that a log file's name denotes: names are five-minute multiples.
const NAMED_FOR: SignedDuration = SignedDuration::from_mins(5);

/// The longest distance from the known part of the chain at which a rejected digest still extends a
/// range that has no start or no end. Names can state any time: one planted digest named 1970 would
/// make a gap of half a million.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// Returns the start and the end of the chain: those of the digests that are valid or known to be
/// absent, extended by the rejected ones that lie within [`NEAR`].
fn proven_bounds<'a>(entries: impl Iterator<Item = &'a ChainEntry> + Clone) -> Option<Period> {
    let is_known = |entry: &&ChainEntry| !matches!(entry.state, EntryState::Rejected(_));
    let known = || entries.clone().filter(is_known);
    let all = || entries.clone();
    let Some(mut from) = known().map(ChainEntry::start).min() else {
        let (start, end) = (all().map(ChainEntry::start).min(), all().map(ChainEntry::end).max());
        return start.zip(end).map(|(start, end)| Period { start, end });
    };
    let mut to = known().map(ChainEntry::end).max().unwrap_or(from);
    // Entries are sorted by their end.
    let rejected: Vec<&ChainEntry> = all().filter(|entry| !is_known(entry)).collect();
    for entry in &rejected {
        if entry.end() > to && entry.start().duration_since(to) <= NEAR {
            to = entry.end();
        }
    }
    for entry in rejected.iter().rev() {
        if entry.start() < from && from.duration_since(entry.end()) <= NEAR {
            from = entry.start();
        }
    }
    Some(Period::new(from, to))
}

fn valid<'a>(entries: &'a [&ChainEntry]) -> impl Iterator<Item = &'a SpooledDigest> {
    entries.iter().filter_map(|entry| entry.valid())
}

/// Returns the valid digest that this one names as its predecessor. As both are valid, its hash and
/// signature are the recorded ones.
fn linked_predecessor<'a>(digest: &SpooledDigest, entries: &'a [&ChainEntry]) -> Option<&'a SpooledDigest> {
    let named = digest.summary().predecessor()?;
    let is_named = |other: &&SpooledDigest| other.summary().name() == named;
    // Entries are sorted by end time, and a predecessor nearly always comes directly before its
    // successor.
    let until = entries.partition_point(|entry| entry.end() <= digest.summary().period().start);
    let near = entries[..until].last().and_then(|entry| entry.valid()).filter(is_named);
    near.or_else(|| valid(entries).find(is_named))
}

struct GapExplainer<'a> {
    chain: &'a ExaminedChain,
    context: &'a Context,
    standard: &'a [&'a ChainEntry],
}

impl GapExplainer<'_> {
    /// Explains why a hole of the coverage is not covered.
    fn explain(&self, from: Timestamp, to: Timestamp, range_end: Timestamp) -> Vec<GapRecord> {
        let Self { chain, context, standard } = self;
        let facts = GapFacts {
            listing_failed: chain.listing_failure.is_some(),
            continues_from: chain.goes_on_from.as_ref().map(|handover| handover.at),
            has_earlier: chain.has_earlier,
            has_digests: !chain.judged.entries.is_empty(),
            range_start: context.range.start,
            range_end,
            awaited_from: awaited_from(&context.request),
            fresh_from: fresh_from(&context.request),
            is_live: context.store.properties().is_live,
        };
        let names_unverified = |entry: &&ChainEntry| entry.valid().is_some_and(|digest| self.names_unverified(digest));
        let pieces = causes::explain(&facts, standard, Period::new(from, to), names_unverified);
        pieces.into_iter().map(|piece| self.record(piece)).collect()
    }

    /// Returns the remaining parts of the gaps from before the range that earlier runs found, with
    /// their causes.
    fn still_open(&self, coverage: &Coverage) -> Result<Vec<GapRecord>, AuditError> {
        let open = self.context.resume.iter().flat_map(|resume| resume.open_gaps());
        let mut left = Vec::new();
        for (cause, from, to) in open {
            let holes = coverage.holes(from, to).into_iter();
            let has_room = |Period { start, end }: &Period| {
                (*start, *end) == (from, to) || end.as_second() - start.as_second() >= ROOM_SECONDS
            };
            for Period { start, end } in holes.filter(has_room) {
                let found = self.explain(start, end, Timestamp::MAX);
                // The digest that follows is known to be a starting one only if it was read.
                let mut summaries = valid(self.standard).map(SpooledDigest::summary);
                let starts = summaries.any(|next| next.period().start == end && next.predecessor().is_none());
                let replaces_cause = found.iter().all(|gap| match gap.cause {
                    GapCause::LoggingStopped => starts,
                    GapCause::BeforeFirstDigest | GapCause::AfterLastDigest => false,
                    _ => true,
                });
                // An invalid digest that this run does not read again is there all the same.
                let replaces_cause = replaces_cause && cause != GapCause::DigestsInvalid;
                let same = || vec![self.record(Piece { cause, from: start, to: end, present: 0, named: 0 })];
                left.extend(if replaces_cause { found } else { same() });
            }
        }
        let mut left = self.expire_all(left)?;
        left.sort_by_key(|gap| (gap.from, gap.to));
        Ok(left)
    }

    fn expire_all(&self, gaps: Vec<GapRecord>) -> Result<Vec<GapRecord>, AuditError> {
        let mut left = Vec::with_capacity(gaps.len());
        for gap in gaps {
            left.extend(self.expire(gap)?);
        }
        Ok(left)
    }

    /// Splits a gap left by missing digests if a lifecycle rule explains its beginning.
    fn expire(&self, gap: GapRecord) -> Result<Vec<GapRecord>, AuditError> {
        if !matches!(gap.cause, GapCause::DigestsMissing | GapCause::Expired) || !self.chain.judged.expiry.knows_rules()
        {
            return Ok(vec![gap]);
        }
        let mut later = valid(self.standard).filter(|digest| digest.summary().period().start >= gap.to);
        let names = later.find(|digest| digest.summary().predecessor().is_some());
        let names = names.map(|digest| self.chain.judged.spool.valid(digest)).transpose()?;
        let named = names.as_ref().and_then(ValidDigest::predecessor);
        let Some((horizon, rule)) = named.and_then(|named| self.chain.judged.expiry.horizon(&named.object, gap.from))
        else {
            return Ok(vec![gap]);
        };
        let rule = format!("the bucket's {rule}");
        if horizon <= gap.from {
            return Ok(vec![gap]);
        }
        let piece = |cause, from, to| self.record(Piece { cause, from, to, present: 0, named: 0 });
        let mut expired = piece(GapCause::Expired, gap.from, horizon.min(gap.to));
        expired.detail += &format!(": {rule}");
        let mut pieces = vec![expired];
        if gap.to.as_second() - horizon.as_second() >= ROOM_SECONDS {
            let mut missing = piece(GapCause::DigestsMissing, horizon, gap.to);
            missing.detail += &format!("; {rule}, which does not explain these");
            pieces.push(missing);
        } else if let Some(last) = pieces.last_mut() {
            last.to = gap.to;
        }
        Ok(pieces)
    }

    fn names_unverified(&self, digest: &SpooledDigest) -> bool {
        let named = digest.summary().predecessor();
        self.standard.iter().any(|entry| match &entry.state {
            EntryState::Rejected(other) => {
                entry.cause() == Some(GapCause::DigestsUnverified)
                    && Some(self.chain.judged.spool.name(&other.object)) == named
            }
            EntryState::Valid(_) | EntryState::Absent(..) => false,
        })
    }

    fn record(&self, piece: Piece) -> GapRecord {
        let seconds = (piece.to.as_second() - piece.from.as_second()).max(0);
        let room = ((seconds + ROOM_SECONDS) / (2 * ROOM_SECONDS)).unsigned_abs();
        let missing_digests = room.saturating_sub(piece.present).max(piece.named);
        GapRecord {
            id: None,
            cause: piece.cause,
            chain: Arc::clone(&self.chain.judged.id),
            from: piece.from,
            to: piece.to,
            missing_digests,
            uncovered_log_files: 0,
            explained_by: None,
            ended_by: None,
            event_history: None,
            detail: self.detail(piece.cause, piece.from, missing_digests),
            history: History::default(),
        }
    }

    /// Returns the detail of a gap that may still be filled, which states if only a grace of more
    /// than two hours excuses it.
    fn not_yet_delivered(&self, from: Timestamp) -> String {
        let request = &self.context.request;
        let usual = earlier(request.now, DELIVERY_TIME);
        if from >= usual || request.grace <= DELIVERY_TIME {
            return "digests of the newest two hours may not have been delivered yet".to_owned();
        }
        let hours = ((usual.as_second() - from.as_second()) / 3600).max(1);
        format!(
            "digests of the newest two hours may not have been delivered yet; at least {} older than that, \
             which the grace of {} alone excuses",
            if hours == 1 { "1 hourly digest is".to_owned() } else { format!("{hours} hourly digests are") },
            span_of(request.grace)
        )
    }

    fn detail(&self, cause: GapCause, from: Timestamp, missing: u64) -> String {
        // A short time has no room for a whole hourly digest.
        let digests = match missing {
            0 => String::new(),
            1 => " (at least 1 hourly digest)".to_owned(),
            _ => format!(" (at least {missing} hourly digests)"),
        };
        match cause {
            GapCause::LoggingStopped => format!(
                "a starting digest follows: logging or log file validation was off, or earlier digests were \
                 removed{digests}"
            ),
            GapCause::DigestsMissing => {
                format!(
                    "the digest that follows is no starting digest, so digests were delivered here and are \
                     gone{digests}"
                )
            }
            GapCause::DigestsInvalid => "the digests of this time are invalid".to_owned(),
            GapCause::DigestsUnverified => "the digests of this time could not be verified".to_owned(),
            GapCause::ListingFailed => {
                format!(
                    "the digests could not be listed: {}",
                    self.chain.listing_failure.as_deref().unwrap_or("no answer")
                )
            }
            GapCause::NotYetDelivered => self.not_yet_delivered(from),
            GapCause::NoDigests => {
                "no digest of this chain is there: log file validation may never have been on, its digests may have \
                                    been removed, or this is not where the trail delivers"
                    .to_owned()
            }
            GapCause::BeforeFirstDigest if self.context.range.start.is_none() => {
                "earlier digests existed; give --start to ask from a time on".to_owned()
            }
            GapCause::BeforeFirstDigest => "the chain's first digest comes after the begin of the range".to_owned(),
            GapCause::Expired => {
                format!("the oldest digests are gone, and a lifecycle rule explains it{digests}")
            }
            GapCause::AfterLastDigest => format!("no digest follows: the chain ends here{digests}"),
        }
    }
}

/// Formats a length of time in hours, or in minutes if it is not a whole number of hours.
fn span_of(length: SignedDuration) -> String {
    let minutes = length.as_mins();
    if minutes % 60 == 0 { format!("{} h", minutes / 60) } else { format!("{minutes} min") }
}
