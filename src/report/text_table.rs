//! The table of chains in the report for people. It fits the width: times are shortened, then left
//! out, then counts wrap.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use textwrap::core::display_width;

use super::text_style::{BAD, GOOD, OPEN, counted};
use crate::model::{AccountId, ChainId, DigestStatus, LogFileStatus, Verdict};
use crate::records::{Allowances, ChainRecord, Tally, format_time as time};

/// The number of chains up to which each has a line. Beyond that, each account has one.
const CHAINS: usize = 20;
/// The width that a table should have where the report is not written to a terminal.
const WIDTH: usize = 100;
/// The width of a terminal from which on a table whose cells wrap has times.
const WIDE: usize = 110;

/// A line of the table.
pub(super) struct Row {
    pub chain: Arc<ChainId>,
    pub tally: Tally,
    pub record: ChainRecord,
}

/// The form of the times in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Full,
    Minutes,
    None,
}

/// Writes a table with a line for each chain; with many chains, a line for each account, and then
/// those chains in which something was found. `reads_all` says that every log file was to be read, `all`
/// lists every chain, however many they are.
pub(super) fn write_table(
    rows: &[Row],
    reads_all: bool,
    all: bool,
    width: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    if rows.len() <= CHAINS || all {
        return write_fitting(width, out, |times| chains(&rows.iter().collect::<Vec<_>>(), reads_all, times));
    }
    write_fitting(width, out, |_| accounts(rows, reads_all))?;
    let (clean, found): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.verdict() == Verdict::Verified);
    if !found.is_empty() {
        write_fitting(width, out, |times| chains(&found, reads_all, times))?;
    }
    writeln!(out, "  {} of {} verified: --verbose lists them\n", clean.len(), counted(rows.len() as u64, "chain"))
}

/// Writes the table with the fullest times that fit the width. If none fits, cells wrap in a terminal,
/// where a narrow one has no times.
fn write_fitting(width: Option<usize>, out: &mut impl Write, make: impl Fn(Times) -> Option<Table>) -> io::Result<()> {
    let room = width.unwrap_or(WIDTH);
    let fits = |table: &Table| table.to_string().lines().all(|line| display_width(line.trim_end()) <= room);
    let mut fitting = [Times::Full, Times::Minutes].into_iter().filter_map(&make).filter(fits);
    let table = match (fitting.next(), width) {
        (Some(table), _) => Some(table),
        (None, None) => make(Times::Minutes),
        (None, Some(width)) => {
            let times = if width >= WIDE { Times::Minutes } else { Times::None };
            make(times).map(|mut table| {
                if !fits(&table) {
                    let width = u16::try_from(width).unwrap_or(u16::MAX);
                    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
                }
                table
            })
        }
    };
    let Some(table) = table else { return Ok(()) };
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)
}

