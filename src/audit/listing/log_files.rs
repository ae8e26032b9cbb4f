//! Listing of log files: names, sizes and ages, without their content.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::listing::pages::Pages;
use crate::model::{
    DAY, LOG_FOLDER, LogFileName, ObjectRef, PackedNames, TimeRange, begin_of_day, earlier, is_copy_artefact, later,
};
use crate::store::{ListRequest, ListedObject, Store, StoreError};

/// The longest usual delay of a delivery. An old object that is copied over itself is not taken to
/// be younger than this.
const LATE: SignedDuration = SignedDuration::from_hours(26);

/// Returns the time at which an object was created that covers `time`, as far as can be known.
pub(crate) fn made(time: Timestamp, last_modified: Option<Timestamp>) -> Timestamp {
    let latest = later(time, LATE);
    last_modified.map_or(latest, |at| at.min(latest))
}

/// One part of a log folder: the log files of one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRegion {
    pub bucket: String,
    /// The prefix of every key: `…/CloudTrail/REGION/`.
    pub prefix: String,
}

impl LogRegion {
    /// The log files that belong to a region's digests, in the log folder of this name.
    pub(crate) fn of(folder: &RegionFolder, log_folder: &str) -> Self {
        Self { bucket: folder.location.bucket.clone(), prefix: folder.log_prefix(log_folder) }
    }
}

/// A log file as a listing shows it.
#[derive(Debug, Clone)]
pub(crate) struct ListedLogFile {
    pub key: String,
    pub name: LogFileName,
    pub last_modified: Option<Timestamp>,
    /// False if it is another kind of file in a copy, such as a symbolic link or a pipe.
    pub is_file: bool,
}

/// The log files in a region's part of a log folder, stored compactly.
#[derive(Debug, Default)]
pub(crate) struct ListedFiles {
    bucket: Arc<str>,
    /// The prefix of every key.
    pub prefix: String,
    keys: PackedNames,
    /// The write times of the files that were written recently, by their index.
    recent: BTreeMap<usize, Timestamp>,
}

impl ListedFiles {
    /// Iterates over the files, each with its write time if that is recent.
    pub(crate) fn files(&self) -> impl Iterator<Item = (ObjectRef, Option<Timestamp>)> + '_ {
        let object = |key| ObjectRef { bucket: self.bucket.clone(), key };
        self.keys.iter().enumerate().map(move |(index, key)| (object(key), self.recent.get(&index).copied()))
    }

    /// The bucket of the files.
    pub(crate) fn bucket(&self) -> Arc<str> {
        self.bucket.clone()
    }

    fn push(&mut self, key: &str, written: Option<Timestamp>) {
        if let Some(written) = written {
            self.recent.insert(self.keys.len(), written);
        }
        self.keys.push(key);
    }
}

/// Lists log files of a store.
#[derive(Clone, Copy)]
pub(crate) struct LogFileLister<'a> {
    pub store: &'a dyn Store,
    /// The time from which on a write counts as recent.
    pub recent_from: Timestamp,
    /// The current time.
    pub now: Timestamp,
}

