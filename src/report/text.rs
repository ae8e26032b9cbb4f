//! The report for people: a line for each chain, then the findings, and the verdict last.

use std::io::{self, Write};

use super::custody::{limited, of_bag, recheck};
use super::finding::acknowledgement;
use super::text_findings::{Findings, line};
use super::text_style::{BAD, DIM, HEAD, OPEN, counted, verdict_style};
use super::text_table::{Row, write_table};
use super::text_verdict::{bound, intact, kept_out, open_points, scope, tampering, violations};
use super::text_wrap::Wrapped;
use super::{Report, belongs_to_chain};
use crate::debug::opaque_debug;
use crate::model::{
    BagStatus, Depth, DigestStatus, LogFileStatus, TamperingOutcome, Verdict, WarningCode, exit_code, printable,
};
use crate::records::{
    AcknowledgedCount, Allowances, BagRecord, CustodyLine, Merged, Record, RunRecord, Sample, SinceCheckpoint,
    SummaryRecord, Tally, format_time as time,
};

/// The time by which a digest may be late by default, in seconds.
const DEFAULT_GRACE_SECONDS: i64 = 2 * 60 * 60;

/// The note on a verdict that relies on the bag's own keys.
pub(super) const KEYS_OF_BAG: &str =
    "this rests on the public keys that the bag itself holds, which were compared with no others";

/// Options of the text report.
#[derive(Debug, Clone, Default)]
pub struct TextOptions {
    /// True if every digest and log file is listed, the intact ones too.
    pub verbose: bool,
    /// True if nothing is written for the verdict `verified`.
    pub quiet: bool,
    /// The findings that were excluded from the verdict, so that the report can say so.
    pub allowed: Allowances,
    /// The width of the terminal, in columns, to which lines are wrapped; `None` if the report is not
    /// written to a terminal.
    pub width: Option<usize>,
    /// The names of further reports of the run, as they are to be shown.
    pub reports: Vec<String>,
}

/// The report for people. It is styled for a terminal; the owner of `out` strips the styles where
/// they are not wanted.
pub struct Text<W> {
    out: W,
    options: TextOptions,
    run: Option<RunRecord>,
    rows: Vec<Row>,
    current: Tally,
    findings: Findings,
    listing: Vec<u8>,
    bag: Option<BagRecord>,
    /// True if a warning says that the newest lines of the bag's custody log are not signed.
    is_signed_in_part: bool,
    summary: Option<SummaryRecord>,
    /// True if a warning says that something was asked about that is not there, or that somebody
    /// touched an object: then `quiet` does not hold.
    has_doubt: bool,
    /// True if a call that weakens logging succeeded: then the result is not the same as the previous run's.
    has_tampering: bool,
}

opaque_debug!(Text<W>);

