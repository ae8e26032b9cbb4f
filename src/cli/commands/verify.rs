//! The main command, which verifies a trail.

use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::audit::{Audit, ContentExaminer, Extract, LoggingEventReader, Observer, Outcome, Progress};
use crate::bag::{Action, CustodyEntry};
use crate::cli::args::{FailOn, Format, Price, ReportArgs, ReportKind, StandardOutput, VerifyArgs};
use crate::cli::custody::{self, now};
use crate::cli::evidence::{self, Signing};
use crate::cli::exit::Failure;
use crate::cli::logs;
use crate::cli::output::{Reports, cannot_write_standard, colour_of_standard_output};
use crate::cli::paths;
use crate::cli::progress::ProgressLine;
use crate::cli::resolve::{self, Settings, Trouble};
use crate::events::{TamperingFinder, TrailCalls};
use crate::model::{Depth, Prices, WarningCode, exit_code};
use crate::records::{CircumstancesRecord, LogFileRecord, Record, SummaryRecord, WarningRecord};
use crate::report::{Brief, Origin, estimate_json, estimate_text};
use crate::store::Store;

/// The time that reads in progress may take to end after an interruption.
const LAST_READS: Duration = Duration::from_millis(200);

/// Verifies what the arguments name, and returns the exit code for the verdict.
pub(crate) fn verify(args: &VerifyArgs) -> Result<u8, Failure> {
    paths::check_verify(args)?;
    if let (Some(region), true) = (&args.source.aws.region, args.what.regions.is_empty()) {
        // If standard error is closed, nobody reads this.
        let _ = writeln!(
            anstream::stderr(),
            "note: --region {region} is the region of API calls and limits nothing: every region is verified; --regions \
             limits"
        );
    }
    if args.estimate {
        return estimate(args);
    }
    check_tampering(&args.reports, args.fail.fail_on.contains(&FailOn::Tampering), args.what.depth)?;
    if !args.prices.is_empty() {
        let what = "--prices is about the estimate, which --estimate asks for: leave it out, or add --estimate";
        return Err(Failure::Usage(what.to_owned()));
    }
    run(&args.reports, async { resolve::resolve(args, now()).await })
}

/// Prints an estimate of what the run would read.
fn estimate(args: &VerifyArgs) -> Result<u8, Failure> {
    let runtime = runtime()?;
    let estimate = runtime.block_on(async {
        let Settings { store, keys, request, .. } = resolve::resolve(args, now()).await?;
        let progress = Arc::default();
        let audit = Audit { status: None, progress, ..Audit::new(store, keys, request) };
        tokio::select! {
            estimate = audit.estimate() => Ok(estimate?),
            () = interruption() => Err(Failure::Interrupted),
        }
    })?;
    let mut prices = Prices::default();
    for (price, dollars) in &args.prices {
        match price {
            Price::Get => prices.thousand_gets = *dollars,
            Price::List => prices.thousand_lists = *dollars,
            Price::Gigabyte => prices.gigabyte_out = *dollars,
        }
    }
    let mut out = anstream::AutoStream::new(std::io::stdout(), colour_of_standard_output(args.reports.color));
    let written = match args.reports.format {
        Format::Text => estimate_text(&mut out, &estimate, &prices),
        Format::Jsonl | Format::Json => estimate_json(&mut out, &estimate, &prices),
    };
    written.map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    Runtime::new().map_err(|error| Failure::CannotRun(format!("no threads can be started: {error}")))
}

/// Shuts a runtime down and waits only briefly for reads in progress.
pub(super) fn shut_down(runtime: Runtime) {
    runtime.shutdown_timeout(LAST_READS);
}

/// Runs the audit that `settings` resolves to, and returns its exit code.
pub(super) fn run(args: &ReportArgs, settings: impl Future<Output = Result<Settings, Failure>>) -> Result<u8, Failure> {
    let signing = Arc::new(Signing::open(args)?);
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let settings = tokio::select! {
            settings = settings => settings?,
            () = interruption() => return Err(Failure::Interrupted),
        };
        let bag = settings.bag.clone();
        signing.check_use(args, bag.is_some())?;
        let summary = audit_with(args, (&[], &signing), settings, |_: &Record| {}, std::future::pending()).await?;
        if let Some(bag) = bag {
            match note_verification(&bag, args, &summary, &signing) {
                // A finding counts more than the line about it.
                Err(failure) if summary.exit_code != exit_code::VERIFIED => failure.print(),
                noted => noted?,
            }
        }
        Ok(summary.exit_code)
    });
    shut_down(runtime);
    outcome
}

