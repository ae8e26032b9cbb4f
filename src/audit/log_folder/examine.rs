//! The examination of a chain's log folders: whether listed log files exist, and which files no
//! digest lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::HashSet;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::audit::chain::follow::JudgedDigests;
use crate::audit::chain::handover::Handover;
use crate::audit::digests::claims::ClaimBudget;
use crate::audit::digests::identity::identity;
use crate::audit::error::AuditError;
use crate::audit::io::fingerprints::{Fingerprints, Met};
use crate::audit::listing::digests::RegionFolder;
use crate::audit::listing::log_files::{ListedFiles, LogRegion};
use crate::audit::log_folder::day_check::DayCheck;
use crate::audit::log_folder::listed_files::{ListedEntries, listed_entries};
use crate::audit::log_folder::other_trails::OtherTrails;
use crate::audit::log_folder::outside_days::outside_days;
use crate::audit::log_folder::past_days::{self, PastDays};
use crate::audit::log_folder::unlisted::{Stray, StrayFiles};
use crate::audit::request::fresh_from;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, Coverage, DigestKind, LOG_FOLDER, LogFileName, ObjectRef, Period, parse_day};
use crate::store::StoreError;

/// The result of searching the log folders of a chain.
#[derive(Debug, Default)]
pub(crate) struct LogFolder {
    /// The log files that valid digests list and that were not seen there.
    pub absent: Fingerprints,
    /// True if it was seen that no log file is listed by two valid digests, or twice by one.
    pub lists_each_once: bool,
    /// Files of the range that no valid digest lists.
    pub strays: StrayFiles,
    /// The log files claimed by digests that are not valid, and listed by valid digests of other
    /// trails, by [`Context::fingerprint`].
    pub claimed_elsewhere: HashSet<u64>,
    /// Files in the hours of digests that came late, which no valid digest lists.
    pub late_strays: StrayFiles,
    /// Files that no digest listed in earlier runs either, and that still exist.
    pub known_strays: StrayFiles,
    /// The first and the last day of which a copy has log files of the chain, if they are known; a
    /// copy is often partial.
    pub copied_days: Option<Option<Period>>,
    /// The times of unreadable digests of other trails that may list some of them.
    pub unreadable: Coverage,
    /// The time covered by valid digests of the chain that continues this one, on the days of some
    /// of the files.
    pub covered_by_successor: Coverage,
    /// The log folders beside `CloudTrail/` of which a valid digest has listed a file.
    pub other_folders: BTreeSet<String>,
    /// Trails that deliver log files here without digests, requested if any unlisted file has to be
    /// judged.
    pub neighbours: Vec<String>,
    /// The log files that digests list and that were written after the newest digest, by
    /// [`identity`], with their write times.
    pub recent: Vec<(Timestamp, String)>,
    /// The findings on days before the range.
    pub past: PastDays,
    /// The reason why a part of it could not be listed.
    pub failure: Option<String>,
}

/// Listings of a chain's log folders that were made while its digests were read: one of each kind
/// for each of its first folders.
#[derive(Default)]
pub(crate) struct EarlyListings {
    files: Vec<Result<ListedFiles, StoreError>>,
    outside: Vec<Result<StrayFiles, StoreError>>,
}

impl EarlyListings {
    /// Lists the log folders, as far as that need not wait for the digests.
    pub(crate) async fn list(context: &Context, folders: &[RegionFolder], has_digests: bool) -> Self {
        let (from, to) = (context.range.start, context.range.end);
        let regions: Vec<LogRegion> = folders.iter().map(|folder| LogRegion::of(folder, LOG_FOLDER)).collect();
        // A copy is at hand and need not be listed early. Without digests it is listed all the
        // same: a bag includes what exists.
        let early = if context.store.is_live() || !has_digests { from.zip(to) } else { None };
        let files = async {
            match early {
                Some((from, to)) => context.log_files().list_all(&regions, from, to).await,
                None => Vec::new(),
            }
        };
        let outside = async {
            let mut found = Vec::new();
            for region in regions.iter().filter(|_| early.is_some()) {
                found.push(outside_days(context.store.as_ref(), region, from, to).await);
            }
            found
        };
        let (files, outside) = futures::join!(files, outside);
        Self { files, outside }
    }
}

/// The comparison of what lies in log folders with what valid digests list.
#[derive(Clone)]
struct Comparison<'a> {
    context: &'a Context,
    /// The check of the days that earlier runs verified.
    verified: Option<DayCheck<'a>>,
    listed: Met<'a>,
    /// Files that digests list and that were written after the newest digest.
    recent: Vec<(Timestamp, ObjectRef)>,
    /// The first and the last day of which a file was seen.
    days: Option<Period>,
}

