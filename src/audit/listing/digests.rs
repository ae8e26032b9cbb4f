//! Listing of the digests of a region.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::audit::listing::digest_names::{DAY, DigestNames};
use crate::audit::listing::folders::{RegionFolder, folders};
use crate::audit::listing::pages::Pages;
use crate::audit::request::AuditRequest;
use crate::model::{ChainId, DigestKind, DigestName, ObjectRef, TimeRange, TrailName, earlier, later};
use crate::store::{ListedObject, Store, StoreError};

/// The number of digests of a series that have to be seen past the end of the range before listing
/// stops. The first may still begin within it; the next one tells whether the last ones of the
/// range are missing.
const DIGESTS_PAST_END: usize = 2;
/// The time past the end of the range up to which names are listed in any case: someone may have
/// put other names before the decisive one.
const PAST_END: SignedDuration = SignedDuration::from_hours(48);

/// The maximum number of other trails that are noted: anyone who can write to the folder can plant
/// names.
const MAX_OTHERS: usize = 20;

/// The result of listing one region's folder.
#[derive(Debug, Default)]
pub(crate) struct RegionListing {
    /// The digests by chain, as far as the range needs them, in no particular order.
    pub digests: BTreeMap<ChainId, ListedDigests>,
    /// Chains of which only digests older than the range were seen.
    pub earlier: BTreeSet<ChainId>,
    /// Trails that have digests here and that the request does not ask for, up to [`MAX_OTHERS`].
    pub others: BTreeSet<TrailName>,
    /// The number of digests of each chain that were seen past the end of the range.
    past: BTreeMap<ChainId, usize>,
    /// The reason why the listing stopped early.
    pub failure: Option<StoreError>,
}

/// The digests that a listing is about.
struct Scope<'a> {
    store: &'a dyn Store,
    folder: &'a RegionFolder,
    range: &'a TimeRange,
    request: &'a AuditRequest,
}

/// Lists the digests of a region that reach into the range, and the next ones past its end.
pub(crate) async fn digests(
    store: &dyn Store,
    folder: &RegionFolder,
    range: &TimeRange,
    request: &AuditRequest,
) -> RegionListing {
    let prefix = &folder.prefix();
    let scope = &Scope { store, folder, range, request };
    // Include the day before: it is undocumented which day's folder holds a digest that ends at
    // midnight.
    let first = match range.start {
        Some(start) => Some(earlier(start, SignedDuration::from_hours(24))),
        None => first_year(store, &folder.location.bucket, prefix).await,
    };
    let blocks = match (first, range.end) {
        (Some(first), Some(end)) if store.properties().is_remote => blocks(first, end),
        _ => Vec::new(),
    };
    let pairs: Vec<(String, String)> = blocks.iter().cloned().zip(blocks.iter().skip(1).cloned()).collect();
    let parts = stream::iter(pairs)
        .map(|(from, until)| async move {
            let mut part = RegionListing::default();
            part.list(scope, Some(format!("{prefix}{from}")), Some(&until)).await;
            part
        })
        .buffered(BLOCKS_AT_ONCE);
    let mut listing = RegionListing::default();
    let mut parts = std::pin::pin!(parts);
    while let Some(part) = parts.next().await {
        listing.add(part);
    }
    if listing.failure.is_none() {
        // List the rest, past the end of the range, as far as the chains found so far need it.
        let day = blocks.last().cloned().or_else(|| range.start.and(first).map(day_of));
        let after = day.map(|day| format!("{prefix}{day}"));
        listing.list(scope, after, None).await;
    }
    listing.earlier.retain(|chain| !listing.digests.contains_key(chain));
    listing
}

/// The number of parts of a long range that are listed at once.
pub(crate) const BLOCKS_AT_ONCE: usize = 16;
/// The smallest number of days in a part: a page of a listing holds the digests of six weeks.
const BLOCK_DAYS: i64 = 40;

/// Returns the days, as folders, at which a long range is split so that its parts can be listed at
/// once; empty for a short range.
pub(crate) fn blocks(from: Timestamp, to: Timestamp) -> Vec<String> {
    let days = (to.as_second() - from.as_second()) / 86_400;
    let count = days / BLOCK_DAYS;
    if count < 2 {
        return Vec::new();
    }
    let day = |block: i64| {
        let after = SignedDuration::from_hours(24 * (days * block / count));
        day_of(later(from, after))
    };
    (0..=count).map(day).collect()
}

/// Formats a day as `YYYY/MM/DD/`.
fn day_of(time: Timestamp) -> String {
    time.strftime("%Y/%m/%d/").to_string()
}

