//! The conversion of a judged chain into its records, in the promised order. Log files are read
//! later.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::coverage::examined_chain::ExaminedChain;
use crate::audit::coverage::expiry::Explanation;
use crate::audit::coverage::gaps::{self, ChainCoverage};
use crate::audit::digests::claims::ClaimBudget;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState, LoadedEntry};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::log_files::content::READ_UNCOMPRESSED;
use crate::audit::log_files::judge::{self, Task, Tasks};
use crate::audit::log_folder::unlisted::{SortedStrays, Stray, StrayClass, StrayFiles, StrayJudge, stray_record};
use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::audit::request::{DELIVERY_TIME, fresh_from};
use crate::audit::shared::context::Context;
use crate::model::{ChainId, Depth, DigestStatus, Fault, LogFileStatus, Period, WarningCode};
use crate::records::{DigestRecord, Record, WarningRecord};
use crate::verify::{ValidDigest, limits};

/// One step of a report: a record, or a log file that becomes one once it is read.
pub(crate) enum Step {
    Record(Box<Record>),
    LogFile(Arc<ChainId>, Box<Task>),
}

/// The report on one chain: an iterator over its steps.
pub(crate) struct ChainRecords {
    /// The examined chain, without its digests.
    chain: ExaminedChain,
    context: Arc<Context>,
    tasks: Tasks,
    /// The digests that are not emitted yet.
    digests: std::vec::IntoIter<ChainEntry>,
    /// The steps that are emitted next.
    steps: VecDeque<Step>,
    /// The unlisted files, emitted after the digests.
    unlisted: SortedStrays,
    /// The unlisted files that an unreadable digest of another trail may list, by
    /// [`Context::fingerprint`].
    unverified: HashSet<u64>,
    /// The uncovered files, emitted after the unlisted ones.
    uncovered: SortedStrays,
    /// The records that are emitted last.
    end: Vec<Step>,
    /// The number of log files passed so far whose content the depth does not require, since it was
    /// last taken.
    not_read: u64,
    /// The look-ahead permits of the remaining digests. They are returned as the digests are
    /// emitted, so that the next chain can be examined meanwhile.
    admission: Admission,
    snapshot: Option<ChainSnapshot>,
}

impl ChainRecords {
    /// Prepares the report on one chain.
    pub(crate) fn new(
        mut chain: ExaminedChain,
        context: Arc<Context>,
        admission: Admission,
    ) -> Result<Self, AuditError> {
        let tasks = Tasks::new(&chain, &context, |entry| context.reads(entry, &chain.spool))?;
        let mut account = gaps::cover_range(&chain, &context)?;
        let Classified { unlisted, unverified, uncovered, earliest_fresh } = classify(&chain, &context, &mut account)?;
        let end = end(&chain, account);
        let keeps = context.request.checkpoint.is_some();
        let snapshot = keeps.then(|| ChainSnapshot::new(&chain, &context, earliest_fresh)).transpose()?;
        let digests = std::mem::take(&mut chain.entries).into_iter();
        let mut chain_records = Self {
            chain,
            context,
            tasks,
            digests,
            steps: VecDeque::new(),
            unlisted: unlisted.into_sorted(),
            unverified,
            uncovered: uncovered.into_sorted(),
            end,
            not_read: 0,
            admission,
            snapshot,
        };
        chain_records.begin();
        Ok(chain_records)
    }

    /// Queues the log files that earlier runs left open.
    fn begin(&mut self) {
        let mut tasks = match self.context.request.depth {
            Depth::Chain => Vec::new(),
            Depth::Presence | Depth::Content => self.tasks.left_open(&self.context, &self.chain.log_folder.past.again),
        };
        for task in &mut tasks {
            let copied = !self.chain.log_folder.was_not_copied(&task.object);
            let expiry = || self.chain.expiry.of_log_file(&task.object);
            task.expiry = if copied { expiry() } else { Explanation::NotCopied };
        }
        self.context.progress.found_log_files(tasks.len());
        self.steps.extend(tasks.into_iter().map(|task| Step::LogFile(self.chain.id.clone(), Box::new(task))));
    }

    /// Takes the snapshot of the chain for the next run, if a checkpoint is kept.
    pub(crate) fn take_snapshot(&mut self) -> Option<ChainSnapshot> {
        self.snapshot.take()
    }

