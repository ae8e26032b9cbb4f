//! The facts of a report, gathered from the records of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::belongs_to_chain;
use super::super::finding::group_of;
use super::super::text_style::{counted, span};
use super::super::{Jsonl, Report as _};
use super::calendar::{Calendar, Hour};
use super::words;
use crate::model::{BagStatus, ChainFault, ChainId, DigestStatus, LogFileKey, LogFileStatus};
use crate::records::{
    AcknowledgedCount, CaseInfo, ChainRecord, CircumstancesRecord, DigestRecord, Filters, Line, LogFileRecord, Record,
    RunRecord, Setting, SinceCheckpoint, SummaryRecord, Tally, format_time as time,
};

/// The schema of the facts as JSON.
pub(super) const SCHEMA: &str = "ctverify-custody/1";

/// The maximum number of findings, of gaps and of warnings that a report spells out. The records
/// have all of them.
const SPELLED_OUT: usize = 5_000;

/// The origin of the records of a report.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The SHA-256 of the file of records, in hex, if there is one; otherwise that of the lines
    /// that `--report jsonl=` would write is used.
    pub records_sha256: Option<String>,
    /// The case as the examiner describes it now, which takes precedence over what the records say.
    pub case: CaseInfo,
}

/// A chain with the facts that were found in it.
pub(super) struct ChainFacts {
    pub chain: Arc<ChainId>,
    pub tally: Tally,
    pub record: ChainRecord,
    pub calendar: Calendar,
}

