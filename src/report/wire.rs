//! The public form of the records, schema `ctverify/2`, kept apart from the types that the code
//! works with.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, Unit};
use serde::Serialize;

use crate::model::{
    self, CaseInfo, ChainId, ChainRecord, CircumstancesRecord, DigestRecord, DigestStatus, GapRecord, LogFileRecord,
    LogFileStatus, Record, RunRecord, SummaryRecord, WarningRecord,
};

pub(super) const SCHEMA: &str = "ctverify/2";

/// A record in its public form. Fields are declared in the order in which they are written.
#[derive(Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Wire<'a> {
    Run {
        schema: &'static str,
        version: &'a str,
        started: String,
        trail_arn: Option<String>,
        start: Option<String>,
        end: Option<String>,
        source: &'a str,
        depth: &'static str,
        sample: Option<Sample>,
        grace_seconds: i64,
    },
    Digest {
        status: &'static str,
        kind: &'static str,
        #[serde(flatten)]
        chain: Chain<'a>,
        bucket: &'a str,
        key: &'a str,
        start: String,
        end: String,
        sha256: Option<String>,
        fault: Option<&'static str>,
        detail: Option<&'a str>,
        signature_from: Option<&'static str>,
        versions: Option<Versions<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<String>,
    },
    LogFile {
        status: &'static str,
        #[serde(flatten)]
        chain: Chain<'a>,
        bucket: &'a str,
        key: &'a str,
        digest: Option<&'a str>,
        expected_sha256: Option<String>,
        actual_sha256: Option<String>,
        size: Option<u64>,
        fault: Option<&'static str>,
        detail: Option<&'a str>,
        versions: Option<Versions<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<String>,
    },
    Gap {
        cause: &'static str,
        #[serde(flatten)]
        chain: Chain<'a>,
        from: String,
        to: String,
        missing_digests: u64,
        uncovered_log_files: u64,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<String>,
    },
    Warning {
        code: &'static str,
        bucket: Option<&'a str>,
        key: Option<&'a str>,
        detail: &'a str,
    },
    Chain {
        #[serde(flatten)]
        chain: Chain<'a>,
        fault: Option<&'static str>,
        detail: Option<&'a str>,
        from: String,
        to: String,
        covered_seconds: u64,
        requested_seconds: u64,
        fresh_log_files: u64,
        edge_log_files: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<String>,
    },
    Circumstances {
        build: &'a str,
        command: &'a [String],
        host: Option<&'a str>,
        identity: Option<&'a str>,
        keys: Option<&'a str>,
        clock_ahead_ms: Option<i64>,
        case: Option<&'a str>,
        exhibit: Option<&'a str>,
        examiner: Option<&'a str>,
        notes: &'a [String],
    },
    Summary {
        verdict: &'static str,
        exit_code: u8,
        depth: &'static str,
        digests: BTreeMap<&'static str, u64>,
        log_files: BTreeMap<&'static str, u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sample: Option<SampleResult>,
        gaps: u64,
        warnings: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        keys_of_bag: bool,
        requests: Requests,
        #[serde(skip_serializing_if = "Option::is_none")]
        checkpoint: Option<SinceCheckpoint<'a>>,
        finished: String,
    },
}

#[derive(Serialize)]
pub(super) struct Chain<'a> {
    organization: Option<&'a str>,
    account: &'a str,
    region: Option<&'a str>,
    trail: &'a str,
    home_region: &'a str,
}

#[derive(Serialize)]
pub(super) struct Sample {
    files: u64,
    seed: u64,
}

#[derive(Serialize)]
pub(super) struct SampleResult {
    total: u64,
    read: u64,
    bad: u64,
    /// The upper bound of bad files, with 95 % confidence.
    at_most_bad: u64,
}

/// The findings of the run compared with those of earlier runs.
#[derive(Serialize)]
pub(super) struct SinceCheckpoint<'a> {
    last_run: Option<String>,
    last_verdict: Option<&'static str>,
    new: u64,
    known: u64,
    earlier: &'a BTreeMap<String, u64>,
}

