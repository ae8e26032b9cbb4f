//! Metrics in CloudWatch's embedded metric format (CloudWatch user guide, "Specification: Embedded
//! metric format"), one document a line. Written to a stream of a log group, they become metrics.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Report;
use crate::debug::opaque_debug;
use crate::model::{DigestStatus, LogFileStatus, Verdict};
use crate::records::{ChainRecord, Record, RunRecord, SummaryRecord, Tally};

const NAMESPACE: &str = "ctverify";

/// Metrics of one run.
pub struct Emf<W> {
    out: W,
    run: Option<RunRecord>,
    tally: Tally,
    /// The end of the newest valid digest of the current chain.
    newest: Option<Timestamp>,
    chains: Vec<(ChainRecord, Tally, Option<Timestamp>)>,
    summary: Option<SummaryRecord>,
}

opaque_debug!(Emf<W>);

impl<W: Write> Emf<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out, run: None, tally: Tally::default(), newest: None, chains: Vec::new(), summary: None }
    }
}

impl<W: Write> Report for Emf<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.tally.count(record);
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Digest(digest) if digest.status == DigestStatus::Valid => {
                self.newest = self.newest.max(Some(digest.end));
            }
            Record::Chain(chain) => {
                self.chains.push((chain.clone(), std::mem::take(&mut self.tally), self.newest.take()));
            }
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let (Some(run), Some(summary)) = (&self.run, &self.summary) else { return self.out.flush() };
        let at = summary.finished;
        let trail = run.trail_arn.as_ref().map_or(run.source.clone(), ToString::to_string);
        let took = at.as_millisecond() - run.started.as_millisecond();
        let is = |verdict: Verdict| u64::from(summary.verdict == verdict);
        let new = summary.since_checkpoint.as_ref().map(|since| since.new);
        let mut metrics = counts(&summary.tally);
        metrics.extend([
            ("Violated", "Count", is(Verdict::Violated)),
            ("Inconclusive", "Count", is(Verdict::Inconclusive)),
            ("Interrupted", "Count", u64::from(summary.interrupted)),
            ("Duration", "Milliseconds", took.max(0).unsigned_abs()),
        ]);
        metrics.extend(new.map(|new| ("NewFindings", "Count", new)));
        let whole = document(at, &[("Trail", &trail)], &metrics);
        writeln!(self.out, "{whole}")?;
        for (chain, tally, newest) in &self.chains {
            let mut metrics = counts(tally);
            metrics.push(("CoveredSeconds", "Seconds", chain.covered_seconds));
            metrics.push((
                "UncoveredSeconds",
                "Seconds",
                chain.requested_seconds - chain.covered_seconds.min(chain.requested_seconds),
            ));
            let lag = newest.map(|newest| (at.as_second() - newest.as_second()).max(0).unsigned_abs());
            metrics.extend(lag.map(|lag| ("Lag", "Seconds", lag)));
            let (account, region) = (chain.chain.account.as_str(), chain.chain.region.as_str());
            let dimensions = [("Trail", &*trail), ("Account", account), ("Region", region)];
            writeln!(self.out, "{}", document(at, &dimensions, &metrics))?;
        }
        self.out.flush()
    }
}

type Metric = (&'static str, &'static str, u64);

fn counts(tally: &Tally) -> Vec<Metric> {
    let digests = |status| tally.digests(status);
    let files = |status| tally.log_files(status);
    [
        ("ValidDigests", digests(DigestStatus::Valid)),
        ("InvalidDigests", digests(DigestStatus::Invalid)),
        ("MissingDigests", digests(DigestStatus::Missing)),
        ("UnverifiedDigests", digests(DigestStatus::Unverified)),
        ("IntactLogFiles", files(LogFileStatus::Intact)),
        ("ModifiedLogFiles", files(LogFileStatus::Modified)),
        ("DeletedLogFiles", files(LogFileStatus::Deleted)),
        ("UnverifiedLogFiles", files(LogFileStatus::Unverified)),
        ("UnlistedLogFiles", files(LogFileStatus::Unlisted)),
        ("UncoveredLogFiles", files(LogFileStatus::Uncovered)),
        ("Gaps", tally.gaps()),
        ("ChainFaults", tally.chain_faults()),
        ("AcknowledgedFindings", tally.acknowledged),
    ]
    .map(|(name, count)| (name, "Count", count))
    .to_vec()
}

fn document(at: Timestamp, dimensions: &[(&str, &str)], metrics: &[Metric]) -> Value {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let defined: Vec<Value> = metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": defined });
    let mut document = json!({ "_aws": { "Timestamp": at.as_millisecond(), "CloudWatchMetrics": [directive] } });
    for (name, text) in dimensions {
        document[*name] = json!(text);
    }
    for (name, _, value) in metrics {
        document[*name] = json!(value);
    }
    document
}
