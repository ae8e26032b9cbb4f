//! The facts of a report, gathered from the records of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::belongs_to_chain;
use super::super::text_style::{counted, span};
use super::super::{Jsonl, Report as _};
use super::calendar::{Calendar, Hour};
use super::numbered::{Findings, Grouped};
use super::words;
use crate::model::{ChainFault, ChainId, DigestStatus, GapCause, LogFileKey, LogFileStatus};
use crate::records::{
    AcknowledgedCount, BagRecord, CaseInfo, ChainRecord, CircumstancesRecord, CustodyLine, DigestRecord, Filters,
    KeyValidity, LogFileRecord, Record, RunRecord, Setting, SinceCheckpoint, SummaryRecord, Tally, format_time as time,
};

/// The schema of the facts as JSON.
pub(super) const SCHEMA: &str = "ctverify-custody/1";

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
    /// The calendar; `None` if the chain has nothing to be seen, because chains may be thousands.
    pub calendar: Option<Calendar>,
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
    pub findings: Findings,
    acknowledged: Grouped,
    mended: Grouped,
    /// The gaps of each cause.
    gaps: BTreeMap<GapCause, Grouped>,
    warnings: Grouped,
    tampering: Grouped,
    /// The numbers of records that are not spelled out, once all were taken.
    pub left_out: LeftOut,
    bag: Option<BagRecord>,
    summary: Option<SummaryRecord>,
}

