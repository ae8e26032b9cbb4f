//! Reading records that were saved earlier, so that further reports can be made of a costly run
//! without repeating it.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{
    Allowances, CaseInfo, ChainId, ChainRecord, CircumstancesRecord, DigestRecord, DigestStatus, Fault, GapRecord,
    LastRun, LogFileRecord, LogFileStatus, ObjectRef, Record, Region, Requests, RunRecord, Sample, SampleResult,
    Sha256Hash, SinceCheckpoint, SummaryRecord, Tally, TimeRange, Verdict, Versions, WarningRecord, exit_code,
};

/// The reason why saved records can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can't be read, or `take` failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is not a record.
    #[error("line {line} is no record of ctverify/2: {reason}")]
    Line {
        /// The number of the line, counted from 1.
        line: usize,
        /// A description of the fault.
        reason: String,
    },
    /// The run record or the summary is missing.
    #[error(
        "the records have no {0}: they are not those of a whole run, as --format jsonl or --report jsonl=FILE writes them"
    )]
    Incomplete(&'static str),
    /// The summary has a verdict that these records can't result in.
    #[error(
        "the summary does not fit the records: '{claimed}' with exit code {exit_code} is no verdict that they can come to"
    )]
    Verdict {
        /// The verdict in the summary.
        claimed: Verdict,
        /// The exit code in the summary.
        exit_code: u8,
    },
    /// A count in the summary differs from the records.
    #[error("the summary does not fit the records: it counts {claimed} {what}, and there are {found}")]
    Contradiction {
        /// The kind of record that is counted.
        what: String,
        /// The count in the summary.
        claimed: u64,
        /// The number of records that were found.
        found: u64,
    },
}

/// Reads the records of one run from lines of JSON, and passes each to `take`. Kinds of records
/// that this version doesn't know are skipped.
pub fn read_records(
    lines: impl BufRead,
    mut take: impl FnMut(&Record) -> std::io::Result<()>,
) -> Result<SummaryRecord, ReadError> {
    let mut tally = Tally::default();
    let (mut has_run, mut summary) = (false, None);
    for (index, line) in lines.lines().enumerate() {
        let line = line?;
        let wrong = |reason: String| ReadError::Line { line: index + 1, reason };
        if summary.is_some() {
            return Err(wrong("it comes after the summary".to_owned()));
        }
        let wire: Wire = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        if !has_run && !matches!(wire, Wire::Run { .. }) {
            return Err(ReadError::Incomplete("run record at their begin"));
        }
        let record = match wire {
            Wire::Other => continue,
            Wire::Summary(claimed) => {
                let record = claimed.read(std::mem::take(&mut tally)).map_err(wrong)?;
                summary = Some(record.clone());
                claimed.compare(&record)?;
                Record::Summary(record)
            }
            other => other.read().map_err(wrong)?,
        };
        has_run |= matches!(record, Record::Run(_));
        tally.count(&record);
        take(&record)?;
    }
    summary.ok_or(ReadError::Incomplete("summary"))
}

#[derive(Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Wire {
    Run {
        schema: String,
        version: String,
        started: Timestamp,
        trail_arn: Option<String>,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        source: String,
        depth: String,
        sample: Option<WireSample>,
        grace_seconds: i64,
    },
    Digest {
        status: String,
        kind: String,
        #[serde(flatten)]
        chain: Chain,
        bucket: String,
        key: String,
        start: Timestamp,
        end: Timestamp,
        sha256: Option<String>,
        fault: Option<String>,
        detail: Option<String>,
        signature_from: Option<String>,
        versions: Option<WireVersions>,
        since: Option<Timestamp>,
    },
    LogFile {
        status: String,
        #[serde(flatten)]
        chain: Chain,
        bucket: String,
        key: String,
        digest: Option<String>,
        expected_sha256: Option<String>,
        actual_sha256: Option<String>,
        size: Option<u64>,
        fault: Option<String>,
        detail: Option<String>,
        versions: Option<WireVersions>,
        since: Option<Timestamp>,
    },
    Gap {
        cause: String,
        #[serde(flatten)]
        chain: Chain,
        from: Timestamp,
        to: Timestamp,
        missing_digests: u64,
        uncovered_log_files: u64,
        detail: String,
        since: Option<Timestamp>,
    },
    Warning {
        code: String,
        bucket: Option<String>,
        key: Option<String>,
        detail: String,
    },
    Chain {
        #[serde(flatten)]
        chain: Chain,
        fault: Option<String>,
        detail: Option<String>,
        from: Timestamp,
        to: Timestamp,
        covered_seconds: u64,
        requested_seconds: u64,
        fresh_log_files: u64,
        edge_log_files: u64,
        since: Option<Timestamp>,
    },
    Circumstances {
        build: String,
        command: Vec<String>,
        host: Option<String>,
        identity: Option<String>,
        keys: Option<String>,
        clock_ahead_ms: Option<i64>,
        case: Option<String>,
        exhibit: Option<String>,
        examiner: Option<String>,
        notes: Vec<String>,
    },
    Summary(WireSummary),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Chain {
    organization: Option<String>,
    account: String,
    region: Option<String>,
    trail: String,
    home_region: String,
}

