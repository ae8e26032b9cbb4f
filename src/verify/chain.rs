//! Judging the digests of a chain together: each by its own signature, by what its successor recorded of it, and by the
//! signature that the successor kept.
//!
//! A digest that a *valid* successor recorded with another hash or signature is invalid, whatever its own signature says. So
//! successors are settled before the digests they name.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt, HashSet};

use super::digest::{ParsedDigest, Rejection, UnparsedDigest, Unproven};
use super::document::Predecessor;
use super::entries::LogFileEntries;
use super::key::KeyRing;
use super::links::{Links, summaries};
use super::pending::{DigestSummary, HashKey, NameHash, PackError, PendingDigest};
use super::signature::RecordedSignature;
use crate::model::{Fault, ObjectRef, Sha256Hash, SignatureFrom};

/// A digest that is as CloudTrail signed it, in its place, and contradicted by no valid successor. Only [`verify_chain()`] makes one.
#[derive(Debug)]
pub struct ProvenDigest {
    summary: DigestSummary,
    /// The signature that proved it, where that is the one that its successor recorded, and not the one that it bears itself.
    from_successor: Option<Box<RecordedSignature>>,
}

impl ProvenDigest {
    /// What is at hand of it.
    pub fn summary(&self) -> &DigestSummary {
        &self.summary
    }

    /// The whole of it, from the bytes that it was packed into.
    pub fn unpack(&self, packed: &[u8], key: &HashKey) -> Result<ValidDigest, PackError> {
        let mut open = self.summary.unpack(packed, key)?;
        let (mut signature_from, mut touched) = (SignatureFrom::Metadata, false);
        if let Some(signature) = &self.from_successor {
            signature_from = SignatureFrom::Successor;
            touched = open.metadata_kept;
            open.signature = Some((**signature).clone());
        }
        Ok(ValidDigest { open, signature_from, touched })
    }
}

/// The whole of a [`ProvenDigest`].
#[derive(Debug)]
pub struct ValidDigest {
    open: ParsedDigest,
    signature_from: SignatureFrom,
    touched: bool,
}

