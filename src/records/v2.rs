//! The records of schema `ctverify/2`: the types that the audit makes, with their serialized form.
//! Serialization, deserialization and the JSON Schema are all derived from these types.
//!
//! Fields are declared in the order in which they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Tally;
use super::tampering::{EventHistoryAnswer, EventReference, TamperingCounts, TamperingRecord};
use super::time::{optional_time, required_time};
use crate::model::{
    AccountId, Acknowledgement, BagStatus, ChainFault, ChainId, Depth, DigestKind, DigestStatus, Fault, FindingId,
    GapCause, KeysFrom, LastRun, LogFileStatus, ObjectRef, Region, Requests, SampleResult, Sha256Hash, SignatureFrom,
    TimeRange, TrailArn, Verdict, WarningCode, exit_code,
};

/// One thing that was found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Record {
    /// The request that the run answers.
    Run(RunRecord),
    /// The evidence bag that is examined.
    Bag(BagRecord),
    /// A digest that is there, or should be.
    Digest(DigestRecord),
    /// A log file that a digest lists, or that lies in the log folder and none does.
    LogFile(LogFileRecord),
    /// A proven event that weakens logging or the protection of the logs.
    Tampering(TamperingRecord),
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

/// The state of the evidence bag that is examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "bag")]
pub struct BagRecord {
    /// The path of the bag.
    pub path: String,
    /// The state of the bag.
    pub status: BagStatus,
    /// The differences from the manifests and the custody log.
    pub problems: Vec<BagProblem>,
    /// The number of lines of the custody log.
    pub custody_entries: u64,
    /// The SHA-256 of the bag's manifest, in hex; null if there is none.
    #[serde(default)]
    pub manifest_sha256: Option<String>,
    /// The newest lines of the custody log, at most 100, in their order. Lines that can't be read are
    /// problems of the bag.
    #[serde(default)]
    pub custody: Vec<CustodyLine>,
}

/// A line of the custody log of a bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "custody_line")]
pub struct CustodyLine {
    /// The number of the line, counted from 1.
    pub number: u64,
    /// The time at which the line was added.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub time: Timestamp,
    /// The action that was taken: `collect`, `handover` or `verify`.
    pub action: String,
    /// The name of the person who acted, as they gave it.
    pub by: Option<String>,
    /// The recipient, for a handover.
    pub to: Option<String>,
    /// The reason for a handover.
    pub reason: Option<String>,
    /// The verdict, if there was one.
    pub result: Option<String>,
}

/// A file of a bag that is not as its manifests or its custody log record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "bag_problem")]
pub struct BagProblem {
    /// The path of the file in the bag.
    pub path: String,
    /// A description of the difference, to follow the path.
    pub problem: String,
}

/// The request that a run answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "run")]
#[non_exhaustive]
pub struct RunRecord {
    /// The schema of the records.
    pub schema: Schema,
    /// The version of the tool.
    pub version: String,
    /// The time at which the run began.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub started: Timestamp,
    /// The trail that was asked about; null for every trail at the location.
    pub trail_arn: Option<TrailArn>,
    /// The range that was asked about.
    #[serde(flatten)]
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
    /// The accounts and regions to which the run was limited.
    #[serde(default)]
    pub filters: Filters,
    /// The kinds of findings kept out of the verdict, as `--allow` has them.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The kinds of findings that make the exit code 1 whatever the verdict is, as `--fail-on` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fail_on: Vec<String>,
    /// The endpoints that were configured in place of AWS's own, by service; null where none was,
    /// and where nothing is asked of AWS.
    #[serde(default)]
    pub endpoints: Option<BTreeMap<String, String>>,
    /// The source of the public keys.
    #[serde(default)]
    pub keys: KeysAsked,
    /// The settings of the run that were given, with their origin. Those that are not listed have
    /// their defaults.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// The number of single log files that were asked about; absent if a whole range was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files: usize,
    /// The plan whose units' results the run merges; absent if it read the objects itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
}

impl RunRecord {
    /// True if an event of tampering makes the exit code 1.
    pub fn fails_on_tampering(&self) -> bool {
        self.fail_on.iter().any(|kind| kind == "tampering")
    }
}

/// The plan whose units' results a run merges: its units read the objects, and the run judges what
/// they read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "merged")]
pub struct Merged {
    /// The SHA-256 of the plan, in hex.
    pub plan: String,
    /// The number of its units.
    pub units: u64,
    /// The time of the plan, as of which the trail is judged.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub planned: Timestamp,
}

