//! What the next run needs to know of a chain: taken from it when it was examined, before its digests are told of.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use super::element::{Absence, Element, State};
use super::error::AuditError;
use super::examine::ExaminedChain;
use super::range;
use super::request::{EDGE, fresh_from};
use super::resume::Contradiction;
use super::sight::{LOOK_BACK, Sight, earlier};
use crate::model::{ChainId, Depth, DigestKind, DigestName, DigestStatus, ObjectRef, VerifiedDigest, VerifiedRun};

/// What the next run needs to know of a chain that was examined.
#[derive(Debug)]
pub(super) struct Outlook {
    pub id: Arc<ChainId>,
    pub through: Option<VerifiedDigest>,
    pub unlisted_from: Option<Timestamp>,
    pub sight: Sight,
    /// The digests of the last 31 days that are verified now.
    pub verified: Vec<VerifiedRun>,
    /// The log folders beside `CloudTrail/` of which a valid digest has listed a file.
    pub log_folders: BTreeSet<String>,
    /// Whether a part of it could not be listed.
    pub is_unlisted: bool,
    pub contradictions: Vec<Contradiction>,
    /// Whether CloudTrail could not be asked about the chain's last delivery.
    pub is_tail_unknown: bool,
    /// Digests that were known to be invalid, and are valid.
    pub back: HashSet<ObjectRef>,
    /// Digests that are named and may still come.
    pub awaited: Vec<(ObjectRef, DigestKind, Timestamp)>,
    /// The digests that are not there or not valid, and that a valid one names.
    pub named: HashSet<ObjectRef>,
}

impl Outlook {
    /// `earliest_fresh`: the earliest time of a log file that was left alone because it is fresh.
    pub fn new(
        chain: &ExaminedChain,
        context: &Context,
        earliest_fresh: Option<Timestamp>,
    ) -> Result<Self, AuditError> {
        let through = range::last_verified(&chain.elements, &chain.shelf, context)?;
        let deep = context.request.depth != Depth::Chain;
        let end = through.as_ref().map(|digest| digest.end);
        let fresh = if context.store.is_live() { fresh_from(&context.request) } else { Timestamp::MAX };
        let unlisted_from = match (&chain.log_folder.failure, deep) {
            // What could not be looked at is looked at by the next run.
            (Some(_), _) => context.range.start.or_else(|| chain.elements.first().map(Element::start)),
            (None, true) => end.map(|end| {
                let judged = end.saturating_sub(EDGE).unwrap_or(end).min(fresh);
                earliest_fresh.map_or(judged, |earliest| judged.min(earliest))
            }),
            (None, false) => end,
        };
        let valid = || chain.elements.iter().filter_map(Element::valid);
        let others = chain.elements.iter().filter_map(|element| match &element.state {
            State::Rejected(digest) => Some((element, &digest.object)),
            State::Absent(object, _) => Some((element, &**object)),
            State::Valid(_) => None,
        });
        let by_valid: HashSet<u64> = match others.clone().next() {
            Some(_) => valid().filter_map(|digest| digest.kept.follows()).collect(),
            None => HashSet::new(),
        };
        let (mut awaited, mut named) = (Vec::new(), HashSet::new());
        for (element, object) in others {
            let before = context.resume.as_ref().is_some_and(|resume| resume.awaits(object));
            if before || by_valid.contains(&context.fingerprint(object)) {
                named.insert(object.clone());
            }
            if element.absence() == Some(Absence::NotYetDelivered) {
                awaited.push((object.clone(), element.kind, element.end()));
            }
        }
        let mut back = HashSet::new();
        if context.resume.is_some() {
            for digest in valid() {
                back.insert(chain.shelf.valid(digest)?.object().clone());
            }
        }
        Ok(Self {
            back,
            id: chain.id.clone(),
            through,
            unlisted_from,
            sight: chain.sight.clone(),
            verified: verified_runs(chain, context)?,
            log_folders: chain.log_folder.other_folders.clone(),
            is_unlisted: chain.listing_failure.is_some(),
            contradictions: chain.contradictions.clone(),
            is_tail_unknown: matches!(context.status_of(&chain.id), Some(Err(_))),
            awaited,
            named,
        })
    }
}

/// The digests that this run verified, and those of earlier runs that are still there, as far as they are
/// looked for in later ones.
fn verified_runs(chain: &ExaminedChain, context: &Context) -> Result<Vec<VerifiedRun>, AuditError> {
    let now = context.request.now;
    let newest = chain.elements.iter().filter(|element| element.valid().is_some()).map(Element::end).max();
    let old = context.resume.iter().flat_map(|resume| resume.verified_digests());
    let oldest = earlier(newest.unwrap_or(now), LOOK_BACK);
    let (mut found, mut gone) = (BTreeSet::new(), BTreeSet::new());
    let mut place = |object: &ObjectRef, is_there: bool| {
        let Some(name) = DigestName::parse(&object.key) else { return };
        // A digest in another day's folder would not be found again by its name.
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
    for element in &chain.elements {
        match &element.state {
            State::Valid(digest) => place(chain.shelf.valid(digest)?.object(), true),
            // A digest that is known to be gone, or another one now, stays among what is open.
            State::Rejected(digest) if digest.rejection.status == DigestStatus::Invalid => place(&digest.object, false),
            State::Absent(object, _) => place(object, false),
            State::Rejected(_) => {}
        }
    }
    let kept = old.filter(|digest| digest.3 > oldest && !gone.contains(digest));
    found.extend(kept);
    Ok(VerifiedRun::encode(found))
}
