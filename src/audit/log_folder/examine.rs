//! The examination of a chain's log folders: whether listed log files exist, and which files no
//! digest lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::HashSet;
use jiff::Timestamp;

use crate::audit::chain::follow::JudgedDigests;
use crate::audit::chain::handover::Handover;
use crate::audit::digests::identity::identity;
use crate::audit::error::AuditError;
use crate::audit::io::fingerprints::{Fingerprints, Met};
use crate::audit::listing::folders::RegionFolder;
use crate::audit::listing::log_files::{ListedFiles, LogRegion};
use crate::audit::log_folder::comparison::{Comparison, day_of};
use crate::audit::log_folder::day_check::DayCheck;
use crate::audit::log_folder::earlier_strays::{claimed_elsewhere, in_late_hours, still_unlisted};
use crate::audit::log_folder::listed_files::{ListedEntries, listed_entries};
use crate::audit::log_folder::other_trails::OtherTrails;
use crate::audit::log_folder::outside_days::outside_days;
use crate::audit::log_folder::past_days::{self, PastDays};
use crate::audit::log_folder::unlisted::{Stray, StrayFiles};
use crate::audit::request::fresh_from;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, Coverage, LOG_FOLDER, ObjectRef, Period};
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
    /// The times of digests that could not be verified of other trails that may list some of them.
    pub unverified_digests: Coverage,
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
        let early = if context.store.properties().is_remote || !has_digests { from.zip(to) } else { None };
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

/// The search of a chain's log folders.
struct Search<'a> {
    context: &'a Arc<Context>,
    chain: &'a ChainId,
    judged: &'a JudgedDigests,
    /// The start of the first digest and the end of the last one.
    digests: (Option<Timestamp>, Option<Timestamp>),
    /// The period whose files are compared: the range, as far as it is closed, and the time of the
    /// digests.
    period: Period,
    /// The parts of the log folders that are listed: `CloudTrail/` of each folder, then those beside
    /// it.
    regions: Vec<LogRegion>,
    found: LogFolder,
}

/// Compares what lies in the log folders of a chain with what its valid digests list.
pub(crate) async fn examine(
    context: &Arc<Context>,
    chain: &ChainId,
    judged: &JudgedDigests,
    goes_on_as: Option<&Handover>,
    early: EarlyListings,
) -> Result<LogFolder, AuditError> {
    let ListedEntries { fingerprints: listed, twice, other_folders } = listed_entries(context, judged)?;
    let mut search = Search::new(context, chain, judged, other_folders);
    search.found.lists_each_once = twice.is_empty();
    let days = search.compare_listings(early.files, &listed).await?;
    search.add_outside_days(early.outside, &listed).await;
    let late = in_late_hours(context, judged, &listed).await?;
    let known = still_unlisted(context, &listed).await;
    // It has 8 bytes for each log file of the chain, and the digests of other trails are read next.
    drop(listed);
    search.explain_strays(goes_on_as).await?;
    search.found.claimed_elsewhere = claimed_elsewhere(context, chain, judged).await?;
    let in_past = search.examine_past_days(&days).await?;
    search.found.late_strays = search.without_other_trails(late).await?;
    search.found.known_strays = search.without_other_trails(known).await?;
    search.found.past.strays = search.without_other_trails(in_past).await?;
    Ok(search.found)
}

impl<'a> Search<'a> {
    fn new(
        context: &'a Arc<Context>,
        chain: &'a ChainId,
        judged: &'a JudgedDigests,
        mut other_folders: BTreeSet<String>,
    ) -> Self {
        let ends = judged.entries.iter().flat_map(|entry| [entry.start(), entry.end()]);
        let (first, last) = (ends.clone().min(), ends.max());
        let from = context.range.start.or(first).unwrap_or(Timestamp::UNIX_EPOCH);
        let to = context.range.end.or(last).unwrap_or(context.request.now);
        other_folders.extend(context.resume.iter().flat_map(|resume| resume.log_folders().cloned()));
        let folders = &judged.folders;
        let main = folders.iter().map(|folder| LogRegion::of(folder, LOG_FOLDER));
        let beside = folders.iter().flat_map(|folder| other_folders.iter().map(|other| LogRegion::of(folder, other)));
        let regions = main.chain(beside).collect();
        let found = LogFolder { other_folders, ..LogFolder::default() };
        Self { context, chain, judged, digests: (first, last), period: Period::new(from, to), regions, found }
    }

    fn is_in_period(&self, stray: &Stray) -> bool {
        let Period { start, end } = self.period;
        stray.name.is_some_and(|name| start <= name.to && name.from < end)
    }

