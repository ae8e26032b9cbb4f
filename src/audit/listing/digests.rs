//! Listing of the folders below a prefix, and of the digests of a region.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::audit::request::AuditRequest;
use crate::model::{
    AccountId, ChainId, DigestKind, DigestName, ObjectRef, OrganizationId, Region, TimeRange, earlier, later,
    parse_compact_time,
};
use crate::store::{ListRequest, ListedObject, Location, Store, StoreError};

/// The number of digests of a series that have to be seen past the end of the range before listing
/// stops. The first may still begin within it; the next one tells whether the last ones of the
/// range are missing.
const DIGESTS_PAST_END: usize = 2;
/// The time past the end of the range up to which names are listed in any case: someone may have
/// put other names before the decisive one.
const PAST_END: SignedDuration = SignedDuration::from_hours(48);

/// The form of the part of a key that states its day.
const DAY: &str = "2026/03/01";

/// The number of days' folders that are searched for digests older than the range.
const MAX_EARLIER_DAYS: usize = 31;

/// The folder that holds the digests of one account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegionFolder {
    pub location: Location,
    pub organization: Option<OrganizationId>,
    pub account: AccountId,
    pub region: Region,
}

impl RegionFolder {
    /// Returns whether a chain's digests may lie in this folder.
    pub(crate) fn holds(&self, chain: &ChainId) -> bool {
        (&chain.organization, &chain.account, &chain.region) == (&self.organization, &self.account, &self.region)
    }

    /// The prefix of its log files' keys in the log folder of this name.
    pub(crate) fn log_prefix(&self, folder: &str) -> String {
        let regions = self.location.root.log_regions(self.organization.as_ref(), &self.account, folder);
        format!("{regions}{}/", self.region)
    }

    /// The prefix of its digests' keys.
    pub(crate) fn prefix(&self) -> String {
        let accounts = self.location.root.digest_regions(self.organization.as_ref(), &self.account);
        format!("{accounts}{}/", self.region)
    }
}

/// Parses the names of digests below one prefix. Those of a chain differ only in their times, so
/// the rest is parsed once.
struct Names {
    /// The length of the prefix.
    prefix: usize,
    /// The previous file's name up to its time, and its parsed form.
    last: Option<(String, DigestName)>,
}

impl Names {
    fn new(prefix: &str) -> Self {
        Self { prefix: prefix.len(), last: None }
    }

    fn parse(&mut self, key: &str) -> Option<DigestName> {
        let file = self.file(key);
        if let (Some((last, name)), Some(file)) = (&self.last, file)
            && let Some(time) = file.strip_prefix(last.as_str()).and_then(|rest| rest.strip_suffix(DigestName::SUFFIX))
            && let Some(end) = parse_compact_time(time)
        {
            return Some(DigestName { end, ..name.clone() });
        }
        let name = DigestName::parse(key)?;
        let stem = file.and_then(|file| Some(&file[..=file.rfind('_')?]));
        self.last = stem.filter(|_| name.kind == DigestKind::Standard).map(|stem| (stem.to_owned(), name.clone()));
        Some(name)
    }

    /// Returns the file's name if the key lies in a day's folder.
    fn file<'a>(&self, key: &'a str) -> Option<&'a str> {
        let (day, file) = key.get(self.prefix..)?.split_at_checked(DAY.len() + 1)?;
        let is_slash = |byte: u8| byte == b'/';
        let same = day.bytes().map(is_slash).eq(DAY.bytes().map(is_slash).chain([true]));
        same.then_some(file)
    }
}

/// The result of listing one region's folder.
#[derive(Debug, Default)]
pub(crate) struct RegionListing {
    /// The digests by chain, as far as the range needs them, in no particular order.
    pub digests: BTreeMap<ChainId, ListedDigests>,
    /// Chains of which only digests older than the range were seen.
    pub earlier: BTreeSet<ChainId>,
    /// The number of digests of each chain that were seen past the end of the range.
    past: BTreeMap<ChainId, usize>,
    /// The reason why the listing stopped early.
    pub failure: Option<StoreError>,
}

/// The names of the folders directly below `prefix`.
pub(crate) async fn folders(store: &dyn Store, bucket: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
    Ok(children(store, bucket, prefix).await?.folders)
}

/// The objects and folders directly below a prefix.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// The names of the folders, without their slashes.
    pub folders: Vec<String>,
    pub objects: Vec<ListedObject>,
}