fn new_table(header: Vec<&str>) -> Table {
    let last = header.len() - 1;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    if let Some(column) = table.column_mut(last) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Makes a table of chains; `None` if there are none.
fn chains(rows: &[&Row], reads_all: bool, times: Times) -> Option<Table> {
    let first = rows.first()?;
    let organizations = rows.iter().any(|row| row.chain.organization.is_some());
    let several = rows.iter().any(|row| row.chain.trail != first.chain.trail);
    let mut header = vec!["", "ACCOUNT", "REGION"];
    header.extend(organizations.then_some("ORGANIZATION"));
    header.extend(several.then_some("TRAIL"));
    header.extend(["DIGESTS", "LOG FILES"]);
    if times != Times::None {
        header.extend(["FROM", "TO"]);
    }
    header.push("COVERED");
    let mut table = new_table(header);
    for row in rows {
        let ChainId { organization, account, region, trail, .. } = &*row.chain;
        let mut cells = vec![row.mark(), account.to_string(), region.to_string()];
        if organizations {
            cells.push(organization.as_ref().map_or("-".to_owned(), ToString::to_string));
        }
        if several {
            cells.push(trail.to_string());
        }
        cells.extend([digests(&row.tally), log_files(&row.tally, reads_all)]);
        match times {
            Times::Full => cells.extend([time(row.record.from), time(row.record.to)]),
            Times::Minutes => cells.extend([minutes(row.record.from), minutes(row.record.to)]),
            Times::None => {}
        }
        cells.push(coverage(row.record.covered_seconds, row.record.requested_seconds));
        table.add_row(cells);
    }
    Some(table)
}

/// The chains of one account together.
#[derive(Default)]
struct Account {
    regions: BTreeSet<String>,
    chains: usize,
    digests: u64,
    log_files: u64,
    covered_seconds: u64,
    requested_seconds: u64,
    verified: usize,
    violated: usize,
    inconclusive: usize,
}

/// Makes a table of accounts.
fn accounts(rows: &[Row], reads_all: bool) -> Option<Table> {
    let mut accounts: BTreeMap<&AccountId, Account> = BTreeMap::new();
    for row in rows {
        let account = accounts.entry(&row.chain.account).or_default();
        account.regions.insert(row.chain.region.to_string());
        account.chains += 1;
        account.digests += DigestStatus::ALL.iter().map(|status| row.tally.digests(*status)).sum::<u64>();
        account.log_files += LogFileStatus::ALL.iter().map(|status| row.tally.log_files(*status)).sum::<u64>();
        account.covered_seconds = account.covered_seconds.saturating_add(row.record.covered_seconds);
        account.requested_seconds = account.requested_seconds.saturating_add(row.record.requested_seconds);
        match row.verdict() {
            Verdict::Verified => account.verified += 1,
            Verdict::Violated => account.violated += 1,
            Verdict::Inconclusive => account.inconclusive += 1,
        }
    }
    let mut table = new_table(vec!["", "ACCOUNT", "REGIONS", "CHAINS", "DIGESTS", "LOG FILES", "COVERED"]);
    for (id, account) in accounts {
        let worst = match (account.violated, account.inconclusive) {
            (0, 0) => Verdict::Verified,
            (0, _) => Verdict::Inconclusive,
            _ => Verdict::Violated,
        };
        let counts =
            [("verified", account.verified), ("violated", account.violated), ("inconclusive", account.inconclusive)];
        let log_files = match (account.log_files, reads_all) {
            (0, true) => "0".to_owned(),
            (0, false) => "not read".to_owned(),
            (count, _) => count.to_string(),
        };
        table.add_row([
            mark(worst),
            id.to_string(),
            account.regions.len().to_string(),
            list(counts.into_iter().map(|(word, count)| (word, count as u64)), "none"),
            account.digests.to_string(),
            log_files,
            coverage(account.covered_seconds, account.requested_seconds),
        ]);
    }
    Some(table)
}

fn mark(verdict: Verdict) -> String {
    match verdict {
        Verdict::Verified => format!("{GOOD}✓{GOOD:#}"),
        Verdict::Violated => format!("{BAD}✗{BAD:#}"),
        Verdict::Inconclusive => format!("{OPEN}?{OPEN:#}"),
    }
}

impl Row {
    fn verdict(&self) -> Verdict {
        self.tally.verdict(&Allowances::default(), false)
    }

    fn mark(&self) -> String {
        mark(self.verdict())
    }
}

fn digests(tally: &Tally) -> String {
    list(DigestStatus::ALL.iter().map(|status| (status.as_str(), tally.digests(*status))), "none")
}

fn log_files(tally: &Tally, reads_all: bool) -> String {
    let counts = LogFileStatus::ALL.iter().map(|status| (status.as_str(), tally.log_files(*status)));
    list(counts, if reads_all { "none" } else { "not read" })
}

/// Formats the share that is covered, rounded down so that 100 % means all of it.
fn coverage(covered: u64, requested: u64) -> String {
    if requested == 0 {
        return "-".to_owned();
    }
    let hundredths = u128::from(covered) * 10_000 / u128::from(requested);
    if hundredths == 10_000 { "100 %".to_owned() } else { format!("{}.{:02} %", hundredths / 100, hundredths % 100) }
}

/// Formats a time in UTC without its seconds.
fn minutes(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M").to_string()
}

fn list(counts: impl Iterator<Item = (&'static str, u64)>, none: &str) -> String {
    let counts: Vec<String> =
        counts.filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    if counts.is_empty() { none.to_owned() } else { counts.join(", ") }
}
