//! The conversion of a judged chain into its records, in the promised order. Log files are read
//! later.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::audit::activity;
use crate::audit::coverage::examined_chain::ExaminedChain;
use crate::audit::coverage::expiry::Explanation;
use crate::audit::coverage::gaps::{self, ChainCoverage};
use crate::audit::digests::entry::ChainEntry;
use crate::audit::emit::digest_records::digest_steps;
use crate::audit::emit::step::{Step, record_step};
use crate::audit::emit::stray_classes::{Classified, classify};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::log_files::judge::{self, Tasks};
use crate::audit::log_folder::unlisted::{SortedStrays, Stray, stray_record};
use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::audit::resume::standing;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, Depth, Fault, LogFileStatus, ObjectRef, WarningCode};
use crate::records::{DigestRecord, GapRecord, Record, WarningRecord};

/// The report on one chain: an iterator over its steps.
pub(crate) struct ChainRecords {
    /// The examined chain, without its digests.
    chain: ExaminedChain,
    context: Arc<Context>,
    tasks: Tasks,
    /// The digests that are not emitted yet.
    digests: std::vec::IntoIter<ChainEntry>,
    /// The violated digests of earlier runs that this run did not look at, by end.
    standing: VecDeque<DigestRecord>,
    /// The steps that are emitted next.
    steps: VecDeque<Step>,
    /// The unlisted files, emitted after the digests.
    unlisted: SortedStrays,
    /// The unlisted files that a digest of another trail may list that could not be verified, by
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
    /// True if any digest of the chain is valid: anybody who can write to the bucket can plant names
    /// of any number of trails.
    pub is_proven: bool,
}

impl ChainRecords {
    /// Prepares the report on one chain. `chains` is the number of chains of the run.
    pub(crate) fn new(
        mut chain: ExaminedChain,
        context: Arc<Context>,
        admission: Admission,
        chains: usize,
    ) -> Result<Self, AuditError> {
        let is_proven = chain.judged.entries.iter().any(|entry| entry.valid().is_some());
        let tasks = Tasks::new(&chain.judged, Some(&chain.log_folder), &context, |entry| {
            context.reads(entry, &chain.judged.spool)
        })?;
        let mut covered = gaps::cover_range(&chain, &context)?;
        let Classified { unlisted, unverified, uncovered, earliest_fresh } = classify(&chain, &context, &mut covered)?;
        let is_cut = covered.is_cut;
        let activity = activity::examine(&chain, &context, chains)?;
        let end = end(&chain, covered, activity.warnings);
        let keeps = context.request.checkpoint.is_some();
        let snapshot = || ChainSnapshot::new(&chain, &context, earliest_fresh, is_cut, activity.kept);
        let snapshot = keeps.then(snapshot).transpose()?;
        let standing = standing_digests(&chain, &context)?;
        let digests = std::mem::take(&mut chain.judged.entries).into_iter();
        let mut chain_records = Self {
            chain,
            context,
            tasks,
            digests,
            standing,
            steps: VecDeque::new(),
            unlisted: unlisted.into_sorted(),
            unverified,
            uncovered: uncovered.into_sorted(),
            end,
            not_read: 0,
            admission,
            snapshot,
            is_proven,
        };
        chain_records.begin();
        Ok(chain_records)
    }

    /// Queues the log files that earlier runs left open, and those that they found modified or
    /// deleted.
    fn begin(&mut self) {
        let mut tasks = match self.context.request.depth {
            Depth::Chain => Vec::new(),
            Depth::Presence | Depth::Content => self.tasks.left_open(&self.context, &self.chain.log_folder.past.again),
        };
        for task in &mut tasks {
            let copied = !self.chain.log_folder.was_not_copied(&task.object);
            let expiry = || self.chain.judged.expiry.of_log_file(&task.object);
            task.expiry = if copied { expiry() } else { Explanation::NotCopied };
        }
        self.context.progress.found_log_files(&self.chain.judged.id, tasks.len());
        let mut steps: BTreeMap<ObjectRef, Step> = BTreeMap::new();
        for point in self.context.standing(&self.chain.judged.id) {
            let Some(record) = standing::log_file_record(&self.chain.judged.id, point) else { continue };
            if !self.tasks.lists(&record.object, &self.context) {
                steps.insert(record.object.clone(), record_step(Record::LogFile(record)));
            }
        }
        for task in tasks {
            steps.insert(task.object.clone(), Step::LogFile(self.chain.judged.id.clone(), Box::new(task)));
        }
        self.steps.extend(steps.into_values());
    }

