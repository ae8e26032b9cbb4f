//! Records as a table for spreadsheets, with one row for each digest, log file, gap, warning or
//! chain.
//!
//! No cell is a formula: see [`spreadsheet_cell`].

use std::io::{self, Write};

use csv::Writer;

use super::INTERRUPTED;
use super::Report;
use super::finding::acknowledgement;
use crate::debug::opaque_debug;
use crate::model::{ChainFault, ChainId, spreadsheet_cell};
use crate::records::{Record, format_time as time};

const HEADER: [&str; 20] = [
    "record",
    "status",
    "organization",
    "account",
    "region",
    "trail",
    "home_region",
    "bucket",
    "key",
    "from",
    "to",
    "sha256",
    "expected_sha256",
    "size",
    "fault",
    "detail",
    "digest",
    "id",
    "since",
    "acknowledged",
];

/// A report of records as rows.
pub struct Csv<W: Write> {
    out: Writer<W>,
    begun: bool,
}

opaque_debug!(Csv<W: std::io::Write>);

impl<W: Write> Csv<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out: Writer::from_writer(out), begun: false }
    }
}

/// One row; the columns that a record does not have are empty.
#[derive(Default)]
struct Row<'a> {
    record: &'static str,
    status: &'a str,
    chain: Option<&'a ChainId>,
    object: (&'a str, &'a str),
    period: (String, String),
    hashes: (String, String),
    size: String,
    fault: &'a str,
    detail: &'a str,
    digest: &'a str,
}

fn row(record: &Record) -> Option<Row<'_>> {
    let text = |value: &'_ Option<crate::model::Sha256Hash>| value.map(|hash| hash.to_string()).unwrap_or_default();
    Some(match record {
        Record::Digest(digest) => Row {
            record: "digest",
            status: digest.status.as_str(),
            chain: Some(&digest.chain),
            object: (&digest.object.bucket, &digest.object.key),
            period: (time(digest.start), time(digest.end)),
            hashes: (text(&digest.sha256), String::new()),
            fault: digest.fault.map_or("", |fault| fault.as_str()),
            detail: digest.detail.as_deref().unwrap_or_default(),
            ..Row::default()
        },
        Record::LogFile(file) => Row {
            record: "log_file",
            status: file.status.as_str(),
            chain: Some(&file.chain),
            object: (&file.object.bucket, &file.object.key),
            hashes: (text(&file.actual_sha256), text(&file.expected_sha256)),
            size: file.size.map(|size| size.to_string()).unwrap_or_default(),
            fault: file.fault.map_or("", |fault| fault.as_str()),
            detail: file.detail.as_deref().unwrap_or_default(),
            digest: file.digest.as_deref().unwrap_or_default(),
            ..Row::default()
        },
        Record::Bag(bag) => {
            Row { record: "bag", status: bag.status.as_str(), object: ("", &bag.path), ..Row::default() }
        }
        Record::Gap(gap) => Row {
            record: "gap",
            status: gap.cause.as_str(),
            chain: Some(&gap.chain),
            period: (time(gap.from), time(gap.to)),
            detail: &gap.detail,
            ..Row::default()
        },
        Record::Tampering(tampering) => {
            let at = tampering.event.summary.event_time.map(time).unwrap_or_default();
            Row {
                record: "tampering",
                status: tampering.outcome.as_str(),
                chain: Some(&tampering.chain),
                object: (&tampering.event.bucket, &tampering.event.key),
                period: (at.clone(), at),
                fault: &tampering.rule,
                detail: &tampering.detail,
                ..Row::default()
            }
        }
        Record::Warning(warning) => Row {
            record: "warning",
            status: warning.code.as_str(),
            object: (warning.bucket.as_deref().unwrap_or_default(), warning.key.as_deref().unwrap_or_default()),
            detail: &warning.detail,
            ..Row::default()
        },
        Record::Chain(chain) => Row {
            record: "chain",
            chain: Some(&chain.chain),
            period: (time(chain.from), time(chain.to)),
            fault: chain.fault.map_or("", ChainFault::as_str),
            detail: chain.detail.as_deref().unwrap_or_default(),
            ..Row::default()
        },
        Record::Summary(summary) => Row {
            record: "summary",
            status: summary.verdict.as_str(),
            period: (String::new(), time(summary.finished)),
            detail: if summary.interrupted { INTERRUPTED } else { "" },
            ..Row::default()
        },
        Record::Run(_) | Record::Circumstances(_) => return None,
    })
}

impl<W: Write> Report for Csv<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.out.write_record(HEADER)?;
        }
        let Some(row) = row(record) else { return Ok(()) };
        let id = record.id().map(|id| id.to_string()).unwrap_or_default();
        let since = record.history().and_then(|history| history.since).map(time).unwrap_or_default();
        let acknowledged = record.acknowledged().map(acknowledgement).unwrap_or_default();
        let chain = |part: fn(&ChainId) -> &str| row.chain.map_or("", part);
        let cells: [&str; HEADER.len()] = [
            row.record,
            row.status,
            chain(|chain| chain.organization.as_ref().map_or("", |id| id.as_str())),
            chain(|chain| chain.account.as_str()),
            chain(|chain| chain.region.as_str()),
            chain(|chain| chain.trail.as_str()),
            chain(|chain| chain.home_region.as_str()),
            row.object.0,
            row.object.1,
            &row.period.0,
            &row.period.1,
            &row.hashes.0,
            &row.hashes.1,
            &row.size,
            row.fault,
            row.detail,
            row.digest,
            &id,
            &since,
            &acknowledged,
        ];
        self.out.write_record(cells.iter().map(|cell| spreadsheet_cell(cell).into_owned()))?;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