    /// Returns the next file that no valid digest lists. Two trails may share a folder, and a file
    /// is emitted only once.
    fn next_stray(&mut self) -> Option<Step> {
        let context = self.context.clone();
        let is_new = |stray: &Stray| context.is_new_stray(&stray.object);
        let record = match self.unlisted.find(is_new) {
            Some(stray) if self.unverified.contains(&context.fingerprint(&stray.object)) => {
                let detail = "no valid digest lists it, and a digest of another trail that may list it can't be read";
                stray_record(&self.chain.id, stray.object, LogFileStatus::Unverified, Fault::NotListed, detail)
            }
            Some(Stray { object, name: None, .. }) => {
                let detail = "it lies where CloudTrail delivers no log file, and no valid digest lists it";
                stray_record(&self.chain.id, object, LogFileStatus::Unlisted, Fault::NotListed, detail)
            }
            Some(stray) => {
                let detail = "it lies in the log folder, and no valid digest lists it";
                stray_record(&self.chain.id, stray.object, LogFileStatus::Unlisted, Fault::NotListed, detail)
            }
            None => {
                let stray = self.uncovered.find(is_new)?;
                let detail =
                    "it lies in the log folder, in a time that no valid digest covers, and no valid digest lists it";
                stray_record(&self.chain.id, stray.object, LogFileStatus::Uncovered, Fault::NotCovered, detail)
            }
        };
        Some(record_step(Record::LogFile(record)))
    }

    /// Takes the number of log files whose content the depth does not require, counted since the
    /// last call.
    pub(crate) fn take_not_read(&mut self) -> u64 {
        std::mem::take(&mut self.not_read)
    }

    /// Queues the steps of the next digest or, after the last one, of the next file that no valid
    /// digest lists, and finally the closing records.
    fn advance(&mut self) -> Result<(), AuditError> {
        let Self { chain, context, tasks, .. } = self;
        let Some(entry) = &self.digests.next() else {
            match self.next_stray() {
                Some(step) => self.steps.push_back(step),
                None => self.steps.extend(self.end.drain(..)),
            }
            return Ok(());
        };
        self.admission.shrink_to(self.digests.len());
        if !context.emits(entry, &chain.spool)? {
            return Ok(());
        }
        let whole = entry.whole(&chain.spool)?;
        let digest = digest_steps(chain, &whole, context);
        if digest.is_empty() {
            return Ok(());
        }
        let reads = context.reads(entry, &chain.spool)?;
        let mut tasks = if reads { tasks.of(&whole, &chain.spool, context)? } else { Vec::new() };
        judge::note_listing(&mut tasks, &chain.log_folder, &chain.expiry, context);
        self.not_read += judge::drop_unread(&mut tasks, &chain.log_folder, context);
        context.progress.found_log_files(tasks.len());
        self.steps.extend(digest);
        self.steps.extend(tasks.into_iter().map(|task| Step::LogFile(chain.id.clone(), Box::new(task))));
        Ok(())
    }
}

impl Iterator for ChainRecords {
    type Item = Result<Step, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.steps.is_empty() && (self.digests.len() > 0 || !self.end.is_empty()) {
            if let Err(error) = self.advance() {
                return Some(Err(error));
            }
        }
        self.steps.pop_front().map(Ok)
    }
}

/// The files that no valid digest lists, by their class.
struct Classified {
    unlisted: StrayFiles,
    unverified: HashSet<u64>,
    uncovered: StrayFiles,
    /// The earliest time in the name of a file that is left alone because it is fresh.
    earliest_fresh: Option<Timestamp>,
}

