//! The state that a scheduled audit keeps from one run to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ChainFault, ChainId, Depth, DigestKind, DigestStatus, Fault, FindingId, GapCause, LogFileStatus, ObjectRef,
    PackedActivity, Sha256Hash, TrailArn, Verdict, VerifiedFiles,
};

/// The number of open violations that a checkpoint keeps with their names. Of more, it keeps the
/// number: somebody who can write to a bucket can change millions of objects.
pub const MAX_KEPT_VIOLATIONS: usize = 10_000;
/// The number of open violations that one run reads again.
pub const MAX_READ_AGAIN: usize = 1_000;

/// The results that earlier runs over a trail proved, and the points that they left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The trail that was asked about; `None` for every trail at the location.
    pub trail: Option<TrailArn>,
    /// The source of the bytes: `s3://…`, or a folder.
    pub source: String,
    /// The depth of the runs.
    pub depth: Depth,
    /// The start of the range of the first run; `None` before it, and if that is not known.
    pub examined_from: Option<RangeStart>,
    /// The last run that came to its end; `None` before the first.
    pub last_run: Option<LastRun>,
    /// The time at which AWS was last asked about the regions that may or may not be enabled.
    pub regions_asked: Option<Timestamp>,
    /// Each chain that was found.
    pub chains: BTreeMap<ChainId, ChainCheckpoint>,
}

/// The start of the range that a run was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeStart {
    /// The first digest of each chain.
    FirstDigest,
    /// A time.
    At(Timestamp),
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
    /// The numbers of log files that the digests of the newest hours list.
    pub activity: PackedActivity,
    /// The points that later runs look at again.
    pub open: Vec<OpenPoint>,
    /// The open violations beyond [`MAX_KEPT_VIOLATIONS`], of which the checkpoint has no names.
    pub counted: Vec<CountedFindings>,
}

/// A number of findings of one status whose names a checkpoint does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedFindings {
    /// The status, such as `modified log file`.
    pub what: String,
    /// The number of the findings.
    pub count: u64,
    /// The acknowledgement, if somebody has acknowledged them.
    pub acknowledged: Option<Acknowledgement>,
}

