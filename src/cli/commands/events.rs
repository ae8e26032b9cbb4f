//! The command that emits the events of proven log files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Notify;

use super::verify::{Watch, audit_with, interruption, runtime, shut_down};
use crate::audit::Extract;
use crate::cli::args::{ConditionArgs, EventFormat, EventsArgs, VerifyArgs};
use crate::cli::custody::now;
use crate::cli::event_output::EventOutput;
use crate::cli::evidence::Signing;
use crate::cli::exit::Failure;
use crate::cli::output::terminal_width;
use crate::cli::paths;
use crate::cli::resolve::{self, Settings, allowances};
use crate::cli::table_folder::TableFolder;
use crate::events::{
    CountBy, EventFilter, EventReader, EventTotals, Format, JqCondition, Pattern, TamperingFinder, TextField,
};
use crate::model::{Depth, LogFileStatus, TimeArgument, Verdict, printable};
use crate::records::{LogFileRecord, Record, SummaryRecord};

/// Emits the events that the arguments ask for, and returns the exit code for the verdict.
pub(crate) fn events(args: &EventsArgs) -> Result<u8, Failure> {
    if args.what.depth != Depth::Content {
        return Err(Failure::Usage(format!(
            "events stand in log files, and --depth {} reads none: leave it out",
            args.what.depth
        )));
    }
    if !args.count_by.is_empty() && !has_counts(args.format) {
        let what = "--count-by writes counts in place of events: choose --format jsonl, table or csv for them";
        return Err(Failure::Usage(what.to_owned()));
    }
    if let Some(field) = args.count_by.iter().enumerate().find(|(index, field)| args.count_by[..*index].contains(field))
    {
        return Err(Failure::Usage(format!("--count-by names {} twice: leave one out", field.1.as_str())));
    }
    if args.parquet.is_some() && args.format != EventFormat::Jsonl {
        let what = "--parquet writes the events as a table, and to no other format: leave out --format";
        return Err(Failure::Usage(what.to_owned()));
    }
    if args.parquet.is_some() && args.output.is_some() {
        let what = "--parquet writes the events to a folder, and none to the file of --output (or CTVERIFY_OUTPUT): \
                    leave one out";
        return Err(Failure::Usage(what.to_owned()));
    }
    let verification = args.verification();
    paths::check_events(args, &verification)?;
    let reader = reader(args)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(emit(args, &verification, reader));
    shut_down(runtime);
    outcome
}

/// Verifies, and writes the events that `reader` extracts.
async fn emit(args: &EventsArgs, verification: &VerifyArgs, reader: EventReader) -> Result<u8, Failure> {
    let signing = Arc::new(Signing::open(&verification.reports)?);
    let settings = tokio::select! {
        settings = resolve::resolve(verification, now()) => settings?,
        () = interruption() => return Err(Failure::Interrupted),
    };
    signing.check_use(&verification.reports, false)?;
    let reader = match args.conditions.tampering {
        true => reader.with_tampering(TamperingFinder::new(settings.trail_resources())),
        false => reader,
    };
    let reader = Arc::new(reader);
    let settings = Settings { consumer: Some(reader.clone()), ..settings };
    let mut output = EventOutput::open(args.output.as_deref())?;
    let table = args.parquet.as_deref().map(TableFolder::open).transpose()?;
    if let Some(format) = reader.format() {
        output.write(format.header().as_bytes())?;
    }
    let (left_out, chains) = (BTreeMap::new(), BTreeSet::new());
    let stop = Notify::new();
    let mut watch = EventWatch { output, table, reader: reader.clone(), trouble: None, stop: &stop, left_out, chains };
    let reports = &verification.reports;
    let summary = audit_with(reports, (&[], &signing), settings, &mut watch, stop.notified()).await?;
    let EventWatch { mut output, table, left_out, chains, trouble, .. } = watch;
    let ended = |error: std::io::Error| Failure::CannotRun(format!("the events can't be counted: {error}"));
    if let Some(trouble) = trouble {
        return Err(ended(trouble));
    }
    let (totals, counts) = reader.finish().map_err(ended)?;
    if let Some(mut counts) = counts {
        chains.iter().for_each(|(account, region)| counts.add_chain(account, region));
        output.write_with(|out| match args.format {
            EventFormat::Csv => counts.write_csv(out),
            EventFormat::Table => counts.write_table(out),
            _ => counts.write_jsonl(out),
        })?;
    }
    let mut result = EventSummary::new(&totals, left_out, &summary, allowances(&args.allow).words());
    // The table of an interrupted run does not appear.
    let table = table.filter(|_| !summary.interrupted).map(TableFolder::finish).transpose()?;
    result.parquet_files = args.parquet.as_ref().map(|_| table.unwrap_or_default());
    if args.format == EventFormat::Jsonl {
        output.write_with(|out| {
            serde_json::to_writer(&mut *out, &SummaryLine { summary: &result })?;
            out.write_all(b"\n")
        })?;
    }
    output.finish(!summary.interrupted)?;
    result.print(args, &totals, &verdict_in_words(&summary, &allowances(&args.allow).words()));
    Ok(summary.exit_code)
}

