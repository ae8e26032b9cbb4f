//! Log files that no valid digest of a chain lists, stored compactly, and their classification.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::audit::listing::log_files::ListedFiles;
use crate::audit::request::EDGE;
use crate::model::{
    ChainId, Coverage, Fault, LogFileName, LogFileStatus, ObjectRef, PackedNames, Period, earlier, later,
};
use crate::records::{GapRecord, History, LogFileRecord};

/// The greatest age, by its name, at which a recently written log file counts as fresh. Otherwise
/// someone who overwrites an old file every hour could keep it out of the report forever.
const FRESH_NAME: SignedDuration = SignedDuration::from_hours(26);

/// A file in a log folder that no valid digest of the chain lists.
#[derive(Debug, Clone)]
pub(crate) struct Stray {
    pub object: ObjectRef,
    /// The time that its name and folder state; `None` for a file outside `REGION/YYYY/MM/DD/`.
    pub name: Option<LogFileName>,
    /// The time at which it was written, if that is recent.
    pub written: Option<Timestamp>,
}

/// Files of one listing, in the order of keys.
#[derive(Debug)]
struct Group {
    bucket: Arc<str>,
    /// The length of `…/REGION/`, which precedes the day in each key; `None` for files outside the
    /// folders of days.
    days_at: Option<usize>,
    keys: PackedNames,
    /// The write times of recently written files, by their index in the group.
    recent: BTreeMap<usize, Timestamp>,
}

/// A collection of such files, at some 25 bytes each.
#[derive(Debug, Default)]
pub(crate) struct StrayFiles {
    groups: Vec<Group>,
}

impl Group {
    fn new(bucket: Arc<str>, days_at: Option<usize>) -> Self {
        Self { bucket, days_at, keys: PackedNames::default(), recent: BTreeMap::new() }
    }

    fn push(&mut self, key: &str, written: Option<Timestamp>) {
        if let Some(written) = written {
            self.recent.insert(self.keys.len(), written);
        }
        self.keys.push(key);
    }

    fn stray(&self, index: usize, key: Arc<str>) -> Stray {
        let name = self.days_at.and_then(|at| LogFileName::parse(key.get(at..)?));
        let object = ObjectRef { bucket: self.bucket.clone(), key };
        Stray { object, name, written: self.recent.get(&index).copied() }
    }

    fn iter(&self) -> impl Iterator<Item = Stray> + '_ {
        self.keys.iter().enumerate().map(|(index, key)| self.stray(index, key))
    }
}

impl StrayFiles {
    /// Begins the files of another listing. `prefix` is the part of each key before the day; `None`
    /// outside the folders of days.
    pub(crate) fn begin(&mut self, bucket: Arc<str>, prefix: Option<&str>) {
        self.groups.push(Group::new(bucket, prefix.map(str::len)));
    }

    /// Adds a file of the listing that was begun last. Files have to come in the order of keys.
    pub(crate) fn push(&mut self, key: &str, written: Option<Timestamp>) {
        if let Some(group) = self.groups.last_mut() {
            group.push(key, written);
        }
    }

    /// Adds the files of a listing for which `keep` returns true.
    pub(crate) fn add_listed(&mut self, files: &ListedFiles, keep: impl Fn(&ObjectRef) -> bool) {
        let mut begun = false;
        for (object, written) in files.files().filter(|(object, _)| keep(object)) {
            if !std::mem::replace(&mut begun, true) {
                self.begin(object.bucket.clone(), Some(&files.prefix));
            }
            self.push(&object.key, written);
        }
    }

    /// Adds all files of `other`.
    pub(crate) fn append(&mut self, other: Self) {
        self.groups.extend(other.groups);
    }

    /// Returns whether there are no files.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.keys.is_empty())
    }

    /// Iterates over the files, listing by listing.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Stray> + '_ {
        self.groups.iter().flat_map(Group::iter)
    }

    /// Returns the files for which `keep` returns true.
    #[must_use]
    pub(crate) fn filtered(&self, mut keep: impl FnMut(&Stray) -> bool) -> Self {
        let groups = self.groups.iter().map(|group| {
            let mut kept = Group::new(group.bucket.clone(), group.days_at);
            for stray in group.iter().filter(|stray| keep(stray)) {
                kept.push(&stray.object.key, stray.written);
            }
            kept
        });
        Self { groups: groups.filter(|group| !group.keys.is_empty()).collect() }
    }

    /// Returns the earliest and the latest time that the names state.
    pub(crate) fn bounds(&self) -> Option<Period> {
        let names = || self.iter().filter_map(|stray| stray.name);
        let (start, end) = (names().map(|name| name.from).min()?, names().map(|name| name.to).max()?);
        Some(Period { start, end })
    }

    /// Returns each file once, sorted by key.
    pub(crate) fn into_sorted(self) -> SortedStrays {
        let groups = self.groups.into_iter().map(|group| {
            let Group { bucket, days_at, keys, recent } = group;
            let empty = Group { bucket, days_at, keys: PackedNames::default(), recent };
            let strays = keys.into_iter().enumerate().map(move |(index, key)| empty.stray(index, key));
            (Box::new(strays) as Box<dyn Iterator<Item = Stray> + Send>).peekable()
        });
        SortedStrays { groups: groups.collect(), last: None }
    }
}