impl<'a> From<&'a model::SinceCheckpoint> for SinceCheckpoint<'a> {
    fn from(since: &'a model::SinceCheckpoint) -> Self {
        let model::SinceCheckpoint { last_run, new, known, earlier } = since;
        Self {
            last_run: last_run.map(|run| time(run.started)),
            last_verdict: last_run.map(|run| run.verdict.as_str()),
            new: *new,
            known: *known,
            earlier,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Versions<'a> {
    intact_version_id: Option<&'a str>,
    intact_last_modified: Option<String>,
    deleted_at: Option<String>,
}

impl<'a> From<&'a model::Versions> for Versions<'a> {
    fn from(versions: &'a model::Versions) -> Self {
        Self {
            intact_version_id: versions.intact_version_id.as_deref(),
            intact_last_modified: versions.intact_last_modified.map(time),
            deleted_at: versions.deleted_at.map(time),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Requests {
    get: u64,
    list: u64,
    other: u64,
}

impl<'a> From<&'a Arc<ChainId>> for Chain<'a> {
    fn from(chain: &'a Arc<ChainId>) -> Self {
        Self {
            organization: chain.organization.as_ref().map(|id| id.as_str()),
            account: chain.account.as_str(),
            region: chain.region.known(),
            trail: chain.trail.as_str(),
            home_region: chain.home_region.as_str(),
        }
    }
}

/// Formats a time as RFC 3339 in UTC, in whole seconds unless there are milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.round(Unit::Millisecond).unwrap_or(at).to_string()
}

/// Converts a record to a JSON value.
pub(super) fn value(record: &Record) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(Wire::from(record))
}

impl<'a> From<&'a Record> for Wire<'a> {
    fn from(record: &'a Record) -> Self {
        match record {
            Record::Run(run) => run.into(),
            Record::Digest(digest) => digest.into(),
            Record::LogFile(log_file) => log_file.into(),
            Record::Gap(gap) => gap.into(),
            Record::Warning(warning) => warning.into(),
            Record::Chain(chain) => chain.into(),
            Record::Circumstances(circumstances) => circumstances.into(),
            Record::Summary(summary) => summary.into(),
        }
    }
}

impl<'a> From<&'a RunRecord> for Wire<'a> {
    fn from(run: &'a RunRecord) -> Self {
        Self::Run {
            schema: SCHEMA,
            version: &run.version,
            started: time(run.started),
            trail_arn: run.trail_arn.as_ref().map(ToString::to_string),
            start: run.range.start.map(time),
            end: run.range.end.map(time),
            source: &run.source,
            depth: run.depth.as_str(),
            sample: run.sample.map(|model::Sample { files, seed }| Sample { files, seed }),
            grace_seconds: run.grace_seconds,
        }
    }
}

impl<'a> From<&'a DigestRecord> for Wire<'a> {
    fn from(digest: &'a DigestRecord) -> Self {
        Self::Digest {
            status: digest.status.as_str(),
            kind: digest.kind.as_str(),
            chain: (&digest.chain).into(),
            bucket: &digest.object.bucket,
            key: &digest.object.key,
            start: time(digest.start),
            end: time(digest.end),
            sha256: digest.sha256.map(|hash| hash.to_string()),
            fault: digest.fault.map(|fault| fault.as_str()),
            detail: digest.detail.as_deref(),
            signature_from: digest.signature_from.map(|from| from.as_str()),
            versions: digest.versions.as_ref().map(Versions::from),
            since: digest.since.map(time),
        }
    }
}

impl<'a> From<&'a LogFileRecord> for Wire<'a> {
    fn from(log_file: &'a LogFileRecord) -> Self {
        Self::LogFile {
            status: log_file.status.as_str(),
            chain: (&log_file.chain).into(),
            bucket: &log_file.object.bucket,
            key: &log_file.object.key,
            digest: log_file.digest.as_deref(),
            expected_sha256: log_file.expected_sha256.map(|hash| hash.to_string()),
            actual_sha256: log_file.actual_sha256.map(|hash| hash.to_string()),
            size: log_file.size,
            fault: log_file.fault.map(|fault| fault.as_str()),
            detail: log_file.detail.as_deref(),
            versions: log_file.versions.as_ref().map(Versions::from),
            since: log_file.since.map(time),
        }
    }
}