impl Comparison<'_> {
    /// Compares a file of a region, and returns whether no valid digest lists it. An object that is
    /// not a regular file does not count as the listed log file.
    fn is_stray(&mut self, prefix: &str, object: &ObjectRef, written: Option<Timestamp>, is_file: bool) -> bool {
        if let Some(day) = day_of(object).filter(|_| !self.context.store.is_live()) {
            let Period { start: first, end: last } = self.days.unwrap_or(Period::new(day, day));
            self.days = Some(Period::new(first.min(day), last.max(day)));
        }
        let fingerprint = self.context.fingerprint(object);
        let is_listed = if is_file { self.listed.meet(fingerprint) } else { self.listed.knows(fingerprint) };
        // In a copy, a file that somebody decompressed counts as the compressed one that is listed.
        let uncompressed = is_file && !is_listed && !self.context.store.is_live() && object.key.ends_with(UNCOMPRESSED);
        let stands_in = uncompressed
            && self.listed.meet(
                self.context.fingerprint(&ObjectRef::new(Arc::clone(&object.bucket), format!("{}{GZIP}", object.key))),
            );
        let is_late = |written: &Timestamp| self.context.written_after.is_some_and(|after| *written > after);
        if let Some(written) = written.filter(is_late)
            && (is_listed || stands_in)
            && self.recent.len() < MAX_RECENT
        {
            self.recent.push((written, object.clone()));
        }
        if let Some(verified) = &mut self.verified {
            verified.see(prefix, object, is_listed || stands_in, written);
        }
        !is_listed && !stands_in
    }

    /// Compares all files of a listing, and adds those to `strays` that no valid digest lists.
    fn add_listed(&mut self, files: &ListedFiles, strays: &mut StrayFiles) {
        let found: Vec<bool> =
            files.files().map(|(object, written)| self.is_stray(&files.prefix, &object, written, true)).collect();
        if found.contains(&true) {
            strays.begin(files.bucket(), Some(&files.prefix));
            for ((object, written), _) in files.files().zip(found).filter(|(_, is_stray)| *is_stray) {
                strays.push(&object.key, written);
            }
        }
    }

    /// Compares all files of a region, a page at a time, so that they need not be kept in memory.
    async fn add_all(
        &mut self,
        region: &LogRegion,
        Period { start: from, end: to }: Period,
        strays: &mut StrayFiles,
    ) -> Result<(), StoreError> {
        // An incomplete listing proves nothing: the result is applied only once the whole folder
        // was listed.
        let (mut compared, mut found) = (self.clone(), StrayFiles::default());
        let mut listing = self.context.log_files().begin(region, from, to);
        let bucket: Arc<str> = region.bucket.as_str().into();
        found.begin(bucket.clone(), Some(&region.prefix));
        while let Some(page) = listing.next_page(self.context.store.as_ref()).await? {
            for file in page {
                let object = ObjectRef::new(Arc::clone(&bucket), file.key.as_str());
                let written = listing.recent(&file);
                if compared.is_stray(&region.prefix, &object, written, file.is_file) {
                    found.push(&file.key, written);
                }
            }
        }
        *self = compared;
        strays.append(found);
        Ok(())
    }
}

/// The largest number of log files written after the newest digest that are remembered. There are
/// none as long as nobody overwrites what CloudTrail has delivered.
const MAX_RECENT: usize = 10_000;

/// The suffix of a log file, and the one that it has when decompressed.
const GZIP: &str = ".gz";
const UNCOMPRESSED: &str = ".json";

/// The begin of the day whose folder a log file lies in.
pub(crate) fn day_of(object: &ObjectRef) -> Option<Timestamp> {
    let mut folders = object.key.rsplitn(5, '/').skip(1);
    let (day, month, year) = (folders.next()?, folders.next()?, folders.next()?);
    parse_day(&format!("{year}/{month}/{day}"))
}

