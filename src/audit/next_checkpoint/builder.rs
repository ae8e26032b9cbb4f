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
            Record::Run(_) | Record::Bag(_) | Record::Warning(_) | Record::Circumstances(_) | Record::Summary(_) => {}
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
        let is_finding = gap.cause.is_finding();
        let counts = is_finding && (gap.cause.is_violation() || !self.allowed.gap(gap.cause));
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::audit::resume::late_arrivals::Deliveries;
    use crate::model::{Depth, DigestKind, Sha256Hash, VerifiedDigest};

    /// A time in the test's month, such as `02T05:00`.
    fn at(time: &str) -> Timestamp {
        format!("2026-03-{time}:00Z").parse().unwrap()
    }

    fn id() -> Arc<ChainId> {
        let region: Region = "us-east-1".parse().unwrap();
        Arc::new(ChainId {
            organization: None,
            account: "111122223333".parse().unwrap(),
            region: region.clone(),
            trail: "trail".parse().unwrap(),
            home_region: region,
        })
    }

    fn object(name: &str) -> ObjectRef {
        ObjectRef::new("logs", name)
    }

    fn empty() -> Checkpoint {
        Checkpoint::new(None, "s3://logs".to_owned(), Depth::Content)
    }

    /// A chain that earlier runs verified up to 2 March.
    fn before(open: &[OpenPoint]) -> ChainCheckpoint {
        let through = VerifiedDigest {
            object: object("last"),
            sha256: Sha256Hash([0; 32]),
            signature: None,
            end: at("02T00:00"),
        };
        ChainCheckpoint {
            begin: Some(at("01T00:00")),
            through: Some(through),
            open: open.to_vec(),
            ..ChainCheckpoint::default()
        }
    }

    fn snapshot() -> ChainSnapshot {
        ChainSnapshot {
            id: id(),
            through: None,
            unlisted_from: None,
            deliveries: Deliveries::default(),
            verified: Vec::new(),
            log_folders: BTreeSet::new(),
            verified_files: None,
            is_copy: false,
            listing_failed: false,
            contradictions: Vec::new(),
            is_tail_unknown: false,
            back: HashSet::new(),
            awaited: Vec::new(),
            named: HashSet::new(),
        }
    }

    fn digest(status: DigestStatus, end: &str) -> Record {
        Record::Digest(DigestRecord {
            status,
            kind: DigestKind::Standard,
            chain: id(),
            object: object("digest"),
            start: at(end),
            end: at(end),
            sha256: None,
            fault: None,
            detail: None,
            signature_from: None,
            versions: None,
            since: None,
        })
    }

    fn log_file(status: LogFileStatus, fault: Option<Fault>) -> Record {
        let digest = (status != LogFileStatus::Unlisted).then(|| "digest".into());
        Record::LogFile(LogFileRecord {
            status,
            chain: id(),
            object: object("file"),
            digest,
            expected_sha256: Some(Sha256Hash([7; 32])),
            actual_sha256: None,
            size: None,
            fault,
            detail: None,
            versions: None,
            since: None,
        })
    }

    fn gap(cause: GapCause, from: &str, to: &str) -> Record {
        let (from, to, detail) = (at(from), at(to), String::new());
        let (missing_digests, uncovered_log_files) = (0, 0);
        Record::Gap(GapRecord {
            cause,
            chain: id(),
            from,
            to,
            missing_digests,
            uncovered_log_files,
            detail,
            since: None,
        })
    }

    fn chain_end(fault: Option<ChainFault>) -> Record {
        Record::Chain(ChainRecord {
            chain: id(),
            fault,
            detail: None,
            from: at("02T00:00"),
            to: at("03T00:00"),
            covered_seconds: 0,
            requested_seconds: 0,
            fresh_log_files: 0,
            edge_log_files: 0,
            since: None,
        })
    }

    fn open_digest(status: DigestStatus, end: &str) -> Open {
        Open::Digest { object: object("digest"), kind: DigestKind::Standard, end: at(end), status, is_named: false }
    }

    fn open_file() -> Open {
        Open::LogFile { object: object("file"), digest: "digest".into(), sha256: Sha256Hash([7; 32]) }
    }

    fn open_gap(cause: GapCause, from: &str, to: &str) -> Open {
        Open::Gap { cause, from: at(from), to: at(to) }
    }

    fn since_of(record: &Record) -> Option<Timestamp> {
        match record {
            Record::Digest(digest) => digest.since,
            Record::LogFile(file) => file.since,
            Record::Gap(gap) => gap.since,
            Record::Chain(chain) => chain.since,
            _ => None,
        }
    }

    /// A run on 3 March that emits one record.
    struct Case {
        before: Vec<Open>,
        record: Record,
        change: fn(&mut ChainSnapshot),
        /// True if an earlier run, on 2 March, reported the same.
        is_known: bool,
        /// The findings that count: new ones, and those of earlier runs.
        counts: (u64, u64),
        after: Vec<Open>,
        /// The word under which the record is counted in the checkpoint.
        reported: Option<&'static str>,
    }

    fn case(before: Vec<Open>, record: Record, is_known: bool, counts: (u64, u64), after: Vec<Open>) -> Case {
        Case { before, record, change: |_| {}, is_known, counts, after, reported: None }
    }

    #[test]
    fn each_record_leaves_what_later_runs_look_at_again() {
        use DigestStatus::{Invalid, Missing, Unverified, Valid};
        use LogFileStatus::{Deleted, Intact, Modified, Uncovered, Unlisted};
        let unlisted = || Open::Unlisted { object: object("file") };
        let unread = || log_file(LogFileStatus::Unverified, Some(Fault::ReadFailed));
        let gone = || log_file(LogFileStatus::Unverified, Some(Fault::NotFound));
        let is_copy: fn(&mut ChainSnapshot) = |snapshot| snapshot.is_copy = true;
        let reported = |case: Case, word| Case { reported: Some(word), ..case };
        let cases = [
            // Digests.
            reported(case(vec![], digest(Valid, "02T05:00"), false, (0, 0), vec![]), "valid"),
            case(vec![], digest(Missing, "02T05:00"), false, (1, 0), vec![open_digest(Missing, "02T05:00")]),
            case(
                vec![open_digest(Missing, "01T05:00")],
                digest(Missing, "01T05:00"),
                true,
                (0, 1),
                vec![open_digest(Missing, "01T05:00")],
            ),
            // Another status is another finding.
            case(
                vec![open_digest(Unverified, "01T05:00")],
                digest(Missing, "01T05:00"),
                false,
                (1, 0),
                vec![open_digest(Missing, "01T05:00")],
            ),
            // An invalid digest is read again for some weeks, since a genuine one may come back.
            reported(
                case(vec![], digest(Invalid, "02T05:00"), false, (1, 0), vec![open_digest(Invalid, "02T05:00")]),
                "invalid",
            ),
            // Log files.
            reported(case(vec![], log_file(Intact, None), false, (0, 0), vec![]), "intact"),
            reported(case(vec![], log_file(Modified, Some(Fault::HashMismatch)), false, (1, 0), vec![]), "modified"),
            reported(case(vec![], log_file(Deleted, Some(Fault::NotFound)), false, (1, 0), vec![]), "deleted"),
            case(vec![], unread(), false, (1, 0), vec![open_file()]),
            case(vec![open_file()], unread(), true, (0, 1), vec![open_file()]),
            case(vec![], log_file(Unlisted, Some(Fault::NotListed)), false, (1, 0), vec![unlisted()]),
            case(vec![unlisted()], log_file(Unlisted, Some(Fault::NotListed)), true, (0, 1), vec![unlisted()]),
            // It counts through its gap.
            case(vec![], log_file(Uncovered, Some(Fault::NotCovered)), false, (0, 0), vec![]),
            // It counts with the digest that claims it.
            case(
                vec![],
                log_file(LogFileStatus::Unverified, Some(Fault::ListedByInvalidDigest)),
                false,
                (0, 0),
                vec![],
            ),
            // Files that a lifecycle rule removed do not come back; files that were not copied may.
            case(vec![], log_file(LogFileStatus::Unverified, Some(Fault::Expired)), false, (1, 0), vec![]),
            case(vec![], gone(), false, (1, 0), vec![]),
            Case { change: is_copy, ..case(vec![], gone(), false, (1, 0), vec![open_file()]) },
            // Gaps.
            case(
                vec![],
                gap(GapCause::DigestsMissing, "02T01:00", "02T03:00"),
                false,
                (1, 0),
                vec![open_gap(GapCause::DigestsMissing, "02T01:00", "02T03:00")],
            ),
            // A gap that overlaps with a known one of the same cause is known.
            case(
                vec![open_gap(GapCause::DigestsMissing, "01T20:00", "01T22:00")],
                gap(GapCause::DigestsMissing, "01T21:00", "01T23:00"),
                true,
                (0, 1),
                vec![open_gap(GapCause::DigestsMissing, "01T21:00", "01T23:00")],
            ),
            // A gap before the last verified digest whose cause is final is not kept.
            case(vec![], gap(GapCause::LoggingStopped, "01T20:00", "01T22:00"), false, (1, 0), vec![]),
            // Waiting for a digest is no finding.
            case(
                vec![],
                gap(GapCause::NotYetDelivered, "02T01:00", "02T03:00"),
                false,
                (0, 0),
                vec![open_gap(GapCause::NotYetDelivered, "02T01:00", "02T03:00")],
            ),
            // The chain as a whole.
            case(vec![], chain_end(None), false, (0, 0), vec![]),
            case(vec![], chain_end(Some(ChainFault::TailCut)), false, (1, 0), vec![Open::TailCut]),
            case(vec![Open::TailCut], chain_end(Some(ChainFault::TailCut)), true, (0, 1), vec![Open::TailCut]),
            case(vec![Open::TailCut], chain_end(None), false, (0, 0), vec![]),
            Case {
                change: |snapshot| snapshot.is_tail_unknown = true,
                ..case(vec![Open::TailCut], chain_end(None), false, (0, 0), vec![Open::TailCut])
            },
        ];
        for (number, case) in cases.into_iter().enumerate() {
            let Case { before: open, mut record, change, is_known, counts, after, reported } = case;
            let first_run = at("02T08:00");
            let points = open.into_iter().map(|what| OpenPoint { what, since: Some(first_run) });
            let chain = before(&points.collect::<Vec<_>>());
            let previous = Checkpoint { chains: BTreeMap::from([((*id()).clone(), chain)]), ..empty() };
            let mut builder = CheckpointBuilder::new(Arc::new(previous), at("03T08:00"), Allowances::default(), false);
            let mut snapshot = snapshot();
            change(&mut snapshot);
            builder.on_chain(snapshot);
            builder.on_record(&mut record);
            let since = builder.since_checkpoint();
            let next = builder.finish(Verdict::Verified).chains.remove(&*id()).unwrap();
            let context = format!("case {number}: {record:?}");
            assert_eq!(since_of(&record), is_known.then_some(first_run), "{context}");
            assert_eq!((since.new, since.known), counts, "{context}");
            assert_eq!(next.open.iter().map(|point| point.what.clone()).collect::<Vec<_>>(), after, "{context}");
            let words: Vec<&str> = next.reported.keys().map(String::as_str).collect();
            assert_eq!(words, reported.into_iter().collect::<Vec<_>>(), "{context}");
        }
    }

    #[test]
    fn allowed_findings_do_not_count_and_stay_open() {
        let allowed = Allowances { every_gap: true, unlisted: true, ..Allowances::default() };
        let previous = Checkpoint { chains: BTreeMap::from([((*id()).clone(), before(&[]))]), ..empty() };
        let mut builder = CheckpointBuilder::new(Arc::new(previous), at("03T08:00"), allowed, false);
        builder.on_chain(snapshot());
        builder.on_record(&mut log_file(LogFileStatus::Unlisted, Some(Fault::NotListed)));
        builder.on_record(&mut gap(GapCause::LoggingStopped, "02T01:00", "02T03:00"));
        assert_eq!(builder.since_checkpoint().new, 0);
        // No allowance softens a violation.
        builder.on_record(&mut gap(GapCause::DigestsMissing, "02T05:00", "02T06:00"));
        assert_eq!(builder.since_checkpoint().new, 1);
        assert_eq!(builder.finish(Verdict::Violated).chains[&*id()].open.len(), 3);
    }

    #[test]
    fn a_chain_that_could_not_be_listed_stays_where_it_was() {
        let previous = Checkpoint { chains: BTreeMap::from([((*id()).clone(), before(&[]))]), ..empty() };
        let mut builder =
            CheckpointBuilder::new(Arc::new(previous.clone()), at("03T08:00"), Allowances::default(), false);
        builder.on_chain(ChainSnapshot { listing_failed: true, unlisted_from: Some(at("03T00:00")), ..snapshot() });
        assert_eq!(builder.finish(Verdict::Inconclusive).chains, previous.chains);
        // Without a position of earlier runs, it is not kept at all.
        let mut builder = CheckpointBuilder::new(Arc::new(empty()), at("03T08:00"), Allowances::default(), false);
        builder.on_chain(ChainSnapshot { listing_failed: true, ..snapshot() });
        assert!(builder.finish(Verdict::Inconclusive).chains.is_empty());
    }
}
