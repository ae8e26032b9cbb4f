//! The facts about a chain that the next run needs, collected when the chain was examined, before
//! its digests are emitted.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::Timestamp;

use crate::audit::coverage::examined_chain::ExaminedChain;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState};
use crate::audit::digests::identity::{identity, name_hash, written_hash};
use crate::audit::error::AuditError;
use crate::audit::log_folder::day_check::{day_of_folder, folder_of_listed, is_new, kept_days};
use crate::audit::log_folder::examine::LogFolder;
use crate::audit::request::{EDGE, fresh_from};
use crate::audit::resume::contradictions::Contradiction;
use crate::audit::resume::late_arrivals::{Deliveries, LOOK_BACK};
use crate::audit::resume::state::Resume;
use crate::audit::shared::context::Context;
use crate::audit::shared::range;
use crate::model::{
    ChainId, Depth, DigestKind, DigestName, DigestStatus, ObjectRef, PackedActivity, VerifiedDigest, VerifiedFiles,
    VerifiedRun, earlier,
};

/// The facts about an examined chain that the next run needs.
#[derive(Debug)]
pub(crate) struct ChainSnapshot {
    pub id: Arc<ChainId>,
    pub through: Option<VerifiedDigest>,
    pub unlisted_from: Option<Timestamp>,
    pub deliveries: Deliveries,
    /// The digests of the last 31 days that are verified now.
    pub verified: Vec<VerifiedRun>,
    /// The log folders beside `CloudTrail/` of which a valid digest has listed a file.
    pub log_folders: BTreeSet<String>,
    /// The log files of the last days that the next run has to find.
    pub verified_files: Option<VerifiedFiles>,
    /// The numbers of log files in the newest hours.
    pub activity: PackedActivity,
    /// True if the store is a copy.
    pub is_copy: bool,
    /// True if a part of it could not be listed.
    pub listing_failed: bool,
    pub contradictions: Vec<Contradiction>,
    /// True if CloudTrail's status of the chain's last delivery is not known to this run.
    pub is_tail_unknown: bool,
    /// True if the newest digests of the chain were removed.
    pub is_cut: bool,
    /// True if the log folder could not be listed, so that unlisted files may be there unseen.
    pub strays_unknown: bool,
    /// Digests that were valid in this run, which closes those that were known to be invalid.
    pub back: HashSet<ObjectRef>,
    /// Digests that are named and may still come.
    pub awaited: Vec<(ObjectRef, DigestKind, Timestamp)>,
    /// The digests that are absent or not valid, and that a valid one names.
    pub named: HashSet<ObjectRef>,
}

impl ChainSnapshot {
    /// Collects the facts about a chain. `earliest_fresh` is the earliest time of a log file that
    /// was left alone because it is fresh, and `activity` are the numbers of log files in the newest
    /// hours.
    pub(crate) fn new(
        chain: &ExaminedChain,
        context: &Context,
        earliest_fresh: Option<Timestamp>,
        is_cut: bool,
        activity: PackedActivity,
    ) -> Result<Self, AuditError> {
        let through = range::last_verified(&chain.judged.entries, &chain.judged.spool, context)?;
        let deep = context.request.depth != Depth::Chain;
        let end = through.as_ref().map(|digest| digest.end);
        let verified_files = if deep { verified_files(chain, context, end)? } else { None };
        let fresh = if context.store.properties().is_live { fresh_from(&context.request) } else { Timestamp::MAX };
        let unlisted_from = match (&chain.log_folder.failure, deep) {
            // The next run examines what could not be listed in this one.
            (Some(_), _) => context.range.start.or_else(|| chain.judged.entries.first().map(ChainEntry::start)),
            (None, true) => end.map(|end| {
                let judged = earlier(end, EDGE).min(fresh);
                earliest_fresh.map_or(judged, |earliest| judged.min(earliest))
            }),
            (None, false) => end,
        };
        let valid = || chain.judged.entries.iter().filter_map(ChainEntry::valid);
        let others = chain.judged.entries.iter().filter_map(|entry| match &entry.state {
            EntryState::Rejected(digest) => Some((entry, &digest.object)),
            EntryState::Absent(object, _) => Some((entry, &**object)),
            EntryState::Valid(_) => None,
        });
        let by_valid: HashSet<u64> = match others.clone().next() {
            Some(_) => valid().filter_map(|digest| digest.spool_key.predecessor_fingerprint()).collect(),
            None => HashSet::new(),
        };
        let (mut awaited, mut named) = (Vec::new(), HashSet::new());
        for (entry, object) in others {
            let before = context.resume.as_ref().is_some_and(|resume| resume.awaits(object));
            if before || by_valid.contains(&context.fingerprint(object)) {
                named.insert(object.clone());
            }
            if entry.absence() == Some(Absence::NotYetDelivered) {
                awaited.push((object.clone(), entry.kind, entry.end()));
            }
        }
        named.extend(chain.log_folder.past.named.iter().cloned());
        let mut back = HashSet::new();
        if context.resume.is_some() {
            for digest in valid() {
                back.insert(chain.judged.spool.valid(digest)?.object().clone());
            }
        }
        Ok(Self {
            back,
            id: chain.judged.id.clone(),
            through,
            unlisted_from,
            deliveries: chain.deliveries.clone(),
            verified: verified_runs(chain, context)?,
            verified_files,
            activity,
            is_copy: context.store.properties().is_copy,
            log_folders: chain.log_folder.other_folders.clone(),
            listing_failed: chain.listing_failure.is_some(),
            contradictions: chain.contradictions.clone(),
            is_tail_unknown: !matches!(context.status_of(&chain.judged.id), Some(Ok(_))),
            is_cut,
            strays_unknown: chain.log_folder.failure.is_some() || chain.listing_failure.is_some(),
            awaited,
            named,
        })
    }
}