impl<'a> From<&'a GapRecord> for Wire<'a> {
    fn from(gap: &'a GapRecord) -> Self {
        Self::Gap {
            cause: gap.cause.as_str(),
            chain: (&gap.chain).into(),
            from: time(gap.from),
            to: time(gap.to),
            missing_digests: gap.missing_digests,
            uncovered_log_files: gap.uncovered_log_files,
            detail: &gap.detail,
            since: gap.since.map(time),
        }
    }
}

impl<'a> From<&'a WarningRecord> for Wire<'a> {
    fn from(warning: &'a WarningRecord) -> Self {
        Self::Warning {
            code: warning.code.as_str(),
            bucket: warning.bucket.as_deref(),
            key: warning.key.as_deref(),
            detail: &warning.detail,
        }
    }
}

impl<'a> From<&'a ChainRecord> for Wire<'a> {
    fn from(chain: &'a ChainRecord) -> Self {
        Self::Chain {
            chain: (&chain.chain).into(),
            fault: chain.fault.map(|fault| fault.as_str()),
            detail: chain.detail.as_deref(),
            from: time(chain.from),
            to: time(chain.to),
            covered_seconds: chain.covered_seconds,
            requested_seconds: chain.requested_seconds,
            fresh_log_files: chain.fresh_log_files,
            edge_log_files: chain.edge_log_files,
            since: chain.since.map(time),
        }
    }
}

impl<'a> From<&'a CircumstancesRecord> for Wire<'a> {
    fn from(record: &'a CircumstancesRecord) -> Self {
        let CaseInfo { case, exhibit, examiner, notes } = &record.case;
        Self::Circumstances {
            build: &record.build,
            command: &record.command,
            host: record.host.as_deref(),
            identity: record.identity.as_deref(),
            keys: record.keys.as_deref(),
            clock_ahead_ms: record.clock_ahead_ms,
            case: case.as_deref(),
            exhibit: exhibit.as_deref(),
            examiner: examiner.as_deref(),
            notes,
        }
    }
}

/// Counts log files by status. Those that a shallow audit did not read count as unverified here,
/// but do not affect the verdict.
fn log_file_counts(summary: &SummaryRecord) -> BTreeMap<&'static str, u64> {
    let count = |status: &LogFileStatus| (status.as_str(), summary.tally.log_files(*status));
    let mut counts: BTreeMap<_, _> = LogFileStatus::ALL.iter().map(count).collect();
    *counts.entry(LogFileStatus::Unverified.as_str()).or_default() += summary.not_read;
    counts.insert("not_read", summary.not_read);
    counts
}

impl<'a> From<&'a SummaryRecord> for Wire<'a> {
    fn from(summary: &'a SummaryRecord) -> Self {
        let tally = &summary.tally;
        Self::Summary {
            verdict: summary.verdict.as_str(),
            exit_code: summary.exit_code,
            depth: summary.depth.as_str(),
            digests: DigestStatus::ALL.iter().map(|status| (status.as_str(), tally.digests(*status))).collect(),
            log_files: log_file_counts(summary),
            sample: summary.sample.map(|sample| SampleResult {
                total: sample.total,
                read: sample.read,
                bad: sample.bad,
                at_most_bad: sample.at_most_bad(),
            }),
            gaps: tally.gaps(),
            warnings: tally.warnings,
            keys_of_bag: summary.keys_of_bag,
            requests: Requests {
                get: summary.requests.get,
                list: summary.requests.list,
                other: summary.requests.other,
            },
            checkpoint: summary.since_checkpoint.as_ref().map(SinceCheckpoint::from),
            finished: time(summary.finished),
        }
    }
}
