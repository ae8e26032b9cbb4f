//! The builder of the checkpoint for the next run, from the chains that were examined and the
//! records that were emitted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::next_checkpoint::chain_part::ChainPart;
use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::audit::resume::contradictions::Contradiction;
use crate::model::{
    AccountId, ChainCheckpoint, ChainFault, ChainId, Checkpoint, DigestStatus, Fault, GapCause, LastRun, LogFileStatus,
    ObjectRef, Open, OpenPoint, Region, TrailName, Verdict,
};
use crate::records::{Allowances, ChainRecord, DigestRecord, GapRecord, LogFileRecord, Record, SinceCheckpoint};

/// The largest number of log files of a chain that are kept open because they were not copied: a
/// copy of a part of a trail may omit millions.
const MAX_NOT_COPIED: usize = 10_000;

/// The key by which a finding is recognized from run to run. A finding that was merely open and is
/// a violation now is a different one.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Mark {
    Digest(ObjectRef, DigestStatus),
    LogFile(ObjectRef, LogFileStatus),
    Fault(ChainId, ChainFault),
}

/// A gap that an earlier run reported.
#[derive(Debug)]
struct KnownGap {
    chain: ChainId,
    cause: GapCause,
    from: Timestamp,
    to: Timestamp,
    since: Timestamp,
}

/// Builds the checkpoint of a run.
#[derive(Debug)]
pub(crate) struct CheckpointBuilder {
    before: Arc<Checkpoint>,
    known: HashMap<Mark, Timestamp>,
    known_gaps: Vec<KnownGap>,
    now: Timestamp,
    allowed: Allowances,
    /// True if this run probes the regions of which it is unknown whether they are enabled.
    probed: bool,
    chains: BTreeMap<ChainId, ChainPart>,
    /// Unlisted files in no region's folder, which belong to no chain.
    beside: BTreeMap<ChainId, ChainCheckpoint>,
    new: u64,
    repeated: u64,
}

impl CheckpointBuilder {
    /// Begins the checkpoint of a run that started at `now`, from that of the previous run.
    pub(crate) fn new(before: Arc<Checkpoint>, now: Timestamp, allowed: Allowances, probed: bool) -> Self {
        let (mut known, mut known_gaps) = (HashMap::new(), Vec::new());
        for (id, chain) in &before.chains {
            for OpenPoint { what, since } in &chain.open {
                let Some(since) = *since else { continue };
                let mark = match what.clone() {
                    Open::Digest { object, status, .. } => Mark::Digest(object, status),
                    Open::LogFile { object, .. } => Mark::LogFile(object, LogFileStatus::Unverified),
                    Open::Unlisted { object } => Mark::LogFile(object, LogFileStatus::Unlisted),
                    Open::Gap { cause, from, to } => {
                        known_gaps.push(KnownGap { chain: id.clone(), cause, from, to, since });
                        continue;
                    }
                    Open::Contradicted { .. } => Mark::Fault(id.clone(), ChainFault::CheckpointContradicted),
                    Open::TailCut => Mark::Fault(id.clone(), ChainFault::TailCut),
                };
                known.insert(mark, since);
            }
        }
        Self {
            before,
            known,
            known_gaps,
            now,
            allowed,
            probed,
            chains: BTreeMap::new(),
            beside: BTreeMap::new(),
            new: 0,
            repeated: 0,
        }
    }

    /// Registers a chain whose records follow.
    pub(crate) fn on_chain(&mut self, snapshot: ChainSnapshot) {
        let id = (*snapshot.id).clone();
        let next = ChainPart::new(self.before.chains.get(&id), snapshot);
        self.chains.insert(id, next);
    }

    /// Marks a finding that an earlier run reported, and keeps what a later run must check again.
    pub(crate) fn on_record(&mut self, record: &mut Record) {
        match record {
            Record::Digest(digest) => self.on_digest(digest),
            Record::LogFile(file) => self.on_log_file(file),
            Record::Gap(gap) => self.on_gap(gap),
            Record::Chain(chain) => self.on_chain_end(chain),
            Record::Run(_) | Record::Warning(_) | Record::Circumstances(_) | Record::Summary(_) => {}
        }
    }

