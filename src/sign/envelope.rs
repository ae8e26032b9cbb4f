//! Signatures of envelopes: Ed25519, and ECDSA on P-256 with SHA-256 in DER, as DSSE's implementations take them.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use ssh_key::private::{EcdsaKeypair, KeypairData};

use super::{SignError, SshSigner, read};

/// A key that signs envelopes.
pub struct EnvelopeKey {
    pair: Pair,
    id: String,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl EnvelopeKey {
    /// Whether a file holds a key in PKCS#8 PEM.
    pub fn is_pem(path: &Path) -> Result<bool, SignError> {
        Ok(read(path)?.contains("-----BEGIN PRIVATE KEY-----"))
    }

    /// Opens an Ed25519 or P-256 key in PKCS#8 PEM. Its ID is the hex SHA-256 of the public key.
    pub fn open_pem(path: &Path) -> Result<Self, SignError> {
        let wrong = |reason: &str| SignError::Key { path: path.to_owned(), reason: reason.to_owned() };
        let text = read(path)?;
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = zeroize::Zeroizing::new(STANDARD.decode(body.trim()).map_err(|_| wrong("its PEM is broken"))?);
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

    /// The same SSH key that signs reports. Its ID is its fingerprint.
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
                    "an in-toto envelope is signed with Ed25519 or P-256, and this SSH key is of another kind: make one with \
                     'ssh-keygen -t ed25519'"
                        .to_owned(),
                ));
            }
        };
        Ok(Self { pair, id: signer.fingerprint() })
    }

    /// Signs what an envelope has to sign; the signature, and the key's ID.
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
