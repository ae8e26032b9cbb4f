//! The builder of the checkpoint for the next run, from the chains that were examined and the
//! records that were emitted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::next_checkpoint::chain_part::ChainPart;
use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::audit::next_checkpoint::earlier_findings::EarlierFindings;
use crate::audit::request::AuditRequest;
use crate::audit::resume::contradictions::Contradiction;
use crate::audit::resume::standing;
use crate::model::{
    AccountId, Acknowledgement, ChainCheckpoint, ChainFault, ChainId, Checkpoint, DigestStatus, Fault, LastRun,
    LogFileStatus, MAX_KEPT_VIOLATIONS, Open, OpenPoint, RangeStart, Region, TrailName, Verdict, WarningCode,
};
use crate::records::{
    AcknowledgedCount, Allowances, ChainRecord, DigestRecord, GapRecord, History, LogFileRecord, Mended, Record,
    SinceCheckpoint, WarningRecord, format_time,
};

/// The largest number of log files of a chain that are kept open because they were not copied: a
/// copy of a part of a trail may omit millions.
const MAX_NOT_COPIED: usize = 10_000;

/// Builds the checkpoint of a run.
#[derive(Debug)]
pub(crate) struct CheckpointBuilder {
    before: Arc<Checkpoint>,
    earlier: EarlierFindings,
    /// The number of violations that the next checkpoint has names of.
    kept: usize,
    now: Timestamp,
    /// The start of the range that the run was asked about.
    start: RangeStart,
    allowed: Allowances,
    /// True if this run probes the regions of which it is unknown whether they are enabled.
    probed: bool,
    chains: BTreeMap<ChainId, ChainPart>,
    /// Unlisted files in no region's folder, which belong to no chain.
    beside: BTreeMap<ChainId, ChainCheckpoint>,
    /// The acknowledged digests of this run, by key.
    acknowledged_digests: HashMap<Arc<str>, Acknowledgement>,
    /// Warnings about unlisted files of earlier runs that are no longer found.
    closed: Vec<WarningRecord>,
    new: u64,
    repeated: u64,
    mended: u64,
}

impl CheckpointBuilder {
    /// Begins the checkpoint of a run that answers `request`, from that of the previous run. `probed`
    /// is true if the run probes the regions of which it is unknown whether they are enabled.
    pub(crate) fn new(before: Arc<Checkpoint>, request: &AuditRequest, probed: bool) -> Self {
        let earlier = EarlierFindings::new(&before);
        Self {
            kept: earlier.standing.len(),
            before,
            earlier,
            now: request.now,
            start: request.range.start.map_or(RangeStart::FirstDigest, RangeStart::At),
            allowed: request.allowed.clone(),
            probed,
            chains: BTreeMap::new(),
            beside: BTreeMap::new(),
            acknowledged_digests: HashMap::new(),
            closed: Vec::new(),
            new: 0,
            repeated: 0,
            mended: 0,
        }
    }

    /// Registers a chain whose records follow.
    pub(crate) fn on_chain(&mut self, snapshot: ChainSnapshot) {
        let id = (*snapshot.id).clone();
        let next = ChainPart::new(self.before.chains.get(&id), snapshot);
        self.chains.insert(id, next);
    }

    /// Completes a record with the statements of earlier runs about the same finding, and keeps what
    /// a later run must check again. A violation that could not be looked at again is stated anew.
    pub(crate) fn on_record(&mut self, record: &mut Record) {
        match record {
            Record::Digest(digest) => self.on_digest(digest),
            Record::LogFile(file) => self.on_log_file(file),
            Record::Gap(gap) => self.on_gap(gap),
            Record::Chain(chain) => self.on_chain_end(chain),
            Record::Run(_)
            | Record::Bag(_)
            | Record::Tampering(_)
            | Record::Warning(_)
            | Record::Circumstances(_)
            | Record::Summary(_) => {}
        }
    }

