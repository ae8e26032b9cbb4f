//! Examining one digest by itself: its form, its place, its own signature.

use jiff::Timestamp;

use super::content::sha256;
use super::document::{Document, Predecessor};
use super::entries::LogFileEntries;
use super::inflate::uncompressed;
use super::key::{KeyLookup, KeyRing};
use super::limits::MAX_DIGEST_BYTES;
use super::metadata::DigestMetadata;
use super::signature::{RecordedSignature, SHA256_WITH_RSA, SignatureCheck, check, signed_hash};
use crate::model::{DigestKind, DigestStatus, Fault, ObjectRef, Period, Sha256Hash};

/// Why a digest is not valid: `status` is `Invalid` or `Unverified`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// `Invalid`, or `Unverified` where nobody can say.
    pub status: DigestStatus,
    /// What exactly is wrong.
    pub fault: Fault,
    /// The same in words, to follow "the digest …".
    pub detail: String,
    /// Whether it is `Unverified` because two implementations of RSA disagree on the signature.
    pub disputed: bool,
}

impl Rejection {
    /// The digest is no whole gzip stream, or decompresses to more than a digest may.
    pub fn broken_gzip(fault: Fault) -> Self {
        let detail = match fault {
            Fault::TooLarge => {
                return Self::unverified(fault, format!("is larger than {MAX_DIGEST_BYTES} bytes when decompressed"));
            }
            Fault::NotGzip => "is not gzip",
            Fault::Truncated => "ends early: its gzip stream is cut short",
            Fault::TrailingData => "has bytes after the end of its gzip stream",
            _ => "can't be decompressed: its gzip stream is corrupt",
        };
        Self::invalid(fault, detail)
    }

    /// The digest is not what CloudTrail signed.
    pub fn invalid(fault: Fault, detail: impl Into<String>) -> Self {
        Self { status: DigestStatus::Invalid, fault, detail: detail.into(), disputed: false }
    }

    /// Nobody can say.
    pub fn unverified(fault: Fault, detail: impl Into<String>) -> Self {
        Self { status: DigestStatus::Unverified, fault, detail: detail.into(), disputed: false }
    }

    /// Two implementations of RSA disagree on the signature.
    fn disputed() -> Self {
        let detail = "has a signature on which two implementations of RSA disagree: please report this as a bug";
        Self { disputed: true, ..Self::unverified(Fault::SignatureMismatch, detail) }
    }
}

/// A digest as a store handed it out.
#[derive(Debug)]
pub struct RawDigest<'a> {
    /// Where it lies.
    pub place: &'a ObjectRef,
    /// The series that its name puts it in.
    pub kind: DigestKind,
    /// The object's bytes, gzipped.
    pub bytes: &'a [u8],
    /// True if the bytes are not gzipped: a copy may hold a digest that somebody decompressed.
    pub is_uncompressed: bool,
    /// Its user metadata.
    pub metadata: &'a DigestMetadata,
    /// When S3 last wrote it, where that is known.
    pub last_modified: Option<Timestamp>,
}

/// A digest that was read: it claims things, and nothing of that is proven.
#[derive(Debug)]
pub struct ParsedDigest {
    pub(super) object: ObjectRef,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) sha256: Sha256Hash,
    pub(super) predecessor: Option<Predecessor>,
    pub(super) log_files: LogFileEntries,
    /// Whether the store keeps metadata for it, and the signature there.
    pub(super) metadata_kept: bool,
    pub(super) signature: Option<RecordedSignature>,
}

/// The time at which a digest was signed, as far as it is known: both ends are included.
#[derive(Debug, Clone, Copy)]
struct SigningTime {
    earliest: Timestamp,
    latest: Timestamp,
}

/// What a signature over a digest has to fit.
#[derive(Debug)]
struct Signing {
    /// SHA-256 of the text that is signed.
    signed: Sha256Hash,
    fingerprint: Box<str>,
    /// The signature algorithm, where it is not the one that is known.
    algorithm: Option<Box<str>>,
    /// When it was signed, as far as that is known.
    time: SigningTime,
}

/// A digest that its own signature does not prove. Another one may: its successor's record of it.
#[derive(Debug)]
pub struct Unproven {
    rejection: Rejection,
    signing: Signing,
}

