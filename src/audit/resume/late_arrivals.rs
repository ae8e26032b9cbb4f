//! What a listing shows of the deliveries to a chain, and what of that is new.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::audit::shared::identity::identity;
use crate::model::{ChainCheckpoint, DigestKind, earlier};

/// How far before the last verified digest listings are looked through for digests that came late. AWS gives no bound; nearly all come
/// within a day, and one page of a listing holds the digests of six weeks.
pub(crate) const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24 * 31);
/// S3's time of a write may lie this long before the moment in which a listing shows it.
const SHOWN_LATE: SignedDuration = SignedDuration::from_mins(10);

/// What a listing shows of the deliveries to a chain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deliveries {
    /// When S3 last wrote any of its digests.
    pub seen: Option<Timestamp>,
    /// Those that would count as new by that time alone.
    pub recent: BTreeSet<u64>,
}

impl Deliveries {
    pub fn of(listed: &ListedDigests, live: bool) -> Self {
        let seen = listed.iter().filter_map(|digest| digest.last_modified).max();
        let newest = listed.ends().max().unwrap_or_default();
        let counts = |digest: &ListedDigest| match (digest.last_modified, seen) {
            (Some(at), Some(seen)) => at > earlier(seen, SHOWN_LATE),
            // Where nobody knows when they came, only backfill digests come unannounced.
            _ => digest.kind == DigestKind::Backfill && digest.end > earlier(newest, LOOK_BACK),
        };
        let recent = listed.iter().filter(counts).map(|digest| mark_of(&digest, live)).collect();
        Self { seen, recent }
    }
}

/// Whether a digest of an hour that is past came after the last run.
pub(crate) fn is_new(digest: &ListedDigest, before: &ChainCheckpoint, live: bool) -> bool {
    let is_recent = match (digest.last_modified, before.seen) {
        (Some(at), Some(seen)) => at > earlier(seen, SHOWN_LATE),
        _ => digest.kind == DigestKind::Backfill,
    };
    is_recent && !before.recent.contains(&mark_of(digest, live))
}

/// What a digest is known by in a checkpoint, in short: one that is written anew is another.
fn mark_of(digest: &ListedDigest, live: bool) -> u64 {
    let written = digest.last_modified.map(Timestamp::as_second);
    let hash = Sha256::digest(format!("{}\n{written:?}", identity(&digest.place, live)));
    hash.iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}
