//! The records of an audit, each of which states one finding.
//!
//! The order of records is guaranteed: the run; chain by chain in the order of [`ChainId`]: its
//! digests by end time, standard before backfill, then key, each followed by its log files; its
//! gaps by time; its chain record; last the summary. A warning follows the record that it is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    ChainFault, ChainId, Depth, DigestKind, DigestStatus, Fault, GapCause, LastRun, LogFileStatus, ObjectRef,
    SampleResult, Sha256Hash, SignatureFrom, Tally, TimeRange, TrailArn, Verdict, WarningCode,
};

/// One thing that was found.
#[derive(Debug, Clone)]
pub enum Record {
    /// The request that the run answers.
    Run(RunRecord),
    /// A digest that is there, or should be.
    Digest(DigestRecord),
    /// A log file that a digest lists.
    LogFile(LogFileRecord),
    /// A part of the range that no valid digest covers.
    Gap(GapRecord),
    /// Something a reader should know.
    Warning(WarningRecord),
    /// A chain, after all that belongs to it.
    Chain(ChainRecord),
    /// The circumstances of the run: its command, machine, AWS identity and case; before the
    /// summary.
    Circumstances(CircumstancesRecord),
    /// The end of the run, with the verdict.
    Summary(SummaryRecord),
}

/// The request that a run answers.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// The version of the tool.
    pub version: String,
    /// The time at which the run began.
    pub started: Timestamp,
    /// The trail that was asked about; `None` for every trail at the location.
    pub trail_arn: Option<TrailArn>,
    /// The range that was asked about.
    pub range: TimeRange,
    /// The source of the bytes: `s3://…`, or a folder.
    pub source: String,
    /// The depth of the audit.
    pub depth: Depth,
    /// The sample of the log files that is read, if not all are.
    pub sample: Option<Sample>,
    /// The grace period for a digest after its hour, in seconds: its absence counts only after
    /// that.
    pub grace_seconds: i64,
    /// The number of single log files that were asked about; 0 if a whole range was.
    pub files: usize,
}

/// A random part of the log files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The number of log files that are read.
    pub files: u64,
    /// The seed of the random choice: the same seed makes the same choice of the same files.
    pub seed: u64,
}

/// The versions that a versioned bucket still holds of an object that was deleted or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    /// The newest earlier version that is as CloudTrail delivered it.
    pub intact_version_id: Option<String>,
    /// The time at which S3 wrote that version.
    pub intact_last_modified: Option<Timestamp>,
    /// The time at which the object was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
}

/// The judgement on one digest.
#[derive(Debug, Clone)]
pub struct DigestRecord {
    /// The judgement.
    pub status: DigestStatus,
    /// The series it belongs to.
    pub kind: DigestKind,
    /// The chain it belongs to.
    pub chain: Arc<ChainId>,
    /// The digest.
    pub object: ObjectRef,
    /// The start of the period that it covers. For a digest that could not be read, an hour before
    /// its end.
    pub start: Timestamp,
    /// The end of that period.
    pub end: Timestamp,
    /// The SHA-256 of its uncompressed bytes, where they could be read.
    pub sha256: Option<Sha256Hash>,
    /// The fault of the digest, if it has one.
    pub fault: Option<Fault>,
    /// The same in words.
    pub detail: Option<String>,
    /// The origin of the signature that proved it.
    pub signature_from: Option<SignatureFrom>,
    /// The versions that a versioned bucket still holds of a digest that is missing or invalid.
    pub versions: Option<Versions>,
    /// The start of the earlier run that first reported the same.
    pub since: Option<Timestamp>,
}

/// The judgement on one log file.
#[derive(Debug, Clone)]
pub struct LogFileRecord {
    /// The judgement.
    pub status: LogFileStatus,
    /// The chain whose digest lists it.
    pub chain: Arc<ChainId>,
    /// The log file.
    pub object: ObjectRef,
    /// The key of the digest that lists it.
    pub digest: Option<Arc<str>>,
    /// The hash that the digest recorded; `None` if there is none, or it is not a SHA-256 value.
    pub expected_sha256: Option<Sha256Hash>,
    /// The SHA-256 of its uncompressed bytes, where they could be read.
    pub actual_sha256: Option<Sha256Hash>,
    /// The size of the object, in bytes as stored.
    pub size: Option<u64>,
    /// The fault of the log file, if it has one.
    pub fault: Option<Fault>,
    /// The same in words.
    pub detail: Option<String>,
    /// The versions that a versioned bucket still holds of a log file that is deleted or modified.
    pub versions: Option<Versions>,
    /// The start of the earlier run that first reported the same.
    pub since: Option<Timestamp>,
}