/// Compares what lies in the log folders of a chain with what its valid digests list.
pub(crate) async fn examine(
    context: &Arc<Context>,
    chain: &ChainId,
    judged: &JudgedDigests,
    goes_on_as: Option<&Handover>,
    early: EarlyListings,
) -> Result<LogFolder, AuditError> {
    let mut found = LogFolder::default();
    let JudgedDigests { entries, folders, .. } = judged;
    let ends = entries.iter().flat_map(|entry| [entry.start(), entry.end()]);
    let (first, last) = (ends.clone().min(), ends.max());
    let range = &context.range;
    let from = range.start.or(first).unwrap_or(Timestamp::UNIX_EPOCH);
    let to = range.end.or(last).unwrap_or(context.request.now);
    let ListedEntries { fingerprints: by_digests, twice, other_folders } = listed_entries(context, judged)?;
    found.lists_each_once = twice.is_empty();
    found.other_folders = other_folders;
    found.other_folders.extend(context.resume.iter().flat_map(|resume| resume.log_folders().cloned()));
    let verified = DayCheck::new(context, judged)?;
    let mut compared = Comparison { context, verified, listed: Met::none(&by_digests), recent: Vec::new(), days: None };
    let mut strays = StrayFiles::default();
    let EarlyListings { files, outside } = early;
    let (listed_early, looked_outside) = (files.len(), outside.len());
    for files in files {
        match files {
            Ok(files) => compared.add_listed(&files, &mut strays),
            Err(error) => found.failure = Some(error.to_string()),
        }
    }
    let main = folders.iter().map(|folder| LogRegion::of(folder, LOG_FOLDER));
    let beside = folders
        .iter()
        .flat_map(|folder| found.other_folders.iter().map(|log_folder| LogRegion::of(folder, log_folder)))
        .collect::<Vec<_>>();
    for region in main.clone().skip(listed_early).chain(beside.iter().cloned()) {
        let added = if context.store.is_live() {
            // Long ranges are listed in parts at once.
            context.log_files().list(&region, from, to).await.map(|files| compared.add_listed(&files, &mut strays))
        } else {
            compared.add_all(&region, Period::new(from, to), &mut strays).await
        };
        if let Err(error) = added {
            found.failure = Some(error.to_string());
        }
    }
    found.absent = compared.listed.others();
    found.copied_days = (!context.store.is_live()).then_some(compared.days);
    if let Some(Some(Period { start: first, .. })) = &mut found.copied_days
        && context.resume.is_some()
    {
        // The listing of this run begins at the end of earlier ones.
        for folder in folders {
            let oldest = context.log_files().oldest_day(folder).await;
            *first = oldest.into_iter().chain([*first]).min().unwrap_or(*first);
        }
    }
    // An incomplete listing does not show what changed.
    let regions: Vec<LogRegion> = main.clone().chain(beside.iter().cloned()).collect();
    let check = compared.verified.take().filter(|_| found.failure.is_none());
    let mut days = check.map(|check| check.changed(&regions)).unwrap_or_default();
    days.extend(past_days::drawn(context));
    let live = context.store.is_live();
    let named = |(written, object): (Timestamp, ObjectRef)| (written, identity(&object, live).into_owned());
    found.recent = std::mem::take(&mut compared.recent).into_iter().map(named).collect();
    drop(compared);
    let is_listed = |object: &ObjectRef| by_digests.contains(context.fingerprint(object));
    let mut odd = StrayFiles::default();
    let mut looked = outside;
    for region in main.skip(looked_outside).chain(beside) {
        looked.push(outside_days(context.store.as_ref(), &region, range.start.or(first), range.end.or(last)).await);
    }
    for outside in looked {
        match outside {
            Ok(outside) => odd.append(outside.filtered(|stray| !is_listed(&stray.object))),
            Err(error) => found.failure = Some(error.to_string()),
        }
    }
    let late = in_late_hours(context, judged, &by_digests).await?;
    strays = strays.filtered(|stray| stray.name.is_some_and(|name| from <= name.to && name.from < to));
    strays.append(odd);
    let known = still_unlisted(context, &by_digests).await;
    drop(by_digests);
    // A digest that lists a fresh file may still come, so no other trail needs to be examined for
    // it.
    let fresh_from = fresh_from(&context.request);
    let is_recent = |stray: &Stray| stray.written.is_some_and(|written| written >= fresh_from);
    let fresh = |stray: &Stray| is_recent(stray) && stray.name.is_some_and(|name| !name.is_odd());
    if strays.iter().any(|stray| !fresh(&stray)) {
        let mut others = OtherTrails::new(context, chain, folders, strays).with_successor(goes_on_as);
        others.remove().await?;
        (strays, found.unreadable, found.covered_by_successor) =
            (others.strays, others.unreadable, others.by_successor);
    }
    if strays.iter().any(|stray| !fresh(&stray)) {
        found.neighbours = context.neighbours.of(&chain.region).await;
    }
    found.strays = strays;
    found.claimed_elsewhere = claimed_elsewhere(context, chain, judged).await?;
    let mut past = past_days::examine(context, chain, judged, &regions, &days).await?;
    found.failure = found.failure.take().or(past.failure.take());
    found.unreadable.extend(&past.unreadable);
    // Strays of the range were judged above.
    let is_outside = |stray: &Stray| stray.name.is_some_and(|name| !(from <= name.to && name.from < to));
    let in_past = past.strays.filtered(is_outside);
    found.past = past;
    let others = [(late, &mut found.late_strays), (known, &mut found.known_strays), (in_past, &mut found.past.strays)];
    for (strays, found_strays) in others {
        if !strays.is_empty() {
            let mut others = OtherTrails::new(context, chain, folders, strays);
            others.remove().await?;
            *found_strays = others.strays;
            found.unreadable.extend(&others.unreadable);
        }
    }
    Ok(found)
}

