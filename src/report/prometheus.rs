//! Metrics in the text format of Prometheus (prometheus.io, "Exposition formats"), for the textfile
//! collector of its node exporter.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;

use super::Report;
use crate::debug::opaque_debug;
use crate::model::{ChainId, DigestStatus, GapCause, LogFileStatus, TamperingOutcome, Verdict};
use crate::records::{ChainRecord, Record, RunRecord, SummaryRecord};

/// The metric that is carried over from the previous file if a run did not verify everything.
const LAST_SUCCESS: &str = "ctverify_last_success_timestamp_seconds";

/// Metrics of one run.
pub struct Prometheus<W> {
    out: W,
    run: Option<RunRecord>,
    chains: Vec<ChainMetrics>,
    /// The end of the newest valid digest of the current chain.
    newest: Option<Timestamp>,
    summary: Option<SummaryRecord>,
    last_success: Option<i64>,
}

opaque_debug!(Prometheus<W>);

struct ChainMetrics {
    chain: Arc<ChainId>,
    record: ChainRecord,
    newest: Option<Timestamp>,
}

impl<W: Write> Prometheus<W> {
    /// Creates a report that is written to `out`; `before` is the previous content of the file.
    pub fn new(out: W, before: &str) -> Self {
        let value = before.lines().find_map(|line| {
            let rest = line.strip_prefix(LAST_SUCCESS)?;
            // The value comes after the labels, if there are any.
            rest.rsplit_once('}').map_or(rest, |(_, rest)| rest).trim().parse::<f64>().ok()
        });
        let last_success = value.filter(|value| value.is_finite()).map(|value| value as i64);
        Self { out, run: None, chains: Vec::new(), newest: None, summary: None, last_success }
    }
}

/// Metrics being written.
struct Metrics {
    text: String,
    /// The trail, which labels each metric because several trails may be reported side by side.
    trail: String,
}

impl Metrics {
    fn family(&mut self, name: &str, help: &str) {
        // Writing to a String can't fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escape(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    fn of_run(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let trail = self.trail.clone();
        let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("trail_arn", &*trail)]).collect();
        self.value(name, &labels, value);
    }

    fn single(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, help);
        self.of_run(name, &[], value);
    }

    fn of_chains<T: std::fmt::Display>(
        &mut self,
        chains: &[ChainMetrics],
        name: &str,
        help: &str,
        value: impl Fn(&ChainMetrics) -> Option<T>,
    ) {
        self.family(name, help);
        for chain in chains {
            let ChainId { organization, account, region, trail, home_region } = &*chain.chain;
            let organization = organization.as_ref().map_or("", |id| id.as_str());
            let labels = [
                ("organization", organization),
                ("account", account.as_str()),
                ("region", region.as_str()),
                ("trail", trail.as_str()),
                ("home_region", home_region.as_str()),
            ];
            if let Some(value) = value(chain) {
                self.value(name, &labels, value);
            }
        }
    }
}

