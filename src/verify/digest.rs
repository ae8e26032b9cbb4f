//! Examination of one digest by itself: its form, its location, its own signature.

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

/// The reason why a digest is not valid: `status` is `Invalid` or `Unverified`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// `Invalid`, or `Unverified` if the digest could not be judged.
    pub status: DigestStatus,
    /// The kind of fault.
    pub fault: Fault,
    /// The same in words, to follow "the digest …".
    pub detail: String,
    /// True if it is `Unverified` because two implementations of RSA disagree on the signature.
    pub disputed: bool,
}

impl Rejection {
    /// Rejects a digest that is not a whole gzip stream, or decompresses to more than a digest may.
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

    /// Rejects a digest that is not what CloudTrail signed.
    pub fn invalid(fault: Fault, detail: impl Into<String>) -> Self {
        Self { status: DigestStatus::Invalid, fault, detail: detail.into(), disputed: false }
    }

    /// Rejects a digest that could not be judged.
    pub fn unverified(fault: Fault, detail: impl Into<String>) -> Self {
        Self { status: DigestStatus::Unverified, fault, detail: detail.into(), disputed: false }
    }

    /// Rejects a digest on whose signature two implementations of RSA disagree.
    fn disputed() -> Self {
        let detail = "has a signature on which two implementations of RSA disagree: please report this as a bug";
        Self { disputed: true, ..Self::unverified(Fault::SignatureMismatch, detail) }
    }
}

/// A digest as a store returned it.
#[derive(Debug)]
pub struct RawDigest<'a> {
    /// The object under which it was found.
    pub object: &'a ObjectRef,
    /// The series that its name puts it in.
    pub kind: DigestKind,
    /// The object's bytes as stored: gzipped, unless `is_uncompressed` is true.
    pub bytes: &'a [u8],
    /// True if the bytes are not gzipped: a copy may hold a digest that somebody decompressed.
    pub is_uncompressed: bool,
    /// Its user metadata.
    pub metadata: &'a DigestMetadata,
    /// The time at which S3 last wrote it, if that is known.
    pub last_modified: Option<Timestamp>,
}

/// A digest that was parsed. Its content is a claim, and nothing of it is proven.
#[derive(Debug)]
pub struct ParsedDigest {
    pub(super) object: ObjectRef,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) sha256: Sha256Hash,
    pub(super) predecessor: Option<Predecessor>,
    pub(super) log_files: LogFileEntries,
    /// True if the store keeps metadata for it; `signature` comes from there.
    pub(super) metadata_kept: bool,
    pub(super) signature: Option<RecordedSignature>,
}

/// The time at which a digest was signed, as far as it is known: both ends are included.
#[derive(Debug, Clone, Copy)]
struct SigningTime {
    earliest: Timestamp,
    latest: Timestamp,
}

/// The values that a signature over a digest is checked against.
#[derive(Debug)]
struct Signing {
    /// SHA-256 of the text that is signed.
    signed: Sha256Hash,
    fingerprint: Box<str>,
    /// The signature algorithm, if it is not the known one.
    algorithm: Option<Box<str>>,
    /// The time at which it was signed, as far as that is known.
    time: SigningTime,
}

/// The rejection of a digest that its own signature does not prove. Another signature may still
/// prove it: its successor's record of it.
#[derive(Debug)]
pub struct Unproven {
    rejection: Rejection,
    signing: Signing,
}

/// The result of examining a digest by itself.
#[derive(Debug)]
pub enum CheckedDigest {
    /// It was parsed; the second field is the result of checking its own signature. The values that
    /// other signatures are checked against are kept only if that one does not verify: chains are
    /// long, and nearly all digests prove themselves.
    Parsed(Box<ParsedDigest>, Result<(), Box<Unproven>>),
    /// It could not be read or parsed, or a backfill digest's generation time is missing or not
    /// plausible.
    Unparsed(Box<UnparsedDigest>),
}

/// A digest that could not be read or parsed, or a backfill digest whose generation time is missing
/// or not plausible.
#[derive(Debug)]
pub struct UnparsedDigest {
    /// The object under which it was found.
    pub object: ObjectRef,
    /// SHA-256 of the uncompressed bytes, if they could be read.
    pub sha256: Option<Sha256Hash>,
    /// The reason why it was rejected.
    pub rejection: Rejection,
}

impl CheckedDigest {
    /// Creates the result for a digest that was not parsed.
    pub fn unparsed(object: ObjectRef, sha256: Option<Sha256Hash>, rejection: Rejection) -> Self {
        Self::Unparsed(Box::new(UnparsedDigest { object, sha256, rejection }))
    }
}

