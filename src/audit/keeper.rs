//! What a run leaves for the next one: the checkpoint, made of what was examined and of what was told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use super::element::State;
use super::examine::ExaminedChain;
use super::log_folder::EDGE;
use super::request::fresh_from;
use super::resume::{self, Contradiction, Sight};
use crate::model::{
    Allowances, ChainCheckpoint, ChainFault, ChainId, Checkpoint, Depth, DigestKind, DigestStatus, Fault, GapCause,
    LastRun, LogFileStatus, ObjectRef, Open, OpenPoint, Record, SinceCheckpoint, Verdict, VerifiedDigest,
};

/// What the next run needs to know of a chain that was examined.
#[derive(Debug)]
pub(super) struct Outlook {
    id: Arc<ChainId>,
    through: Option<VerifiedDigest>,
    unlisted_from: Option<Timestamp>,
    sight: Sight,
    /// Why a part of it could not be listed.
    is_unlisted: bool,
    contradictions: Vec<Contradiction>,
    /// Digests that are named and may still come.
    awaited: Vec<(ObjectRef, DigestKind, Timestamp)>,
    /// The digests that are not there or not valid, and that a valid one names.
    named: Vec<ObjectRef>,
}

impl Outlook {
    pub fn new(chain: &ExaminedChain, context: &Context) -> Self {
        let through = resume::last_verified(&chain.elements, context);
        let deep = context.request.depth != Depth::Chain;
        let end = through.as_ref().map(|digest| digest.end);
        let fresh = if context.store.is_live() { fresh_from(&context.request) } else { Timestamp::MAX };
        let unlisted_from = end.map(|end| match deep {
            true => end.saturating_sub(EDGE).unwrap_or(end).min(fresh),
            false => end,
        });
        let valid = || {
            chain.elements.iter().filter_map(|element| match &element.state {
                State::Valid(digest) => Some(digest),
                _ => None,
            })
        };
        let others = chain.elements.iter().filter(|element| !matches!(element.state, State::Valid(_)));
        let (mut awaited, mut named) = (Vec::new(), Vec::new());
        for element in others {
            let before = context.resume.as_ref().is_some_and(|resume| resume.awaits(&element.object));
            let is_it = |object: &ObjectRef| context.identity(object) == context.identity(&element.object);
            if before || valid().any(|digest| digest.predecessor().is_some_and(|recorded| is_it(&recorded.object))) {
                named.push(element.object.clone());
            }
            if matches!(element.state, State::NotYetDelivered) {
                awaited.push((element.object.clone(), element.kind, element.end));
            }
        }
        Self {
            id: chain.id.clone(),
            through,
            unlisted_from,
            sight: chain.sight.clone(),
            is_unlisted: chain.listing_failure.is_some(),
            contradictions: chain.contradictions.clone(),
            awaited,
            named,
        }
    }
}

/// By what a finding is recognized from run to run.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Mark {
    Digest(ObjectRef),
    LogFile(ObjectRef),
    Gap(ChainId, GapCause, Timestamp),
    Fault(ChainId, ChainFault),
}

/// Makes the checkpoint of a run.
#[derive(Debug)]
pub(super) struct Keeper {
    before: Arc<Checkpoint>,
    known: HashMap<Mark, Timestamp>,
    now: Timestamp,
    allowed: Allowances,
    chains: BTreeMap<ChainId, Next>,
    new: u64,
    repeated: u64,
}

/// What is kept of a chain.
#[derive(Debug)]
struct Next {
    /// The last digest that earlier runs verified.
    began_with: Option<ObjectRef>,
    outlook: Outlook,
    checkpoint: ChainCheckpoint,
}

impl Keeper {
    pub fn new(before: Arc<Checkpoint>, now: Timestamp, allowed: Allowances) -> Self {
        let mut known = HashMap::new();
        for (id, chain) in &before.chains {
            for OpenPoint { what, since } in &chain.open {
                let Some(since) = since else { continue };
                let mark = match what.clone() {
                    Open::Digest { object, .. } => Mark::Digest(object),
                    Open::LogFile { object, .. } | Open::Unlisted { object } => Mark::LogFile(object),
                    Open::Gap { cause, from, .. } => Mark::Gap(id.clone(), cause, from),
                    Open::Contradicted { .. } => Mark::Fault(id.clone(), ChainFault::CheckpointContradicted),
                    Open::TailCut => Mark::Fault(id.clone(), ChainFault::TailCut),
                };
                known.insert(mark, *since);
            }
        }
        Self { before, known, now, allowed, chains: BTreeMap::new(), new: 0, repeated: 0 }
    }