impl ValidDigest {
    /// Its name.
    pub fn object(&self) -> &ObjectRef {
        &self.open.object
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

    /// The signature that proved it, as bytes.
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
    /// The name that it bears; if none could be read that leads to where it was found, where it was found.
    pub object: ObjectRef,
    /// The digest that it claims to follow.
    pub predecessor: Option<Predecessor>,
    /// True if the store keeps metadata for it, and that holds no signature.
    pub lost_signature: bool,
    /// How many log files it claims.
    pub claims: usize,
    /// Its packed claims, if it was read: with them, its claims can be unpacked.
    pub summary: Option<DigestSummary>,
}

impl From<UnparsedDigest> for RejectedDigest {
    fn from(UnparsedDigest { place, sha256, rejection }: UnparsedDigest) -> Self {
        Self { rejection, sha256, object: place, predecessor: None, lost_signature: false, claims: 0, summary: None }
    }
}

/// A digest after judgement.
#[derive(Debug)]
pub enum SettledDigest {
    /// It is what CloudTrail delivered.
    Valid(ProvenDigest),
    /// It is not, or nobody can say.
    Rejected(Box<RejectedDigest>),
}

/// A judged digest beside the caller's own handle for it.
#[derive(Debug)]
pub struct JudgedDigest<T> {
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

/// Judges the digests of one chain together. They may come in any order, and leave in the same. `open` unpacks one: in a chain without
/// forks, each is asked for once, those that are named by others after those.
pub fn verify_chain<T, E>(
    mut waiting: Vec<(T, PendingDigest)>,
    mut open: impl FnMut(&T, &DigestSummary) -> Result<ParsedDigest, E>,
    keys: &KeyRing,
) -> Result<Vec<JudgedDigest<T>>, E> {
    let links = Links::between(&waiting);
    let order = links.successors_first(&waiting);
    let mut judgements: Vec<Option<Judgement>> = Vec::new();
    judgements.resize_with(waiting.len(), || None);
    let mut last = None;
    for index in order {
        let (handle, PendingDigest::Parsed(summary, own)) = &mut waiting[index] else { continue };
        let digest = open(handle, summary)?;
        let own = std::mem::replace(own, Ok(()));
        let mut referrers = Vec::new();
        // What one says of itself is nobody's word.
        for by in links.referrers(index).filter(|by| *by != index) {
            let record = record(by, &waiting[by], judgements[by].as_ref(), last.as_ref(), &mut open)?;
            // That their names have the same hash proves nothing yet.
            referrers.extend(record.filter(|record| record.recorded.object == digest.object));
        }
        last = Some(Last { index, object: digest.object.clone(), predecessor: digest.predecessor.clone() });
        judgements[index] = Some(judge(digest, own, &referrers, keys));
    }
    let mut judgements = judgements.into_iter();
    // Where they waited is room for them: chains are long.
    let settled = waiting.into_iter().filter_map(|(handle, digest)| {
        let digest = match (digest, judgements.next().flatten()) {
            (PendingDigest::Parsed(summary, _), Some(Judgement::Valid { from_successor })) => {
                SettledDigest::Valid(ProvenDigest { summary, from_successor })
            }
            (PendingDigest::Parsed(summary, _), Some(Judgement::Rejected(mut digest))) => {
                digest.summary = Some(summary);
                SettledDigest::Rejected(digest)
            }
            // Every one that is open was judged.
            (PendingDigest::Parsed(..), None) => return None,
            (PendingDigest::Unparsed(closed), _) => SettledDigest::Rejected(Box::new(RejectedDigest::from(*closed))),
        };
        Some(JudgedDigest { handle, digest })
    });
    Ok(settled.collect())
}

/// What comes of judging a digest that was read.
enum Judgement {
    Valid { from_successor: Option<Box<RecordedSignature>> },
    Rejected(Box<RejectedDigest>),
}

/// What some digest recorded of its predecessor.
struct Record {
    recorded: Predecessor,
    by: ObjectRef,
    /// Whether the digest that says so is valid.
    valid: bool,
}

/// The digest that was judged last. Nearly always it is the next one's successor.
struct Last {
    index: usize,
    object: ObjectRef,
    predecessor: Option<Predecessor>,
}

/// What the digest at a place recorded of its predecessor.
fn record<T, E>(
    index: usize,
    (handle, digest): &(T, PendingDigest),
    judgement: Option<&Judgement>,
    last: Option<&Last>,
    open: &mut impl FnMut(&T, &DigestSummary) -> Result<ParsedDigest, E>,
) -> Result<Option<Record>, E> {
    let PendingDigest::Parsed(summary, _) = digest else { return Ok(None) };
    let (by, recorded) = match last.filter(|last| last.index == index) {
        Some(last) => (last.object.clone(), last.predecessor.clone()),
        None => {
            let digest = open(handle, summary)?;
            (digest.object, digest.predecessor)
        }
    };
    let valid = matches!(judgement, Some(Judgement::Valid { .. }));
    Ok(recorded.map(|recorded| Record { recorded, by, valid }))
}

/// Tries the signatures that successors recorded of digests whose own one is missing or fails: they are what
/// such a digest will be judged by. `tell` learns of each what came of it, and the place of the digest that
/// it is about. `tried` holds the pairs of places, of a digest and of one that names it, which are passed
/// over; those that are tried are added to it.
pub fn try_recorded_signatures<T, E>(
    waiting: &[(T, PendingDigest)],
    mut open: impl FnMut(&T, &DigestSummary) -> Result<ParsedDigest, E>,
    keys: &KeyRing,
    tried: &mut HashSet<(usize, usize)>,
    mut tell: impl FnMut(usize, Result<(), Rejection>),
) -> Result<(), E> {
    let mut wanting: HashMap<NameHash, (usize, &Unproven)> = HashMap::new();
    for (index, (_, digest)) in waiting.iter().enumerate() {
        if let PendingDigest::Parsed(summary, Err(unproven)) = digest
            && matches!(unproven.rejection().fault, Fault::SignatureMissing | Fault::SignatureMismatch)
        {
            wanting.insert(summary.name(), (index, unproven));
        }
    }
    if wanting.is_empty() {
        return Ok(());
    }
    for (by, handle, summary) in summaries(waiting) {
        let named = summary.predecessor().and_then(|named| wanting.get(&named).copied());
        let Some((index, unproven)) = named else { continue };
        if !tried.insert((index, by)) {
            continue;
        }
        // The signature is over the name, too: it proves that the name is the one which is meant.
        if let Some(signature) = open(handle, summary)?.predecessor.and_then(|recorded| recorded.signature) {
            tell(index, unproven.check(&signature, keys));
        }
    }
    Ok(())
}

fn judge(open: ParsedDigest, own: Result<(), Box<Unproven>>, referrers: &[Record], keys: &KeyRing) -> Judgement {
    // One that is not in its place is not the one that was named there.
    let referrers = match &own {
        Err(unproven) if unproven.rejection().fault == Fault::Moved => &[],
        _ => referrers,
    };
    // The signature that proves it, if that is its successor's record.
    let proven = match own {
        Ok(()) => Ok(None),
        Err(unproven) => from_successor(&open, *unproven, referrers, keys).map(Some),
    };
    let signature = match &proven {
        Ok(Some(signature)) => Some(signature),
        Ok(None) | Err(_) => open.signature.as_ref(),
    };
    let contradiction = contradiction(&open, signature, referrers, proven.as_ref().err());
    match (contradiction, proven) {
        (None, Ok(signature)) => Judgement::Valid { from_successor: signature.map(Box::new) },
        (Some(rejection), _) | (None, Err(rejection)) => Judgement::Rejected(Box::new(RejectedDigest {
            rejection,
            sha256: Some(open.sha256),
            object: open.object,
            predecessor: open.predecessor,
            lost_signature: open.metadata_kept && open.signature.is_none(),
            claims: open.log_files.len(),
            summary: None,
        })),
    }
}

/// Tries the signatures that successors recorded, be they proven or not: a signature proves itself.
fn from_successor(
    open: &ParsedDigest,
    own: Unproven,
    referrers: &[Record],
    keys: &KeyRing,
) -> Result<RecordedSignature, Rejection> {
    if !matches!(own.rejection().fault, Fault::SignatureMissing | Fault::SignatureMismatch) {
        return Err(own.into_rejection());
    }
    let mut rejection = own.rejection().clone();
    for record in referrers {
        let Some(signature) = &record.recorded.signature else { continue };
        if open.signature.as_ref() == Some(signature) {
            continue;
        }
        match own.check(signature, keys) {
            Ok(()) => return Ok(signature.clone()),
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
    open: &ParsedDigest,
    signature: Option<&RecordedSignature>,
    referrers: &[Record],
    own: Option<&Rejection>,
) -> Option<Rejection> {
    let state = |record: &Record| compare(&record.recorded, &open.sha256, signature);
    let says = |wanted| referrers.iter().find(|record| record.valid && state(record) == wanted);
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