/// A person's statement that a finding is known and needs no further alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "acknowledgement")]
pub struct Acknowledgement {
    /// The name of the person, as it was given.
    pub by: Option<String>,
    /// The time of the statement.
    pub at: Timestamp,
    /// The reason, as it was given.
    pub reason: String,
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
    /// The identifier of the finding.
    pub id: FindingId,
    /// The acknowledgement, if somebody has acknowledged the finding.
    pub acknowledged: Option<Acknowledgement>,
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
        /// The fault that was last reported.
        fault: Option<Fault>,
        /// The hash of the content that was last found.
        sha256: Option<Sha256Hash>,
    },
    /// A log file that could not be judged, or that is modified or deleted.
    LogFile {
        /// Its name.
        object: ObjectRef,
        /// The key of the digest that lists it.
        digest: Arc<str>,
        /// The hash that the digest recorded, if it is a SHA-256 value.
        sha256: Option<Sha256Hash>,
        /// The status that was last reported.
        status: LogFileStatus,
        /// The fault that was last reported.
        fault: Option<Fault>,
        /// The hash of the content that was last found.
        actual: Option<Sha256Hash>,
        /// The size of the object that was last found, in bytes as stored.
        size: Option<u64>,
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

impl Open {
    /// Returns the identifier of the finding about an object or a gap of this chain. A contradicted
    /// digest has the identifier of a fault of the chain that it alone contradicts.
    pub fn id(&self, chain: &ChainId) -> FindingId {
        match self {
            Self::Digest { object, status, sha256, fault, .. } => {
                FindingId::of_digest(object, *status, *sha256, *fault)
            }
            Self::LogFile { object, status, actual, fault, size, .. } => {
                FindingId::of_log_file(object, *status, *actual, *fault, *size)
            }
            Self::Unlisted { object } => FindingId::of_log_file(object, LogFileStatus::Unlisted, None, None, None),
            Self::Gap { cause, from, .. } => FindingId::of_gap(chain, *cause, *from),
            Self::Contradicted { object, .. } => {
                FindingId::of_chain(chain, ChainFault::CheckpointContradicted, [object])
            }
            Self::TailCut => FindingId::of_chain(chain, ChainFault::TailCut, []),
        }
    }

    /// Returns a name of the kind of finding, such as `modified log file`.
    pub fn title(&self) -> String {
        match self {
            Self::Digest { status, .. } => format!("{status} digest"),
            Self::LogFile { status, .. } => format!("{status} log file"),
            Self::Unlisted { .. } => "unlisted log file".to_owned(),
            Self::Gap { cause, .. } => format!("{cause} gap"),
            Self::Contradicted { .. } => format!("{} chain", ChainFault::CheckpointContradicted),
            Self::TailCut => format!("{} chain", ChainFault::TailCut),
        }
    }

    /// Returns whether this is an object that is not what CloudTrail delivered: a modified or deleted
    /// log file, an invalid or missing digest.
    pub fn is_violated_object(&self) -> bool {
        match self {
            Self::Digest { status, .. } => matches!(status, DigestStatus::Invalid | DigestStatus::Missing),
            Self::LogFile { status, .. } => matches!(status, LogFileStatus::Modified | LogFileStatus::Deleted),
            Self::Unlisted { .. } | Self::Gap { .. } | Self::Contradicted { .. } | Self::TailCut => false,
        }
    }
}

impl OpenPoint {
    /// Creates the point of a finding of a chain.
    pub fn new(what: Open, since: Option<Timestamp>, chain: &ChainId) -> Self {
        Self { id: what.id(chain), what, since, acknowledged: None }
    }

    /// Returns whether this is a violation that earlier runs reported about an object, and that stays
    /// in the reports until it is mended or acknowledged.
    pub fn is_standing(&self) -> bool {
        self.since.is_some() && self.what.is_violated_object()
    }
}

impl Checkpoint {
    /// Returns the open violations that a run at `now` reads again: at most [`MAX_READ_AGAIN`], those
    /// that nobody has acknowledged first. If there are more, each hour has other ones.
    pub fn read_again(&self, now: Timestamp) -> BTreeSet<FindingId> {
        let points = || self.chains.values().flat_map(|chain| &chain.open).filter(|point| point.is_standing());
        let sorted = |is_acknowledged: bool| -> BTreeSet<FindingId> {
            points().filter(|point| point.acknowledged.is_some() == is_acknowledged).map(|point| point.id).collect()
        };
        let mut chosen = BTreeSet::new();
        for ids in [sorted(false), sorted(true)] {
            let room = MAX_READ_AGAIN - chosen.len();
            let hour = usize::try_from(now.as_second().div_euclid(3600)).unwrap_or_default();
            let skipped = if ids.len() > room { hour.wrapping_mul(room) % ids.len() } else { 0 };
            chosen.extend(ids.iter().cycle().skip(skipped).take(room.min(ids.len())));
        }
        chosen
    }

    /// Creates a checkpoint that holds no results yet.
    pub fn new(trail: Option<TrailArn>, source: String, depth: Depth) -> Self {
        let (examined_from, last_run, regions_asked) = (None, None, None);
        Self { trail, source, depth, examined_from, last_run, regions_asked, chains: BTreeMap::new() }
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
                    let began_with = |id: FindingId| before?.open.iter().find(|point| point.id == id);
                    let is_further = ours.end() >= theirs.end();
                    let (mut kept, rest) = if is_further { (ours.clone(), theirs) } else { (theirs, ours.clone()) };
                    kept.counted = merged_counts(&kept.counted, &rest.counted, before);
                    for point in rest.open {
                        let old = began_with(point.id);
                        // An acknowledgement that the other job took or revoked counts.
                        let is_changed = match old {
                            Some(old) => old.acknowledged != point.acknowledged,
                            None => point.acknowledged.is_some(),
                        };
                        match kept.open.iter_mut().find(|known| known.id == point.id) {
                            Some(known) if is_changed => known.acknowledged = point.acknowledged,
                            None if old.is_none() => kept.open.push(point),
                            Some(_) | None => {}
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

/// Merges the counts of two jobs that began with the same checkpoint: those of the one that is
/// further, the findings that the other added, and its acknowledgements.
fn merged_counts(
    kept: &[CountedFindings],
    rest: &[CountedFindings],
    before: Option<&ChainCheckpoint>,
) -> Vec<CountedFindings> {
    let mut merged = kept.to_vec();
    for other in rest {
        let began_with = before.and_then(|before| before.counted.iter().find(|old| old.what == other.what));
        let added = other.count.saturating_sub(began_with.map_or(0, |old| old.count));
        let acknowledged = began_with.map(|old| &old.acknowledged) != Some(&other.acknowledged);
        match merged.iter_mut().find(|known| known.what == other.what) {
            Some(known) => {
                known.count = known.count.saturating_add(added);
                if acknowledged {
                    known.acknowledged.clone_from(&other.acknowledged);
                }
            }
            None if added > 0 => merged.push(CountedFindings { count: added, ..other.clone() }),
            None => {}
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(account: &str) -> ChainId {
        ChainId {
            organization: None,
            account: account.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            trail: "trail".parse().unwrap(),
            home_region: "eu-west-1".parse().unwrap(),
        }
    }

    fn chain(end: i64, open: &[&str]) -> ChainCheckpoint {
        let object = |key: &str| ObjectRef::new("b", key.to_owned());
        let point = |key: &&str| OpenPoint::new(Open::Unlisted { object: object(key) }, None, &id("111122223333"));
        let points = open.iter().map(point);
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
    #[test]
    fn an_acknowledgement_that_is_given_or_revoked_during_a_run_is_kept() {
        let account = "111122223333";
        let acknowledgement = Acknowledgement { by: None, at: Timestamp::UNIX_EPOCH, reason: "known".to_owned() };
        let counted = |count, acknowledged: bool| CountedFindings {
            what: "modified log file".to_owned(),
            count,
            acknowledged: acknowledged.then(|| acknowledgement.clone()),
        };
        let with = |acknowledged: bool, count| {
            let mut chain = chain(10, &["finding"]);
            chain.open[0].acknowledged = acknowledged.then(|| acknowledgement.clone());
            chain.counted = vec![counted(count, acknowledged)];
            chain
        };
        for acknowledged in [true, false] {
            let base = checkpoint(&[(account, with(!acknowledged, 5))]);
            let run = ChainCheckpoint { through: chain(20, &[]).through, ..with(!acknowledged, 8) };
            let command = checkpoint(&[(account, with(acknowledged, 5))]);
            let merged = checkpoint(&[(account, run)]).merged_with(command, &base);
            let chain = &merged.chains[&id(account)];
            assert_eq!(chain.open.len(), 1);
            assert_eq!(chain.open[0].acknowledged.is_some(), acknowledged);
            assert_eq!(chain.counted, [counted(8, acknowledged)]);
            assert_eq!(chain.end(), Some(Timestamp::from_second(20).unwrap()));
        }
    }

    #[test]
    fn the_violations_that_are_read_again_take_turns() {
        let point = |index: usize, acknowledged: bool| {
            let what = Open::LogFile {
                object: ObjectRef::new("b", format!("{index}")),
                digest: "digest".into(),
                sha256: None,
                status: LogFileStatus::Modified,
                fault: None,
                actual: None,
                size: None,
            };
            let acknowledged =
                acknowledged.then(|| Acknowledgement { by: None, at: Timestamp::UNIX_EPOCH, reason: String::new() });
            let point = OpenPoint::new(what, Some(Timestamp::UNIX_EPOCH), &id("111122223333"));
            OpenPoint { acknowledged, ..point }
        };
        let of = |open: usize, acknowledged: usize| {
            let points = (0..open).map(|index| point(index, false));
            let points = points.chain((0..acknowledged).map(|index| point(1_000_000 + index, true)));
            let chain = ChainCheckpoint { open: points.collect(), ..ChainCheckpoint::default() };
            checkpoint(&[("111122223333", chain)])
        };
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        assert_eq!(of(3, 4).read_again(at(7)).len(), 7);
        let many = of(2500, 10);
        let all: BTreeSet<FindingId> = (0..3).flat_map(|hour| many.read_again(at(hour))).collect();
        assert_eq!(all.len(), 2500);
        assert_eq!(many.read_again(at(1)).len(), MAX_READ_AGAIN);
        let open: BTreeSet<FindingId> = of(999, 0).read_again(at(0));
        let with_others = of(999, 3).read_again(at(0));
        assert!(with_others.is_superset(&open) && with_others.len() == 1000);
    }
}
