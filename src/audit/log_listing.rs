//! Listing log files: names, sizes and ages, and nothing of what they mean.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::listing::{self, RegionFolder};
use crate::model::{LogFileName, ObjectRef, PackedNames};
use crate::store::{ListRequest, ListedObject, Store, StoreError};

/// Deliveries may be late, by less than this nearly always. Whoever copies an old object over itself makes it no younger than that.
const LATE: SignedDuration = SignedDuration::from_hours(26);

/// When something was made that speaks of `time`, as far as can be known.
pub(super) fn made(time: Timestamp, last_modified: Option<Timestamp>) -> Timestamp {
    let latest = time.saturating_add(LATE).unwrap_or(time);
    last_modified.map_or(latest, |at| at.min(latest))
}

/// The log files that a folder holds, kept small.
#[derive(Debug, Default)]
pub(super) struct ListedFiles {
    bucket: Arc<str>,
    /// What every key begins with.
    pub prefix: String,
    keys: PackedNames,
}

impl ListedFiles {
    /// Each file, made anew.
    pub fn objects(&self) -> impl Iterator<Item = ObjectRef> + '_ {
        self.keys.iter().map(|key| ObjectRef { bucket: self.bucket.clone(), key })
    }
}

/// Lists the log files of each folder, in their order.
pub(super) async fn list_all(
    context: &Context,
    folders: &[RegionFolder],
    from: Timestamp,
    to: Timestamp,
) -> Vec<Result<ListedFiles, StoreError>> {
    let mut listed = Vec::new();
    for folder in folders {
        listed.push(list(context, folder, from, to).await);
    }
    listed
}

/// Lists the log files of a folder.
pub(super) async fn list(
    context: &Context,
    folder: &RegionFolder,
    from: Timestamp,
    to: Timestamp,
) -> Result<ListedFiles, StoreError> {
    let store = context.store.as_ref();
    let whole = Listing::new(folder, from, to);
    // Without a begin, nobody knows how much there is.
    let blocks = if store.is_live() && from > Timestamp::UNIX_EPOCH { listing::blocks(from, to) } else { Vec::new() };
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return whole.all(store).await };
    // A day before the first block and a day after the last belong to it.
    let before = Listing { until: Some(first.clone()), ..whole.clone() };
    let after = Listing { request: whole.after(last), ..whole.clone() };
    let between = blocks.iter().zip(blocks.iter().skip(1)).map(|(from, until)| Listing {
        request: whole.after(from),
        until: Some(until.clone()),
        ..whole.clone()
    });
    let parts: Vec<Listing> = [before].into_iter().chain(between).chain([after]).collect();
    let mut files = whole.nothing();
    let mut parts = std::pin::pin!(stream::iter(parts).map(|part| part.all(store)).buffered(listing::BLOCKS_AT_ONCE));
    while let Some(part) = parts.try_next().await? {
        part.keys.iter().for_each(|key| files.keys.push(&key));
    }
    Ok(files)
}

/// A listing of the log files of one region, as far as a range reaches and a day more on either side.
#[derive(Clone)]
pub(super) struct Listing {
    request: ListRequest,
    last_day: String,
    continuation: Option<String>,
    at_end: bool,
    /// The day, as a folder, at which it ends.
    until: Option<String>,
    /// The size of all that was listed, in bytes.
    bytes: u64,
}

impl Listing {
    pub fn new(folder: &RegionFolder, from: Timestamp, to: Timestamp) -> Self {
        let RegionFolder { location, organization, account, region } = folder;
        let prefix = location.root.log_files(organization.as_ref(), account, region);
        let day = SignedDuration::from_hours(24);
        let before = from.saturating_sub(day).unwrap_or(from);
        let last_day = to.saturating_add(day).unwrap_or(to).strftime("%Y/%m/%d").to_string();
        let request = ListRequest {
            bucket: location.bucket.clone(),
            start_after: Some(format!("{prefix}{}", before.strftime("%Y/%m/%d/"))),
            prefix,
            folders: false,
        };
        Self { request, last_day, continuation: None, at_end: false, until: None, bytes: 0 }
    }

    /// What every key begins with.
    pub fn prefix(&self) -> &str {
        &self.request.prefix
    }

    /// The same from this day on.
    fn after(&self, day: &str) -> ListRequest {
        ListRequest { start_after: Some(format!("{}{day}", self.request.prefix)), ..self.request.clone() }
    }

    fn nothing(&self) -> ListedFiles {
        let ListRequest { bucket, prefix, .. } = &self.request;
        ListedFiles { bucket: bucket.as_str().into(), prefix: prefix.clone(), keys: PackedNames::default() }
    }

    /// All pages.
    async fn all(mut self, store: &dyn Store) -> Result<ListedFiles, StoreError> {
        let mut files = self.nothing();
        while let Some(page) = self.next_page(store).await? {
            page.iter().for_each(|(key, ..)| files.keys.push(key));
        }
        Ok(files)
    }

    /// The log files of the next page, what their names say and when S3 last wrote them; `None` after the last.
    pub async fn next_page(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Vec<(String, LogFileName, Option<Timestamp>)>>, StoreError> {
        if self.at_end {
            return Ok(None);
        }
        let page = store.list(&self.request, self.continuation.as_deref()).await?;
        self.continuation = page.next;
        self.at_end = self.continuation.is_none();
        let mut files = Vec::new();
        for ListedObject { key, last_modified, size } in page.objects {
            let Some(inside) = key.strip_prefix(&self.request.prefix) else { continue };
            let is_past = |until: &String| *inside > **until;
            let past_last = inside.get(..self.last_day.len()).is_some_and(|day| *day > *self.last_day);
            if past_last || self.until.as_ref().is_some_and(is_past) {
                self.at_end = true;
                break;
            }
            if let Some(name) = LogFileName::parse(inside) {
                files.push((key, name, last_modified));
                self.bytes += size.unwrap_or_default();
            }
        }
        Ok(Some(files))
    }
}

/// When the oldest log files of a region were made, as far as the first page of them tells.
pub(super) async fn oldest(context: &Context, folder: &RegionFolder) -> Result<Option<Timestamp>, StoreError> {
    let mut listing = Listing::new(folder, Timestamp::UNIX_EPOCH, context.request.now);
    while let Some(files) = listing.next_page(context.store.as_ref()).await? {
        if let Some(made) = files.iter().map(|(_, name, last_modified)| made(name.to, *last_modified)).min() {
            return Ok(Some(made));
        }
    }
    Ok(None)
}

/// How many log files the first page of a region's range has, and how many bytes. What can't be listed has none.
pub(super) async fn sizes(context: &Context, folder: &RegionFolder) -> (u64, u64) {
    let from = context.range.start.unwrap_or(Timestamp::UNIX_EPOCH);
    let mut listing = Listing::new(folder, from, context.range.end.unwrap_or(context.request.now));
    let files = listing.next_page(context.store.as_ref()).await.ok().flatten().map_or(0, |files| files.len());
    (files as u64, listing.bytes)
}
