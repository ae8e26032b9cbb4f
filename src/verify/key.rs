//! Public keys: their encodings, fingerprints and windows.
//!
//! `ListPublicKeys` returns DER, PKCS#1 `RSAPublicKey` (RFC 8017, A.1.1); the CloudTrail user guide
//! also prints one in SPKI form (RFC 5280, 4.1.2.7), so both are read. A key's fingerprint is the
//! MD5 of those bytes in hex.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use pkcs1::der::Decode;
use pkcs1::{EncodeRsaPublicKey, RsaPublicKey as Pkcs1};
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};

use super::limits::{KEY_EXPONENTS, KEY_WINDOW_TOLERANCE_SECONDS, MAX_KEY_BITS, MIN_KEY_BITS};

/// The reason why bytes are not a public key that can have signed a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither PKCS#1 nor SPKI.
    #[error("it is neither a PKCS#1 nor an SPKI public RSA key in DER form")]
    Encoding,
    /// The modulus is too short or too long.
    #[error("its modulus has {0} bits; CloudTrail's keys have {MIN_KEY_BITS} to {MAX_KEY_BITS}")]
    Size(usize),
    /// The public exponent is not one in use.
    #[error("its public exponent is neither 3 nor 65537")]
    Exponent,
    /// One of the two RSA implementations refuses it.
    #[error("an RSA implementation refuses it")]
    Refused,
}

/// An RSA public key, parsed for both implementations.
#[derive(Debug)]
pub struct RsaKey {
    pub(super) first: ParsedPublicKey,
    pub(super) second: RsaPublicKey,
    /// True once a signature verified under the key.
    has_verified: AtomicBool,
}

impl RsaKey {
    /// Decodes PKCS#1 or SPKI.
    ///
    /// # Errors
    ///
    /// Returns why the bytes are no key that can have signed a digest.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let second = match Pkcs1::from_der(der) {
            Ok(key) => {
                let number = |bytes: &[u8]| BigUint::from_bytes_be(bytes);
                let (n, e) = (number(key.modulus.as_bytes()), number(key.public_exponent.as_bytes()));
                check_bounds(&n, &e)?;
                RsaPublicKey::new_with_max_size(n, e, MAX_KEY_BITS).map_err(|_| KeyError::Refused)?
            }
            Err(_) => {
                let key = RsaPublicKey::from_public_key_der(der).map_err(|_| KeyError::Encoding)?;
                check_bounds(key.n(), key.e())?;
                key
            }
        };
        let canonical = second.to_pkcs1_der().map_err(|_| KeyError::Refused)?;
        let first =
            ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, canonical.as_bytes()).map_err(|_| KeyError::Refused)?;
        Ok(Self { first, second, has_verified: AtomicBool::new(false) })
    }

    /// Notes that a signature verified under the key.
    pub(super) fn note_verified(&self) {
        self.has_verified.store(true, Ordering::Relaxed);
    }
}

fn check_bounds(modulus: &BigUint, exponent: &BigUint) -> Result<(), KeyError> {
    if !(MIN_KEY_BITS..=MAX_KEY_BITS).contains(&modulus.bits()) {
        return Err(KeyError::Size(modulus.bits()));
    }
    if !KEY_EXPONENTS.iter().any(|known| *exponent == BigUint::from(*known)) {
        return Err(KeyError::Exponent);
    }
    Ok(())
}

/// MD5 of a key's DER bytes in hex: its fingerprint, as AWS computes it.
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(Md5::digest(der))
}

/// A public key as CloudTrail published it.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// The fingerprint it was delivered with, lower case.
    pub fingerprint: String,
    /// The key.
    pub key: Arc<RsaKey>,
    /// The time from which the key is valid.
    pub valid_from: Timestamp,
    /// The time until which the key is valid.
    pub valid_to: Timestamp,
}

