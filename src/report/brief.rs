//! The content of a notice about a run: the verdict, the changes, and the first findings.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::finding::{Finding, Severity, cut, group_of};
use super::text::KEYS_OF_BAG;
use crate::model::printable;
use crate::records::{Line, Record, RunRecord, SummaryRecord, format_time as time};

/// The maximum number of findings that are spelled out in each list.
const SHOWN: usize = 20;
/// The maximum length of the message of one finding, in bytes.
const LONG: usize = 600;
/// The maximum length of a subject (SNS API reference, `Publish`: less than 100 characters).
const SUBJECT: usize = 99;
/// The maximum length of the name of an object, in bytes, as it is shown.
const NAME: usize = 300;

/// The content of a notice about a run.
#[derive(Debug, Default)]
pub struct Brief {
    run: Option<RunRecord>,
    summary: Option<SummaryRecord>,
    new: Vec<Grouped>,
    known: Vec<Grouped>,
    left_out: usize,
}

/// A finding, and the number of further ones that differ in nothing but the object.
#[derive(Debug)]
struct Grouped {
    finding: Finding,
    group: Option<String>,
    more: usize,
}

impl Brief {
    /// Takes one record.
    pub fn record(&mut self, record: &Record) {
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
        let Some(finding) = Finding::of(record).filter(Finding::is_alarm) else { return };
        let list = if finding.since.is_some() { &mut self.known } else { &mut self.new };
        let group = group_of(record);
        if let Some(known) = list.iter_mut().find(|known| group.is_some() && known.group == group) {
            known.more += 1;
            return;
        }
        let grouped = Grouped { finding, group, more: 0 };
        if list.len() < SHOWN {
            return list.push(grouped);
        }
        self.left_out += 1;
        // Violations replace open findings, which must not crowd them out.
        let open = list.iter().rposition(|other| other.finding.severity == Severity::Open);
        if let (Severity::Violation, Some(index)) = (grouped.finding.severity, open) {
            self.left_out += list[index].more;
            list[index] = grouped;
        }
    }

    /// Returns whether the result differs from that of the previous run, by another verdict, by a new
    /// finding, or by an event of tampering that succeeded. Without a checkpoint, returns whether the
    /// verdict is anything but `verified`.
    pub fn is_news(&self) -> bool {
        let Some(summary) = &self.summary else { return false };
        // The log file of an event is read once.
        if summary.tally.tampering.succeeded > 0 {
            return true;
        }
        let since = summary.since_checkpoint.as_ref();
        match since.and_then(|since| since.last_run) {
            Some(last) => last.verdict != summary.verdict || since.is_some_and(|since| since.new > 0),
            None => summary.exit_code != 0,
        }
    }

    /// Returns the summary of the run, if the run came to its end.
    pub fn summary(&self) -> Option<&SummaryRecord> {
        self.summary.as_ref()
    }

    /// The number of violations of earlier runs that have no record.
    fn counted(&self) -> u64 {
        self.summary.as_ref().map_or(0, |summary| summary.tally.counted)
    }

    fn trail(&self) -> String {
        let run = self.run.as_ref();
        run.map_or(String::new(), |run| run.trail_arn.as_ref().map_or(run.source.clone(), ToString::to_string))
    }

    /// Returns the subject, in one line of ASCII.
    pub fn subject(&self) -> String {
        let verdict = self.summary.as_ref().map_or("inconclusive", |summary| summary.verdict.as_str());
        let name = self.run.as_ref().and_then(|run| run.trail_arn.as_ref()).map(|arn| format!(" {}", arn.name));
        let line = format!("CloudTrail logs {}{}", verdict.to_uppercase(), name.unwrap_or_default());
        let line: String = line.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
        cut(&line, SUBJECT).to_owned()
    }

