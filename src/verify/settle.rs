//! Judging the digests of a chain together: each by its own signature, by what its successor recorded of it, and by the
//! signature that the successor kept.
//!
//! A digest that a *valid* successor recorded with another hash or signature is invalid, whatever its own signature says. So
//! successors are settled before the digests they name.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt};
use jiff::Timestamp;

use super::digest::{ClaimedLogFile, Examined, OpenDigest, Rejection};
use super::document::Predecessor;
use super::entries::LogFileEntries;
use super::key::KeyRing;
use super::signature::RecordedSignature;
use crate::model::{Fault, ObjectRef, Sha256Hash, SignatureFrom};

/// A digest that is as CloudTrail signed it, in its place, and contradicted by no valid successor. Only [`settle()`] makes one.
#[derive(Debug)]
pub struct ValidDigest {
    object: ObjectRef,
    start: Timestamp,
    end: Timestamp,
    sha256: Sha256Hash,
    predecessor: Option<Predecessor>,
    log_files: LogFileEntries,
    signature_from: SignatureFrom,
    /// Of the last two of a chain: the others' stand in their successors.
    signature: Option<RecordedSignature>,
    touched: bool,
}

impl ValidDigest {
    /// Its name.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// The period it speaks of.
    pub fn period(&self) -> (Timestamp, Timestamp) {
        (self.start, self.end)
    }

    /// SHA-256 of its uncompressed bytes.
    pub fn sha256(&self) -> Sha256Hash {
        self.sha256
    }

    /// What it recorded of the digest before it; `None` for a starting digest.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.predecessor.as_ref()
    }

    /// The log files it vouches for.
    pub fn log_files(&self) -> &LogFileEntries {
        &self.log_files
    }

    /// Which signature proved it.
    pub fn signature_from(&self) -> SignatureFrom {
        self.signature_from
    }

    /// The signature that proved it, as bytes; kept of the last two of those that were judged together.
    pub fn signature(&self) -> Option<&Arc<[u8]>> {
        match self.signature.as_ref()? {
            RecordedSignature::Bytes(bytes) => Some(bytes),
            RecordedSignature::Unreadable(_) => None,
        }
    }

    /// Whether the object's own metadata lacks the signature that proved it, or has another.
    pub fn was_touched(&self) -> bool {
        self.touched
    }
}

/// A digest that is not valid, and what it claims.
#[derive(Debug)]
pub struct RejectedDigest {
    /// Why it is not valid.
    pub rejection: Rejection,
    /// SHA-256 of its uncompressed bytes, if they could be had.
    pub sha256: Option<Sha256Hash>,
    /// The name that it bears, if it could be read and lies in its place.
    pub object: Option<ObjectRef>,
    /// The period that it claims to speak of.
    pub period: Option<(Timestamp, Timestamp)>,
    /// The digest that it claims to follow.
    pub predecessor: Option<Predecessor>,
    /// The log files that it claims.
    pub log_files: Vec<ClaimedLogFile>,
}

/// A digest after judgement.
#[derive(Debug)]
pub enum SettledDigest {
    /// It is what CloudTrail delivered.
    Valid(ValidDigest),
    /// It is not, or nobody can say.
    Rejected(RejectedDigest),
}

/// A judged digest beside the caller's own handle for it.
#[derive(Debug)]
pub struct Settled<T> {
    /// The caller's handle.
    pub handle: T,
    /// The judgement.
    pub digest: SettledDigest,
}

/// How a digest stands to the record that another one has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    /// Hash and signature are the recorded ones, as far as both are known.
    Agrees,
    /// Another hash was recorded.
    HashDiffers,
    /// Another signature was recorded.
    SignatureDiffers,
}

fn compare(recorded: &Predecessor, sha256: &Sha256Hash, signature: Option<&RecordedSignature>) -> LinkState {
    match (&recorded.signature, signature) {
        _ if recorded.sha256.is_some_and(|hash| hash != *sha256) => LinkState::HashDiffers,
        (Some(kept), Some(own)) if kept != own => LinkState::SignatureDiffers,
        _ => LinkState::Agrees,
    }
}

/// Judges the digests of one chain together. They may come in any order, and leave in the same.
pub fn settle<T>(examined: Vec<(T, Examined)>, keys: &KeyRing) -> Vec<Settled<T>> {
    let links = Links::between(&examined);
    let order = links.successors_first(&examined);
    let mut bench: Vec<Seat<T>> = examined.into_iter().map(|(handle, digest)| Seat::Waiting(handle, digest)).collect();
    for index in order {
        let Seat::Waiting(handle, digest) = std::mem::replace(&mut bench[index], Seat::Empty) else { continue };
        let digest = match digest {
            Examined::Open(open, own) => {
                let about: Vec<Record<'_>> = links.about(index).filter_map(|by| bench[by].record()).collect();
                let is_among_last = links.about(index).all(|by| links.about(by).next().is_none());
                settle_one(*open, own, &about, keys, is_among_last)
            }
            Examined::Closed { sha256, rejection } => SettledDigest::Rejected(RejectedDigest {
                rejection,
                sha256,
                object: None,
                period: None,
                predecessor: None,
                log_files: Vec::new(),
            }),
        };
        bench[index] = Seat::Judged(Settled { handle, digest });
    }
    links.forget_what_is_proven(&mut bench);
    let judged = bench.into_iter().filter_map(|seat| match seat {
        Seat::Judged(settled) => Some(settled),
        Seat::Waiting(..) | Seat::Empty => None,
    });
    judged.collect()
}

