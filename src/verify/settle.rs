//! Judging the digests of a chain together: each by its own signature, by what its successor recorded of it, and by the
//! signature that the successor kept.
//!
//! A digest that a *valid* successor recorded with another hash or signature is invalid, whatever its own signature says. So
//! successors are settled before the digests they name.

use ahash::{HashMap, HashMapExt, HashSet};
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
    let order = successors_first(&examined);
    let mut records: HashMap<ObjectRef, Vec<Record>> = HashMap::new();
    for (_, digest) in &examined {
        if let Examined::Open(open, _) = digest
            && let Some(recorded) = &open.predecessor
        {
            let by = open.object.clone();
            records.entry(recorded.object.clone()).or_default().push(Record {
                recorded: recorded.clone(),
                by,
                valid: false,
            });
        }
    }
    let mut slots: Vec<Option<(T, Examined)>> = examined.into_iter().map(Some).collect();
    let mut settled: Vec<Option<Settled<T>>> = slots.iter().map(|_| None).collect();
    for index in order {
        let Some((handle, digest)) = slots[index].take() else { continue };
        let digest = match digest {
            Examined::Open(open, own) => settle_one(*open, own, &mut records, keys),
            Examined::Closed { sha256, rejection } => SettledDigest::Rejected(RejectedDigest {
                rejection,
                sha256,
                object: None,
                period: None,
                predecessor: None,
                log_files: Vec::new(),
            }),
        };
        settled[index] = Some(Settled { handle, digest });
    }
    let mut settled: Vec<Settled<T>> = settled.into_iter().flatten().collect();
    forget_what_is_proven(&mut settled);
    settled
}

/// A valid digest need not keep the signature of a predecessor that is valid, too, nor a name of its own for it.
fn forget_what_is_proven<T>(settled: &mut [Settled<T>]) {
    let valid: HashSet<ObjectRef> = settled
        .iter()
        .filter_map(|settled| match &settled.digest {
            SettledDigest::Valid(digest) => Some(digest.object.clone()),
            SettledDigest::Rejected(_) => None,
        })
        .collect();
    for settled in settled {
        if let SettledDigest::Valid(ValidDigest { predecessor: Some(named), .. }) = &mut settled.digest
            && let Some(object) = valid.get(&named.object)
        {
            named.object = object.clone();
            named.signature = None;
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
struct Record {
    recorded: Predecessor,
    by: ObjectRef,
    /// Whether the digest that says so is valid.
    valid: bool,
}

fn settle_one(
    open: OpenDigest,
    own: Result<(), Rejection>,
    records: &mut HashMap<ObjectRef, Vec<Record>>,
    keys: &KeyRing,
) -> SettledDigest {
    let about = records.get(&open.object).map_or(&[][..], Vec::as_slice);
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
            if let Some(recorded) = &open.predecessor {
                let about = records.entry(recorded.object.clone()).or_default();
                about.iter_mut().filter(|record| record.by == open.object).for_each(|record| record.valid = true);
            }
            let same = open.signature == Some(signature);
            SettledDigest::Valid(ValidDigest {
                touched: open.metadata_kept && !same,
                object: open.object,
                start: open.start,
                end: open.end,
                sha256: open.sha256,
                predecessor: open.predecessor,
                log_files: open.log_files,
                signature_from,
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
    about: &[Record],
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
    about: &[Record],
    own: Option<&Rejection>,
) -> Option<Rejection> {
    let state = |record: &Record| compare(&record.recorded, &open.sha256, signature);
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

/// An order in which every digest comes after those that name it as predecessor. Names that go in a circle can only be
/// forged; they come last, newest first.
fn successors_first<T>(examined: &[(T, Examined)]) -> Vec<usize> {
    let open = |index: usize| match &examined[index].1 {
        Examined::Open(open, _) => Some(open.as_ref()),
        Examined::Closed { .. } => None,
    };
    let mut by_object: HashMap<&ObjectRef, Vec<usize>> = HashMap::new();
    for index in 0..examined.len() {
        if let Some(digest) = open(index) {
            by_object.entry(&digest.object).or_default().push(index);
        }
    }
    let named_by = |index: usize| {
        let recorded = open(index).and_then(|digest| digest.predecessor.as_ref());
        recorded.and_then(|recorded| by_object.get(&recorded.object)).map_or(&[][..], Vec::as_slice)
    };
    let mut waiting = vec![0_usize; examined.len()];
    for index in 0..examined.len() {
        named_by(index).iter().for_each(|&named| waiting[named] += 1);
    }
    let mut ready: Vec<usize> = (0..examined.len()).filter(|&index| waiting[index] == 0).collect();
    let mut order = Vec::with_capacity(examined.len());
    while let Some(index) = ready.pop() {
        order.push(index);
        for &named in named_by(index) {
            waiting[named] -= 1;
            if waiting[named] == 0 {
                ready.push(named);
            }
        }
    }
    let mut rest: Vec<usize> = (0..examined.len()).filter(|&index| waiting[index] > 0).collect();
    rest.sort_by_key(|&index| std::cmp::Reverse(open(index).map(|digest| digest.end)));
    order.extend(rest);
    order
}