/// What examining a digest by itself says.
#[derive(Debug)]
pub enum CheckedDigest {
    /// It was read; the second part is what its own signature says. What other signatures would have to fit is kept only where that one
    /// does not: chains are long, and nearly all digests prove themselves.
    Parsed(Box<ParsedDigest>, Result<(), Box<Unproven>>),
    /// It could not be read, or is no digest, or not in its place.
    Unparsed(Box<UnparsedDigest>),
}

/// A digest that could not be read, or is none, or is not in its place.
#[derive(Debug)]
pub struct UnparsedDigest {
    /// Where it lies.
    pub place: ObjectRef,
    /// SHA-256 of the uncompressed bytes, if they could be had.
    pub sha256: Option<Sha256Hash>,
    /// Why.
    pub rejection: Rejection,
}

impl CheckedDigest {
    /// A digest that is closed.
    pub fn closed(place: ObjectRef, sha256: Option<Sha256Hash>, rejection: Rejection) -> Self {
        Self::Unparsed(Box::new(UnparsedDigest { place, sha256, rejection }))
    }
}

/// Examines a digest by itself. `in_place` says whether the name that the digest bears leads to where it was found.
pub fn examine(found: &RawDigest<'_>, in_place: impl Fn(&ObjectRef) -> bool, keys: &KeyRing) -> CheckedDigest {
    let json = match uncompressed(found.bytes, found.is_uncompressed, MAX_DIGEST_BYTES) {
        Ok(json) => json,
        Err(fault) => return CheckedDigest::closed(found.place.clone(), None, Rejection::broken_gzip(fault)),
    };
    let digest_hash = sha256(&json);
    let closed = |rejection| CheckedDigest::closed(found.place.clone(), Some(digest_hash), rejection);
    let document = match Document::parse(&json) {
        Ok(document) => document,
        Err(detail) => return closed(Rejection::invalid(Fault::Malformed, detail)),
    };
    let Period { start, end } = match document.period() {
        Ok(period) => period,
        Err(detail) => return closed(Rejection::invalid(Fault::Malformed, detail)),
    };
    let object = document.object();
    // Nearly always the same name: one allocation serves both.
    let object = if object == *found.place { found.place.clone() } else { object };
    let is_moved = !in_place(&object);
    let generated = found.metadata.generated();
    let time = match (found.kind, generated) {
        (DigestKind::Standard, _) => SigningTime { earliest: end, latest: end },
        (DigestKind::Backfill, Some(generated)) => {
            if let Some(rejection) = backfill_rejection(generated, end, found.last_modified) {
                return closed(rejection);
            }
            SigningTime { earliest: generated, latest: generated }
        }
        (DigestKind::Backfill, None) if found.metadata.signature.is_some() => {
            return closed(Rejection::invalid(
                Fault::Malformed,
                "is a backfill digest with a signature and without a readable backfill-generation-timestamp",
            ));
        }
        // Without metadata nobody knows when it was generated, only that its hour was over.
        (DigestKind::Backfill, None) => SigningTime { earliest: end, latest: Timestamp::MAX },
    };
    let signing = Signing {
        signed: signed_hash(
            &document.digest_end_time,
            &object,
            &digest_hash,
            document.previous_digest_signature.as_deref(),
        ),
        fingerprint: (&*document.digest_public_key_fingerprint).into(),
        algorithm: match &*document.digest_signature_algorithm {
            SHA256_WITH_RSA => None,
            other => Some(other.into()),
        },
        time,
    };
    let open = ParsedDigest {
        predecessor: document.predecessor(&object),
        log_files: document.log_files,
        sha256: digest_hash,
        metadata_kept: found.metadata.kept,
        signature: found.metadata.signature.as_deref().map(RecordedSignature::read),
        object,
        start,
        end,
    };
    let own = match &open.signature {
        Some(signature) => signing.check(signature, keys),
        None => Err(Rejection::unverified(Fault::SignatureMissing, "has no signature in its metadata")),
    };
    if is_moved {
        return moved(found.place, open, &own, signing);
    }
    CheckedDigest::Parsed(Box::new(open), own.map_err(|rejection| Box::new(Unproven { rejection, signing })))
}