    fn on_digest(&mut self, digest: &mut DigestRecord) {
        let standing = self.earlier.standing.get(&(digest.object.clone(), true)).cloned();
        if let (DigestStatus::Unverified, Some(point)) = (digest.status, &standing) {
            standing::restate_digest(digest, point);
        }
        digest.history = self.earlier.history(digest.id);
        if let Some(next) = self.chains.get_mut(&*digest.chain) {
            next.begin_digest(digest.end);
        }
        let Some(id) = digest.id else {
            digest.history.mended = standing.and_then(|point| self.mend(&point, &digest.chain));
            return;
        };
        let named = self.chains.get(&*digest.chain).map(|next| &next.snapshot.named);
        let what = Open::Digest {
            object: digest.object.clone(),
            kind: digest.kind,
            end: digest.end,
            status: digest.status,
            is_named: named.is_some_and(|named| named.contains(&digest.object)),
            fault: digest.fault,
            sha256: digest.sha256,
        };
        let has_name = self.has_name(&what, &digest.chain, &mut digest.history);
        self.count(has_name, &digest.history);
        if let Some(acknowledgement) = &digest.history.acknowledged {
            self.acknowledged_digests.insert(digest.object.key.clone(), acknowledgement.clone());
        }
        if has_name {
            let (since, acknowledged) = (digest.history.since.or(Some(self.now)), digest.history.acknowledged.clone());
            self.keep(&digest.chain, OpenPoint { what, since, id, acknowledged });
        }
    }

    fn on_log_file(&mut self, file: &mut LogFileRecord) {
        self.earlier.unlisted.remove(&file.object);
        let standing = self.earlier.standing.get(&(file.object.clone(), false)).cloned();
        if let (LogFileStatus::Unverified, Some(point)) = (file.status, &standing) {
            standing::restate_log_file(file, point);
        }
        file.history = self.earlier.history(file.id);
        // Log files that only an invalid digest lists are counted with that digest.
        let claimed = file.fault == Some(Fault::ListedByInvalidDigest);
        if let Some(digest) = file.digest.as_ref().filter(|_| claimed) {
            file.history.acknowledged = self.acknowledged_digests.get(digest).cloned();
        }
        if let (LogFileStatus::Intact, Some(point)) = (file.status, &standing) {
            file.history.mended = self.mend(point, &file.chain);
        }
        let is_final = self.is_final(file, claimed);
        let what = open_log_file(file, is_final);
        let has_name = what.as_ref().is_none_or(|what| self.has_name(what, &file.chain, &mut file.history));
        // A file that no digest covers has no identifier, and counts through its gap.
        let is_allowed = file.status == LogFileStatus::Unlisted && self.allowed.unlisted;
        if file.id.is_some() && !is_allowed && !claimed {
            self.count(has_name, &file.history);
        }
        if let Some(next) = self.chains.get_mut(&*file.chain)
            && !claimed
            && file.digest.is_some()
        {
            next.note_presence(file);
        }
        let (since, acknowledged) = (file.history.since.or(Some(self.now)), file.history.acknowledged.clone());
        if let Some((what, id)) = what.zip(file.id).filter(|_| has_name) {
            self.keep(&file.chain, OpenPoint { what, since, id, acknowledged });
        }
    }

    /// Returns whether later runs have nothing to judge about a log file that could not be judged.
    fn is_final(&mut self, file: &LogFileRecord, claimed: bool) -> bool {
        let Some(next) = self.chains.get_mut(&*file.chain) else { return claimed };
        // A file that a lifecycle rule has removed does not come back, so it is reported once. One
        // that was not copied may still be.
        let may_be_copied = next.snapshot.is_copy && next.not_copied < MAX_NOT_COPIED;
        let is_not_copied = file.fault == Some(Fault::NotFound) && file.status == LogFileStatus::Unverified;
        next.not_copied += usize::from(is_not_copied);
        claimed || (is_not_copied && !may_be_copied) || file.fault == Some(Fault::Expired)
    }