/// Sorts the files that no valid digest lists, and counts those that have no record of their own.
fn classify(chain: &ExaminedChain, context: &Context, account: &mut ChainCoverage) -> Result<Classified, AuditError> {
    let log_folder = &chain.log_folder;
    let ChainCoverage { coverage, gaps, record } = account;
    // Nothing is delivered any more to the folder of a chain that continues elsewhere, so the
    // successor's coverage counts.
    coverage.extend(&log_folder.covered_by_successor);
    let mut known_coverage = coverage.clone();
    if let Some(known) = context.resume.as_ref().and_then(|resume| resume.known_coverage()) {
        known_coverage.add(known.start, known.end);
    }
    let newest = chain.entries.iter().filter(|entry| entry.valid().is_some()).map(ChainEntry::end).max();
    let around = |newest: Timestamp| {
        Some(Period::new(newest.checked_sub(DELIVERY_TIME).ok()?, newest.checked_add(DELIVERY_TIME).ok()?))
    };
    let copy_fresh = newest.and_then(around);
    let live = context.store.is_live().then(|| Period::new(fresh_from(&context.request), context.request.now));
    let judge = StrayJudge {
        from: context.for_log_folder().range.start.unwrap_or(record.from),
        to: context.range.end.unwrap_or(record.to),
        coverage,
        known_coverage: &known_coverage,
        unreadable: &log_folder.unreadable,
        gaps,
        live,
        copy_fresh,
    };
    let (mut uncovered, mut unverified, mut earliest_fresh) = (vec![0_u64; gaps.len()], HashSet::new(), None);
    let (mut fresh, mut edge) = (0, 0);
    // If another trail delivers here without digests, an unlisted file may belong to it.
    let judges_unlisted = log_folder.neighbours.is_empty();
    // A file that is claimed by a digest which is not valid is reported with that digest.
    let claimed = claimed(chain, context)?;
    let strays = log_folder.strays.filtered(|stray| !claimed.contains(&context.fingerprint(&stray.object)));
    let mut unlisted = strays.filtered(|stray| match judge.class(stray) {
        StrayClass::Unlisted => judges_unlisted || stray.name.is_none(),
        StrayClass::Unverified => {
            unverified.insert(context.fingerprint(&stray.object));
            judges_unlisted
        }
        StrayClass::Uncovered(gap) => {
            uncovered[gap] += 1;
            false
        }
        StrayClass::Fresh => {
            fresh += 1;
            earliest_fresh = [earliest_fresh, stray.name.map(|name| name.from)].into_iter().flatten().min();
            false
        }
        StrayClass::Edge => {
            edge += 1;
            false
        }
        StrayClass::OutOfRange => false,
    });
    let in_gaps = strays.filtered(|stray| matches!(judge.class(stray), StrayClass::Uncovered(_)));
    // The hours of digests that came late lie before the range.
    let late = StrayJudge { from: Timestamp::MIN, ..judge };
    unlisted.append(log_folder.late_strays.filtered(|stray| late.class(stray) == StrayClass::Unlisted));
    unlisted.append(log_folder.known_strays.filtered(|stray| {
        if stray.name.is_some_and(|name| log_folder.unreadable.contains(name.from, name.from)) {
            unverified.insert(context.fingerprint(&stray.object));
        }
        true
    }));
    let mut past_coverage = coverage.clone();
    past_coverage.extend(&log_folder.past.coverage);
    let past = StrayJudge { coverage: &past_coverage, known_coverage: &past_coverage, ..late };
    unlisted.append(log_folder.past.strays.filtered(|stray| match past.class(stray) {
        StrayClass::Unlisted => judges_unlisted,
        StrayClass::Unverified => {
            unverified.insert(context.fingerprint(&stray.object));
            judges_unlisted
        }
        // Files in a gap were reported when the gap was found, and count as part of it.
        _ => false,
    }));
    (record.fresh_log_files, record.edge_log_files) = (fresh, edge);
    for (gap, files) in gaps.iter_mut().zip(uncovered).filter(|(_, files)| *files > 0) {
        gap.uncovered_log_files = files;
        let files = if files == 1 { "1 log file lies".to_owned() } else { format!("{files} log files lie") };
        gap.detail += &format!("; {files} here that no valid digest lists");
    }
    Ok(Classified { unlisted, unverified, uncovered: in_gaps, earliest_fresh })
}

/// The log files that are named with a digest which is not valid, by [`Context::fingerprint`].
fn claimed(chain: &ExaminedChain, context: &Context) -> Result<HashSet<u64>, AuditError> {
    let (mut claimed, mut budget) = (HashSet::new(), ClaimBudget::default());
    for entry in chain.entries.iter().filter(|entry| entry.claims() > 0) {
        if context.reads(entry, &chain.spool)? {
            let claims = budget.take(entry, &chain.spool)?;
            claimed.extend(claims.iter().map(|object| context.fingerprint(object)));
        }
    }
    Ok(claimed)
}

/// Returns the closing records of a chain: a warning if its log files could not be listed, its
/// gaps, and the chain record.
fn end(chain: &ExaminedChain, account: ChainCoverage) -> Vec<Step> {
    let mut steps = Vec::new();
    let ChainCoverage { gaps, record, .. } = account;
    if let Some(reason) = &chain.log_folder.failure {
        let ChainId { account, region, .. } = &*chain.id;
        let detail = format!("the log files of {account} in {region} could not be listed: {reason}");
        let code = WarningCode::UnlistedNotJudged;
        steps.push(record_step(Record::Warning(WarningRecord { code, bucket: None, key: None, detail })));
    }
    steps.extend(gaps.into_iter().map(|gap| record_step(Record::Gap(gap))));
    steps.push(record_step(Record::Chain(record)));
    steps
}

