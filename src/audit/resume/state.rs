//! The state of a chain that earlier runs left, and what a run asks of it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::audit::digests::entry::LoadedEntry;
use crate::audit::digests::identity::identity;
use crate::model::{
    ChainCheckpoint, DigestKind, Fault, FindingId, GapCause, ObjectRef, Open, OpenPoint, PackedActivity, Period,
    Sha256Hash, VerifiedFiles, earlier,
};

/// The state of a chain that earlier runs left, and the digests that are emitted again.
#[derive(Debug, Default)]
pub(crate) struct Resume {
    pub(super) before: ChainCheckpoint,
    /// Digests from before the range that are emitted, by [`identity`].
    pub(super) again: HashSet<String>,
    /// Digests that earlier runs verified, by [`identity`].
    pub(super) verified: HashSet<String>,
    /// The verified digests that no listing shows any longer, with the end times in their names.
    pub(super) gone: Vec<(ObjectRef, Timestamp)>,
    /// The emitted digests that came late or were open; the others are only read once more.
    pub(super) late: HashSet<String>,
    /// Digests that a valid one named, by [`identity`].
    pub(super) awaited: HashSet<String>,
    /// Digests that are known not to be valid, by [`identity`].
    pub(super) known_bad: HashSet<String>,
    /// The days that are drawn to be read once more.
    pub(super) drawn_days: BTreeSet<Timestamp>,
    /// The violations of earlier runs whose objects are read again.
    pub(super) read_again: Arc<BTreeSet<FindingId>>,
    /// True if objects lie under the names that digests record: see [`identity`].
    pub(super) exact: bool,
}

impl Resume {
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
        let name = identity(&digest.object, self.exact);
        let (is_valid, is_known_bad) = (digest.valid.is_some(), self.known_bad.contains(&*name));
        // Emit one that is known not to be valid, one that was valid and no longer is, and the last
        // verified one, since this run checked that it is unchanged.
        self.again.contains(&*name) || self.verified.contains(&*name) || is_known_bad || !is_valid
    }

    /// Returns whether the log files of a digest from before the range are read again.
    pub(crate) fn reads(&self, digest: &LoadedEntry<'_>) -> bool {
        let name = identity(&digest.object, self.exact);
        let is_back = digest.valid.is_some() && self.known_bad.contains(&*name);
        self.again.contains(&*name) || is_back
    }

    /// Returns whether any digest may have come late or been restored.
    pub(crate) fn expects_late(&self) -> bool {
        !(self.late.is_empty() && self.known_bad.is_empty())
    }

    /// Returns whether a digest of a past hour came late or was restored.
    pub(crate) fn came_late(&self, digest: &LoadedEntry<'_>) -> bool {
        let name = identity(&digest.object, self.exact);
        digest.valid.is_some() && (self.late.contains(&*name) || self.known_bad.contains(&*name))
    }

    /// Returns whether the predecessor that a digest names is looked for although it lies before
    /// the range: a digest that came late or is read once more may name one that is gone.
    pub(crate) fn follows(&self, object: &ObjectRef, predecessor_end: Timestamp) -> bool {
        self.again.contains(&*identity(object, self.exact))
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
        self.verified.contains(&*identity(object, self.exact))
    }

    /// Returns whether a valid digest named this one in an earlier run.
    pub(crate) fn awaits(&self, object: &ObjectRef) -> bool {
        self.awaited.contains(&*identity(object, self.exact))
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

    /// The numbers of log files in the newest hours that earlier runs covered.
    pub(crate) fn activity(&self) -> &PackedActivity {
        &self.before.activity
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

    /// The log files that earlier runs could not judge, and those of the violations that this run
    /// reads again.
    pub(crate) fn open_log_files(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<str>, Sha256Hash)> {
        let read = |point: &&OpenPoint| !point.is_standing() || self.read_again.contains(&point.id);
        self.before.open.iter().filter(read).filter_map(|point| match &point.what {
            // Digests recorded different hashes of it, of which the checkpoint has only one.
            Open::LogFile { sha256, actual, fault: Some(Fault::HashMismatch), .. } if sha256 == actual => None,
            Open::LogFile { object, digest, sha256, .. } => Some((object, digest, (*sha256)?)),
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
}
