//! Handovers between chains, as when an account's trail became its organization's: the first digest
//! of the later chain names the last digest of the earlier one.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::audit::chain::read::{ReadDigest, Reading, read_digest};
use crate::audit::chain::verify::{self, DigestMeta};
use crate::audit::digests::digest_spool::{DigestSpool, SpooledDigest};
use crate::audit::digests::entry::ChainEntry;
use crate::audit::digests::listed_digests::ListedDigest;
use crate::audit::error::AuditError;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::listing::pages::Pages;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DigestKind, DigestName, ObjectRef, Period, Sha256Hash, earlier, is_bucket_name};
use crate::store::ListedObject;
use crate::verify::ValidDigest;

/// The largest number of chains of one folder that are checked for a handover. It bounds the
/// requests that planted digests of many trails can cause.
const MAX_ASKED: usize = 16;
/// The largest number of pages of a folder's listing that are read to find these chains.
const MAX_PAGES: usize = 4;

/// The transition from one chain to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handover {
    /// The start of the first digest of the later chain.
    pub at: Timestamp,
    /// The other chain.
    pub other: ChainId,
    /// The folder of the other chain's digests.
    pub folder: RegionFolder,
}

/// Finds the chain that this one continues: the chain of the digest that its first one names, if
/// that digest exists and is valid.
pub(crate) async fn predecessor(
    context: &Context,
    id: &ChainId,
    entries: &[ChainEntry],
    spool: &DigestSpool,
) -> Result<Option<Handover>, AuditError> {
    let mut standard = entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
    let Some(first) = standard.find_map(ChainEntry::valid) else { return Ok(None) };
    let digest = spool.valid(first)?;
    let Some(named) = digest.predecessor() else { return Ok(None) };
    let Some(name) = DigestName::parse(&named.object.key).filter(|name| name.chain != *id) else { return Ok(None) };
    // A handover never crosses accounts or regions, because keys and events belong to one account
    // and region, whoever owns the trail.
    if (&name.chain.account, &name.chain.region) != (&id.account, &id.region) || !is_bucket_name(&named.object.bucket) {
        return Ok(None);
    }
    let folder = folder_of(&name, &named.object);
    let other = name.chain.clone();
    let Some((_, before)) = read_valid(context, named.object.clone(), name).await? else { return Ok(None) };
    let is_recorded = named.sha256.is_none_or(|sha256| sha256 == before.sha256());
    Ok(is_recorded.then_some(Handover { at: first.summary().period().start, other, folder }))
}

/// Finds the chain that continues this one: its first valid digest after this chain's last one
/// names that digest. `others` are the folders in which it may be stored.
pub(crate) async fn successor(
    context: &Context,
    id: &ChainId,
    entries: &[ChainEntry],
    spool: &DigestSpool,
    others: &[RegionFolder],
) -> Result<Option<Handover>, AuditError> {
    let standard = entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
    let last = standard.filter_map(ChainEntry::valid).max_by_key(|digest| digest.summary().period().end);
    if last.is_none() && !entries.is_empty() {
        return Ok(None);
    }
    let end = last.map(|digest| digest.summary().period().end);
    let last = last.map(|digest| spool.valid(digest)).transpose()?;
    for folder in others {
        for digest in first_digests(context, folder, end).await {
            let Some(name) = DigestName::parse(&digest.key) else { continue };
            let other = name.chain.clone();
            let Some((start, first)) = read_valid(context, digest, name).await? else { continue };
            let Some(named) = first.predecessor() else { continue };
            if names(context, id, named.object.clone(), named.sha256, last.as_ref()).await? {
                return Ok(Some(Handover { at: start, other, folder: folder.clone() }));
            }
        }
    }
    Ok(None)
}

