//! The range and the folders that have to be listed to continue from a checkpoint.

use jiff::{SignedDuration, Timestamp};

use crate::audit::listing::folders::RegionFolder;
use crate::audit::request::{AuditRequest, EDGE};
use crate::audit::resume::late_arrivals::LOOK_BACK;
use crate::model::{ChainCheckpoint, ChainId, DigestName, TimeRange, earlier};
use crate::store::Location;

/// The time before the start of the search for unlisted log files from which digests are read that
/// may list them.
const LISTED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// Returns the range for which a region's folder has to be listed.
pub(crate) fn listing_range(request: &AuditRequest, folder: &RegionFolder, range: &TimeRange) -> TimeRange {
    let Some(checkpoint) = &request.checkpoint else { return *range };
    let known = || folder.entries_of(&checkpoint.chains).filter(|(id, _)| request.wants(id)).map(|(_, chain)| chain);
    if known().next().is_none() || known().any(|chain| chain.through.is_none()) {
        return *range;
    }
    let begins = known().map(|chain| match request.recheck {
        Some(_) => chain.begin,
        None => chain.end().map(|end| earlier(end, LOOK_BACK).min(read_back(chain))),
    });
    // Without a time, the whole folder is listed.
    let start = begins.min().flatten();
    TimeRange { start, end: range.end }
}

/// Returns the folders of the last verified digests that lie outside the examined locations,
/// because the trail has delivered to another one since.
pub(crate) fn other_folders(request: &AuditRequest, live: bool) -> Vec<RegionFolder> {
    let Some(checkpoint) = request.checkpoint.as_ref().filter(|_| live) else { return Vec::new() };
    let chains = checkpoint.chains.iter().filter(|(id, _)| request.wants(id));
    let locations = chains.filter_map(|(id, chain)| {
        let object = &chain.through.as_ref()?.object;
        let root = DigestName::parse(&object.key)?.root;
        let location = Location { bucket: object.bucket.to_string(), root };
        let ChainId { organization, account, region, .. } = id.clone();
        (!request.locations.contains(&location)).then_some(RegionFolder { location, organization, account, region })
    });
    let mut folders: Vec<RegionFolder> = Vec::new();
    for folder in locations {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// Returns the time from which on late digests are looked for.
pub(crate) fn lately(chain: &ChainCheckpoint) -> Timestamp {
    chain.end().map_or(Timestamp::MIN, |end| earlier(end, LOOK_BACK))
}

/// Returns the time from which on digests are read: those that may list a log file which no digest
/// listed at the last run.
pub(crate) fn read_back(chain: &ChainCheckpoint) -> Timestamp {
    let Some(end) = chain.end() else { return Timestamp::MIN };
    let from = chain.unlisted_from.map_or(end, |from| earlier(earlier(from, LISTED_WITHIN), EDGE));
    from.min(end)
}