/// A part of the range that no valid digest of the chain covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapRecord {
    /// The reason why it is not covered.
    pub cause: GapCause,
    /// The chain.
    pub chain: Arc<ChainId>,
    /// The time at which the gap begins.
    pub from: Timestamp,
    /// The time at which the gap ends.
    pub to: Timestamp,
    /// The number of hourly digests that would fit into the gap and are not there.
    pub missing_digests: u64,
    /// The number of log files in the gap that no valid digest lists.
    pub uncovered_log_files: u64,
    /// The same in words.
    pub detail: String,
    /// The start of the earlier run that first reported the gap.
    pub since: Option<Timestamp>,
}

/// Something a reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarningRecord {
    /// The kind of the warning.
    pub code: WarningCode,
    /// The bucket that it is about.
    pub bucket: Option<Arc<str>>,
    /// The key that it is about.
    pub key: Option<Arc<str>>,
    /// The same in words.
    pub detail: String,
}

/// A chain as a whole.
#[derive(Debug, Clone)]
pub struct ChainRecord {
    /// The chain.
    pub chain: Arc<ChainId>,
    /// The fault of the chain as a whole, if it has one.
    pub fault: Option<ChainFault>,
    /// The same in words.
    pub detail: Option<String>,
    /// The time at which the range begins for this chain.
    pub from: Timestamp,
    /// The time at which the range ends for this chain.
    pub to: Timestamp,
    /// The number of seconds of the range that valid digests cover.
    pub covered_seconds: u64,
    /// The number of seconds that the range has.
    pub requested_seconds: u64,
    /// The number of log files that are too recent for a digest to list them.
    pub fresh_log_files: u64,
    /// The number of log files within 15 minutes of the edge of the covered time that no digest
    /// lists: a digest beyond the edge may list them.
    pub edge_log_files: u64,
    /// The start of the earlier run that first reported the same fault.
    pub since: Option<Timestamp>,
}

/// The circumstances of a run that a chain of custody needs to state: command, machine, AWS
/// identity and case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CircumstancesRecord {
    /// The build of the tool: target and profile.
    pub build: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The name of the machine.
    pub host: Option<String>,
    /// The ARN of the caller, if AWS was asked and gave it.
    pub identity: Option<String>,
    /// The origin of the public keys.
    pub keys: Option<String>,
    /// The number of milliseconds by which the machine's clock was ahead of AWS's, if the `Date` of
    /// an answer gave it.
    pub clock_ahead_ms: Option<i64>,
    /// The examiner's information on the case.
    pub case: CaseInfo,
}

/// The examiner's information on a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaseInfo {
    /// The case.
    pub case: Option<String>,
    /// The exhibit.
    pub exhibit: Option<String>,
    /// The examiner.
    pub examiner: Option<String>,
    /// Further notes for the report.
    pub notes: Vec<String>,
}

/// The number of requests that were made to the store and to AWS, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requests {
    /// Objects read.
    pub get: u64,
    /// Pages listed.
    pub list: u64,
    /// Everything else.
    pub other: u64,
}

/// The comparison of a run with the runs before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinceCheckpoint {
    /// The start and the verdict of the last run that came to its end; `None` if this is the first.
    pub last_run: Option<LastRun>,
    /// The number of findings that no earlier run reported.
    pub new: u64,
    /// The number of findings that an earlier run reported and that are still open.
    pub known: u64,
    /// The number of findings of earlier runs that can't be mended any more, by status: modified
    /// and deleted log files, invalid digests.
    pub earlier: BTreeMap<String, u64>,
}

impl SinceCheckpoint {
    /// Returns whether the run found the same as the one before it.
    pub fn is_same(&self, verdict: Verdict) -> bool {
        self.new == 0 && self.last_run.is_some_and(|last| last.verdict == verdict)
    }
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct SummaryRecord {
    /// The verdict of the run.
    pub verdict: Verdict,
    /// The exit code that the process ends with.
    pub exit_code: u8,
    /// The counts of what was found.
    pub tally: Tally,
    /// The depth of the audit.
    pub depth: Depth,
    /// The number of log files that valid digests list and whose content was not read, because
    /// depth or sample did not ask for it.
    pub not_read: u64,
    /// The result of the sample, from which the log files that were not read can be judged.
    pub sample: Option<SampleResult>,
    /// True if the run was interrupted before its end.
    pub interrupted: bool,
    /// True if the public keys are those that the examined bag itself holds, compared with no
    /// others.
    pub keys_of_bag: bool,
    /// The requests that the run made.
    pub requests: Requests,
    /// The comparison with the runs before it, if a checkpoint is kept.
    pub since_checkpoint: Option<SinceCheckpoint>,
    /// The time at which the run ended.
    pub finished: Timestamp,
}