/// Returns whether a digest of another chain names `last` or, if `last` was not read, any valid
/// digest of this chain.
async fn names(
    context: &Context,
    id: &ChainId,
    named: ObjectRef,
    sha256: Option<Sha256Hash>,
    last: Option<&ValidDigest>,
) -> Result<bool, AuditError> {
    let is_recorded = |found: Sha256Hash| sha256.is_none_or(|sha256| sha256 == found);
    if let Some(last) = last {
        return Ok(*last.object() == named && is_recorded(last.sha256()));
    }
    let Some(name) = DigestName::parse(&named.key).filter(|name| name.chain == *id) else { return Ok(false) };
    if !is_bucket_name(&named.bucket) {
        return Ok(false);
    }
    let found = read_valid(context, named, name).await?;
    Ok(found.is_some_and(|(_, found)| is_recorded(found.sha256())))
}

/// Returns the first standard digest of each chain in a folder that ends after `end`, as far as the
/// first pages of its listing show them. A folder that cannot be listed yields none, and the chain
/// then ends without an explanation.
async fn first_digests(context: &Context, folder: &RegionFolder, end: Option<Timestamp>) -> Vec<ObjectRef> {
    let (mut asked, mut found) = (BTreeSet::new(), Vec::new());
    // Include the day before: it is undocumented which day's folder holds a digest that ends at
    // midnight.
    let from = end.map(|end| earlier(end, SignedDuration::from_hours(24)));
    let prefix = folder.prefix();
    let start_after = from.map(|from| format!("{prefix}{}", from.strftime("%Y/%m/%d/")));
    let mut pages = Pages::of_keys(&folder.location.bucket, &prefix, start_after);
    for _ in 0..MAX_PAGES {
        let Ok(Some(page)) = pages.next(context.store.as_ref()).await else { break };
        for ListedObject { key, .. } in page.objects {
            let Some(name) = DigestName::parse(&key).filter(|name| name.kind == DigestKind::Standard) else { continue };
            let is_later = end.is_none_or(|end| name.end > end);
            if is_later && folder.holds(&name.chain) && asked.insert(name.chain) {
                found.push(ObjectRef::new(folder.location.bucket.as_str(), key));
            }
            if found.len() == MAX_ASKED {
                return found;
            }
        }
    }
    found
}

/// Reads a digest and returns it with its start; `None` unless it exists and its own signature
/// proves it.
async fn read_valid(
    context: &Context,
    object: ObjectRef,
    name: DigestName,
) -> Result<Option<(Timestamp, ValidDigest)>, AuditError> {
    let DigestName { chain, kind, end, .. } = name;
    let (apart, keys) = (Arc::new(DigestSpool::default()), context.keys.for_range(&chain.region).await);
    let listed = ListedDigest { object, kind, end, last_modified: None, size: None };
    let Reading::Read(read) = read_digest(context, &chain, listed, &apart).await? else { return Ok(None) };
    let ReadDigest { listed, pending, spool_key, .. } = *read;
    let meta =
        DigestMeta { kind: listed.kind, end: listed.end, last_modified: None, remarks: None, object: None, spool_key };
    let judged = verify::judge(context, vec![(meta, pending)], Vec::new(), &apart, &keys)?;
    let valid = judged.first().and_then(ChainEntry::valid);
    valid.map(|digest| Ok((digest.summary().period().start, apart.valid(digest)?))).transpose()
}

fn folder_of(name: &DigestName, object: &ObjectRef) -> RegionFolder {
    let ChainId { organization, account, region, .. } = name.chain.clone();
    let location = crate::store::Location { bucket: object.bucket.to_string(), root: name.root.clone() };
    RegionFolder { location, organization, account, region }
}

/// The longest time between the end of a digest and the start of a starting digest that counts as a
/// restart of the chain.
const RESTARTED_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// Marks starting digests that leave no gap: the chain was started anew while it was active, and
/// only the time connects them to the digests before.
pub(crate) fn mark_restarts(entries: &mut [ChainEntry]) {
    let mut before: Option<Timestamp> = None;
    for entry in entries.iter_mut().filter(|entry| entry.kind == DigestKind::Standard) {
        let Some(summary) = entry.valid().map(SpooledDigest::summary) else { continue };
        let (Period { start, end }, is_starting) = (summary.period(), summary.predecessor().is_none());
        let is_restart = is_starting && before.is_some_and(|before| start.duration_since(before) < RESTARTED_WITHIN);
        if is_restart {
            entry.remarks.get_or_insert_default().restarts = true;
        }
        before = before.max(Some(end));
    }
}