/// The numbers of records that a report does not spell out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeftOut {
    pub acknowledged: u64,
    pub mended: u64,
    pub warnings: u64,
    pub tampering: u64,
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
            findings: Findings::default(),
            acknowledged: Grouped::default(),
            mended: Grouped::default(),
            gaps: BTreeMap::new(),
            warnings: Grouped::default(),
            tampering: Grouped::default(),
            left_out: LeftOut::default(),
            bag: None,
            summary: None,
        }
    }

    pub(super) fn take(&mut self, record: &Record) -> io::Result<()> {
        self.records += 1;
        self.lines.record(record)?;
        if belongs_to_chain(record) {
            self.current.0.count(record);
        }
        self.mark(record);
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Bag(bag) => self.bag = Some(bag.clone()),
            Record::Chain(chain) => self.close_chain(chain),
            Record::Circumstances(circumstances) => self.circumstances = circumstances.clone(),
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            Record::Digest(_) | Record::LogFile(_) | Record::Gap(_) | Record::Tampering(_) | Record::Warning(_) => {}
        }
        if let Record::Gap(gap) = record {
            // Gaps are listed by their cause, the acknowledged ones too.
            self.gaps.entry(gap.cause).or_default().take(record)?;
        }
        if self.findings.take(record)? {
            return Ok(());
        }
        let has_mended = record.history().is_some_and(|history| history.mended.is_some());
        match record {
            Record::Warning(_) => self.warnings.take(record),
            Record::Tampering(_) => self.tampering.take(record),
            _ if record.acknowledged().is_some() => self.acknowledged.take(record),
            _ if has_mended => self.mended.take(record),
            _ => Ok(()),
        }
    }

    /// Marks the hours of a record in the calendar of the current chain.
    fn mark(&mut self, record: &Record) {
        let calendar = &mut self.current.1;
        match record {
            Record::Digest(digest) => calendar.digest(digest.start, digest.end, hour_of_digest(digest)),
            Record::LogFile(file) => {
                let hour = hour_of_log_file(file);
                match (file.status, LogFileKey::parse(&file.object.key)) {
                    // Such a file does not belong to the hour of the digest before it in the
                    // records.
                    _ if file.chain.region.known().is_none() => {}
                    (LogFileStatus::Unlisted | LogFileStatus::Uncovered, Some(name)) => {
                        calendar.at(name.time.from, hour);
                    }
                    (LogFileStatus::Unlisted | LogFileStatus::Uncovered, None) => {}
                    _ => calendar.log_file(hour),
                }
            }
            Record::Gap(gap) => {
                let hour = match gap.cause {
                    cause if cause.is_violation() => Hour::Violated,
                    cause if cause.is_finding() => Hour::Gap,
                    _ => Hour::Open,
                };
                calendar.gap(gap.from, gap.to, hour);
            }
            _ => {}
        }
    }

    fn close_chain(&mut self, record: &ChainRecord) {
        let (tally, calendar) = std::mem::take(&mut self.current);
        let mut facts = ChainFacts { chain: record.chain.clone(), tally, record: record.clone(), calendar: None };
        facts.calendar = (!facts.is_clean()).then_some(calendar);
        self.chains.push(facts);
    }

    /// Returns the facts, once all records were taken.
    pub(super) fn facts(&mut self) -> io::Result<Facts> {
        let (Some(run), Some(summary)) = (&self.run, &self.summary) else {
            return Err(io::Error::other("the run came to no summary"));
        };
        self.findings.number();
        self.left_out = LeftOut {
            acknowledged: self.acknowledged.left_out,
            mended: self.mended.left_out,
            warnings: self.warnings.left_out,
            tampering: self.tampering.left_out,
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
                sentence: words::sentence(run, summary),
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
                key_validity: summary.key_validity.clone(),
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
                files: run.files,
            },
            proves: words::proves(summary),
            does_not_prove: words::does_not_prove(summary),
            counts: Counts::of(&summary.tally, summary.not_read),
            chains: self.chains.iter().map(ChainRow::of).collect(),
            requested_seconds: self.chains.iter().map(|chain| chain.record.requested_seconds).sum(),
            findings: self.findings.by_kind().into_iter().flat_map(|kind| kind.findings).collect(),
            acknowledged: std::mem::take(&mut self.acknowledged.records),
            mended: std::mem::take(&mut self.mended.records),
            only_counted: summary.since_checkpoint.as_ref().map(OnlyCounted::of).unwrap_or_default(),
            not_spelled_out: self.left_out(),
            gaps: self.gaps.values_mut().flat_map(|of_cause| std::mem::take(&mut of_cause.records)).collect(),
            warnings: std::mem::take(&mut self.warnings.records),
            looked_for_tampering: summary.looked_for_tampering,
            fail_on: run.fail_on.clone(),
            tampering: std::mem::take(&mut self.tampering.records),
            bag: self.bag.as_ref().map(BagFacts::of),
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

impl Gathering {
    /// The number of findings, gaps and warnings that are not spelled out. A gap that is a finding is
    /// counted once.
    fn left_out(&self) -> u64 {
        let lists = [&self.acknowledged, &self.mended, &self.warnings, &self.tampering];
        let open = self.gaps.iter().filter(|(cause, _)| !cause.is_finding()).map(|(_, of_cause)| of_cause);
        self.findings.left_out() + lists.into_iter().chain(open).map(|list| list.left_out).sum::<u64>()
    }

    /// The number of gaps of a cause that are not spelled out.
    pub(super) fn gaps_left_out(&self, cause: GapCause) -> u64 {
        self.gaps.get(&cause).map_or(0, |of_cause| of_cause.left_out)
    }

    /// Returns whether the run goes on from an earlier one.
    pub(super) fn goes_on(&self) -> bool {
        let since = self.summary.as_ref().and_then(|summary| summary.since_checkpoint.as_ref());
        since.is_some_and(|since| since.last_run.is_some())
    }

    /// The number of log files of which not all events could be looked at for tampering.
    pub(super) fn tampering_unreadable(&self) -> u64 {
        self.summary.as_ref().map_or(0, |summary| summary.tally.unreadable)
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| summary.interrupted)
    }

    /// The begin and the end of the time that all chains together have.
    pub(super) fn period(&self) -> Option<(Timestamp, Timestamp)> {
        let from = self.chains.iter().map(|facts| facts.record.from).min()?;
        let to = self.chains.iter().map(|facts| facts.record.to).max()?;
        Some((from, to))
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
    /// The findings that nobody has acknowledged, the gravest first. Each has its `number`. Those that
    /// differ in nothing but the object are one: `more` counts the others, `others` names the first.
    pub findings: Vec<serde_json::Value>,
    /// The acknowledged findings.
    pub acknowledged: Vec<serde_json::Value>,
    /// The objects that are valid or intact, and that an earlier run reported as violated.
    pub mended: Vec<serde_json::Value>,
    pub only_counted: OnlyCounted,
    /// All gaps, by cause.
    pub gaps: Vec<serde_json::Value>,
    pub warnings: Vec<serde_json::Value>,
    /// True if events that weaken logging were looked for in the intact log files.
    pub looked_for_tampering: bool,
    /// The kinds of findings that make the exit code 1 whatever the verdict is.
    pub fail_on: Vec<String>,
    /// The events that weaken logging, and failed calls that would.
    pub tampering: Vec<serde_json::Value>,
    /// The evidence bag, if it was one that was examined.
    pub bag: Option<BagFacts>,
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
    /// The validity of these keys, by fingerprint.
    pub key_validity: BTreeMap<String, KeyValidity>,
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
    /// The number of single log files that were asked about; 0 if a range was.
    pub files: usize,
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

/// The evidence bag that was examined.
#[derive(Debug, Serialize)]
pub(super) struct BagFacts {
    pub path: String,
    pub status: &'static str,
    pub problems: usize,
    pub custody_entries: u64,
    pub manifest_sha256: Option<String>,
    /// The newest lines of the custody log.
    pub custody: Vec<CustodyLine>,
}

impl BagFacts {
    fn of(bag: &BagRecord) -> Self {
        Self {
            path: bag.path.clone(),
            status: bag.status.as_str(),
            problems: bag.problems.len(),
            custody_entries: bag.custody_entries,
            manifest_sha256: bag.manifest_sha256.clone(),
            custody: bag.custody.clone(),
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
    pub(super) fn of(facts: &ChainFacts) -> Self {
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
