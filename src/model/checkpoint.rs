//! The state that a scheduled audit keeps from one run to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    ChainId, Depth, DigestKind, DigestStatus, GapCause, ObjectRef, Sha256Hash, TrailArn, Verdict, VerifiedFiles,
};

/// The results that earlier runs over a trail proved, and the points that they left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The trail that was asked about; `None` for every trail at the location.
    pub trail: Option<TrailArn>,
    /// The source of the bytes: `s3://…`, or a folder.
    pub source: String,
    /// The depth of the runs.
    pub depth: Depth,
    /// The last run that came to its end; `None` before the first.
    pub last_run: Option<LastRun>,
    /// The time at which AWS was last asked about the regions that may or may not be enabled.
    pub regions_asked: Option<Timestamp>,
    /// Each chain that was found.
    pub chains: BTreeMap<ChainId, ChainCheckpoint>,
}

/// The start and the verdict of a run that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRun {
    /// The time at which the run began.
    pub started: Timestamp,
    /// The verdict of the run.
    pub verdict: Verdict,
}

/// The part of a checkpoint that is kept of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChainCheckpoint {
    /// The time from which the runs have examined the chain.
    pub begin: Option<Timestamp>,
    /// The last verified standard digest; `None` where none was valid yet.
    pub through: Option<VerifiedDigest>,
    /// The time up to which, by the times in their names, unlisted log files have been looked for.
    pub unlisted_from: Option<Timestamp>,
    /// The latest time at which S3 wrote any digest that was listed.
    pub seen: Option<Timestamp>,
    /// Digests that were listed and would count as new again, by a short hash of name and time of
    /// writing.
    pub recent: BTreeSet<u64>,
    /// The digests of the last 31 days that were verified, by location, series and time.
    pub verified: Vec<VerifiedRun>,
    /// The log folders beside `CloudTrail/` of which a valid digest has listed a file.
    pub log_folders: BTreeSet<String>,
    /// The log files of the last two days that verified digests list; `None` at depth `chain`, and
    /// in a checkpoint of an earlier version.
    pub verified_files: Option<VerifiedFiles>,
    /// The points that later runs look at again.
    pub open: Vec<OpenPoint>,
    /// The number of findings reported so far, by status.
    pub reported: BTreeMap<String, u64>,
}

/// A run of verified digests of one series at one location whose end times are evenly spaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifiedRun {
    /// The bucket.
    pub bucket: Arc<str>,
    /// The key prefix before `AWSLogs/`.
    pub prefix: String,
    /// The series.
    pub kind: DigestKind,
    /// The end time in the name of the first digest.
    pub first: Timestamp,
    /// The distance between two end times, in seconds.
    pub step: i64,
    /// The number of digests; at least one.
    pub count: u32,
}

impl VerifiedRun {
    /// Returns the end times in the digests' names, in ascending order.
    pub fn ends(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let end = |index: u32| {
            let seconds = self.first.as_second().checked_add(self.step.checked_mul(i64::from(index))?)?;
            Timestamp::from_second(seconds).ok()
        };
        (0..self.count).filter_map(end)
    }

    /// Encodes the digests of one chain as runs. Each digest is given by its bucket and prefix, its
    /// series and the end time in its name.
    pub fn encode(digests: impl IntoIterator<Item = (Arc<str>, String, DigestKind, Timestamp)>) -> Vec<Self> {
        let digests: BTreeSet<_> = digests.into_iter().collect();
        let mut runs: Vec<Self> = Vec::new();
        for (bucket, prefix, kind, end) in digests {
            let last = runs.last_mut().filter(|run| (&run.bucket, &run.prefix, run.kind) == (&bucket, &prefix, kind));
            if let Some(run) = last {
                let after = end.as_second() - run.first.as_second();
                if run.count == 1 || after == run.step * i64::from(run.count) {
                    run.step = if run.count == 1 { after } else { run.step };
                    run.count += 1;
                    continue;
                }
            }
            runs.push(Self { bucket, prefix, kind, first: end, step: 0, count: 1 });
        }
        runs
    }
}

/// A digest that was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDigest {
    /// Its name.
    pub object: ObjectRef,
    /// SHA-256 of its uncompressed bytes.
    pub sha256: Sha256Hash,
    /// The signature that proved it.
    pub signature: Option<Arc<[u8]>>,
    /// The end of the period that it covers.
    pub end: Timestamp,
}

/// Something that later runs look at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPoint {
    /// The kind of the point, with the object or period that it concerns.
    pub what: Open,
    /// The start of the run that first reported it; `None` for something that may still come, and
    /// was no finding yet.
    pub since: Option<Timestamp>,
}

