//! Reading records that were saved earlier, so that further reports can be made of a costly run
//! without repeating it.

use std::io::BufRead;

use super::v2::{Line, Record, SummaryLine, SummaryRecord};
use super::{Allowances, Tally};
use crate::model::{DigestStatus, LogFileStatus, Verdict, exit_code};

/// The reason why saved records can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file can't be read, or `take` failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is not a record.
    #[error("line {line} is no record of ctverify/2: {reason}")]
    Line {
        /// The number of the line, counted from 1.
        line: usize,
        /// A description of the fault.
        reason: String,
    },
    /// The run record or the summary is missing.
    #[error(
        "the records have no {0}: they are not those of a whole run, as --format jsonl or --report jsonl=FILE \
         writes them"
    )]
    Incomplete(&'static str),
    /// The summary has a verdict that these records can't result in.
    #[error(
        "the summary does not fit the records: '{claimed}' with exit code {exit_code} is no verdict that they \
         can come to"
    )]
    Verdict {
        /// The verdict in the summary.
        claimed: Verdict,
        /// The exit code in the summary.
        exit_code: u8,
    },
    /// A count in the summary differs from the records.
    #[error("the summary does not fit the records: it counts {claimed} {what}, and there are {found}")]
    Contradiction {
        /// The kind of record that is counted.
        what: String,
        /// The count in the summary.
        claimed: u64,
        /// The number of records that were found.
        found: u64,
    },
}

/// Reads the records of one run from lines of JSON, and passes each to `take`. Kinds of records
/// that this version doesn't know are skipped.
///
/// # Errors
///
/// Fails if a line is no record of this schema, if the run record or the summary is missing, if
/// the summary does not fit the records, or if `take` fails: see [`ReadError`].
pub fn read_records(
    lines: impl BufRead,
    mut take: impl FnMut(&Record) -> std::io::Result<()>,
) -> Result<SummaryRecord, ReadError> {
    let mut tally = Tally::default();
    let (mut has_run, mut fails_on_tampering, mut summary) = (false, false, None);
    for (index, line) in lines.lines().enumerate() {
        let line = line?;
        let wrong = |reason: String| ReadError::Line { line: index + 1, reason };
        if summary.is_some() {
            return Err(wrong("it comes after the summary".to_owned()));
        }
        let line: Line<'_> = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        if !has_run && !matches!(line, Line::Run(_)) {
            return Err(ReadError::Incomplete("run record at their begin"));
        }
        let record = match line {
            Line::Run(run) => Record::Run(run.into_owned()),
            Line::Bag(bag) => Record::Bag(bag.into_owned()),
            Line::Digest(digest) => Record::Digest(digest.into_owned()),
            Line::LogFile(log_file) => Record::LogFile(log_file.into_owned()),
            Line::Gap(gap) => Record::Gap(gap.into_owned()),
            Line::Tampering(tampering) => Record::Tampering(tampering.into_owned()),
            Line::Warning(warning) => Record::Warning(warning.into_owned()),
            Line::Chain(chain) => Record::Chain(chain.into_owned()),
            Line::Circumstances(circumstances) => Record::Circumstances(circumstances.into_owned()),
            Line::Summary(claimed) => {
                let record = claimed.clone().into_record(std::mem::take(&mut tally));
                compare(&claimed, &record, fails_on_tampering)?;
                summary = Some(record.clone());
                Record::Summary(record)
            }
            Line::Other => continue,
        };
        if let Record::Run(run) = &record {
            has_run = true;
            fails_on_tampering = run.fails_on_tampering();
        }
        tally.count(&record);
        take(&record)?;
    }
    summary.ok_or(ReadError::Incomplete("summary"))
}

/// Compares the summary with the counts of the records, which differ if someone removed a line
/// or added one.
fn compare(claimed: &SummaryLine, counted: &SummaryRecord, fails_on_tampering: bool) -> Result<(), ReadError> {
    let fits = |what: &str, claimed: u64, found: u64| {
        if claimed == found {
            return Ok(());
        }
        Err(ReadError::Contradiction { what: what.to_owned(), claimed, found })
    };
    let tally = &counted.tally;
    for status in DigestStatus::ALL {
        let count = claimed.digests.get(status.as_str()).copied().unwrap_or_default();
        fits(&format!("{status} digests"), count, tally.digests(*status))?;
    }
    for status in LogFileStatus::ALL {
        let count = claimed.log_files.get(status.as_str()).copied().unwrap_or_default();
        // Log files that were not read count as unverified in the summary, but have no record.
        let unread = if *status == LogFileStatus::Unverified { counted.not_read } else { 0 };
        fits(&format!("{status} log files"), count, tally.log_files(*status).saturating_add(unread))?;
    }
    fits("gaps", claimed.gaps, tally.gaps())?;
    fits("acknowledged findings", claimed.acknowledged, tally.acknowledged)?;
    fits("warnings", claimed.warnings, tally.warnings)?;
    let tampering = claimed.tampering.unwrap_or_default();
    fits("findings of tampering that succeeded", tampering.succeeded, tally.tampering.succeeded)?;
    fits("findings of tampering that was attempted", tampering.attempted, tally.tampering.attempted)?;
    if can_come_to(claimed, counted, fails_on_tampering) {
        return Ok(());
    }
    Err(ReadError::Verdict { claimed: counted.verdict, exit_code: claimed.exit_code })
}

/// Returns whether these counts can result in this verdict, whatever `--allow` excluded from
/// it: no allowance softens a violation. With `fails_on_tampering`, an event of tampering makes the exit
/// code 1.
fn can_come_to(claimed: &SummaryLine, counted: &SummaryRecord, fails_on_tampering: bool) -> bool {
    let verdict = counted.verdict;
    if counted.interrupted {
        return verdict == Verdict::Inconclusive;
    }
    let lenient = Allowances { every_gap: true, unlisted: true, sample: true, ..Allowances::default() };
    let mildest = counted.tally.verdict(&lenient, false);
    let fails = fails_on_tampering && counted.tally.tampering.succeeded > 0;
    claimed.exit_code == if fails { exit_code::VIOLATED } else { verdict.exit_code() }
        && (verdict == Verdict::Violated) == (mildest == Verdict::Violated)
        && (verdict != Verdict::Verified || mildest == Verdict::Verified)
}
