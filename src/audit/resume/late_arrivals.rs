//! The deliveries to a chain that a listing shows, and the recognition of new ones.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::audit::digests::identity::identity;
use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::model::{ChainCheckpoint, DigestKind, earlier};

/// The time before the last verified digest in which listings are searched for digests that came
/// late. AWS gives no bound; nearly all come within a day, and one page of a listing holds the
/// digests of six weeks.
pub(crate) const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24 * 31);
/// The longest time by which S3's time of a write may precede the moment at which a listing shows
/// it.
const SHOWN_LATE: SignedDuration = SignedDuration::from_mins(10);

/// The deliveries to a chain that a listing shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deliveries {
    /// The time at which S3 last wrote any of its digests.
    pub seen: Option<Timestamp>,
    /// The marks of the digests that would count as new by that time alone.
    pub recent: BTreeSet<u64>,
}

impl Deliveries {
    pub(crate) fn of(listed: &ListedDigests, exact: bool) -> Self {
        let seen = listed.iter().filter_map(|digest| digest.last_modified).max();
        let newest = listed.ends().max().unwrap_or_default();
        let counts = |digest: &ListedDigest| match (digest.last_modified, seen) {
            (Some(at), Some(seen)) => at > earlier(seen, SHOWN_LATE),
            // If their write times are unknown, only backfill digests can come late.
            _ => digest.kind == DigestKind::Backfill && digest.end > earlier(newest, LOOK_BACK),
        };
        let recent = listed.iter().filter(counts).map(|digest| mark_of(&digest, exact)).collect();
        Self { seen, recent }
    }
}

/// Returns whether a digest of a past hour came after the last run.
pub(crate) fn is_new(digest: &ListedDigest, before: &ChainCheckpoint, exact: bool) -> bool {
    let is_recent = match (digest.last_modified, before.seen) {
        (Some(at), Some(seen)) => at > earlier(seen, SHOWN_LATE),
        _ => digest.kind == DigestKind::Backfill,
    };
    is_recent && !before.recent.contains(&mark_of(digest, exact))
}

/// Returns the short mark by which a checkpoint recognizes a digest; one that is overwritten gets
/// another mark.
fn mark_of(digest: &ListedDigest, exact: bool) -> u64 {
    let written = digest.last_modified.map(Timestamp::as_second);
    let hash = Sha256::digest(format!("{}\n{written:?}", identity(&digest.object, exact)));
    hash.iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}