/// A collector of facts, which takes one record at a time.
pub(super) struct Gathering {
    origin: Origin,
    records: u64,
    /// The hash of the lines of the records.
    lines: Jsonl<Hasher>,
    run: Option<RunRecord>,
    circumstances: CircumstancesRecord,
    pub chains: Vec<ChainFacts>,
    current: (Tally, Calendar),
    findings: Vec<serde_json::Value>,
    acknowledged: Vec<serde_json::Value>,
    mended: Vec<serde_json::Value>,
    gaps: Vec<serde_json::Value>,
    warnings: Vec<serde_json::Value>,
    /// The group of each finding and of each warning, where it has one.
    pub finding_groups: Vec<Option<String>>,
    pub warning_groups: Vec<Option<String>>,
    left_out: u64,
    summary: Option<SummaryRecord>,
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Gathering {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            records: 0,
            lines: Jsonl::new(Hasher(Sha256::new())),
            run: None,
            circumstances: CircumstancesRecord::default(),
            chains: Vec::new(),
            current: Default::default(),
            findings: Vec::new(),
            acknowledged: Vec::new(),
            mended: Vec::new(),
            gaps: Vec::new(),
            warnings: Vec::new(),
            finding_groups: Vec::new(),
            warning_groups: Vec::new(),
            left_out: 0,
            summary: None,
        }
    }

    pub(super) fn take(&mut self, record: &Record) -> io::Result<()> {
        self.records += 1;
        self.lines.record(record)?;
        let (tally, calendar) = &mut self.current;
        if belongs_to_chain(record) {
            tally.count(record);
        }
        let spelled_out = match record {
            Record::Run(run) => {
                self.run = Some(run.clone());
                None
            }
            Record::Digest(digest) => {
                calendar.digest(digest.start, digest.end, hour_of_digest(digest));
                (digest.status != DigestStatus::Valid).then_some(&mut self.findings)
            }
            Record::LogFile(file) => {
                let hour = hour_of_log_file(file);
                match (file.status, LogFileKey::parse(&file.object.key)) {
                    // Such a file does not belong to the hour of the digest before it in the
                    // records.
                    _ if file.chain.region.known().is_none() => {}
                    (LogFileStatus::Unlisted | LogFileStatus::Uncovered, Some(name)) => {
                        calendar.at(name.time.from, hour)
                    }
                    (LogFileStatus::Unlisted | LogFileStatus::Uncovered, None) => {}
                    _ => calendar.log_file(hour),
                }
                (file.status != LogFileStatus::Intact).then_some(&mut self.findings)
            }
            Record::Gap(gap) => {
                let hour = match gap.cause {
                    cause if cause.is_violation() => Hour::Violated,
                    cause if cause.is_finding() => Hour::Gap,
                    _ => Hour::Open,
                };
                calendar.gap(gap.from, gap.to, hour);
                Some(&mut self.gaps)
            }
            Record::Bag(bag) => (bag.status == BagStatus::Altered).then_some(&mut self.findings),
            Record::Warning(_) => Some(&mut self.warnings),
            Record::Chain(chain) => {
                let (tally, calendar) = std::mem::take(&mut self.current);
                self.chains.push(ChainFacts { chain: chain.chain.clone(), tally, record: chain.clone(), calendar });
                None
            }
            Record::Circumstances(circumstances) => {
                self.circumstances = circumstances.clone();
                None
            }
            Record::Summary(summary) => {
                self.summary = Some(summary.clone());
                None
            }
        };
        let history = record.history().cloned().unwrap_or_default();
        let spelled_out = match record {
            // Gaps are told of whether or not they are acknowledged.
            Record::Gap(_) => spelled_out,
            _ if history.acknowledged.is_some() => Some(&mut self.acknowledged),
            _ if history.mended.is_some() => Some(&mut self.mended),
            _ => spelled_out,
        };
        let is_finding = history.acknowledged.is_none() && history.mended.is_none();
        if let Some(list) = spelled_out {
            if list.len() < SPELLED_OUT {
                match record {
                    Record::Warning(_) => self.warning_groups.push(group_of(record)),
                    Record::Digest(_) | Record::LogFile(_) | Record::Bag(_) if is_finding => {
                        self.finding_groups.push(group_of(record));
                    }
                    _ => {}
                }
                list.push(serde_json::to_value(Line::from(record))?);
            } else {
                self.left_out += 1;
            }
        }
        Ok(())
    }

    /// Returns the facts, once all records were taken.
    pub(super) fn facts(&mut self) -> io::Result<Facts> {
        let (Some(run), Some(summary)) = (&self.run, &self.summary) else {
            return Err(io::Error::other("the run came to no summary"));
        };
        let hash = std::mem::replace(&mut self.lines, Jsonl::new(Hasher(Sha256::new()))).into_inner();
        let computed = hex::encode(hash.0.finalize());
        let CircumstancesRecord { build, command, host, identity, keys, clock_ahead_ms, case } =
            self.circumstances.clone();
        let said = &self.origin.case;
        let made_with = MadeWith { case: Case::from(said.clone()), version: env!("CARGO_PKG_VERSION") };
        let case = Case {
            case: said.case.clone().or(case.case),
            exhibit: said.exhibit.clone().or(case.exhibit),
            examiner: said.examiner.clone().or(case.examiner),
            notes: [case.notes, said.notes.clone()].concat(),
        };
        Ok(Facts {
            schema: SCHEMA,
            verdict: VerdictFacts {
                word: summary.verdict.as_str(),
                exit_code: summary.exit_code,
                sentence: words::sentence(summary),
                scope: words::scope(run, summary, self.chains.len()),
            },
            case,
            made_with,
            examination: Examination {
                tool: "ctverify",
                version: run.version.clone(),
                build,
                command,
                host,
                identity,
                keys,
                public_keys: summary.public_keys.clone(),
                clock_ahead_ms,
                source: run.source.clone(),
                trail_arn: run.trail_arn.as_ref().map(ToString::to_string),
                start: run.range.start.map(time),
                end: run.range.end.map(time),
                from: words::begin(run, summary),
                to: words::end(run),
                depth: run.depth.as_str(),
                started: time(run.started),
                finished: time(summary.finished),
                objects_requested: summary.requests.get,
                filters: run.filters.clone(),
                allow: run.allow.clone(),
                endpoints: run.endpoints.clone(),
                settings: run.settings.clone(),
            },
            proves: words::proves(summary),
            does_not_prove: words::does_not_prove(summary),
            counts: Counts::of(&summary.tally, summary.not_read),
            chains: self.chains.iter().map(ChainRow::of).collect(),
            requested_seconds: self.chains.iter().map(|chain| chain.record.requested_seconds).sum(),
            findings: std::mem::take(&mut self.findings),
            acknowledged: std::mem::take(&mut self.acknowledged),
            mended: std::mem::take(&mut self.mended),
            only_counted: summary.since_checkpoint.as_ref().map(OnlyCounted::of).unwrap_or_default(),
            gaps: std::mem::take(&mut self.gaps),
            warnings: std::mem::take(&mut self.warnings),
            not_spelled_out: self.left_out,
            records: RecordsFacts {
                count: self.records,
                sha256: self.origin.records_sha256.clone().unwrap_or(computed),
            },
            method: words::method(run, summary),
            references: words::REFERENCES.iter().map(|(name, what)| Named { name, what }).collect(),
            glossary: words::GLOSSARY.iter().map(|(name, what)| Named { name, what }).collect(),
        })
    }
}

