//! From digests that were read to the elements of their chain.

use ahash::{HashMap, HashMapExt};
use jiff::Timestamp;

use crate::audit::digests::digest_spool::{Kept, Shelf, Shelved};
use crate::audit::digests::entry::{Absence, Element, Remarks, State};
use crate::audit::digests::listed_digests::{AbsentDigest, ListedDigest};
use crate::audit::error::AuditError;
use crate::audit::request::awaited_from;
use crate::audit::shared::context::Context;
use crate::model::{DigestKind, Fault, ObjectRef};
use crate::verify::{ClosedDigest, KeyRing, Rejection, Settled, SettledDigest, WaitingDigest, settle};

/// What stays at hand of a digest while its chain is read.
pub(crate) struct Handle {
    pub kind: DigestKind,
    /// The end that its name tells.
    pub end: Timestamp,
    pub last_modified: Option<Timestamp>,
    pub remarks: Option<Box<Remarks>>,
    /// Where it lies, if not at the name that it bears.
    pub place: Option<Box<ObjectRef>>,
    pub kept: Kept,
}

/// Judges the digests that were read, and puts those to them that are not there.
pub(crate) fn judge(
    context: &Context,
    read: Vec<(Handle, WaitingDigest)>,
    absent: Vec<AbsentDigest>,
    shelf: &Shelf,
    keys: &KeyRing,
) -> Result<Vec<Element>, AuditError> {
    let settled = settle(read, |handle, outline| shelf.open(&handle.kept, outline), keys)?;
    let mut elements: Vec<Element> = settled.into_iter().map(element).collect();
    for index in 0..elements.len() {
        if is_denied_before_first(context, &elements, index)
            && let State::Rejected(digest) = &elements[index].state
        {
            let object = Box::new(digest.object.clone());
            elements[index].state = State::Absent(object, Absence::BeforeFirst);
        }
    }
    let absent = absent_elements(context, &elements, absent);
    elements.extend(absent);
    sort(&mut elements, shelf)?;
    Ok(elements)
}

fn element(settled: Settled<Handle>) -> Element {
    let Handle { kind, end, last_modified, mut remarks, place: _, kept } = settled.handle;
    let state = match settled.digest {
        SettledDigest::Valid(proven) => State::Valid(Shelved { proven, kept }),
        SettledDigest::Rejected(digest) => {
            if digest.claims > 0 {
                remarks.get_or_insert_default().claims = Some(kept);
            }
            State::Rejected(digest)
        }
    };
    Element { kind, named_end: end, state, last_modified, remarks }
}

/// What becomes of digests that are not there. Only one that another digest names is missing, and one that a valid digest names may
/// still come, if it is young enough. One that a listing showed, that nobody names and that was gone when it was read, is
/// nobody's evidence.
fn absent_elements(context: &Context, elements: &[Element], absent: Vec<AbsentDigest>) -> Vec<Element> {
    if absent.is_empty() {
        return Vec::new();
    }
    let mut named: HashMap<u64, bool> = HashMap::new();
    for element in elements {
        let (predecessor, valid) = match &element.state {
            State::Valid(digest) => (digest.kept.follows(), true),
            State::Rejected(digest) => {
                (digest.predecessor.as_ref().map(|recorded| context.fingerprint(&recorded.object)), false)
            }
            State::Absent(..) => continue,
        };
        if let Some(predecessor) = predecessor {
            *named.entry(predecessor).or_default() |= valid;
        }
    }
    let now = context.request.now;
    let youngest = awaited_from(&context.request);
    let resume = context.resume.as_ref();
    let by_valid = |digest: &ListedDigest| {
        let before = resume.is_some_and(|resume| resume.awaits(&digest.place)).then_some(true);
        named.get(&context.fingerprint(&digest.place)).copied().max(before)
    };
    let absence = |digest: &ListedDigest| match by_valid(digest) {
        // What an earlier run has seen can't be on its way.
        _ if resume.is_some_and(|resume| resume.was_verified(&digest.place)) => Some(Absence::Missing),
        Some(true) if context.store.is_live() && digest.end > youngest && digest.end <= now => {
            Some(Absence::NotYetDelivered)
        }
        Some(_) => Some(Absence::Missing),
        None => None,
    };
    let gone = || Rejection::unverified(Fault::ReadFailed, "was listed, and gone when it was read");
    let mut found: Vec<Element> = Vec::new();
    for AbsentDigest { listed: digest, without_bucket } in absent {
        let is_open = is_before_first(context, elements, &digest)
            && (!context.store.is_live() || (without_bucket && !is_own_bucket(context, &digest.place)));
        let absence = match absence(&digest) {
            Some(Absence::Missing) if is_open => Some(Absence::BeforeFirst),
            other => other,
        };
        let ListedDigest { place, kind, end, last_modified, .. } = digest;
        let state = match absence {
            Some(absence) => State::Absent(Box::new(place), absence),
            None => {
                let closed = ClosedDigest { place, sha256: None, rejection: gone() };
                State::Rejected(Box::new(closed.into()))
            }
        };
        found.push(Element { kind, named_end: end, state, last_modified, remarks: None });
    }
    found
}