    fn on_digest(&mut self, digest: &mut DigestRecord) {
        let is_finding = digest.status != DigestStatus::Valid;
        digest.since = is_finding.then(|| self.since(&Mark::Digest(digest.object.clone(), digest.status))).flatten();
        let since = self.count(is_finding, digest.since);
        let Some(next) = self.chains.get_mut(&*digest.chain) else { return };
        // The last digest of earlier runs was counted then.
        if !next.went_on_from(&digest.object) {
            next.count(counted_digest(digest.status), digest.since);
        }
        let is_named = next.snapshot.named.contains(&digest.object);
        if is_finding && next.keeps_digest(digest.status, digest.end) {
            let (object, kind, end) = (digest.object.clone(), digest.kind, digest.end);
            next.open(Open::Digest { object, kind, end, status: digest.status, is_named }, since);
        }
    }

    fn on_log_file(&mut self, file: &mut LogFileRecord) {
        let is_finding = file.status != LogFileStatus::Intact;
        file.since = is_finding.then(|| self.since(&Mark::LogFile(file.object.clone(), file.status))).flatten();
        // Log files that only an invalid digest lists are counted with that digest.
        let claimed = file.fault == Some(Fault::ListedByInvalidDigest);
        let is_allowed = file.status == LogFileStatus::Unlisted && self.allowed.unlisted;
        // A file that no digest covers counts through its gap.
        let is_uncovered = file.status == LogFileStatus::Uncovered;
        let counts = is_finding && !is_allowed && !claimed && !is_uncovered;
        let since = self.count(counts, file.since).or(file.since).or(is_finding.then_some(self.now));
        if file.chain.region.known().is_none() {
            let what = Open::Unlisted { object: file.object.clone() };
            self.beside.entry((*file.chain).clone()).or_default().open.push(OpenPoint { what, since });
            return;
        }
        let Some(next) = self.chains.get_mut(&*file.chain) else { return };
        // A file that a lifecycle rule has removed does not come back, so it is reported once. One
        // that was not copied may still be.
        let may_be_copied = next.snapshot.is_copy && next.not_copied < MAX_NOT_COPIED;
        let is_not_copied = file.fault == Some(Fault::NotFound);
        next.not_copied += usize::from(is_not_copied && file.status == LogFileStatus::Unverified);
        let is_gone = is_not_copied && !may_be_copied;
        let is_final = claimed || is_gone || file.fault == Some(Fault::Expired);
        next.count(counted_log_file(file.status), file.since);
        if !claimed && file.digest.is_some() {
            next.note_presence(file);
        }
        if let Some(what) = open_log_file(file, is_final) {
            next.open(what, since);
        }
    }

    fn on_gap(&mut self, gap: &mut GapRecord) {
        let is_finding = gap.cause != GapCause::NotYetDelivered;
        let counts = is_finding && (gap.cause == GapCause::DigestsMissing || !self.allowed.gap(gap.cause));
        gap.since = is_finding.then(|| self.since_gap(gap)).flatten();
        let since = self.count(counts, gap.since).or(gap.since).or(is_finding.then_some(self.now));
        let Some(next) = self.chains.get_mut(&*gap.chain) else { return };
        if next.keeps_gap(gap.cause, gap.to) {
            next.open(Open::Gap { cause: gap.cause, from: gap.from, to: gap.to }, since);
        }
    }

    fn on_chain_end(&mut self, chain: &mut ChainRecord) {
        chain.since = chain.fault.and_then(|fault| self.since(&Mark::Fault((*chain.chain).clone(), fault)));
        let since = self.count(chain.fault.is_some(), chain.since);
        let Some(next) = self.chains.get_mut(&*chain.chain) else { return };
        next.checkpoint.begin = next.checkpoint.begin.or(Some(chain.from));
        match chain.fault {
            Some(ChainFault::TailCut) => next.open(Open::TailCut, since),
            Some(ChainFault::CheckpointContradicted) => {
                for Contradiction { object, sha256, end, .. } in next.snapshot.contradictions.clone() {
                    next.open(Open::Contradicted { object, sha256, end }, since);
                }
            }
            // Cleared only when CloudTrail's status could be read: a failed request does not clear
            // it.
            None => {
                if let Some(since) = next.cut_since.filter(|_| next.snapshot.is_tail_unknown) {
                    next.open(Open::TailCut, Some(since));
                }
            }
        }
    }