/// Files of several listings, each once, sorted by key.
pub(crate) struct SortedStrays {
    groups: Vec<Peekable<Box<dyn Iterator<Item = Stray> + Send>>>,
    last: Option<ObjectRef>,
}

impl std::fmt::Debug for SortedStrays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SortedStrays").field("groups", &self.groups.len()).finish_non_exhaustive()
    }
}

impl Iterator for SortedStrays {
    type Item = Stray;

    fn next(&mut self) -> Option<Stray> {
        loop {
            let heads = self.groups.iter_mut().enumerate();
            let heads = heads.filter_map(|(index, group)| Some((index, group.peek()?.object.clone())));
            let (index, _) = heads.min_by(|(_, one), (_, other)| by_key(one, other))?;
            let next = self.groups[index].next()?;
            if self.last.as_ref() != Some(&next.object) {
                self.last = Some(next.object.clone());
                return Some(next);
            }
        }
    }
}

fn by_key(one: &ObjectRef, other: &ObjectRef) -> Ordering {
    (&one.key, &one.bucket).cmp(&(&other.key, &other.bucket))
}

/// The status of a file that no valid digest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrayClass {
    /// Valid digests cover its time, or CloudTrail puts no file where it lies.
    Unlisted,
    /// The same, but a digest that could not be verified of another trail may list it.
    Unverified,
    /// It lies in the gap with this index.
    Uncovered(usize),
    /// A digest that lists it may still come.
    Fresh,
    /// It lies so near the edge of the covered time that a digest beyond it may list it.
    Edge,
    /// Its time lies outside the range.
    OutOfRange,
}

/// The facts known of a chain when its strays are classified.
pub(crate) struct StrayJudge<'a> {
    /// The range in which log files are examined; an open side is that of the chain.
    pub from: Timestamp,
    pub to: Timestamp,
    pub coverage: &'a Coverage,
    /// The coverage with that of earlier runs. It is used for odd names, since digests are read for
    /// the day of an odd name only where it lies in the range.
    pub known_coverage: &'a Coverage,
    /// The times of digests that could not be verified of other trails.
    pub unverified_digests: &'a Coverage,
    pub gaps: &'a [GapRecord],
    /// The time since which files count as fresh, and the current time; `None` in a copy.
    pub live: Option<Period>,
    /// The times in names between which files of a copy are fresh; `None` if none are.
    pub copy_fresh: Option<Period>,
}

impl StrayJudge<'_> {
    /// The class of a file.
    pub(crate) fn class(&self, stray: &Stray) -> StrayClass {
        let Some(name) = stray.name else { return StrayClass::Unlisted };
        if name.is_odd() {
            return self.class_of_odd(&name);
        }
        if name.from < self.from || name.from >= self.to {
            return StrayClass::OutOfRange;
        }
        if self.is_fresh(stray, name.from) {
            return StrayClass::Fresh;
        }
        let around = (earlier(name.from, EDGE), later(name.from, EDGE));
        if self.coverage.contains(around.0, around.1) {
            let hidden = self.unverified_digests.contains(name.from, name.from);
            return if hidden { StrayClass::Unverified } else { StrayClass::Unlisted };
        }
        let inside = |gap: &GapRecord| gap.from <= name.from && name.from < gap.to;
        let near = |gap: &GapRecord| gap.from <= around.1 && around.0 < gap.to;
        let gap = self.gaps.iter().position(inside).or_else(|| self.gaps.iter().position(near));
        gap.map_or(StrayClass::Edge, StrayClass::Uncovered)
    }

    /// Classifies a file whose name states no time of its folder's day: by that day, as far as it
    /// lies in the range.
    fn class_of_odd(&self, name: &LogFileName) -> StrayClass {
        let (from, to) = (name.from.max(self.from), name.to.min(self.to));
        if from >= to {
            return StrayClass::OutOfRange;
        }
        let fresh_from = self.live.map_or(to, |fresh| fresh.start.min(to));
        let judged = if from < fresh_from { (from, fresh_from) } else { (from, to) };
        if self.known_coverage.holes(judged.0, judged.1).is_empty() {
            return StrayClass::Unlisted;
        }
        let overlaps = |gap: &GapRecord| gap.from < judged.1 && judged.0 < gap.to;
        self.gaps.iter().position(overlaps).map_or(StrayClass::Edge, StrayClass::Uncovered)
    }

    fn is_fresh(&self, stray: &Stray, time: Timestamp) -> bool {
        match self.live {
            Some(Period { start: fresh_from, end: now }) => {
                stray.written.is_some_and(|written| written >= fresh_from) && time > earlier(now, FRESH_NAME)
            }
            None => self.copy_fresh.is_some_and(|fresh| time > fresh.start && time <= fresh.end),
        }
    }
}

