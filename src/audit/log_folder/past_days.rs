//! Days before the range that are examined again: those whose listing differs from what earlier
//! runs verified, and those that `Recheck` draws. Their digests are read once more, since these
//! state which log files should exist.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ahash::HashSet;
use jiff::{SignedDuration, Timestamp};

use crate::audit::chain::follow::{JudgedDigests, judge_digests};
use crate::audit::chain::verify;
use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::{ChainEntry, EntryState};
use crate::audit::digests::identity::{identity, name_hash};
use crate::audit::digests::listed_digests::ListedDigests;
use crate::audit::error::AuditError;
use crate::audit::io::fingerprints::Fingerprints;
use crate::audit::io::lookahead::Admission;
use crate::audit::listing::digests;
use crate::audit::listing::log_files::LogRegion;
use crate::audit::log_folder::day_check::{folder_of_listed, is_new, was_rewritten};
use crate::audit::log_folder::other_trails::{covered, unverified_digests};
use crate::audit::log_folder::unlisted::StrayFiles;
use crate::audit::resume::state::Resume;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, Coverage, DAY, ObjectRef, TimeRange, VerifiedDay, earlier, later};
use crate::verify::ExpectedHash;

/// The longest time before a day at which the hour of the first digest ends that lists a log file
/// of its folder.
const LISTED_BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// The longest time after its end at which the hour of the last one ends. AWS gives no bound;
/// nearly every log file is delivered within a day.
const LISTED_AFTER: SignedDuration = SignedDuration::from_hours(27);

/// A log file that earlier runs verified and that is judged again.
#[derive(Debug, Clone)]
pub(crate) struct AgainFile {
    pub object: ObjectRef,
    /// The key of the digest that lists it.
    pub digest: Arc<str>,
    pub expected: ExpectedHash,
}

/// The findings on days before the range.
#[derive(Debug, Default)]
pub(crate) struct PastDays {
    /// Log files that disappeared, came back or were overwritten since.
    pub again: Vec<AgainFile>,
    /// Files that no digest of the chain lists.
    pub strays: StrayFiles,
    /// Digests that were read again and are not valid.
    pub rejected: Vec<ChainEntry>,
    /// The rejected digests that a valid one names.
    pub named: Vec<ObjectRef>,
    /// The time covered by the digests that were read again.
    pub coverage: Coverage,
    /// The times of the digests that were read again and could not be verified.
    pub unverified_digests: Coverage,
    /// The listed log files that were overwritten, by [`identity`], with their write times.
    pub recent: Vec<(Timestamp, String)>,
    /// The state of the days for the next checkpoint, by folder.
    pub verified: BTreeMap<String, VerifiedDay>,
    /// The reason why a part could not be listed.
    pub failure: Option<String>,
}

/// Examines days again. `judged` are the digests that were read for the range.
pub(crate) async fn examine(
    context: &Arc<Context>,
    chain: &ChainId,
    judged: &JudgedDigests,
    regions: &[LogRegion],
    days: &BTreeSet<Timestamp>,
) -> Result<PastDays, AuditError> {
    let mut found = PastDays::default();
    let Some(resume) = context.resume.clone().filter(|_| !days.is_empty()) else { return Ok(found) };
    let id = Arc::new(chain.clone());
    for day in days {
        let Some(mut read) = digests_of(context, &id, judged, *day, &resume, &mut found).await? else { continue };
        let rejected = take_rejected(context, &mut read, &mut found.named);
        // It is unknown which files a digest listed that is not valid now, so the day stays
        // recorded as it was verified.
        let day = Day { context, resume: &resume, day: *day, is_renewed: rejected.is_empty() };
        found.unverified_digests.extend(&unverified_digests(&rejected));
        found.rejected.extend(rejected);
        let mut listed = Vec::new();
        day.each_listed(judged, &read, |log_file| listed.push(log_file.fingerprint))?;
        let listed = Fingerprints::of(listed).0;
        let shown = day.shown(regions, &listed, &mut found).await;
        found.coverage.extend(&covered(&read));
        if let Some(shown) = shown {
            day.each_listed(judged, &read, |log_file| day.compare(log_file, &shown, &mut found))?;
        }
    }
    Ok(found)
}

