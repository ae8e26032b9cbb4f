//! Continuation from a checkpoint: selecting the digests that a run needs, and checking that the
//! history still leads to the verified ones.
//!
//! Of each chain, a run reads the digests after the last verified one; that digest itself, which
//! must still exist unchanged; the open ones; and those that came late: S3's time of the last write
//! identifies them among the digests whose hour is past. The digests of the last hours before are
//! read once more, since only they list the log files of those hours.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::digests::identity::{identity, rank};
use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::audit::request::Recheck;
use crate::audit::resume::late_arrivals;
use crate::audit::resume::listing_range::{lately, read_back};
use crate::audit::resume::state::Resume;
use crate::model::{
    ChainCheckpoint, ChainId, DAY, DigestKind, DigestName, DigestStatus, FindingId, ObjectRef, Open, OpenPoint,
    begin_of_day,
};
use crate::store::Location;

/// The digests of a chain that a run reads.
pub(crate) struct Selected {
    pub resume: Resume,
    pub digests: ListedDigests,
}

/// The part of the earlier runs' results that a run looks at again.
#[derive(Debug, Default)]
pub(crate) struct ReadAgain {
    pub recheck: Option<Recheck>,
    /// The violations whose objects are read again.
    pub violations: Arc<BTreeSet<FindingId>>,
}

/// Selects the listed digests of a chain that the run needs, and adds those that it needs besides.
/// Returns `None` if nothing of the chain was verified yet. `locations` are those that were listed
/// completely for it.
pub(crate) fn select(
    id: &ChainId,
    before: &ChainCheckpoint,
    listed: &ListedDigests,
    locations: &[Location],
    again: &ReadAgain,
    exact: bool,
) -> Option<Selected> {
    let through = before.through.as_ref()?;
    let drawn_days = again.recheck.map(|recheck| recheck.days_of(id, before, listed.ends().min())).unwrap_or_default();
    let read_again = again.violations.clone();
    let resume = Resume { before: before.clone(), drawn_days, read_again, exact, ..Resume::default() };
    let mut selection = Selection { resume, end: through.end, wanted: Vec::new() };
    selection.add_verified(through.object.clone(), DigestKind::Standard, through.end);
    for point in &before.open {
        selection.add_open(point);
    }
    for digest in not_shown(id, before, listed, locations) {
        selection.add_gone(digest);
    }
    let mut by_time: Vec<ListedDigest> = listed.iter().collect();
    by_time.sort_by_key(|digest| (digest.end, digest.kind));
    let mut keeps = selection.mark(&by_time);
    selection.keep_neighbours(&by_time, &mut keeps);
    Some(selection.finish(&by_time, &keeps))
}

/// A selection that is being made.
struct Selection {
    resume: Resume,
    /// The end of the last verified digest.
    end: Timestamp,
    /// The digests that are read whether or not they are listed.
    wanted: Vec<Wanted>,
}

impl Selection {
    fn named(&self, object: &ObjectRef) -> String {
        identity(object, self.resume.exact).into_owned()
    }

    /// Adds a digest that an earlier run verified.
    fn add_verified(&mut self, object: ObjectRef, kind: DigestKind, end: Timestamp) {
        self.resume.verified.insert(self.named(&object));
        self.wanted.push(Wanted { object, kind, end });
    }

    /// Adds the digest of an open point, if it is one of the past.
    fn add_open(&mut self, point: &OpenPoint) {
        match &point.what {
            Open::Digest { object, kind, end, status, is_named, .. } => {
                let name = self.named(object);
                self.resume.known_bad.insert(name.clone());
                let is_left_alone = point.is_standing() && !self.resume.read_again.contains(&point.id);
                if *end > self.end || is_left_alone {
                    return;
                }
                if *is_named {
                    self.resume.awaited.insert(name.clone());
                }
                // The log files that an invalid digest claims are not reported again.
                if *status != DigestStatus::Invalid {
                    self.resume.again.insert(name.clone());
                    self.resume.late.insert(name);
                }
                self.wanted.push(Wanted { object: object.clone(), kind: *kind, end: *end });
            }
            Open::Contradicted { object, end, .. } => {
                let kind = DigestName::parse(&object.key).map_or(DigestKind::Standard, |name| name.kind);
                self.add_verified(object.clone(), kind, *end);
            }
            Open::LogFile { .. } | Open::Unlisted { .. } | Open::Gap { .. } | Open::TailCut => {}
        }
    }