fn has_counts(format: EventFormat) -> bool {
    matches!(format, EventFormat::Jsonl | EventFormat::Csv | EventFormat::Table)
}

fn format(format: EventFormat) -> Format {
    match format {
        EventFormat::Jsonl => Format::Jsonl,
        EventFormat::Raw => Format::Raw,
        EventFormat::Table => Format::Table(terminal_width()),
        EventFormat::Csv => Format::Csv,
        EventFormat::Timesketch => Format::Timesketch,
        EventFormat::LookupEvents => Format::LookupEvents,
    }
}

/// The reader of the events that the arguments ask for.
fn reader(args: &EventsArgs) -> Result<EventReader, Failure> {
    let filter = filter(&args.conditions)?;
    let condition = args.conditions.condition.as_deref().map(JqCondition::new).transpose();
    let condition = condition.map_err(|error| Failure::Usage(format!("--where is no program of jq: {error}")))?;
    let reader = match args.count_by.is_empty() {
        true => {
            let format = match &args.output {
                _ if args.parquet.is_some() => Format::Rows,
                // A file is as wide as its rows.
                Some(_) if args.format == EventFormat::Table => Format::Table(None),
                _ => format(args.format),
            };
            EventReader::new(filter, format)
        }
        false => EventReader::counting(filter, CountBy::new(args.count_by.clone())),
    };
    Ok(reader.with_condition(condition))
}

fn filter(args: &ConditionArgs) -> Result<EventFilter, Failure> {
    let now = now();
    let time = |argument: Option<TimeArgument>| {
        argument.map(|argument| argument.resolve(now)).transpose().map_err(Failure::Usage)
    };
    let (after, before) = (time(args.after)?, time(args.before)?);
    if let (Some(after), Some(before)) = (after, before)
        && after >= before
    {
        return Err(Failure::Usage(format!("--after {after} is not before --before {before}: no event is in between")));
    }
    let mut filter = EventFilter::default();
    for (field, values) in [
        (TextField::EventId, &args.event_id),
        (TextField::EventName, &args.event_name),
        (TextField::EventSource, &args.event_source),
        (TextField::UserName, &args.username),
        (TextField::AccessKeyId, &args.access_key_id),
        (TextField::ResourceName, &args.resource_name),
        (TextField::ResourceType, &args.resource_type),
        (TextField::Arn, &args.arn),
        (TextField::ErrorCode, &args.error_code),
        (TextField::EventRegion, &args.event_region),
        (TextField::EventAccount, &args.event_account),
        (TextField::Category, &args.category),
    ] {
        filter = filter.with(field, values.iter().map(|value| Pattern::new(value)).collect());
    }
    filter.addresses.clone_from(&args.source_ip);
    (filter.read_only, filter.after, filter.before) = (args.read_only, after, before);
    Ok(filter)
}

/// Writes the events of a run, and counts what is left out.
struct EventWatch<'s> {
    output: EventOutput,
    /// The table to which events are written in place of the output.
    table: Option<TableFolder>,
    reader: Arc<EventReader>,
    /// The reason why events could not be counted.
    trouble: Option<std::io::Error>,
    /// Ends the run where events could not be counted.
    stop: &'s Notify,
    left_out: BTreeMap<&'static str, u64>,
    /// The account and region of each chain.
    chains: BTreeSet<(String, String)>,
}

impl Watch for &mut EventWatch<'_> {
    fn record(&mut self, record: &Record) {
        if let (Record::LogFile(file), None) = (record, &self.trouble) {
            self.trouble = self.reader.emitted(file).err();
            if self.trouble.is_some() {
                self.stop.notify_one();
            }
        }
        match record {
            Record::LogFile(file) if file.status != LogFileStatus::Intact => {
                *self.left_out.entry(file.status.as_str()).or_default() += 1;
            }
            Record::Chain(chain) => {
                self.chains.insert((chain.chain.account.to_string(), chain.chain.region.to_string()));
            }
            _ => {}
        }
    }

    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> std::io::Result<()> {
        match &mut self.table {
            Some(table) => table.add(file, extract.into_reader()),
            None => self.output.copy(extract.into_reader()),
        }
    }
}

