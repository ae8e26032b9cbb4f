//! The findings of a report, numbered F-1, F-2 … with the gravest first.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::finding::{Finding, Severity, group_with_history};
use crate::model::{BagStatus, ChainFault, ChainId, DigestStatus, LogFileKey, LogFileStatus, WarningCode};
use crate::records::{Line, Record};

/// The maximum number of findings of one kind that a report spells out. The records have all of
/// them.
const SPELLED_OUT: usize = 1_000;
/// The maximum number of further objects of a group that a report names.
const NAMED: usize = 20;

/// The kinds of findings, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    AlteredBag,
    KeyNotPublished,
    ChainFault,
    InvalidDigest,
    MissingDigest,
    ModifiedLogFile,
    DeletedLogFile,
    GapOfMissingDigests,
    UnverifiedDigest,
    UnverifiedLogFile,
    UnlistedLogFile,
    Gap,
    UncoveredLogFile,
}

impl Kind {
    /// Returns the kind of a record; `None` if the record is no finding, or one that somebody has
    /// acknowledged.
    fn of(record: &Record) -> Option<Self> {
        if record.acknowledged().is_some() {
            return None;
        }
        Some(match record {
            Record::Bag(bag) if bag.status == BagStatus::Altered => Self::AlteredBag,
            Record::Warning(warning) if warning.code == WarningCode::KeyNotPublished => Self::KeyNotPublished,
            Record::Chain(chain) if chain.fault.is_some() => Self::ChainFault,
            Record::Digest(digest) => match digest.status {
                DigestStatus::Valid => return None,
                DigestStatus::Invalid => Self::InvalidDigest,
                DigestStatus::Missing => Self::MissingDigest,
                DigestStatus::Unverified => Self::UnverifiedDigest,
            },
            Record::LogFile(file) => match file.status {
                LogFileStatus::Intact => return None,
                LogFileStatus::Modified => Self::ModifiedLogFile,
                LogFileStatus::Deleted => Self::DeletedLogFile,
                LogFileStatus::Unverified => Self::UnverifiedLogFile,
                LogFileStatus::Unlisted => Self::UnlistedLogFile,
                LogFileStatus::Uncovered => Self::UncoveredLogFile,
            },
            Record::Gap(gap) if gap.cause.is_violation() => Self::GapOfMissingDigests,
            Record::Gap(gap) if gap.cause.is_finding() => Self::Gap,
            _ => return None,
        })
    }

    /// Returns the words for one and for several findings of the kind.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::AlteredBag => ("altered evidence bag", "altered evidence bags"),
            Self::KeyNotPublished => {
                ("public key that CloudTrail does not publish", "public keys that CloudTrail does not publish")
            }
            Self::ChainFault => ("fault of a whole chain", "faults of whole chains"),
            Self::InvalidDigest => ("invalid digest file", "invalid digest files"),
            Self::MissingDigest => ("missing digest file", "missing digest files"),
            Self::ModifiedLogFile => ("modified log file", "modified log files"),
            Self::DeletedLogFile => ("deleted log file", "deleted log files"),
            Self::GapOfMissingDigests => ("gap left by missing digest files", "gaps left by missing digest files"),
            Self::UnverifiedDigest => ("unverified digest file", "unverified digest files"),
            Self::UnverifiedLogFile => ("unverified log file", "unverified log files"),
            Self::UnlistedLogFile => ("unlisted log file", "unlisted log files"),
            Self::Gap => ("gap", "gaps"),
            Self::UncoveredLogFile => ("uncovered log file", "uncovered log files"),
        }
    }

    /// Returns the severity in the word of a verdict.
    fn severity(self) -> &'static str {
        if self <= Self::GapOfMissingDigests { "violated" } else { "inconclusive" }
    }
}

/// A finding that is spelled out.
#[derive(Debug)]
pub(super) struct Entry {
    /// The serialized record, with the objects of the other records of its group.
    pub record: Value,
    pub chain: Option<Arc<ChainId>>,
    /// The begin and the end of the time that the finding concerns, where it has one.
    pub period: Option<(Timestamp, Timestamp)>,
    pub number: usize,
}

#[derive(Debug, Default)]
struct OfKind {
    entries: Vec<Entry>,
    /// The index of the entry of each group.
    groups: HashMap<String, usize>,
    found: u64,
    left_out: u64,
}

/// A collector of findings, which takes one record at a time.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kinds: BTreeMap<Kind, OfKind>,
}

/// The findings of one kind, for a template.
#[derive(Debug, Serialize)]
pub(super) struct KindOfFindings {
    /// The words for findings of the kind.
    pub title: &'static str,
    /// The number of findings of the kind with its words.
    pub counted: String,
    pub severity: &'static str,
    /// The number of findings of the kind, with those that are not spelled out.
    pub found: u64,
    pub findings: Vec<Value>,
    pub left_out: u64,
}

