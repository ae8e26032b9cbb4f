//! Objects in a log folder that lie outside `REGION/YYYY/MM/DD/`: CloudTrail puts none there, but
//! readers that read by folder include them.
//!
//! They are found with delimiter listings of the log folder, its regions, and the years and months
//! of the range. A folder with a name that CloudTrail does not use is listed completely.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::audit::listing::folders::{Children, children};
use crate::audit::listing::log_files::{LogRegion, is_folder_marker};
use crate::audit::listing::pages::Pages;
use crate::audit::log_folder::unlisted::StrayFiles;
use crate::model::{is_copy_artefact, parse_day};
use crate::store::{ListedObject, Store, StoreError};

/// The number of folders that are listed at once.
const FOLDERS_AT_ONCE: usize = 16;

/// Returns the objects below a region's part of a log folder that lie in no day's folder.
pub(crate) async fn outside_days(
    store: &dyn Store,
    region: &LogRegion,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<StrayFiles, StoreError> {
    let LogRegion { bucket, prefix } = region;
    let mut keys = Vec::new();
    let level = |path: String| async move {
        let found = children(store, bucket, &format!("{prefix}{path}")).await?;
        Ok::<_, StoreError>((path, found))
    };
    // If the range is known, no level has to wait for the one above it.
    let known = from.zip(to).map(|(from, to)| months(from, to)).filter(|months| months.len() <= MAX_MONTHS);
    match known {
        Some(months) => {
            let mut years: Vec<String> = months.iter().map(|month| month[..YEAR].to_owned()).collect();
            years.dedup();
            let folders = [String::new()].into_iter().chain(years).chain(months);
            let mut found = std::pin::pin!(stream::iter(folders).map(level).buffered(FOLDERS_AT_ONCE));
            while let Some((path, below)) = found.try_next().await? {
                sort_out(store, region, &path, below, &mut keys).await?;
            }
        }
        None => {
            let mut pending = vec![String::new()];
            while let Some(path) = pending.pop() {
                let (path, below) = level(path).await?;
                if path.len() < MONTH {
                    let inside = below.folders.iter().map(|name| format!("{path}{name}/"));
                    pending.extend(inside.filter(|inside| is_of_cloudtrail(inside) && reaches(inside, from, to)));
                }
                sort_out(store, region, &path, below, &mut keys).await?;
            }
        }
    }
    keys.sort();
    let mut strays = StrayFiles::default();
    strays.begin(Arc::from(bucket.as_str()), None);
    keys.iter().for_each(|key| strays.push(key, None));
    Ok(strays)
}

/// The length of `YYYY/`.
const YEAR: usize = 5;
/// The length of `YYYY/MM/`.
const MONTH: usize = 8;
/// The largest number of months that are listed without looking at what exists: for a longer range,
/// fewer folders exist than it has months.
const MAX_MONTHS: usize = 60;

/// The months of a range, as `YYYY/MM/`. The day before it is listed, too.
fn months(from: Timestamp, to: Timestamp) -> Vec<String> {
    let date = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    let (mut month, last) = (date(from).first_of_month(), date(to));
    let mut months = Vec::new();
    while month <= last && months.len() <= MAX_MONTHS {
        months.push(month.strftime("%Y/%m/").to_string());
        month = month.checked_add(jiff::Span::new().months(1)).unwrap_or(Date::MAX);
    }
    months
}

/// Returns whether `YYYY/` or `YYYY/MM/` overlaps the range.
fn reaches(path: &str, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
    let bound = |time: Option<Timestamp>| Some(time?.strftime("%Y/%m/").to_string().get(..path.len())?.to_owned());
    bound(from).is_none_or(|from| *path >= *from) && bound(to).is_none_or(|to| *path <= *to)
}

/// Returns whether a folder below a region's has a name that CloudTrail gives: `YYYY/`, `YYYY/MM/`
/// or `YYYY/MM/DD/`.
fn is_of_cloudtrail(path: &str) -> bool {
    let day = match path.len() {
        YEAR => format!("{path}01/01"),
        MONTH => format!("{path}01"),
        _ => path.trim_end_matches('/').to_owned(),
    };
    path.ends_with('/') && parse_day(&day).is_some()
}

/// Adds the objects of a level, and all objects below folders with names that CloudTrail does not
/// use.
async fn sort_out(
    store: &dyn Store,
    region: &LogRegion,
    path: &str,
    below: Children,
    keys: &mut Vec<String>,
) -> Result<(), StoreError> {
    let LogRegion { bucket, prefix } = region;
    take(store, below.objects, keys);
    for name in below.folders {
        let inside = format!("{path}{name}/");
        if !is_of_cloudtrail(&inside) {
            list_whole(store, bucket, &format!("{prefix}{inside}"), keys).await?;
        }
    }
    Ok(())
}

/// Adds the keys of all objects below a folder.
pub(crate) async fn list_whole(
    store: &dyn Store,
    bucket: &str,
    prefix: &str,
    keys: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut pages = Pages::of_keys(bucket, prefix, None);
    while let Some(page) = pages.next(store).await? {
        take(store, page.objects, keys);
    }
    Ok(())
}

/// Adds the keys of objects that are no folder markers and no artefacts of a copy.
pub(crate) fn take(store: &dyn Store, objects: Vec<ListedObject>, keys: &mut Vec<String>) {
    let is_left_alone = |object: &ListedObject| {
        is_folder_marker(&object.key, object.size) || (store.properties().is_copy && is_copy_artefact(&object.key))
    };
    keys.extend(objects.into_iter().filter(|object| !is_left_alone(object)).map(|object| object.key));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_cloudtrail_are_told_from_others() {
        for path in ["2026/", "2026/03/", "2026/03/31/"] {
            assert!(is_of_cloudtrail(path), "{path}");
        }
        for path in ["evil/", "202/", "2026/13/", "2026/3/", "2026/02/30/", "2026/03/x/", "2026/03/1/"] {
            assert!(!is_of_cloudtrail(path), "{path}");
        }
    }

    #[test]
    fn the_months_of_a_range_are_those_that_it_touches() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let found = months(at("2025-12-31T23:00:00Z"), at("2026-02-01T00:00:00Z"));
        assert_eq!(found, ["2025/12/", "2026/01/", "2026/02/"]);
        let (from, to) = (Some(at("2025-12-31T23:00:00Z")), Some(at("2026-02-01T00:00:00Z")));
        assert!(reaches("2025/", from, to) && reaches("2025/12/", from, to) && !reaches("2025/11/", from, to));
        assert!(reaches("2026/02/", from, to) && !reaches("2026/03/", from, to) && reaches("2027/", from, None));
    }
}
