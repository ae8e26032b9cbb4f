//! The forms in which events are written.

mod csv;
mod jsonl;
mod lookup_events;
mod table;
mod timesketch;

use std::io::{self, Write};

use memchr::memchr2;
use serde::Serialize;

use super::event::Event;
use crate::model::Sha256Hash;
use crate::records::LogFileRecord;

/// The form in which events are written, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A JSON object for each: the record in its original bytes, and its proof.
    Jsonl,
    /// The record alone, on one line.
    Raw,
    /// Rows of a table for spreadsheets.
    Csv,
    /// A table for people. Lines have at most this number of columns, or any without it.
    Table(Option<usize>),
    /// Lines that Timesketch imports.
    Timesketch,
    /// Events as `aws cloudtrail lookup-events` prints them, each on a line, as plaso reads them.
    LookupEvents,
    /// The rows of a [`Lake`](super::Lake), which no other program reads.
    #[cfg(feature = "parquet")]
    Rows,
}

/// The place of an event in a log file, and the proof of the file.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Proof<'a> {
    /// The bucket of the log file.
    pub bucket: &'a str,
    /// The key of the log file.
    pub key: &'a str,
    /// The SHA-256 of the uncompressed log file, which a valid digest recorded.
    pub sha256: Sha256Hash,
    /// The key of the first valid digest that lists the log file.
    pub digest: &'a str,
    /// The account of the chain.
    pub account: &'a str,
    /// The region of the chain.
    pub region: &'a str,
    /// The position of the record in the log file, from zero on.
    pub index: u64,
}

impl<'a> Proof<'a> {
    /// The proof of the first event of a log file that was found intact; `None` for another file.
    pub fn of(file: &'a LogFileRecord) -> Option<Self> {
        Some(Self {
            bucket: &file.object.bucket,
            key: &file.object.key,
            sha256: file.actual_sha256?,
            digest: file.digest.as_deref()?,
            account: file.chain.account.as_str(),
            region: file.chain.region.as_str(),
            index: 0,
        })
    }

    /// A proof for unit tests.
    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self {
            bucket: "logs",
            key: "AWSLogs/111122223333/CloudTrail/a.json.gz",
            sha256: Sha256Hash([7; 32]),
            digest: "AWSLogs/111122223333/CloudTrail-Digest/d.json.gz",
            account: "111122223333",
            region: "eu-west-1",
            index: 3,
        }
    }
}

impl Format {
    /// The text before the first event.
    pub fn header(self) -> String {
        match self {
            Self::Csv => csv::header(),
            Self::Table(width) => table::header(width),
            Self::Jsonl | Self::Raw | Self::Timesketch | Self::LookupEvents => String::new(),
            #[cfg(feature = "parquet")]
            Self::Rows => String::new(),
        }
    }

    /// Writes one event. `event` has the fields of `record`; `rules` are the names of the rules of tampering
    /// that it meets, if events were selected by these, and are written as JSON alone.
    ///
    /// # Errors
    ///
    /// Returns the errors of `out`.
    pub fn write(
        self,
        event: &Event<'_>,
        record: &str,
        proof: &Proof<'_>,
        rules: &[&str],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self {
            Self::Jsonl => jsonl::write(record, proof, rules, out),
            Self::Raw => {
                write_on_one_line(record, out)?;
                out.write_all(b"\n")
            }
            Self::Csv => csv::write(event, proof, out),
            Self::Table(width) => table::write(event, proof, width, out),
            Self::Timesketch => timesketch::write(event, record, proof, out),
            Self::LookupEvents => lookup_events::write(event, record, out),
            #[cfg(feature = "parquet")]
            Self::Rows => super::lake::write_row(event, record, proof.index, out),
        }
    }
}

/// Writes a record as it stands. Line breaks can only be white space between its parts, and become
/// spaces.
fn write_on_one_line(record: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut rest = record.as_bytes();
    while let Some(position) = memchr2(b'\n', b'\r', rest) {
        out.write_all(&rest[..position])?;
        out.write_all(b" ")?;
        rest = &rest[position + 1..];
    }
    out.write_all(rest)
}

