//! Judging the digests of a chain together: each by its own signature, by what its successor recorded of it, and by the
//! signature that the successor kept.
//!
//! A digest that a *valid* successor recorded with another hash or signature is invalid, whatever its own signature says. So
//! successors are settled before the digests they name.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt};
use jiff::Timestamp;

use super::digest::{ClaimedLogFile, Examined, OpenDigest, Rejection, Unproven};
use super::document::Predecessor;
use super::entries::LogFileEntries;
use super::key::KeyRing;
use super::signature::RecordedSignature;
use crate::model::{Fault, ObjectRef, Sha256Hash, SignatureFrom};

/// A digest that is as CloudTrail signed it, in its place, and contradicted by no valid successor. Only [`settle()`] makes one.
#[derive(Debug)]
pub struct ValidDigest {
    /// What was read, where it was read to: chains are long. Of its signatures, those are left that may be asked for.
    open: Box<OpenDigest>,
    signature_from: SignatureFrom,
    touched: bool,
}

impl ValidDigest {
    /// Its name.
    pub fn object(&self) -> &ObjectRef {
        &self.open.object
    }

    /// The period it speaks of.
    pub fn period(&self) -> (Timestamp, Timestamp) {
        (self.open.start, self.open.end)
    }

    /// SHA-256 of its uncompressed bytes.
    pub fn sha256(&self) -> Sha256Hash {
        self.open.sha256
    }

    /// What it recorded of the digest before it; `None` for a starting digest.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.open.predecessor.as_ref()
    }

    /// The log files it vouches for.
    pub fn log_files(&self) -> &LogFileEntries {
        &self.open.log_files
    }

    /// Which signature proved it.
    pub fn signature_from(&self) -> SignatureFrom {
        self.signature_from
    }

    /// The signature that proved it, as bytes; kept of the last two of those that were judged together. The others' stand in their
    /// successors.
    pub fn signature(&self) -> Option<&Arc<[u8]>> {
        match self.open.signature.as_ref()? {
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
    Rejected(Box<RejectedDigest>),
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
    let mut bench: Vec<(T, Seat)> =
        examined.into_iter().map(|(handle, digest)| (handle, Seat::Waiting(digest))).collect();
    for index in order {
        let Seat::Waiting(digest) = std::mem::replace(&mut bench[index].1, Seat::Empty) else { continue };
        let digest = match digest {
            Examined::Open(open, own) => {
                let about: Vec<Record<'_>> = links.about(index).filter_map(|by| bench[by].1.record()).collect();
                let is_among_last = links.about(index).all(|by| links.about(by).next().is_none());
                settle_one(open, own, &about, keys, is_among_last)
            }
            Examined::Closed(closed) => SettledDigest::Rejected(Box::new(RejectedDigest {
                rejection: closed.rejection,
                sha256: closed.sha256,
                object: None,
                period: None,
                predecessor: None,
                log_files: Vec::new(),
            })),
        };
        bench[index].1 = Seat::Judged(digest);
    }
    links.forget_what_is_proven(&mut bench);
    let judged = bench.into_iter().filter_map(|(handle, seat)| match seat {
        Seat::Judged(digest) => Some(Settled { handle, digest }),
        Seat::Waiting(_) | Seat::Empty => None,
    });
    judged.collect()
}

/// A digest before, while and after it is judged.
enum Seat {
    Waiting(Examined),
    Empty,
    Judged(SettledDigest),
}

impl Seat {
    /// What this digest recorded of its predecessor.
    fn record(&self) -> Option<Record<'_>> {
        match self {
            Self::Waiting(Examined::Open(open, _)) => {
                Some(Record { recorded: open.predecessor.as_ref()?, by: &open.object, valid: false })
            }
            Self::Judged(SettledDigest::Valid(digest)) => {
                Some(Record { recorded: digest.predecessor()?, by: digest.object(), valid: true })
            }
            Self::Judged(SettledDigest::Rejected(digest)) => {
                Some(Record { recorded: digest.predecessor.as_ref()?, by: digest.object.as_ref()?, valid: false })
            }
            Self::Waiting(_) | Self::Empty => None,
        }
    }
}

/// A signature that a successor recorded of a digest.
#[derive(Debug, Clone, Copy)]
pub struct SuccessorsWord<'a> {
    /// The digest that it is about.
    pub digest: &'a OpenDigest,
    unproven: &'a Unproven,
    signature: &'a RecordedSignature,
}