/// The last line of JSON Lines.
#[derive(Serialize)]
struct SummaryLine<'a> {
    summary: &'a EventSummary,
}

/// The result of a run, beside its events.
#[derive(Serialize)]
struct EventSummary {
    events: u64,
    duplicate_event_ids: u64,
    /// The number of events on which the condition of `--where` fails.
    not_judged: u64,
    /// The number of log files that are proven and were searched for events.
    log_files: u64,
    /// The number of files of the table, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    parquet_files: Option<u64>,
    /// The number of log files whose events are not among those written, by reason.
    left_out: BTreeMap<&'static str, u64>,
    verdict: &'static str,
    /// True if the verdict rests on the public keys that a bag itself holds.
    keys_of_bag: bool,
    /// The kinds of findings that were kept out of the verdict.
    allow: Vec<String>,
    exit_code: u8,
    interrupted: bool,
    #[serde(skip)]
    fails_by_tampering_alone: bool,
}

/// The verdict, with whose keys it rests on if they are a bag's, and what was kept out of it.
pub(super) fn verdict_in_words(summary: &SummaryRecord, allowed: &[String]) -> String {
    let keys = if summary.keys_of_bag { ", by the bag's own public keys" } else { "" };
    let allowed = if allowed.is_empty() { String::new() } else { format!(", with {} allowed", allowed.join(", ")) };
    format!("{}{keys}{allowed}", summary.verdict)
}

/// The reason of proven log files whose content is not in the form of one.
const OTHER_FORM: &str = "other_form";

impl EventSummary {
    fn new(
        totals: &EventTotals,
        mut left_out: BTreeMap<&'static str, u64>,
        summary: &SummaryRecord,
        allow: Vec<String>,
    ) -> Self {
        if totals.other_form > 0 {
            left_out.insert(OTHER_FORM, totals.other_form);
        }
        Self {
            events: totals.events,
            duplicate_event_ids: totals.duplicates,
            not_judged: totals.not_judged,
            log_files: totals.files - totals.other_form,
            parquet_files: None,
            left_out,
            verdict: summary.verdict.as_str(),
            keys_of_bag: summary.keys_of_bag,
            allow,
            exit_code: summary.exit_code,
            interrupted: summary.interrupted,
            fails_by_tampering_alone: summary.fails_by_tampering_alone(),
        }
    }

    /// Prints the result for people to standard error. If that is closed, nobody reads it.
    fn print(&self, args: &EventsArgs, totals: &EventTotals, verdict: &str) {
        if args.quiet && self.left_out.is_empty() && totals.not_judged == 0 && self.exit_code == 0 {
            return;
        }
        let mut text = format!("{} in {}\n", events_in_words(self.events), files(self.log_files, "proven log file"));
        let of_status: Vec<String> = self
            .left_out
            .iter()
            .filter(|(reason, _)| **reason != OTHER_FORM)
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        if !of_status.is_empty() {
            text += &format!("log files left out, because they are not proven: {}\n", of_status.join(", "));
        }
        if totals.other_form > 0 {
            text += &format!("proven log files left out, because their events can't be read: {}\n", totals.other_form);
            for (object, reason) in &totals.named {
                text += &format!("  {}: {}\n", printable(&object.to_string()), printable(reason));
            }
        }
        if self.duplicate_event_ids > 0 {
            text += &format!("events whose eventID another event had before them: {}\n", self.duplicate_event_ids);
        }
        if totals.not_judged > 0 {
            text += &format!(
                "events left out, because the condition of --where fails on them: {} ({})\n",
                totals.not_judged,
                printable(totals.why_not_judged.as_deref().unwrap_or_default())
            );
        }
        if let (Some(files), Some(parquet)) = (self.parquet_files, &args.parquet) {
            let folder = parquet.display().to_string();
            let folder = printable(&folder);
            text += &match self.interrupted {
                false => format!("{} in {folder}\n", self::files(files, "Parquet file")),
                true => format!("interrupted: {folder} gets no events\n"),
            };
        } else if self.interrupted {
            text += "interrupted: the events are not complete\n";
        }
        text += &format!("verdict on the logs: {verdict}\n");
        if self.fails_by_tampering_alone {
            text += "the exit code is 1, by --fail-on tampering: --report tampering=FILE names the events\n";
        }
        if self.verdict != Verdict::Verified.as_str() && args.report.is_empty() {
            text += "--report text=FILE says what was found\n";
        }
        let _ = anstream::stderr().write_all(text.as_bytes());
    }
}

fn events_in_words(count: u64) -> String {
    files(count, "event")
}

fn files(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