/// Writes a JSON object on a line.
fn write_line(line: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Returns what happened in one sentence, for timelines.
fn sentence(event: &Event<'_>) -> String {
    let who = event.actor();
    let what = event.text("eventName").or_else(|| event.category());
    let service = event.text("eventSource");
    let from = event.text("sourceIPAddress");
    let error = event.text("errorCode");
    let mut text = String::new();
    let mut add = |before: &str, part: Option<std::borrow::Cow<'_, str>>| {
        if let Some(part) = part {
            let separator = if text.is_empty() { "" } else { before };
            text.push_str(separator);
            text.push_str(&part);
        }
    };
    add("", who);
    add(" called ", what);
    add(" of ", service);
    add(" from ", from);
    add(" and got ", error);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of one event in a format.
    fn written(format: Format, record: &str) -> String {
        let event = Event::parse(record).unwrap();
        let mut out = Vec::new();
        format.write(&event, record, &Proof::example(), &[], &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const RECORD: &str = r#"{"eventID":"e-1","eventTime":"2026-03-01T10:00:00Z","eventSource":"s3.amazonaws.com",
  "eventName":"PutBucketPolicy","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.7","errorCode":"AccessDenied",
  "userIdentity":{"arn":"arn:aws:sts::111122223333:assumed-role\/ops\/alice","userName":"=cmd","accessKeyId":"ASIAX"},
  "resources":[{"ARN":"arn:aws:s3:::logs","type":"AWS::S3::Bucket"}],"recipientAccountId":"111122223333","n":1.0}"#;

    #[test]
    fn a_record_keeps_its_bytes_but_for_line_breaks() {
        let one_line = RECORD.replace('\n', " ");
        assert_eq!(written(Format::Raw, RECORD), format!("{one_line}\n"));
        let line = written(Format::Jsonl, RECORD);
        assert!(line.starts_with(&format!("{{\"event\":{one_line},\"proof\":{{\"bucket\":\"logs\",")), "{line}");
        assert!(line.ends_with("\"index\":3}}\n") && line.lines().count() == 1, "{line}");
        assert_eq!(written(Format::Raw, "{\r\n}"), "{  }\n");
    }

    #[test]
    fn every_format_takes_a_record_without_fields() {
        use Format::{Csv, Jsonl, LookupEvents, Raw, Table, Timesketch};
        for format in [Jsonl, Raw, Csv, Table(None), Table(Some(80)), Timesketch, LookupEvents] {
            for record in ["{}", "{\"eventTime\":7,\"userIdentity\":[]}", "{\"eventTime\":\"no time\"}"] {
                let written = written(format, record);
                assert!(written.ends_with('\n'), "{format:?} {record} {written}");
            }
        }
    }

    #[test]
    fn lines_for_other_programs_are_json() {
        let value = |format| serde_json::from_str::<serde_json::Value>(&written(format, RECORD)).unwrap();
        let sketch = value(Format::Timesketch);
        assert_eq!(sketch["datetime"], "2026-03-01T10:00:00+00:00");
        assert_eq!(
            sketch["message"],
            "arn:aws:sts::111122223333:assumed-role/ops/alice called PutBucketPolicy of s3.amazonaws.com from \
             198.51.100.7 and got AccessDenied"
        );
        let lookup = value(Format::LookupEvents);
        assert_eq!(lookup["EventTime"], "2026-03-01 10:00:00+00:00");
        assert_eq!(lookup["CloudTrailEvent"], RECORD);
        assert_eq!(lookup["Resources"][0]["ResourceName"], "arn:aws:s3:::logs");
    }

    #[test]
    fn no_cell_of_a_spreadsheet_is_a_formula() {
        let row = written(Format::Csv, RECORD);
        assert!(row.contains(",'=cmd,"), "{row}");
        let table = Format::Csv.header() + &row;
        let mut rows = ::csv::Reader::from_reader(table.as_bytes());
        assert_eq!(rows.records().map(Result::unwrap).count(), 1, "as many cells as columns: {row}");
    }
}