fn hour_of_digest(digest: &DigestRecord) -> Hour {
    match digest.status {
        // A log file that the digest lists raises the state of the hour.
        DigestStatus::Valid => Hour::Empty,
        DigestStatus::Unverified => Hour::Open,
        DigestStatus::Invalid | DigestStatus::Missing => Hour::Violated,
    }
}

fn hour_of_log_file(file: &LogFileRecord) -> Hour {
    match file.status {
        LogFileStatus::Intact => Hour::Covered,
        LogFileStatus::Unverified | LogFileStatus::Unlisted | LogFileStatus::Uncovered => Hour::Open,
        LogFileStatus::Modified | LogFileStatus::Deleted => Hour::Violated,
    }
}

/// The content of a report, in the order in which it is written.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    pub schema: &'static str,
    pub verdict: VerdictFacts,
    pub case: Case,
    /// The case as the examiner described it when the report was made, which takes precedence over
    /// what the records say. With it and the records, the report can be made again.
    pub made_with: MadeWith,
    pub examination: Examination,
    pub proves: Vec<String>,
    pub does_not_prove: Vec<String>,
    pub counts: Counts,
    pub chains: Vec<ChainRow>,
    /// The number of seconds that the range has for all chains together.
    pub requested_seconds: u64,
    /// The findings that nobody has acknowledged, without gaps and faults of chains.
    pub findings: Vec<serde_json::Value>,
    /// The acknowledged findings, without gaps.
    pub acknowledged: Vec<serde_json::Value>,
    /// The objects that are valid or intact, and that an earlier run reported as violated.
    pub mended: Vec<serde_json::Value>,
    pub only_counted: OnlyCounted,
    pub gaps: Vec<serde_json::Value>,
    pub warnings: Vec<serde_json::Value>,
    /// The number of findings, gaps and warnings that only the records have.
    pub not_spelled_out: u64,
    pub records: RecordsFacts,
    pub method: Vec<String>,
    pub references: Vec<Named>,
    pub glossary: Vec<Named>,
}

/// The violations of earlier runs that have no record in this run.
#[derive(Debug, Default, Serialize)]
pub(super) struct OnlyCounted {
    /// Those that nobody has acknowledged, by kind.
    pub open: BTreeMap<String, u64>,
    pub acknowledged: Vec<AcknowledgedCount>,
}