impl<W: Write> Text<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W, options: TextOptions) -> Self {
        let findings = Findings::new(options.verbose);
        Self {
            out,
            options,
            run: None,
            rows: Vec::new(),
            current: Tally::default(),
            findings,
            listing: Vec::new(),
            bag: None,
            is_signed_in_part: false,
            summary: None,
            has_doubt: false,
            has_tampering: false,
        }
    }

    fn head(&mut self, summary: &SummaryRecord) -> io::Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let out = &mut Wrapped::new(&mut self.out, self.options.width);
        writeln!(out, "{HEAD}CloudTrail log file integrity{HEAD:#}  {DIM}ctverify {}{DIM:#}", run.version)?;
        let trail = run.trail_arn.as_ref().map_or("every trail found".to_owned(), ToString::to_string);
        writeln!(out, "  trail   {}", printable(&trail))?;
        writeln!(out, "  source  {}", printable(&run.source))?;
        let limits = limited(&run.filters);
        if let Some(limits) = limits.strip_prefix(", ") {
            writeln!(out, "  filter  {limits}")?;
        }
        if let Some(bag) = &self.bag {
            write_bag(out, run, bag, self.is_signed_in_part)?;
        }
        if run.files > 0 {
            let asked = counted(run.files as u64, "log file");
            return writeln!(out, "  asked   {asked}: the digest that lists each, and its links on both sides\n");
        }
        let goes_on = summary.since_checkpoint.as_ref().is_some_and(|since| since.last_run.is_some());
        let from = match run.range.start.map(time) {
            None if goes_on => "where the last run ended".to_owned(),
            None => "the first digest".to_owned(),
            Some(start) if goes_on => format!("{start} (earlier runs: up to where the last one ended)"),
            Some(start) => start + of_bag(run, "--start"),
        };
        let to = run.range.end.map_or("the last digest".to_owned(), |end| time(end) + of_bag(run, "--end"));
        writeln!(out, "  range   {from} to {to}")?;
        let depth = match (run.depth, run.sample) {
            (Depth::Chain, _) => "digests alone; log files are not looked at",
            (Depth::Presence, _) => "digests are read, and log files looked for by listing",
            (Depth::Content, None) => "digests and log files are read",
            (Depth::Content, Some(_)) => {
                "digests and a sample of the log files are read, the others looked for by listing"
            }
        };
        writeln!(out, "  depth   {}: {depth}", run.depth)?;
        if let Some(Merged { plan, units, planned }) = &run.merged {
            let (units, planned) = (counted(*units, "unit"), time(*planned));
            writeln!(out, "  merged  the results of {units}, which read the objects; judged as of {planned}")?;
            writeln!(out, "  plan    {plan}")?;
        }
        if run.grace_seconds != DEFAULT_GRACE_SECONDS {
            let grace = jiff::SignedDuration::from_secs(run.grace_seconds);
            writeln!(
                out,
                "  grace   a digest may come {} min after its hour before its absence counts",
                grace.as_mins()
            )?;
        }
        if let Some(share) = recheck(run) {
            writeln!(out, "  recheck {share} of the days that earlier runs verified are read again")?;
        }
        if let Some(Sample { files, seed }) = run.sample {
            writeln!(
                out,
                "  sample  {} at random; --seed {seed} draws the same ones again",
                counted(files, "log file")
            )?;
        }
        writeln!(out)
    }

    /// Writes what the run did, and the verdict last.
    fn verdict(&mut self, summary: &SummaryRecord) -> io::Result<()> {
        let tally = &summary.tally;
        let seconds = self.run.as_ref().map_or(0, |run| summary.finished.as_second() - run.started.as_second());
        let out = &mut Wrapped::new(&mut self.out, self.options.width);
        let requests = summary.requests;
        let is_merged = self.run.as_ref().is_some_and(|run| run.merged.is_some());
        let (merged, by) = if is_merged { ("merged ", " by plan, units and merge") } else { ("", "") };
        writeln!(
            out,
            "{DIM}{} and {} {merged}in {seconds} s: {} requested, {} listed, {} to AWS APIs{by}{DIM:#}",
            counted(DigestStatus::ALL.iter().map(|s| tally.digests(*s)).sum(), "digest"),
            counted(LogFileStatus::ALL.iter().map(|s| tally.log_files(*s)).sum(), "log file"),
            counted(requests.get, "object"),
            counted(requests.list, "page"),
            counted(requests.other, "request"),
        )?;
        out.flush()?;
        // A link is not to be divided.
        for report in &self.options.reports {
            writeln!(self.out, "{DIM}report{DIM:#}  {report}")?;
        }
        let out = &mut Wrapped::new(&mut self.out, self.options.width);
        let kept_out = kept_out(summary, &self.options.allowed);
        if !kept_out.is_empty() {
            writeln!(out, "{DIM}kept out of the verdict by --allow: {}{DIM:#}", kept_out.join(", "))?;
        }
        since(out, summary)?;
        if let Some(sample) = summary.sample {
            writeln!(out, "{}", bound(&sample))?;
        }
        if summary.looked_for_tampering {
            writeln!(out, "{}", tampering(summary))?;
        }
        if self.options.verbose {
            let (code, meaning) = match summary.fails_by_tampering_alone() {
                true => (summary.exit_code, "a proven event of tampering counts, by --fail-on tampering"),
                false => (summary.exit_code, exit_code::meaning(summary.exit_code)),
            };
            writeln!(out, "{DIM}exit code {code}: {meaning}{DIM:#}")?;
        }
        let (style, word) = match summary.interrupted {
            true => (OPEN, "INTERRUPTED".to_owned()),
            false => (verdict_style(summary.verdict), summary.verdict.as_str().to_uppercase()),
        };
        let period = self.rows.iter().map(|row| (row.record.from, row.record.to));
        let period = period.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        // Single log files are asked about by name, not by time.
        let period = period.filter(|_| self.run.as_ref().is_some_and(|run| run.files == 0));
        let text = match summary.verdict {
            _ if summary.interrupted => {
                "the run was stopped before its end: what was found so far stands above, and proves nothing of the rest"
                    .to_owned()
            }
            Verdict::Verified => intact(summary, &scope(self.rows.len(), period)),
            Verdict::Violated => violations(tally),
            Verdict::Inconclusive => open_points(tally, &self.options.allowed),
        };
        let rests = if summary.keys_of_bag { format!("; {KEYS_OF_BAG}") } else { String::new() };
        writeln!(out, "\n{style}{word}{style:#}  {text}{rests}")?;
        out.flush()
    }
}

impl<W: Write> Text<W> {
    /// Writes one line if the run found the same as the previous one. Returns whether it did.
    fn same(&mut self, summary: &SummaryRecord) -> io::Result<bool> {
        let Some(since) = summary.since_checkpoint.as_ref().filter(|since| since.is_same(summary.verdict)) else {
            return Ok(false);
        };
        let (verdict, known) = (summary.verdict.as_str().to_uppercase(), counted(since.known, "finding"));
        let trail = self.run.as_ref().and_then(|run| run.trail_arn.as_ref());
        let trail = trail.map_or("every trail found".to_owned(), ToString::to_string);
        let last = since.last_run.map(|run| time(run.started)).unwrap_or_default();
        let (style, trail) = (verdict_style(summary.verdict), printable(&trail));
        let out = &mut Wrapped::new(&mut self.out, self.options.width);
        writeln!(out, "{style}{verdict}{style:#}  {trail}: the same as at {last}, {known} still open, none new")?;
        Ok(true)
    }
}