impl Findings {
    /// Takes a record if it is a finding. Returns whether it is one.
    pub(super) fn take(&mut self, record: &Record) -> io::Result<bool> {
        let Some(kind) = Kind::of(record) else { return Ok(false) };
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.found += 1;
        let group = match record {
            // Such files count through the gap in which they lie.
            Record::LogFile(file) if kind == Kind::UncoveredLogFile => Some(file.chain.to_string()),
            _ => group_with_history(record),
        };
        let index = group.as_ref().and_then(|group| of_kind.groups.get(group)).copied();
        if let Some(entry) = index.and_then(|index| of_kind.entries.get_mut(index)) {
            add_other(&mut entry.record, record)?;
            entry.period = match (entry.period, period(record)) {
                (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
                (one, other) => one.or(other),
            };
            return Ok(true);
        }
        if of_kind.entries.len() >= SPELLED_OUT {
            of_kind.left_out += 1;
            return Ok(true);
        }
        of_kind.groups.extend(group.map(|group| (group, of_kind.entries.len())));
        let chain = Finding::of(record).and_then(|finding| finding.chain);
        let record = Entry { record: serialize(record)?, chain, period: period(record), number: 0 };
        of_kind.entries.push(record);
        Ok(true)
    }

    /// The number of findings that are not spelled out, or only as a further object of a group.
    pub(super) fn without_entry(&self) -> u64 {
        self.kinds.values().map(|of_kind| of_kind.found - of_kind.entries.len() as u64).sum()
    }

    /// Numbers the findings, once all records were taken.
    pub(super) fn number(&mut self) {
        let entries = self.kinds.values_mut().flat_map(|of_kind| &mut of_kind.entries);
        for (index, entry) in entries.enumerate() {
            entry.number = index + 1;
            entry.record["number"] = format!("F-{}", entry.number).into();
        }
    }

    /// The findings that are spelled out, the gravest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Severity, &Entry)> {
        self.kinds.iter().flat_map(|(kind, of_kind)| {
            let severity = if kind.severity() == "violated" { Severity::Violation } else { Severity::Open };
            of_kind.entries.iter().map(move |entry| (severity, entry))
        })
    }

    /// The findings by kind.
    pub(super) fn by_kind(&self) -> Vec<KindOfFindings> {
        let kinds = self.kinds.iter().map(|(kind, of_kind)| KindOfFindings {
            title: kind.words().1,
            counted: match of_kind.found {
                1 => format!("1 {}", kind.words().0),
                found => format!("{found} {}", kind.words().1),
            },
            severity: kind.severity(),
            found: of_kind.found,
            findings: of_kind.entries.iter().map(|entry| entry.record.clone()).collect(),
            left_out: of_kind.left_out,
        });
        kinds.collect()
    }

    pub(super) fn left_out(&self) -> u64 {
        self.kinds.values().map(|of_kind| of_kind.left_out).sum()
    }
}

/// A list of records with an upper bound, in which records of one group are one item.
#[derive(Debug, Default)]
pub(super) struct Grouped {
    pub records: Vec<Value>,
    groups: HashMap<String, usize>,
    pub left_out: u64,
}

impl Grouped {
    pub(super) fn take(&mut self, record: &Record) -> io::Result<()> {
        let group = group_with_history(record);
        let index = group.as_ref().and_then(|group| self.groups.get(group)).copied();
        if let Some(first) = index.and_then(|index| self.records.get_mut(index)) {
            return add_other(first, record);
        }
        if self.records.len() >= SPELLED_OUT {
            self.left_out += 1;
            return Ok(());
        }
        self.groups.extend(group.map(|group| (group, self.records.len())));
        self.records.push(serialize(record)?);
        Ok(())
    }
}

fn serialize(record: &Record) -> io::Result<Value> {
    Ok(serde_json::to_value(Line::from(record))?)
}

/// Adds the object of a record to `others` of the first record of its group, and counts it in `more`.
fn add_other(first: &mut Value, record: &Record) -> io::Result<()> {
    let other = serialize(record)?;
    let more = first["more"].as_u64().unwrap_or_default() + 1;
    first["more"] = more.into();
    let named = first["others"].as_array().map_or(0, Vec::len);
    if named >= NAMED || other["key"].is_null() {
        return Ok(());
    }
    if !first["others"].is_array() {
        first["others"] = json!([]);
    }
    if let Value::Array(others) = &mut first["others"] {
        others.push(json!({ "bucket": other["bucket"], "key": other["key"], "id": other["id"] }));
    }
    Ok(())
}

/// Returns the time that a finding concerns.
fn period(record: &Record) -> Option<(Timestamp, Timestamp)> {
    match record {
        Record::Digest(digest) => Some((digest.start, digest.end)),
        Record::LogFile(file) => LogFileKey::parse(&file.object.key).map(|name| (name.time.from, name.time.from)),
        Record::Gap(gap) => Some((gap.from, gap.to)),
        // The newest digests are gone. The other fault has no time of its own.
        Record::Chain(chain) if chain.fault == Some(ChainFault::TailCut) => Some((chain.to, chain.to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_in_the_order_of_their_severity() {
        let kinds = [
            Kind::AlteredBag,
            Kind::KeyNotPublished,
            Kind::ChainFault,
            Kind::InvalidDigest,
            Kind::MissingDigest,
            Kind::ModifiedLogFile,
            Kind::DeletedLogFile,
            Kind::GapOfMissingDigests,
            Kind::UnverifiedDigest,
            Kind::UnverifiedLogFile,
            Kind::UnlistedLogFile,
            Kind::Gap,
            Kind::UncoveredLogFile,
        ];
        assert!(kinds.is_sorted());
        let severities: Vec<_> = kinds.iter().map(|kind| kind.severity()).collect();
        assert_eq!(severities.iter().filter(|severity| **severity == "violated").count(), 8);
        assert!(severities.is_sorted_by(|one, other| one >= other));
    }
}