#[derive(Deserialize)]
struct WireSample {
    files: u64,
    seed: u64,
}

#[derive(Deserialize)]
struct WireVersions {
    intact_version_id: Option<String>,
    intact_last_modified: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct WireSummary {
    verdict: String,
    exit_code: u8,
    depth: String,
    digests: BTreeMap<String, u64>,
    log_files: BTreeMap<String, u64>,
    sample: Option<WireResult>,
    gaps: u64,
    warnings: u64,
    #[serde(default)]
    keys_of_bag: bool,
    requests: WireRequests,
    checkpoint: Option<WireSince>,
    finished: Timestamp,
}

#[derive(Deserialize)]
struct WireSince {
    last_run: Option<Timestamp>,
    last_verdict: Option<String>,
    new: u64,
    known: u64,
    earlier: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct WireResult {
    total: u64,
    read: u64,
    bad: u64,
}

#[derive(Deserialize)]
struct WireRequests {
    get: u64,
    list: u64,
    other: u64,
}

fn fault(text: Option<String>) -> Result<Option<Fault>, String> {
    text.map(|text| text.parse()).transpose()
}

fn hash(text: Option<String>) -> Result<Option<Sha256Hash>, String> {
    text.map(|text| text.parse::<Sha256Hash>().map_err(|error| error.to_string())).transpose()
}

impl Chain {
    fn read(self) -> Result<Arc<ChainId>, String> {
        let wrong = |error: crate::model::IdError| error.to_string();
        Ok(Arc::new(ChainId {
            organization: self.organization.map(|id| id.parse()).transpose().map_err(wrong)?,
            account: self.account.parse().map_err(wrong)?,
            region: self.region.map_or(Ok(Region::none()), |region| region.parse()).map_err(wrong)?,
            trail: self.trail.parse().map_err(wrong)?,
            home_region: self.home_region.parse().map_err(wrong)?,
        }))
    }
}

impl From<WireVersions> for Versions {
    fn from(versions: WireVersions) -> Self {
        let WireVersions { intact_version_id, intact_last_modified, deleted_at } = versions;
        Self { intact_version_id, intact_last_modified, deleted_at }
    }
}

impl Wire {
    fn read(self) -> Result<Record, String> {
        Ok(match self {
            Self::Run { schema, version, started, trail_arn, start, end, source, depth, sample, grace_seconds } => {
                if schema != super::wire::SCHEMA {
                    return Err(format!("its schema is {schema}"));
                }
                Record::Run(RunRecord {
                    version,
                    started,
                    trail_arn: trail_arn
                        .map(|arn| arn.parse())
                        .transpose()
                        .map_err(|error: crate::model::ArnError| error.to_string())?,
                    range: TimeRange { start, end },
                    source,
                    depth: depth.parse()?,
                    sample: sample.map(|WireSample { files, seed }| Sample { files, seed }),
                    grace_seconds,
                    files: 0,
                })
            }
            Self::Digest {
                status,
                kind,
                chain,
                bucket,
                key,
                start,
                end,
                sha256,
                fault: code,
                detail,
                signature_from,
                versions,
                since,
            } => Record::Digest(DigestRecord {
                status: status.parse()?,
                kind: kind.parse()?,
                chain: chain.read()?,
                object: ObjectRef::new(bucket, key),
                start,
                end,
                sha256: hash(sha256)?,
                fault: fault(code)?,
                detail,
                signature_from: signature_from.map(|from| from.parse()).transpose()?,
                versions: versions.map(Into::into),
                since,
            }),
            Self::LogFile {
                status,
                chain,
                bucket,
                key,
                digest,
                expected_sha256,
                actual_sha256,
                size,
                fault: code,
                detail,
                versions,
                since,
            } => Record::LogFile(LogFileRecord {
                status: status.parse()?,
                chain: chain.read()?,
                object: ObjectRef::new(bucket, key),
                digest: digest.map(Into::into),
                expected_sha256: hash(expected_sha256)?,
                actual_sha256: hash(actual_sha256)?,
                size,
                fault: fault(code)?,
                detail,
                versions: versions.map(Into::into),
                since,
            }),
            Self::Gap { cause, chain, from, to, missing_digests, uncovered_log_files, detail, since } => {
                Record::Gap(GapRecord {
                    cause: cause.parse()?,
                    chain: chain.read()?,
                    from,
                    to,
                    missing_digests,
                    uncovered_log_files,
                    detail,
                    since,
                })
            }
            Self::Warning { code, bucket, key, detail } => Record::Warning(WarningRecord {
                code: code.parse()?,
                bucket: bucket.map(Into::into),
                key: key.map(Into::into),
                detail,
            }),
            Self::Chain {
                chain,
                fault,
                detail,
                from,
                to,
                covered_seconds,
                requested_seconds,
                fresh_log_files,
                edge_log_files,
                since,
            } => Record::Chain(ChainRecord {
                chain: chain.read()?,
                fault: fault.map(|fault| fault.parse()).transpose()?,
                detail,
                from,
                to,
                covered_seconds,
                requested_seconds,
                fresh_log_files,
                edge_log_files,
                since,
            }),
            Self::Circumstances {
                build,
                command,
                host,
                identity,
                keys,
                clock_ahead_ms,
                case,
                exhibit,
                examiner,
                notes,
            } => Record::Circumstances(CircumstancesRecord {
                build,
                command,
                host,
                identity,
                keys,
                clock_ahead_ms,
                case: CaseInfo { case, exhibit, examiner, notes },
            }),
            Self::Summary(_) | Self::Other => return Err("it is no record of its own".to_owned()),
        })
    }
}

impl WireSince {
    fn read(&self) -> Result<SinceCheckpoint, String> {
        let verdict = self.last_verdict.as_deref();
        let verdict = verdict.map(|verdict| verdict.parse()).transpose()?;
        Ok(SinceCheckpoint {
            last_run: self.last_run.zip(verdict).map(|(started, verdict)| LastRun { started, verdict }),
            new: self.new,
            known: self.known,
            earlier: self.earlier.clone(),
        })
    }
}

impl WireSummary {
    fn read(&self, mut tally: Tally) -> Result<SummaryRecord, String> {
        let sample =
            self.sample.as_ref().map(|sample| SampleResult { total: sample.total, read: sample.read, bad: sample.bad });
        tally.unsampled = sample.map_or(0, |sample| sample.total.saturating_sub(sample.read));
        Ok(SummaryRecord {
            verdict: self.verdict.parse()?,
            exit_code: self.exit_code,
            depth: self.depth.parse()?,
            not_read: self.log_files.get("not_read").copied().unwrap_or_default(),
            tally,
            sample,
            interrupted: self.exit_code == exit_code::INTERRUPTED,
            keys_of_bag: self.keys_of_bag,
            requests: Requests { get: self.requests.get, list: self.requests.list, other: self.requests.other },
            since_checkpoint: self.checkpoint.as_ref().map(WireSince::read).transpose()?,
            finished: self.finished,
        })
    }