    /// The gaps of the chain, which are not emitted yet.
    pub(crate) fn gaps_mut(&mut self) -> impl Iterator<Item = &mut GapRecord> {
        self.end.iter_mut().filter_map(|step| match step {
            Step::Record(record) => match &mut **record {
                Record::Gap(gap) => Some(gap),
                _ => None,
            },
            Step::LogFile(..) => None,
        })
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
                let detail =
                    "no valid digest lists it, and a digest of another trail that may list it could not be verified";
                stray_record(&self.chain.judged.id, stray.object, LogFileStatus::Unverified, Fault::NotListed, detail)
            }
            Some(Stray { object, name: None, .. }) => {
                let detail = "it lies where CloudTrail delivers no log file, and no valid digest lists it";
                stray_record(&self.chain.judged.id, object, LogFileStatus::Unlisted, Fault::NotListed, detail)
            }
            Some(stray) => {
                let detail = "it lies in the log folder, and no valid digest lists it";
                stray_record(&self.chain.judged.id, stray.object, LogFileStatus::Unlisted, Fault::NotListed, detail)
            }
            None => {
                let stray = self.uncovered.find(is_new)?;
                let detail =
                    "it lies in the log folder, in a time that no valid digest covers, and no valid digest lists it";
                stray_record(&self.chain.judged.id, stray.object, LogFileStatus::Uncovered, Fault::NotCovered, detail)
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
        let next_end = self.digests.as_slice().first().map(ChainEntry::end);
        if let Some(record) = self.standing.pop_front_if(|record| next_end.is_none_or(|next| record.end <= next)) {
            self.steps.push_back(record_step(Record::Digest(record)));
            return Ok(());
        }
        let Some(entry) = &self.digests.next() else {
            match self.next_stray() {
                Some(step) => self.steps.push_back(step),
                None => {
                    self.steps.extend(self.end.drain(..));
                    self.context.progress.end_chain(&self.chain.judged.id);
                }
            }
            return Ok(());
        };
        self.admission.shrink_to(self.digests.len());
        if !context.emits(entry, &chain.judged.spool)? {
            return Ok(());
        }
        let whole = entry.whole(&chain.judged.spool)?;
        let digest = digest_steps(&chain.judged, &whole, context);
        if digest.is_empty() {
            return Ok(());
        }
        let reads = context.reads(entry, &chain.judged.spool)?;
        let mut of_digest = if reads { tasks.of(&whole, &chain.judged.spool, context)? } else { Vec::new() };
        judge::note_listing(&mut of_digest, &chain.log_folder, &chain.judged.expiry, context);
        self.not_read += tasks.drop_unread(&mut of_digest, &chain.log_folder, context);
        context.progress.found_log_files(&chain.judged.id, of_digest.len());
        self.steps.extend(digest);
        self.steps.extend(of_digest.into_iter().map(|task| Step::LogFile(chain.judged.id.clone(), Box::new(task))));
        Ok(())
    }
}

impl Iterator for ChainRecords {
    type Item = Result<Step, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The closing records come last.
        while self.steps.is_empty() && !self.end.is_empty() {
            if let Err(error) = self.advance() {
                return Some(Err(error));
            }
        }
        self.steps.pop_front().map(Ok)
    }
}

/// Returns the records of the violated digests of earlier runs of which this run has no record, sorted
/// by end.
fn standing_digests(chain: &ExaminedChain, context: &Context) -> Result<VecDeque<DigestRecord>, AuditError> {
    let points = context.standing(&chain.judged.id);
    let mut standing: Vec<DigestRecord> =
        points.filter_map(|point| standing::digest_record(&chain.judged.id, point)).collect();
    if standing.is_empty() {
        return Ok(VecDeque::new());
    }
    let mut has_record = HashSet::new();
    for entry in &chain.judged.entries {
        let whole = entry.whole(&chain.judged.spool)?;
        let is_emitted = context.emits(entry, &chain.judged.spool)?;
        if whole.valid.is_some() || (is_emitted && !digest_steps(&chain.judged, &whole, context).is_empty()) {
            has_record.insert(context.fingerprint(&whole.object));
        }
    }
    standing.retain(|record| !has_record.contains(&context.fingerprint(&record.object)));
    standing.sort_by_key(|record| (record.end, record.kind));
    Ok(standing.into())
}

/// Returns the closing records of a chain: a warning if its log files could not be listed, its
/// gaps, the warnings about its activity, and the chain record.
fn end(chain: &ExaminedChain, covered: ChainCoverage, about_activity: Vec<WarningRecord>) -> Vec<Step> {
    let mut steps = Vec::new();
    let ChainCoverage { gaps, record, .. } = covered;
    if let Some(reason) = &chain.log_folder.failure {
        let ChainId { account, region, .. } = &*chain.judged.id;
        let detail = format!("the log files of {account} in {region} could not be listed: {reason}");
        let code = WarningCode::UnlistedNotJudged;
        steps.push(record_step(Record::Warning(WarningRecord { code, bucket: None, key: None, detail })));
    }
    steps.extend(gaps.into_iter().map(|gap| record_step(Record::Gap(gap))));
    steps.extend(about_activity.into_iter().map(|warning| record_step(Record::Warning(warning))));
    steps.push(record_step(Record::Chain(record)));
    steps
}
