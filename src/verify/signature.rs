//! The signature on a digest: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2), checked by two
//! implementations.
//!
//! aws-lc-rs checks first, being ten times as fast. A failure is reported only after the `rsa`
//! crate, written by others in another language, has failed it too: an accusation of tampering
//! rests on two witnesses.

use std::sync::Arc;

use aws_lc_rs::digest::{Digest, SHA256};
use rsa::Pkcs1v15Sign;
use sha2::Sha256;

use super::content::sha256;
use super::key::RsaKey;
use super::limits::MAX_SIGNATURE_BYTES;
use crate::model::{ObjectRef, Sha256Hash, decode_hex};

/// The only signature algorithm that CloudTrail documents, as `digestSignatureAlgorithm` spells it.
pub const SHA256_WITH_RSA: &str = "SHA256withRSA";

/// A signature as a digest or an object's metadata records it, in hex: comparison ignores the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedSignature {
    /// The bytes that the hex encodes.
    Bytes(Arc<[u8]>),
    /// A text that is not hex, or is longer than any key's signature: the SHA-256 of that text in
    /// lower case.
    Unreadable(Box<Sha256Hash>),
}

impl RecordedSignature {
    /// Reads a signature as it stands in a digest or in metadata.
    pub fn read(text: &str) -> Self {
        let mut room = [0; MAX_SIGNATURE_BYTES];
        let bytes = room.get_mut(..text.len() / 2).filter(|_| text.len().is_multiple_of(2));
        match bytes.and_then(|bytes| decode_hex(text, bytes).then_some(&*bytes)) {
            Some(bytes) => Self::Bytes(bytes.into()),
            None => Self::Unreadable(Box::new(sha256(text.to_ascii_lowercase().as_bytes()))),
        }
    }
}

/// The result of checking a signature with two implementations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureCheck {
    /// The signature verifies.
    Verifies,
    /// Both implementations say that it does not verify.
    Fails,
    /// The first implementation says that it does not verify, the second that it does.
    WitnessesDisagree,
}

/// The SHA-256 of the text that CloudTrail signs (CloudTrail user guide, "Custom implementations of
/// CloudTrail log file integrity validation"):
///
/// ```text
/// digestEndTime \n digestS3Bucket/digestS3Object \n hex(SHA-256 of the uncompressed digest) \n previousDigestSignature
/// ```
///
/// `end_time` and `previous_signature` are taken as they stand in the digest; a null signature is
/// the word `null`.
pub fn signed_hash(
    end_time: &str,
    object: &ObjectRef,
    digest: &Sha256Hash,
    previous_signature: Option<&str>,
) -> Sha256Hash {
    let ObjectRef { bucket, key } = object;
    let previous = previous_signature.unwrap_or("null");
    sha256(format!("{end_time}\n{bucket}/{key}\n{digest}\n{previous}").as_bytes())
}

/// Checks a signature over a text with this SHA-256.
pub fn check(key: &RsaKey, signed: &Sha256Hash, signature: &[u8]) -> SignatureCheck {
    let first = Digest::import_less_safe(&signed.0, &SHA256)
        .is_ok_and(|digest| key.first.verify_digest_sig(&digest, signature).is_ok());
    two_witnesses(first, || key.second.verify(Pkcs1v15Sign::new::<Sha256>(), &signed.0, signature).is_ok())
}

fn two_witnesses(first: bool, second: impl FnOnce() -> bool) -> SignatureCheck {
    if first {
        SignatureCheck::Verifies
    } else if second() {
        SignatureCheck::WitnessesDisagree
    } else {
        SignatureCheck::Fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_accused_on_the_word_of_one_witness() {
        assert_eq!(two_witnesses(true, || unreachable!("a proof needs one witness")), SignatureCheck::Verifies);
        assert_eq!(two_witnesses(false, || true), SignatureCheck::WitnessesDisagree);
        assert_eq!(two_witnesses(false, || false), SignatureCheck::Fails);
    }

    #[test]
    fn the_signed_text_is_the_documented_one() {
        let object = ObjectRef::new("bucket", "a/key");
        let digest = sha256(b"digest");
        let text = format!("2026-03-01T10:00:00Z\nbucket/a/key\n{digest}\nnull");
        assert_eq!(signed_hash("2026-03-01T10:00:00Z", &object, &digest, None), sha256(text.as_bytes()));
        let text = format!("2026-03-01T10:00:00Z\nbucket/a/key\n{digest}\nAB12");
        assert_eq!(signed_hash("2026-03-01T10:00:00Z", &object, &digest, Some("AB12")), sha256(text.as_bytes()));
    }
}