impl PublicKey {
    /// Returns whether the key may sign at a time in `[from, to]`: in its validity window, widened
    /// by two hours on either side.
    fn covers(&self, from: Timestamp, to: Timestamp) -> bool {
        let (from, to) = (from.as_second(), to.as_second());
        to >= self.valid_from.as_second().saturating_sub(KEY_WINDOW_TOLERANCE_SECONDS)
            && from <= self.valid_to.as_second().saturating_add(KEY_WINDOW_TOLERANCE_SECONDS)
    }
}

/// The public keys that digests of one region are checked against.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    by_fingerprint: HashMap<String, Vec<PublicKey>>,
    authoritative: bool,
    unavailable: Option<String>,
}

/// The result of looking up the key that a digest names.
#[derive(Debug)]
pub enum KeyLookup<'a> {
    /// The key is known, and was valid at that time.
    Found(&'a RsaKey),
    /// The key is known, and was not valid at that time.
    NotValidThen(&'a PublicKey),
    /// The key is not known.
    Unknown,
}

impl KeyRing {
    /// Creates a key ring. `authoritative` states that these are known to be the region's own keys:
    /// only such a ring can show that a digest is invalid; any other can only show that one is
    /// valid.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>, authoritative: bool) -> Self {
        let mut by_fingerprint: HashMap<String, Vec<PublicKey>> = HashMap::new();
        for key in keys {
            by_fingerprint.entry(key.fingerprint.clone()).or_default().push(key);
        }
        Self { by_fingerprint, authoritative, unavailable: None }
    }

    /// Creates an empty key ring for a region whose keys could not be obtained, with the reason.
    pub fn unavailable(reason: String) -> Self {
        Self { unavailable: Some(reason), ..Self::default() }
    }

    /// The reason why the keys could not be obtained, if they could not.
    pub fn trouble(&self) -> Option<&str> {
        self.unavailable.as_deref()
    }

    /// Returns the keys under which a signature has verified.
    pub fn used(&self) -> impl Iterator<Item = &PublicKey> {
        self.by_fingerprint.values().flatten().filter(|key| key.key.has_verified.load(Ordering::Relaxed))
    }

    /// Finds the key with this fingerprint for a signature made at some time in `[from, to]`.
    pub fn find(&self, fingerprint: &str, from: Timestamp, to: Timestamp) -> KeyLookup<'_> {
        let candidates = self.by_fingerprint.get(&fingerprint.to_ascii_lowercase()).map_or(&[][..], Vec::as_slice);
        match candidates.iter().find(|key| key.covers(from, to)) {
            Some(key) => KeyLookup::Found(&key.key),
            None => candidates.first().map_or(KeyLookup::Unknown, KeyLookup::NotValidThen),
        }
    }

    /// Returns whether a digest signed in `[from, to]` may be called invalid by this ring: its keys
    /// are the region's own, and at least one of them was valid at that time.
    pub fn can_accuse(&self, from: Timestamp, to: Timestamp) -> bool {
        self.authoritative && self.by_fingerprint.values().flatten().any(|key| key.covers(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        assert_eq!(RsaKey::from_der(b"").unwrap_err(), KeyError::Encoding);
        assert_eq!(RsaKey::from_der(&[0x30, 0x80, 0, 0]).unwrap_err(), KeyError::Encoding);
    }

    #[test]
    fn short_keys_and_odd_exponents_are_refused() {
        let der = |bytes: usize, exponent: &[u8]| {
            let modulus = vec![0xc5; bytes];
            let key = Pkcs1 {
                modulus: pkcs1::UintRef::new(&modulus).unwrap(),
                public_exponent: pkcs1::UintRef::new(exponent).unwrap(),
            };
            pkcs1::der::Encode::to_der(&key).unwrap()
        };
        assert_eq!(RsaKey::from_der(&der(128, &[1, 0, 1])).unwrap_err(), KeyError::Size(1024));
        assert_eq!(RsaKey::from_der(&der(1024, &[1, 0, 1])).unwrap_err(), KeyError::Size(8192));
        assert_eq!(RsaKey::from_der(&der(256, &[5])).unwrap_err(), KeyError::Exponent);
        assert!(RsaKey::from_der(&der(256, &[1, 0, 1])).is_ok());
    }
}
