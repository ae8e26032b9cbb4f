//! Logs, for whoever collects them: what a run does, on standard error.

use tracing::{Level, error, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use super::args::{LogArgs, LogFormat};
use crate::model::{LogFileStatus, Record};
use crate::report::{Finding, Severity, printable};

/// Begins to log, where that is asked for.
pub fn begin(args: &LogArgs) {
    let Some(format) = args.log_format.filter(|_| !are_on()) else { return };
    // Of others only what is wrong, unless everything is asked for.
    let others =
        if args.log_level >= Level::DEBUG { LevelFilter::from_level(args.log_level) } else { LevelFilter::WARN };
    let filter = Targets::new().with_target("ctverify", args.log_level).with_default(others);
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second subscriber there can't be: this is called once.
    let _ = match format {
        LogFormat::Json => registry().with(layer.json().flatten_event(true).with_filter(filter)).try_init(),
        LogFormat::Text => registry().with(layer.with_filter(filter)).try_init(),
    };
}

/// Whether anybody collects logs.
pub fn are_on() -> bool {
    tracing::dispatcher::has_been_set()
}

/// Logs a record of a run.
pub fn record(record: &Record) {
    if !are_on() {
        return;
    }
    match record {
        Record::Run(run) => {
            let trail = run.trail_arn.as_ref().map(ToString::to_string);
            info!(trail, source = &*run.source, depth = run.depth.as_str(), "the run begins");
        }
        Record::Chain(chain) => {
            let id = &chain.chain;
            info!(
                account = id.account.as_str(),
                region = id.region.as_str(),
                from = %chain.from,
                to = %chain.to,
                covered_seconds = chain.covered_seconds,
                requested_seconds = chain.requested_seconds,
                "a chain is examined"
            );
        }
        Record::Summary(summary) => {
            let since = summary.since_checkpoint.as_ref();
            info!(
                verdict = summary.verdict.as_str(),
                exit_code = summary.exit_code,
                intact = summary.tally.log_files(LogFileStatus::Intact),
                new_findings = since.map(|since| since.new),
                known_findings = since.map(|since| since.known),
                gets = summary.requests.get,
                lists = summary.requests.list,
                "the run ends"
            );
        }
        _ => {}
    }
    let Some(finding) = Finding::of(record) else { return };
    let object = finding.object.as_ref().map(|object| printable(&object.to_string()).into_owned());
    let (rule, message) = (finding.rule, printable(&finding.message).into_owned());
    let since = finding.since.map(|since| since.to_string());
    match finding.severity {
        // What is known has been shouted.
        _ if since.is_some() => info!(rule, object, since, "{message}"),
        Severity::Violation => error!(rule, object, "{message}"),
        Severity::Open => warn!(rule, object, "{message}"),
        Severity::Note => info!(rule, object, "{message}"),
    }
}