/// Returns the log files claimed by digests of this chain that are not valid, and listed by valid
/// digests of other trails, which report them.
async fn claimed_elsewhere(
    context: &Arc<Context>,
    chain: &ChainId,
    judged: &JudgedDigests,
) -> Result<HashSet<u64>, AuditError> {
    let (mut claimed, mut budget) = (Vec::new(), ClaimBudget::default());
    for entry in judged.entries.iter().filter(|entry| entry.claims() > 0) {
        claimed.extend(budget.take(entry, &judged.spool)?);
    }
    let (mut files, mut asked) = (StrayFiles::default(), Vec::new());
    for object in &claimed {
        // CloudTrail delivers nothing outside the folders of days.
        let Some((at, _)) = object.key.rmatch_indices('/').nth(3) else { continue };
        files.begin(object.bucket.clone(), Some(&object.key[..=at]));
        files.push(&object.key, None);
        asked.push(context.fingerprint(object));
    }
    if files.is_empty() {
        return Ok(HashSet::default());
    }
    let mut others = OtherTrails::new(context, chain, &judged.folders, files);
    others.remove().await?;
    let left: HashSet<u64> = others.strays.iter().map(|stray| context.fingerprint(&stray.object)).collect();
    Ok(asked.into_iter().filter(|fingerprint| !left.contains(fingerprint)).collect())
}

/// Returns the files that no digest listed in earlier runs, and that still exist and are still not
/// listed.
async fn still_unlisted(context: &Context, listed: &Fingerprints) -> StrayFiles {
    let open = context.resume.iter().flat_map(|resume| resume.open_unlisted());
    let mut open: Vec<ObjectRef> =
        open.filter(|object| !listed.contains(context.fingerprint(object))).cloned().collect();
    open.sort_by(|one, other| (&one.key, &one.bucket).cmp(&(&other.key, &other.bucket)));
    let looked = stream::iter(open).map(|object| async move {
        let gone = context.store.get(&object, None).await.is_err_and(|error| error.is_absence());
        // A copy may list a name that cannot be opened: a link that leads nowhere, or a name that
        // is not UTF-8.
        let gone = gone && (context.store.is_live() || !context.log_files().shows(&object).await);
        (!gone).then_some(object)
    });
    let mut looked = std::pin::pin!(looked.buffered(context.request.concurrency));
    let mut found = StrayFiles::default();
    while let Some(object) = looked.next().await {
        if let Some(object) = object {
            let day = object.key.rmatch_indices('/').nth(3).map(|(at, _)| &object.key[..=at]);
            let day = day.filter(|prefix| LogFileName::parse(&object.key[prefix.len()..]).is_some());
            found.begin(object.bucket.clone(), day);
            found.push(&object.key, None);
        }
    }
    found
}

/// Returns the unlisted files in the hours of digests that came late: earlier runs could not judge
/// them.
async fn in_late_hours(
    context: &Context,
    judged: &JudgedDigests,
    listed: &Fingerprints,
) -> Result<StrayFiles, AuditError> {
    let JudgedDigests { entries, spool, folders, .. } = judged;
    let mut found = StrayFiles::default();
    let Some(resume) = context.resume.as_ref().filter(|resume| resume.expects_late()) else { return Ok(found) };
    // A backfill digest has the hour of another one, whose files it does not list.
    let standard = entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
    for entry in standard {
        if !resume.came_late(&entry.whole(spool)?) {
            continue;
        }
        let (from, to) = (entry.start(), entry.end());
        for folder in folders {
            // A failed listing is skipped here; the log folder's own listing reports the failure.
            let Ok(files) = context.log_files().list(&LogRegion::of(folder, LOG_FOLDER), from, to).await else {
                continue;
            };
            let mut strays = StrayFiles::default();
            strays.add_listed(&files, |object| !listed.contains(context.fingerprint(object)));
            let inside = |stray: &Stray| stray.name.is_some_and(|name| from <= name.to && name.from < to);
            found.append(strays.filtered(inside));
        }
    }
    Ok(found)
}

impl LogFolder {
    /// Returns whether a copy has no log files of this file's day or beyond it, so that the file
    /// was presumably not copied.
    pub(crate) fn was_not_copied(&self, object: &ObjectRef) -> bool {
        let Some(days) = self.copied_days else { return false };
        match (days, day_of(object)) {
            (None, _) => true,
            (Some(days), Some(day)) => day < days.start || days.end < day,
            (Some(_), None) => false,
        }
    }

    /// Returns whether a log file that a valid digest lists was seen in the log folder. Also true
    /// if the folder was not examined.
    pub(crate) fn shows(&self, object: &ObjectRef, context: &Context) -> bool {
        self.absent.is_empty() || !self.absent.contains(context.fingerprint(object))
    }
}