/// Returns the start of the first year that has a folder. A failure is ignored here, because the
/// listing itself will report it.
async fn first_year(store: &dyn Store, bucket: &str, prefix: &str) -> Option<Timestamp> {
    let years = folders(store, bucket, prefix).await.ok()?;
    let year: i16 = years.iter().filter_map(|year| year.parse().ok()).min()?;
    jiff::civil::date(year.clamp(1970, 9000), 1, 1).to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp())
}

impl RegionListing {
    fn add(&mut self, part: Self) {
        for (chain, digests) in part.digests {
            self.digests.entry(chain).or_default().extend(&digests);
        }
        for (chain, count) in part.past {
            *self.past.entry(chain).or_default() += count;
        }
        self.earlier.extend(part.earlier);
        part.others.into_iter().for_each(|other| self.add_other(other));
        self.failure = self.failure.take().or(part.failure);
    }

    /// Lists the keys after `after` and before the day `until`; without `until`, up to where enough
    /// digests past the end of the range are known.
    async fn list(&mut self, scope: &Scope<'_>, after: Option<String>, until: Option<&str>) {
        let Scope { store, folder, .. } = *scope;
        let prefix = folder.prefix();
        let bucket: Arc<str> = folder.location.bucket.as_str().into();
        let mut names = DigestNames::new(&prefix);
        // A copy is listed to its end, because all of it is at hand; only S3 has to be asked page by page.
        let end = scope.range.end.filter(|_| store.properties().is_remote);
        let horizon = end.map(|end| later(end, PAST_END).strftime("%Y/%m/%d").to_string());
        let mut is_past_horizon = false;
        let mut pages = Pages::of_keys(&bucket, &prefix, after);
        loop {
            let page = match pages.next(store).await {
                Ok(Some(page)) => page,
                Ok(None) => return,
                Err(error) => {
                    self.failure = Some(error);
                    return;
                }
            };
            for listed in page.objects {
                let inside = listed.key.strip_prefix(&prefix).unwrap_or_default();
                if until.is_some_and(|until| inside > until) {
                    return;
                }
                let Some(name) = names.parse(&listed.key) else { continue };
                // A name can state any time, but the position of a key in the listing cannot be
                // forged.
                let day = inside.get(..DAY.len()).unwrap_or_default();
                // Decided at each name, not at the end of a page: what is listed must not depend on how
                // a store divides it.
                is_past_horizon = horizon.as_ref().is_some_and(|horizon| *day > **horizon);
                if is_past_horizon && self.is_enough() {
                    return;
                }
                if name.root != folder.location.root {
                    continue;
                }
                if !scope.request.wants(&name.chain) {
                    self.add_other(name.chain.trail);
                } else {
                    let is_past_end_in_its_day = scope.range.is_after_end(name.end) && is_day_of(name.end, day);
                    self.add_digest(scope.range, &bucket, name, listed, is_past_end_in_its_day);
                }
            }
            if is_past_horizon && self.is_enough() {
                return;
            }
        }
    }

    fn add_other(&mut self, trail: TrailName) {
        if self.others.len() < MAX_OTHERS {
            self.others.insert(trail);
        }
    }

    /// Adds a digest. `is_past_end_in_its_day` states that it ends after the range, and that its key
    /// lies in the folder of the day that its name states.
    fn add_digest(
        &mut self,
        range: &TimeRange,
        bucket: &Arc<str>,
        name: DigestName,
        ListedObject { key, last_modified, size, .. }: ListedObject,
        is_past_end_in_its_day: bool,
    ) {
        let DigestName { chain, kind, end, .. } = name;
        if !range.reaches(end) {
            self.earlier.insert(chain);
            return;
        }
        if range.is_after_end(end) {
            let counts = is_past_end_in_its_day && kind == DigestKind::Standard;
            *self.past.entry(chain.clone()).or_default() += usize::from(counts);
        }
        let object = ObjectRef::new(Arc::clone(bucket), key);
        self.digests.entry(chain).or_default().push(&ListedDigest { object, kind, end, last_modified, size });
    }

    /// Returns whether a listing that has come past the end of the range has all that the range needs.
    fn is_enough(&self) -> bool {
        let is_past = |chain| self.past.get(chain).is_some_and(|count| *count >= DIGESTS_PAST_END);
        !self.digests.is_empty() && self.digests.keys().all(is_past)
    }
}

/// Returns whether a digest with this end lies in the folder of `day` or, if it ends at midnight, in
/// the one of the day before.
fn is_day_of(end: Timestamp, day: &str) -> bool {
    [end, earlier(end, PAST_END / 2)].iter().any(|end| end.strftime("%Y/%m/%d").to_string() == day)
}