    /// Compares the summary with the counts of the records, which differ if someone removed a line
    /// or added one.
    fn compare(&self, counted: &SummaryRecord) -> Result<(), ReadError> {
        let fits = |what: &str, claimed: u64, found: u64| {
            if claimed == found {
                return Ok(());
            }
            Err(ReadError::Contradiction { what: what.to_owned(), claimed, found })
        };
        let tally = &counted.tally;
        for status in DigestStatus::ALL {
            let claimed = self.digests.get(status.as_str()).copied().unwrap_or_default();
            fits(&format!("{status} digests"), claimed, tally.digests(*status))?;
        }
        for status in LogFileStatus::ALL {
            let claimed = self.log_files.get(status.as_str()).copied().unwrap_or_default();
            // Log files that were not read count as unverified in the summary, but have no record.
            let unread = if *status == LogFileStatus::Unverified { counted.not_read } else { 0 };
            fits(&format!("{status} log files"), claimed, tally.log_files(*status) + unread)?;
        }
        fits("gaps", self.gaps, tally.gaps())?;
        fits("warnings", self.warnings, tally.warnings)?;
        if self.can_come_to(counted) {
            return Ok(());
        }
        Err(ReadError::Verdict { claimed: counted.verdict, exit_code: self.exit_code })
    }

    /// Returns whether these counts can result in this verdict, whatever `--allow` excluded from
    /// it: no allowance softens a violation.
    fn can_come_to(&self, counted: &SummaryRecord) -> bool {
        let claimed = counted.verdict;
        if counted.interrupted {
            return claimed == Verdict::Inconclusive;
        }
        let lenient = Allowances { every_gap: true, unlisted: true, sample: true, ..Allowances::default() };
        let mildest = counted.tally.verdict(&lenient, false);
        self.exit_code == claimed.exit_code()
            && (claimed == Verdict::Violated) == (mildest == Verdict::Violated)
            && (claimed != Verdict::Verified || mildest == Verdict::Verified)
    }
}