/// Examines a digest by itself. `in_place` returns whether the object that the digest names as its
/// own leads to where it was found.
pub fn examine(found: &RawDigest<'_>, in_place: impl Fn(&ObjectRef) -> bool, keys: &KeyRing) -> CheckedDigest {
    let json = match uncompressed(found.bytes, found.is_uncompressed, MAX_DIGEST_BYTES) {
        Ok(json) => json,
        Err(fault) => return CheckedDigest::unparsed(found.object.clone(), None, Rejection::broken_gzip(fault)),
    };
    let digest_hash = sha256(&json);
    let unparsed = |rejection| CheckedDigest::unparsed(found.object.clone(), Some(digest_hash), rejection);
    let document = match Document::parse(&json) {
        Ok(document) => document,
        Err(detail) => return unparsed(Rejection::invalid(Fault::Malformed, detail)),
    };
    let Period { start, end } = match document.period() {
        Ok(period) => period,
        Err(detail) => return unparsed(Rejection::invalid(Fault::Malformed, detail)),
    };
    let object = document.object();
    // Nearly always the same name: one allocation serves both.
    let object = if object == *found.object { found.object.clone() } else { object };
    let is_moved = !in_place(&object);
    let generated = found.metadata.generated();
    let time = match (found.kind, generated) {
        (DigestKind::Standard, _) => SigningTime { earliest: end, latest: end },
        (DigestKind::Backfill, Some(generated)) => {
            if let Some(rejection) = backfill_rejection(generated, end, found.last_modified) {
                return unparsed(rejection);
            }
            SigningTime { earliest: generated, latest: generated }
        }
        (DigestKind::Backfill, None) if found.metadata.signature.is_some() => {
            return unparsed(Rejection::invalid(
                Fault::Malformed,
                "is a backfill digest with a signature and without a readable backfill-generation-timestamp",
            ));
        }
        // Without metadata, all that is known of its generation time is that its hour was over.
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
    let parsed = ParsedDigest {
        predecessor: document.predecessor(&object),
        log_files: document.log_files,
        sha256: digest_hash,
        metadata_kept: found.metadata.kept,
        signature: found.metadata.signature.as_deref().map(RecordedSignature::read),
        object,
        start,
        end,
    };
    let own = match &parsed.signature {
        Some(signature) => signing.check(signature, keys),
        None => Err(Rejection::unverified(Fault::SignatureMissing, "has no signature in its metadata")),
    };
    if is_moved {
        return moved(found.object, parsed, &own, signing);
    }
    CheckedDigest::Parsed(Box::new(parsed), own.map_err(|rejection| Box::new(Unproven { rejection, signing })))
}

/// Returns the result for a digest that was found elsewhere than its name says. It claims its log
/// files like any other digest that is not valid, under the name of the object where it was found;
/// its record of a predecessor is ignored.
fn moved(object: &ObjectRef, parsed: ParsedDigest, own: &Result<(), Rejection>, signing: Signing) -> CheckedDigest {
    let name = &parsed.object;
    let detail = match own {
        Ok(()) => format!("is genuine, but not in its place: copy it to {name}, if nothing is there, and verify again"),
        Err(_) => format!("names {name} as its place"),
    };
    let rejection = Rejection::invalid(Fault::Moved, detail);
    let parsed = ParsedDigest { object: object.clone(), predecessor: None, ..parsed };
    CheckedDigest::Parsed(Box::new(parsed), Err(Box::new(Unproven { rejection, signing })))
}

/// Rejects a backfill digest that states a generation time before the end of its hour, or after S3
/// wrote it. Such a digest would choose the key that it is checked with.
fn backfill_rejection(generated: Timestamp, end: Timestamp, written: Option<Timestamp>) -> Option<Rejection> {
    let detail = if generated < end {
        format!("says that it was generated at {generated}, before the end of its own hour at {end}")
    } else {
        // S3 gives the time of a write in whole seconds.
        let written = written.filter(|written| generated.as_second() > written.as_second())?;
        format!("says that it was generated at {generated}, after S3 wrote it at {written}")
    };
    Some(Rejection::invalid(Fault::Malformed, detail))
}

impl ParsedDigest {
    /// The object that the digest names as its own, which leads to where it was found.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// The digest's record of its predecessor: a claim.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.predecessor.as_ref()
    }

    /// SHA-256 of its uncompressed bytes.
    pub fn sha256(&self) -> Sha256Hash {
        self.sha256
    }

    /// The log files that it lists, without their hashes: an unproven claim, so no content can be
    /// judged by it.
    pub fn claimed_log_files(&self) -> impl Iterator<Item = ObjectRef> + '_ {
        self.log_files.iter().map(|entry| entry.object)
    }

    /// The start of the period that it claims to cover.
    pub fn start(&self) -> Timestamp {
        self.start
    }
}

impl Unproven {
    /// The reason why its own signature does not prove it.
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }

    /// Tries another signature over the digest.
    ///
    /// # Errors
    ///
    /// Returns why this signature does not prove the digest.
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
            SignatureCheck::Verifies => {
                key.note_verified();
                Ok(())
            }
            SignatureCheck::Fails => {
                let detail = format!("has a signature that does not verify under key {fingerprint}");
                Err(accuse(Fault::SignatureMismatch, detail))
            }
            SignatureCheck::WitnessesDisagree => Err(Rejection::disputed()),
        }
    }
}
