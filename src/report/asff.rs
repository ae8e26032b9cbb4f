//! Findings in the AWS Security Finding Format, for Security Hub: each line holds the findings of
//! one call of `BatchImportFindings`.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use super::Report;
use super::finding::{Finding, Severity, acknowledgement, cut};
use crate::debug::opaque_debug;
use crate::model::ChainId;
use crate::records::{Record, RunRecord, format_time as time};

/// The maximum number of findings in one call (Security Hub API reference, `BatchImportFindings`).
const BATCH: usize = 100;
/// The maximum length of texts, in bytes (Security Hub user guide, "Required top-level ASFF
/// attributes").
const TITLE: usize = 256;
const DESCRIPTION: usize = 1024;
const RESOURCE: usize = 512;

/// Findings for Security Hub.
pub struct Asff<W> {
    out: W,
    run: Option<RunRecord>,
    batch: Vec<Value>,
    /// Findings that were reported before the account and region of the trail were known.
    waiting: Vec<Finding>,
    /// A chain of the run, which names the account and region if no trail ARN does.
    chain: Option<Arc<ChainId>>,
}

opaque_debug!(Asff<W>);

impl<W: Write> Asff<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out, run: None, batch: Vec::new(), waiting: Vec::new(), chain: None }
    }

    fn add(&mut self, finding: Finding) -> io::Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        match security_finding(&finding, run) {
            Some(security) => self.batch.push(security),
            None => self.waiting.push(finding),
        }
        if self.batch.len() == BATCH { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = Value::Array(std::mem::take(&mut self.batch));
        writeln!(self.out, "{batch}")
    }
}

impl<W: Write> Report for Asff<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if let Record::Run(run) = record {
            self.run = Some(run.clone());
        }
        if let Record::Chain(chain) = record {
            self.chain = Some(chain.chain.clone());
        }
        let Some(finding) = Finding::of(record).filter(|finding| finding.severity != Severity::Note) else {
            return Ok(());
        };
        self.add(finding)
    }

    fn finish(&mut self) -> io::Result<()> {
        for mut finding in std::mem::take(&mut self.waiting) {
            finding.chain.clone_from(&self.chain);
            self.add(finding)?;
        }
        self.write_batch()?;
        self.out.flush()
    }
}

/// Converts a finding, in the name of the account and region that the trail belongs to; `None` if
/// those are not known.
fn security_finding(finding: &Finding, run: &RunRecord) -> Option<Value> {
    let arn = run.trail_arn.as_ref();
    let partition = arn.map_or("aws", |arn| &*arn.partition);
    let (account, region) = match (arn, &finding.chain) {
        (Some(arn), _) => (arn.account.to_string(), arn.home_region.to_string()),
        (None, Some(chain)) => (chain.account.to_string(), chain.home_region.to_string()),
        (None, None) => return None,
    };
    let (label, kind) = match finding.severity {
        Severity::Violation => ("CRITICAL", "TTPs/Defense Evasion"),
        Severity::Open => ("MEDIUM", "Software and Configuration Checks/AWS Security Best Practices"),
        Severity::Event => ("HIGH", "TTPs/Defense Evasion"),
        Severity::Note => ("INFORMATIONAL", "Software and Configuration Checks"),
    };
    let resource = match (finding.object_arn(partition), arn, &finding.chain) {
        (Some(object), ..) => json!({ "Type": "AwsS3Object", "Id": cut(&object, RESOURCE) }),
        (None, Some(arn), _) => json!({ "Type": "AwsCloudTrailTrail", "Id": arn.to_string() }),
        (None, None, chain) => {
            let chain = chain.as_ref().map(ToString::to_string).unwrap_or_default();
            json!({ "Type": "Other", "Id": cut(&chain, RESOURCE) })
        }
    };
    let mut resource = resource;
    resource["Partition"] = json!(partition);
    resource["Region"] = json!(finding.chain.as_ref().map_or(region.clone(), |chain| chain.region.to_string()));
    let mut fields = json!({ "ctverify/rule": finding.rule });
    if let Some((expected, actual)) = finding.hashes {
        for (name, hash) in [("ctverify/expectedSha256", expected), ("ctverify/actualSha256", actual)] {
            if let Some(hash) = hash {
                fields[name] = json!(hash.to_string());
            }
        }
    }
    if let Some(by) = &finding.acknowledged {
        fields["ctverify/acknowledged"] = json!(cut(&acknowledgement(by), DESCRIPTION));
    }
    // A finding needs a description, even if there is no message.
    let description = if finding.message.is_empty() { &finding.title } else { &finding.message };
    Some(json!({
        "SchemaVersion": "2018-10-08",
        "Id": format!("ctverify/{}/{}", finding.rule, finding.id()),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "GeneratorId": format!("ctverify/{}", finding.rule),
        "AwsAccountId": account,
        "Types": [kind],
        "FirstObservedAt": time(finding.since.unwrap_or(run.started)),
        "CreatedAt": time(finding.since.unwrap_or(run.started)),
        "UpdatedAt": time(run.started),
        "Severity": { "Label": label },
        "Title": cut(&format!("CloudTrail log integrity: {}", finding.title), TITLE),
        "Description": cut(description, DESCRIPTION),
        "Resources": [resource],
        "ProductFields": fields,
        "RecordState": if finding.acknowledged.is_some() { "ARCHIVED" } else { "ACTIVE" },
    }))
}
