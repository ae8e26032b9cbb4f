//! Findings as JUnit XML, for tools that show test results: a suite for each chain, with a case for
//! its digests, one for its log files, and one for each finding.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::INTERRUPTED;
use super::Report;
use super::finding::acknowledgement;
use crate::debug::opaque_debug;
use crate::model::{BagStatus, DigestStatus, LogFileStatus, TamperingOutcome, printable};
use crate::records::{Record, Tally, format_time as time};

/// Findings as test cases.
pub struct Junit<W> {
    out: W,
    document: Document,
    suite: Vec<TestCase>,
    tally: Tally,
    /// The acknowledgement of the finding that is added next.
    acknowledged: Option<String>,
    fails_on_tampering: bool,
}

opaque_debug!(Junit<W>);

impl<W: Write> Junit<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            document: Document::new("ctverify"),
            suite: Vec::new(),
            tally: Tally::default(),
            acknowledged: None,
            fails_on_tampering: false,
        }
    }

    fn add(&mut self, name: String, kind: Option<NonSuccessKind>, word: &str, detail: &str) {
        let status = match (kind, self.acknowledged.take()) {
            (Some(_), Some(by)) => {
                let mut status = TestCaseStatus::skipped();
                status.set_type(word.to_owned());
                status.set_message(printable(&format!("{detail}; acknowledged {by}")).into_owned());
                status
            }
            (Some(kind), None) => {
                let mut status = TestCaseStatus::non_success(kind);
                status.set_type(word.to_owned()).set_message(printable(detail).into_owned());
                status
            }
            (None, _) => TestCaseStatus::success(),
        };
        self.suite.push(TestCase::new(printable(&name).into_owned(), status));
    }

    fn close(&mut self, name: &str) {
        let mut suite = TestSuite::new(printable(name).into_owned());
        suite.add_test_cases(std::mem::take(&mut self.suite));
        self.document.add_test_suite(suite);
    }
}

impl<W: Write> Report for Junit<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.tally.count(record);
        self.acknowledged = record.acknowledged().map(acknowledgement);
        let (failure, error) = (Some(NonSuccessKind::Failure), Some(NonSuccessKind::Error));
        match record {
            Record::Run(run) => self.fails_on_tampering = run.fails_on_tampering(),
            Record::Bag(bag) => {
                let problems: Vec<String> =
                    bag.problems.iter().map(|found| format!("{}: {}", found.path, found.problem)).collect();
                let kind = if bag.status == BagStatus::Altered { failure } else { None };
                self.add(bag.path.clone(), kind, bag.status.as_str(), &problems.join("\n"));
                self.close("evidence bag");
            }
            Record::Digest(digest) if digest.status != DigestStatus::Valid => {
                let kind = if digest.status == DigestStatus::Unverified { error } else { failure };
                let detail = digest.detail.as_deref().unwrap_or_default();
                self.add(format!("digest {}", digest.object), kind, digest.status.as_str(), detail);
            }
            Record::LogFile(file) if file.status != LogFileStatus::Intact => {
                let violated = matches!(file.status, LogFileStatus::Modified | LogFileStatus::Deleted);
                let detail = file.detail.as_deref().unwrap_or_default();
                let kind = if violated { failure } else { error };
                self.add(format!("log file {}", file.object), kind, file.status.as_str(), detail);
            }
            Record::Gap(gap) if gap.cause.is_finding() => {
                let kind = if gap.cause.is_violation() { failure } else { error };
                self.add(format!("gap {} to {}", time(gap.from), time(gap.to)), kind, gap.cause.as_str(), &gap.detail);
            }
            Record::Tampering(tampering) if tampering.outcome == TamperingOutcome::Succeeded => {
                let id = tampering.event.summary.event_id.as_deref().unwrap_or("without an identifier");
                // They are no part of the verdict, unless the caller says so.
                let kind = failure.filter(|_| self.fails_on_tampering);
                let name = format!("{}, event {id}: {}", tampering.rule, tampering.detail);
                self.add(name, kind, &tampering.rule, &tampering.detail);
            }
            Record::Chain(chain) => {
                let tally = std::mem::take(&mut self.tally);
                let (valid, intact) = (tally.digests(DigestStatus::Valid), tally.log_files(LogFileStatus::Intact));
                if let Some(fault) = chain.fault {
                    let detail = chain.detail.as_deref().unwrap_or_default();
                    self.add("the chain as a whole".to_owned(), failure, fault.as_str(), detail);
                }
                self.add(format!("{valid} valid digests"), None, "", "");
                self.add(format!("{intact} intact log files"), None, "", "");
                self.close(&chain.chain.to_string());
            }
            Record::Summary(summary) => {
                let kind = match summary.exit_code {
                    0 => None,
                    1 => failure,
                    _ => error,
                };
                let word = summary.verdict.as_str();
                let detail = if summary.interrupted { INTERRUPTED } else { word };
                self.add("verdict".to_owned(), kind, word, detail);
                self.close("run");
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.document.serialize(&mut self.out).map_err(io::Error::other)?;
        self.out.flush()
    }
}