    /// Adds a verified digest that no listing shows. It is read directly: it may be gone.
    fn add_gone(&mut self, digest: Wanted) {
        if self.resume.verified.insert(self.named(&digest.object)) {
            self.resume.gone.push((digest.object.clone(), digest.end));
            self.wanted.push(digest);
        }
    }

    /// Returns for each listed digest whether it is read, and marks those that came late or are
    /// emitted again.
    fn mark(&mut self, by_time: &[ListedDigest]) -> Vec<bool> {
        let read_back = read_back(&self.resume.before);
        let wanted: HashSet<String> = self.wanted.iter().map(|wanted| self.named(&wanted.object)).collect();
        let mut keeps = Vec::with_capacity(by_time.len());
        for digest in by_time {
            let name = self.named(&digest.object);
            let is_earlier = digest.end <= self.end && !self.resume.verified.contains(&name);
            let came_late = is_earlier && late_arrivals::is_new(digest, &self.resume.before, self.resume.exact);
            // The last verified digest is read in each run, and its log files only if its day is drawn.
            let is_drawn = digest.end <= self.end && self.resume.drawn_days.contains(&begin_of_day(digest.end));
            keeps.push(came_late || is_drawn || digest.end > read_back || wanted.contains(&name));
            if came_late {
                self.resume.late.insert(name.clone());
            }
            if came_late || is_drawn {
                self.resume.again.insert(name);
            }
        }
        keeps
    }

    /// Also keeps the neighbours of the digests that are emitted again: the record in its successor
    /// may be all that proves a digest, and the neighbours list some of the log files of its hour.
    fn keep_neighbours(&self, by_time: &[ListedDigest], keeps: &mut [bool]) {
        let is_standard = |index: &usize| by_time[*index].kind == DigestKind::Standard;
        let is_again = |index: usize| {
            let name = self.named(&by_time[index].object);
            self.resume.again.contains(&name) || self.resume.known_bad.contains(&name)
        };
        let standard: Vec<usize> = (0..by_time.len()).filter(is_standard).collect();
        for near in standard.windows(2) {
            let (first, second) = (is_again(near[0]), is_again(near[1]));
            keeps[near[0]] |= second;
            keeps[near[1]] |= first;
        }
    }

    fn finish(self, by_time: &[ListedDigest], keeps: &[bool]) -> Selected {
        let mut digests = ListedDigests::default();
        let mut there: HashSet<String> = HashSet::new();
        for (digest, _) in by_time.iter().zip(keeps).filter(|(_, keeps)| **keeps) {
            digests.push(digest);
            there.insert(self.named(&digest.object));
        }
        for Wanted { object, kind, end } in &self.wanted {
            if there.insert(self.named(object)) {
                let object = object.clone();
                digests.push(&ListedDigest { object, kind: *kind, end: *end, last_modified: None, size: None });
            }
        }
        Selected { resume: self.resume, digests }
    }
}

/// A digest that is read directly if no listing shows it.
struct Wanted {
    object: ObjectRef,
    kind: DigestKind,
    end: Timestamp,
}

/// Returns the digests that earlier runs verified in locations that were listed completely, and
/// that the listing does not show.
fn not_shown(id: &ChainId, before: &ChainCheckpoint, listed: &ListedDigests, locations: &[Location]) -> Vec<Wanted> {
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
                found.push(Wanted { object, kind: run.kind, end });
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

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::audit::resume::late_arrivals::Deliveries;
    use crate::model::{LogRoot, OpenPoint, Sha256Hash, VerifiedDigest, VerifiedRun};

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
        let object = object(kind, end);
        let what = Open::Digest { object, kind, end, status, is_named, fault: None, sha256: None };
        OpenPoint::new(what, None, &chain())
    }

    /// Selects from a listing, and gives the ends of the digests that are read.
    fn select(before: &ChainCheckpoint, listed: &[ListedDigest], recheck: Option<f64>) -> (Resume, Vec<String>) {
        let recheck = recheck.map(|percent| Recheck { percent, seed: 1 });
        let again = ReadAgain { recheck, violations: Arc::default() };
        let locations = [Location { bucket: "logs".to_owned(), root: LogRoot { prefix: String::new() } }];
        let listed: ListedDigests = listed.iter().collect();
        let Selected { resume, digests } = super::select(&chain(), before, &listed, &locations, &again, true).unwrap();
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
        let unasked = super::select(&chain(), &before, &listed, &[], &ReadAgain::default(), true).unwrap().digests;
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
        assert!(
            super::select(&chain(), &ChainCheckpoint::default(), &listed, &[], &ReadAgain::default(), true).is_none()
        );
    }
}