/// A digest before, while and after it is judged.
#[expect(clippy::large_enum_variant, reason = "each of them ends as the large one")]
enum Seat<T> {
    Waiting(T, Examined),
    Empty,
    Judged(Settled<T>),
}

impl<T> Seat<T> {
    /// What this digest recorded of its predecessor.
    fn record(&self) -> Option<Record<'_>> {
        match self {
            Self::Waiting(_, Examined::Open(open, _)) => {
                Some(Record { recorded: open.predecessor.as_ref()?, by: &open.object, valid: false })
            }
            Self::Judged(Settled { digest: SettledDigest::Valid(digest), .. }) => {
                Some(Record { recorded: digest.predecessor.as_ref()?, by: &digest.object, valid: true })
            }
            Self::Judged(Settled { digest: SettledDigest::Rejected(digest), .. }) => {
                Some(Record { recorded: digest.predecessor.as_ref()?, by: digest.object.as_ref()?, valid: false })
            }
            Self::Waiting(..) | Self::Empty => None,
        }
    }
}

/// The signatures that successors recorded of digests whose own one is missing or fails. They are what such a digest will be
/// judged by.
pub fn recorded_signatures<T>(examined: &[(T, Examined)]) -> Vec<(&OpenDigest, &RecordedSignature)> {
    let open = || {
        examined.iter().filter_map(|(_, digest)| match digest {
            Examined::Open(open, own) => Some((open.as_ref(), own)),
            Examined::Closed { .. } => None,
        })
    };
    let mut wanting: HashMap<&ObjectRef, &OpenDigest> = HashMap::new();
    for (digest, own) in open() {
        if own.as_ref().is_err_and(|own| matches!(own.fault, Fault::SignatureMissing | Fault::SignatureMismatch)) {
            wanting.insert(&digest.object, digest);
        }
    }
    if wanting.is_empty() {
        return Vec::new();
    }
    let recorded = open().filter_map(|(digest, _)| digest.predecessor.as_ref());
    recorded.filter_map(|recorded| Some((*wanting.get(&recorded.object)?, recorded.signature.as_ref()?))).collect()
}

/// What some digest recorded of its predecessor.
struct Record<'a> {
    recorded: &'a Predecessor,
    by: &'a ObjectRef,
    /// Whether the digest that says so is valid.
    valid: bool,
}

