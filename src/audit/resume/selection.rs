//! Continuation from a checkpoint: selecting the digests that a run needs, and checking that the
//! history still leads to the verified ones.
//!
//! Of each chain, a run reads the digests after the last verified one; that digest itself, which
//! must still exist unchanged; the open ones; and those that came late: S3's time of the last write
//! identifies them among the digests whose hour is past. The digests of the last hours before are
//! read once more, since only they list the log files of those hours.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState, LoadedEntry};
use crate::audit::digests::identity::{identity, rank};
use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::audit::error::AuditError;
use crate::audit::listing::digests::RegionFolder;
use crate::audit::request::{AuditRequest, EDGE, Recheck};
use crate::audit::resume::late_arrivals::{self, LOOK_BACK};
use crate::model::{
    ChainCheckpoint, ChainId, DAY, DigestKind, DigestName, DigestStatus, GapCause, ObjectRef, Open, Period, Sha256Hash,
    TimeRange, VerifiedFiles, begin_of_day, earlier,
};
use crate::store::Location;
use crate::verify::ValidDigest;

/// The time before the start of the search for unlisted log files from which digests are read that
/// may list them.
const LISTED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The state of a chain that earlier runs left, and the digests that are emitted again.
#[derive(Debug, Default)]
pub(crate) struct Resume {
    before: ChainCheckpoint,
    /// Digests from before the range that are emitted, by [`identity`].
    again: HashSet<String>,
    /// Digests that earlier runs verified, by [`identity`].
    verified: HashSet<String>,
    /// The verified digests that no listing shows any longer, with the end times in their names.
    gone: Vec<(ObjectRef, Timestamp)>,
    /// The emitted digests that came late or were open; the others are only read once more.
    late: HashSet<String>,
    /// Digests that a valid one named, by [`identity`].
    awaited: HashSet<String>,
    /// Digests that are known not to be valid, by [`identity`].
    known_bad: HashSet<String>,
    /// The days that are drawn to be read once more.
    drawn_days: BTreeSet<Timestamp>,
    live: bool,
}

/// A verified digest that the history no longer leads to.
#[derive(Debug, Clone)]
pub(crate) struct Contradiction {
    pub object: ObjectRef,
    /// Its hash at that time, if the checkpoint has it.
    pub sha256: Option<Sha256Hash>,
    pub end: Timestamp,
    pub detail: String,
}

