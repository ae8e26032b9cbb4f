//! Verification of the digests of a chain together: each by its own signature, by its successor's
//! record of it, and by the signature in that record.
//!
//! A digest that a *valid* successor recorded with another hash or signature is invalid, whatever
//! its own signature says. So successors are judged before the digests that they name.

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use ahash::{HashMap, HashMapExt};

use super::digest::{CheckedDigest, ParsedDigest, RawDigest, Rejection, UnparsedDigest, Unproven, examine};
use super::document::Predecessor;
use super::entries::LogFileEntries;
use super::key::KeyRing;
use super::links::{Links, summaries};
use super::packed::PackError;
use super::pending::{DigestSummary, HashKey, NameHash, PendingDigest};
use super::signature::RecordedSignature;
use crate::model::{Fault, ObjectRef, Period, Sha256Hash, SignatureFrom};

/// A digest that is as CloudTrail signed it, at the location that it names, and contradicted by no
/// valid successor. Only [`verify_chain()`] makes one.
#[derive(Debug)]
pub struct ProvenDigest {
    summary: DigestSummary,
    /// The signature that proved it, if that is the one that its successor recorded and not its
    /// own.
    from_successor: Option<Box<RecordedSignature>>,
}

impl ProvenDigest {
    /// The summary of the digest, which stays in memory.
    pub fn summary(&self) -> &DigestSummary {
        &self.summary
    }

    /// Unpacks the whole digest from the bytes that it was packed into.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not those that were packed.
    pub fn unpack(&self, packed: &[u8], key: &HashKey) -> Result<ValidDigest, PackError> {
        let mut digest = self.summary.unpack(packed, key)?;
        let (mut signature_from, mut touched) = (SignatureFrom::Metadata, false);
        if let Some(signature) = &self.from_successor {
            signature_from = SignatureFrom::Successor;
            touched = digest.metadata_kept;
            digest.signature = Some((**signature).clone());
        }
        Ok(ValidDigest { digest, signature_from, touched })
    }
}

/// A digest that is valid, with all its fields: an unpacked [`ProvenDigest`], which no valid
/// successor contradicts, or the result of [`verify_digest()`], of whose successor nothing is known.
#[derive(Debug)]
pub struct ValidDigest {
    digest: ParsedDigest,
    signature_from: SignatureFrom,
    touched: bool,
}

impl ValidDigest {
    /// Its name.
    pub fn object(&self) -> &ObjectRef {
        &self.digest.object
    }

    /// The period that it covers.
    pub fn period(&self) -> Period {
        Period { start: self.digest.start, end: self.digest.end }
    }

    /// SHA-256 of its uncompressed bytes.
    pub fn sha256(&self) -> Sha256Hash {
        self.digest.sha256
    }

    /// The digest's record of its predecessor; `None` for a starting digest.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.digest.predecessor.as_ref()
    }

    /// The log files it vouches for.
    pub fn log_files(&self) -> &LogFileEntries {
        &self.digest.log_files
    }

    /// The origin of the signature that proved it.
    pub fn signature_from(&self) -> SignatureFrom {
        self.signature_from
    }

    /// The signature that proved it, as bytes.
    pub fn signature(&self) -> Option<&Arc<[u8]>> {
        match self.digest.signature.as_ref()? {
            RecordedSignature::Bytes(bytes) => Some(bytes),
            RecordedSignature::Unreadable(_) => None,
        }
    }

    /// Returns whether the object's own metadata lacks the signature that proved it, or has
    /// another.
    pub fn was_touched(&self) -> bool {
        self.touched
    }
}

/// A digest that is not valid, with its unproven claims.
#[derive(Debug)]
pub struct RejectedDigest {
    /// The reason why it is not valid.
    pub rejection: Rejection,
    /// SHA-256 of its uncompressed bytes, if they could be read.
    pub sha256: Option<Sha256Hash>,
    /// The object that the digest names as its own; the one under which it was found, if the digest
    /// could not be read or its name leads elsewhere.
    pub object: ObjectRef,
    /// The digest that it claims to follow.
    pub predecessor: Option<Predecessor>,
    /// True if the store keeps metadata for it, and that holds no signature.
    pub lost_signature: bool,
    /// The number of log files that it claims to list.
    pub claims: usize,
    /// The digest's summary, if it was parsed: its claims can be unpacked with it.
    pub summary: Option<DigestSummary>,
}

impl fmt::Display for RejectedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object, self.rejection.detail)
    }
}

impl std::error::Error for RejectedDigest {}

impl RejectedDigest {
    fn new(digest: ParsedDigest, rejection: Rejection) -> Self {
        Self {
            rejection,
            sha256: Some(digest.sha256),
            object: digest.object,
            predecessor: digest.predecessor,
            lost_signature: digest.metadata_kept && digest.signature.is_none(),
            claims: digest.log_files.len(),
            summary: None,
        }
    }
}

impl From<UnparsedDigest> for RejectedDigest {
    fn from(UnparsedDigest { object, sha256, rejection }: UnparsedDigest) -> Self {
        Self { rejection, sha256, object, predecessor: None, lost_signature: false, claims: 0, summary: None }
    }
}