impl LogFileLister<'_> {
    /// Begins a listing of the log files of a region, of the days from `from` to `to`.
    pub(crate) fn begin(&self, region: &LogRegion, from: Timestamp, to: Timestamp) -> Listing {
        let LogRegion { bucket, prefix } = region;
        let start_after = format!("{prefix}{}", earlier(from, DAY).strftime("%Y/%m/%d/"));
        Listing {
            pages: Pages::of_keys(bucket, prefix, Some(start_after)),
            last_day: later(to, DAY).strftime("%Y/%m/%d").to_string(),
            until: None,
            bytes: 0,
            recent_from: self.recent_from,
            is_copy: self.store.properties().is_copy,
        }
    }

    /// Lists the log files of each part, in their order.
    pub(crate) async fn list_all(
        &self,
        parts: &[LogRegion],
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Result<ListedFiles, StoreError>> {
        let mut listed = Vec::new();
        for part in parts {
            listed.push(self.list(part, from, to).await);
        }
        listed
    }

    /// Lists the log files of a region's part of a log folder. A long range is listed in several
    /// blocks of days at once.
    pub(crate) async fn list(
        &self,
        region: &LogRegion,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<ListedFiles, StoreError> {
        let store = self.store;
        let whole = self.begin(region, from, to);
        // Without a start, the length of the range is unknown.
        let blocks = if store.properties().is_remote && from > Timestamp::UNIX_EPOCH {
            digests::blocks(from, to)
        } else {
            Vec::new()
        };
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return whole.all(store).await };
        // The listing includes a day before the first block and a day after the last.
        let before = Listing { until: Some(first.clone()), ..whole.clone() };
        let after = Listing { pages: whole.after(last), ..whole.clone() };
        let between = blocks.iter().zip(blocks.iter().skip(1)).map(|(from, until)| Listing {
            pages: whole.after(from),
            until: Some(until.clone()),
            ..whole.clone()
        });
        let parts: Vec<Listing> = [before].into_iter().chain(between).chain([after]).collect();
        let mut files = whole.nothing();
        let parts = stream::iter(parts).map(|part| part.all(store)).buffered(digests::BLOCKS_AT_ONCE);
        let mut parts = std::pin::pin!(parts);
        while let Some(part) = parts.try_next().await? {
            part.files().for_each(|(object, written)| files.push(&object.key, written));
        }
        Ok(files)
    }

    /// Returns the time at which the oldest log files of a region were created, as far as the first
    /// page that has any shows it.
    pub(crate) async fn oldest(&self, folder: &RegionFolder) -> Result<Option<Timestamp>, StoreError> {
        let mut listing = self.begin_whole(folder);
        while let Some(files) = listing.next_page(self.store).await? {
            if let Some(made) = files.iter().map(|file| made(file.name.to, file.last_modified)).min() {
                return Ok(Some(made));
            }
        }
        Ok(None)
    }

    /// Returns the day of the oldest log file of a region; `None` if there is none or it cannot be
    /// listed.
    pub(crate) async fn oldest_day(&self, folder: &RegionFolder) -> Option<Timestamp> {
        let mut listing = self.begin_whole(folder);
        while let Ok(Some(files)) = listing.next_page(self.store).await {
            if let Some(day) = files.iter().map(|file| begin_of_day(file.name.from)).min() {
                return Some(day);
            }
        }
        None
    }

    /// Begins a listing of all log files of a region.
    pub(crate) fn begin_whole(&self, folder: &RegionFolder) -> Listing {
        self.begin(&LogRegion::of(folder, LOG_FOLDER), Timestamp::UNIX_EPOCH, self.now)
    }

    /// Returns whether a listing shows an object, or fails.
    pub(crate) async fn shows(&self, object: &ObjectRef) -> bool {
        let prefix = object.key.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let mut pages = Pages::of_keys(&object.bucket, &prefix, None);
        loop {
            match pages.next(self.store).await {
                Ok(Some(page)) if page.objects.iter().any(|listed| *listed.key == *object.key) => return true,
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Returns the number of log files on the first page of a region's range, and their size in
    /// bytes. A folder that cannot be listed has none.
    pub(crate) async fn sizes(&self, folder: &RegionFolder, range: &TimeRange) -> (u64, u64) {
        let from = range.start.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut listing = self.begin(&LogRegion::of(folder, LOG_FOLDER), from, range.end.unwrap_or(self.now));
        let files = listing.next_page(self.store).await.ok().flatten().map_or(0, |files| files.len());
        (files as u64, listing.bytes)
    }
}

/// A listing of the log files of one region for the days of a range, and one more day on either
/// side.
#[derive(Clone)]
pub(crate) struct Listing {
    pages: Pages,
    last_day: String,
    /// The day, as a folder, at which the listing ends.
    until: Option<String>,
    /// The size of all that was listed, in bytes.
    bytes: u64,
    /// The time from which on a write counts as recent.
    recent_from: Timestamp,
    is_copy: bool,
}

impl Listing {
    /// Returns the same listing, starting at this day.
    fn after(&self, day: &str) -> Pages {
        let ListRequest { bucket, prefix, .. } = &self.pages.request;
        Pages::of_keys(bucket, prefix, Some(format!("{prefix}{day}")))
    }

    fn nothing(&self) -> ListedFiles {
        let ListRequest { bucket, prefix, .. } = &self.pages.request;
        ListedFiles { bucket: bucket.as_str().into(), prefix: prefix.clone(), ..ListedFiles::default() }
    }

    /// Reads all pages.
    async fn all(mut self, store: &dyn Store) -> Result<ListedFiles, StoreError> {
        let mut files = self.nothing();
        while let Some(page) = self.next_page(store).await? {
            page.iter().for_each(|file| files.push(&file.key, self.recent(file)));
        }
        Ok(files)
    }

    /// Returns the time at which a file was written, if that is recent.
    pub(crate) fn recent(&self, file: &ListedLogFile) -> Option<Timestamp> {
        file.last_modified.filter(|at| *at >= self.recent_from)
    }

    /// Returns the log files of the next page; `None` after the last.
    pub(crate) async fn next_page(&mut self, store: &dyn Store) -> Result<Option<Vec<ListedLogFile>>, StoreError> {
        let Some(page) = self.pages.next(store).await? else { return Ok(None) };
        let mut files = Vec::new();
        for ListedObject { key, last_modified, size, is_file } in page.objects {
            let Some(inside) = key.strip_prefix(&self.pages.request.prefix) else { continue };
            let is_past_block = |until: &String| *inside > **until;
            let past_last = inside.get(..self.last_day.len()).is_some_and(|day| *day > *self.last_day);
            if past_last || self.until.as_ref().is_some_and(is_past_block) {
                self.pages.stop();
                break;
            }
            let is_left_alone = is_folder_marker(&key, size) || (self.is_copy && is_copy_artefact(&key));
            if let Some(name) = LogFileName::parse(inside).filter(|_| !is_left_alone) {
                files.push(ListedLogFile { key, name, last_modified, is_file });
                self.bytes += size.unwrap_or_default();
            }
        }
        Ok(Some(files))
    }
}

/// Returns whether an object is a folder marker as some tools create it: an empty object whose key
/// ends with a slash.
pub(crate) fn is_folder_marker(key: &str, size: Option<u64>) -> bool {
    key.ends_with('/') && size.is_none_or(|size| size == 0)
}
