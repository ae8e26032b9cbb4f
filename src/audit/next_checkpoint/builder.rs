//! What a run leaves for the next one: the checkpoint, made of what was examined and of what was told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::log_folder::day_check::folder_of_listed;
use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::audit::resume::selection::{self, Contradiction};
use crate::audit::shared::identity::{identity, name_hash};
use crate::model::{
    AccountId, Allowances, ChainCheckpoint, ChainFault, ChainId, Checkpoint, DigestStatus, Fault, GapCause, GapRecord,
    LastRun, LogFileRecord, LogFileStatus, ObjectRef, Open, OpenPoint, Record, Region, SinceCheckpoint, TrailName,
    Verdict,
};

/// How many log files of a chain are kept open because they were not copied: whoever copies a part of a trail may
/// leave out millions.
const MAX_NOT_COPIED: usize = 10_000;

/// By what a finding is recognized from run to run. What was merely open and is violated now is another one.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Mark {
    Digest(ObjectRef, DigestStatus),
    LogFile(ObjectRef, LogFileStatus),
    Fault(ChainId, ChainFault),
}

/// A gap that an earlier run told of.
#[derive(Debug)]
struct KnownGap {
    chain: ChainId,
    cause: GapCause,
    from: Timestamp,
    to: Timestamp,
    since: Timestamp,
}

/// Makes the checkpoint of a run.
#[derive(Debug)]
pub(crate) struct CheckpointBuilder {
    before: Arc<Checkpoint>,
    known: HashMap<Mark, Timestamp>,
    known_gaps: Vec<KnownGap>,
    now: Timestamp,
    allowed: Allowances,
    /// True if this run asks the regions of which nobody could say whether they are enabled.
    probed: bool,
    chains: BTreeMap<ChainId, Next>,
    /// Unlisted files in no region's folder, which belong to no chain.
    beside: BTreeMap<ChainId, ChainCheckpoint>,
    new: u64,
    repeated: u64,
}

/// What is kept of a chain.
#[derive(Debug)]
struct Next {
    /// The last digest that earlier runs verified.
    began_with: Option<ObjectRef>,
    /// Since when its tail is known to be cut.
    cut_since: Option<Timestamp>,
    snapshot: ChainSnapshot,
    checkpoint: ChainCheckpoint,
    /// How many log files are kept open because they were not copied.
    not_copied: usize,
    /// Where each open object stands among the open points.
    places: HashMap<(ObjectRef, bool), usize>,
}

