//! The findings of the text report. A list of a hundred thousand objects is of no use to a reader,
//! so the first findings of each kind are shown, and the rest are counted.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::finding::{acknowledgement, group_with_history};
use super::text_style::{BAD, DIM, GOOD, HEAD, OPEN, span};
use crate::model::{
    BagStatus, DigestStatus, FindingId, LogFileStatus, ObjectRef, TamperingOutcome, WarningCode, printable,
};
use crate::records::{
    BagProblem, BagRecord, ChainRecord, DigestRecord, GapRecord, LogFileRecord, Mended, Record, TamperingRecord,
    Versions, WarningRecord, format_time as time,
};
use anstyle::Style;

/// The number of findings of one kind up to which each is spelled out.
const SHOWN: usize = 20;
/// The number of findings of a kind that are spelled out if there are more.
const FIRST: usize = 5;
/// The maximum number of chains that are counted by name for such a kind.
const CHAINS: usize = 10;

/// The sections of the report, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Asked,
    Wrong,
    Open,
    Unlisted,
    Uncovered,
    Gaps,
    Tampering,
    Acknowledged,
    Mended,
    Warnings,
}

impl Section {
    fn title(self) -> &'static str {
        match self {
            Self::Asked => "Intact log files",
            Self::Wrong => "Violations",
            Self::Open => "Not verified",
            Self::Unlisted => "Unlisted log files",
            Self::Uncovered => "Uncovered log files",
            Self::Gaps => "Gaps",
            Self::Tampering => "Proven calls that weaken logging, no part of the verdict",
            Self::Acknowledged => "Acknowledged, and kept out of the verdict",
            Self::Mended => "Mended since an earlier run",
            Self::Warnings => "Warnings",
        }
    }
}

/// A finding as it is spelled out, with those that differ in nothing but the object.
#[derive(Debug)]
struct Entry {
    text: String,
    /// The number of further findings of the group.
    more: usize,
    /// The object of the last one.
    last: Option<ObjectRef>,
}

/// The findings of one kind.
#[derive(Debug, Default)]
struct OfKind {
    found: usize,
    /// The number of findings that are entries, or counted by one.
    shown: usize,
    entries: Vec<Entry>,
    /// The index of the entry of each group.
    groups: HashMap<String, usize>,
    /// The number of findings of each chain.
    chains: BTreeMap<String, usize>,
}

/// The findings, by section and kind.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kinds: BTreeMap<(Section, &'static str), OfKind>,
    /// True if every finding is spelled out, however many there are.
    everything: bool,
    /// True if single log files were asked about: then those that are intact are spelled out, too.
    pub(super) lists_intact: bool,
}

impl Findings {
    pub(super) fn new(everything: bool) -> Self {
        Self { everything, ..Self::default() }
    }