/// The accounts and regions to which a run is limited; null for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "filters")]
#[non_exhaustive]
pub struct Filters {
    /// The accounts.
    pub accounts: Option<Vec<AccountId>>,
    /// The regions.
    pub regions: Option<Vec<Region>>,
}

/// The source of the public keys of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "keys")]
pub struct KeysAsked {
    /// The origin of the public keys.
    pub source: KeysFrom,
    /// The path of the file.
    pub path: Option<String>,
    /// The SHA-256 of the file.
    pub sha256: Option<Sha256Hash>,
    /// The regions of which the file states to have keys; empty for `ListPublicKeys`, which is asked
    /// for each region that has digests.
    pub regions: Vec<Region>,
}

/// A setting of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "setting")]
pub struct Setting {
    /// The flag, such as `--regions`, or the argument.
    pub name: String,
    /// The value as it was given. Paths of webhooks are left out, because they are secrets.
    pub value: String,
    /// `command line`, the name of an environment variable, or the name of a configuration file.
    pub from: String,
}

/// The name of this schema, `ctverify/2`. Records of another schema are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schema;

impl Schema {
    /// The name as records have it.
    pub const NAME: &str = "ctverify/2";
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::NAME)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name != Self::NAME {
            return Err(serde::de::Error::custom(format!("its schema is {name}")));
        }
        Ok(Self)
    }
}

impl JsonSchema for Schema {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Schema".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": Self::NAME })
    }
}

/// A random part of the log files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sample")]
pub struct Sample {
    /// The number of log files that are read.
    pub files: u64,
    /// The seed of the random choice: the same seed makes the same choice of the same files.
    pub seed: u64,
}

/// The statements of earlier runs, and of people, about the finding of a record. All are absent from a
/// run without a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct History {
    /// The start of the earlier run that first reported the same.
    #[serde(default, with = "optional_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    pub since: Option<Timestamp>,
    /// The acknowledgement of the finding, which keeps it out of the verdict and out of the counts by
    /// status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Acknowledgement")]
    pub acknowledged: Option<Acknowledgement>,
    /// The violation that earlier runs reported about an object that is valid or intact now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Mended")]
    pub mended: Option<Mended>,
}

impl History {
    /// The history of a finding that earlier runs reported.
    pub(crate) fn known(since: Timestamp, acknowledged: Option<Acknowledgement>) -> Self {
        Self { since: Some(since), acknowledged, mended: None }
    }
}

/// A violation that no longer exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "mended")]
pub struct Mended {
    /// The identifier of the finding.
    pub id: FindingId,
    /// The status that earlier runs reported.
    pub status: String,
    /// The start of the run that first reported it.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub since: Timestamp,
}

/// The versions that a versioned bucket still holds of an object that was deleted or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "versions")]
#[non_exhaustive]
pub struct Versions {
    /// The newest earlier version that is as CloudTrail delivered it.
    pub intact_version_id: Option<String>,
    /// The time at which S3 wrote that version.
    #[serde(default, with = "optional_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub intact_last_modified: Option<Timestamp>,
    /// The time at which the object was deleted, if it was.
    #[serde(default, with = "optional_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub deleted_at: Option<Timestamp>,
}

/// The judgement on one digest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "digest")]
#[non_exhaustive]
pub struct DigestRecord {
    /// The identifier of the finding, which is the same in every run; only a finding has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FindingId")]
    pub id: Option<FindingId>,
    /// The judgement.
    pub status: DigestStatus,
    /// The series it belongs to.
    pub kind: DigestKind,
    /// The chain it belongs to.
    #[serde(flatten)]
    pub chain: Arc<ChainId>,
    /// The digest.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// The start of the period that it covers. For a digest that could not be read, an hour before
    /// its end.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub start: Timestamp,
    /// The end of that period.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
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
    /// The statements of earlier runs about the same finding.
    #[serde(flatten)]
    pub history: History,
}

/// The judgement on one log file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "log_file")]
#[non_exhaustive]
pub struct LogFileRecord {
    /// The identifier of the finding, which is the same in every run; only a finding has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FindingId")]
    pub id: Option<FindingId>,
    /// The judgement.
    pub status: LogFileStatus,
    /// The chain whose digest lists it, or in whose log folder it lies.
    #[serde(flatten)]
    pub chain: Arc<ChainId>,
    /// The log file.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// The key of the digest that lists it.
    pub digest: Option<Arc<str>>,
    /// The hash that the digest recorded; null if there is none, or it is not a SHA-256 value.
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
    /// The statements of earlier runs about the same finding.
    #[serde(flatten)]
    pub history: History,
}