/// Returns whether a digest stands before the first one that is there, where no begin was asked about.
pub(crate) fn is_before_first(context: &Context, elements: &[Element], digest: &ListedDigest) -> bool {
    let mut standard = elements.iter().filter(|element| element.kind == DigestKind::Standard);
    context.range.start.is_none()
        && digest.kind == DigestKind::Standard
        && !standard.any(|element| element.valid().is_some() && element.start() < digest.end)
}

/// Returns whether the digest before the first one that is there lies in a bucket which the trail has left,
/// and which is denied.
fn is_denied_before_first(context: &Context, elements: &[Element], index: usize) -> bool {
    let element = &elements[index];
    let State::Rejected(digest) = &element.state else { return false };
    let listed = ListedDigest {
        place: digest.object.clone(),
        kind: element.kind,
        end: element.named_end,
        last_modified: None,
        size: None,
    };
    context.range.start.is_none()
        && context.store.is_live()
        && digest.rejection.fault == Fault::AccessDenied
        && !is_own_bucket(context, &digest.object)
        && is_before_first(context, elements, &listed)
}

/// Returns whether an object lies in the bucket that the trail is known to deliver to.
pub(crate) fn is_own_bucket(context: &Context, object: &ObjectRef) -> bool {
    context.request.locations.iter().any(|location| *location.bucket == *object.bucket)
}

/// Sorts by end time, standard before backfill, then key.
pub(crate) fn sort(elements: &mut [Element], shelf: &Shelf) -> Result<(), AuditError> {
    let place = |element: &Element| (element.end(), element.kind);
    elements.sort_unstable_by_key(place);
    for same in elements.chunk_by_mut(|one, other| place(one) == place(other)).filter(|same| same.len() > 1) {
        let objects = same.iter().map(|element| Ok(element.whole(shelf)?.object.into_owned()));
        let objects: Vec<ObjectRef> = objects.collect::<Result<_, AuditError>>()?;
        let mut order: Vec<usize> = (0..same.len()).collect();
        order.sort_by_key(|index| (&objects[*index].key, &objects[*index].bucket));
        // Along each cycle, what belongs in a place comes there, and what stood there goes on to the next.
        for first in 0..order.len() {
            let mut at = first;
            loop {
                let from = std::mem::replace(&mut order[at], at);
                if from == first {
                    break;
                }
                same.swap(at, from);
                at = from;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    // Only then does the standard library collect one vector into the other's room.
    fn the_digests_of_a_chain_are_judged_in_the_room_where_they_wait() {
        let waiting = size_of::<(Handle, WaitingDigest)>();
        assert!(size_of::<Settled<Handle>>() <= waiting && size_of::<Element>() <= waiting);
    }
}