/// The record of a file that no valid digest lists.
pub(crate) fn stray_record(
    chain: &Arc<ChainId>,
    object: ObjectRef,
    status: LogFileStatus,
    fault: Fault,
    detail: &str,
) -> LogFileRecord {
    LogFileRecord {
        id: None,
        status,
        chain: chain.clone(),
        object,
        digest: None,
        expected_sha256: None,
        actual_sha256: None,
        size: None,
        fault: Some(fault),
        detail: Some(detail.to_owned()),
        versions: None,
        history: History::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChainId, GapCause};

    fn at(text: &str) -> Timestamp {
        format!("2026-03-{text}:00Z").parse().unwrap()
    }

    fn files(keys: &[&str], prefix: Option<&str>) -> StrayFiles {
        let mut files = StrayFiles::default();
        files.begin("b".into(), prefix);
        keys.iter().for_each(|key| files.push(key, None));
        files
    }

    #[test]
    fn files_of_several_listings_come_out_once_and_by_key() {
        let mut all = files(&["a/2026/03/01/x", "a/2026/03/01/z"], Some("a/"));
        all.append(files(&["a/2026/03/01/y", "a/2026/03/01/z", "a/z"], None));
        let sorted: Vec<_> = all.into_sorted().map(|stray| stray.object.key.to_string()).collect();
        assert_eq!(sorted, ["a/2026/03/01/x", "a/2026/03/01/y", "a/2026/03/01/z", "a/z"]);
    }

    fn gap(from: &str, to: &str) -> GapRecord {
        let id = |text: &str| text.parse().unwrap();
        let chain = ChainId {
            organization: None,
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            trail: id("trail"),
            home_region: "eu-west-1".parse().unwrap(),
        };
        GapRecord {
            id: None,
            cause: GapCause::DigestsMissing,
            chain: Arc::new(chain),
            from: at(from),
            to: at(to),
            missing_digests: 1,
            uncovered_log_files: 0,
            explained_by: None,
            ended_by: None,
            event_history: None,
            detail: String::new(),
            history: History::default(),
        }
    }

    #[test]
    fn a_stray_is_classified_by_its_time_and_its_folder() {
        let mut coverage = Coverage::default();
        coverage.add(at("01T00:00"), at("02T10:00"));
        coverage.add(at("02T12:00"), at("03T00:00"));
        let gaps = [gap("02T10:00", "02T12:00"), gap("03T00:00", "03T12:00")];
        let mut unverified_digests = Coverage::default();
        unverified_digests.add(at("01T06:00"), at("01T07:00"));
        let judge = StrayJudge {
            from: at("01T00:00"),
            to: at("03T12:00"),
            coverage: &coverage,
            known_coverage: &coverage,
            unverified_digests: &unverified_digests,
            gaps: &gaps,
            live: Some(Period::new(at("03T10:00"), at("03T12:00"))),
            copy_fresh: None,
        };
        use StrayClass::{Edge, Fresh, OutOfRange, Uncovered, Unlisted, Unverified};
        let recent = Some(at("03T11:00"));
        let cases = [
            ("01/x_x_20260301T0500Z_x.json.gz", None, Unlisted),
            ("01/x_x_20260301T0500Z_x.json.gz", recent, Unlisted),
            ("01/x_x_20260301T0630Z_x.json.gz", None, Unverified),
            ("01/x_x_20260301T0005Z_x.json.gz", None, Edge),
            ("02/x_x_20260302T1030Z_x.json.gz", None, Uncovered(0)),
            ("02/x_x_20260302T0950Z_x.json.gz", None, Uncovered(0)),
            ("02/x_x_20260302T1210Z_x.json.gz", None, Uncovered(0)),
            ("03/x_x_20260303T0800Z_x.json.gz", None, Uncovered(1)),
            ("03/x_x_20260303T0800Z_x.json.gz", recent, Fresh),
            ("02/x_x_20260302T1300Z_x.json.gz", recent, Fresh),
            ("03/x_x_20260303T1300Z_x.json.gz", None, OutOfRange),
            ("01/x_x_20990101T0000Z_x.json.gz", None, Unlisted),
            ("01/planted.json.gz", recent, Unlisted),
            ("02/planted.json.gz", None, Uncovered(0)),
            ("03/planted.json.gz", None, Uncovered(1)),
            ("09/planted.json.gz", None, OutOfRange),
        ];
        for (inside, written, expected) in cases {
            let mut files = StrayFiles::default();
            files.begin("b".into(), Some("a/"));
            files.push(&format!("a/2026/03/{inside}"), written);
            let stray = files.iter().next().unwrap();
            assert_eq!(judge.class(&stray), expected, "{inside}");
        }
        let outside = files(&["a/2026/x.json.gz"], None).iter().next().unwrap();
        assert_eq!(judge.class(&outside), Unlisted);
        let copy = StrayJudge { live: None, copy_fresh: Some(Period::new(at("02T22:00"), at("03T02:00"))), ..judge };
        let late = files(&["a/2026/03/02/x_x_20260302T2230Z_x.json.gz"], Some("a/")).iter().next().unwrap();
        assert_eq!(copy.class(&late), Fresh);
        let beyond = files(&["a/2026/03/03/x_x_20260303T0230Z_x.json.gz"], Some("a/")).iter().next().unwrap();
        assert_ne!(copy.class(&beyond), Fresh);
    }
}