    fn on_gap(&mut self, gap: &mut GapRecord) {
        if gap.id.is_some() {
            self.earlier.complete_gap(gap);
        }
        if gap.id.is_some() && (gap.cause.is_violation() || !self.allowed.gap(gap.cause)) {
            self.count(true, &gap.history);
        }
        let Some(next) = self.chains.get_mut(&*gap.chain) else { return };
        if next.keeps_gap(gap.cause, gap.to) {
            let what = Open::Gap { cause: gap.cause, from: gap.from, to: gap.to };
            let id = gap.id.unwrap_or_else(|| what.id(&gap.chain));
            let since = gap.history.since.or(gap.id.map(|_| self.now));
            next.open(OpenPoint { what, since, id, acknowledged: gap.history.acknowledged.clone() });
        }
    }

    /// Notes the unlisted files that earlier runs reported and that this one does not find.
    fn close_unlisted(&mut self, chain: &ChainId) {
        let points = self.earlier.take_unlisted(chain);
        let Some(next) = self.chains.get_mut(chain) else { return };
        for point in points {
            if next.snapshot.strays_unknown {
                next.open(point);
                continue;
            }
            let (Open::Unlisted { object }, Some(since)) = (&point.what, point.since) else { continue };
            self.closed.push(WarningRecord {
                code: WarningCode::FindingClosed,
                bucket: Some(object.bucket.clone()),
                key: Some(object.key.clone()),
                detail: format!(
                    "the run of {} reported it as unlisted ({}); it is gone now, or a digest lists it",
                    format_time(since),
                    point.id
                ),
            });
        }
    }

    /// Takes the warnings that follow the chains.
    pub(crate) fn take_warnings(&mut self) -> Vec<WarningRecord> {
        std::mem::take(&mut self.closed)
    }

    fn on_chain_end(&mut self, chain: &mut ChainRecord) {
        self.close_unlisted(&chain.chain);
        if let Some(next) = self.chains.get(&*chain.chain)
            && let (None, Some(cut)) = (chain.fault, &next.cut)
            && (next.snapshot.is_tail_unknown || next.snapshot.listing_failed)
        {
            // A finding does not end because CloudTrail could not be asked about it.
            standing::restate_cut_tail(chain, cut);
        }
        if let Some(next) = self.chains.get(&*chain.chain) {
            chain.history = self.earlier.history_of_chain(chain, &next.snapshot);
        }
        if chain.fault.is_some() {
            self.count(true, &chain.history);
        }
        let since = chain.history.since.or(Some(self.now));
        let Some(next) = self.chains.get_mut(&*chain.chain) else { return };
        next.checkpoint.begin = next.checkpoint.begin.or(Some(chain.from));
        let Some((fault, id)) = chain.fault.zip(chain.id) else { return };
        let acknowledged = chain.history.acknowledged.clone();
        let point = |what| OpenPoint { what, since, id, acknowledged: acknowledged.clone() };
        if fault == ChainFault::CheckpointContradicted {
            for Contradiction { object, sha256, end, .. } in next.snapshot.contradictions.clone() {
                next.open(point(Open::Contradicted { object, sha256, end }));
            }
        }
        if fault == ChainFault::TailCut || next.snapshot.is_cut {
            let id = Open::TailCut.id(&chain.chain);
            next.open(OpenPoint { id, ..point(Open::TailCut) });
        }
    }

    /// Returns whether the checkpoint has, or can have, the name of a finding. A violation that this
    /// run met again may be one of those that earlier runs only counted: then their acknowledgement
    /// concerns it.
    fn has_name(&mut self, what: &Open, chain: &ChainId, history: &mut History) -> bool {
        if history.since.is_some() || !what.is_violated_object() {
            return true;
        }
        match self.chains.get_mut(chain).and_then(|next| next.take_counted(&what.title())) {
            Some(counted) => {
                history.acknowledged.clone_from(&counted.acknowledged);
                false
            }
            None => true,
        }
    }