impl OnlyCounted {
    fn of(since: &SinceCheckpoint) -> Self {
        Self { open: since.counted.clone(), acknowledged: since.counted_acknowledged.clone() }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct VerdictFacts {
    pub word: &'static str,
    pub exit_code: u8,
    pub sentence: String,
    pub scope: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Case {
    pub case: Option<String>,
    pub exhibit: Option<String>,
    pub examiner: Option<String>,
    pub notes: Vec<String>,
}

/// The inputs from which a report was made, besides the records.
#[derive(Debug, Serialize)]
pub(super) struct MadeWith {
    #[serde(flatten)]
    pub case: Case,
    /// The version of the program that made the report.
    pub version: &'static str,
}

impl From<CaseInfo> for Case {
    fn from(case: CaseInfo) -> Self {
        let CaseInfo { case, exhibit, examiner, notes } = case;
        Self { case, exhibit, examiner, notes }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Examination {
    pub tool: &'static str,
    pub version: String,
    pub build: String,
    pub command: Vec<String>,
    pub host: Option<String>,
    pub identity: Option<String>,
    pub keys: Option<String>,
    /// The fingerprints of the public keys under which signatures verified, by region.
    pub public_keys: BTreeMap<String, BTreeSet<String>>,
    pub clock_ahead_ms: Option<i64>,
    pub source: String,
    pub trail_arn: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    /// The range in words.
    pub from: String,
    pub to: String,
    pub depth: &'static str,
    pub started: String,
    pub finished: String,
    pub objects_requested: u64,
    pub filters: Filters,
    pub allow: Vec<String>,
    pub endpoints: Option<BTreeMap<String, String>>,
    pub settings: Vec<Setting>,
}

/// The numbers of digests and log files of each status, of gaps and of warnings.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    pub digests: Vec<(&'static str, u64)>,
    pub log_files: Vec<(&'static str, u64)>,
    pub not_read: u64,
    pub gaps: u64,
    pub acknowledged: u64,
    pub warnings: u64,
}

impl Counts {
    fn of(tally: &Tally, not_read: u64) -> Self {
        Self {
            digests: DigestStatus::ALL.iter().map(|status| (status.as_str(), tally.digests(*status))).collect(),
            log_files: LogFileStatus::ALL.iter().map(|status| (status.as_str(), tally.log_files(*status))).collect(),
            not_read,
            gaps: tally.gaps(),
            acknowledged: tally.acknowledged,
            warnings: tally.warnings,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ChainRow {
    pub organization: Option<String>,
    pub account: String,
    pub region: String,
    pub trail: String,
    pub home_region: String,
    pub from: String,
    pub to: String,
    pub covered_seconds: u64,
    pub requested_seconds: u64,
    pub covered: String,
    pub fault: Option<&'static str>,
    pub detail: Option<String>,
    pub acknowledged: bool,
    pub counts: Counts,
}

impl ChainRow {
    fn of(facts: &ChainFacts) -> Self {
        let ChainFacts { chain, tally, record, .. } = facts;
        let hundredths = (u128::from(record.covered_seconds) * 10_000)
            .checked_div(u128::from(record.requested_seconds))
            .unwrap_or(0);
        Self {
            organization: chain.organization.as_ref().map(ToString::to_string),
            account: chain.account.to_string(),
            region: chain.region.to_string(),
            trail: chain.trail.to_string(),
            home_region: chain.home_region.to_string(),
            from: time(record.from),
            to: time(record.to),
            covered_seconds: record.covered_seconds,
            requested_seconds: record.requested_seconds,
            covered: match record.requested_seconds {
                0 => "no time of its own".to_owned(),
                _ => format!("{}.{:02} % of {}", hundredths / 100, hundredths % 100, span(record.from, record.to)),
            },
            fault: record.fault.map(ChainFault::as_str),
            detail: record.detail.clone(),
            acknowledged: record.history.acknowledged.is_some(),
            counts: Counts::of(tally, 0),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct RecordsFacts {
    pub count: u64,
    pub sha256: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Named {
    pub name: &'static str,
    pub what: &'static str,
}

impl Facts {
    /// Returns the title, in one line.
    pub(super) fn title(&self) -> String {
        let case = self.case.case.as_ref().map(|case| format!("{case}: ")).unwrap_or_default();
        let files: u64 = self.counts.log_files.iter().map(|(_, count)| count).sum();
        format!("{case}CloudTrail log file integrity, {}", counted(files, "log file"))
    }
}
