//! The report for people: a line for each chain, then the findings, and the verdict last.

use std::io::{self, Write};

use super::custody::{limited, recheck};
use super::finding::acknowledgement;
use super::text_findings::{Findings, line};
use super::text_style::{BAD, DIM, HEAD, OPEN, counted, verdict_style};
use super::text_table::{Row, write_table};
use super::text_verdict::{allowed_gaps, bound, intact, open_points, violations};
use super::{Report, belongs_to_chain};
use crate::debug::opaque_debug;
use crate::model::{Depth, DigestStatus, LogFileStatus, Verdict, WarningCode, printable};
use crate::records::{
    AcknowledgedCount, Allowances, Record, RunRecord, Sample, SinceCheckpoint, SummaryRecord, Tally,
    format_time as time,
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
    summary: Option<SummaryRecord>,
    /// True if a warning says that something was asked about that is not there, or that somebody
    /// touched an object: then `quiet` does not hold.
    has_doubt: bool,
}

opaque_debug!(Text<W>);

impl<W: Write> Text<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W, options: TextOptions) -> Self {
        Self {
            out,
            options,
            run: None,
            rows: Vec::new(),
            current: Tally::default(),
            findings: Findings::default(),
            listing: Vec::new(),
            summary: None,
            has_doubt: false,
        }
    }

    fn head(&mut self, summary: &SummaryRecord) -> io::Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let out = &mut self.out;
        writeln!(out, "{HEAD}CloudTrail log file integrity{HEAD:#}  {DIM}ctverify {}{DIM:#}", run.version)?;
        let trail = run.trail_arn.as_ref().map_or("every trail found".to_owned(), ToString::to_string);
        writeln!(out, "  trail   {}", printable(&trail))?;
        writeln!(out, "  source  {}", printable(&run.source))?;
        let limits = limited(&run.filters);
        if let Some(limits) = limits.strip_prefix(", ") {
            writeln!(out, "  filter  {limits}")?;
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
            Some(start) => start,
        };
        let to = run.range.end.map_or("the last digest".to_owned(), time);
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

    fn verdict(&mut self, summary: &SummaryRecord) -> io::Result<()> {
        let tally = &summary.tally;
        let (style, word) = match summary.interrupted {
            true => (OPEN, "INTERRUPTED".to_owned()),
            false => (verdict_style(summary.verdict), summary.verdict.as_str().to_uppercase()),
        };
        let text = match summary.verdict {
            _ if summary.interrupted => {
                "the run was stopped before its end: what was found so far stands above, and proves nothing of the rest"
                    .to_owned()
            }
            Verdict::Verified => intact(summary),
            Verdict::Violated => violations(tally),
            Verdict::Inconclusive => open_points(tally, &self.options.allowed),
        };
        let rests = if summary.keys_of_bag { format!("; {KEYS_OF_BAG}") } else { String::new() };
        writeln!(self.out, "{style}{word}{style:#}  {text}{rests}")?;
        if let Some(sample) = summary.sample {
            writeln!(self.out, "{}", bound(&sample))?;
        }
        self.since(summary)?;
        let mut spared = allowed_gaps(tally, &self.options.allowed);
        let unsampled = summary.sample.is_some_and(|sample| sample.read < sample.total);
        spared.extend((unsampled && self.options.allowed.sample).then(|| "what the sample left unread".to_owned()));
        if !spared.is_empty() {
            writeln!(self.out, "{DIM}kept out of the verdict by --allow: {}{DIM:#}", spared.join(", "))?;
        }
        let seconds = self.run.as_ref().map_or(0, |run| summary.finished.as_second() - run.started.as_second());
        let requests = summary.requests;
        writeln!(
            self.out,
            "{DIM}{} and {} examined in {seconds} s: {} requested, {} listed, {} to AWS APIs{DIM:#}",
            counted(DigestStatus::ALL.iter().map(|s| tally.digests(*s)).sum(), "digest"),
            counted(LogFileStatus::ALL.iter().map(|s| tally.log_files(*s)).sum(), "log file"),
            counted(requests.get, "object"),
            counted(requests.list, "page"),
            counted(requests.other, "request"),
        )
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
        writeln!(self.out, "{style}{verdict}{style:#}  {trail}: the same as at {last}, {known} still open, none new")?;
        Ok(true)
    }

    /// Writes how the findings compare with those of earlier runs.
    fn since(&mut self, summary: &SummaryRecord) -> io::Result<()> {
        // A run that was stopped leaves the checkpoint as it was.
        let Some(since) = summary.since_checkpoint.as_ref().filter(|_| !summary.interrupted) else { return Ok(()) };
        let SinceCheckpoint { last_run, new, known, mended, counted: unnamed, .. } = since;
        let Some(last) = last_run else {
            return writeln!(self.out, "The first run with this checkpoint: the next one goes on from here.");
        };
        let (last, verdict) = (time(last.started), last.verdict);
        let found = match (new, known) {
            (0, 0) => "nothing was found".to_owned(),
            (0, known) => format!("nothing new was found, {} still open", counted(*known, "finding")),
            (new, 0) => format!("{} new", counted(*new, "finding")),
            (new, known) => format!("{} new, {known} known and still open", counted(*new, "finding")),
        };
        let mended = if *mended > 0 { format!(", {mended} mended") } else { String::new() };
        writeln!(self.out, "Since the run of {last} ({verdict}): {found}{mended}.")?;
        for (kind, count) in unnamed {
            let unnamed = counted(*count, kind);
            writeln!(self.out, "{BAD}Earlier runs reported{BAD:#} {unnamed} more: their reports have the names.")?;
        }
        for AcknowledgedCount { what, count, acknowledged } in &since.counted_acknowledged {
            let by = acknowledgement(acknowledged);
            writeln!(self.out, "Acknowledged: {} of earlier runs, {}", counted(*count, what), printable(&by))?;
        }
        Ok(())
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
        if let Record::Run(run) = record {
            self.findings.lists_intact = run.files > 0;
        }
        self.findings.take(record, self.options.verbose);
        match record {
            Record::Run(run) => self.run = Some(run.clone()),
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
        if self.options.quiet && summary.verdict == Verdict::Verified && !self.has_doubt {
            return self.out.flush();
        }
        let is_doubtful = self.has_doubt && summary.verdict == Verdict::Verified;
        if self.options.quiet && !is_doubtful && self.same(&summary)? {
            return self.out.flush();
        }
        self.out.write_all(&self.listing)?;
        if self.options.verbose {
            writeln!(self.out)?;
        }
        self.head(&summary)?;
        write_table(&self.rows, summary.depth, &mut self.out)?;
        self.findings.write(&mut self.out)?;
        self.verdict(&summary)?;
        self.out.flush()
    }
}
