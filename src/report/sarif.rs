//! Findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), for whatever shows such results beside code or in a queue.

use std::collections::BTreeSet;
use std::io::{self, Write};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::Report;
use super::wire::time;
use crate::model::{
    ChainId, DigestStatus, Fault, GapCause, LogFileStatus, ObjectRef, Record, RunRecord, SummaryRecord, WarningCode,
};

/// How many results a report holds: readers refuse more (GitHub's limit is 25,000 a run).
const MAX_RESULTS: usize = 25_000;

/// What a URI's path can't hold as it is (RFC 3986, 3.3).
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
    rules: BTreeSet<&'static str>,
    left_out: u64,
}

impl<W: Write> Sarif<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, run: None, summary: None, results: Vec::new(), rules: BTreeSet::new(), left_out: 0 }
    }

    fn add(
        &mut self,
        rule: &'static str,
        level: &str,
        message: &str,
        object: Option<&ObjectRef>,
        chain: Option<&ChainId>,
    ) {
        if self.results.len() >= MAX_RESULTS {
            self.left_out += 1;
            return;
        }
        self.rules.insert(rule);
        let mut result = json!({ "ruleId": rule, "level": level, "message": { "text": message } });
        if let Some(object) = object {
            let path = utf8_percent_encode(&object.key, ENCODED);
            let uri = format!("s3://{}/{path}", utf8_percent_encode(&object.bucket, ENCODED));
            result["locations"] = json!([{ "physicalLocation": { "artifactLocation": { "uri": uri } } }]);
            // The same finding keeps its name from run to run.
            result["partialFingerprints"] = json!({ "objectAndRule/v1": format!("{object} {rule}") });
        } else if let Some(chain) = chain {
            result["locations"] = json!([{ "logicalLocations": [{ "fullyQualifiedName": chain.to_string() }] }]);
        }
        self.results.push(result);
    }
}

impl<W: Write> Report for Sarif<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Digest(digest) if digest.status != DigestStatus::Valid => {
                let level = if digest.status == DigestStatus::Unverified { "warning" } else { "error" };
                let detail = digest.detail.as_deref().unwrap_or_default();
                let message = format!("{} digest file: {detail}", digest.status);
                let rule = digest.fault.map_or("malformed", Fault::as_str);
                self.add(rule, level, &message, Some(&digest.object), None);
            }
            Record::LogFile(file) if file.status != LogFileStatus::Intact => {
                let violated = matches!(file.status, LogFileStatus::Modified | LogFileStatus::Deleted);
                let level = if violated { "error" } else { "warning" };
                let message = format!("{} log file: {}", file.status, file.detail.as_deref().unwrap_or_default());
                let rule = file.fault.map_or("not_listed", Fault::as_str);
                self.add(rule, level, &message, Some(&file.object), None);
            }
            Record::Gap(gap) => {
                let level = match gap.cause {
                    GapCause::DigestsMissing => "error",
                    GapCause::NotYetDelivered => "note",
                    _ => "warning",
                };
                let message = format!("{} to {}: {}", time(gap.from), time(gap.to), gap.detail);
                self.add(gap.cause.as_str(), level, &message, None, Some(&gap.chain));
            }
            Record::Chain(chain) => {
                if let Some(fault) = chain.fault {
                    let detail = chain.detail.as_deref().unwrap_or_default();
                    self.add(fault.as_str(), "error", detail, None, Some(&chain.chain));
                }
            }
            Record::Warning(warning) => {
                let level = if warning.code == WarningCode::BagAltered { "error" } else { "note" };
                let object = warning.bucket.clone().zip(warning.key.clone());
                let object = object.map(|(bucket, key)| ObjectRef { bucket, key });
                self.add(warning.code.as_str(), level, &warning.detail, object.as_ref(), None);
            }
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            Record::Digest(_) | Record::LogFile(_) | Record::Circumstances(_) => {}
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

/// `hash_mismatch` as `HashMismatch`.
fn name_of(rule: &str) -> String {
    let capital =
        |word: &str| word.get(..1).map(str::to_ascii_uppercase).unwrap_or_default() + word.get(1..).unwrap_or_default();
    rule.split('_').map(capital).collect()
}