/// A part of the range that no valid digest of the chain covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "gap")]
#[non_exhaustive]
pub struct GapRecord {
    /// The identifier of the finding, which is the same in every run; a gap that may still close has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FindingId")]
    pub id: Option<FindingId>,
    /// The reason why it is not covered.
    pub cause: GapCause,
    /// The chain.
    #[serde(flatten)]
    pub chain: Arc<ChainId>,
    /// The time at which the gap begins.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub from: Timestamp,
    /// The time at which the gap ends.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub to: Timestamp,
    /// The number of hourly digests that would fit into the gap and are not there.
    pub missing_digests: u64,
    /// The number of log files in the gap that no valid digest lists.
    pub uncovered_log_files: u64,
    /// The proven event that stopped the logging, if one was found.
    #[serde(default)]
    pub explained_by: Option<EventReference>,
    /// The proven event that started it again, if one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EventReference")]
    pub ended_by: Option<EventReference>,
    /// CloudTrail's answer about its time, which is not signed, if it was asked.
    // Boxed because it is rarely present, and records are handed on by value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EventHistoryAnswer")]
    pub event_history: Option<Box<EventHistoryAnswer>>,
    /// The same in words.
    pub detail: String,
    /// The statements of earlier runs about the same finding.
    #[serde(flatten)]
    pub history: History,
}

/// Something a reader should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "warning")]
#[non_exhaustive]
pub struct WarningRecord {
    /// The kind of the warning.
    // Later versions add codes, and their records are not to fail in the validators of consumers.
    #[schemars(with = "String")]
    pub code: WarningCode,
    /// The bucket that it is about.
    pub bucket: Option<Arc<str>>,
    /// The key that it is about.
    pub key: Option<Arc<str>>,
    /// The same in words.
    pub detail: String,
}

/// A chain as a whole.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "chain")]
#[non_exhaustive]
pub struct ChainRecord {
    /// The identifier of the finding, which is the same in every run; only a chain with a fault has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FindingId")]
    pub id: Option<FindingId>,
    /// The chain.
    #[serde(flatten)]
    pub chain: Arc<ChainId>,
    /// The fault of the chain as a whole, if it has one.
    pub fault: Option<ChainFault>,
    /// The same in words.
    pub detail: Option<String>,
    /// The time at which the range begins for this chain.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub from: Timestamp,
    /// The time at which the range ends for this chain.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
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
    /// The statements of earlier runs about the same finding.
    #[serde(flatten)]
    pub history: History,
}

/// The circumstances of a run that a chain of custody needs to state: command, machine, AWS
/// identity and case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "circumstances")]
#[non_exhaustive]
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
    #[serde(flatten)]
    pub case: CaseInfo,
}

/// The examiner's information on a case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
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

/// The comparison of a run with the runs before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "since_checkpoint")]
pub struct SinceCheckpoint {
    /// The start and the verdict of the last run that came to its end; `None` if this is the first.
    #[serde(flatten, with = "last_run")]
    #[schemars(with = "last_run::Fields")]
    pub last_run: Option<LastRun>,
    /// The number of findings that no earlier run reported.
    pub new: u64,
    /// The number of findings that an earlier run reported and that are still open.
    pub known: u64,
    /// The number of objects that are valid or intact now and that an earlier run reported as
    /// violated.
    pub mended: u64,
    /// The number of violations that earlier runs reported, that nobody has acknowledged, and that have
    /// no record in this run, by kind: the checkpoint has no names of them, or a filter leaves out their
    /// chains.
    pub counted: BTreeMap<String, u64>,
    /// The same for those that somebody has acknowledged, with the acknowledgement.
    pub counted_acknowledged: Vec<AcknowledgedCount>,
}

/// A number of acknowledged violations of which the checkpoint has no names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "acknowledged_count")]
pub struct AcknowledgedCount {
    /// The kind of the violations.
    pub what: String,
    /// The number of the violations.
    pub count: u64,
    /// The acknowledgement.
    pub acknowledged: Acknowledgement,
}

impl SinceCheckpoint {
    /// Returns whether the run found the same as the one before it.
    pub fn is_same(&self, verdict: Verdict) -> bool {
        self.new == 0 && self.last_run.is_some_and(|last| last.verdict == verdict)
    }
}