    /// Takes note of a chain whose records follow.
    pub fn examined(&mut self, outlook: Outlook) {
        let before = self.before.chains.get(&outlook.id);
        let old = before.cloned().unwrap_or_default();
        let began_with = old.through.as_ref().map(|digest| digest.object.clone());
        let through = match (old.through, outlook.through.clone()) {
            (Some(old), Some(new)) if old.end >= new.end => Some(old),
            (old, new) => new.or(old),
        };
        let mut checkpoint = ChainCheckpoint {
            begin: old.begin,
            unlisted_from: old.unlisted_from.max(outlook.unlisted_from),
            through,
            seen: old.seen.max(outlook.sight.seen),
            recent: outlook.sight.recent.clone(),
            open: Vec::new(),
            told: old.told,
        };
        if outlook.is_unlisted {
            // Nobody knows what else came: the next run looks from the same place.
            let before = before.cloned().unwrap_or_default();
            checkpoint = ChainCheckpoint { told: checkpoint.told, ..before };
        }
        let awaited = outlook.awaited.iter().map(|(object, kind, end)| OpenPoint {
            what: Open::Digest {
                object: object.clone(),
                kind: *kind,
                end: *end,
                status: DigestStatus::Missing,
                is_named: true,
            },
            since: None,
        });
        // What is known to be invalid is read again as long as it lies near the end, and not told of.
        let read_back = resume::read_back(&checkpoint);
        let known = old.open.into_iter().filter(
            |point| matches!(point.what, Open::Digest { status: DigestStatus::Invalid, end, .. } if end > read_back),
        );
        let known: Vec<OpenPoint> = known.filter(|point| !checkpoint.open.contains(point)).collect();
        checkpoint.open.extend(known);
        checkpoint.open.extend(awaited);
        self.chains.insert((*outlook.id).clone(), Next { began_with, outlook, checkpoint });
    }

    /// Marks what an earlier run told of, and keeps what a later one has to look at again.
    pub fn told(&mut self, record: &mut Record) {
        match record {
            Record::Digest(digest) => {
                let is_finding = digest.status != DigestStatus::Valid;
                digest.since = is_finding.then(|| self.since(&Mark::Digest(digest.object.clone()))).flatten();
                let word = match digest.status {
                    DigestStatus::Valid => Some("valid"),
                    DigestStatus::Invalid => Some("invalid"),
                    DigestStatus::Missing | DigestStatus::Unverified => None,
                };
                let since = self.count(is_finding, digest.since);
                let Some(next) = self.chains.get_mut(&*digest.chain) else { return };
                // The last one of earlier runs was counted then.
                if !next.went_on_from(&digest.object) {
                    next.count(word, digest.since);
                }
                let is_named = next.outlook.named.contains(&digest.object);
                if is_finding && next.stays(digest.status, digest.end) {
                    let (object, kind, end) = (digest.object.clone(), digest.kind, digest.end);
                    next.open(Open::Digest { object, kind, end, status: digest.status, is_named }, since);
                }
            }
            Record::LogFile(file) => {
                let is_finding = file.status != LogFileStatus::Intact;
                file.since = is_finding.then(|| self.since(&Mark::LogFile(file.object.clone()))).flatten();
                let counts = is_finding && !(file.status == LogFileStatus::Unlisted && self.allowed.unlisted);
                let since = self.count(counts, file.since).or(file.since).or(is_finding.then_some(self.now));
                let Some(next) = self.chains.get_mut(&*file.chain) else { return };
                let object = file.object.clone();
                let claimed = file.fault == Some(Fault::ListedByInvalidDigest);
                let what = match (file.status, &file.digest, file.expected_sha256) {
                    (LogFileStatus::Unlisted, ..) => Some(Open::Unlisted { object }),
                    (LogFileStatus::Unverified, Some(digest), Some(sha256)) if !claimed => {
                        Some(Open::LogFile { object, digest: digest.clone(), sha256 })
                    }
                    _ => None,
                };
                let word = match file.status {
                    LogFileStatus::Unverified | LogFileStatus::Unlisted => None,
                    other => Some(other.as_str()),
                };
                next.count(word, file.since);
                if let Some(what) = what {
                    next.open(what, since);
                }
            }
            Record::Gap(gap) => {
                let is_finding = gap.cause != GapCause::NotYetDelivered;
                let counts = is_finding && (gap.cause == GapCause::DigestsMissing || !self.allowed.gap(gap.cause));
                let mark = Mark::Gap((*gap.chain).clone(), gap.cause, gap.from);
                gap.since = is_finding.then(|| self.since(&mark)).flatten();
                let since = self.count(counts, gap.since).or(gap.since).or(is_finding.then_some(self.now));
                let Some(next) = self.chains.get_mut(&*gap.chain) else { return };
                if next.stays_open(gap.cause, gap.to) {
                    next.open(Open::Gap { cause: gap.cause, from: gap.from, to: gap.to }, since);
                }
            }
            Record::Chain(chain) => {
                chain.since = chain.fault.and_then(|fault| self.since(&Mark::Fault((*chain.chain).clone(), fault)));
                let since = self.count(chain.fault.is_some(), chain.since);
                let Some(next) = self.chains.get_mut(&*chain.chain) else { return };
                next.checkpoint.begin = next.checkpoint.begin.or(Some(chain.from));
                match chain.fault {
                    Some(ChainFault::TailCut) => next.open(Open::TailCut, since),
                    Some(ChainFault::CheckpointContradicted) => {
                        for Contradiction { object, sha256, end, .. } in next.outlook.contradictions.clone() {
                            next.open(Open::Contradicted { object, sha256, end }, since);
                        }
                    }
                    None => {}
                }
            }
            Record::Run(_) | Record::Warning(_) | Record::Circumstances(_) | Record::Summary(_) => {}
        }
    }