impl CheckpointBuilder {
    pub fn new(before: Arc<Checkpoint>, now: Timestamp, allowed: Allowances, probed: bool) -> Self {
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

    /// Takes note of a chain whose records follow.
    pub fn on_chain(&mut self, snapshot: ChainSnapshot) {
        let before = self.before.chains.get(&snapshot.id);
        let old = before.cloned().unwrap_or_default();
        let cut_since = old.open.iter().find(|point| point.what == Open::TailCut).and_then(|point| point.since);
        let began_with = old.through.as_ref().map(|digest| digest.object.clone());
        let through = match (old.through, snapshot.through.clone()) {
            (Some(old), Some(new)) if old.end >= new.end => Some(old),
            (old, new) => new.or(old),
        };
        let mut checkpoint = ChainCheckpoint {
            begin: old.begin,
            unlisted_from: old.unlisted_from.max(snapshot.unlisted_from),
            through,
            seen: old.seen.max(snapshot.deliveries.seen),
            recent: snapshot.deliveries.recent.clone(),
            verified: snapshot.verified.clone(),
            log_folders: snapshot.log_folders.clone(),
            verified_files: snapshot.verified_files.clone(),
            open: Vec::new(),
            reported: old.reported,
        };
        if snapshot.is_unlisted {
            // Nobody knows what else came: the next run looks from the same place.
            let before = before.cloned().unwrap_or_default();
            checkpoint = ChainCheckpoint { reported: checkpoint.reported, ..before };
        }
        // What is known to be invalid is read again for some weeks, and told of only if it is valid then.
        let (lately, read_back) = (selection::lately(&checkpoint), selection::read_back(&checkpoint));
        let stays = |point: &OpenPoint| match &point.what {
            Open::Digest { status: DigestStatus::Invalid, end, is_named, .. } => {
                *end > read_back || (*is_named && *end > lately)
            }
            _ => false,
        };
        let known: Vec<OpenPoint> =
            if snapshot.is_unlisted { Vec::new() } else { old.open.into_iter().filter(stays).collect() };
        let id = (*snapshot.id).clone();
        let inherited = std::mem::take(&mut checkpoint.open);
        let mut next = Next { cut_since, began_with, snapshot, checkpoint, not_copied: 0, places: HashMap::new() };
        inherited.into_iter().chain(known).for_each(|point| next.open(point.what, point.since));
        for (object, kind, end) in next.snapshot.awaited.clone() {
            next.open(Open::Digest { object, kind, end, status: DigestStatus::Missing, is_named: true }, None);
        }
        // A digest that is valid again is open no more.
        let back = std::mem::take(&mut next.snapshot.back);
        next.checkpoint
            .open
            .retain(|point| !matches!(&point.what, Open::Digest { object, .. } if back.contains(object)));
        next.places.clear();
        let places = next.checkpoint.open.iter().enumerate().filter_map(|(place, point)| match &point.what {
            Open::Digest { object, .. } => Some(((object.clone(), true), place)),
            Open::LogFile { object, .. } | Open::Unlisted { object } => Some(((object.clone(), false), place)),
            _ => None,
        });
        next.places = places.collect();
        self.chains.insert(id, next);
    }

    /// Marks what an earlier run told of, and keeps what a later one has to look at again.
    pub fn on_record(&mut self, record: &mut Record) {
        match record {
            Record::Digest(digest) => {
                let is_finding = digest.status != DigestStatus::Valid;
                digest.since =
                    is_finding.then(|| self.since(&Mark::Digest(digest.object.clone(), digest.status))).flatten();
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
                let is_named = next.snapshot.named.contains(&digest.object);
                if is_finding && next.stays(digest.status, digest.end) {
                    let (object, kind, end) = (digest.object.clone(), digest.kind, digest.end);
                    next.open(Open::Digest { object, kind, end, status: digest.status, is_named }, since);
                }
            }
            Record::LogFile(file) => {
                let is_finding = file.status != LogFileStatus::Intact;
                file.since = is_finding.then(|| self.since(&Mark::LogFile(file.object.clone(), file.status))).flatten();
                // What is said of those that only an invalid digest lists is said of that digest.
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
                let object = file.object.clone();
                // A file that a lifecycle rule has removed comes back no more: it is told of once. One that was not
                // copied may still be.
                let may_be_copied = !next.snapshot.is_live && next.not_copied < MAX_NOT_COPIED;
                let is_not_copied = file.fault == Some(Fault::NotFound);
                next.not_copied += usize::from(is_not_copied && file.status == LogFileStatus::Unverified);
                let is_gone = is_not_copied && !may_be_copied;
                let is_final = claimed || is_gone || file.fault == Some(Fault::Expired);
                let what = match (file.status, &file.digest, file.expected_sha256) {
                    (LogFileStatus::Unlisted, ..) | (LogFileStatus::Unverified, None, _) => {
                        Some(Open::Unlisted { object })
                    }
                    (LogFileStatus::Unverified, Some(digest), Some(sha256)) if !is_final => {
                        Some(Open::LogFile { object, digest: digest.clone(), sha256 })
                    }
                    _ => None,
                };
                let word = match file.status {
                    LogFileStatus::Unverified | LogFileStatus::Unlisted | LogFileStatus::Uncovered => None,
                    other => Some(other.as_str()),
                };
                next.count(word, file.since);
                if !claimed && file.digest.is_some() {
                    next.note_presence(file);
                }
                if let Some(what) = what {
                    next.open(what, since);
                }
            }
            Record::Gap(gap) => {
                let is_finding = gap.cause != GapCause::NotYetDelivered;
                let counts = is_finding && (gap.cause == GapCause::DigestsMissing || !self.allowed.gap(gap.cause));
                gap.since = is_finding.then(|| self.since_gap(gap)).flatten();
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
                        for Contradiction { object, sha256, end, .. } in next.snapshot.contradictions.clone() {
                            next.open(Open::Contradicted { object, sha256, end }, since);
                        }
                    }
                    // A failure to ask mends nothing.
                    None => {
                        if let Some(since) = next.cut_since.filter(|_| next.snapshot.is_tail_unknown) {
                            next.open(Open::TailCut, Some(since));
                        }
                    }
                }
            }
            Record::Run(_) | Record::Warning(_) | Record::Circumstances(_) | Record::Summary(_) => {}
        }
    }

    fn since(&self, mark: &Mark) -> Option<Timestamp> {
        self.known.get(mark).copied()
    }

    /// Since when a gap is known: one of the same cause that it overlaps. Where a chain is not there at all, its range moves on.
    fn since_gap(&self, gap: &GapRecord) -> Option<Timestamp> {
        let same = self.known_gaps.iter().filter(|known| known.cause == gap.cause && known.chain == *gap.chain);
        let mut overlapping =
            same.filter(|known| gap.cause == GapCause::NoDigests || (known.from <= gap.to && gap.from <= known.to));
        overlapping.next().map(|known| known.since)
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
        for (word, count) in self.before.chains.values().flat_map(|chain| &chain.reported) {
            if past.contains(&word.as_str()) {
                *earlier.entry(word.clone()).or_default() += count;
            }
        }
        SinceCheckpoint { last_run: self.before.last_run, new: self.new, known: self.repeated, earlier }
    }

    /// The checkpoint that the run leaves.
    pub fn finish(self, verdict: Verdict) -> Checkpoint {
        let mut checkpoint = (*self.before).clone();
        let known = |id: &ChainId| id.trail != TrailName::unknown();
        let real: BTreeSet<(AccountId, Region)> =
            self.chains.keys().filter(|id| known(id)).map(|id| (id.account.clone(), id.region.clone())).collect();
        let stands_in = |id: &ChainId| !known(id) && real.contains(&(id.account.clone(), id.region.clone()));
        checkpoint.chains.retain(|id, _| !stands_in(id) && id.region.known().is_some());
        checkpoint.chains.extend(self.beside);
        for (id, next) in self.chains.into_iter().filter(|(id, _)| !stands_in(id)) {
            // A chain of which nothing could be listed yet has nothing that could be gone on from.
            if !next.snapshot.is_unlisted || checkpoint.chains.contains_key(&id) {
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

impl Next {
    fn open(&mut self, what: Open, since: Option<Timestamp>) {
        let open = &mut self.checkpoint.open;
        let object = match &what {
            Open::Digest { object, .. } => Some((object.clone(), true)),
            Open::LogFile { object, .. } | Open::Unlisted { object } => Some((object.clone(), false)),
            Open::Gap { .. } | Open::Contradicted { .. } | Open::TailCut => None,
        };
        let place = match object {
            Some(object) => *self.places.entry(object).or_insert(open.len()),
            None => open.iter().position(|point| point.what == what).unwrap_or(open.len()),
        };
        match open.get_mut(place) {
            // What is said of it may change.
            Some(point) => *point = OpenPoint { since: point.since.or(since), what },
            None => open.push(OpenPoint { what, since }),
        }
    }

    /// Notes for later runs whether a log file that a valid digest lists is there.
    fn note_presence(&mut self, file: &LogFileRecord) {
        let Some(files) = &mut self.checkpoint.verified_files else { return };
        let name = identity(&file.object, self.snapshot.is_live);
        let Some((folder, _)) = folder_of_listed(&name) else { return };
        let hash = name_hash(files, &name);
        let Some(day) = files.days.get_mut(folder) else { return };
        match (file.status, file.fault) {
            (LogFileStatus::Deleted, _) | (_, Some(Fault::NotFound | Fault::Expired)) => day.lose(hash),
            (LogFileStatus::Intact | LogFileStatus::Modified, _) => day.find_again(hash),
            _ => {}
        }
    }

    fn went_on_from(&self, object: &ObjectRef) -> bool {
        self.began_with.as_ref() == Some(object)
    }

    fn count(&mut self, word: Option<&'static str>, since: Option<Timestamp>) {
        if let (Some(word), None) = (word, since) {
            let reported = self.checkpoint.reported.entry(word.to_owned()).or_default();
            *reported = reported.saturating_add(1);
        }
    }

    /// Whether a digest that is not valid is kept: one that may still turn out to be, or that the next run will read again anyhow.
    fn stays(&self, status: DigestStatus, end: Timestamp) -> bool {
        status != DigestStatus::Invalid
            || end > selection::lately(&self.checkpoint).min(selection::read_back(&self.checkpoint))
    }

    /// Whether a gap is kept: one that may still close, or that the next run will find again.
    fn stays_open(&self, cause: GapCause, to: Timestamp) -> bool {
        let is_past = self.checkpoint.end().is_some_and(|through| to <= through);
        let may_close =
            matches!(cause, GapCause::DigestsMissing | GapCause::DigestsUnverified | GapCause::NotYetDelivered);
        !is_past || may_close
    }
}