/// The time in which a public key is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "key_validity")]
pub struct KeyValidity {
    /// The time from which the key is valid.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub from: Timestamp,
    /// The time until which the key is valid.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub to: Timestamp,
}

/// The end of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    /// True if events of tampering were looked for in the log files that were found intact. The tally
    /// has their number.
    pub looked_for_tampering: bool,
    /// True if the run was interrupted before its end.
    pub interrupted: bool,
    /// True if the public keys are those that the examined bag itself holds, compared with no
    /// others.
    pub keys_of_bag: bool,
    /// The fingerprints of the public keys under which signatures verified, by region.
    pub public_keys: BTreeMap<String, BTreeSet<String>>,
    /// The validity of these keys, by fingerprint, as the source of the keys states it.
    pub key_validity: BTreeMap<String, KeyValidity>,
    /// The requests that the run made.
    pub requests: Requests,
    /// The comparison with the runs before it, if a checkpoint is kept.
    pub since_checkpoint: Option<SinceCheckpoint>,
    /// The time at which the run ended.
    pub finished: Timestamp,
}

impl SummaryRecord {
    /// True if the exit code is 1 because of an event of tampering, and not by the verdict.
    pub fn fails_by_tampering_alone(&self) -> bool {
        self.exit_code == exit_code::VIOLATED && self.verdict != Verdict::Violated
    }
}

impl Record {
    /// The identifier of the finding that the record is, as it is written.
    pub fn id(&self) -> Option<FindingId> {
        match self {
            Self::Digest(digest) => digest.id,
            Self::LogFile(file) => file.id,
            Self::Gap(gap) => gap.id,
            Self::Tampering(tampering) => tampering.id,
            Self::Chain(chain) => chain.id,
            Self::Run(_) | Self::Bag(_) | Self::Warning(_) | Self::Circumstances(_) | Self::Summary(_) => None,
        }
    }

    /// Derives the identifier of the finding that the record is, if it is one.
    fn finding_id(&self) -> Option<FindingId> {
        match self {
            Self::Digest(digest) => (digest.status != DigestStatus::Valid)
                .then(|| FindingId::of_digest(&digest.object, digest.status, digest.sha256, digest.fault)),
            // A file that no valid digest covers counts through its gap.
            Self::LogFile(file) => {
                (!matches!(file.status, LogFileStatus::Intact | LogFileStatus::Uncovered)).then(|| {
                    let (actual, fault, size) = (file.actual_sha256, file.fault, file.size);
                    FindingId::of_log_file(&file.object, file.status, actual, fault, size)
                })
            }
            Self::Gap(gap) => gap.cause.is_finding().then(|| FindingId::of_gap(&gap.chain, gap.cause, gap.from)),
            Self::Tampering(tampering) => {
                let EventReference { bucket, key, .. } = &tampering.event;
                let object = ObjectRef { bucket: bucket.clone(), key: key.clone() };
                Some(FindingId::of_tampering(&tampering.rule, &object, tampering.index))
            }
            // Which digests contradict the chain is known where the record is made.
            Self::Chain(chain) => chain.id,
            Self::Run(_) | Self::Bag(_) | Self::Warning(_) | Self::Circumstances(_) | Self::Summary(_) => None,
        }
    }

    /// Sets the identifier of the finding that the record is.
    pub(crate) fn identify(&mut self) {
        let id = self.finding_id();
        match self {
            Self::Digest(digest) => digest.id = id,
            Self::LogFile(file) => file.id = id,
            Self::Gap(gap) => gap.id = id,
            Self::Tampering(tampering) => tampering.id = id,
            Self::Run(_)
            | Self::Bag(_)
            | Self::Chain(_)
            | Self::Warning(_)
            | Self::Circumstances(_)
            | Self::Summary(_) => {}
        }
    }

    /// The statements of earlier runs about the finding; `None` for a kind of record that is no
    /// finding.
    pub fn history(&self) -> Option<&History> {
        match self {
            Self::Digest(digest) => Some(&digest.history),
            Self::LogFile(file) => Some(&file.history),
            Self::Gap(gap) => Some(&gap.history),
            Self::Chain(chain) => Some(&chain.history),
            Self::Run(_)
            | Self::Bag(_)
            | Self::Tampering(_)
            | Self::Warning(_)
            | Self::Circumstances(_)
            | Self::Summary(_) => None,
        }
    }

