//! Annotations of a GitHub workflow run (GitHub docs, "Workflow commands for GitHub Actions").

use std::io::{self, Write};

use super::Report;
use super::finding::{Finding, Severity};
use super::text::KEYS_OF_BAG;
use crate::debug::opaque_debug;
use crate::model::{LogFileStatus, Verdict};
use crate::records::{Allowances, Record};

/// The maximum number of annotations of one kind that GitHub shows for a step.
const SHOWN: usize = 10;

/// Annotations of a workflow run.
pub struct Annotations<W> {
    out: W,
    allowed: Allowances,
    errors: usize,
    warnings: usize,
}

opaque_debug!(Annotations<W>);

impl<W: Write> Annotations<W> {
    /// Creates a report that is written to `out`, which the runner of the workflow reads. Findings
    /// that are allowed get no annotation.
    pub fn new(out: W, allowed: Allowances) -> Self {
        Self { out, allowed, errors: 0, warnings: 0 }
    }

    fn write(&mut self, level: &str, title: &str, message: &str) -> io::Result<()> {
        writeln!(self.out, "::{level} title={}::{}", property(title), data(message))
    }
}

impl<W: Write> Report for Annotations<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if let Record::Summary(summary) = record
            && summary.verdict != Verdict::Verified
        {
            let level = if summary.verdict == Verdict::Violated { "error" } else { "warning" };
            let found = self.errors + self.warnings;
            let findings = if found == 1 { "1 finding".to_owned() } else { format!("{found} findings") };
            let rests = if summary.keys_of_bag { format!("; {KEYS_OF_BAG}") } else { String::new() };
            let message = format!("the CloudTrail logs are {}: {findings}{rests}", summary.verdict);
            return self.write(level, "ctverify", &message);
        }
        let is_allowed = match record {
            Record::Gap(gap) => self.allowed.gap(gap.cause),
            Record::LogFile(file) => file.status == LogFileStatus::Unlisted && self.allowed.unlisted,
            _ => false,
        };
        let Some(finding) = Finding::of(record).filter(Finding::is_alarm) else { return Ok(()) };
        if is_allowed && finding.severity == Severity::Open {
            return Ok(());
        }
        let (level, count) = match finding.severity {
            Severity::Violation => ("error", &mut self.errors),
            Severity::Open | Severity::Event => ("warning", &mut self.warnings),
            Severity::Note => return Ok(()),
        };
        *count += 1;
        // The last annotation is reserved for the verdict.
        if *count >= SHOWN {
            return Ok(());
        }
        let object = finding.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
        self.write(level, &finding.title, &format!("{object}{}", finding.message))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Escapes the characters that the message of a command can't contain, and control characters,
/// which do not belong in a log, either.
fn data(text: &str) -> String {
    crate::model::printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
