//! The result of one unit as lines of JSON: a head, the records of the unit's audit, evidence, the
//! edges, and an end with a hash over all lines before it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::edges::UnitEdges;
use crate::model::{DigestStatus, LogFileStatus, Requests};
use crate::records::Tally;

/// The name of the schema of results.
const SCHEMA: &str = "ctverify/unit/2";
/// The longest line that is read, in bytes: the largest digest in base64, and its names.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The first line of a result.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    unit: u64,
    schema: String,
    version: String,
    plan: String,
    /// The SHA-256 of the unit's description in the plan.
    description: String,
}

/// The last line of a result.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct End {
    end: u64,
    records: u64,
    evidence: u64,
    counts: UnitCounts,
    requests: Requests,
    /// The SHA-256 of all lines before this one.
    sha256: String,
}

/// The number of records of a unit, by status; without those that are zero. They are provisional: the
/// merge judges what depends on the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitCounts {
    /// The digests.
    pub digests: BTreeMap<String, u64>,
    /// The log files.
    pub log_files: BTreeMap<String, u64>,
    /// The gaps.
    pub gaps: u64,
}

impl UnitCounts {
    /// The counts of a unit's audit.
    pub(super) fn of(tally: &Tally) -> Self {
        let digests = DigestStatus::ALL.iter().map(|status| (status.as_str(), tally.digests(*status)));
        let log_files = LogFileStatus::ALL.iter().map(|status| (status.as_str(), tally.log_files(*status)));
        let named = |(status, count): (&str, u64)| (count > 0).then(|| (status.to_owned(), count));
        Self {
            digests: digests.filter_map(named).collect(),
            log_files: log_files.filter_map(named).collect(),
            gaps: tally.gaps(),
        }
    }
}

/// A result, without its records and its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitResult {
    /// The number of the unit.
    pub unit: u64,
    /// The SHA-256 of the plan, in hex.
    pub plan: String,
    /// The SHA-256 of the unit's description in the plan, in hex.
    pub description: String,
    /// The SHA-256 of the result, in hex: of its lines but the last.
    pub sha256: String,
    /// The number of records.
    pub records: u64,
    /// The number of lines of evidence.
    pub evidence: u64,
    /// The number of records by status.
    pub counts: UnitCounts,
    /// The requests that the evidence takes, each once.
    pub requests: Requests,
    /// The edges of each chain.
    pub edges: Vec<UnitEdges>,
}

/// A summary of a result, for whoever ran the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitSummary {
    /// Always `unit`.
    pub record: &'static str,
    /// The number of the unit.
    pub unit: u64,
    /// The SHA-256 of the plan, in hex.
    pub plan: String,
    /// The result's file or object; null for standard output.
    pub result: Option<String>,
    /// The SHA-256 of the result, in hex.
    pub sha256: String,
    /// The number of records.
    pub records: u64,
    /// The number of records by status.
    pub counts: UnitCounts,
    /// The requests that the unit took, repeated ones aside.
    pub requests: Requests,
    /// True if the result was there already, and the unit was not run again.
    pub kept: bool,
    /// The events that were written, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsOfUnit>,
}

/// The number of a unit's events in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsOfUnit {
    /// The number of events.
    pub events: u64,
    /// The number of log files that they are from, or that have none.
    pub log_files: u64,
    /// The number of events whose identifier another one of the unit had before them.
    pub duplicate_event_ids: u64,
    /// The number of proven log files whose events can't be read.
    pub other_form: u64,
    /// The number of files of the table.
    pub parquet_files: u64,
}

impl UnitSummary {
    /// Summarizes a result that lies at `place`.
    pub fn of(result: &UnitResult, place: Option<String>, kept: bool) -> Self {
        Self {
            record: "unit",
            unit: result.unit,
            plan: result.plan.clone(),
            result: place,
            sha256: result.sha256.clone(),
            records: result.records,
            counts: result.counts.clone(),
            requests: result.requests,
            kept,
            events: None,
        }
    }
}

/// A writer of one result.
pub(super) struct ResultWriter<W> {
    out: W,
    hash: Sha256,
    result: UnitResult,
}

impl<W: Write> ResultWriter<W> {
    /// Begins a result with its head.
    pub(super) fn begin(out: W, unit: u64, plan: &str, description: &str) -> io::Result<Self> {
        let head = Head {
            unit,
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            plan: plan.to_owned(),
            description: description.to_owned(),
        };
        let result = UnitResult {
            unit,
            plan: plan.to_owned(),
            description: description.to_owned(),
            sha256: String::new(),
            records: 0,
            evidence: 0,
            counts: UnitCounts::default(),
            requests: Requests::default(),
            edges: Vec::new(),
        };
        let mut writer = Self { out, hash: Sha256::new(), result };
        writer.line(&json_line(&head)?)?;
        Ok(writer)
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.hash.update(line);
        self.out.write_all(line)
    }

    /// Adds a record, as a line with its line break.
    pub(super) fn record(&mut self, line: &[u8]) -> io::Result<()> {
        self.result.records += 1;
        self.line(line)
    }

    /// Adds evidence, as a line with its line break.
    pub(super) fn evidence(&mut self, line: &[u8]) -> io::Result<()> {
        self.result.evidence += 1;
        self.line(line)
    }

