//! Findings as OCSF Detection Findings (schema.ocsf.io, class 2004), one JSON object a line, for
//! data lakes and SIEMs that use OCSF.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Report;
use super::finding::{Finding, Severity, acknowledgement};
use crate::debug::opaque_debug;
use crate::records::{Record, RunRecord};

/// The version of the schema that is written.
const VERSION: &str = "1.5.0";
const CLASS: u32 = 2004;

/// Findings as OCSF.
pub struct Ocsf<W> {
    out: W,
    run: Option<RunRecord>,
}

opaque_debug!(Ocsf<W>);

impl<W: Write> Ocsf<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out, run: None }
    }
}

impl<W: Write> Report for Ocsf<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if let Record::Run(run) = record {
            self.run = Some(run.clone());
        }
        let (Some(finding), Some(run)) = (Finding::of(record), &self.run) else { return Ok(()) };
        if finding.severity == Severity::Note {
            return Ok(());
        }
        writeln!(self.out, "{}", detection(&finding, run))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn detection(finding: &Finding, run: &RunRecord) -> Value {
    let (severity_id, severity) = match finding.severity {
        Severity::Violation => (5, "Critical"),
        Severity::Open => (3, "Medium"),
        Severity::Event => (4, "High"),
        Severity::Note => (1, "Informational"),
    };
    let (activity_id, activity) = if finding.since.is_some() { (2, "Update") } else { (1, "Create") };
    let (status_id, status) = match (&finding.acknowledged, finding.since) {
        (Some(_), _) => (3, "Suppressed"),
        (None, Some(_)) => (2, "In Progress"),
        (None, None) => (1, "New"),
    };
    let partition = run.trail_arn.as_ref().map_or("aws", |arn| &*arn.partition);
    let ms = Timestamp::as_millisecond;
    let now = ms(run.started);
    let first_seen = finding.since.map_or(now, ms);
    let object = finding.object_arn(partition).map(|arn| {
        let name = finding.object.as_ref().map(|object| object.key.to_string());
        json!({ "uid": arn, "name": name, "type": "AWS::S3::Object" })
    });
    let trail = run
        .trail_arn
        .as_ref()
        .map(|arn| json!({ "uid": arn.to_string(), "name": arn.name.to_string(), "type": "AWS::CloudTrail::Trail" }));
    let chain = finding.chain.as_ref().filter(|_| trail.is_none() && object.is_none());
    let chain = chain.map(|chain| json!({ "uid": chain.to_string(), "type": "AWS::CloudTrail::Trail" }));
    let resources: Vec<Value> = [object, trail, chain].into_iter().flatten().collect();
    let mut detection = json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + activity_id,
        "type_name": format!("Detection Finding: {activity}"),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "time": now,
        "is_alert": matches!(finding.severity, Severity::Violation | Severity::Event) && finding.is_alarm(),
        "message": finding.message,
        "metadata": {
            "version": VERSION,
            "product": { "name": "ctverify", "vendor_name": "ctverify", "version": run.version },
        },
        "finding_info": {
            "uid": finding.id(),
            "title": finding.title,
            "desc": finding.message,
            "types": [finding.rule],
            "created_time": first_seen,
            "first_seen_time": first_seen,
            "last_seen_time": now,
            "analytic": { "type_id": 1, "type": "Rule", "name": finding.rule, "uid": finding.rule },
        },
    });
    if let Some(by) = &finding.acknowledged {
        detection["comment"] = json!(acknowledgement(by));
    }
    if !resources.is_empty() {
        detection["resources"] = json!(resources);
    }
    if let Some((expected, actual)) = finding.hashes {
        let hash = |hash: Option<crate::model::Sha256Hash>| hash.map(|hash| hash.to_string());
        let data = json!({ "expected_sha256": hash(expected), "actual_sha256": hash(actual) });
        detection["evidences"] = json!([{ "data": data }]);
    }
    detection
}