impl<W: Write> Report for Prometheus<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Digest(digest) if digest.status == DigestStatus::Valid => {
                self.newest = self.newest.max(Some(digest.end));
            }
            Record::Chain(chain) => {
                let (chain, record) = (chain.chain.clone(), chain.clone());
                self.chains.push(ChainMetrics { chain, record, newest: self.newest.take() });
            }
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let (Some(run), Some(summary)) = (&self.run, &self.summary) else { return self.out.flush() };
        let trail = run.trail_arn.as_ref().map_or(run.source.clone(), ToString::to_string);
        let mut metrics = Metrics { text: String::new(), trail };
        let finished = summary.finished.as_second();
        metrics.single("ctverify_last_run_timestamp_seconds", "When the last run ended.", finished);
        let success = if summary.verdict == Verdict::Verified { Some(finished) } else { self.last_success };
        if let Some(success) = success {
            metrics.single(LAST_SUCCESS, "When the last run ended whose verdict was verified.", success);
        }
        let took = finished - run.started.as_second();
        metrics.single("ctverify_last_run_duration_seconds", "How long the last run took.", took.max(0));
        metrics.family("ctverify_verdict", "The verdict of the last run: 1 for the one that it came to.");
        for verdict in Verdict::ALL {
            metrics.of_run("ctverify_verdict", &[("verdict", verdict.as_str())], u8::from(*verdict == summary.verdict));
        }
        metrics.family("ctverify_digests", "Digest files by status.");
        for status in DigestStatus::ALL {
            metrics.of_run("ctverify_digests", &[("status", status.as_str())], summary.tally.digests(*status));
        }
        metrics.family("ctverify_log_files", "Log files by status.");
        for status in LogFileStatus::ALL {
            metrics.of_run("ctverify_log_files", &[("status", status.as_str())], summary.tally.log_files(*status));
        }
        metrics.single("ctverify_log_files_not_read", "Log files whose content was not asked for.", summary.not_read);
        metrics.family("ctverify_gaps", "Parts of the range that no valid digest file covers, by cause.");
        for cause in GapCause::ALL {
            metrics.of_run("ctverify_gaps", &[("cause", cause.as_str())], summary.tally.gaps_of(*cause));
        }
        metrics.single(
            "ctverify_interrupted",
            "1 if the run was stopped before its end, and says nothing of the rest.",
            u8::from(summary.interrupted),
        );
        metrics.single(
            "ctverify_acknowledged_findings",
            "Findings that somebody has acknowledged, which no other metric counts.",
            summary.tally.acknowledged,
        );
        metrics.single("ctverify_warnings", "Warnings.", summary.tally.warnings);
        if summary.looked_for_tampering {
            metrics.family(
                "ctverify_tampering_events",
                "Findings of tampering in proven log files, by the outcome of the call.",
            );
            let found = summary.tally.tampering;
            for (outcome, count) in
                [(TamperingOutcome::Succeeded, found.succeeded), (TamperingOutcome::Attempted, found.attempted)]
            {
                metrics.of_run("ctverify_tampering_events", &[("outcome", outcome.as_str())], count);
            }
        }
        if let Some(since) = &summary.since_checkpoint {
            metrics.family(
                "ctverify_findings",
                "Findings of a scheduled audit: new ones, and known ones that are still open.",
            );
            metrics.of_run("ctverify_findings", &[("told", "new")], since.new);
            metrics.of_run("ctverify_findings", &[("told", "before")], since.known);
            metrics.family(
                "ctverify_earlier_findings",
                "Violations of earlier runs that have no record in this run, by kind.",
            );
            for (kind, count) in &since.counted {
                metrics.of_run("ctverify_earlier_findings", &[("kind", kind)], count);
            }
        }
        metrics.family("ctverify_requests", "Requests that the last run made.");
        let requests = summary.requests;
        for (kind, count) in [("get", requests.get), ("list", requests.list), ("other", requests.other)] {
            metrics.of_run("ctverify_requests", &[("kind", kind)], count);
        }
        let chains = &self.chains;
        metrics.of_chains(
            chains,
            "ctverify_chain_covered_seconds",
            "Seconds of the range that valid digest files cover.",
            |chain| Some(chain.record.covered_seconds),
        );
        metrics.of_chains(chains, "ctverify_chain_requested_seconds", "Seconds of the range.", |chain| {
            Some(chain.record.requested_seconds)
        });
        metrics.of_chains(chains, "ctverify_chain_faulty", "Whether the chain as a whole is at fault.", |chain| {
            Some(u8::from(chain.record.fault.is_some()))
        });
        metrics.of_chains(
            chains,
            "ctverify_chain_newest_covered_timestamp_seconds",
            "The end of the newest valid digest file.",
            |chain| chain.newest.map(Timestamp::as_second),
        );
        metrics.of_chains(
            chains,
            "ctverify_chain_lag_seconds",
            "How long the end of the newest valid digest file lay back when the run ended.",
            |chain| Some((finished - chain.newest?.as_second()).max(0)),
        );
        self.out.write_all(metrics.text.as_bytes())?;
        self.out.flush()
    }
}