    /// Compares the listings of all regions, of which `early` has the first ones. Returns the days
    /// before the range that have to be examined again.
    async fn compare_listings(
        &mut self,
        early: Vec<Result<ListedFiles, StoreError>>,
        listed: &Fingerprints,
    ) -> Result<BTreeSet<Timestamp>, AuditError> {
        let context = self.context;
        let verified = DayCheck::new(context, self.judged)?;
        let mut compared = Comparison { context, verified, listed: Met::none(listed), recent: Vec::new(), days: None };
        let mut strays = StrayFiles::default();
        let listed_early = early.len();
        for files in early {
            match files {
                Ok(files) => compared.add_listed(&files, &mut strays),
                Err(error) => self.found.failure = Some(error.to_string()),
            }
        }
        let Period { start, end } = self.period;
        for region in self.regions.iter().skip(listed_early) {
            let added = if context.store.properties().is_remote {
                // Long ranges are listed in parts at once.
                let files = context.log_files().list(region, start, end).await;
                files.map(|files| compared.add_listed(&files, &mut strays))
            } else {
                compared.add_all(region, self.period, &mut strays).await
            };
            if let Err(error) = added {
                self.found.failure = Some(error.to_string());
            }
        }
        self.found.absent = compared.listed.others();
        self.found.copied_days = self.copied_days(compared.days).await;
        // An incomplete listing does not show what changed.
        let check = compared.verified.filter(|_| self.found.failure.is_none());
        let mut days = check.map(|check| check.changed(&self.regions)).unwrap_or_default();
        days.extend(past_days::drawn(context));
        let exact = !context.store.properties().is_copy;
        let named = |(written, object): (Timestamp, ObjectRef)| (written, identity(&object, exact).into_owned());
        self.found.recent = compared.recent.into_iter().map(named).collect();
        self.found.strays = strays.filtered(|stray| self.is_in_period(stray));
        Ok(days)
    }

    /// Returns the first and the last day of which a copy has log files; `None` for S3. `seen` is
    /// the period of the days in this run's listing.
    async fn copied_days(&self, seen: Option<Period>) -> Option<Option<Period>> {
        let context = self.context;
        if !context.store.properties().is_copy {
            return None;
        }
        let Some(mut days) = seen.filter(|_| context.resume.is_some()) else { return Some(seen) };
        // The listing of this run begins at the end of earlier ones.
        for folder in &self.judged.folders {
            let oldest = context.log_files().oldest_day(folder).await;
            days.start = oldest.map_or(days.start, |oldest| oldest.min(days.start));
        }
        Some(Some(days))
    }

    /// Adds the files outside the folders of days that no valid digest lists. `early` has those of
    /// the first regions.
    async fn add_outside_days(&mut self, early: Vec<Result<StrayFiles, StoreError>>, listed: &Fingerprints) {
        let (context, range, (first, last)) = (self.context, &self.context.range, self.digests);
        let (from, to) = (range.start.or(first), range.end.or(last));
        let mut outside = early;
        for region in self.regions.iter().skip(outside.len()) {
            outside.push(outside_days(context.store.as_ref(), region, from, to).await);
        }
        for outside in outside {
            match outside {
                Ok(files) => {
                    let is_unlisted = |stray: &Stray| !listed.contains(context.fingerprint(&stray.object));
                    self.found.strays.append(files.filtered(is_unlisted));
                }
                Err(error) => self.found.failure = Some(error.to_string()),
            }
        }
    }

    /// Removes the strays of the range that digests of other trails list, and asks which trails
    /// deliver log files here without digests.
    async fn explain_strays(&mut self, goes_on_as: Option<&Handover>) -> Result<(), AuditError> {
        // A digest that lists a fresh file may still come, so no other trail needs to be examined
        // for it.
        let fresh_from = fresh_from(&self.context.request);
        let is_recent = |stray: &Stray| stray.written.is_some_and(|written| written >= fresh_from);
        let is_fresh = |stray: &Stray| is_recent(stray) && stray.name.is_some_and(|name| !name.is_odd());
        let is_open = |strays: &StrayFiles| strays.iter().any(|stray| !is_fresh(&stray));
        let found = &mut self.found;
        if is_open(&found.strays) {
            let strays = std::mem::take(&mut found.strays);
            let others = OtherTrails::new(self.context, self.chain, &self.judged.folders, strays);
            let mut others = others.with_successor(goes_on_as);
            others.remove().await?;
            found.strays = others.strays;
            found.unverified_digests = others.unverified_digests;
            found.covered_by_successor = others.by_successor;
        }
        if is_open(&found.strays) {
            found.neighbours = self.context.neighbours.of(&self.chain.region).await;
        }
        Ok(())
    }

    /// Examines days before the range again, and returns the files there that no digest of the chain
    /// lists.
    async fn examine_past_days(&mut self, days: &BTreeSet<Timestamp>) -> Result<StrayFiles, AuditError> {
        let mut past = past_days::examine(self.context, self.chain, self.judged, &self.regions, days).await?;
        let failure = past.failure.take();
        // Strays of the range are among those of the range's own listing.
        let strays = std::mem::take(&mut past.strays);
        let strays = strays.filtered(|stray| stray.name.is_some() && !self.is_in_period(stray));
        let found = &mut self.found;
        found.failure = found.failure.take().or(failure);
        found.unverified_digests.extend(&past.unverified_digests);
        found.past = past;
        Ok(strays)
    }

    /// Returns the files that no digest of another trail lists.
    async fn without_other_trails(&mut self, strays: StrayFiles) -> Result<StrayFiles, AuditError> {
        if strays.is_empty() {
            return Ok(strays);
        }
        let mut others = OtherTrails::new(self.context, self.chain, &self.judged.folders, strays);
        others.remove().await?;
        self.found.unverified_digests.extend(&others.unverified_digests);
        Ok(others.strays)
    }
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
