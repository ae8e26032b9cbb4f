//! What lies in the log folder: whether listed log files exist, and which files no digest lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::element::Element;
use super::error::AuditError;
use super::fingerprints::{Fingerprints, Met};
use super::listing::{self, RegionFolder};
use super::log_listing::{ListedFiles, Listing, list};
use super::request::{AuditRequest, EDGE, fresh_from};
use super::room::Seat;
use super::shelf::Shelved;
use super::walk::{JudgedDigests, judge_digests};
use crate::model::{
    ChainId, Coverage, DigestKind, Fault, GapRecord, LogFileKey, LogFileName, LogFileRecord, LogFileStatus, ObjectRef,
    TimeRange,
};
use crate::store::StoreError;

/// A file in the log folder that no valid digest lists.
#[derive(Debug, Clone)]
pub(super) struct Stray {
    pub object: ObjectRef,
    name: LogFileName,
}

impl Stray {
    fn of(object: ObjectRef, prefix: &str) -> Option<Self> {
        let name = LogFileName::parse(object.key.strip_prefix(prefix)?)?;
        Some(Self { object, name })
    }
}

/// The files that are not among those that digests list.
fn strays(files: &ListedFiles, context: &Context, listed: &Fingerprints) -> Vec<Stray> {
    let strays = files.objects().filter(|object| !listed.contains(context.fingerprint(object)));
    strays.filter_map(|object| Stray::of(object, &files.prefix)).collect()
}

/// What was found in the log folder of a chain.
#[derive(Debug, Default)]
pub(super) struct LogFolder {
    /// The log files that valid digests list and that were not seen there.
    pub absent: Fingerprints,
    /// Whether it was seen that no log file is listed by two valid digests, or twice by one.
    pub lists_each_once: bool,
    /// By key.
    pub strays: Vec<Stray>,
    /// Files that no digest listed in earlier runs either, and that are still there.
    pub known_strays: Vec<ObjectRef>,
    /// Why a part of it could not be listed.
    pub failure: Option<String>,
}

/// What was met in log folders, beside what valid digests list.
#[derive(Clone)]
struct Comparison<'a> {
    context: &'a Context,
    listed: Met<'a>,
    strays: Vec<Stray>,
}

impl Comparison<'_> {
    /// Compares a file of the folder whose keys begin with `prefix`.
    fn add(&mut self, object: ObjectRef, prefix: &str) {
        if !self.listed.meet(self.context.fingerprint(&object)) {
            self.strays.extend(Stray::of(object, prefix));
        }
    }

    /// The same with all files of a listing.
    fn add_listed(&mut self, files: &ListedFiles) {
        files.objects().for_each(|object| self.add(object, &files.prefix));
    }

    /// The same with all files of a folder, a page at a time: they need not wait in memory.
    async fn add_all(&mut self, folder: &RegionFolder, from: Timestamp, to: Timestamp) -> Result<(), StoreError> {
        let before = self.clone();
        let mut listing = Listing::new(folder, from, to);
        let (bucket, prefix) = (Arc::from(folder.location.bucket.as_str()), listing.prefix().to_owned());
        loop {
            match listing.next_page(self.context.store.as_ref()).await {
                Ok(Some(page)) => {
                    page.into_iter().for_each(|(key, ..)| self.add(ObjectRef::new(Arc::clone(&bucket), key), &prefix));
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    // Half a folder tells nothing.
                    *self = before;
                    return Err(error);
                }
            }
        }
    }
}