    pub(super) fn take(&mut self, record: &Record) {
        let is_mended = record.history().is_some_and(|history| history.mended.is_some());
        let (section, kind) = match record {
            _ if record.acknowledged().is_some() => (Section::Acknowledged, "acknowledged findings"),
            _ if is_mended => (Section::Mended, "mended objects"),
            Record::Digest(digest) => match digest.status {
                DigestStatus::Valid => return,
                DigestStatus::Unverified => (Section::Open, "unverified digests"),
                DigestStatus::Invalid => (Section::Wrong, "invalid digests"),
                DigestStatus::Missing => (Section::Wrong, "missing digests"),
            },
            Record::LogFile(log_file) => match log_file.status {
                LogFileStatus::Intact if self.lists_intact => (Section::Asked, "intact log files"),
                LogFileStatus::Intact => return,
                LogFileStatus::Unverified => (Section::Open, "unverified log files"),
                LogFileStatus::Modified => (Section::Wrong, "modified log files"),
                LogFileStatus::Deleted => (Section::Wrong, "deleted log files"),
                LogFileStatus::Unlisted => (Section::Unlisted, "unlisted log files"),
                LogFileStatus::Uncovered => (Section::Uncovered, "uncovered log files"),
            },
            Record::Bag(bag) if bag.status == BagStatus::Altered => (Section::Wrong, "altered bags"),
            Record::Gap(gap) => (Section::Gaps, gap.cause.as_str()),
            Record::Tampering(_) => (Section::Tampering, "events"),
            Record::Warning(warning) if warning.code == WarningCode::KeyNotPublished => (Section::Wrong, "keys"),
            Record::Warning(_) => (Section::Warnings, "warnings"),
            Record::Chain(chain) if chain.fault.is_some() => (Section::Wrong, "faults of chains"),
            Record::Run(_) | Record::Bag(_) | Record::Chain(_) | Record::Circumstances(_) | Record::Summary(_) => {
                return;
            }
        };
        let everything = self.everything;
        let of_kind = self.kinds.entry((section, kind)).or_default();
        of_kind.found += 1;
        if let Some(chain) = chain_of(record) {
            *of_kind.chains.entry(chain).or_default() += 1;
        }
        let group = if everything { None } else { group_with_history(record) };
        let index = group.as_ref().and_then(|group| of_kind.groups.get(group)).copied();
        if let Some(entry) = index.and_then(|index| of_kind.entries.get_mut(index)) {
            of_kind.shown += 1;
            entry.more += 1;
            entry.last = object_of(record);
        } else if of_kind.entries.len() < SHOWN || everything {
            of_kind.shown += 1;
            of_kind.groups.extend(group.map(|group| (group, of_kind.entries.len())));
            of_kind.entries.push(Entry { text: spell_out(record), more: 0, last: None });
        }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut section = None;
        for ((of, kind), of_kind) in &self.kinds {
            if section != Some(*of) {
                if section.is_some() {
                    writeln!(out)?;
                }
                writeln!(out, "{HEAD}{}{HEAD:#}", of.title())?;
                section = Some(*of);
            }
            of_kind.write(if *of == Section::Gaps { "gaps" } else { kind }, out)?;
        }
        if section.is_some() {
            writeln!(out)?;
        }
        Ok(())
    }
}

impl OfKind {
    fn write(&self, kind: &str, out: &mut impl Write) -> io::Result<()> {
        let is_cut = self.found > self.shown;
        let entries = if is_cut { &self.entries[..FIRST.min(self.entries.len())] } else { &self.entries[..] };
        let mut written = 0;
        for Entry { text, more, last } in entries {
            write!(out, "{text}")?;
            written += 1 + more;
            if *more > 0 {
                let last = last.as_ref().map(|last| format!(", the last one {}", shown(last))).unwrap_or_default();
                writeln!(out, "    {DIM}and {more} more of the same kind{last}{DIM:#}")?;
            }
        }
        if !is_cut {
            return Ok(());
        }
        let more = self.found - written;
        writeln!(out, "  {DIM}… and {more} more {kind}: --verbose lists them, --report jsonl=FILE keeps them{DIM:#}")?;
        if self.chains.len() > 1 {
            let mut chains: Vec<_> = self.chains.iter().collect();
            chains.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
            for (chain, count) in chains.iter().take(CHAINS) {
                writeln!(out, "    {DIM}{count:>7}  {chain}{DIM:#}")?;
            }
            let rest = chains.len().saturating_sub(CHAINS);
            if rest > 0 {
                let found: usize = chains.iter().skip(CHAINS).map(|(_, count)| **count).sum();
                writeln!(out, "    {DIM}{found:>7}  in {rest} further chains{DIM:#}")?;
            }
        }
        Ok(())
    }
}

/// Names the chain of a finding.
fn chain_of(record: &Record) -> Option<String> {
    let chain = match record {
        Record::Digest(digest) => &digest.chain,
        Record::LogFile(file) => &file.chain,
        Record::Gap(gap) => &gap.chain,
        Record::Tampering(tampering) => &tampering.chain,
        _ => return None,
    };
    Some(format!("{} {} {}", chain.account, chain.region, chain.trail))
}

/// Writes one line for one object, for `--verbose`.
pub(super) fn line(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let (style, word, what, object) = match record {
        Record::Digest(digest) => (digest_style(digest), digest.status.as_str(), "digest", &digest.object),
        Record::LogFile(file) => (log_file_style(file), file.status.as_str(), "log file", &file.object),
        _ => return Ok(()),
    };
    writeln!(out, "{style}{word:<10}{style:#} {what:<8}  {}", shown(object))
}

fn object_of(record: &Record) -> Option<ObjectRef> {
    match record {
        Record::Digest(digest) => Some(digest.object.clone()),
        Record::LogFile(file) => Some(file.object.clone()),
        Record::Warning(warning) => Some(ObjectRef { bucket: warning.bucket.clone()?, key: warning.key.clone()? }),
        _ => None,
    }
}

