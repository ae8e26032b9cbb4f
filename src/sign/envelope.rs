//! Signatures of DSSE envelopes: Ed25519, and ECDSA on P-256 with SHA-256 in DER, as
//! implementations of DSSE accept them.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use ssh_key::HashAlg;
use ssh_key::private::{EcdsaKeypair, KeypairData};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use zeroize::Zeroizing;

use super::{KnownSigners, SignError, SshSigner, read};
use crate::debug::opaque_debug;

/// A key that signs envelopes.
pub struct EnvelopeKey {
    pair: Pair,
    id: String,
}

opaque_debug!(EnvelopeKey);

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl EnvelopeKey {
    /// Returns whether a file holds a key in PKCS#8 PEM.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read.
    pub fn is_pem(path: &Path) -> Result<bool, SignError> {
        Ok(Zeroizing::new(read(path)?).contains("-----BEGIN PRIVATE KEY-----"))
    }

    /// Opens an Ed25519 or P-256 key in PKCS#8 PEM. Its ID is the hex SHA-256 of the public key.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read, or holds no such key.
    pub fn open_pem(path: &Path) -> Result<Self, SignError> {
        let wrong = |reason: &str| SignError::Key { path: path.to_owned(), reason: reason.to_owned() };
        let text = Zeroizing::new(read(path)?);
        let body: Zeroizing<String> = Zeroizing::new(text.lines().filter(|line| !line.starts_with("-----")).collect());
        let der = Zeroizing::new(STANDARD.decode(body.trim()).map_err(|_| wrong("its PEM is broken"))?);
        let pair = match Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            Ok(pair) => Pair::Ed25519(pair),
            Err(_) => Pair::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der)
                    .map_err(|_| wrong("it is neither Ed25519 nor P-256"))?,
            ),
        };
        let public = match &pair {
            Pair::Ed25519(pair) => Sha256::digest(pair.public_key().as_ref()),
            Pair::P256(pair) => Sha256::digest(pair.public_key().as_ref()),
        };
        Ok(Self { id: hex::encode(public), pair })
    }

    /// Uses the SSH key that signs reports for envelopes, too. Its ID is its fingerprint.
    ///
    /// # Errors
    ///
    /// Fails if the key is neither Ed25519 nor ECDSA on P-256.
    pub fn of_ssh(signer: &SshSigner) -> Result<Self, SignError> {
        let refused = || SignError::Kind("the key can't sign an envelope".to_owned());
        let pair = match signer.key().key_data() {
            KeypairData::Ed25519(pair) => Pair::Ed25519(
                Ed25519KeyPair::from_seed_and_public_key(&pair.private.to_bytes(), &pair.public.0)
                    .map_err(|_| refused())?,
            ),
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private }) => Pair::P256(
                EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_ASN1_SIGNING,
                    private.as_slice(),
                    public.as_bytes(),
                )
                .map_err(|_| refused())?,
            ),
            _ => {
                return Err(SignError::Kind(
                    "an in-toto envelope is signed with Ed25519 or P-256, and this SSH key is of another kind: \
                     make one with \
                     'ssh-keygen -t ed25519'"
                        .to_owned(),
                ));
            }
        };
        Ok(Self { pair, id: signer.fingerprint() })
    }

    /// Signs the pre-authentication encoding of an envelope. Returns the signature and the key's
    /// ID.
    ///
    /// # Errors
    ///
    /// Fails if the key can't sign.
    pub fn sign(&self, encoded: &[u8]) -> Result<(Vec<u8>, String), SignError> {
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(encoded).as_ref().to_vec(),
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), encoded);
                signature
                    .map_err(|_| SignError::Kind("the system gives no random numbers".to_owned()))?
                    .as_ref()
                    .to_vec()
            }
        };
        Ok((signature, self.id.clone()))
    }
}

/// An envelope in the form of DSSE v1.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    keyid: Option<String>,
    sig: String,
}

/// The result of checking the signatures of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedEnvelope {
    /// The envelope has no signature.
    Unsigned,
    /// One of the signatures was made with a known key of this name.
    Good {
        /// The name that the file of known keys gives it.
        name: String,
        /// The key's fingerprint.
        fingerprint: String,
    },
    /// The envelope is signed, but none of the signatures was made over this content with a known
    /// key.
    Bad {
        /// The IDs of the keys that the envelope names as its signers.
        key_ids: Vec<String>,
    },
    /// The envelope is signed, but no known keys were given to check it with.
    Unknown {
        /// The IDs of the keys that the envelope names as its signers.
        key_ids: Vec<String>,
    },
}

/// Checks the signatures of a DSSE envelope with the known keys; `None` if the content is not an
/// envelope.
pub fn check_envelope(content: &[u8], known: Option<&KnownSigners>) -> Option<CheckedEnvelope> {
    let envelope: Envelope = serde_json::from_slice(content).ok()?;
    let payload = STANDARD.decode(&envelope.payload).ok()?;
    if envelope.signatures.is_empty() {
        return Some(CheckedEnvelope::Unsigned);
    }
    let mut encoded =
        format!("DSSEv1 {} {} {} ", envelope.payload_type.len(), envelope.payload_type, payload.len()).into_bytes();
    encoded.extend_from_slice(&payload);
    let key_ids = envelope.signatures.iter().filter_map(|signature| signature.keyid.clone()).collect();
    let Some(known) = known else { return Some(CheckedEnvelope::Unknown { key_ids }) };
    for signature in &envelope.signatures {
        let Ok(bytes) = STANDARD.decode(&signature.sig) else { continue };
        for (name, key) in known.keys() {
            let verified = match key.key_data() {
                KeyData::Ed25519(key) => UnparsedPublicKey::new(&ED25519, &key.0[..]).verify(&encoded, &bytes),
                KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.as_bytes()).verify(&encoded, &bytes)
                }
                _ => continue,
            };
            if verified.is_ok() {
                let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
                return Some(CheckedEnvelope::Good { name: name.to_owned(), fingerprint });
            }
        }
    }
    Some(CheckedEnvelope::Bad { key_ids })
}