/// A digest after judgement.
#[derive(Debug)]
pub enum DigestJudgement {
    /// The digest is what CloudTrail delivered.
    Valid(ProvenDigest),
    /// The digest is not what CloudTrail delivered, or could not be judged.
    Rejected(Box<RejectedDigest>),
}

/// A judged digest beside the caller's own handle for it.
#[derive(Debug)]
pub struct JudgedDigest<T> {
    /// The caller's handle.
    pub handle: T,
    /// The judgement.
    pub digest: DigestJudgement,
}

/// The result of comparing a digest with another digest's record of it.
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

/// Judges the digests of one chain together. They may come in any order, and are returned in the
/// same. `unpack` unpacks one: in a chain without forks, it is called once for each, and for a digest
/// only after those that name it.
///
/// # Errors
///
/// Fails if `unpack` does.
pub fn verify_chain<T, E>(
    mut pending: Vec<(T, PendingDigest)>,
    mut unpack: impl FnMut(&T, &DigestSummary) -> Result<ParsedDigest, E>,
    keys: &KeyRing,
) -> Result<Vec<JudgedDigest<T>>, E> {
    let links = Links::between(&pending);
    let order = links.successors_first(&pending);
    let mut judgements: Vec<Option<Judgement>> = Vec::new();
    judgements.resize_with(pending.len(), || None);
    let mut last = None;
    for index in order {
        let (handle, PendingDigest::Parsed(summary, own)) = &mut pending[index] else { continue };
        let digest = unpack(handle, summary)?;
        let own = std::mem::replace(own, Ok(()));
        let mut referrers = Vec::new();
        // Ignore self-links: a digest must not vouch for itself.
        for by in links.referrers(index).filter(|by| *by != index) {
            let record = record(by, &pending[by], judgements[by].as_ref(), last.as_ref(), &mut unpack)?;
            // Equal hashes of names prove nothing: compare the names themselves.
            referrers.extend(record.filter(|record| record.recorded.object == digest.object));
        }
        last = Some(Last { index, object: digest.object.clone(), predecessor: digest.predecessor.clone() });
        judgements[index] = Some(judge(digest, own, &referrers, keys));
    }
    let mut judgements = judgements.into_iter();
    // Collected from the consumed vector, so that its allocation can be reused: chains are long.
    let judged = pending.into_iter().filter_map(|(handle, digest)| {
        let digest = match (digest, judgements.next().flatten()) {
            (PendingDigest::Parsed(summary, _), Some(Judgement::Valid { from_successor })) => {
                DigestJudgement::Valid(ProvenDigest { summary, from_successor })
            }
            (PendingDigest::Parsed(summary, _), Some(Judgement::Rejected(mut digest))) => {
                digest.summary = Some(summary);
                DigestJudgement::Rejected(digest)
            }
            // Unreachable: every parsed digest was judged above.
            (PendingDigest::Parsed(..), None) => return None,
            (PendingDigest::Unparsed(unparsed), _) => {
                DigestJudgement::Rejected(Box::new(RejectedDigest::from(*unparsed)))
            }
        };
        Some(JudgedDigest { handle, digest })
    });
    Ok(judged.collect())
}

/// Verifies a digest by itself. Without its successor, nothing shows that it is the digest that was
/// delivered last under this name, and a signature that only the successor recorded is not known.
///
/// # Errors
///
/// Returns the digest that is not valid, with the reason.
pub fn verify_digest(found: &RawDigest<'_>, keys: &KeyRing) -> Result<ValidDigest, Box<RejectedDigest>> {
    let (digest, own) = match examine(found, |named| named == found.object, keys) {
        CheckedDigest::Parsed(digest, own) => (*digest, own),
        CheckedDigest::Unparsed(unparsed) => return Err(Box::new(RejectedDigest::from(*unparsed))),
    };
    match own {
        Ok(()) => Ok(ValidDigest { digest, signature_from: SignatureFrom::Metadata, touched: false }),
        Err(unproven) => Err(Box::new(RejectedDigest::new(digest, unproven.into_rejection()))),
    }
}

/// The judgement on a digest that was parsed.
enum Judgement {
    Valid { from_successor: Option<Box<RecordedSignature>> },
    Rejected(Box<RejectedDigest>),
}

/// A digest's record of its predecessor.
struct Referrer {
    recorded: Predecessor,
    by: ObjectRef,
    /// True if the recording digest is valid.
    valid: bool,
}

/// The digest that was judged last, kept so that it need not be unpacked again: it is nearly always
/// the successor of the next one.
struct Last {
    index: usize,
    object: ObjectRef,
    predecessor: Option<Predecessor>,
}

/// Returns the record that the digest at an index has of its predecessor.
fn record<T, E>(
    index: usize,
    (handle, digest): &(T, PendingDigest),
    judgement: Option<&Judgement>,
    last: Option<&Last>,
    unpack: &mut impl FnMut(&T, &DigestSummary) -> Result<ParsedDigest, E>,
) -> Result<Option<Referrer>, E> {
    let PendingDigest::Parsed(summary, _) = digest else { return Ok(None) };
    let (by, recorded) = match last.filter(|last| last.index == index) {
        Some(last) => (last.object.clone(), last.predecessor.clone()),
        None => {
            let digest = unpack(handle, summary)?;
            (digest.object, digest.predecessor)
        }
    };
    let valid = matches!(judgement, Some(Judgement::Valid { .. }));
    Ok(recorded.map(|recorded| Referrer { recorded, by, valid }))
}

