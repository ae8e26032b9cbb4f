//! The part of the next checkpoint that concerns one chain.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::audit::digests::identity::{identity, name_hash};
use crate::audit::log_folder::day_check::folder_of_listed;
use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::model::{
    ChainCheckpoint, CountedFindings, DigestStatus, Fault, GapCause, LogFileStatus, ObjectRef, Open, OpenPoint,
};
use crate::records::LogFileRecord;

/// The data kept of a chain for the next checkpoint.
#[derive(Debug)]
pub(crate) struct ChainPart {
    /// The finding of earlier runs that its tail is cut.
    pub cut: Option<OpenPoint>,
    /// The violations of earlier runs that have no names, and the number of each kind that this run
    /// met again.
    pub counted_before: Vec<(CountedFindings, u64)>,
    /// True if the digest that was last emitted lies in the time that earlier runs verified.
    pub is_in_past: bool,
    /// The end of the last digest that earlier runs verified.
    verified_to: Option<Timestamp>,
    pub snapshot: ChainSnapshot,
    pub checkpoint: ChainCheckpoint,
    /// The number of log files that are kept open because they were not copied.
    pub not_copied: usize,
    /// The index of each open object among the open points.
    places: HashMap<(ObjectRef, bool), usize>,
}

impl ChainPart {
    /// Begins the part of a chain from the checkpoint of earlier runs and the snapshot of this one.
    pub(crate) fn new(before: Option<&ChainCheckpoint>, snapshot: ChainSnapshot) -> Self {
        let mut old = before.cloned().unwrap_or_default();
        let cut = old.open.iter().find(|point| point.what == Open::TailCut).cloned();
        let verified_to = old.end();
        let counted_before = old.counted.iter().map(|counted| (counted.clone(), 0)).collect();
        let old_points = std::mem::take(&mut old.open);
        let mut checkpoint = continued(old, before, &snapshot);
        // A violation that this run says nothing about stands.
        let standing = old_points.into_iter().filter(|point| !snapshot.listing_failed && point.is_standing());
        let inherited: Vec<OpenPoint> = std::mem::take(&mut checkpoint.open).into_iter().chain(standing).collect();
        let (not_copied, places) = (0, HashMap::new());
        let is_in_past = false;
        let mut next = Self { cut, counted_before, is_in_past, verified_to, snapshot, checkpoint, not_copied, places };
        inherited.into_iter().for_each(|point| next.open(point));
        for (object, kind, end) in next.snapshot.awaited.clone() {
            let (status, is_named) = (DigestStatus::Missing, true);
            let awaited = Open::Digest { object, kind, end, status, is_named, fault: None, sha256: None };
            let point = OpenPoint::new(awaited, None, &next.snapshot.id);
            if name_of(&point.what).is_none_or(|name| !next.places.contains_key(&name)) {
                next.open(point);
            }
        }
        next.close_restored();
        next
    }

    /// Removes the points of digests that are valid again.
    fn close_restored(&mut self) {
        // A digest that is valid again is no longer open.
        let back = std::mem::take(&mut self.snapshot.back);
        let open = &mut self.checkpoint.open;
        open.retain(|point| !matches!(&point.what, Open::Digest { object, .. } if back.contains(object)));
        let places = open.iter().enumerate().filter_map(|(index, point)| Some((name_of(&point.what)?, index)));
        self.places = places.collect();
    }

    /// Opens a point, or replaces the one about the same object.
    pub(crate) fn open(&mut self, new: OpenPoint) {
        let open = &mut self.checkpoint.open;
        let index = match name_of(&new.what) {
            Some(object) => *self.places.entry(object).or_insert(open.len()),
            None => open.iter().position(|point| point.what == new.what).unwrap_or(open.len()),
        };
        match open.get_mut(index) {
            Some(point) => *point = new,
            None => open.push(new),
        }
    }

    /// Closes the point about an object that is as it should be again.
    pub(crate) fn close(&mut self, object: &ObjectRef, is_digest: bool) {
        let Some(index) = self.places.remove(&(object.clone(), is_digest)) else { return };
        self.checkpoint.open.swap_remove(index);
        if let Some(name) = self.checkpoint.open.get(index).and_then(|moved| name_of(&moved.what)) {
            self.places.insert(name, index);
        }
    }