/// The folders and objects directly below `prefix`.
pub(crate) async fn children(store: &dyn Store, bucket: &str, prefix: &str) -> Result<Children, StoreError> {
    let request =
        ListRequest { bucket: bucket.to_owned(), prefix: prefix.to_owned(), start_after: None, folders: true };
    let mut children = Children::default();
    let mut continuation: Option<String> = None;
    loop {
        let page = store.list(&request, continuation.as_deref()).await?;
        let name = |folder: &String| {
            let inside = folder.strip_prefix(prefix)?;
            Some(inside.strip_suffix('/').unwrap_or(inside).to_owned())
        };
        children.folders.extend(page.folders.iter().filter_map(name));
        children.objects.extend(page.objects);
        match page.next {
            Some(next) => continuation = Some(next),
            None => return Ok(children),
        }
    }
}

/// Lists the digests of a region that reach into the range, and the next ones past its end.
pub(crate) async fn digests(
    store: &dyn Store,
    folder: &RegionFolder,
    range: &TimeRange,
    request: &AuditRequest,
) -> RegionListing {
    let prefix = &folder.prefix();
    // Include the day before: it is undocumented which day's folder holds a digest that ends at
    // midnight.
    let first = match range.start {
        Some(start) => Some(earlier(start, SignedDuration::from_hours(24))),
        None => first_year(store, &folder.location.bucket, prefix).await,
    };
    let blocks = match (first, range.end) {
        (Some(first), Some(end)) if store.is_live() => blocks(first, end),
        _ => Vec::new(),
    };
    let pairs: Vec<(String, String)> = blocks.iter().cloned().zip(blocks.iter().skip(1).cloned()).collect();
    let parts = stream::iter(pairs)
        .map(|(from, until)| async move {
            let mut part = RegionListing::default();
            part.list(store, folder, range, request, Some(format!("{prefix}{from}")), Some(&until)).await;
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
        listing.list(store, folder, range, request, after, None).await;
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
        self.failure = self.failure.take().or(part.failure);
    }

    /// Lists the keys after `after` and before the day `until`; without `until`, up to where enough
    /// digests past the end of the range are known.
    async fn list(
        &mut self,
        store: &dyn Store,
        folder: &RegionFolder,
        range: &TimeRange,
        request: &AuditRequest,
        after: Option<String>,
        until: Option<&str>,
    ) {
        let prefix = folder.prefix();
        let list = ListRequest { bucket: folder.location.bucket.clone(), prefix, start_after: after, folders: false };
        let bucket: Arc<str> = list.bucket.as_str().into();
        let mut names = Names::new(&list.prefix);
        let mut continuation: Option<String> = None;
        loop {
            let page = match store.list(&list, continuation.as_deref()).await {
                Ok(page) => page,
                Err(error) => {
                    self.failure = Some(error);
                    return;
                }
            };
            let mut last_day = None;
            for ListedObject { key, last_modified, size, .. } in page.objects {
                let inside = key.strip_prefix(&list.prefix).unwrap_or_default();
                if until.is_some_and(|until| inside > until) {
                    return;
                }
                let Some(name) = names.parse(&key) else { continue };
                // A name can state any time, but the position of a key in the listing cannot be
                // forged.
                let day = inside.get(..DAY.len()).unwrap_or_default();
                if last_day.as_deref() != Some(day) {
                    last_day = Some(day.to_owned());
                }
                if name.root != folder.location.root || !request.wants(&name.chain) {
                    continue;
                }
                if !range.reaches(name.end) {
                    self.earlier.insert(name.chain);
                    continue;
                }
                if range.is_after_end(name.end) {
                    let fits = [name.end, earlier(name.end, PAST_END / 2)]
                        .iter()
                        .any(|end| end.strftime("%Y/%m/%d").to_string() == day);
                    let counts = fits && name.kind == DigestKind::Standard;
                    *self.past.entry(name.chain.clone()).or_default() += usize::from(counts);
                }
                self.digests.entry(name.chain).or_default().push(&ListedDigest {
                    object: ObjectRef::new(bucket.clone(), key),
                    kind: name.kind,
                    end: name.end,
                    last_modified,
                    size,
                });
            }
            // A copy is listed to its end, because all of it is at hand; only S3 has to be asked
            // page by page.
            let enough = store.is_live()
                && range.end.zip(last_day).is_some_and(|(end, last_day)| {
                    let enough = later(end, PAST_END).strftime("%Y/%m/%d").to_string();
                    last_day > enough
                        && !self.digests.is_empty()
                        && self
                            .digests
                            .keys()
                            .all(|chain| self.past.get(chain).is_some_and(|count| *count >= DIGESTS_PAST_END))
                });
            match page.next {
                Some(next) if !enough => continuation = Some(next),
                _ => return,
            }
        }
    }
}

/// The keys of a region's folder, page by page.
pub(crate) struct Pages {
    request: ListRequest,
    continuation: Option<String>,
    at_end: bool,
}

impl Pages {
    /// Lists the keys from the day of `from` on; without it, all keys.
    pub(crate) fn new(folder: &RegionFolder, from: Option<Timestamp>) -> Self {
        let prefix = folder.prefix();
        let start_after = from.map(|from| format!("{prefix}{}", day_of(from)));
        let request = ListRequest { bucket: folder.location.bucket.clone(), prefix, start_after, folders: false };
        Self { request, continuation: None, at_end: false }
    }

    /// The next page; `None` after the last.
    pub(crate) async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<String>>, StoreError> {
        if self.at_end {
            return Ok(None);
        }
        let page = store.list(&self.request, self.continuation.as_deref()).await?;
        self.continuation = page.next;
        self.at_end = self.continuation.is_none();
        Ok(Some(page.objects.into_iter().map(|object| object.key).collect()))
    }
}

/// Returns the chains that have digests in a region's folder from before `before`: those of the
/// newest such day that has any.
pub(crate) async fn earlier_chains(
    store: &dyn Store,
    folder: &RegionFolder,
    before: Timestamp,
    request: &AuditRequest,
) -> Result<Vec<ChainId>, StoreError> {
    let bucket = &folder.location.bucket;
    let prefix = folder.prefix();
    let limit = before.strftime("%Y/%m/%d").to_string();
    let mut looked_at = 0;
    for year in newest_first(folders(store, bucket, &prefix).await?) {
        for month in newest_first(folders(store, bucket, &format!("{prefix}{year}/")).await?) {
            for day in newest_first(folders(store, bucket, &format!("{prefix}{year}/{month}/")).await?) {
                let day = format!("{year}/{month}/{day}");
                if day > limit {
                    continue;
                }
                if looked_at == MAX_EARLIER_DAYS {
                    return Ok(Vec::new());
                }
                looked_at += 1;
                let found = chains_of_day(store, bucket, &format!("{prefix}{day}/"), before, request).await?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
    }
    Ok(Vec::new())
}

/// The first digest of a chain in a region's folder, if it ends before `before`.
pub(crate) async fn first_before(
    store: &dyn Store,
    folder: &RegionFolder,
    chain: &ChainId,
    before: Timestamp,
) -> Result<Option<ListedDigest>, StoreError> {
    let bucket = &folder.location.bucket;
    let prefix = folder.prefix();
    let last_day = format!("{prefix}{}", before.strftime("%Y/%m/%d0"));
    let list = ListRequest { bucket: bucket.clone(), prefix, start_after: None, folders: false };
    let mut continuation: Option<String> = None;
    loop {
        let page = store.list(&list, continuation.as_deref()).await?;
        for ListedObject { key, last_modified, size, .. } in page.objects {
            if key > last_day {
                return Ok(None);
            }
            let name = DigestName::parse(&key).filter(|name| name.chain == *chain && name.end <= before);
            if let Some(DigestName { kind, end, .. }) = name {
                let object = ObjectRef::new(bucket.as_str(), key);
                return Ok(Some(ListedDigest { object, kind, end, last_modified, size }));
            }
        }
        match page.next {
            Some(next) => continuation = Some(next),
            None => return Ok(None),
        }
    }
}

async fn chains_of_day(
    store: &dyn Store,
    bucket: &str,
    prefix: &str,
    before: Timestamp,
    request: &AuditRequest,
) -> Result<Vec<ChainId>, StoreError> {
    let list = ListRequest { bucket: bucket.to_owned(), prefix: prefix.to_owned(), start_after: None, folders: false };
    let mut chains = Vec::new();
    let mut continuation: Option<String> = None;
    loop {
        let page = store.list(&list, continuation.as_deref()).await?;
        let names = page.objects.iter().filter_map(|object| DigestName::parse(&object.key));
        chains.extend(names.filter(|name| name.end <= before && request.wants(&name.chain)).map(|name| name.chain));
        match page.next {
            Some(next) => continuation = Some(next),
            None => break,
        }
    }
    chains.sort();
    chains.dedup();
    Ok(chains)
}

fn newest_first(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    names.sort();
    names.reverse();
    names
}