fn spell_out(record: &Record) -> String {
    let mut entry = entry(record);
    let Some(history) = record.history() else { return entry };
    if let Some(Mended { id, status, since }) = &history.mended {
        entry += &line_of("was", &format!("{status}, as the run of {} reported  {DIM}{id}{DIM:#}", time(*since)));
    }
    if let Some(at) = history.since {
        entry += &line_of("known since", &time(at));
    }
    if let Some(by) = &history.acknowledged {
        entry += &line_of("acknowledged", &printable(&acknowledgement(by)));
    }
    entry
}

/// Formats a line below an entry, with a name in a column of its own.
fn line_of(name: &str, text: &str) -> String {
    format!("    {DIM}{name:<16}{DIM:#} {text}\n")
}

/// Formats the identifier of a finding, by which it can be acknowledged.
fn id_of(id: Option<FindingId>) -> String {
    id.map(|id| format!("  {DIM}{id}{DIM:#}")).unwrap_or_default()
}

fn entry(record: &Record) -> String {
    match record {
        Record::Digest(digest) => digest_entry(digest),
        Record::LogFile(log_file) => log_file_entry(log_file),
        Record::Bag(bag) => bag_entry(bag),
        Record::Gap(gap) => gap_entry(gap),
        Record::Tampering(tampering) => tampering_entry(tampering),
        Record::Warning(warning) => warning_entry(warning),
        Record::Chain(chain) => chain_entry(chain),
        Record::Run(_) | Record::Circumstances(_) | Record::Summary(_) => String::new(),
    }
}

fn bag_entry(bag: &BagRecord) -> String {
    let mut entry = format!("  {BAD}altered{BAD:#} bag\n    {}\n", printable(&bag.path));
    for BagProblem { path, problem } in bag.problems.iter().take(SHOWN) {
        entry += &format!("    {}: {}\n", printable(path), printable(problem));
    }
    let more = bag.problems.len().saturating_sub(SHOWN);
    if more > 0 {
        entry += &format!("    {DIM}… and {more} more problems: --report jsonl=FILE keeps them{DIM:#}\n");
    }
    entry
}

fn digest_entry(digest: &DigestRecord) -> String {
    let style = digest_style(digest);
    let fault = digest.fault.map(|fault| format!("  {DIM}[{fault}]{DIM:#}")).unwrap_or_default();
    let kind = if digest.kind.as_str() == "standard" { String::new() } else { format!("{} ", digest.kind) };
    let detail = digest.detail.as_deref().unwrap_or_default();
    let status = digest.status;
    let object = shown(&digest.object);
    let reason = if status == DigestStatus::Missing { detail.to_owned() } else { format!("the digest {detail}") };
    let reason = printable(&reason);
    let versions = versions(digest.versions.as_ref());
    let (id, reason) = (id_of(digest.id), if detail.is_empty() { String::new() } else { format!("    {reason}\n") });
    format!("  {style}{status}{style:#} {kind}digest{fault}{id}\n    {object}\n{reason}{versions}")
}

fn log_file_entry(log_file: &LogFileRecord) -> String {
    let style = log_file_style(log_file);
    let fault = log_file.fault.map(|fault| format!("  {DIM}[{fault}]{DIM:#}")).unwrap_or_default();
    let (status, object, id) = (log_file.status, shown(&log_file.object), id_of(log_file.id));
    let mut entry = format!("  {style}{status}{style:#} log file{fault}{id}\n    {object}\n");
    if let Some(detail) = &log_file.detail {
        entry += &format!("    {}\n", printable(detail));
    }
    if let (Some(expected), LogFileStatus::Modified) = (log_file.expected_sha256, log_file.status) {
        entry += &format!("    {DIM}SHA-256 of the uncompressed content{DIM:#}\n");
        entry += &format!("    {DIM}recorded        {DIM:#} {expected}\n");
        let actual =
            log_file.actual_sha256.map_or("none: it can't be decompressed whole".to_owned(), |hash| hash.to_string());
        entry += &format!("    {DIM}found           {DIM:#} {actual}\n");
        if log_file.actual_sha256 == Some(expected) {
            entry += &format!("    {DIM}                 the same: what differs lies outside that content{DIM:#}\n");
        }
    }
    if let (Some(actual), LogFileStatus::Intact) = (log_file.actual_sha256, log_file.status) {
        entry += &line_of("SHA-256", &format!("{actual} of the uncompressed content"));
    }
    if let Some(digest) = log_file.digest.as_deref().filter(|_| log_file.status != LogFileStatus::Unverified) {
        entry += &format!("    {DIM}listed in       {DIM:#} {}\n", printable(digest));
    }
    entry += &versions(log_file.versions.as_ref());
    entry
}