    /// Counts a violation of which the checkpoint keeps no name.
    pub(crate) fn add_counted(&mut self, what: &str) {
        let counted = &mut self.checkpoint.counted;
        match counted.iter_mut().find(|counted| counted.what == what && counted.acknowledged.is_none()) {
            Some(counted) => counted.count = counted.count.saturating_add(1),
            None => counted.push(CountedFindings { what: what.to_owned(), count: 1, acknowledged: None }),
        }
    }

    /// Notes that the records of a digest follow.
    pub(crate) fn begin_digest(&mut self, end: Timestamp) {
        self.is_in_past = self.verified_to.is_some_and(|verified_to| end <= verified_to);
    }

    /// Returns the findings among which a violation of the time that earlier runs verified was
    /// counted, if the checkpoint has no names of all of those.
    pub(crate) fn take_counted(&mut self, what: &str) -> Option<&CountedFindings> {
        let is_left = |(counted, met): &&mut (CountedFindings, u64)| counted.what == what && *met < counted.count;
        let (counted, met) = self.counted_before.iter_mut().filter(|_| self.is_in_past).find(is_left)?;
        *met += 1;
        Some(counted)
    }

    /// Records for later runs whether a log file that a valid digest lists exists.
    pub(crate) fn note_presence(&mut self, file: &LogFileRecord) {
        let Some(files) = &mut self.checkpoint.verified_files else { return };
        let name = identity(&file.object, !self.snapshot.is_copy);
        let Some((folder, _)) = folder_of_listed(&name) else { return };
        let hash = name_hash(files, &name);
        let Some(day) = files.days.get_mut(folder) else { return };
        match (file.status, file.fault) {
            (LogFileStatus::Deleted, _) | (_, Some(Fault::NotFound | Fault::Expired)) => day.lose(hash),
            (LogFileStatus::Intact | LogFileStatus::Modified, _) => day.find_again(hash),
            _ => {}
        }
    }

    /// Returns whether a gap is kept: one that may still close, or that the next run will find
    /// again.
    pub(crate) fn keeps_gap(&self, cause: GapCause, to: Timestamp) -> bool {
        let is_earlier = self.checkpoint.end().is_some_and(|through| to <= through);
        let may_close = matches!(
            cause,
            GapCause::DigestsMissing
                | GapCause::DigestsInvalid
                | GapCause::DigestsUnverified
                | GapCause::NotYetDelivered
        );
        !is_earlier || may_close
    }
}

/// Returns the object of an open point, and whether it is a digest.
fn name_of(what: &Open) -> Option<(ObjectRef, bool)> {
    match what {
        Open::Digest { object, .. } => Some((object.clone(), true)),
        Open::LogFile { object, .. } | Open::Unlisted { object } => Some((object.clone(), false)),
        Open::Gap { .. } | Open::Contradicted { .. } | Open::TailCut => None,
    }
}

/// Returns the next checkpoint of a chain, before its open points are added. `before` is the one
/// that earlier runs left, and `old` is the same without its open points, or a new one.
fn continued(old: ChainCheckpoint, before: Option<&ChainCheckpoint>, snapshot: &ChainSnapshot) -> ChainCheckpoint {
    if snapshot.listing_failed {
        // Other objects may have arrived unseen, so the next run continues from the same position.
        let before = before.cloned().unwrap_or_default();
        return before;
    }
    let through = match (old.through, snapshot.through.clone()) {
        (Some(old), Some(new)) if old.end >= new.end => Some(old),
        (old, new) => new.or(old),
    };
    ChainCheckpoint {
        begin: old.begin,
        unlisted_from: old.unlisted_from.max(snapshot.unlisted_from),
        through,
        seen: old.seen.max(snapshot.deliveries.seen),
        recent: snapshot.deliveries.recent.clone(),
        verified: snapshot.verified.clone(),
        log_folders: snapshot.log_folders.clone(),
        verified_files: snapshot.verified_files.clone(),
        activity: snapshot.activity.clone(),
        open: Vec::new(),
        counted: old.counted,
    }
}