/// Returns the record of a digest and its warnings; nothing for one that is reported as a gap only.
pub(crate) fn digest_steps(chain: &ExaminedChain, digest: &LoadedEntry<'_>, context: &Context) -> Vec<Step> {
    let Some(record) = digest_record(chain, digest, context) else { return Vec::new() };
    let warnings = warnings(digest).into_iter().map(Record::Warning);
    [Record::Digest(record)].into_iter().chain(warnings).map(record_step).collect()
}

pub(crate) fn record_step(record: Record) -> Step {
    Step::Record(Box::new(record))
}

/// Returns the record of a digest; `None` for one that may still come, has expired or has an
/// unknown fate, and is reported as a gap only.
fn digest_record(chain: &ExaminedChain, whole: &LoadedEntry<'_>, context: &Context) -> Option<DigestRecord> {
    let LoadedEntry { entry, object, valid } = whole;
    let mut record = DigestRecord {
        status: DigestStatus::Valid,
        kind: entry.kind,
        chain: chain.id.clone(),
        object: object.clone().into_owned(),
        start: entry.start(),
        end: entry.end(),
        sha256: None,
        fault: None,
        detail: None,
        signature_from: None,
        versions: entry.remarks.as_ref().and_then(|remarks| remarks.versions.clone()),
        since: None,
    };
    if let Some(digest) = valid {
        record.sha256 = Some(digest.sha256());
        record.signature_from = Some(digest.signature_from());
    }
    match &entry.state {
        EntryState::Valid(_) => {
            let is_uncompressed = entry.remarks.as_ref().is_some_and(|remarks| remarks.is_uncompressed);
            record.detail = is_uncompressed.then(|| READ_UNCOMPRESSED.to_owned());
        }
        EntryState::Absent(
            _,
            Absence::NotYetDelivered | Absence::Expired | Absence::BeforeFirst | Absence::Unexplained,
        ) => {
            return None;
        }
        EntryState::Absent(object, Absence::Missing) => {
            record.status = DigestStatus::Missing;
            record.fault = Some(Fault::NotFound);
            let by = match &context.resume {
                Some(resume) if resume.was_verified(object) => "an earlier run verified it",
                _ => "its successor names it",
            };
            let mut detail = format!("{by}; {}", context.store.absence());
            if let Explanation::Hint(hint) = chain.expiry.of_digest(object, entry.end()) {
                detail += &format!("; {hint}");
            }
            record.detail = Some(detail);
        }
        EntryState::Rejected(digest) => {
            record.status = digest.rejection.status;
            record.sha256 = digest.sha256;
            record.fault = Some(digest.rejection.fault);
            let unnamed = digest.claims.saturating_sub(limits::MAX_NAMED_CLAIMS);
            let rest = if unnamed == 0 {
                String::new()
            } else {
                format!(
                    "; it lists {} log files, of which no more than {} are named",
                    digest.claims,
                    digest.claims - unnamed
                )
            };
            record.detail = Some(format!("{}{rest}", digest.rejection.detail));
        }
    }
    Some(record)
}

fn warnings(whole: &LoadedEntry<'_>) -> Vec<WarningRecord> {
    let LoadedEntry { entry, object, valid } = whole;
    let about = |code, detail: String| WarningRecord {
        code,
        bucket: Some(object.bucket.clone()),
        key: Some(object.key.clone()),
        detail,
    };
    let mut warnings = Vec::new();
    if entry.remarks.as_ref().is_some_and(|remarks| remarks.restarts) {
        let detail = "it is a starting digest, and begins less than 30 minutes after the digest before it ends: the \
                      chain was begun anew, and no link joins the two";
        warnings.push(about(WarningCode::ChainRestarted, detail.to_owned()));
    }
    if let Some(note) = entry.remarks.as_ref().and_then(|remarks| remarks.note.clone()) {
        warnings.push(about(WarningCode::MetadataUnreadable, note));
    }
    if valid.as_ref().is_some_and(ValidDigest::was_touched) {
        let detail = "the signature in its metadata is gone or changed; the one that its successor recorded proves the \
                      digest. CloudTrail does not do that: someone touched this object";
        warnings.push(about(WarningCode::ObjectTouched, detail.to_owned()));
    }
    if let EntryState::Rejected(digest) = &entry.state
        && digest.lost_signature
    {
        let detail = "its metadata holds no signature. CloudTrail does not do that: someone touched this object";
        warnings.push(about(WarningCode::ObjectTouched, detail.to_owned()));
    }
    if let EntryState::Rejected(digest) = &entry.state
        && digest.rejection.disputed
    {
        warnings.push(about(WarningCode::WitnessesDisagree, digest.rejection.detail.clone()));
    }
    warnings
}
