//! The check of a listing against the log files that earlier runs verified. A day that does not
//! hold exactly those files is examined again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ahash::HashSet;
use jiff::Timestamp;

use crate::audit::chain::follow::JudgedDigests;
use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::digests::identity::{identity_of_key, name_hash, written_hash};
use crate::audit::error::AuditError;
use crate::audit::io::fingerprints::Fingerprints;
use crate::audit::listing::log_files::LogRegion;
use crate::audit::request::EDGE;
use crate::audit::resume::state::Resume;
use crate::audit::shared::context::Context;
use crate::model::{
    DAY, DigestKind, LogFileName, ObjectRef, VerifiedDay, VerifiedFiles, begin_of_day, earlier, parse_day,
};

/// The form of the part of a log file's key that states its day.
const DAY_FOLDER: &str = "2026/03/01";

/// The days whose log files a checkpoint keeps: the one of the last verified digest, and the one
/// before it. Every listing shows both whole.
pub(crate) fn kept_days(through: Timestamp) -> [Timestamp; 2] {
    let last = begin_of_day(through);
    [earlier(last, DAY), last]
}

/// Returns the folder of a listed log file, up to its day, and the start of that day; `None` for a
/// file in no day's folder. `name` is that of [`crate::audit::digests::identity::identity`].
pub(crate) fn folder_of_listed(name: &str) -> Option<(&str, Timestamp)> {
    let folder = name.rsplit_once('/')?.0;
    Some((folder, day_of_folder(folder)?))
}

/// Returns the day of such a folder.
pub(crate) fn day_of_folder(folder: &str) -> Option<Timestamp> {
    parse_day(folder.get(folder.len().checked_sub(DAY_FOLDER.len())?..)?)
}

/// Returns whether a log file was written after the run that judged it. `seen` is the time at which
/// S3 had last written a digest of the chain at that run.
pub(crate) fn was_rewritten(before: &VerifiedFiles, seen: Option<Timestamp>, name: &str, written: Timestamp) -> bool {
    seen.is_some_and(|seen| written > seen) && !before.judged.contains(&written_hash(before, name, written))
}

/// The comparison of a listing with the days that earlier runs verified.
#[derive(Clone)]
pub(crate) struct DayCheck<'a> {
    context: &'a Context,
    before: &'a VerifiedFiles,
    days: [Timestamp; 2],
    /// The log files listed by digests that earlier runs did not verify.
    new: Arc<Fingerprints>,
    /// The files that earlier runs have reported as unlisted.
    known_unlisted: Arc<HashSet<u64>>,
    /// The time from which a file that no digest lists may still be listed.
    edge: Timestamp,
    /// The time at which S3 had last written a digest of the chain: an object that is written later
    /// was written after the run that verified it.
    seen: Option<Timestamp>,
    shown: BTreeMap<String, (u64, u64)>,
    rewritten: BTreeSet<Timestamp>,
}

impl<'a> DayCheck<'a> {
    /// Creates a check of the days before the last verified digest; `None` if earlier runs recorded
    /// nothing about them.
    pub(crate) fn new(context: &'a Context, judged: &JudgedDigests) -> Result<Option<Self>, AuditError> {
        let Some(resume) = context.resume.as_deref() else { return Ok(None) };
        let (Some(before), Some(through)) = (resume.verified_files(), resume.start()) else { return Ok(None) };
        let mut new = Vec::new();
        for entry in judged.entries.iter().filter(|entry| entry.valid().is_some()) {
            if is_new(entry, &judged.spool, resume)?
                && let Some(digest) = entry.valid()
            {
                let digest = judged.spool.valid(digest)?;
                new.extend(digest.log_files().iter().map(|log_file| context.fingerprint(&log_file.object)));
            }
        }
        let standard = judged.entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
        let newest = standard.filter(|entry| entry.valid().is_some()).map(ChainEntry::end).max();
        Ok(Some(Self {
            context,
            before,
            days: kept_days(through),
            new: Arc::new(Fingerprints::of(new).0),
            known_unlisted: Arc::new(resume.open_unlisted().map(|object| context.fingerprint(object)).collect()),
            edge: earlier(newest.unwrap_or(through), EDGE),
            seen: resume.seen(),
            shown: BTreeMap::new(),
            rewritten: BTreeSet::new(),
        }))
    }

    /// Records a file that the listing of a region shows. `is_listed` is true if a digest that was
    /// read in this run lists it. `written` is the time at which it was written, if that is recent.
    pub(crate) fn see(&mut self, prefix: &str, object: &ObjectRef, is_listed: bool, written: Option<Timestamp>) {
        let Some(file) = object.key.get(prefix.len()..) else { return };
        let Some(day) = file.get(..DAY_FOLDER.len()).and_then(parse_day).filter(|day| self.days.contains(day)) else {
            return;
        };
        let fingerprint = self.context.fingerprint(object);
        if self.new.contains(fingerprint) || self.known_unlisted.contains(&fingerprint) {
            return;
        }
        // The digest that will list it may not have been delivered yet.
        let is_young = || LogFileName::parse(file).is_some_and(|name| !name.is_odd() && name.from > self.edge);
        if !is_listed && is_young() {
            return;
        }
        // Only the prefix is parsed, because a name below the day may itself contain `AWSLogs/`.
        let region = identity_of_key(&object.bucket, prefix, !self.context.store.properties().is_copy);
        let name = format!("{region}{file}");
        if written.is_some_and(|written| was_rewritten(self.before, self.seen, &name, written)) {
            self.rewritten.insert(day);
        }
        let shown = self.shown.entry(format!("{region}{}", &file[..DAY_FOLDER.len()])).or_default();
        let hash = name_hash(self.before, &name);
        *shown = (shown.0 + 1, shown.1.wrapping_add(hash));
    }

    /// Returns the days of the listed regions that hold other files than earlier runs verified, or
    /// files that were written since.
    pub(crate) fn changed(&self, listed: &[LogRegion]) -> BTreeSet<Timestamp> {
        let exact = !self.context.store.properties().is_copy;
        let prefixes: Vec<String> =
            listed.iter().map(|LogRegion { bucket, prefix }| identity_of_key(bucket, prefix, exact)).collect();
        let is_listed = |folder: &String| prefixes.iter().any(|prefix| folder.starts_with(prefix.as_str()));
        let nothing = VerifiedDay::default();
        let folders: BTreeSet<&String> = self.shown.keys().chain(self.before.days.keys()).collect();
        let differs = folders.into_iter().filter(|folder| is_listed(folder)).filter(|folder| {
            let (count, sum) = self.shown.get(*folder).copied().unwrap_or_default();
            !self.before.days.get(*folder).unwrap_or(&nothing).is(count, sum)
        });
        let differing = differs.filter_map(|folder| day_of_folder(folder)).filter(|day| self.days.contains(day));
        differing.chain(self.rewritten.iter().copied()).collect()
    }
}

/// Returns whether a digest is one that earlier runs have not verified.
pub(crate) fn is_new(entry: &ChainEntry, spool: &DigestSpool, resume: &Resume) -> Result<bool, AuditError> {
    if resume.start().is_none_or(|through| entry.end() > through) {
        return Ok(true);
    }
    Ok(resume.expects_late() && resume.came_late(&entry.whole(spool)?))
}
