//! From a judged chain to its records, in the order that is promised. Log files are still to be read.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::context::Context;
use super::element::{Absence, Element, State, Whole};
use super::error::AuditError;
use super::examine::ExaminedChain;
use super::expiry::Explanation;
use super::gaps::{self, Account};
use super::log_files::{self, Task, Tasks};
use super::outlook::Outlook;
use super::room::Seat;
use crate::model::{
    ChainId, Depth, DigestRecord, DigestStatus, Fault, LogFileStatus, ObjectRef, Record, WarningCode, WarningRecord,
};
use crate::verify::ValidDigest;

/// One step of a report: a record, or a log file that becomes one when it was read.
pub(super) enum Step {
    Record(Box<Record>),
    LogFile(Arc<ChainId>, Box<Task>),
}

/// The report on one chain: an iterator over its steps.
pub(super) struct Plan {
    /// Without its digests.
    chain: ExaminedChain,
    context: Arc<Context>,
    tasks: Tasks,
    /// The digests that are still to be told of.
    digests: std::vec::IntoIter<Element>,
    /// What is told next.
    steps: VecDeque<Step>,
    /// What is told after the digests.
    end: Vec<Step>,
    /// How many log files there are whose content the depth does not ask for, as far as they were passed.
    not_read: u64,
    /// The room that the digests take which wait: given back as they are told of, so that the next chain can be examined meanwhile.
    seat: Seat,
    outlook: Option<Outlook>,
}

impl Plan {
    /// Plans the report on one chain.
    pub fn new(mut chain: ExaminedChain, context: Arc<Context>, seat: Seat) -> Result<Self, AuditError> {
        let tasks = Tasks::new(&chain, &context, |element| context.reads(element, &chain.shelf))?;
        let end = end(&chain, &context)?;
        let outlook = context.request.checkpoint.is_some().then(|| Outlook::new(&chain, &context)).transpose()?;
        let digests = std::mem::take(&mut chain.elements).into_iter();
        let mut plan = Self { chain, context, tasks, digests, steps: VecDeque::new(), end, not_read: 0, seat, outlook };
        plan.begin();
        Ok(plan)
    }

    /// Plans what earlier runs left open.
    fn begin(&mut self) {
        let mut tasks = match self.context.request.depth {
            Depth::Chain => Vec::new(),
            Depth::Presence | Depth::Content => self.tasks.left_open(&self.context),
        };
        for task in &mut tasks {
            task.expiry = self.chain.expiry.of_log_file(&task.object);
        }
        self.context.progress.found_log_files(tasks.len());
        self.steps.extend(tasks.into_iter().map(|task| Step::LogFile(self.chain.id.clone(), Box::new(task))));
    }

    /// What the next run needs to know of the chain, where a checkpoint is kept.
    pub fn take_outlook(&mut self) -> Option<Outlook> {
        self.outlook.take()
    }

    /// Drops the unlisted files that `seen` holds, and adds the others to it: two trails may share a folder, and a file is told of once.
    pub fn tell_once(&mut self, seen: &mut HashSet<ObjectRef>) {
        self.end.retain(|step| match step {
            Step::Record(record) => match record.as_ref() {
                Record::LogFile(file) => file.status != LogFileStatus::Unlisted || seen.insert(file.object.clone()),
                _ => true,
            },
            Step::LogFile(..) => true,
        });
    }

    /// How many log files there are whose content the depth does not ask for, since this was asked last.
    pub fn take_not_read(&mut self) -> u64 {
        std::mem::take(&mut self.not_read)
    }

    /// Plans the next digest.
    fn advance(&mut self) -> Result<(), AuditError> {
        let Self { chain, context, tasks, .. } = self;
        let Some(element) = &self.digests.next() else {
            self.steps.extend(self.end.drain(..));
            return Ok(());
        };
        self.seat.shrink_to(self.digests.len());
        if !context.tells(element, &chain.shelf)? {
            return Ok(());
        }
        let whole = element.whole(&chain.shelf)?;
        let digest = digest_steps(chain, &whole, context);
        if digest.is_empty() {
            return Ok(());
        }
        let reads = context.reads(element, &chain.shelf)?;
        let mut tasks = if reads { tasks.of(&whole, context) } else { Vec::new() };
        log_files::note_listing(&mut tasks, &chain.log_folder, &chain.expiry, context);
        self.not_read += log_files::drop_unread(&mut tasks, &chain.log_folder, context);
        context.progress.found_log_files(tasks.len());
        self.steps.extend(digest);
        self.steps.extend(tasks.into_iter().map(|task| Step::LogFile(chain.id.clone(), Box::new(task))));
        Ok(())
    }
}

