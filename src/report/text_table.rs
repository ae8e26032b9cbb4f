//! The table of chains in the report for people.

use std::io::{self, Write};
use std::sync::Arc;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::text_style::{BAD, GOOD, OPEN};
use crate::model::{ChainId, Depth, DigestStatus, LogFileStatus, Verdict};
use crate::records::{Allowances, ChainRecord, Tally, format_time as time};

/// A line of the table.
pub(super) struct Row {
    pub chain: Arc<ChainId>,
    pub tally: Tally,
    pub record: ChainRecord,
}

/// Writes a table with a line for each chain.
pub(super) fn write_table(rows: &[Row], depth: Depth, out: &mut impl Write) -> io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let organizations = rows.iter().any(|row| row.chain.organization.is_some());
    let several = rows.iter().any(|row| row.chain.trail != first.chain.trail);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec!["", "ACCOUNT", "REGION"];
    header.extend(organizations.then_some("ORGANIZATION"));
    header.extend(several.then_some("TRAIL"));
    header.extend(["DIGESTS", "LOG FILES", "FROM", "TO", "COVERED"]);
    let last = header.len() - 1;
    table.set_header(header);
    for row in rows {
        let ChainId { organization, account, region, trail, .. } = &*row.chain;
        let mut cells = vec![row.mark(), account.to_string(), region.to_string()];
        if organizations {
            cells.push(organization.as_ref().map_or("-".to_owned(), ToString::to_string));
        }
        if several {
            cells.push(trail.to_string());
        }
        cells.extend([row.digests(), row.log_files(depth), time(row.record.from), time(row.record.to), row.coverage()]);
        table.add_row(cells);
    }
    if let Some(column) = table.column_mut(last) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)
}

impl Row {
    fn mark(&self) -> String {
        match self.tally.verdict(&Allowances::default(), false) {
            Verdict::Verified => format!("{GOOD}✓{GOOD:#}"),
            Verdict::Violated => format!("{BAD}✗{BAD:#}"),
            Verdict::Inconclusive => format!("{OPEN}?{OPEN:#}"),
        }
    }

    fn digests(&self) -> String {
        let counts = DigestStatus::ALL.iter().map(|status| (status.as_str(), self.tally.digests(*status)));
        list(counts, "none")
    }

    fn log_files(&self, depth: Depth) -> String {
        let counts = LogFileStatus::ALL.iter().map(|status| (status.as_str(), self.tally.log_files(*status)));
        list(counts, if depth == Depth::Content { "none" } else { "not read" })
    }

    /// Formats the share that is covered, rounded down so that 100 % means all of it.
    fn coverage(&self) -> String {
        let ChainRecord { covered_seconds, requested_seconds, .. } = self.record;
        if requested_seconds == 0 {
            return "-".to_owned();
        }
        let hundredths = u128::from(covered_seconds) * 10_000 / u128::from(requested_seconds);
        if hundredths == 10_000 {
            "100 %".to_owned()
        } else {
            format!("{}.{:02} %", hundredths / 100, hundredths % 100)
        }
    }
}

fn list(counts: impl Iterator<Item = (&'static str, u64)>, none: &str) -> String {
    let counts: Vec<String> =
        counts.filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    if counts.is_empty() { none.to_owned() } else { counts.join(", ") }
}
