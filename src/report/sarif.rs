//! Findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), for tools that
//! show such results beside code or in a queue.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::Report;
use super::finding::{Finding, Severity, acknowledgement};
use crate::debug::opaque_debug;
use crate::records::{Record, RunRecord, SummaryRecord, format_time as time};

/// The maximum number of results in a report: readers refuse more (GitHub's limit is 25,000 a run).
const MAX_RESULTS: usize = 25_000;

/// The characters that must be encoded in the path of a URI (RFC 3986, 3.3).
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Findings as SARIF.
pub struct Sarif<W> {
    out: W,
    run: Option<RunRecord>,
    summary: Option<SummaryRecord>,
    results: Vec<Value>,
    rules: BTreeSet<Cow<'static, str>>,
    left_out: u64,
}

opaque_debug!(Sarif<W>);

impl<W: Write> Sarif<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out, run: None, summary: None, results: Vec::new(), rules: BTreeSet::new(), left_out: 0 }
    }

    fn add(&mut self, finding: &Finding) {
        if self.results.len() >= MAX_RESULTS {
            self.left_out += 1;
            return;
        }
        let rule = &*finding.rule;
        let level = match finding.severity {
            Severity::Violation => "error",
            Severity::Open | Severity::Event => "warning",
            Severity::Note => "note",
        };
        self.rules.insert(finding.rule.clone());
        let mut result = json!({ "ruleId": rule, "level": level, "message": { "text": finding.message } });
        // Every reader accepts a path as location: GitHub refuses other schemes than that of its
        // checkout, and results without a location.
        let (place, name) = match (&finding.object, &finding.chain) {
            (Some(object), _) => (format!("{}/{}", object.bucket, object.key), object.to_string()),
            (None, Some(chain)) => (format!("{}/{}/{}", chain.account, chain.region, chain.trail), chain.to_string()),
            (None, None) => ("cloudtrail".to_owned(), "the run".to_owned()),
        };
        let uri = utf8_percent_encode(&place, ENCODED).to_string();
        result["locations"] = json!([{
            "physicalLocation": { "artifactLocation": { "uri": uri } },
            "logicalLocations": [{ "fullyQualifiedName": name }],
        }]);
        // The fingerprint of a finding is the same in every run.
        result["partialFingerprints"] = json!({ "finding/v1": finding.id() });
        if let Some(by) = &finding.acknowledged {
            let justification = acknowledgement(by);
            result["suppressions"] =
                json!([{ "kind": "external", "status": "accepted", "justification": justification }]);
        }
        self.results.push(result);
    }
}

impl<W: Write> Report for Sarif<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {
                if let Some(finding) = Finding::of(record) {
                    self.add(&finding);
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let (Some(run), Some(summary)) = (&self.run, &self.summary) else { return self.out.flush() };
        let rules: Vec<Value> = self.rules.iter().map(|rule| json!({ "id": rule, "name": name_of(rule) })).collect();
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "ctverify", "informationUri": "https://crates.io/crates/ctverify", "version": run.version, "semanticVersion": run.version, "rules": rules } },
                "invocations": [{
                    "executionSuccessful": !summary.interrupted,
                    "exitCode": summary.exit_code,
                    "startTimeUtc": time(run.started),
                    "endTimeUtc": time(summary.finished),
                }],
                "results": self.results,
                "properties": { "verdict": summary.verdict.as_str(), "resultsLeftOut": self.left_out },
            }],
        });
        writeln!(self.out, "{log}")?;
        self.out.flush()
    }
}

/// Converts `hash_mismatch` to `HashMismatch`.
fn name_of(rule: &str) -> String {
    let capital =
        |word: &str| word.get(..1).map(str::to_ascii_uppercase).unwrap_or_default() + word.get(1..).unwrap_or_default();
    rule.split('_').map(capital).collect()
}