impl Iterator for Plan {
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

/// What follows a chain's digests and their log files.
fn end(chain: &ExaminedChain, context: &Context) -> Result<Vec<Step>, AuditError> {
    let mut steps = Vec::new();
    let Account { coverage, gaps, record } = gaps::account_for(chain, context)?;
    if context.request.without_digests.is_empty() {
        let unlisted = chain.log_folder.unlisted(&chain.id, &coverage, context);
        steps.extend(unlisted.into_iter().map(|file| record_step(Record::LogFile(file))));
    }
    if let Some(reason) = &chain.log_folder.failure {
        let detail =
            format!("the log files of {} in {} could not be listed: {reason}", chain.id.account, chain.id.region);
        let code = WarningCode::ListingFailed;
        steps.push(record_step(Record::Warning(WarningRecord { code, bucket: None, key: None, detail })));
    }
    steps.extend(gaps.into_iter().map(|gap| record_step(Record::Gap(gap))));
    steps.push(record_step(Record::Chain(record)));
    Ok(steps)
}

/// What is said of one digest; nothing of one that is a gap alone.
pub(super) fn digest_steps(chain: &ExaminedChain, digest: &Whole<'_>, context: &Context) -> Vec<Step> {
    let Some(record) = digest_record(chain, digest, context) else { return Vec::new() };
    let warnings = warnings(digest).into_iter().map(Record::Warning);
    [Record::Digest(record)].into_iter().chain(warnings).map(record_step).collect()
}

pub(super) fn record_step(record: Record) -> Step {
    Step::Record(Box::new(record))
}

/// The record of a digest; `None` for one that may still come or has expired, which is a gap alone.
fn digest_record(chain: &ExaminedChain, whole: &Whole<'_>, context: &Context) -> Option<DigestRecord> {
    let Whole { element, object, valid } = whole;
    let mut record = DigestRecord {
        status: DigestStatus::Valid,
        kind: element.kind,
        chain: chain.id.clone(),
        object: object.clone().into_owned(),
        start: element.start(),
        end: element.end(),
        sha256: None,
        fault: None,
        detail: None,
        signature_from: None,
        versions: element.remarks.as_ref().and_then(|remarks| remarks.versions.clone()),
        since: None,
    };
    if let Some(digest) = valid {
        record.sha256 = Some(digest.sha256());
        record.signature_from = Some(digest.signature_from());
    }
    match &element.state {
        State::Valid(_) => {}
        State::Absent(_, Absence::NotYetDelivered | Absence::Expired) => return None,
        State::Absent(object, Absence::Missing) => {
            record.status = DigestStatus::Missing;
            record.fault = Some(Fault::NotFound);
            let by = match &context.resume {
                Some(resume) if resume.was_verified(object) => "an earlier run verified it",
                _ => "its successor names it",
            };
            let mut detail = format!("{by}; {}", context.store.absence());
            if let Explanation::Hint(hint) = chain.expiry.of_digest(object, element.end()) {
                detail += &format!("; {hint}");
            }
            record.detail = Some(detail);
        }
        State::Rejected(digest) => {
            record.status = digest.rejection.status;
            record.sha256 = digest.sha256;
            record.fault = Some(digest.rejection.fault);
            record.detail = Some(digest.rejection.detail.clone());
        }
    }
    Some(record)
}

fn warnings(whole: &Whole<'_>) -> Vec<WarningRecord> {
    let Whole { element, object, valid } = whole;
    let about = |code, detail: String| WarningRecord {
        code,
        bucket: Some(object.bucket.clone()),
        key: Some(object.key.clone()),
        detail,
    };
    let mut warnings = Vec::new();
    if let Some(note) = element.remarks.as_ref().and_then(|remarks| remarks.note.clone()) {
        warnings.push(about(WarningCode::MetadataUnreadable, note));
    }
    if valid.as_ref().is_some_and(ValidDigest::was_touched) {
        let detail = "the signature in its metadata is gone or changed; the one that its successor recorded proves the \
                      digest. CloudTrail does not do that: someone touched this object";
        warnings.push(about(WarningCode::ObjectTouched, detail.to_owned()));
    }
    if let State::Rejected(digest) = &element.state
        && digest.rejection.disputed
    {
        warnings.push(about(WarningCode::WitnessesDisagree, digest.rejection.detail.clone()));
    }
    warnings
}