impl SuccessorsWord<'_> {
    /// Whether the signature proves the digest.
    pub fn check(&self, keys: &KeyRing) -> Result<(), Rejection> {
        self.unproven.check(self.signature, keys)
    }
}

/// The signatures that successors recorded of digests whose own one is missing or fails. They are what such a digest will be
/// judged by.
pub fn recorded_signatures<T>(examined: &[(T, Examined)]) -> Vec<SuccessorsWord<'_>> {
    let open = || {
        examined.iter().filter_map(|(_, digest)| match digest {
            Examined::Open(open, own) => Some((open.as_ref(), own)),
            Examined::Closed(_) => None,
        })
    };
    let mut wanting: HashMap<&ObjectRef, (&OpenDigest, &Unproven)> = HashMap::new();
    for (digest, own) in open() {
        if let Err(unproven) = own
            && matches!(unproven.rejection().fault, Fault::SignatureMissing | Fault::SignatureMismatch)
        {
            wanting.insert(&digest.object, (digest, unproven));
        }
    }
    if wanting.is_empty() {
        return Vec::new();
    }
    let recorded = open().filter_map(|(digest, _)| digest.predecessor.as_ref());
    let words = recorded.filter_map(|recorded| {
        let (digest, unproven) = *wanting.get(&recorded.object)?;
        Some(SuccessorsWord { digest, unproven, signature: recorded.signature.as_ref()? })
    });
    words.collect()
}

/// What some digest recorded of its predecessor.
struct Record<'a> {
    recorded: &'a Predecessor,
    by: &'a ObjectRef,
    /// Whether the digest that says so is valid.
    valid: bool,
}

fn settle_one(
    mut open: Box<OpenDigest>,
    own: Result<(), Box<Unproven>>,
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
        Err(unproven) => from_successor(&open, *unproven, about, keys),
    };
    let signature = match &proven {
        Ok((signature, _)) => Some(signature),
        Err(_) => open.signature.as_ref(),
    };
    let contradiction = contradiction(&open, signature, about, proven.as_ref().err());
    match (contradiction, proven) {
        (None, Ok((signature, signature_from))) => {
            let touched = open.metadata_kept && open.signature.as_ref() != Some(&signature);
            open.signature = is_among_last.then_some(signature);
            SettledDigest::Valid(ValidDigest { open, signature_from, touched })
        }
        (Some(rejection), _) | (None, Err(rejection)) => SettledDigest::Rejected(Box::new(RejectedDigest {
            rejection,
            sha256: Some(open.sha256),
            object: Some(open.object),
            period: Some((open.start, open.end)),
            predecessor: open.predecessor,
            log_files: open.log_files.iter().map(|entry| ClaimedLogFile { object: entry.object }).collect(),
        })),
    }
}

/// Tries the signatures that successors recorded, be they proven or not: a signature proves itself.
fn from_successor(
    open: &OpenDigest,
    own: Unproven,
    about: &[Record<'_>],
    keys: &KeyRing,
) -> Result<(RecordedSignature, SignatureFrom), Rejection> {
    if !matches!(own.rejection().fault, Fault::SignatureMissing | Fault::SignatureMismatch) {
        return Err(own.into_rejection());
    }
    let mut rejection = own.rejection().clone();
    for record in about {
        let Some(signature) = &record.recorded.signature else { continue };
        if open.signature.as_ref() == Some(signature) {
            continue;
        }
        match own.check(signature, keys) {
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
            Examined::Closed(_) => std::cmp::Reverse(None),
        });
        order.extend(rest);
        order
    }

    /// A valid digest need not keep the signature of a predecessor that is valid, too, nor a name of its own for it.
    fn forget_what_is_proven<T>(&self, bench: &mut [(T, Seat)]) {
        for (named, by) in &self.pairs {
            let Some(object) = bench[*named].1.valid().map(|digest| digest.open.object.clone()) else { continue };
            if let Some(recorded) = bench[*by].1.valid().and_then(|digest| digest.open.predecessor.as_mut()) {
                recorded.object = object;
                recorded.signature = None;
            }
        }
    }
}

impl Seat {
    fn valid(&mut self) -> Option<&mut ValidDigest> {
        match self {
            Self::Judged(SettledDigest::Valid(digest)) => Some(digest),
            _ => None,
        }
    }
}

fn open_digests<T>(examined: &[(T, Examined)]) -> impl Iterator<Item = (usize, &OpenDigest)> {
    examined.iter().enumerate().filter_map(|(index, (_, digest))| match digest {
        Examined::Open(open, _) => Some((index, open.as_ref())),
        Examined::Closed(_) => None,
    })
}
