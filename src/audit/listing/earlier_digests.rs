//! Digests from before the range: whether a chain began earlier.

use jiff::Timestamp;

use crate::audit::digests::listed_digests::ListedDigest;
use crate::audit::listing::folders::{RegionFolder, folders};
use crate::audit::listing::pages::Pages;
use crate::audit::request::AuditRequest;
use crate::model::{ChainId, DigestName, ObjectRef};
use crate::store::{ListedObject, Store, StoreError};

/// The number of days' folders that are searched for digests older than the range.
const MAX_EARLIER_DAYS: usize = 31;

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
    let mut days_left = MAX_EARLIER_DAYS;
    for year in newest_first(folders(store, bucket, &prefix).await?) {
        for month in newest_first(folders(store, bucket, &format!("{prefix}{year}/")).await?) {
            let days = newest_first(folders(store, bucket, &format!("{prefix}{year}/{month}/")).await?);
            let days = days.into_iter().map(|day| format!("{year}/{month}/{day}"));
            for day in days.filter(|day| *day <= limit) {
                if days_left == 0 {
                    return Ok(Vec::new());
                }
                days_left -= 1;
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
    let mut pages = Pages::of_keys(bucket, &prefix, None);
    while let Some(page) = pages.next(store).await? {
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
    }
    Ok(None)
}

async fn chains_of_day(
    store: &dyn Store,
    bucket: &str,
    prefix: &str,
    before: Timestamp,
    request: &AuditRequest,
) -> Result<Vec<ChainId>, StoreError> {
    let mut chains = Vec::new();
    let mut pages = Pages::of_keys(bucket, prefix, None);
    while let Some(page) = pages.next(store).await? {
        let names = page.objects.iter().filter_map(|object| DigestName::parse(&object.key));
        chains.extend(names.filter(|name| name.end <= before && request.wants(&name.chain)).map(|name| name.chain));
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
