//! Logs of what a run does, on standard error, for systems that collect them.

use tracing::{Level, error, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use super::args::{LogArgs, LogFormat};
use crate::model::{LogFileStatus, printable};
use crate::records::Record;
use crate::report::{Finding, Severity};

/// Begins to log, if that is asked for.
pub(super) fn begin(args: &LogArgs) {
    let Some(format) = args.log_format.filter(|_| !are_on()) else { return };
    // Of other crates, only warnings and errors are logged, unless the level is debug or trace.
    let others =
        if args.log_level >= Level::DEBUG { LevelFilter::from_level(args.log_level) } else { LevelFilter::WARN };
    let filter = Targets::new().with_target("ctverify", args.log_level).with_default(others);
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // No subscriber is set yet, since `are_on` was checked, so this can't fail.
    let _ = match format {
        LogFormat::Json => registry().with(layer.json().flatten_event(true).with_filter(filter)).try_init(),
        LogFormat::Text => registry().with(layer.with_filter(filter)).try_init(),
    };
}

/// Returns whether logging is on.
pub(super) fn are_on() -> bool {
    tracing::dispatcher::has_been_set()
}

/// Logs a record of a run.
pub(super) fn record(record: &Record) {
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
    let (rule, message) = (&*finding.rule, printable(&finding.message).into_owned());
    let since = finding.since.map(|since| since.to_string());
    match finding.severity {
        _ if finding.acknowledged.is_some() => info!(rule, object, since, "acknowledged: {message}"),
        // Known findings were reported by an earlier run, so they are not logged as errors again.
        _ if since.is_some() => info!(rule, object, since, "{message}"),
        Severity::Violation => error!(rule, object, "{message}"),
        Severity::Open | Severity::Event => warn!(rule, object, "{message}"),
        Severity::Note => info!(rule, object, "{message}"),
    }
}
