//! Turning the digests that were read into the entries of their chain.

use ahash::{HashMap, HashMapExt};
use jiff::Timestamp;

use crate::audit::digests::digest_spool::{DigestSpool, SpoolKey, SpooledDigest};
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState, Remarks};
use crate::audit::digests::listed_digests::{AbsentDigest, ListedDigest};
use crate::audit::error::AuditError;
use crate::audit::request::awaited_from;
use crate::audit::shared::context::Context;
use crate::model::{DigestKind, Fault, ObjectRef};
use crate::verify::{DigestJudgement, JudgedDigest, KeyRing, PendingDigest, Rejection, UnparsedDigest, verify_chain};

/// The facts about a digest that stay in memory while its chain is read.
pub(crate) struct DigestMeta {
    pub kind: DigestKind,
    /// The end time in its name.
    pub end: Timestamp,
    pub last_modified: Option<Timestamp>,
    pub remarks: Option<Box<Remarks>>,
    /// The object under which it was read, if that is not the name that it states for itself.
    pub object: Option<Box<ObjectRef>>,
    pub spool_key: SpoolKey,
}

/// Judges the digests that were read, and adds entries for those that are absent.
pub(crate) fn judge(
    context: &Context,
    read: Vec<(DigestMeta, PendingDigest)>,
    absent: Vec<AbsentDigest>,
    spool: &DigestSpool,
    keys: &KeyRing,
) -> Result<Vec<ChainEntry>, AuditError> {
    let judged = verify_chain(read, |meta, summary| spool.open(&meta.spool_key, summary), keys)?;
    let mut entries: Vec<ChainEntry> = judged.into_iter().map(entry).collect();
    for index in 0..entries.len() {
        if is_denied_before_first(context, &entries, index)
            && let EntryState::Rejected(digest) = &entries[index].state
        {
            let object = Box::new(digest.object.clone());
            entries[index].state = EntryState::Absent(object, Absence::BeforeFirst);
        }
    }
    let absent = absent_entries(context, &entries, absent);
    entries.extend(absent);
    sort(&mut entries, spool)?;
    Ok(entries)
}

fn entry(judged: JudgedDigest<DigestMeta>) -> ChainEntry {
    let DigestMeta { kind, end, last_modified, mut remarks, object: _, spool_key } = judged.handle;
    let state = match judged.digest {
        DigestJudgement::Valid(proven) => EntryState::Valid(SpooledDigest { proven, spool_key }),
        DigestJudgement::Rejected(digest) => {
            if digest.claims > 0 {
                remarks.get_or_insert_default().claims = Some(spool_key);
            }
            EntryState::Rejected(digest)
        }
    };
    ChainEntry { kind, named_end: end, state, last_modified, remarks }
}

/// Returns the entries of digests that are absent.
fn absent_entries(context: &Context, entries: &[ChainEntry], absent: Vec<AbsentDigest>) -> Vec<ChainEntry> {
    if absent.is_empty() {
        return Vec::new();
    }
    let named = named_predecessors(context, entries);
    let mut found: Vec<ChainEntry> = Vec::new();
    for AbsentDigest { listed: digest, without_bucket } in absent {
        let is_open = is_before_first(context, entries, &digest)
            && (context.store.properties().is_copy || (without_bucket && !is_own_bucket(context, &digest.object)));
        let absence = match absence_of(context, &digest, named.get(&context.fingerprint(&digest.object))) {
            Some(Absence::Missing) if is_open => Some(Absence::BeforeFirst),
            other => other,
        };
        let ListedDigest { object, kind, end, last_modified, .. } = digest;
        let state = match absence {
            Some(absence) => EntryState::Absent(Box::new(object), absence),
            None => {
                let rejection = Rejection::unverified(Fault::ReadFailed, "was listed, and gone when it was read");
                EntryState::Rejected(Box::new(UnparsedDigest { object, sha256: None, rejection }.into()))
            }
        };
        found.push(ChainEntry { kind, named_end: end, state, last_modified, remarks: None });
    }
    found
}

/// The kind of a digest that names another one as its predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NamedBy {
    Rejected,
    Valid,
}