/// Records in a bag's custody log that the bag was verified.
fn note_verification(bag: &Path, args: &ReportArgs, summary: &SummaryRecord, signing: &Signing) -> Result<(), Failure> {
    let examiner = evidence::case(&args.evidence)?.examiner;
    let entry = CustodyEntry { result: Some(summary.verdict.to_string()), ..custody::entry(Action::Verify, examiner) };
    custody::add(bag, entry, signing)
        .map_err(|error| Failure::CannotRun(format!("the custody log could not be added to: {error}")))
}

/// A caller that watches a run.
pub(super) trait Watch {
    /// Takes each record before the reports do.
    fn record(&mut self, record: &Record);

    /// Takes what the consumer of the run made of a log file.
    ///
    /// # Errors
    ///
    /// An error ends the run.
    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> io::Result<()> {
        let _ = (file, extract);
        Ok(())
    }
}

impl<F: FnMut(&Record)> Watch for F {
    fn record(&mut self, record: &Record) {
        self(record);
    }
}

/// Hands each record to the reports, to the logs, to the notice, and to a caller that watches.
struct RunObserver<W> {
    reports: Reports,
    circumstances: CircumstancesRecord,
    /// Knows the clock of S3 once it was asked.
    clock: Arc<dyn Store>,
    brief: Brief,
    /// Tells why the records are worth nothing, if they are.
    refuse: Option<Trouble>,
    watch: W,
}

impl<W: Watch> Observer for RunObserver<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if let Record::Summary(_) = record {
            if let Some(trouble) = self.refuse.as_ref().and_then(|refuse| refuse()) {
                return Err(io::Error::other(trouble));
            }
            self.circumstances.clock_ahead_ms = self.clock.clock_ahead_ms();
            self.reports.record(&Record::Circumstances(self.circumstances.clone()))?;
        }
        self.watch.record(record);
        self.brief.record(record);
        logs::record(record);
        self.reports.record(record)
    }

    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> io::Result<()> {
        self.watch.extract(file, extract)
    }
}

/// Returns whether a progress line is shown. A line that redraws itself and records that scroll
/// past would overwrite each other.
fn shows_progress(args: &ReportArgs) -> bool {
    let lines = match args.standard {
        StandardOutput::Report => args.verbose || args.format != Format::Text,
        StandardOutput::Other => true,
        StandardOutput::Nothing => false,
    };
    let scrolls = io::stdout().is_terminal() && lines;
    io::stderr().is_terminal() && !args.quiet && !scrolls && !logs::are_on()
}