/// Compares what lies in the log folder of a chain with what valid digests list. `listed`: the listings of the first of the folders,
/// as far as they are known.
pub(super) async fn examine(
    context: &Arc<Context>,
    chain: &ChainId,
    judged: &JudgedDigests,
    listed: Vec<Result<ListedFiles, StoreError>>,
) -> Result<LogFolder, AuditError> {
    let mut found = LogFolder::default();
    let JudgedDigests { elements, folders, .. } = judged;
    let ends = elements.iter().flat_map(|element| [element.start(), element.end()]);
    let (Some(first), Some(last)) = (ends.clone().min(), ends.max()) else { return Ok(found) };
    let (from, to) = (context.range.start.unwrap_or(first), context.range.end.unwrap_or(last));
    let rest = folders.get(listed.len()..).unwrap_or_default();
    let (by_digests, twice) = fingerprints(context, judged)?;
    found.lists_each_once = twice.is_empty();
    let mut compared = Comparison { context, listed: Met::none(&by_digests), strays: Vec::new() };
    for files in listed {
        match files {
            Ok(files) => compared.add_listed(&files),
            Err(error) => found.failure = Some(error.to_string()),
        }
    }
    for folder in rest {
        let added = if context.store.is_live() {
            // Long ranges are listed in parts at once.
            list(context, folder, from, to).await.map(|files| compared.add_listed(&files))
        } else {
            compared.add_all(folder, from, to).await
        };
        if let Err(error) = added {
            found.failure = Some(error.to_string());
        }
    }
    found.absent = compared.listed.others();
    let mut strays = compared.strays;
    strays.retain(|stray| from <= stray.name.to && stray.name.from < to);
    strays.extend(in_late_hours(context, judged, &by_digests).await?);
    let mut known = still_unlisted(context, &by_digests).await;
    drop(by_digests);
    if !strays.is_empty() {
        remove_listed_by_others(context, chain, folders, &mut strays).await?;
    }
    if let Some(first) = known.iter().map(|stray| stray.name.from).min() {
        let first = first.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(first);
        let range = TimeRange { start: Some(first), end: context.range.end };
        remove_listed_by_others(&Arc::new(context.with_range(range)), chain, folders, &mut known).await?;
    }
    found.known_strays = known.into_iter().map(|stray| stray.object).collect();
    strays.sort_by(|a, b| a.object.key.cmp(&b.object.key));
    found.strays = strays;
    Ok(found)
}

/// The files that no digest listed in earlier runs, and that are still there and still not listed.
async fn still_unlisted(context: &Context, listed: &Fingerprints) -> Vec<Stray> {
    let open = context.resume.iter().flat_map(|resume| resume.open_unlisted());
    let open: Vec<ObjectRef> = open.filter(|object| !listed.contains(context.fingerprint(object))).cloned().collect();
    let looked = stream::iter(open).map(|object| async move {
        let gone = context.store.get(&object, None).await.is_err_and(|error| error.is_absence());
        let now = context.request.now;
        let name = LogFileKey::parse(&object.key).map_or(LogFileName { from: now, to: now }, |key| key.time);
        (!gone).then_some(Stray { object, name })
    });
    looked.buffered(context.request.concurrency).filter_map(|stray| async { stray }).collect().await
}

