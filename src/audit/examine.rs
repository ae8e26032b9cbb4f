//! Reading and judging the digests of one chain.
//!
//! What a listing shows is read first, then what digests name as their predecessors and no listing showed: only a direct
//! read tells that a digest is missing.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::discover::ListedChain;
use super::error::AuditError;
use super::fetch;
use super::listing::{self, ListedDigest, RegionFolder};
use super::log_folder::{self, LogFolder};
use super::request::DELIVERY_TIME;
use crate::model::{ChainId, Depth, DigestKind, DigestName, DigestStatus, Fault, ObjectRef};
use crate::store::{Location, StoreError};
use crate::verify::{
    Examined, FoundDigest, KeyRing, RejectedDigest, Rejection, Settled, SettledDigest, ValidDigest, examine, limits,
    settle,
};

/// One digest of a chain: there, or known to be missing.
#[derive(Debug)]
pub(super) struct Element {
    pub kind: DigestKind,
    pub object: ObjectRef,
    /// For a digest that is not valid, an hour before its end: what it claims itself is not to be trusted.
    pub start: Timestamp,
    pub end: Timestamp,
    pub state: State,
    /// What a reader should know about its metadata.
    pub note: Option<String>,
}

#[derive(Debug)]
pub(super) enum State {
    Valid(Box<ValidDigest>),
    Rejected(Box<RejectedDigest>),
    /// Named by its successor, and not there.
    Missing,
    /// Named by its successor, not there, and young enough that it may still come.
    NotYetDelivered,
}

/// A chain whose digests were judged.
#[derive(Debug)]
pub(super) struct ExaminedChain {
    pub id: Arc<ChainId>,
    /// By end time, standard before backfill, then key. Those past the end of the range are among them.
    pub elements: Vec<Element>,
    /// Why a part of it could not be listed.
    pub listing_failure: Option<String>,
    /// Whether there are digests older than the range.
    pub has_earlier: bool,
    /// What lies in its log folder; nothing at depth `chain`.
    pub log_folder: LogFolder,
}

/// The digests of a chain, judged.
pub(super) struct JudgedDigests {
    pub elements: Vec<Element>,
    /// Why a part of the chain could not be listed.
    pub failure: Option<String>,
    /// The folders that hold it: those that were known, and those that pointers led to.
    pub folders: Vec<RegionFolder>,
}

/// What stays known of a digest while it is judged.
struct Handle {
    place: ObjectRef,
    kind: DigestKind,
    end: Timestamp,
    note: Option<String>,
}

enum Reading {
    Read(Handle, Examined),
    Absent(ListedDigest),
}

/// Reads and judges the digests of one chain.
pub(super) async fn examine_chain(
    context: Arc<Context>,
    id: Arc<ChainId>,
    listed: ListedChain,
) -> Result<ExaminedChain, AuditError> {
    let ListedChain { folders, digests, failure, ended_before } = listed;
    let judged = judge_digests(&context, &id, &folders, digests).await?;
    let has_earlier = ended_before || has_earlier(&context, &id, &folders, &judged.elements).await;
    let log_folder = match context.request.depth {
        Depth::Chain => LogFolder::default(),
        Depth::Presence | Depth::Content => {
            log_folder::examine(&context, &id, &judged.folders, &judged.elements).await?
        }
    };
    let JudgedDigests { elements, failure: later, .. } = judged;
    Ok(ExaminedChain { id, elements, listing_failure: failure.or(later), has_earlier, log_folder })
}

/// Reads and judges digests, and those that they name.
pub(super) async fn judge_digests(
    context: &Arc<Context>,
    id: &Arc<ChainId>,
    folders: &[RegionFolder],
    digests: Vec<ListedDigest>,
) -> Result<JudgedDigests, AuditError> {
    let mut walk = Walk {
        context,
        id,
        known: HashSet::new(),
        folders: folders.to_vec(),
        read: Vec::new(),
        absent: Vec::new(),
        failure: None,
    };
    let (reaching, past): (Vec<_>, Vec<_>) = digests.into_iter().partition(|digest| !context.range.is_past(digest.end));
    walk.read_all(reaching).await?;
    walk.read_past_end(past).await?;
    loop {
        let named = walk.unlisted_predecessors();
        if named.is_empty() {
            break;
        }
        walk.list_new_locations(&named).await?;
        walk.read_all(named).await?;
    }
    let Walk { read, absent, failure, folders, .. } = walk;
    let keys = context.keys.known(&id.region).await;
    let mut elements: Vec<Element> = settle(read, &keys).into_iter().map(element).collect();
    elements.extend(absent.into_iter().map(|digest| {
        let youngest = context.request.now.saturating_sub(DELIVERY_TIME).unwrap_or(Timestamp::MIN);
        let may_come = context.store.is_live() && digest.end > youngest;
        Element {
            kind: digest.kind,
            object: digest.place,
            start: hour_before(digest.end),
            end: digest.end,
            state: if may_come { State::NotYetDelivered } else { State::Missing },
            note: None,
        }
    }));
    elements.sort_by(|a, b| (a.end, a.kind, &a.object.key, &a.object).cmp(&(b.end, b.kind, &b.object.key, &b.object)));
    Ok(JudgedDigests { elements, failure, folders })
}

