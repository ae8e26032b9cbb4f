//! What a notice says of a run: the verdict, what changed, and the first findings.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::escape::printable;
use super::finding::{Finding, Severity, cut};
use super::text::KEYS_OF_BAG;
use super::wire::{time, value};
use crate::model::{Record, RunRecord, SummaryRecord};

/// How many findings are spelled out.
const SHOWN: usize = 20;
/// How long what is said of one may be, in bytes.
const LONG: usize = 600;
/// How long a subject may be (SNS API reference, `Publish`: less than 100 characters).
const SUBJECT: usize = 99;
/// How long the name of an object may be, as it is told, in bytes.
const NAME: usize = 300;

/// What a notice says of a run.
#[derive(Debug, Default)]
pub struct Brief {
    run: Option<RunRecord>,
    summary: Option<SummaryRecord>,
    new: Vec<Finding>,
    known: Vec<Finding>,
    left_out: usize,
}

impl Brief {
    /// Takes one record.
    pub fn record(&mut self, record: &Record) {
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
        let Some(finding) = Finding::of(record).filter(|finding| finding.severity != Severity::Note) else { return };
        let list = if finding.since.is_some() { &mut self.known } else { &mut self.new };
        if list.len() < SHOWN {
            return list.push(finding);
        }
        self.left_out += 1;
        // What is violated must not drown in what is merely open.
        let open = list.iter().rposition(|other| other.severity == Severity::Open);
        if let (Severity::Violation, Some(place)) = (finding.severity, open) {
            list[place] = finding;
        }
    }

    /// Whether the run came to something else than the one before: another verdict, or a finding that nobody was told of. Without a
    /// checkpoint, whether it came to anything but `verified`.
    pub fn is_news(&self) -> bool {
        let Some(summary) = &self.summary else { return false };
        let since = summary.since_checkpoint.as_ref();
        match since.and_then(|since| since.last_run) {
            Some(last) => last.verdict != summary.verdict || since.is_some_and(|since| since.new > 0),
            None => summary.exit_code != 0,
        }
    }

    /// The run's end, if it came there.
    pub fn summary(&self) -> Option<&SummaryRecord> {
        self.summary.as_ref()
    }

    /// How much earlier runs told of that nothing mends.
    fn earlier(&self) -> u64 {
        let since = self.summary.as_ref().and_then(|summary| summary.since_checkpoint.as_ref());
        since.map_or(0, |since| since.earlier.values().sum())
    }

    fn trail(&self) -> String {
        let run = self.run.as_ref();
        run.map_or(String::new(), |run| run.trail_arn.as_ref().map_or(run.source.clone(), ToString::to_string))
    }

    /// In one line of ASCII.
    pub fn subject(&self) -> String {
        let verdict = self.summary.as_ref().map_or("inconclusive", |summary| summary.verdict.as_str());
        let name = self.run.as_ref().and_then(|run| run.trail_arn.as_ref()).map(|arn| format!(" {}", arn.name));
        let earlier = if self.earlier() > 0 { " (earlier findings stand)" } else { "" };
        let line = format!("CloudTrail logs {}{earlier}{}", verdict.to_uppercase(), name.unwrap_or_default());
        let line: String = line.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
        cut(&line, SUBJECT).to_owned()
    }

    /// For people.
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
        if self.earlier() > 0 {
            let _ =
                writeln!(text, "Earlier runs told of {} that nothing mends: their reports name them", self.earlier());
        }
        for (title, findings) in [("New", &self.new), ("Known and still open", &self.known)] {
            for (index, finding) in findings.iter().enumerate() {
                let head = if index == 0 { format!("\n{title}:\n") } else { String::new() };
                let object = finding.object.as_ref().map(|object| format!("\n    {object}")).unwrap_or_default();
                let entry = format!("{}{}", cut(&finding.message, LONG), cut(&object, NAME));
                let _ = writeln!(text, "{head}  [{}] {}", finding.rule, lines(&entry));
            }
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "\n… and {} more: the run's reports have them all", self.left_out);
        }
        text
    }

    /// For machines: `{"verdict":…,"previous_verdict":…,"trail_arn":…,"source":…,"new":[…],"known":[…],"left_out":N,"summary":…}`.
    pub fn json(&self) -> String {
        let findings = |findings: &[Finding]| -> Vec<Value> {
            let of = |finding: &Finding| {
                json!({
                    "id": finding.id(),
                    "rule": finding.rule,
                    "severity": if finding.severity == Severity::Violation { "violation" } else { "open" },
                    "title": finding.title,
                    "message": cut(&finding.message, LONG),
                    "object": finding.object.as_ref().map(|object| cut(&object.to_string(), NAME).to_owned()),
                    "since": finding.since.map(time),
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
            "summary": summary.and_then(|summary| value(&Record::Summary(summary.clone())).ok()),
        })
        .to_string()
    }

    /// What this notice is called, however often it is sent: one that nobody took is the same when the next run sends it.
    pub fn id(&self) -> String {
        let summary = self.summary.as_ref();
        let last = summary.and_then(|summary| summary.since_checkpoint.as_ref()).and_then(|since| since.last_run);
        let run = last.map(|last| last.started).or(self.run.as_ref().map(|run| run.started));
        let verdict = summary.map_or("", |summary| summary.verdict.as_str());
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{}\n{verdict}", self.trail(), run.map(time).unwrap_or_default()));
        self.new.iter().for_each(|finding| hash.update(finding.id()));
        format!("ctverify_{}", hex::encode(&hash.finalize()[..16]))
    }
}

/// Line breaks of ours stay; whatever else a name from the bucket may hold does not.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| printable(line).into_owned()).collect::<Vec<_>>().join("\n")
}