/// Returns the digests that this run verified, and those of earlier runs that still exist, as far
/// as later runs look for them.
fn verified_runs(chain: &ExaminedChain, context: &Context) -> Result<Vec<VerifiedRun>, AuditError> {
    let now = context.request.now;
    let newest = chain.judged.entries.iter().filter(|entry| entry.valid().is_some()).map(ChainEntry::end).max();
    let old = context.resume.iter().flat_map(|resume| resume.verified_digests());
    let oldest = earlier(newest.unwrap_or(now), LOOK_BACK);
    let (mut found, mut gone) = (BTreeSet::new(), BTreeSet::new());
    let mut note = |object: &ObjectRef, is_there: bool| {
        let Some(name) = DigestName::parse(&object.key) else { return };
        // A digest in another day's folder could not be found again by its name.
        if name.end <= oldest || name.end > now || name.key() != *object.key {
            return;
        }
        let digest = (Arc::clone(&object.bucket), name.root.prefix, name.kind, name.end);
        if is_there {
            found.insert(digest)
        } else {
            gone.insert(digest)
        };
    };
    for entry in &chain.judged.entries {
        match &entry.state {
            EntryState::Valid(digest) => note(chain.judged.spool.valid(digest)?.object(), true),
            // A digest that is known to be gone or replaced is kept among the open points.
            EntryState::Rejected(digest) if digest.rejection.status == DigestStatus::Invalid => {
                note(&digest.object, false)
            }
            EntryState::Absent(object, _) => note(object, false),
            EntryState::Rejected(_) => {}
        }
    }
    let kept = old.filter(|digest| digest.3 > oldest && !gone.contains(digest));
    found.extend(kept);
    Ok(VerifiedRun::encode(found))
}

/// Returns the log files of the last two days that are listed by digests verified in this run or
/// earlier ones. Those that turn out to be gone are removed when their records are emitted.
fn verified_files(
    chain: &ExaminedChain,
    context: &Context,
    through: Option<Timestamp>,
) -> Result<Option<VerifiedFiles>, AuditError> {
    let resume = context.resume.as_deref();
    let before = resume.and_then(Resume::verified_files);
    let Some(through) = through.max(resume.and_then(Resume::start)) else { return Ok(None) };
    let days = kept_days(through);
    let key = match before {
        Some(before) => before.key,
        None => random_key()?,
    };
    let is_kept = |folder: &str| day_of_folder(folder).is_some_and(|day| days.contains(&day));
    // Until a later digest is written, these files would count as written later again.
    let seen = chain.deliveries.seen;
    let is_same = resume.is_some_and(|resume| seen <= resume.seen());
    let judged = before.filter(|_| is_same).map(|before| before.judged.clone()).unwrap_or_default();
    let before = before.into_iter().flat_map(|before| &before.days);
    // Days that were examined again replace their old state.
    let known = before.chain(&chain.log_folder.past.verified).filter(|(folder, _)| is_kept(folder));
    let known = known.map(|(folder, day)| (folder.clone(), day.clone()));
    let mut files = VerifiedFiles { key, judged, days: known.collect() };
    let LogFolder { recent, past, .. } = &chain.log_folder;
    let recent = recent.iter().chain(&past.recent).filter(|(written, _)| seen.is_some_and(|seen| *written > seen));
    let recent: Vec<u64> = recent.map(|(written, name)| written_hash(&files, name, *written)).collect();
    files.judged.extend(recent);
    let exact = !context.store.properties().is_copy;
    for entry in chain.judged.entries.iter().filter(|entry| entry.end() >= days[0]) {
        let Some(digest) = entry.valid().filter(|digest| digest.summary().log_files() > 0) else { continue };
        let is_in_range = context.range.includes(entry.start(), entry.end());
        let came_late = || resume.map_or(Ok(false), |resume| is_new(entry, &chain.judged.spool, resume));
        if !is_in_range && (entry.end() > through || !came_late()?) {
            continue;
        }
        for log_file in chain.judged.spool.valid(digest)?.log_files().iter() {
            let name = identity(&log_file.object, exact);
            let Some((folder, _)) = folder_of_listed(&name).filter(|(_, day)| days.contains(day)) else { continue };
            let hash = name_hash(&files, &name);
            files.days.entry(folder.to_owned()).or_default().add(hash);
        }
    }
    Ok(Some(files))
}

fn random_key() -> Result<[u8; 16], AuditError> {
    let mut key = [0; 16];
    SystemRandom::new().fill(&mut key).map_err(|_| AuditError::NoRandomNumbers)?;
    Ok(key)
}