/// Runs an audit and writes its reports, and further ones that are not signed. `watch` is called
/// with each record, and the run ends early when `stop` completes.
pub(super) async fn audit_with(
    args: &ReportArgs,
    (unsigned, signing): (&[(ReportKind, PathBuf)], &Arc<Signing>),
    settings: Settings,
    watch: impl Watch,
    stop: impl Future<Output = ()>,
) -> Result<SummaryRecord, Failure> {
    let reports = Reports::open(args, &settings.request.allowed, &Origin::default(), unsigned, signing.clone())?;
    let examiner = examiner(args, &settings)?;
    let mut settings = settings;
    if examiner.is_some() && settings.trail_key.is_none() {
        let detail = "calls about the trail's KMS key were not looked for: which key it uses is not known, as \
                      CloudTrail was not asked";
        settings.request.warnings_before.push(WarningRecord {
            code: WarningCode::TrailKeyUnknown,
            bucket: None,
            key: None,
            detail: detail.to_owned(),
        });
    }
    // A bag holds what belongs to its own range alone.
    let explains =
        settings.request.depth == Depth::Content && settings.request.statement.merged.is_none() && !settings.collects;
    let of_log_files = || explains.then(|| Arc::new(TrailCalls) as Arc<dyn LoggingEventReader>);
    let logging_events = settings.logging_events.take().or_else(of_log_files);
    let event_history =
        settings.event_history.map(|source| (source, Arc::new(TrailCalls) as Arc<dyn LoggingEventReader>));
    let circumstances = evidence::circumstances(&args.evidence, settings.identity, settings.keys.as_ref())?;
    let progress = Arc::new(Progress::default());
    let line = shows_progress(args).then(|| ProgressLine::show(progress.clone()));
    let Settings {
        store,
        keys,
        status,
        neighbours,
        request,
        kept,
        notifier,
        unpacked,
        discovered,
        trouble,
        consumer,
        plan,
        ..
    } = settings;
    let clock = store.clone();
    let refuse = trouble.clone();
    let mut observer = RunObserver { reports, circumstances, clock, brief: Brief::default(), refuse, watch };
    let audit = Audit {
        status,
        neighbours,
        progress,
        discovered,
        consumer,
        examiner,
        logging_events,
        event_history,
        ..Audit::new(store, keys, request)
    };
    let ends_early = async {
        tokio::select! {
            () = interruption() => {}
            () = stop => {}
        }
    };
    let outcome = audit.run(&mut observer, ends_early).await;
    drop(line);
    // They are examined up to here.
    drop((unpacked, plan));
    if let Some(trouble) = trouble.and_then(|trouble| trouble()) {
        return Err(Failure::CannotRun(trouble));
    }
    let Outcome { summary, checkpoint } = outcome?;
    let RunObserver { reports, brief, .. } = observer;
    reports.finish()?;
    if let Some(notifier) = notifier.filter(|_| !summary.interrupted) {
        tokio::select! {
            notified = notifier.notify(&brief) => notified?,
            () = interruption() => return Err(Failure::Interrupted),
        }
    }
    // The checkpoint is saved last, so that the next run finds again what could not be reported.
    if summary.interrupted && kept.is_some() {
        let _ = writeln!(
            anstream::stderr(),
            "interrupted: the checkpoint is left as it was, and the next run begins where this one did"
        );
    }
    if let Some((kept, checkpoint)) = kept.zip(checkpoint) {
        kept.save(checkpoint).await?;
        tracing::info!("the checkpoint is written");
    }
    Ok(summary)
}

/// Returns the flag by which a report or the exit code tells of events of tampering.
pub(super) fn tampering_flag(reports: &ReportArgs, fails: bool) -> Option<&'static str> {
    let reports = reports.report.iter().any(|(kind, _)| *kind == ReportKind::Tampering);
    match (reports, fails) {
        (true, _) => Some("--report tampering"),
        (false, true) => Some("--fail-on tampering"),
        (false, false) => None,
    }
}

/// Checks that a run which tells of events of tampering reads log files.
fn check_tampering(reports: &ReportArgs, fails: bool, depth: Depth) -> Result<(), Failure> {
    match tampering_flag(reports, fails) {
        Some(flag) if depth != Depth::Content => {
            let what = format!("{flag} looks into log files, and --depth {depth} reads none");
            Err(Failure::Usage(format!("{what}: leave one of them out")))
        }
        _ => Ok(()),
    }
}

/// Returns the finder of events of tampering, if a report or the exit code tells of them.
fn examiner(args: &ReportArgs, settings: &Settings) -> Result<Option<Arc<dyn ContentExaminer>>, Failure> {
    let request = &settings.request;
    check_tampering(args, request.fails_on_tampering, request.depth)?;
    let Some(_) = tampering_flag(args, request.fails_on_tampering) else { return Ok(None) };
    let of_units = settings.known_tampering.clone();
    Ok(Some(of_units.unwrap_or_else(|| Arc::new(TamperingFinder::new(settings.trail_resources())))))
}

/// Completes when the user interrupts the run, or a supervisor asks it to end.
pub(super) async fn interruption() {
    // If no signal handler can be installed, the run can't be interrupted gracefully.
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<Option<()>>();
    tokio::select! {
        () = interrupt => {}
        _ = terminate => {}
    }
}