/// Returns the range for which a region's folder has to be listed.
pub(crate) fn listing_range(request: &AuditRequest, folder: &RegionFolder, range: &TimeRange) -> TimeRange {
    let Some(checkpoint) = &request.checkpoint else { return *range };
    let known =
        || checkpoint.chains.iter().filter(|(id, _)| folder.holds(id) && request.wants(id)).map(|(_, chain)| chain);
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

/// Returns the digests that earlier runs verified in locations that were listed completely, and
/// that the listing does not show.
fn unlisted(
    id: &ChainId,
    before: &ChainCheckpoint,
    listed: &ListedDigests,
    locations: &[Location],
) -> Vec<(ObjectRef, DigestKind, Timestamp)> {
    if before.verified.is_empty() {
        return Vec::new();
    }
    let lately = lately(before);
    let shown: HashSet<ObjectRef> = listed.iter().map(|digest| digest.object).collect();
    let mut found = Vec::new();
    for run in &before.verified {
        let is_location = |location: &&Location| location.bucket == *run.bucket && location.root.prefix == run.prefix;
        let Some(location) = locations.iter().find(is_location) else { continue };
        for end in run.ends().filter(|end| *end > lately) {
            let key = DigestName { root: location.root.clone(), chain: id.clone(), kind: run.kind, end }.key();
            let object = ObjectRef::new(Arc::clone(&run.bucket), key);
            if !shown.contains(&object) {
                found.push((object, run.kind, end));
            }
        }
    }
    found
}

impl Recheck {
    /// Returns the days that it draws from those of a chain. `oldest` is the end of the chain's
    /// oldest listed digest.
    fn days_of(&self, id: &ChainId, chain: &ChainCheckpoint, oldest: Option<Timestamp>) -> BTreeSet<Timestamp> {
        let (Some(begin), Some(end)) = (chain.begin.max(oldest), chain.end()) else { return BTreeSet::new() };
        let days = std::iter::successors(Some(begin_of_day(begin)), |day| day.checked_add(DAY).ok());
        let is_drawn = |day: &Timestamp| {
            let share = rank(self.seed, &format!("{id} {day}")) as f64 / (u64::MAX as f64);
            share * 100.0 < self.percent
        };
        days.take_while(|day| *day <= end).filter(is_drawn).collect()
    }
}

impl Resume {
    /// Selects the listed digests of a chain that the run needs, and adds those that it needs
    /// besides. Returns `None` if nothing of the chain was verified yet. `places` are the locations
    /// that were listed completely for it.
    pub(crate) fn select(
        id: &ChainId,
        before: &ChainCheckpoint,
        listed: &ListedDigests,
        locations: &[Location],
        recheck: Option<Recheck>,
        live: bool,
    ) -> Option<(Self, ListedDigests)> {
        let through = before.through.as_ref()?;
        let named = |object: &ObjectRef| identity(object, live).into_owned();
        let drawn_days = recheck.map(|recheck| recheck.days_of(id, before, listed.ends().min())).unwrap_or_default();
        let mut resume = Self { before: before.clone(), drawn_days, live, ..Self::default() };
        let mut wanted = Vec::new();
        resume.verified.insert(named(&through.object));
        wanted.push((through.object.clone(), DigestKind::Standard, through.end));
        for point in &before.open {
            match &point.what {
                Open::Digest { object, kind, end, status, is_named } => {
                    resume.known_bad.insert(named(object));
                    if *end > through.end {
                        continue;
                    }
                    if *is_named {
                        resume.awaited.insert(named(object));
                    }
                    // An invalid digest is emitted again only if it is valid now: somebody may have
                    // restored the genuine one.
                    if *status != DigestStatus::Invalid {
                        resume.again.insert(named(object));
                        resume.late.insert(named(object));
                    }
                    wanted.push((object.clone(), *kind, *end));
                }
                Open::Contradicted { object, end, .. } => {
                    resume.verified.insert(named(object));
                    let kind = DigestName::parse(&object.key).map_or(DigestKind::Standard, |name| name.kind);
                    wanted.push((object.clone(), kind, *end));
                }
                Open::LogFile { .. } | Open::Unlisted { .. } | Open::Gap { .. } | Open::TailCut => {}
            }
        }
        // Verified digests that no listing shows are requested directly: they may be gone.
        for (object, kind, end) in unlisted(id, before, listed, locations) {
            if resume.verified.insert(named(&object)) {
                resume.gone.push((object.clone(), end));
                wanted.push((object, kind, end));
            }
        }
        let read_back = read_back(before);
        let mut by_time: Vec<ListedDigest> = listed.iter().collect();
        by_time.sort_by_key(|digest| (digest.end, digest.kind));
        let open: HashSet<String> = wanted.iter().map(|(object, ..)| named(object)).collect();
        let mut keeps: Vec<bool> = Vec::with_capacity(by_time.len());
        for digest in &by_time {
            let name = named(&digest.object);
            let is_earlier = digest.end <= through.end && !resume.verified.contains(&name);
            let came_late = is_earlier && late_arrivals::is_new(digest, before, live);
            let comes_again = came_late || (is_earlier && resume.drawn_days.contains(&begin_of_day(digest.end)));
            keeps.push(comes_again || digest.end > read_back || open.contains(&name));
            if came_late {
                resume.late.insert(name.clone());
            }
            if comes_again {
                resume.again.insert(name);
            }
        }
        // Also keep the neighbours of these digests: the record in its successor may be all that
        // proves a digest, and the neighbours list some of the log files of its hour.
        let standard: Vec<usize> =
            (0..by_time.len()).filter(|index| by_time[*index].kind == DigestKind::Standard).collect();
        for near in standard.windows(2) {
            let is_again = |index: usize| resume.again.contains(&named(&by_time[index].object));
            let (first, second) = (is_again(near[0]), is_again(near[1]));
            keeps[near[0]] |= second;
            keeps[near[1]] |= first;
        }
        let mut kept = ListedDigests::default();
        let mut there: HashSet<String> = HashSet::new();
        for (digest, _) in by_time.iter().zip(keeps).filter(|(_, keeps)| *keeps) {
            kept.push(digest);
            there.insert(named(&digest.object));
        }
        for (object, kind, end) in wanted {
            if there.insert(named(&object)) {
                kept.push(&ListedDigest { object, kind, end, last_modified: None, size: None });
            }
        }
        Some((resume, kept))
    }

    /// The time from which the run continues.
    pub(crate) fn start(&self) -> Option<Timestamp> {
        self.before.end()
    }

    /// The time from which on unlisted log files are looked for.
    pub(crate) fn unlisted_from(&self) -> Option<Timestamp> {
        self.before.unlisted_from.or(self.before.end())
    }

    /// Returns whether a digest from before the range is emitted.
    pub(crate) fn emits(&self, digest: &LoadedEntry<'_>) -> bool {
        let name = identity(&digest.object, self.live);
        let (is_valid, is_known_bad) = (digest.valid.is_some(), self.known_bad.contains(&*name));
        // Emit one that was valid and no longer is, one that is valid again, and the last verified
        // one, since this run checked that it is unchanged.
        self.again.contains(&*name) || self.verified.contains(&*name) || is_valid == is_known_bad
    }

    /// Returns whether the log files of a digest from before the range are read again.
    pub(crate) fn reads(&self, digest: &LoadedEntry<'_>) -> bool {
        let name = identity(&digest.object, self.live);
        let is_back = digest.valid.is_some() && self.known_bad.contains(&*name);
        self.again.contains(&*name) || is_back
    }

    /// Returns whether any digest may have come late or been restored.
    pub(crate) fn expects_late(&self) -> bool {
        !(self.late.is_empty() && self.known_bad.is_empty())
    }

    /// Returns whether a digest of a past hour came late or was restored.
    pub(crate) fn came_late(&self, digest: &LoadedEntry<'_>) -> bool {
        let name = identity(&digest.object, self.live);
        digest.valid.is_some() && (self.late.contains(&*name) || self.known_bad.contains(&*name))
    }

    /// Returns whether the predecessor that a digest names is looked for although it lies before
    /// the range: a digest that came late or is read once more may name one that is gone.
    pub(crate) fn follows(&self, object: &ObjectRef, predecessor_end: Timestamp) -> bool {
        self.again.contains(&*identity(object, self.live))
            && self.before.begin.is_none_or(|begin| predecessor_end > begin)
    }

    /// The time before the range that is known to be covered: the last two days, unless a gap in
    /// them is open.
    pub(crate) fn known_coverage(&self) -> Option<Period> {
        let (begin, end) = (self.before.begin?, self.before.end()?);
        let from = earlier(end, SignedDuration::from_hours(48)).max(begin);
        self.open_gaps().all(|(_, _, to)| to <= from).then_some(Period::new(from, end))
    }

    /// Returns whether a digest existed and was valid at an earlier run.
    pub(crate) fn was_verified(&self, object: &ObjectRef) -> bool {
        self.verified.contains(&*identity(object, self.live))
    }

    /// Returns whether a valid digest named this one in an earlier run.
    pub(crate) fn awaits(&self, object: &ObjectRef) -> bool {
        self.awaited.contains(&*identity(object, self.live))
    }

    /// The gaps from before the range that may still close.
    pub(crate) fn open_gaps(&self) -> impl Iterator<Item = (GapCause, Timestamp, Timestamp)> + '_ {
        let end = self.before.end();
        self.before.open.iter().filter_map(move |point| match point.what {
            Open::Gap { cause, from, to } if end.is_some_and(|end| to <= end) => Some((cause, from, to)),
            _ => None,
        })
    }

    /// Returns whether a digest with this end would lie in one of those gaps.
    pub(crate) fn is_in_open_gap(&self, end: Timestamp) -> bool {
        self.open_gaps().any(|(_, from, to)| from < end && end <= to)
    }

    /// The digests that earlier runs verified and that are looked for, as bucket, prefix, series
    /// and the end time in the name.
    pub(crate) fn verified_digests(&self) -> impl Iterator<Item = (Arc<str>, String, DigestKind, Timestamp)> + '_ {
        self.before
            .verified
            .iter()
            .flat_map(|run| run.ends().map(|end| (Arc::clone(&run.bucket), run.prefix.clone(), run.kind, end)))
    }

    /// The log files of the last days that earlier runs verified, if they recorded any.
    pub(crate) fn verified_files(&self) -> Option<&VerifiedFiles> {
        self.before.verified_files.as_ref()
    }

    /// The time at which S3 had last written a digest that earlier runs listed.
    pub(crate) fn seen(&self) -> Option<Timestamp> {
        self.before.seen
    }

    /// The days of which all digests and log files are read once more.
    pub(crate) fn drawn_days(&self) -> &BTreeSet<Timestamp> {
        &self.drawn_days
    }

    /// The log folders beside `CloudTrail/` of which a valid digest has listed a file.
    pub(crate) fn log_folders(&self) -> impl Iterator<Item = &String> {
        self.before.log_folders.iter()
    }

    /// The log files that earlier runs could not judge.
    pub(crate) fn open_log_files(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<str>, Sha256Hash)> {
        self.before.open.iter().filter_map(|point| match &point.what {
            Open::LogFile { object, digest, sha256 } => Some((object, digest, *sha256)),
            _ => None,
        })
    }

    /// The log files that no digest listed in earlier runs.
    pub(crate) fn open_unlisted(&self) -> impl Iterator<Item = &ObjectRef> {
        self.before.open.iter().filter_map(|point| match &point.what {
            Open::Unlisted { object } => Some(object),
            _ => None,
        })
    }

    /// Returns the verified digests that the history no longer leads to: another object has
    /// replaced the digest, or it is gone and no rule explains that.
    pub(crate) fn contradictions(
        &self,
        entries: &[ChainEntry],
        spool: &DigestSpool,
    ) -> Result<Vec<Contradiction>, AuditError> {
        let through = self.before.through.iter().map(|digest| (&digest.object, Some(digest.sha256), digest.end, false));
        let gone = self.gone.iter().map(|(object, end)| (object, None, *end, false));
        let known = self.before.open.iter().filter_map(|point| match &point.what {
            Open::Contradicted { object, sha256, end } => Some((object, *sha256, *end, true)),
            _ => None,
        });
        let points: Vec<_> = known.chain(through).chain(gone).collect();
        let mut sights: Vec<Sighted> = Vec::new();
        sights.resize_with(points.len(), Sighted::default);
        let names: Vec<_> = points.iter().map(|(object, ..)| identity(object, self.live)).collect();
        for entry in entries {
            let digest = entry.whole(spool)?;
            let own_name = identity(&digest.object, self.live);
            let predecessor = digest.valid.as_ref().and_then(ValidDigest::predecessor);
            let predecessor = predecessor.map(|recorded| (identity(&recorded.object, self.live), recorded.sha256));
            for (((_, sha256, ..), name), sighted) in points.iter().zip(&names).zip(&mut sights) {
                if let Some((_, Some(other))) = predecessor.as_ref().filter(|(named, _)| named == name)
                    && sha256.is_some_and(|sha256| *other != sha256)
                    && sighted.recorded.is_none()
                {
                    let by = &digest.object.key;
                    sighted.recorded = Some(format!("its successor {by} recorded SHA-256 {other}"));
                }
                if own_name == *name && !sighted.is_there {
                    sighted.is_there = true;
                    sighted.replaced = replaced(&digest, sha256.as_ref());
                    sighted.is_back = match &digest.valid {
                        Some(digest) => sha256.is_none_or(|sha256| digest.sha256() == sha256),
                        None => entry.absence() == Some(Absence::Expired),
                    };
                }
            }
        }
        let mut found: Vec<Contradiction> = Vec::new();
        for ((object, sha256, end, is_known), sighted) in points.into_iter().zip(sights) {
            if found.iter().any(|other| other.object == *object) {
                continue;
            }
            // Cleared only when the original digest is seen again; a read error does not clear it.
            let still = (is_known && !sighted.is_back).then(|| "it was not seen to be back since".to_owned());
            if let Some(detail) = sighted.replaced.or(sighted.recorded).or(still) {
                let with = sha256.map(|sha256| format!(" with SHA-256 {sha256}")).unwrap_or_default();
                let detail = format!("an earlier run verified {object}{with}, and {detail}");
                found.push(Contradiction { object: object.clone(), sha256, end, detail });
            }
        }
        Ok(found)
    }
}

