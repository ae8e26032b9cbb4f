//! The part of the next checkpoint that concerns one chain.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::audit::digests::identity::{identity, name_hash};
use crate::audit::log_folder::day_check::folder_of_listed;
use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::audit::resume::listing_range;
use crate::model::{ChainCheckpoint, DigestStatus, Fault, GapCause, LogFileStatus, ObjectRef, Open, OpenPoint};
use crate::records::LogFileRecord;

/// The data kept of a chain for the next checkpoint.
#[derive(Debug)]
pub(crate) struct ChainPart {
    /// The last digest that earlier runs verified.
    pub began_with: Option<ObjectRef>,
    /// The time since which its tail is known to be cut.
    pub cut_since: Option<Timestamp>,
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
        let cut_since = old.open.iter().find(|point| point.what == Open::TailCut).and_then(|point| point.since);
        let began_with = old.through.as_ref().map(|digest| digest.object.clone());
        let old_points = std::mem::take(&mut old.open);
        let mut checkpoint = continued(old, before, &snapshot);
        let known = if snapshot.listing_failed { Vec::new() } else { still_invalid(&checkpoint, old_points) };
        let inherited = std::mem::take(&mut checkpoint.open);
        let mut next = Self { cut_since, began_with, snapshot, checkpoint, not_copied: 0, places: HashMap::new() };
        inherited.into_iter().chain(known).for_each(|point| next.open(point.what, point.since));
        for (object, kind, end) in next.snapshot.awaited.clone() {
            next.open(Open::Digest { object, kind, end, status: DigestStatus::Missing, is_named: true }, None);
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

    pub(crate) fn open(&mut self, what: Open, since: Option<Timestamp>) {
        let open = &mut self.checkpoint.open;
        let index = match name_of(&what) {
            Some(object) => *self.places.entry(object).or_insert(open.len()),
            None => open.iter().position(|point| point.what == what).unwrap_or(open.len()),
        };
        match open.get_mut(index) {
            // The statement about a known point may change.
            Some(point) => *point = OpenPoint { since: point.since.or(since), what },
            None => open.push(OpenPoint { what, since }),
        }
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

    pub(crate) fn went_on_from(&self, object: &ObjectRef) -> bool {
        self.began_with.as_ref() == Some(object)
    }

    pub(crate) fn count(&mut self, word: Option<&'static str>, since: Option<Timestamp>) {
        if let (Some(word), None) = (word, since) {
            let reported = self.checkpoint.reported.entry(word.to_owned()).or_default();
            *reported = reported.saturating_add(1);
        }
    }

    /// Returns whether a digest that is not valid is kept: one that may still turn out to be valid,
    /// or that the next run will read again anyhow.
    pub(crate) fn keeps_digest(&self, status: DigestStatus, end: Timestamp) -> bool {
        status != DigestStatus::Invalid
            || end > listing_range::lately(&self.checkpoint).min(listing_range::read_back(&self.checkpoint))
    }

    /// Returns whether a gap is kept: one that may still close, or that the next run will find
    /// again.
    pub(crate) fn keeps_gap(&self, cause: GapCause, to: Timestamp) -> bool {
        let is_earlier = self.checkpoint.end().is_some_and(|through| to <= through);
        let may_close =
            matches!(cause, GapCause::DigestsMissing | GapCause::DigestsUnverified | GapCause::NotYetDelivered);
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
        return ChainCheckpoint { reported: old.reported, ..before };
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
        open: Vec::new(),
        reported: old.reported,
    }
}

/// Returns the invalid digests among the points that earlier runs left open. They are read again
/// for some weeks, and emitted only if they are valid then.
fn still_invalid(checkpoint: &ChainCheckpoint, points: Vec<OpenPoint>) -> Vec<OpenPoint> {
    let (lately, read_back) = (listing_range::lately(checkpoint), listing_range::read_back(checkpoint));
    let keeps_digest = |point: &OpenPoint| match &point.what {
        Open::Digest { status: DigestStatus::Invalid, end, is_named, .. } => {
            *end > read_back || (*is_named && *end > lately)
        }
        _ => false,
    };
    points.into_iter().filter(keeps_digest).collect()
}