/// Returns the digests that others name as their predecessors, by [`Context::fingerprint`].
fn named_predecessors(context: &Context, entries: &[ChainEntry]) -> HashMap<u64, NamedBy> {
    let mut named: HashMap<u64, NamedBy> = HashMap::new();
    for entry in entries {
        let (predecessor, by) = match &entry.state {
            EntryState::Valid(digest) => (digest.spool_key.predecessor_fingerprint(), NamedBy::Valid),
            EntryState::Rejected(digest) => {
                let recorded = digest.predecessor.as_ref();
                (recorded.map(|recorded| context.fingerprint(&recorded.object)), NamedBy::Rejected)
            }
            EntryState::Absent(..) => continue,
        };
        if let Some(predecessor) = predecessor {
            let known = named.entry(predecessor).or_insert(by);
            *known = (*known).max(by);
        }
    }
    named
}

/// Returns the kind of a digest's absence. Only a digest that another one names is missing, or one
/// that an earlier run verified; one that a valid digest names may still be delivered, if it is
/// young enough. `None` for one that a listing showed, that no digest names and that was gone when
/// it was read.
fn absence_of(context: &Context, digest: &ListedDigest, named_by: Option<&NamedBy>) -> Option<Absence> {
    let resume = context.resume.as_ref();
    // A digest that an earlier run verified cannot still be in delivery.
    if resume.is_some_and(|resume| resume.was_verified(&digest.object)) {
        return Some(Absence::Missing);
    }
    let awaited = resume.is_some_and(|resume| resume.awaits(&digest.object)).then_some(NamedBy::Valid);
    let named_by = named_by.copied().max(awaited)?;
    let (youngest, now) = (awaited_from(&context.request), context.request.now);
    let may_come = context.store.properties().is_live && youngest < digest.end && digest.end <= now;
    Some(if named_by == NamedBy::Valid && may_come { Absence::NotYetDelivered } else { Absence::Missing })
}

/// Returns whether a digest precedes the first valid one, in a run whose range has no start.
pub(crate) fn is_before_first(context: &Context, entries: &[ChainEntry], digest: &ListedDigest) -> bool {
    let mut standard = entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
    context.range.start.is_none()
        && digest.kind == DigestKind::Standard
        && !standard.any(|entry| entry.valid().is_some() && entry.start() < digest.end)
}

/// Returns whether this entry precedes the first valid digest and was denied in a bucket that the
/// trail has left.
fn is_denied_before_first(context: &Context, entries: &[ChainEntry], index: usize) -> bool {
    let entry = &entries[index];
    let EntryState::Rejected(digest) = &entry.state else { return false };
    let listed = ListedDigest {
        object: digest.object.clone(),
        kind: entry.kind,
        end: entry.named_end,
        last_modified: None,
        size: None,
    };
    context.range.start.is_none()
        && !context.store.properties().is_copy
        && digest.rejection.fault == Fault::AccessDenied
        && !is_own_bucket(context, &digest.object)
        && is_before_first(context, entries, &listed)
}

/// Returns whether an object is in a bucket that the trail is known to deliver to.
pub(crate) fn is_own_bucket(context: &Context, object: &ObjectRef) -> bool {
    context.request.locations.iter().any(|location| *location.bucket == *object.bucket)
}

/// Sorts the entries by end time, standard before backfill, then by key.
pub(crate) fn sort(entries: &mut Vec<ChainEntry>, spool: &DigestSpool) -> Result<(), AuditError> {
    let order = |entry: &ChainEntry| (entry.end(), entry.kind);
    entries.sort_unstable_by_key(order);
    // Entries of the same time and series are rare. Only those have to be loaded to be compared.
    if entries.windows(2).all(|pair| order(&pair[0]) != order(&pair[1])) {
        return Ok(());
    }
    let mut named = Vec::with_capacity(entries.len());
    let same = |one: &ChainEntry, other: &ChainEntry| order(one) == order(other);
    for same in entries.chunk_by(same) {
        for entry in same {
            let object = (same.len() > 1).then(|| entry.whole(spool)).transpose()?;
            named.push(object.map(|loaded| loaded.object.into_owned()));
        }
    }
    let mut sorted: Vec<(Option<ObjectRef>, ChainEntry)> = named.into_iter().zip(entries.drain(..)).collect();
    let by_name =
        |object: &Option<ObjectRef>| object.as_ref().map(|object| (object.key.clone(), object.bucket.clone()));
    sorted.sort_by_cached_key(|(object, entry)| (order(entry), by_name(object)));
    entries.extend(sorted.into_iter().map(|(_, entry)| entry));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    // Only then does the standard library collect one vector into the other's allocation.
    fn the_digests_of_a_chain_are_judged_in_the_room_where_they_wait() {
        let waiting = size_of::<(DigestMeta, PendingDigest)>();
        assert!(size_of::<JudgedDigest<DigestMeta>>() <= waiting && size_of::<ChainEntry>() <= waiting);
    }
}