/// The observations of this run about a digest that was verified.
#[derive(Default)]
struct Sighted {
    /// True if an entry of the chain has its name.
    is_there: bool,
    is_back: bool,
    /// The description of the object that replaced it.
    replaced: Option<String>,
    /// The description of a different hash that its successor recorded.
    recorded: Option<String>,
}

/// Describes the object that replaced a digest with this hash; `None` if it is the same.
fn replaced(whole: &LoadedEntry<'_>, sha256: Option<&Sha256Hash>) -> Option<String> {
    let differs = |found: Sha256Hash| sha256.is_some_and(|sha256| found != *sha256);
    if let Some(digest) = &whole.valid {
        let is_another = differs(digest.sha256());
        return is_another.then(|| format!("another one stands there, with SHA-256 {}", digest.sha256()));
    }
    match &whole.entry.state {
        EntryState::Rejected(digest) => match digest.sha256 {
            Some(found) if differs(found) => Some(format!("another one stands there, with SHA-256 {found}")),
            None if digest.rejection.status == DigestStatus::Invalid => {
                Some(format!("what stands there is no digest: it {}", digest.rejection.detail))
            }
            _ => None,
        },
        EntryState::Absent(_, Absence::Missing) => Some("it is gone, and no lifecycle rule explains that".to_owned()),
        EntryState::Valid(_) | EntryState::Absent(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::resume::late_arrivals::Deliveries;
    use crate::model::{LogRoot, OpenPoint, VerifiedDigest, VerifiedRun};

    /// A time in the test's month, such as `02T05:00`.
    fn at(time: &str) -> Timestamp {
        format!("2026-03-{time}:00Z").parse().unwrap()
    }

    fn chain() -> ChainId {
        let name = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/03/01/\
                    111122223333_CloudTrail-Digest_us-east-1_trail_us-east-1_20260301T000000Z.json.gz";
        DigestName::parse(name).unwrap().chain
    }

    fn object(kind: DigestKind, end: Timestamp) -> ObjectRef {
        let root = LogRoot { prefix: String::new() };
        ObjectRef::new("logs", DigestName { root, chain: chain(), kind, end }.key())
    }

    fn listed(end: &str, written: Option<&str>) -> ListedDigest {
        let (kind, end) = (DigestKind::Standard, at(end));
        let last_modified = Some(written.map_or(end, at));
        ListedDigest { object: object(kind, end), kind, end, last_modified, size: None }
    }

    /// The digests of the first days of the month, hour by hour, each written when it ends.
    fn hourly(hours: i64) -> Vec<ListedDigest> {
        let end = |hour| at("01T00:00") + SignedDuration::from_hours(hour);
        let digest = |hour| {
            let (kind, end) = (DigestKind::Standard, end(hour));
            ListedDigest { object: object(kind, end), kind, end, last_modified: Some(end), size: None }
        };
        (1..=hours).map(digest).collect()
    }

    /// The state after a run that verified everything up to this time.
    fn verified_to(end: &str) -> ChainCheckpoint {
        let through = VerifiedDigest {
            object: object(DigestKind::Standard, at(end)),
            sha256: Sha256Hash([0; 32]),
            signature: None,
            end: at(end),
        };
        let unlisted_from = Some(at(end) - SignedDuration::from_hours(1));
        let (begin, through) = (Some(at("01T00:00")), Some(through));
        ChainCheckpoint { begin, through, unlisted_from, seen: Some(at(end)), ..ChainCheckpoint::default() }
    }

    fn open_digest(end: &str, status: DigestStatus, is_named: bool) -> OpenPoint {
        let (kind, end) = (DigestKind::Standard, at(end));
        OpenPoint { what: Open::Digest { object: object(kind, end), kind, end, status, is_named }, since: None }
    }

    /// Selects from a listing, and gives the ends of the digests that are read.
    fn select(before: &ChainCheckpoint, listed: &[ListedDigest], recheck: Option<f64>) -> (Resume, Vec<String>) {
        let recheck = recheck.map(|percent| Recheck { percent, seed: 1 });
        let locations = [Location { bucket: "logs".to_owned(), root: LogRoot { prefix: String::new() } }];
        let listed: ListedDigests = listed.iter().collect();
        let (resume, digests) = Resume::select(&chain(), before, &listed, &locations, recheck, true).unwrap();
        let mut ends: Vec<Timestamp> = digests.ends().collect();
        ends.sort_unstable();
        (resume, ends.iter().map(|end| end.strftime("%dT%H:%M").to_string()).collect())
    }

    #[test]
    fn a_run_reads_on_from_the_last_verified_digest() {
        // The digests of the last hours are read once more: they list the log files of the time
        // from which unlisted ones are looked for.
        let (resume, read) = select(&verified_to("01T10:00"), &hourly(12), None);
        assert_eq!(read, ["01T08:00", "01T09:00", "01T10:00", "01T11:00", "01T12:00"]);
        assert_eq!((resume.start(), resume.expects_late()), (Some(at("01T10:00")), false));
    }

    #[test]
    fn what_came_late_is_read_with_its_neighbours() {
        let mut digests = hourly(50);
        digests[10] = listed("01T11:00", Some("03T12:00"));
        let (resume, read) = select(&verified_to("03T00:00"), &digests, None);
        assert_eq!(read[..3], ["01T10:00", "01T11:00", "01T12:00"]);
        assert!(resume.expects_late() && resume.follows(&digests[10].object, at("01T10:00")));
        // Once it is known, it is not late again.
        let Deliveries { seen, recent } = Deliveries::of(&digests.iter().collect(), true);
        let known = ChainCheckpoint { seen, recent, ..verified_to("03T00:00") };
        assert!(!select(&known, &digests, None).0.expects_late());
    }

    #[test]
    fn what_is_open_is_asked_for_though_no_listing_shows_it() {
        for (status, is_named, is_late) in [
            (DigestStatus::Missing, true, true),
            (DigestStatus::Unverified, false, true),
            // One that is invalid counts again only if it is valid now.
            (DigestStatus::Invalid, true, false),
        ] {
            let mut before = verified_to("02T00:00");
            before.open.push(open_digest("01T05:00", status, is_named));
            let mut digests = hourly(26);
            digests.remove(4);
            let (resume, read) = select(&before, &digests, None);
            assert_eq!(read[0], "01T05:00", "{status}");
            let asked = object(DigestKind::Standard, at("01T05:00"));
            assert_eq!((resume.awaits(&asked), !resume.late.is_empty()), (is_named, is_late), "{status}");
        }
    }

    #[test]
    fn verified_digests_that_no_listing_shows_are_asked_for() {
        let ends = hourly(24).into_iter().map(|digest| ("logs".into(), String::new(), digest.kind, digest.end));
        let before = ChainCheckpoint { verified: VerifiedRun::encode(ends), ..verified_to("02T00:00") };
        let mut digests = hourly(26);
        digests.drain(3..5);
        let (resume, read) = select(&before, &digests, None);
        assert_eq!(read[..2], ["01T04:00", "01T05:00"]);
        assert!(resume.was_verified(&object(DigestKind::Standard, at("01T04:00"))));
        // A place that could not be listed whole shows nothing of what is gone.
        let listed: ListedDigests = digests.iter().collect();
        let (_, unasked) = Resume::select(&chain(), &before, &listed, &[], None, true).unwrap();
        assert!(unasked.ends().all(|end| end > at("01T20:00")));
    }

    #[test]
    fn a_recheck_draws_whole_days() {
        let (digests, before) = (hourly(96), verified_to("04T12:00"));
        let all = select(&before, &digests, Some(100.0)).1;
        assert_eq!(all.len(), 96);
        let none = select(&before, &digests, Some(0.0)).1;
        assert_eq!(none, select(&before, &digests, None).1);
    }

    #[test]
    fn nothing_is_selected_before_a_digest_was_verified() {
        let listed: ListedDigests = hourly(3).iter().collect();
        assert!(Resume::select(&chain(), &ChainCheckpoint::default(), &listed, &[], None, true).is_none());
    }
}