    /// Returns the text for people.
    pub fn text(&self) -> String {
        let Some(summary) = &self.summary else { return String::new() };
        let rests = if summary.keys_of_bag { format!(" ({KEYS_OF_BAG})") } else { String::new() };
        let verdict = summary.verdict.as_str().to_uppercase();
        let mut text = format!("{verdict}  {}{rests}\n", printable(&self.trail()));
        let last = summary.since_checkpoint.as_ref().and_then(|since| since.last_run);
        if let Some(last) = last {
            // Writing to a String can't fail.
            let _ = writeln!(text, "Before: {} ({})", last.verdict, time(last.started));
        }
        if self.counted() > 0 {
            let _ = writeln!(text, "Earlier runs reported {} more violations: their reports name them", self.counted());
        }
        if summary.tally.acknowledged > 0 {
            let _ = writeln!(text, "Acknowledged, and kept out of the verdict: {}", summary.tally.acknowledged);
        }
        for (title, findings) in [("New", &self.new), ("Known and still open", &self.known)] {
            for (index, Grouped { finding, more, .. }) in findings.iter().enumerate() {
                let head = if index == 0 { format!("\n{title}:\n") } else { String::new() };
                let object = finding.object.as_ref().map(|object| format!("\n    {object}")).unwrap_or_default();
                let more = if *more > 0 { format!("\n    and {more} more of the same kind") } else { String::new() };
                let entry = format!("{}{}{more}", cut(&finding.message, LONG), cut(&object, NAME));
                let _ = writeln!(text, "{head}  [{}] {}", finding.rule, lines(&entry));
            }
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "\n… and {} more: the run's reports have them all", self.left_out);
        }
        text
    }

    /// Returns the content for machines: a JSON object with, among others, the fields `verdict`,
    /// `previous_verdict`, `trail_arn`, `source`, `new` and `known` (lists of findings), `left_out`
    /// (the number of findings in neither list) and `summary`.
    pub fn json(&self) -> String {
        let findings = |findings: &[Grouped]| -> Vec<Value> {
            let of = |Grouped { finding, more, .. }: &Grouped| {
                json!({
                    "id": finding.id(),
                    "rule": finding.rule,
                    "severity": match finding.severity {
                        Severity::Violation => "violation",
                        Severity::Event => "event",
                        Severity::Open | Severity::Note => "open",
                    },
                    "title": finding.title,
                    "message": cut(&finding.message, LONG),
                    "object": finding.object.as_ref().map(|object| cut(&object.to_string(), NAME).to_owned()),
                    "since": finding.since.map(time),
                    "more_of_the_kind": more,
                })
            };
            findings.iter().map(of).collect()
        };
        let summary = self.summary.as_ref();
        let last = summary.and_then(|summary| summary.since_checkpoint.as_ref()).and_then(|since| since.last_run);
        let run = self.run.as_ref();
        json!({
            "tool": "ctverify",
            "version": run.map(|run| &run.version),
            "trail_arn": run.and_then(|run| run.trail_arn.as_ref()).map(ToString::to_string),
            "source": run.map(|run| &run.source),
            "started": run.map(|run| time(run.started)),
            "verdict": summary.map(|summary| summary.verdict.as_str()),
            "previous_verdict": last.map(|last| last.verdict.as_str()),
            "new": findings(&self.new),
            "known": findings(&self.known),
            "left_out": self.left_out,
            "summary": summary.and_then(|summary| serde_json::to_value(Line::Summary(summary.into())).ok()),
        })
        .to_string()
    }

    /// Returns the identifier of this notice, which is the same however often it is sent, also if
    /// the next run sends one that could not be delivered.
    pub fn id(&self) -> String {
        let summary = self.summary.as_ref();
        let last = summary.and_then(|summary| summary.since_checkpoint.as_ref()).and_then(|since| since.last_run);
        let run = last.map(|last| last.started).or(self.run.as_ref().map(|run| run.started));
        let verdict = summary.map_or("", |summary| summary.verdict.as_str());
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{}\n{verdict}", self.trail(), run.map(time).unwrap_or_default()));
        self.new.iter().for_each(|grouped| hash.update(grouped.finding.id()));
        format!("ctverify_{}", hex::encode(&hash.finalize()[..16]))
    }
}

/// Escapes each line, so that line breaks of our own stay and those in names from the bucket do
/// not.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| printable(line).into_owned()).collect::<Vec<_>>().join("\n")
}