/// Formats the versions that a versioned bucket still holds.
fn versions(versions: Option<&Versions>) -> String {
    let Some(Versions { intact_version_id, intact_last_modified, deleted_at }) = versions else { return String::new() };
    let mut lines = String::new();
    if let Some(at) = deleted_at {
        lines += &format!("    {DIM}deleted at      {DIM:#} {}\n", time(*at));
    }
    lines += &match intact_version_id {
        Some(id) => {
            let written = intact_last_modified.map(|at| format!(", written {}", time(at))).unwrap_or_default();
            format!("    {DIM}intact version  {DIM:#} {}{written}\n", printable(id))
        }
        None => format!("    {DIM}intact version  {DIM:#} none of those that the bucket still holds\n"),
    };
    lines
}

fn gap_entry(gap: &GapRecord) -> String {
    let style = match gap.cause {
        cause if cause.is_violation() => BAD,
        cause if cause.is_finding() => OPEN,
        _ => DIM,
    };
    let (from, to, length) = (time(gap.from), time(gap.to), span(gap.from, gap.to));
    let chain = format!("{} {}", gap.chain.account, gap.chain.region);
    let detail = printable(&gap.detail);
    let id = id_of(gap.id);
    format!("  {style}{}{style:#}  {chain}  {from} to {to} ({length}){id}\n    {detail}\n", gap.cause)
}

fn tampering_entry(tampering: &TamperingRecord) -> String {
    let TamperingRecord { outcome, event, detail, rule, attack, id, .. } = tampering;
    let style = if *outcome == TamperingOutcome::Succeeded { BAD } else { DIM };
    let (at, id) = (event.summary.event_time.map(time).unwrap_or_default(), id_of(*id));
    let attack = if attack.is_empty() { String::new() } else { format!(", ATT&CK {}", attack.join(", ")) };
    let log_file = shown(&ObjectRef { bucket: event.bucket.clone(), key: event.key.clone() });
    let event_id = event.summary.event_id.as_deref().map(|id| format!("event {}, ", printable(id))).unwrap_or_default();
    format!(
        "  {style}{outcome}{style:#}  {at}  {DIM}[{}{attack}]{DIM:#}{id}\n    {}\n    {DIM}{event_id}record {} of \
         {log_file}{DIM:#}\n",
        printable(rule),
        printable(detail),
        tampering.index
    )
}

fn chain_entry(chain: &ChainRecord) -> String {
    let fault = chain.fault.map_or("", |fault| fault.as_str());
    let detail = printable(chain.detail.as_deref().unwrap_or_default());
    let (account, region, id) = (&chain.chain.account, &chain.chain.region, id_of(chain.id));
    format!("  {BAD}{fault}{BAD:#}  {account} {region}{id}\n    {detail}\n")
}

fn warning_entry(warning: &WarningRecord) -> String {
    let object = match (&warning.bucket, &warning.key) {
        (Some(bucket), Some(key)) => format!("    {}\n", shown(&ObjectRef::new(bucket.clone(), key.clone()))),
        _ => String::new(),
    };
    format!("  {OPEN}{}{OPEN:#}\n{object}    {}\n", warning.code, printable(&warning.detail))
}

fn digest_style(digest: &DigestRecord) -> Style {
    match digest.status {
        DigestStatus::Valid => GOOD,
        DigestStatus::Unverified => OPEN,
        DigestStatus::Invalid | DigestStatus::Missing => BAD,
    }
}

fn log_file_style(log_file: &LogFileRecord) -> Style {
    match log_file.status {
        LogFileStatus::Intact => GOOD,
        LogFileStatus::Unverified | LogFileStatus::Unlisted | LogFileStatus::Uncovered => OPEN,
        LogFileStatus::Modified | LogFileStatus::Deleted => BAD,
    }
}

fn shown(object: &ObjectRef) -> String {
    printable(&object.to_string()).into_owned()
}