    /// The acknowledgement of the finding, if somebody has acknowledged it.
    pub fn acknowledged(&self) -> Option<&Acknowledgement> {
        self.history()?.acknowledged.as_ref()
    }
}

/// The serialized form of a record: one line of JSON. It differs from [`Record`] in the summary,
/// which is written as counts, and in kinds of records of later versions, which can be read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line<'a> {
    /// The request of the run; the first record.
    Run(Cow<'a, RunRecord>),
    /// The evidence bag that is examined.
    Bag(Cow<'a, BagRecord>),
    /// The judgement on a digest file.
    Digest(Cow<'a, DigestRecord>),
    /// The judgement on a log file.
    LogFile(Cow<'a, LogFileRecord>),
    /// A part of the range that no valid digest covers.
    Gap(Cow<'a, GapRecord>),
    /// A proven event that weakens logging or the protection of the logs, or was to.
    Tampering(Cow<'a, TamperingRecord>),
    /// Something a reader should know.
    Warning(Cow<'a, WarningRecord>),
    /// A chain, after all that belongs to it.
    Chain(Cow<'a, ChainRecord>),
    /// The circumstances of the run: command, machine, AWS identity and case.
    Circumstances(Cow<'a, CircumstancesRecord>),
    /// The end, with the verdict.
    Summary(SummaryLine),
    /// A kind of record that this version doesn't know.
    #[serde(other, skip_serializing)]
    #[schemars(skip)]
    Other,
}

impl<'a> From<&'a Record> for Line<'a> {
    fn from(record: &'a Record) -> Self {
        match record {
            Record::Run(run) => Self::Run(Cow::Borrowed(run)),
            Record::Bag(bag) => Self::Bag(Cow::Borrowed(bag)),
            Record::Digest(digest) => Self::Digest(Cow::Borrowed(digest)),
            Record::LogFile(log_file) => Self::LogFile(Cow::Borrowed(log_file)),
            Record::Gap(gap) => Self::Gap(Cow::Borrowed(gap)),
            Record::Tampering(tampering) => Self::Tampering(Cow::Borrowed(tampering)),
            Record::Warning(warning) => Self::Warning(Cow::Borrowed(warning)),
            Record::Chain(chain) => Self::Chain(Cow::Borrowed(chain)),
            Record::Circumstances(circumstances) => Self::Circumstances(Cow::Borrowed(circumstances)),
            Record::Summary(summary) => Self::Summary(summary.into()),
        }
    }
}

/// The end of a run, with the verdict: the serialized form of [`SummaryRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "summary")]
pub struct SummaryLine {
    /// The verdict of the run.
    pub verdict: Verdict,
    /// The exit code that the process ends with.
    #[schemars(extend("enum" = [
        exit_code::VERIFIED, exit_code::VIOLATED, exit_code::INCONCLUSIVE, exit_code::INTERRUPTED
    ]))]
    pub exit_code: u8,
    /// The depth of the audit.
    pub depth: Depth,
    /// The number of digests by status.
    #[schemars(extend("required" = words(DigestStatus::ALL, DigestStatus::as_str)))]
    pub digests: BTreeMap<String, u64>,
    /// The number of log files by status. `unverified` includes those of `not_read`, the log files
    /// that depth or sample did not ask for.
    #[schemars(extend("required" = words(LogFileStatus::ALL, LogFileStatus::as_str)))]
    pub log_files: BTreeMap<String, u64>,
    /// The result of the sample, if not all log files were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SampleLine")]
    pub sample: Option<SampleLine>,
    /// The number of gap records.
    pub gaps: u64,
    /// The number of acknowledged findings, which no other count contains.
    #[serde(default)]
    pub acknowledged: u64,
    /// The number of warning records.
    pub warnings: u64,
    /// The number of findings of tampering, if such were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TamperingCounts")]
    pub tampering: Option<TamperingCounts>,
    /// True if the public keys are those that the examined bag itself holds, compared with no
    /// others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys_of_bag: bool,
    /// The fingerprints of the public keys under which signatures verified, by region.
    #[serde(default)]
    pub public_keys: BTreeMap<String, BTreeSet<String>>,
    /// The validity of these keys, by fingerprint, as the source of the keys states it.
    #[serde(default)]
    pub key_validity: BTreeMap<String, KeyValidity>,
    /// The requests that the run made.
    pub requests: Requests,
    /// The comparison with the runs before it, if a checkpoint is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SinceCheckpoint")]
    pub checkpoint: Option<SinceCheckpoint>,
    /// The time at which the run ended.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub finished: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|value| word(*value)).collect()
}

/// The result of a sample: the serialized form of [`SampleResult`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sample_result")]
pub struct SampleLine {
    /// The number of log files that the sample was drawn from.
    pub total: u64,
    /// The number of log files that were read.
    pub read: u64,
    /// The number of log files read that are not intact: modified, deleted, or not readable.
    pub bad: u64,
    /// The upper bound of bad files, with 95 % confidence. Computed from the other three, so that
    /// the value that is read is ignored.
    #[serde(skip_deserializing)]
    pub at_most_bad: u64,
}

impl From<&SummaryRecord> for SummaryLine {
    fn from(summary: &SummaryRecord) -> Self {
        let tally = &summary.tally;
        let digests = DigestStatus::ALL.iter().map(|status| (status.to_string(), tally.digests(*status))).collect();
        Self {
            verdict: summary.verdict,
            exit_code: summary.exit_code,
            depth: summary.depth,
            digests,
            log_files: log_file_counts(summary),
            sample: summary.sample.map(|sample| SampleLine {
                total: sample.total,
                read: sample.read,
                bad: sample.bad,
                at_most_bad: sample.at_most_bad(),
            }),
            gaps: tally.gaps(),
            acknowledged: tally.acknowledged,
            warnings: tally.warnings,
            tampering: summary.looked_for_tampering.then_some(tally.tampering),
            keys_of_bag: summary.keys_of_bag,
            public_keys: summary.public_keys.clone(),
            key_validity: summary.key_validity.clone(),
            requests: summary.requests,
            checkpoint: summary.since_checkpoint.clone(),
            finished: summary.finished,
        }
    }
}

/// Counts log files by status. Those that a shallow audit did not read count as unverified here,
/// but do not affect the verdict.
fn log_file_counts(summary: &SummaryRecord) -> BTreeMap<String, u64> {
    let count = |status: &LogFileStatus| (status.to_string(), summary.tally.log_files(*status));
    let mut counts: BTreeMap<_, _> = LogFileStatus::ALL.iter().map(count).collect();
    let unverified = counts.entry(LogFileStatus::Unverified.to_string()).or_default();
    *unverified = unverified.saturating_add(summary.not_read);
    counts.insert(NOT_READ.to_owned(), summary.not_read);
    counts
}

/// The name of the count of log files that were not read on purpose.
const NOT_READ: &str = "not_read";

impl SummaryLine {
    /// The summary record of this line, with the counts of the records before it.
    pub(super) fn into_record(self, mut tally: Tally) -> SummaryRecord {
        let sample = self.sample.map(|SampleLine { total, read, bad, .. }| SampleResult { total, read, bad });
        tally.unsampled = sample.map_or(0, |sample| sample.total.saturating_sub(sample.read));
        if let Some(checkpoint) = &self.checkpoint {
            tally.take_counted(checkpoint);
        }
        SummaryRecord {
            verdict: self.verdict,
            exit_code: self.exit_code,
            depth: self.depth,
            not_read: self.log_files.get(NOT_READ).copied().unwrap_or_default(),
            tally,
            sample,
            looked_for_tampering: self.tampering.is_some(),
            interrupted: self.exit_code == exit_code::INTERRUPTED,
            keys_of_bag: self.keys_of_bag,
            public_keys: self.public_keys,
            key_validity: self.key_validity,
            requests: self.requests,
            since_checkpoint: self.checkpoint,
            finished: self.finished,
        }
    }
}

/// The fields of [`LastRun`]: both are null if there was no earlier run.
mod last_run {
    use super::{
        Deserialize, Deserializer, JsonSchema, LastRun, Serialize, Serializer, Timestamp, Verdict, optional_time,
    };

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Fields {
        /// The start of the last run that came to its end.
        #[serde(default, with = "optional_time")]
        #[schemars(with = "Option<Timestamp>")]
        last_run: Option<Timestamp>,
        /// The verdict of that run.
        last_verdict: Option<Verdict>,
    }

    pub(super) fn serialize<S: Serializer>(last: &Option<LastRun>, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = Fields { last_run: last.map(|run| run.started), last_verdict: last.map(|run| run.verdict) };
        fields.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LastRun>, D::Error> {
        let Fields { last_run, last_verdict } = Fields::deserialize(deserializer)?;
        Ok(last_run.zip(last_verdict).map(|(started, verdict)| LastRun { started, verdict }))
    }
}