    /// Counts a finding as new or as known.
    fn count(&mut self, has_name: bool, history: &History) {
        match (&history.acknowledged, history.since, has_name) {
            (Some(_), ..) => {}
            (None, Some(_), _) | (None, None, false) => self.repeated += 1,
            (None, None, true) => self.new += 1,
        }
    }

    /// Keeps a finding for later runs: with its name, or only its number where too many are kept
    /// already.
    fn keep(&mut self, chain: &ChainId, point: OpenPoint) {
        if chain.region.known().is_none() {
            self.beside.entry(chain.clone()).or_default().open.push(point);
            return;
        }
        let Some(next) = self.chains.get_mut(chain) else { return };
        let is_known = standing::name_of(&point).is_some_and(|name| self.earlier.standing.contains_key(&name));
        if point.is_standing() && !is_known {
            if self.kept >= MAX_KEPT_VIOLATIONS {
                return next.add_counted(&point.what.title());
            }
            self.kept += 1;
        }
        next.open(point);
    }

    /// Notes that the object of a violation is as it should be again.
    fn mend(&mut self, point: &OpenPoint, chain: &ChainId) -> Option<Mended> {
        let (object, is_digest) = standing::name_of(point)?;
        if let Some(next) = self.chains.get_mut(chain) {
            next.close(&object, is_digest);
        }
        if self.earlier.standing.remove(&(object, is_digest)).is_some() {
            self.kept -= 1;
        }
        self.mended += 1;
        Some(Mended { id: point.id, status: standing::status_of(point)?.to_owned(), since: point.since? })
    }

    /// Returns the comparison of the run with those before it.
    pub(crate) fn since_checkpoint(&self) -> SinceCheckpoint {
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        let mut counted_acknowledged = Vec::new();
        for (group, met) in self.chains.values().flat_map(|next| &next.counted_before) {
            let count = group.count.saturating_sub(*met);
            match &group.acknowledged {
                _ if count == 0 => {}
                Some(acknowledged) => {
                    let (what, acknowledged) = (group.what.clone(), acknowledged.clone());
                    counted_acknowledged.push(AcknowledgedCount { what, count, acknowledged });
                }
                None => *counted.entry(group.what.clone()).or_default() += count,
            }
        }
        // Findings in chains that this run leaves out stay open.
        let left_out = self.before.chains.iter().filter(|(id, _)| !self.chains.contains_key(id));
        for (_, kept) in left_out {
            let standing = kept.open.iter().filter(|point| point.is_standing() && point.acknowledged.is_none());
            standing.for_each(|point| *counted.entry(point.what.title()).or_default() += 1);
            let groups = kept.counted.iter().filter(|group| group.acknowledged.is_none());
            groups.for_each(|group| *counted.entry(group.what.clone()).or_default() += group.count);
        }
        SinceCheckpoint {
            last_run: self.before.last_run,
            new: self.new,
            known: self.repeated,
            mended: self.mended,
            counted,
            counted_acknowledged,
        }
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
        if checkpoint.last_run.is_none() {
            checkpoint.examined_from = Some(self.start);
        }
        checkpoint.last_run = Some(LastRun { started: self.now, verdict });
        checkpoint
    }
}