/// The points that can be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// A digest that is missing, invalid, could not be judged, or may still come.
    Digest {
        /// Its name.
        object: ObjectRef,
        /// Its series.
        kind: DigestKind,
        /// The end of its period.
        end: Timestamp,
        /// The status that was last reported; `missing` for a digest that may still come.
        status: DigestStatus,
        /// True if a valid digest names it, which proves that it was delivered.
        is_named: bool,
    },
    /// A log file that could not be judged.
    LogFile {
        /// Its name.
        object: ObjectRef,
        /// The key of the digest that lists it.
        digest: Arc<str>,
        /// The hash that the digest recorded.
        sha256: Sha256Hash,
    },
    /// A log file that no digest lists.
    Unlisted {
        /// Its name.
        object: ObjectRef,
    },
    /// A part of the chain that is not covered.
    Gap {
        /// The reason why it is not covered.
        cause: GapCause,
        /// The time at which the gap begins.
        from: Timestamp,
        /// The time at which the gap ends.
        to: Timestamp,
    },
    /// A verified digest to which the links of the chain no longer lead.
    Contradicted {
        /// Its name.
        object: ObjectRef,
        /// The hash that it had, if that was kept.
        sha256: Option<Sha256Hash>,
        /// The end of its period.
        end: Timestamp,
    },
    /// The chain's newest digests were removed.
    TailCut,
}

impl Checkpoint {
    /// Creates a checkpoint that holds no results yet.
    pub fn new(trail: Option<TrailArn>, source: String, depth: Depth) -> Self {
        Self { trail, source, depth, last_run: None, regions_asked: None, chains: BTreeMap::new() }
    }

    /// Merges the checkpoints of two jobs that began with the same one: of each chain it keeps the
    /// state that is further, and adds the points that the other job found open. `base` is the
    /// checkpoint that both began with.
    #[must_use]
    pub fn merged_with(mut self, other: Self, base: &Self) -> Self {
        for (id, theirs) in other.chains {
            let before = base.chains.get(&id);
            match self.chains.entry(id) {
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(theirs);
                }
                std::collections::btree_map::Entry::Occupied(mut slot) => {
                    let ours = slot.get_mut();
                    if before == Some(&theirs) || *ours == theirs {
                        continue;
                    }
                    let began_with = |point: &OpenPoint| before.is_some_and(|before| before.open.contains(point));
                    let is_further = ours.end() >= theirs.end();
                    let (mut kept, rest) = if is_further { (ours.clone(), theirs) } else { (theirs, ours.clone()) };
                    for point in rest.open.into_iter().filter(|point| !began_with(point)) {
                        if kept.open.iter().all(|known| known.what != point.what) {
                            kept.open.push(point);
                        }
                    }
                    *ours = kept;
                }
            }
        }
        let newest = self.last_run.into_iter().chain(other.last_run).max_by_key(|run| run.started);
        self.last_run = newest;
        self
    }
}

impl ChainCheckpoint {
    /// Returns the time up to which the chain is verified.
    pub fn end(&self) -> Option<Timestamp> {
        self.through.as_ref().map(|digest| digest.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(end: i64, open: &[&str]) -> ChainCheckpoint {
        let object = |key: &str| ObjectRef::new("b", key.to_owned());
        let points = open.iter().map(|key| OpenPoint { what: Open::Unlisted { object: object(key) }, since: None });
        ChainCheckpoint {
            through: Some(VerifiedDigest {
                object: object("d"),
                sha256: Sha256Hash([0; 32]),
                signature: None,
                end: Timestamp::from_second(end).unwrap(),
            }),
            open: points.collect(),
            ..ChainCheckpoint::default()
        }
    }

    fn checkpoint(chains: &[(&str, ChainCheckpoint)]) -> Checkpoint {
        let id = |account: &str| ChainId {
            organization: None,
            account: account.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            trail: "trail".parse().unwrap(),
            home_region: "eu-west-1".parse().unwrap(),
        };
        let chains = chains.iter().map(|(account, chain)| (id(account), chain.clone())).collect();
        Checkpoint { chains, ..Checkpoint::new(None, "s3://b".to_owned(), Depth::Content) }
    }

    #[test]
    fn runs_of_verified_digests_are_short_and_tell_every_end() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let digest = |bucket: &str, kind, second| (Arc::from(bucket), String::new(), kind, at(second));
        let hours = (0..744).filter(|hour| ![5, 6, 300].contains(hour)).map(|hour| hour * 3600 + 17);
        let mut digests: Vec<_> = hours.map(|second| digest("b", DigestKind::Standard, second)).collect();
        digests.push(digest("a", DigestKind::Standard, 99));
        digests.push(digest("b", DigestKind::Backfill, 3617));
        let runs = VerifiedRun::encode(digests.clone());
        assert!(runs.len() <= 6, "{runs:?}");
        let named: BTreeSet<_> =
            runs.iter().flat_map(|run| run.ends().map(|end| (run.bucket.clone(), run.kind, end))).collect();
        let given: BTreeSet<_> = digests.into_iter().map(|(bucket, _, kind, end)| (bucket, kind, end)).collect();
        assert_eq!(named, given);
    }

    #[test]
    fn two_jobs_keep_each_others_work() {
        let (one, two) = ("111122223333", "444455556666");
        let base = checkpoint(&[(one, chain(10, &["closes", "stays"]))]);
        let ours = checkpoint(&[(one, chain(20, &["stays", "ours"]))]);
        let theirs = checkpoint(&[(one, chain(15, &["closes", "stays", "theirs"])), (two, chain(5, &[]))]);
        let merged = ours.merged_with(theirs, &base);
        let expected = checkpoint(&[(one, chain(20, &["stays", "ours", "theirs"])), (two, chain(5, &[]))]);
        assert_eq!(merged, expected);
    }
}