fn settle_one(
    open: OpenDigest,
    own: Result<(), Rejection>,
    about: &[Record<'_>],
    keys: &KeyRing,
    is_among_last: bool,
) -> SettledDigest {
    let proven = match own {
        Ok(()) => open
            .signature
            .clone()
            .map(|signature| (signature, SignatureFrom::Metadata))
            .ok_or_else(|| Rejection::unverified(Fault::SignatureMissing, "has no signature in its metadata")),
        Err(rejection) => from_successor(&open, rejection, about, keys),
    };
    let signature = match &proven {
        Ok((signature, _)) => Some(signature),
        Err(_) => open.signature.as_ref(),
    };
    let contradiction = contradiction(&open, signature, about, proven.as_ref().err());
    match (contradiction, proven) {
        (None, Ok((signature, signature_from))) => {
            let same = open.signature.as_ref() == Some(&signature);
            SettledDigest::Valid(ValidDigest {
                touched: open.metadata_kept && !same,
                object: open.object,
                start: open.start,
                end: open.end,
                sha256: open.sha256,
                predecessor: open.predecessor,
                log_files: open.log_files,
                signature_from,
                signature: is_among_last.then_some(signature),
            })
        }
        (Some(rejection), _) | (None, Err(rejection)) => SettledDigest::Rejected(RejectedDigest {
            rejection,
            sha256: Some(open.sha256),
            object: Some(open.object),
            period: Some((open.start, open.end)),
            predecessor: open.predecessor,
            log_files: open.log_files.iter().map(|entry| ClaimedLogFile { object: entry.object }).collect(),
        }),
    }
}

/// Tries the signatures that successors recorded, be they proven or not: a signature proves itself.
fn from_successor(
    open: &OpenDigest,
    own: Rejection,
    about: &[Record<'_>],
    keys: &KeyRing,
) -> Result<(RecordedSignature, SignatureFrom), Rejection> {
    if !matches!(own.fault, Fault::SignatureMissing | Fault::SignatureMismatch) {
        return Err(own);
    }
    let mut rejection = own;
    for record in about {
        let Some(signature) = &record.recorded.signature else { continue };
        if open.signature.as_ref() == Some(signature) {
            continue;
        }
        match open.check_signature(signature, keys) {
            Ok(()) => return Ok((signature.clone(), SignatureFrom::Successor)),
            // A digest with no signature of its own is judged by the recorded one.
            Err(other) if rejection.fault == Fault::SignatureMissing => {
                rejection = Rejection { detail: format!("{}, by its successor's record of it", other.detail), ..other };
            }
            Err(_) => {}
        }
    }
    Err(rejection)
}

/// What a valid successor says against the digest.
fn contradiction(
    open: &OpenDigest,
    signature: Option<&RecordedSignature>,
    about: &[Record<'_>],
    own: Option<&Rejection>,
) -> Option<Rejection> {
    let state = |record: &Record<'_>| compare(record.recorded, &open.sha256, signature);
    let says = |wanted| about.iter().find(|record| record.valid && state(record) == wanted);
    let also = own.map(|rejection| format!("; it also {}", rejection.detail)).unwrap_or_default();
    if let Some(record) = says(LinkState::HashDiffers) {
        let recorded = record.recorded.sha256.map(|hash| hash.to_string()).unwrap_or_default();
        let detail =
            format!("has SHA-256 {}, and its valid successor {} recorded {recorded}{also}", open.sha256, record.by);
        return Some(Rejection::invalid(Fault::PredecessorHashMismatch, detail));
    }
    let record = says(LinkState::SignatureDiffers)?;
    let detail = format!("bears another signature than its valid successor {} recorded{also}", record.by);
    Some(Rejection::invalid(Fault::PredecessorSignatureMismatch, detail))
}

/// Which digests name which as their predecessors.
struct Links {
    /// The place of one that is named, and the place of one that names it; sorted.
    pairs: Vec<(usize, usize)>,
    count: usize,
}

impl Links {
    fn between<T>(examined: &[(T, Examined)]) -> Self {
        let mut by_object: HashMap<&ObjectRef, Vec<usize>> = HashMap::with_capacity(examined.len());
        for (index, digest) in open_digests(examined) {
            by_object.entry(&digest.object).or_default().push(index);
        }
        let mut pairs = Vec::with_capacity(examined.len());
        for (index, digest) in open_digests(examined) {
            let named = digest.predecessor.as_ref().and_then(|recorded| by_object.get(&recorded.object));
            pairs.extend(named.into_iter().flatten().map(|named| (*named, index)));
        }
        pairs.sort_unstable();
        Self { pairs, count: examined.len() }
    }

    /// Those that name this one.
    fn about(&self, index: usize) -> impl Iterator<Item = usize> {
        let first = self.pairs.partition_point(|(named, _)| *named < index);
        self.pairs[first..].iter().take_while(move |(named, _)| *named == index).map(|(_, by)| *by)
    }

    /// An order in which every digest comes after those that name it as predecessor. Names that go in a circle can only be
    /// forged; they come last, newest first.
    fn successors_first<T>(&self, examined: &[(T, Examined)]) -> Vec<usize> {
        let mut names: Vec<(usize, usize)> = self.pairs.iter().map(|(named, by)| (*by, *named)).collect();
        names.sort_unstable();
        let mut waiting = vec![0_usize; self.count];
        self.pairs.iter().for_each(|(named, _)| waiting[*named] += 1);
        let mut ready: Vec<usize> = (0..self.count).filter(|index| waiting[*index] == 0).collect();
        let mut order = Vec::with_capacity(self.count);
        while let Some(index) = ready.pop() {
            order.push(index);
            let first = names.partition_point(|(by, _)| *by < index);
            for (_, named) in names[first..].iter().take_while(|(by, _)| *by == index) {
                waiting[*named] -= 1;
                if waiting[*named] == 0 {
                    ready.push(*named);
                }
            }
        }
        let mut rest: Vec<usize> = (0..self.count).filter(|index| waiting[*index] > 0).collect();
        rest.sort_by_key(|index| match &examined[*index].1 {
            Examined::Open(open, _) => std::cmp::Reverse(Some(open.end)),
            Examined::Closed { .. } => std::cmp::Reverse(None),
        });
        order.extend(rest);
        order
    }

    /// A valid digest need not keep the signature of a predecessor that is valid, too, nor a name of its own for it.
    fn forget_what_is_proven<T>(&self, bench: &mut [Seat<T>]) {
        for (named, by) in &self.pairs {
            let Some(object) = bench[*named].valid().map(|digest| digest.object.clone()) else { continue };
            if let Some(recorded) = bench[*by].valid().and_then(|digest| digest.predecessor.as_mut()) {
                recorded.object = object;
                recorded.signature = None;
            }
        }
    }
}

impl<T> Seat<T> {
    fn valid(&mut self) -> Option<&mut ValidDigest> {
        match self {
            Self::Judged(Settled { digest: SettledDigest::Valid(digest), .. }) => Some(digest),
            _ => None,
        }
    }
}

fn open_digests<T>(examined: &[(T, Examined)]) -> impl Iterator<Item = (usize, &OpenDigest)> {
    examined.iter().enumerate().filter_map(|(index, (_, digest))| match digest {
        Examined::Open(open, _) => Some((index, open.as_ref())),
        Examined::Closed { .. } => None,
    })
}
