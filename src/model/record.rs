//! What an audit finds, one record at a time.
//!
//! The order in which records come is part of the promise: the run; chain by chain in the order of [`ChainId`]: its digests by end time,
//! standard before backfill, then key, each followed by its log files; its gaps by time; its chain record; last the
//! summary. Warnings follow what they are about.

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
    /// What was asked.
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
    /// Who ran what, where and for which case; before the summary.
    Circumstances(CircumstancesRecord),
    /// The end, with the verdict.
    Summary(SummaryRecord),
}

/// What was asked of this run.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// The version of the tool.
    pub version: String,
    /// When the run began.
    pub started: Timestamp,
    /// The trail that was asked about; `None` for every trail at the location.
    pub trail_arn: Option<TrailArn>,
    /// The range that was asked about.
    pub range: TimeRange,
    /// Where the bytes came from: `s3://…`, or a folder.
    pub source: String,
    /// How deep it looks.
    pub depth: Depth,
    /// Which log files are read, where not all are.
    pub sample: Option<Sample>,
    /// How long after its hour a digest may still come before its absence counts, in seconds.
    pub grace_seconds: i64,
    /// How many single log files were asked about; none for all of a range.
    pub files: usize,
}

/// A random part of the log files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many log files are read.
    pub files: u64,
    /// What the choice was made with: the same seed makes the same choice of the same files.
    pub seed: u64,
}

/// What a versioned bucket still holds of an object that is gone or not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    /// The newest earlier version that is as CloudTrail delivered it.
    pub intact_version_id: Option<String>,
    /// When S3 wrote that version.
    pub intact_last_modified: Option<Timestamp>,
    /// When the object was deleted, if it is.
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
    /// The begin of the period it speaks of. For a digest that could not be read, an hour before its end.
    pub start: Timestamp,
    /// The end of that period.
    pub end: Timestamp,
    /// The SHA-256 of its uncompressed bytes, where they could be read.
    pub sha256: Option<Sha256Hash>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// The same in words.
    pub detail: Option<String>,
    /// Which signature proved it.
    pub signature_from: Option<SignatureFrom>,
    /// What a versioned bucket still holds, for one that is missing or invalid.
    pub versions: Option<Versions>,
    /// The begin of the earlier run that told of the same first.
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
    /// The hash that the digest recorded, as it stands there if it is no SHA-256.
    pub expected_sha256: Option<Sha256Hash>,
    /// The SHA-256 of its uncompressed bytes, where they could be read.
    pub actual_sha256: Option<Sha256Hash>,
    /// The size of the object, in bytes as stored.
    pub size: Option<u64>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// The same in words.
    pub detail: Option<String>,
    /// What a versioned bucket still holds, for one that is deleted or modified.
    pub versions: Option<Versions>,
    /// The begin of the earlier run that told of the same first.
    pub since: Option<Timestamp>,
}

/// A part of the range that no valid digest of the chain covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapRecord {
    /// Why it is not covered.
    pub cause: GapCause,
    /// The chain.
    pub chain: Arc<ChainId>,
    /// Where the gap begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
    /// How many hourly digests it has room for that are not there.
    pub missing_digests: u64,
    /// How many log files lie in it that no valid digest lists.
    pub uncovered_log_files: u64,
    /// The same in words.
    pub detail: String,
    /// The begin of the earlier run that told of it first.
    pub since: Option<Timestamp>,
}

/// Something a reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarningRecord {
    /// What kind of thing.
    pub code: WarningCode,
    /// The bucket it is about.
    pub bucket: Option<Arc<str>>,
    /// The key it is about.
    pub key: Option<Arc<str>>,
    /// The same in words.
    pub detail: String,
}

/// A chain as a whole.
#[derive(Debug, Clone)]
pub struct ChainRecord {
    /// The chain.
    pub chain: Arc<ChainId>,
    /// What is wrong with it as a whole.
    pub fault: Option<ChainFault>,
    /// The same in words.
    pub detail: Option<String>,
    /// Where the range begins for this chain.
    pub from: Timestamp,
    /// Where it ends for this chain.
    pub to: Timestamp,
    /// How many seconds of it valid digests cover.
    pub covered_seconds: u64,
    /// How many seconds it has.
    pub requested_seconds: u64,
    /// Log files that are too fresh for a digest to list them.
    pub fresh_log_files: u64,
    /// Log files within 15 minutes of the edge of what is covered that no digest lists: one beyond the edge may.
    pub edge_log_files: u64,
    /// The begin of the earlier run that told of the same fault first.
    pub since: Option<Timestamp>,
}

/// Who ran what, where and for which case: what a chain of custody needs to know of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CircumstancesRecord {
    /// What the tool was built as: target and profile.
    pub build: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The name of the machine.
    pub host: Option<String>,
    /// The ARN in whose name AWS was asked, where it was asked and told.
    pub identity: Option<String>,
    /// Where the public keys came from.
    pub keys: Option<String>,
    /// How far the machine's clock was ahead of AWS's, in milliseconds, as far as an answer's `Date` tells.
    pub clock_ahead_ms: Option<i64>,
    /// What the examiner says of the case.
    pub case: CaseInfo,
}

/// What the examiner says of the case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaseInfo {
    /// The case.
    pub case: Option<String>,
    /// The exhibit.
    pub exhibit: Option<String>,
    /// Who examines it.
    pub examiner: Option<String>,
    /// Whatever else the report shall say.
    pub notes: Vec<String>,
}

/// How many requests were made of the store and of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requests {
    /// Objects read.
    pub get: u64,
    /// Pages listed.
    pub list: u64,
    /// Everything else.
    pub other: u64,
}

/// How a run stands to the runs before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinceCheckpoint {
    /// When the last run began that came to its end, and its verdict; `None` for the first.
    pub last_run: Option<LastRun>,
    /// Findings that no earlier run told of.
    pub new: u64,
    /// Findings that an earlier run told of, and that are still open.
    pub known: u64,
    /// What earlier runs told of and nothing can mend any more, by status: modified and deleted log files, invalid digests.
    pub earlier: BTreeMap<String, u64>,
}

impl SinceCheckpoint {
    /// Whether the run found the same as the one before it.
    pub fn is_same(&self, verdict: Verdict) -> bool {
        self.new == 0 && self.last_run.is_some_and(|last| last.verdict == verdict)
    }
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct SummaryRecord {
    /// The answer.
    pub verdict: Verdict,
    /// The exit code that the process ends with.
    pub exit_code: u8,
    /// What was counted.
    pub tally: Tally,
    /// How deep it looked.
    pub depth: Depth,
    /// How many log files valid digests list whose content was not read, because depth or sample did not ask for it.
    pub not_read: u64,
    /// What the sample says of the log files that were not read.
    pub sample: Option<SampleResult>,
    /// Whether the run was interrupted before its end.
    pub interrupted: bool,
    /// True if the public keys are those that the examined bag itself holds, compared with no others.
    pub keys_of_bag: bool,
    /// What it cost.
    pub requests: Requests,
    /// How it stands to the runs before it, where a checkpoint is kept.
    pub since_checkpoint: Option<SinceCheckpoint>,
    /// When the run ended.
    pub finished: Timestamp,
}