/// Where the range begins before the chain's first digest and that is a starting one, only a look at older digests tells
/// whether the chain began then or began again.
async fn has_earlier(context: &Context, id: &ChainId, folders: &[RegionFolder], elements: &[Element]) -> bool {
    let first = elements.iter().find_map(|element| match &element.state {
        State::Valid(digest) if element.kind == DigestKind::Standard => Some(digest),
        _ => None,
    });
    let (Some(first), Some(start)) = (first, context.range.start) else { return false };
    if first.period().0 <= start || first.predecessor().is_some() {
        return false;
    }
    for folder in folders {
        // A failure leaves open which of two causes a gap has; both leave the verdict open.
        let earlier = listing::earlier_chains(context.store.as_ref(), folder, start, &context.request).await;
        if earlier.is_ok_and(|chains| chains.contains(id)) {
            return true;
        }
    }
    false
}

/// The digests of one chain, as they are found.
struct Walk<'a> {
    context: &'a Arc<Context>,
    id: &'a Arc<ChainId>,
    known: HashSet<ObjectRef>,
    folders: Vec<RegionFolder>,
    read: Vec<(Handle, Examined)>,
    absent: Vec<ListedDigest>,
    failure: Option<String>,
}

impl Walk<'_> {
    async fn read_all(&mut self, digests: Vec<ListedDigest>) -> Result<(), AuditError> {
        let new: Vec<ListedDigest> =
            digests.into_iter().filter(|digest| self.known.insert(digest.place.clone())).collect();
        self.context.progress.found_digests(new.len());
        let readings = stream::iter(new).map(|digest| {
            let (context, id) = (self.context.clone(), self.id.clone());
            let task = tokio::spawn(async move { read_digest(&context, &id, digest).await });
            async move { task.await.map_err(|error| AuditError::Task(error.to_string()))? }
        });
        let readings: Vec<Reading> = readings.buffered(self.context.request.concurrency).try_collect().await?;
        for reading in readings {
            match reading {
                Reading::Read(handle, examined) => {
                    if let Examined::Open(open, _) = &examined {
                        self.known.insert(open.object().clone());
                    }
                    self.read.push((handle, examined));
                }
                Reading::Absent(digest) => self.absent.push(digest),
            }
        }
        Ok(())
    }

    /// Reads on past the end of the range, by time, until a proven digest shows what came before it.
    async fn read_past_end(&mut self, mut past: Vec<ListedDigest>) -> Result<(), AuditError> {
        past.sort_by_key(|digest| digest.end);
        for kind in [DigestKind::Standard, DigestKind::Backfill] {
            for digest in past.iter().filter(|digest| digest.kind == kind) {
                self.read_all(vec![digest.clone()]).await?;
                let last = self.read.last().filter(|(handle, _)| handle.place == digest.place);
                if last.is_some_and(|(_, examined)| self.begins_past_end(examined)) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn begins_past_end(&self, examined: &Examined) -> bool {
        let end = self.context.range.end;
        matches!(examined, Examined::Open(open, Ok(())) if end.is_some_and(|end| open.start() >= end))
    }

    /// The digests that were named as predecessors within the range, and not found by listing. What an invalid digest
    /// names is nobody's word.
    fn unlisted_predecessors(&self) -> Vec<ListedDigest> {
        let mut named = Vec::new();
        for (handle, examined) in &self.read {
            let Examined::Open(open, own) = examined else { continue };
            if own.as_ref().is_err_and(|rejection| rejection.status == DigestStatus::Invalid) {
                continue;
            }
            let Some(predecessor) = open.predecessor() else { continue };
            let starts_in_range = self.context.range.start.is_some_and(|start| open.start() > start);
            let bounded_by_first =
                self.context.range.start.is_none() && self.first_start().is_some_and(|first| open.start() > first);
            if (starts_in_range || bounded_by_first) && !self.known.contains(&predecessor.object) {
                let end = DigestName::parse(&predecessor.object.key).map_or(open.start(), |name| name.end);
                named.push(ListedDigest {
                    place: predecessor.object.clone(),
                    kind: handle.kind,
                    end,
                    last_modified: None,
                });
            }
        }
        named
    }

    /// Where the chain begins as far as it was read: without a requested start, what lies before that is not asked about.
    fn first_start(&self) -> Option<Timestamp> {
        self.read
            .iter()
            .filter_map(|(handle, examined)| match examined {
                Examined::Open(open, _) if handle.kind == DigestKind::Standard => Some(open.start()),
                _ => None,
            })
            .min()
    }

    /// Where a pointer leads to a bucket or prefix that was not listed, the chain goes on there.
    async fn list_new_locations(&mut self, named: &[ListedDigest]) -> Result<(), AuditError> {
        let mut found = Vec::new();
        for digest in named {
            let Some(name) = DigestName::parse(&digest.place.key).filter(|name| name.chain == **self.id) else {
                continue;
            };
            let location = Location { bucket: digest.place.bucket.to_string(), root: name.root };
            if !self.context.store.is_live() || self.folders.iter().any(|folder| folder.location == location) {
                continue;
            }
            let ChainId { organization, account, region, .. } = (**self.id).clone();
            let folder = RegionFolder { location, organization, account, region };
            self.folders.push(folder.clone());
            let store = self.context.store.as_ref();
            let listing = listing::digests(store, &folder, &self.context.range, &self.context.request).await;
            found.extend(
                listing.digests.into_iter().filter(|(chain, _)| *chain == **self.id).flat_map(|(_, found)| found),
            );
            if let Some(error) = listing.failure.filter(|error| !error.is_absence()) {
                self.failure.get_or_insert(error.to_string());
            }
        }
        self.read_all(found).await
    }
}

async fn read_digest(context: &Context, id: &ChainId, digest: ListedDigest) -> Result<Reading, AuditError> {
    let _permit = context.permits.acquire().await.map_err(|error| AuditError::Task(error.to_string()))?;
    let store = context.store.as_ref();
    let ceiling = usize::try_from(limits::MAX_DIGEST_OBJECT_BYTES).unwrap_or(usize::MAX);
    let outcome = fetch::read(store, &digest.place, Vec::new, |bytes: &mut Vec<u8>, piece| {
        bytes.extend_from_slice(piece);
        bytes.len() <= ceiling
    })
    .await;
    context.progress.read_digest();
    let mut handle = Handle { place: digest.place.clone(), kind: digest.kind, end: digest.end, note: None };
    let rejected = |rejection| Examined::Closed { sha256: None, rejection };
    let (bytes, object) = match outcome {
        Ok(read) => read,
        Err(error) if error.is_absence() => return Ok(Reading::Absent(digest)),
        Err(StoreError::Ambiguous(reason)) => return Err(AuditError::Ambiguous(reason)),
        Err(error) => {
            return Ok(Reading::Read(handle, rejected(Rejection::unverified(error.fault(), unreadable(&error)))));
        }
    };
    if bytes.len() > ceiling {
        let detail = format!("is larger than {ceiling} bytes");
        return Ok(Reading::Read(handle, rejected(Rejection::unverified(Fault::TooLarge, detail))));
    }
    handle.note = object.metadata_note;
    let found = FoundDigest { place: &digest.place, kind: digest.kind, bytes: &bytes, metadata: &object.metadata };
    let mut examined = examine_in_place(context, &found, context.keys.for_range(&id.region).await.as_ref())?;
    // Before a key is called unknown, it is asked for once more up to now.
    if let Examined::Open(_, Err(rejection)) = &examined
        && matches!(rejection.fault, Fault::KeyUnknown | Fault::KeyNotValidThen)
    {
        examined = examine_in_place(context, &found, context.keys.up_to_now(&id.region).await.as_ref())?;
    }
    Ok(Reading::Read(handle, examined))
}

fn examine_in_place(context: &Context, found: &FoundDigest<'_>, keys: &KeyRing) -> Result<Examined, AuditError> {
    let trouble = RefCell::new(None);
    let examined = examine(
        found,
        |claimed| match context.store.in_place(found.place, claimed) {
            Ok(in_place) => in_place,
            Err(error) => {
                trouble.replace(Some(error));
                false
            }
        },
        keys,
    );
    match trouble.into_inner() {
        Some(error) => Err(AuditError::Ambiguous(error.to_string())),
        None => Ok(examined),
    }
}

fn unreadable(error: &StoreError) -> String {
    format!("could not be read: {error}")
}

fn element(settled: Settled<Handle>) -> Element {
    let Handle { place, kind, end, note } = settled.handle;
    match settled.digest {
        SettledDigest::Valid(digest) => {
            let (start, end) = digest.period();
            Element { kind, object: digest.object().clone(), start, end, state: State::Valid(Box::new(digest)), note }
        }
        SettledDigest::Rejected(digest) => {
            let object = digest.object.clone().unwrap_or(place);
            Element { kind, object, start: hour_before(end), end, state: State::Rejected(Box::new(digest)), note }
        }
    }
}

fn hour_before(end: Timestamp) -> Timestamp {
    end.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(end)
}