impl<W: Write> Report for Text<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if self.options.verbose && matches!(record, Record::Digest(_) | Record::LogFile(_)) {
            line(&mut self.listing, record)?;
            // With --quiet nothing may be shown before the verdict is known.
            if !self.options.quiet {
                self.out.write_all(&self.listing)?;
                self.listing.clear();
            }
        }
        if belongs_to_chain(record) {
            self.current.count(record);
        }
        if let Record::Warning(warning) = record {
            self.has_doubt |= matches!(warning.code, WarningCode::NothingFound | WarningCode::ObjectTouched);
        }
        self.has_tampering |=
            matches!(record, Record::Tampering(found) if found.outcome == TamperingOutcome::Succeeded);
        if let Record::Run(run) = record {
            self.findings.lists_intact = run.files > 0;
        }
        self.findings.take(record);
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
            Record::Bag(bag) => self.bag = Some(bag.clone()),
            Record::Warning(warning) if warning.code == WarningCode::CustodyNotSigned => self.is_signed_in_part = true,
            Record::Chain(chain) => {
                let (tally, record) = (std::mem::take(&mut self.current), chain.clone());
                self.rows.push(Row { chain: chain.chain.clone(), tally, record });
            }
            Record::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(summary) = self.summary.take() else { return self.out.flush() };
        let has_doubt = self.has_doubt || self.has_tampering;
        if self.options.quiet && summary.verdict == Verdict::Verified && !has_doubt {
            return self.out.flush();
        }
        let is_doubtful = self.has_doubt && summary.verdict == Verdict::Verified;
        if self.options.quiet && !is_doubtful && !self.has_tampering && self.same(&summary)? {
            return self.out.flush();
        }
        self.out.write_all(&self.listing)?;
        if self.options.verbose {
            writeln!(self.out)?;
        }
        self.head(&summary)?;
        let TextOptions { verbose, width, .. } = &self.options;
        let reads_all = summary.depth == Depth::Content && summary.not_read == 0;
        write_table(&self.rows, reads_all, *verbose, *width, &mut self.out)?;
        self.findings.write(&mut Wrapped::new(&mut self.out, *width))?;
        self.verdict(&summary)?;
        self.out.flush()
    }
}

/// Writes how the findings compare with those of earlier runs.
fn since(out: &mut impl Write, summary: &SummaryRecord) -> io::Result<()> {
    // A run that was stopped leaves the checkpoint as it was.
    let Some(since) = summary.since_checkpoint.as_ref().filter(|_| !summary.interrupted) else { return Ok(()) };
    let SinceCheckpoint { last_run, new, known, mended, counted: unnamed, .. } = since;
    let Some(last) = last_run else {
        return writeln!(out, "The first run with this checkpoint.");
    };
    let (last, verdict) = (time(last.started), last.verdict);
    let found = match (new, known) {
        (0, 0) => "nothing was found".to_owned(),
        (0, known) => format!("nothing new was found, {} still open", counted(*known, "finding")),
        (new, 0) => format!("{} new", counted(*new, "finding")),
        (new, known) => format!("{} new, {known} known and still open", counted(*new, "finding")),
    };
    let mended = if *mended > 0 { format!(", {mended} mended") } else { String::new() };
    writeln!(out, "Since the run of {last} ({verdict}): {found}{mended}.")?;
    for (kind, count) in unnamed {
        let unnamed = counted(*count, kind);
        writeln!(out, "{BAD}Earlier runs reported{BAD:#} {unnamed} more: their reports have the names.")?;
    }
    for AcknowledgedCount { what, count, acknowledged } in &since.counted_acknowledged {
        let by = acknowledgement(acknowledged);
        writeln!(out, "Acknowledged: {} of earlier runs, {}", counted(*count, what), printable(&by))?;
    }
    Ok(())
}

/// The number of lines of a custody log that the text shows.
const CUSTODY_LINES: usize = 5;

/// Writes the state of the bag and the newest lines of its custody log.
fn write_bag(out: &mut impl Write, run: &RunRecord, bag: &BagRecord, is_signed_in_part: bool) -> io::Result<()> {
    let is_intact = bag.status == BagStatus::Intact;
    let state = if is_intact { "intact, as its manifests and its custody log record" } else { "altered" };
    writeln!(out, "  bag     {}: {state}", printable(&bag.path))?;
    if let Some(signer) = run.settings.iter().find(|setting| setting.name == "--signer").filter(|_| is_intact) {
        let part = if is_signed_in_part { " in part: see the warnings" } else { "" };
        writeln!(out, "  signed  the custody log, by a key of {}{part}", printable(&signer.value))?;
    }
    for CustodyLine { number, time: at, action, by, to, .. } in
        bag.custody.iter().skip(bag.custody.len().saturating_sub(CUSTODY_LINES))
    {
        let by = by.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
        let to = to.as_ref().map(|name| format!(" to {name}")).unwrap_or_default();
        writeln!(out, "  custody {number}: {action}{} {}", printable(&format!("{by}{to}")), time(*at))?;
    }
    Ok(())
}