    fn since(&self, mark: &Mark) -> Option<Timestamp> {
        self.known.get(mark).copied()
    }

    /// Counts a finding, and says since when it is known.
    fn count(&mut self, is_finding: bool, since: Option<Timestamp>) -> Option<Timestamp> {
        if !is_finding {
            return None;
        }
        match since {
            Some(_) => self.repeated += 1,
            None => self.new += 1,
        }
        since.or(Some(self.now))
    }

    /// How the run stands to those before it.
    pub fn since_checkpoint(&self) -> SinceCheckpoint {
        let mut earlier: BTreeMap<String, u64> = BTreeMap::new();
        let past = [DigestStatus::Invalid.as_str(), LogFileStatus::Modified.as_str(), LogFileStatus::Deleted.as_str()];
        for (word, count) in self.before.chains.values().flat_map(|chain| &chain.told) {
            if past.contains(&word.as_str()) {
                *earlier.entry(word.clone()).or_default() += count;
            }
        }
        SinceCheckpoint { last_run: self.before.last_run, new: self.new, known: self.repeated, earlier }
    }

    /// The checkpoint that the run leaves.
    pub fn finish(self, verdict: Verdict) -> Checkpoint {
        let mut checkpoint = (*self.before).clone();
        for (id, next) in self.chains {
            // A chain of which nothing could be listed yet has nothing that could be gone on from.
            if !next.outlook.is_unlisted || checkpoint.chains.contains_key(&id) {
                checkpoint.chains.insert(id, next.checkpoint);
            }
        }
        checkpoint.last_run = Some(LastRun { started: self.now, verdict });
        checkpoint
    }
}

impl Next {
    fn open(&mut self, what: Open, since: Option<Timestamp>) {
        let open = &mut self.checkpoint.open;
        let same = |point: &&mut OpenPoint| match (&point.what, &what) {
            // What is said of a digest may change.
            (Open::Digest { object: one, .. }, Open::Digest { object: other, .. }) => one == other,
            (one, other) => one == other,
        };
        match open.iter_mut().find(same) {
            Some(point) => *point = OpenPoint { since: point.since.or(since), what },
            None => open.push(OpenPoint { what, since }),
        }
    }

    fn went_on_from(&self, object: &ObjectRef) -> bool {
        self.began_with.as_ref() == Some(object)
    }

    fn count(&mut self, word: Option<&'static str>, since: Option<Timestamp>) {
        if let (Some(word), None) = (word, since) {
            *self.checkpoint.told.entry(word.to_owned()).or_default() += 1;
        }
    }

    /// Whether a digest that is not valid is kept: one that may still turn out to be, or that the next run will read again anyhow.
    fn stays(&self, status: DigestStatus, end: Timestamp) -> bool {
        status != DigestStatus::Invalid || end > resume::read_back(&self.checkpoint)
    }

    /// Whether a gap is kept: one that may still close, or that the next run will find again.
    fn stays_open(&self, cause: GapCause, to: Timestamp) -> bool {
        let is_past = self.checkpoint.end().is_some_and(|through| to <= through);
        let may_close =
            matches!(cause, GapCause::DigestsMissing | GapCause::DigestsUnverified | GapCause::NotYetDelivered);
        !is_past || may_close
    }
}