/// Reads the digests before the range that may list the log files of a day; `None` if they cannot
/// be listed.
async fn digests_of(
    context: &Arc<Context>,
    id: &Arc<ChainId>,
    judged: &JudgedDigests,
    day: Timestamp,
    resume: &Resume,
    found: &mut PastDays,
) -> Result<Option<JudgedDigests>, AuditError> {
    let through = resume.start().unwrap_or(day);
    let from = earlier(day, LISTED_BEFORE);
    let to = later(later(day, DAY), LISTED_AFTER).min(through);
    let range = TimeRange { start: Some(from), end: Some(to) };
    let mut digests = ListedDigests::default();
    for folder in &judged.folders {
        let mut listing = digests::digests(context.store.as_ref(), folder, &range, &context.request).await;
        if let Some(error) = listing.failure {
            found.failure = Some(error.to_string());
            return Ok(None);
        }
        if let Some(own) = listing.digests.remove(&**id) {
            own.iter().filter(|digest| digest.end <= through).for_each(|digest| digests.push(&digest));
        }
    }
    let around = Arc::new(context.with_range(range));
    let mut read = judge_digests(&around, id, &judged.folders, digests, &mut Admission::apart()).await?;
    // Digests past the end were read only for what they record of the ones before.
    read.entries.retain(|entry| entry.end() <= to);
    Ok(Some(read))
}

/// Removes the digests that are not valid, and notes those that a valid one names.
fn take_rejected(context: &Context, read: &mut JudgedDigests, named: &mut Vec<ObjectRef>) -> Vec<ChainEntry> {
    let is_rejected = |entry: &mut ChainEntry| matches!(entry.state, EntryState::Rejected(_));
    let mut rejected: Vec<ChainEntry> = read.entries.extract_if(.., is_rejected).collect();
    if rejected.is_empty() {
        return rejected;
    }
    let follow: HashSet<u64> = read
        .entries
        .iter()
        .filter_map(ChainEntry::valid)
        .filter_map(|digest| digest.spool_key.predecessor_fingerprint())
        .collect();
    for entry in &mut rejected {
        // Their claims are stored on another spool than the chain's.
        entry.remarks.iter_mut().for_each(|remarks| remarks.claims = None);
        if let EntryState::Rejected(digest) = &entry.state
            && follow.contains(&context.fingerprint(&digest.object))
        {
            named.push(digest.object.clone());
        }
    }
    rejected
}

/// Adds digests that were read again to those of the chain, unless they are there already: a digest
/// that only its successor proves is judged together with that.
pub(crate) fn add_rejected(
    context: &Context,
    entries: &mut Vec<ChainEntry>,
    rejected: Vec<ChainEntry>,
    spool: &DigestSpool,
) -> Result<(), AuditError> {
    if rejected.is_empty() {
        return Ok(());
    }
    let mut known = HashSet::default();
    for entry in entries.iter() {
        known.insert(context.fingerprint(&entry.whole(spool)?.object));
    }
    for entry in rejected {
        let EntryState::Rejected(digest) = &entry.state else { continue };
        if known.insert(context.fingerprint(&digest.object)) {
            entries.push(entry);
        }
    }
    verify::sort(entries, spool)
}

/// A log file of a day, as a digest lists it.
struct Entry<'a> {
    file: AgainFile,
    fingerprint: u64,
    folder: &'a str,
    /// The name under which it is counted.
    name: &'a str,
    /// True if earlier runs have not verified the digest.
    is_new: bool,
}

/// The files of a day that a listing shows.
struct Shown {
    files: Fingerprints,
    /// The files that were written after the run that verified them.
    rewritten: Fingerprints,
}

struct Day<'a> {
    context: &'a Context,
    resume: &'a Resume,
    day: Timestamp,
    /// True if the checkpoint should record the day as it is found now.
    is_renewed: bool,
}