    fn since(&self, mark: &Mark) -> Option<Timestamp> {
        self.known.get(mark).copied()
    }

    /// Returns the time since which a gap is known, from a gap of the same cause that it overlaps.
    /// If a chain does not exist at all, its range moves on, so overlap is not required.
    fn since_gap(&self, gap: &GapRecord) -> Option<Timestamp> {
        let same = self.known_gaps.iter().filter(|known| known.cause == gap.cause && known.chain == *gap.chain);
        let mut overlapping =
            same.filter(|known| gap.cause == GapCause::NoDigests || (known.from <= gap.to && gap.from <= known.to));
        overlapping.next().map(|known| known.since)
    }

    /// Counts a finding, and returns the time since which it is known.
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

    /// Returns the comparison of the run with those before it.
    pub(crate) fn since_checkpoint(&self) -> SinceCheckpoint {
        let mut earlier: BTreeMap<String, u64> = BTreeMap::new();
        let past = [DigestStatus::Invalid.as_str(), LogFileStatus::Modified.as_str(), LogFileStatus::Deleted.as_str()];
        for (word, count) in self.before.chains.values().flat_map(|chain| &chain.reported) {
            if past.contains(&word.as_str()) {
                *earlier.entry(word.clone()).or_default() += count;
            }
        }
        SinceCheckpoint { last_run: self.before.last_run, new: self.new, known: self.repeated, earlier }
    }

    /// Returns the checkpoint for the next run.
    pub(crate) fn finish(self, verdict: Verdict) -> Checkpoint {
        let mut checkpoint = (*self.before).clone();
        let known = |id: &ChainId| id.trail != TrailName::unknown();
        let real: BTreeSet<(AccountId, Region)> =
            self.chains.keys().filter(|id| known(id)).map(|id| (id.account.clone(), id.region.clone())).collect();
        let stands_in = |id: &ChainId| !known(id) && real.contains(&(id.account.clone(), id.region.clone()));
        checkpoint.chains.retain(|id, _| !stands_in(id) && id.region.known().is_some());
        checkpoint.chains.extend(self.beside);
        for (id, next) in self.chains.into_iter().filter(|(id, _)| !stands_in(id)) {
            // A chain that could not be listed yet has no position to continue from.
            if !next.snapshot.listing_failed || checkpoint.chains.contains_key(&id) {
                checkpoint.chains.insert(id, next.checkpoint);
            }
        }
        if self.probed {
            checkpoint.regions_asked = Some(self.now);
        }
        checkpoint.last_run = Some(LastRun { started: self.now, verdict });
        checkpoint
    }
}

/// Returns the word under which a checkpoint counts a digest; `None` for one that is counted once
/// its status is final.
fn counted_digest(status: DigestStatus) -> Option<&'static str> {
    match status {
        DigestStatus::Valid | DigestStatus::Invalid => Some(status.as_str()),
        DigestStatus::Missing | DigestStatus::Unverified => None,
    }
}

/// Returns the word under which a checkpoint counts a log file; `None` for one that is counted once
/// its status is final.
fn counted_log_file(status: LogFileStatus) -> Option<&'static str> {
    match status {
        LogFileStatus::Unverified | LogFileStatus::Unlisted | LogFileStatus::Uncovered => None,
        LogFileStatus::Intact | LogFileStatus::Modified | LogFileStatus::Deleted => Some(status.as_str()),
    }
}

/// Returns the open point of a log file that later runs judge again; `None` if nothing is left to
/// be judged.
fn open_log_file(file: &LogFileRecord, is_final: bool) -> Option<Open> {
    let object = file.object.clone();
    match (file.status, &file.digest, file.expected_sha256) {
        (LogFileStatus::Unlisted, ..) | (LogFileStatus::Unverified, None, _) => Some(Open::Unlisted { object }),
        (LogFileStatus::Unverified, Some(digest), Some(sha256)) if !is_final => {
            Some(Open::LogFile { object, digest: digest.clone(), sha256 })
        }
        _ => None,
    }
}