/// Tries the signatures that successors recorded of digests whose own signature is missing or
/// fails: such a digest will be judged by them. `on_result` is called for each, with the index of the
/// digest that it is about and the result. `tried` holds pairs of indexes, of a digest and of one
/// that names it, which are skipped; those that are tried are added to it.
///
/// # Errors
///
/// Fails if `unpack` does.
pub fn try_recorded_signatures<T, E, S: BuildHasher>(
    pending: &[(T, PendingDigest)],
    mut unpack: impl FnMut(&T, &DigestSummary) -> Result<ParsedDigest, E>,
    keys: &KeyRing,
    tried: &mut HashSet<(usize, usize), S>,
    mut on_result: impl FnMut(usize, Result<(), Rejection>),
) -> Result<(), E> {
    let mut wanting: HashMap<NameHash, (usize, &Unproven)> = HashMap::new();
    for (index, (_, digest)) in pending.iter().enumerate() {
        if let PendingDigest::Parsed(summary, Err(unproven)) = digest
            && matches!(unproven.rejection().fault, Fault::SignatureMissing | Fault::SignatureMismatch)
        {
            wanting.insert(summary.name(), (index, unproven));
        }
    }
    if wanting.is_empty() {
        return Ok(());
    }
    for (by, handle, summary) in summaries(pending) {
        let named = summary.predecessor().and_then(|named| wanting.get(&named).copied());
        let Some((index, unproven)) = named else { continue };
        if !tried.insert((index, by)) {
            continue;
        }
        // The signed text includes the name, so a signature that verifies proves that the name,
        // which is only known by its hash here, is the one that is meant.
        if let Some(signature) = unpack(handle, summary)?.predecessor.and_then(|recorded| recorded.signature) {
            on_result(index, unproven.check(&signature, keys));
        }
    }
    Ok(())
}

fn judge(digest: ParsedDigest, own: Result<(), Box<Unproven>>, referrers: &[Referrer], keys: &KeyRing) -> Judgement {
    // A moved digest is not the one that its successors name at this location: ignore their
    // records.
    let referrers = match &own {
        Err(unproven) if unproven.rejection().fault == Fault::Moved => &[],
        _ => referrers,
    };
    // The signature that proves the digest, if that is a successor's record.
    let proven = match own {
        Ok(()) => Ok(None),
        Err(unproven) => from_successor(&digest, *unproven, referrers, keys).map(Some),
    };
    let signature = match &proven {
        Ok(Some(signature)) => Some(signature),
        Ok(None) | Err(_) => digest.signature.as_ref(),
    };
    let contradiction = contradiction(&digest, signature, referrers, proven.as_ref().err());
    match (contradiction, proven) {
        (None, Ok(signature)) => Judgement::Valid { from_successor: signature.map(Box::new) },
        (Some(rejection), _) | (None, Err(rejection)) => {
            Judgement::Rejected(Box::new(RejectedDigest::new(digest, rejection)))
        }
    }
}

/// Tries the signatures that successors recorded, whether or not those successors are proven: a
/// signature proves itself.
fn from_successor(
    digest: &ParsedDigest,
    own: Unproven,
    referrers: &[Referrer],
    keys: &KeyRing,
) -> Result<RecordedSignature, Rejection> {
    if !matches!(own.rejection().fault, Fault::SignatureMissing | Fault::SignatureMismatch) {
        return Err(own.into_rejection());
    }
    let mut rejection = own.rejection().clone();
    for record in referrers {
        let Some(signature) = &record.recorded.signature else { continue };
        if digest.signature.as_ref() == Some(signature) {
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

/// Returns a rejection if a valid successor contradicts the digest.
fn contradiction(
    digest: &ParsedDigest,
    signature: Option<&RecordedSignature>,
    referrers: &[Referrer],
    own: Option<&Rejection>,
) -> Option<Rejection> {
    let state = |record: &Referrer| compare(&record.recorded, &digest.sha256, signature);
    let says = |wanted| referrers.iter().find(|record| record.valid && state(record) == wanted);
    let also = own.map(|rejection| format!("; it also {}", rejection.detail)).unwrap_or_default();
    if let Some(record) = says(LinkState::HashDiffers) {
        let recorded = record.recorded.sha256.map(|hash| hash.to_string()).unwrap_or_default();
        let detail =
            format!("has SHA-256 {}, and its valid successor {} recorded {recorded}{also}", digest.sha256, record.by);
        return Some(Rejection::invalid(Fault::PredecessorHashMismatch, detail));
    }
    let record = says(LinkState::SignatureDiffers)?;
    let detail = format!("bears another signature than its valid successor {} recorded{also}", record.by);
    Some(Rejection::invalid(Fault::PredecessorSignatureMismatch, detail))
}