impl Day<'_> {
    /// Passes to `take` each log file of the day that valid digests list, once.
    fn each_listed(
        &self,
        judged: &JudgedDigests,
        read: &JudgedDigests,
        mut take: impl FnMut(Entry<'_>),
    ) -> Result<(), AuditError> {
        let mut known = HashSet::default();
        let exact = !self.context.store.properties().is_copy;
        for (digests, is_range) in [(read, false), (judged, true)] {
            for entry in digests.entries.iter().filter(|entry| entry.end() >= self.day) {
                let Some(digest) = entry.valid().filter(|digest| digest.summary().log_files() > 0) else { continue };
                let is_new = is_range && is_new(entry, &digests.spool, self.resume)?;
                let digest = digests.spool.valid(digest)?;
                for log_file in digest.log_files().iter() {
                    let object = log_file.object.clone();
                    let name = identity(&object, exact);
                    let Some((folder, day)) = folder_of_listed(&name) else { continue };
                    let fingerprint = self.context.fingerprint(&log_file.object);
                    if day == self.day && known.insert(fingerprint) {
                        let digest = Arc::clone(&digest.object().key);
                        let file = AgainFile { object: log_file.object, digest, expected: log_file.expected };
                        take(Entry { file, fingerprint, folder, name: &name, is_new });
                    }
                }
            }
        }
        Ok(())
    }

    /// Lists the day, and adds the files to the strays that no valid digest of the chain lists;
    /// `None` if it cannot be listed.
    async fn shown(&self, regions: &[LogRegion], listed: &Fingerprints, found: &mut PastDays) -> Option<Shown> {
        let (mut files, mut rewritten) = (Vec::new(), Vec::new());
        let seen = self.resume.seen();
        for region in regions {
            let shown = match self.context.log_files().list(region, self.day, self.day).await {
                Ok(shown) => shown,
                Err(error) => {
                    found.failure = Some(error.to_string());
                    return None;
                }
            };
            let is_of_day = |object: &ObjectRef| {
                let inside = object.key.get(shown.prefix.len()..).unwrap_or_default();
                inside.starts_with(&self.day.strftime("%Y/%m/%d/").to_string())
            };
            for (object, written) in shown.files().filter(|(object, _)| is_of_day(object)) {
                let fingerprint = self.context.fingerprint_of_copy(&object, listed);
                files.push(fingerprint);
                if fingerprint != self.context.fingerprint(&object) {
                    // It was still compressed when it was verified.
                    rewritten.push(fingerprint);
                }
                let name = identity(&object, !self.context.store.properties().is_copy);
                let Some((written, before)) = written.zip(self.resume.verified_files()) else { continue };
                if was_rewritten(before, seen, &name, written) {
                    rewritten.push(fingerprint);
                    if listed.contains(fingerprint) {
                        found.recent.push((written, name.into_owned()));
                    }
                }
            }
            let is_listed = |object: &ObjectRef| listed.contains(self.context.fingerprint_of_copy(object, listed));
            found.strays.add_listed(&shown, |object| is_of_day(object) && !is_listed(object));
        }
        Some(Shown { files: Fingerprints::of(files).0, rewritten: Fingerprints::of(rewritten).0 })
    }

    /// Compares a log file that a digest lists with what the listing shows.
    fn compare(&self, log_file: Entry<'_>, shown: &Shown, found: &mut PastDays) {
        let Some(before) = self.resume.verified_files().filter(|_| !log_file.is_new) else { return };
        let hash = name_hash(before, log_file.name);
        let was_lost = before.days.get(log_file.folder).is_some_and(|day| day.lost.contains(&hash));
        if self.is_renewed {
            let day = found.verified.entry(log_file.folder.to_owned()).or_default();
            day.add(hash);
            if was_lost {
                day.lose(hash);
            }
        }
        let is_there = shown.files.contains(log_file.fingerprint);
        // A file that an earlier run reported as gone is reported again only if it is back.
        if is_there == was_lost || shown.rewritten.contains(log_file.fingerprint) {
            found.again.push(log_file.file);
        }
    }
}

impl Context {
    /// Returns the fingerprint of a listed file. In a copy, a file that somebody decompressed has
    /// the fingerprint of the compressed one, if that is among `listed`.
    fn fingerprint_of_copy(&self, object: &ObjectRef, listed: &Fingerprints) -> u64 {
        let own = self.fingerprint(object);
        if !self.store.properties().is_copy || listed.contains(own) || !object.key.ends_with(".json") {
            return own;
        }
        let stands_for = self.fingerprint(&ObjectRef::new(Arc::clone(&object.bucket), format!("{}.gz", object.key)));
        if listed.contains(stands_for) { stands_for } else { own }
    }
}

/// Returns the days that are drawn for a recheck, among those that earlier runs verified.
pub(crate) fn drawn(context: &Context) -> BTreeSet<Timestamp> {
    context.resume.as_ref().map(|resume| resume.drawn_days().clone()).unwrap_or_default()
}