    /// Adds the edges and the end, and returns the result with the output.
    pub(super) fn finish(
        mut self,
        edges: Vec<UnitEdges>,
        counts: UnitCounts,
        requests: Requests,
    ) -> io::Result<(UnitResult, W)> {
        for edge in &edges {
            self.line(&json_line(&EdgeLine { edges: edge })?)?;
        }
        let sha256 = hex::encode(self.hash.finalize_reset());
        let Self { mut out, result, .. } = self;
        let result = UnitResult { sha256, counts, requests, edges, ..result };
        let UnitResult { unit: end, records, evidence, requests, .. } = result;
        let (counts, sha256) = (result.counts.clone(), result.sha256.clone());
        out.write_all(&json_line(&End { end, records, evidence, counts, requests, sha256 })?)?;
        Ok((result, out))
    }
}

#[derive(Serialize)]
struct EdgeLine<'a> {
    edges: &'a UnitEdges,
}

#[derive(Deserialize)]
struct OwnedEdgeLine {
    edges: UnitEdges,
}

fn json_line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// The kind of a line between the head and the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    Record,
    Evidence,
}

/// Reads the next result from lines, and passes each record and each piece of evidence to `take`;
/// `None` at the end of the input.
///
/// # Errors
///
/// `InvalidData` says why the lines are no whole result; other errors are those of reading, or of
/// `take`.
pub(super) fn read_result(
    lines: &mut impl BufRead,
    mut take: impl FnMut(LineKind, &[u8]) -> io::Result<()>,
) -> io::Result<Option<UnitResult>> {
    let mut line = Vec::new();
    if !read_line(lines, &mut line)? {
        return Ok(None);
    }
    let head: Head =
        serde_json::from_slice(&line).map_err(|error| invalid(format!("it begins with no head: {error}")))?;
    if head.schema != SCHEMA {
        return Err(invalid(format!("its schema is '{}', not '{SCHEMA}'", head.schema)));
    }
    if head.version != env!("CARGO_PKG_VERSION") {
        let (made_by, own) = (&head.version, env!("CARGO_PKG_VERSION"));
        return Err(invalid(format!("ctverify {made_by} wrote it, and this is {own}: they have to be of one version")));
    }
    let mut hash = Sha256::new_with_prefix(&line);
    let (mut records, mut evidence, mut edges) = (0, 0, Vec::new());
    loop {
        if !read_line(lines, &mut line)? {
            return Err(invalid("it is cut short: its last line is missing".to_owned()));
        }
        if line.starts_with(b"{\"record\"") {
            records += 1;
            take(LineKind::Record, &line)?;
        } else if line.starts_with(b"{\"evidence\"") {
            evidence += 1;
            take(LineKind::Evidence, &line)?;
        } else if line.starts_with(b"{\"edges\"") {
            let edge: OwnedEdgeLine = serde_json::from_slice(&line).map_err(|error| invalid(error.to_string()))?;
            edges.push(edge.edges);
        } else {
            let end: End = serde_json::from_slice(&line)
                .map_err(|error| invalid(format!("it has a line that is none of a result: {error}")))?;
            let sha256 = hex::encode(hash.finalize());
            if end.sha256 != sha256 || (end.end, end.records, end.evidence) != (head.unit, records, evidence) {
                return Err(invalid("it was changed: its last line does not fit the others".to_owned()));
            }
            return Ok(Some(UnitResult {
                unit: head.unit,
                plan: head.plan,
                description: head.description,
                sha256,
                records,
                evidence,
                counts: end.counts,
                requests: end.requests,
                edges,
            }));
        }
        hash.update(&line);
    }
}

/// Reads a line with its line break into `line`; false at the end of the input.
fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', line).map_err(|error| match error.kind() {
        // A gzip stream that ends early.
        io::ErrorKind::UnexpectedEof => invalid("it is cut short".to_owned()),
        _ => error,
    })?;
    if read > 0 && line.last() != Some(&b'\n') {
        return Err(invalid("it is cut short in the middle of a line".to_owned()));
    }
    Ok(read > 0)
}

pub(super) fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> (UnitResult, Vec<u8>) {
        let mut writer = ResultWriter::begin(Vec::new(), 7, "plan", "unit").unwrap();
        writer.record(b"{\"record\":\"gap\"}\n").unwrap();
        writer.evidence(b"{\"evidence\":\"listing\"}\n").unwrap();
        let requests = Requests { get: 3, list: 2, other: 1 };
        writer.finish(Vec::new(), UnitCounts::default(), requests).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let (result, bytes) = whole();
        let mut seen = Vec::new();
        let twice = [bytes.clone(), bytes].concat();
        let mut lines = twice.as_slice();
        for _ in 0..2 {
            let read = read_result(&mut lines, |kind, _| {
                seen.push(kind);
                Ok(())
            });
            assert_eq!(read.unwrap().as_ref(), Some(&result));
        }
        assert_eq!(read_result(&mut lines, |_, _| Ok(())).unwrap(), None);
        assert_eq!(seen, [LineKind::Record, LineKind::Evidence, LineKind::Record, LineKind::Evidence]);
    }

    #[test]
    fn a_result_that_is_cut_short_or_changed_anywhere_is_none() {
        let (_, bytes) = whole();
        let read = |bytes: &[u8]| read_result(&mut &*bytes, |_, _| Ok(()));
        for length in 1..bytes.len() {
            let error = read(&bytes[..length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}: {error}");
        }
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(read(&changed).is_err() || read(&changed).unwrap() != Some(whole().0), "byte {index}");
        }
    }
}