/// The files in the hours of digests that came late: the runs before could not judge them.
async fn in_late_hours(
    context: &Context,
    judged: &JudgedDigests,
    listed: &Fingerprints,
) -> Result<Vec<Stray>, AuditError> {
    let JudgedDigests { elements, shelf, folders, .. } = judged;
    let Some(resume) = context.resume.as_ref().filter(|resume| resume.expects_late()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // A backfill digest has the hour of another one, whose files it does not list.
    let standard = elements.iter().filter(|element| element.kind == DigestKind::Standard);
    for element in standard {
        if !resume.came_late(&element.whole(shelf)?) {
            continue;
        }
        let (from, to) = (element.start(), element.end());
        for folder in folders {
            // What can't be listed now is not judged; the log folder's own listing tells of the failure.
            let Ok(files) = list(context, folder, from, to).await else { continue };
            let strays = strays(&files, context, listed).into_iter();
            found.extend(strays.filter(|stray| from <= stray.name.to && stray.name.from < to));
        }
    }
    Ok(found)
}

/// Whether log files of the range lie here that no trail's digests explain: those that other trails' valid digests cover the time
/// of and don't list, or any, where no valid digest is there at all.
pub(super) async fn has_unexplained(context: &Arc<Context>, folder: &RegionFolder) -> Result<bool, AuditError> {
    let range = &context.range;
    let fresh = fresh_from(&context.request);
    let (from, to) = (range.start.unwrap_or(Timestamp::UNIX_EPOCH), range.end.unwrap_or(context.request.now));
    // A failure to look is no reason to expect anything.
    let Ok(files) = list(context, folder, from, to).await else { return Ok(false) };
    let mut strays = strays(&files, context, &Fingerprints::default());
    strays.retain(|stray| from <= stray.name.from && stray.name.to < to.min(fresh));
    let any_trail = AuditRequest { trail: None, ..context.request.clone() };
    let listing = listing::digests(context.store.as_ref(), folder, range, &any_trail).await;
    if listing.failure.is_some() {
        return Ok(false);
    }
    let mut coverage = Coverage::default();
    for (other, digests) in listing.digests {
        let judged =
            judge_digests(context, &Arc::new(other), std::slice::from_ref(folder), digests, &mut Seat::apart()).await?;
        remove_listed(context, &mut strays, &judged)?;
        for (start, end) in judged.elements.iter().filter_map(Element::valid).map(|digest| digest.outline().period()) {
            coverage.add(start, end);
        }
    }
    let is_covered = |name: &LogFileName| {
        let edges = (name.from.saturating_sub(EDGE), name.to.saturating_add(EDGE));
        matches!(edges, (Ok(from), Ok(to)) if coverage.contains(from, to))
    };
    Ok(strays.iter().any(|stray| coverage == Coverage::default() || is_covered(&stray.name)))
}

/// The log files that valid digests list, and those that they list more than once, by [`Context::fingerprint`].
fn fingerprints(context: &Context, judged: &JudgedDigests) -> Result<(Fingerprints, Fingerprints), AuditError> {
    let log_files = |digest: &&Shelved| digest.outline().log_files();
    let digests = || judged.elements.iter().filter_map(Element::valid).filter(|digest| log_files(digest) > 0);
    let mut fingerprints = Vec::with_capacity(digests().map(|digest| log_files(&digest)).sum());
    for digest in digests() {
        let digest = judged.shelf.valid(digest)?;
        fingerprints.extend(digest.log_files().iter().map(|entry| context.fingerprint(&entry.object)));
    }
    Ok(Fingerprints::of(fingerprints))
}

fn remove_listed(context: &Context, strays: &mut Vec<Stray>, judged: &JudgedDigests) -> Result<(), AuditError> {
    let (listed, _) = fingerprints(context, judged)?;
    strays.retain(|stray| !listed.contains(context.fingerprint(&stray.object)));
    Ok(())
}

/// Log files don't carry their trail's name: what another trail's digests list, which delivers to the same place, is listed.
async fn remove_listed_by_others(
    context: &Arc<Context>,
    chain: &ChainId,
    folders: &[RegionFolder],
    strays: &mut Vec<Stray>,
) -> Result<(), AuditError> {
    let any_trail = AuditRequest { trail: None, ..context.request.clone() };
    for folder in folders {
        let listing = listing::digests(context.store.as_ref(), folder, &context.range, &any_trail).await;
        for (other, digests) in listing.digests.into_iter().filter(|(other, _)| other != chain) {
            let judged =
                judge_digests(context, &Arc::new(other), std::slice::from_ref(folder), digests, &mut Seat::apart())
                    .await?;
            remove_listed(context, strays, &judged)?;
        }
    }
    Ok(())
}

impl LogFolder {
    /// Whether a log file that a valid digest lists was seen there, if anyone looked.
    pub fn shows(&self, object: &ObjectRef, context: &Context) -> bool {
        self.absent.is_empty() || !self.absent.contains(context.fingerprint(object))
    }

    /// The records of those files that lie well within what is covered.
    pub fn unlisted(&self, chain: &Arc<ChainId>, coverage: &Coverage, context: &Context) -> Vec<LogFileRecord> {
        let fresh = fresh_from(&context.request);
        // A name that tells no more than its day needs a day that is covered; CloudTrail gives none of that kind, so no digest needs to
        // be read for it.
        let mut whole = coverage.clone();
        if let Some((from, to)) = context.resume.as_ref().and_then(|resume| resume.known_coverage()) {
            whole.add(from, to);
        }
        let inside = |name: &LogFileName| {
            let from = name.from.saturating_sub(EDGE).unwrap_or(name.from);
            let to = name.to.saturating_add(EDGE).unwrap_or(name.to);
            let is_odd = name.to.duration_since(name.from) > SignedDuration::from_hours(1);
            let covered = if is_odd { &whole } else { coverage };
            (!context.store.is_live() || name.to < fresh) && covered.contains(from, to)
        };
        let now = self.strays.iter().filter(|stray| inside(&stray.name)).map(|stray| &stray.object);
        let unlisted: BTreeSet<&ObjectRef> = now.chain(&self.known_strays).collect();
        let mut unlisted: Vec<&ObjectRef> = unlisted.into_iter().collect();
        unlisted.sort_by_key(|object| &object.key);
        unlisted
            .into_iter()
            .map(|object| LogFileRecord {
                status: LogFileStatus::Unlisted,
                chain: chain.clone(),
                object: object.clone(),
                digest: None,
                expected_sha256: None,
                actual_sha256: None,
                size: None,
                fault: Some(Fault::NotListed),
                detail: Some("it lies in the log folder, and no valid digest lists it".to_owned()),
                versions: None,
                since: None,
            })
            .collect()
    }

    /// Tells of the files that lie in a gap, which nobody can judge.
    pub fn tell_of_gap(&self, gap: &mut GapRecord) {
        let inside = self.strays.iter().filter(|stray| gap.from <= stray.name.from && stray.name.to < gap.to).count();
        if inside > 0 {
            let files = if inside == 1 { "1 log file lies".to_owned() } else { format!("{inside} log files lie") };
            gap.detail += &format!("; {files} here that no valid digest lists");
        }
    }
}