/// A digest that lies elsewhere than its name says. It claims its log files like any other that is not valid,
/// under the name of the place where it lies; what it names as its predecessor is nobody's word.
fn moved(place: &ObjectRef, open: ParsedDigest, own: &Result<(), Rejection>, signing: Signing) -> CheckedDigest {
    let name = &open.object;
    let detail = match own {
        Ok(()) => format!("is genuine, but not in its place: copy it to {name}, if nothing is there, and verify again"),
        Err(_) => format!("names {name} as its place"),
    };
    let rejection = Rejection::invalid(Fault::Moved, detail);
    let open = ParsedDigest { object: place.clone(), predecessor: None, ..open };
    CheckedDigest::Parsed(Box::new(open), Err(Box::new(Unproven { rejection, signing })))
}

/// A backfill digest is generated after its hour, and before it is written. One that says something else
/// would choose the key that it is checked with.
fn backfill_rejection(generated: Timestamp, end: Timestamp, written: Option<Timestamp>) -> Option<Rejection> {
    let detail = if generated < end {
        format!("says that it was generated at {generated}, before the end of its own hour at {end}")
    } else {
        // S3 tells the time of a write in whole seconds.
        let written = written.filter(|written| generated.as_second() > written.as_second())?;
        format!("says that it was generated at {generated}, after S3 wrote it at {written}")
    };
    Some(Rejection::invalid(Fault::Malformed, detail))
}

impl ParsedDigest {
    /// The name that it bears, and that leads to where it was found.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// What the digest recorded of the one before it: a claim.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.predecessor.as_ref()
    }

    /// SHA-256 of its uncompressed bytes.
    pub fn sha256(&self) -> Sha256Hash {
        self.sha256
    }

    /// The log files that it lists, without their hashes: a claim, by which no content can be judged.
    pub fn claimed_log_files(&self) -> impl Iterator<Item = ObjectRef> + '_ {
        self.log_files.iter().map(|entry| entry.object)
    }

    /// The begin of the period it claims to speak of.
    pub fn start(&self) -> Timestamp {
        self.start
    }
}

impl Unproven {
    /// Why its own signature does not prove it.
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }

    /// Tries another signature over the digest.
    pub fn check(&self, signature: &RecordedSignature, keys: &KeyRing) -> Result<(), Rejection> {
        self.signing.check(signature, keys)
    }

    pub(super) fn into_rejection(self) -> Rejection {
        self.rejection
    }
}

impl Signing {
    fn check(&self, signature: &RecordedSignature, keys: &KeyRing) -> Result<(), Rejection> {
        if let Some(algorithm) = &self.algorithm {
            let detail = format!("names the signature algorithm '{algorithm}', which this version does not know");
            return Err(Rejection::unverified(Fault::UnknownSignatureAlgorithm, detail));
        }
        let SigningTime { earliest: from, latest: to } = self.time;
        let accuse = |fault, detail: String| {
            if keys.can_accuse(from, to) {
                Rejection::invalid(fault, detail)
            } else {
                let why =
                    "; the public keys at hand are not known to be this region's for that time, so this accuses nobody";
                Rejection::unverified(fault, detail + why)
            }
        };
        let fingerprint = &self.fingerprint;
        let key = match keys.find(fingerprint, from, to) {
            KeyLookup::Found(key) => key,
            KeyLookup::NotValidThen(key) => {
                let (from, to) = (key.valid_from, key.valid_to);
                let detail = format!("was signed with key {fingerprint}, which was valid from {from} to {to} only");
                return Err(accuse(Fault::KeyNotValidThen, detail));
            }
            KeyLookup::Unknown => {
                if let Some(reason) = keys.trouble() {
                    return Err(Rejection::unverified(Fault::KeyUnknown, format!("can't be checked: {reason}")));
                }
                let detail =
                    format!("names the public key {fingerprint}, which is not among the keys known for its region");
                return Err(accuse(Fault::KeyUnknown, detail));
            }
        };
        let RecordedSignature::Bytes(bytes) = signature else {
            let detail = "has a signature that is not hexadecimal, or longer than any key's";
            return Err(accuse(Fault::SignatureMismatch, detail.to_owned()));
        };
        match check(key, &self.signed, bytes) {
            SignatureCheck::Verifies => Ok(()),
            SignatureCheck::Fails => {
                let detail = format!("has a signature that does not verify under key {fingerprint}");
                Err(accuse(Fault::SignatureMismatch, detail))
            }
            SignatureCheck::WitnessesDisagree => Err(Rejection::disputed()),
        }
    }
}