/// Returns the open point of a log file that later runs judge again or that stands until somebody
/// acknowledges it; `None` if nothing is left of it.
fn open_log_file(file: &LogFileRecord, is_final: bool) -> Option<Open> {
    let object = file.object.clone();
    match (file.status, &file.digest) {
        (LogFileStatus::Unlisted, _) | (LogFileStatus::Unverified, None) => Some(Open::Unlisted { object }),
        (LogFileStatus::Modified | LogFileStatus::Deleted | LogFileStatus::Unverified, Some(digest)) => {
            // A log file whose recorded hash can't be compared is not judged again.
            let can_be_judged = !is_final && file.expected_sha256.is_some();
            let point = Open::LogFile {
                object,
                digest: digest.clone(),
                sha256: file.expected_sha256,
                status: file.status,
                fault: file.fault,
                actual: file.actual_sha256,
                size: file.size,
            };
            Some(point).filter(|point| can_be_judged || point.is_violated_object())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::audit::resume::late_arrivals::Deliveries;
    use crate::model::{
        Depth, DigestKind, FindingId, GapCause, ObjectRef, PackedActivity, Sha256Hash, TimeRange, VerifiedDigest,
    };

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
            activity: PackedActivity::default(),
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
            is_cut: false,
            strays_unknown: false,
            back: HashSet::new(),
            awaited: Vec::new(),
            named: HashSet::new(),
        }
    }

    fn digest(status: DigestStatus, end: &str) -> Record {
        Record::Digest(DigestRecord {
            id: None,
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
            history: History::default(),
        })
    }

    fn log_file(status: LogFileStatus, fault: Option<Fault>) -> Record {
        let actual_sha256 = (status == LogFileStatus::Modified).then_some(Sha256Hash([8; 32]));
        let digest = (status != LogFileStatus::Unlisted).then(|| "digest".into());
        Record::LogFile(LogFileRecord {
            id: None,
            status,
            chain: id(),
            object: object("file"),
            digest,
            expected_sha256: Some(Sha256Hash([7; 32])),
            actual_sha256,
            size: None,
            fault,
            detail: None,
            versions: None,
            history: History::default(),
        })
    }

    fn gap(cause: GapCause, from: &str, to: &str) -> Record {
        let (from, to, detail) = (at(from), at(to), String::new());
        let (missing_digests, uncovered_log_files) = (0, 0);
        Record::Gap(GapRecord {
            id: None,
            cause,
            chain: id(),
            from,
            to,
            missing_digests,
            uncovered_log_files,
            explained_by: None,
            ended_by: None,
            event_history: None,
            detail,
            history: History::default(),
        })
    }

    fn chain_end(fault: Option<ChainFault>) -> Record {
        Record::Chain(ChainRecord {
            id: fault.map(|fault| FindingId::of_chain(&id(), fault, [])),
            chain: id(),
            fault,
            detail: None,
            from: at("02T00:00"),
            to: at("03T00:00"),
            covered_seconds: 0,
            requested_seconds: 0,
            fresh_log_files: 0,
            edge_log_files: 0,
            history: History::default(),
        })
    }

    fn open_digest(status: DigestStatus, end: &str) -> Open {
        let (object, kind, end) = (object("digest"), DigestKind::Standard, at(end));
        Open::Digest { object, kind, end, status, is_named: false, fault: None, sha256: None }
    }

    fn open_file(status: LogFileStatus, fault: Fault) -> Open {
        Open::LogFile {
            object: object("file"),
            digest: "digest".into(),
            sha256: Some(Sha256Hash([7; 32])),
            status,
            fault: Some(fault),
            actual: (status == LogFileStatus::Modified).then_some(Sha256Hash([8; 32])),
            size: None,
        }
    }

    fn open_gap(cause: GapCause, from: &str, to: &str) -> Open {
        Open::Gap { cause, from: at(from), to: at(to) }
    }

    fn acknowledgement() -> Acknowledgement {
        Acknowledgement { by: None, at: at("02T09:00"), reason: "known".to_owned() }
    }

    /// A run on 3 March after one on 2 March that left these points of the chain.
    fn builder(open: Vec<OpenPoint>, allowed: Allowances) -> CheckpointBuilder {
        let previous = Checkpoint { chains: BTreeMap::from([((*id()).clone(), before(&open))]), ..empty() };
        after(previous, "03T08:00", allowed)
    }

    /// A run at this time after one that left this checkpoint.
    fn after(previous: Checkpoint, time: &str, allowed: Allowances) -> CheckpointBuilder {
        let request = AuditRequest { allowed, ..AuditRequest::new(TimeRange::default(), at(time)) };
        CheckpointBuilder::new(Arc::new(previous), &request, false)
    }

    fn emit(builder: &mut CheckpointBuilder, mut record: Record) -> Record {
        record.identify();
        builder.on_record(&mut record);
        record
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
    }

    fn case(before: Vec<Open>, record: Record, is_known: bool, counts: (u64, u64), after: Vec<Open>) -> Case {
        Case { before, record, change: |_| {}, is_known, counts, after }
    }

    #[test]
    fn each_record_leaves_what_later_runs_look_at_again() {
        use DigestStatus::{Invalid, Missing, Unverified, Valid};
        use LogFileStatus::{Deleted, Intact, Modified, Uncovered, Unlisted};
        let unlisted = || Open::Unlisted { object: object("file") };
        let unread = || log_file(LogFileStatus::Unverified, Some(Fault::ReadFailed));
        let gone = || log_file(LogFileStatus::Unverified, Some(Fault::NotFound));
        let is_copy: fn(&mut ChainSnapshot) = |snapshot| snapshot.is_copy = true;
        let modified = || open_file(Modified, Fault::HashMismatch);
        let deleted = || open_file(Deleted, Fault::NotFound);
        let unread_file = || open_file(LogFileStatus::Unverified, Fault::ReadFailed);
        let cases = [
            // Digests.
            case(vec![], digest(Valid, "02T05:00"), false, (0, 0), vec![]),
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
            // A violation stands although the digest can't be read now.
            case(
                vec![open_digest(Invalid, "01T05:00")],
                digest(Unverified, "01T05:00"),
                true,
                (0, 1),
                vec![open_digest(Invalid, "01T05:00")],
            ),
            case(vec![], digest(Invalid, "02T05:00"), false, (1, 0), vec![open_digest(Invalid, "02T05:00")]),
            case(vec![open_digest(Invalid, "01T05:00")], digest(Valid, "01T05:00"), false, (0, 0), vec![]),
            // Log files.
            case(vec![], log_file(Intact, None), false, (0, 0), vec![]),
            case(vec![], log_file(Modified, Some(Fault::HashMismatch)), false, (1, 0), vec![modified()]),
            case(vec![modified()], log_file(Modified, Some(Fault::HashMismatch)), true, (0, 1), vec![modified()]),
            case(vec![modified()], log_file(Intact, None), false, (0, 0), vec![]),
            case(vec![modified()], unread(), true, (0, 1), vec![modified()]),
            case(vec![], log_file(Deleted, Some(Fault::NotFound)), false, (1, 0), vec![deleted()]),
            case(vec![modified()], log_file(Deleted, Some(Fault::NotFound)), false, (1, 0), vec![deleted()]),
            case(vec![], unread(), false, (1, 0), vec![unread_file()]),
            case(vec![unread_file()], unread(), true, (0, 1), vec![unread_file()]),
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
            Case {
                change: is_copy,
                ..case(vec![], gone(), false, (1, 0), vec![open_file(LogFileStatus::Unverified, Fault::NotFound)])
            },
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
                ..case(vec![Open::TailCut], chain_end(None), true, (0, 1), vec![Open::TailCut])
            },
        ];
        for (number, case) in cases.into_iter().enumerate() {
            let Case { before: open, record, change, is_known, counts, after } = case;
            let first_run = at("02T08:00");
            let points = open.into_iter().map(|what| OpenPoint::new(what, Some(first_run), &id()));
            let mut builder = builder(points.collect(), Allowances::default());
            let mut snapshot = snapshot();
            change(&mut snapshot);
            builder.on_chain(snapshot);
            let record = emit(&mut builder, record);
            let since = builder.since_checkpoint();
            let next = builder.finish(Verdict::Verified).chains.remove(&*id()).unwrap();
            let context = format!("case {number}: {record:?}");
            assert_eq!(record.history().unwrap().since, is_known.then_some(first_run), "{context}");
            assert_eq!((since.new, since.known), counts, "{context}");
            assert_eq!(next.open.iter().map(|point| point.what.clone()).collect::<Vec<_>>(), after, "{context}");
            // A gap that has moved keeps its identifier.
            let has_id = |point: &OpenPoint| matches!(point.what, Open::Gap { .. }) || point.id == point.what.id(&id());
            assert!(next.open.iter().all(has_id), "{context}");
        }
    }

    #[test]
    fn an_acknowledgement_concerns_one_finding_until_that_changes() {
        let file = || open_file(LogFileStatus::Modified, Fault::HashMismatch);
        let known = |what| OpenPoint {
            acknowledged: Some(acknowledgement()),
            ..OpenPoint::new(what, Some(at("02T08:00")), &id())
        };
        let is_acknowledged = |open: Open, record: Record| {
            let mut builder = builder(vec![known(open)], Allowances::default());
            builder.on_chain(snapshot());
            let record = emit(&mut builder, record);
            let since = builder.since_checkpoint();
            let is_acknowledged = record.acknowledged().is_some();
            assert_eq!((since.new, since.known), (u64::from(!is_acknowledged), 0), "{record:?}");
            let kept = &builder.finish(Verdict::Violated).chains[&*id()].open;
            assert_eq!(kept.len(), 1, "{record:?}");
            assert_eq!(kept[0].acknowledged.is_some(), is_acknowledged, "{record:?}");
            is_acknowledged
        };
        let modified = log_file(LogFileStatus::Modified, Some(Fault::HashMismatch));
        let unread = log_file(LogFileStatus::Unverified, Some(Fault::ReadFailed));
        let deleted = log_file(LogFileStatus::Deleted, Some(Fault::NotFound));
        let mut changed_again = modified.clone();
        if let Record::LogFile(file) = &mut changed_again {
            file.actual_sha256 = Some(Sha256Hash([9; 32]));
        }
        assert!(is_acknowledged(file(), modified));
        assert!(is_acknowledged(file(), unread));
        assert!(!is_acknowledged(file(), deleted));
        assert!(!is_acknowledged(file(), changed_again));
        assert!(is_acknowledged(Open::TailCut, chain_end(Some(ChainFault::TailCut))));
        let missing = |from, to| open_gap(GapCause::DigestsMissing, from, to);
        let shrunk = gap(GapCause::DigestsMissing, "01T20:00", "01T21:00");
        assert!(is_acknowledged(missing("01T20:00", "01T22:00"), shrunk));
        // The claims of an acknowledged digest need no acknowledgement of their own.
        let digest_point = known(open_digest(DigestStatus::Invalid, "02T05:00"));
        let mut builder = builder(vec![digest_point], Allowances::default());
        builder.on_chain(snapshot());
        emit(&mut builder, digest(DigestStatus::Invalid, "02T05:00"));
        let claimed = log_file(LogFileStatus::Unverified, Some(Fault::ListedByInvalidDigest));
        assert!(emit(&mut builder, claimed).acknowledged().is_some());
    }

    #[test]
    fn an_object_that_is_mended_says_so_once() {
        let point = OpenPoint::new(open_digest(DigestStatus::Missing, "01T05:00"), Some(at("02T08:00")), &id());
        let mut builder = builder(vec![point.clone()], Allowances::default());
        builder.on_chain(snapshot());
        let record = emit(&mut builder, digest(DigestStatus::Valid, "01T05:00"));
        let mended = record.history().unwrap().mended.clone().unwrap();
        assert_eq!((mended.id, &*mended.status, mended.since), (point.id, "missing", at("02T08:00")));
        assert_eq!(builder.since_checkpoint().mended, 1);
        let next = builder.finish(Verdict::Verified);
        assert!(next.chains[&*id()].open.is_empty());
        let mut builder = after(next, "03T09:00", Allowances::default());
        builder.on_chain(snapshot());
        let record = emit(&mut builder, digest(DigestStatus::Valid, "01T05:00"));
        assert_eq!(record.history().unwrap().mended, None);
    }

    #[test]
    fn violations_beyond_the_limit_are_counted_and_known_when_they_are_met_again() {
        let of = |index: usize| {
            let mut record = log_file(LogFileStatus::Modified, Some(Fault::HashMismatch));
            if let Record::LogFile(file) = &mut record {
                file.object = object(&format!("file {index}"));
            }
            record
        };
        let total = MAX_KEPT_VIOLATIONS + 3;
        let mut builder = builder(Vec::new(), Allowances::default());
        builder.on_chain(snapshot());
        for index in 0..total {
            emit(&mut builder, of(index));
        }
        // Those of this run have records, so that they are not counted besides.
        let since = builder.since_checkpoint();
        assert_eq!((since.new, since.counted.len()), (total as u64, 0));
        let next = builder.finish(Verdict::Violated);
        let chain = &next.chains[&*id()];
        assert_eq!(chain.open.len(), MAX_KEPT_VIOLATIONS);
        assert_eq!((chain.counted.len(), chain.counted[0].count), (1, 3));
        // A run that reads the whole day again meets all but one.
        let mut builder = after(next.clone(), "03T09:00", Allowances::default());
        builder.on_chain(snapshot());
        emit(&mut builder, digest(DigestStatus::Valid, "01T05:00"));
        for index in 0..total - 1 {
            emit(&mut builder, of(index));
        }
        let since = builder.since_checkpoint();
        assert_eq!((since.new, since.known), (0, total as u64 - 1));
        assert_eq!(since.counted, BTreeMap::from([("modified log file".to_owned(), 1)]));
        let again = builder.finish(Verdict::Violated);
        assert_eq!(again.chains[&*id()].counted, chain.counted);
        // One in a time that no run has verified is new.
        let mut builder = after(next, "03T09:00", Allowances::default());
        builder.on_chain(snapshot());
        emit(&mut builder, digest(DigestStatus::Valid, "02T05:00"));
        emit(&mut builder, of(total));
        let since = builder.since_checkpoint();
        assert_eq!((since.new, since.counted["modified log file"]), (1, 3));
        assert_eq!(builder.finish(Verdict::Violated).chains[&*id()].counted[0].count, 4);
    }

    #[test]
    fn allowed_findings_do_not_count_and_stay_open() {
        let allowed = Allowances { every_gap: true, unlisted: true, ..Allowances::default() };
        let mut builder = builder(Vec::new(), allowed);
        builder.on_chain(snapshot());
        emit(&mut builder, log_file(LogFileStatus::Unlisted, Some(Fault::NotListed)));
        emit(&mut builder, gap(GapCause::LoggingStopped, "02T01:00", "02T03:00"));
        assert_eq!(builder.since_checkpoint().new, 0);
        // No allowance softens a violation.
        emit(&mut builder, gap(GapCause::DigestsMissing, "02T05:00", "02T06:00"));
        assert_eq!(builder.since_checkpoint().new, 1);
        assert_eq!(builder.finish(Verdict::Violated).chains[&*id()].open.len(), 3);
    }

    #[test]
    fn a_chain_that_could_not_be_listed_stays_where_it_was() {
        let previous = Checkpoint { chains: BTreeMap::from([((*id()).clone(), before(&[]))]), ..empty() };
        let mut builder = after(previous.clone(), "03T08:00", Allowances::default());
        builder.on_chain(ChainSnapshot { listing_failed: true, unlisted_from: Some(at("03T00:00")), ..snapshot() });
        assert_eq!(builder.finish(Verdict::Inconclusive).chains, previous.chains);
        // Without a position of earlier runs, it is not kept at all.
        let mut builder = after(empty(), "03T08:00", Allowances::default());
        builder.on_chain(ChainSnapshot { listing_failed: true, ..snapshot() });
        assert!(builder.finish(Verdict::Inconclusive).chains.is_empty());
    }
}
