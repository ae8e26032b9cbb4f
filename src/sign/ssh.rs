//! SSH signatures.

use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA512, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rsa::BigUint;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::ObjectIdentifier;
use rsa::pkcs8::spki::SubjectPublicKeyInfoRef;
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::public::{EcdsaPublicKey, Ed25519PublicKey, KeyData};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, Mpint, PrivateKey, PublicKey, Signature, SshSig};
use zeroize::Zeroizing;

use super::{NAMESPACE, SignError, read, short_scalar, signature_path};
use crate::debug::opaque_debug;
use crate::model::parse_compact_time;

/// An SSH key that signs.
#[derive(Clone)]
pub struct SshSigner {
    key: PrivateKey,
}

opaque_debug!(SshSigner);

impl SshSigner {
    /// Opens a private key; `passphrase` is called if the key is encrypted.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read, holds no private key of a supported kind, or the passphrase is
    /// wrong.
    pub fn open(
        path: &Path,
        passphrase: impl FnOnce() -> std::io::Result<Zeroizing<String>>,
    ) -> Result<Self, SignError> {
        let text = Zeroizing::new(read(path)?);
        let wrong = |error: ssh_key::Error| SignError::Key { path: path.to_owned(), reason: error.to_string() };
        let key = match PrivateKey::from_openssh(text.as_bytes()) {
            Ok(key) => key,
            Err(error) => short_scalar::read(&text).ok_or_else(|| wrong(error))?,
        };
        if !is_supported(&key.algorithm()) {
            let reason = format!("it is of the kind {}", key.algorithm());
            return Err(SignError::Key { path: path.to_owned(), reason });
        }
        if !key.is_encrypted() {
            return Ok(Self { key });
        }
        let unreadable = |error| SignError::Unreadable { path: path.to_owned(), error };
        let passphrase = passphrase().map_err(unreadable)?;
        let decrypted = key.decrypt(passphrase.as_bytes()).ok();
        let decrypted = decrypted.or_else(|| short_scalar::decrypt(&key, passphrase.as_bytes()));
        Ok(Self { key: decrypted.ok_or_else(|| SignError::Passphrase(path.to_owned()))? })
    }

    /// Signs a content. Returns an SSHSIG signature in its armoured form.
    ///
    /// # Errors
    ///
    /// Fails if the key can't sign.
    pub fn sign(&self, content: &[u8]) -> Result<String, SignError> {
        let failed = |error: ssh_key::Error| SignError::Kind(format!("the key can't sign this: {error}"));
        let signature = match self.key.key_data() {
            KeypairData::Rsa(pair) => {
                let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, content).map_err(failed)?;
                let algorithm = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
                let raw = rsa_sign(pair, &signed).ok_or_else(|| failed(ssh_key::Error::Crypto))?;
                let signature = Signature::new(algorithm, raw).map_err(failed)?;
                SshSig::new(self.key.public_key().key_data().clone(), NAMESPACE, HashAlg::Sha512, signature)
            }
            _ => self.key.sign(NAMESPACE, HashAlg::Sha512, content),
        };
        let signature = signature.map_err(failed)?;
        signature.to_pem(LineEnding::LF).map_err(failed)
    }

    /// Returns the fingerprint of the key in OpenSSH's form: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.key.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }
}

/// Returns whether signatures by this kind of key can be made and checked.
fn is_supported(kind: &Algorithm) -> bool {
    match kind {
        Algorithm::Ed25519 | Algorithm::Rsa { .. } | Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => true,
        Algorithm::Ecdsa { curve } => matches!(curve, EcdsaCurve::NistP256 | EcdsaCurve::NistP384),
        _ => false,
    }
}

/// Makes an RSA signature (PKCS#1 v1.5, SHA-512) with AWS-LC. The `rsa` crate only converts the key
/// to another form, because the time that its own private operations take depends on the key
/// (RUSTSEC-2023-0071).
fn rsa_sign(pair: &RsaKeypair, content: &[u8]) -> Option<Vec<u8>> {
    let number = |mpint: &Mpint| Some(BigUint::from_bytes_be(mpint.as_positive_bytes()?));
    let (n, e, d) = (number(&pair.public.n)?, number(&pair.public.e)?, number(&pair.private.d)?);
    let primes = vec![number(&pair.private.p)?, number(&pair.private.q)?];
    let key = rsa::RsaPrivateKey::from_components(n, e, d, primes).ok()?.to_pkcs1_der().ok()?;
    let key = RsaKeyPair::from_der(key.as_bytes()).ok()?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA512, &SystemRandom::new(), content, &mut signature).ok()?;
    Some(signature)
}

/// Public keys whose owners are known.
#[derive(Debug, Default)]
pub struct KnownSigners {
    /// Each key with the name that the file gives it.
    keys: Vec<(String, PublicKey)>,
}

impl KnownSigners {
    /// Reads a public key, as `id_ed25519.pub`, a file of allowed signers (ssh-keygen(1), ALLOWED
    /// SIGNERS), or an Ed25519 or P-256 public key in PEM (RFC 8410, RFC 5480). A key in PEM has
    /// the name of its file.
    ///
    /// # Errors
    ///
    /// A file that can't be read, or that holds no such key.
    pub fn open(path: &Path) -> Result<Self, SignError> {
        let text = read(path)?;
        if let Some(body) = pem_body(&text) {
            let reason = "its PEM holds no Ed25519 or P-256 public key".to_owned();
            let key = public_key_of_pem(&body).ok_or(SignError::Signers { path: path.to_owned(), reason })?;
            return Ok(Self { keys: vec![(path.display().to_string(), key)] });
        }
        let mut keys = Vec::new();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let now = Timestamp::now();
        for line in lines {
            // A line that has another purpose, or that can't be read, does not concern these
            // reports.
            let signer = match PublicKey::from_openssh(line) {
                Ok(key) => Some((key.comment().to_owned(), key)),
                Err(_) => allowed_signer(line, now),
            };
            keys.extend(signer);
        }
        if keys.is_empty() {
            return Err(SignError::Signers {
                path: path.to_owned(),
                reason: format!("no line of it names a key that may sign for '{NAMESPACE}' now"),
            });
        }
        Ok(Self { keys })
    }

    /// Returns each key with the name that the file gives it.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key))
    }

    fn name_of(&self, key: &PublicKey) -> Option<&str> {
        let found = self.keys.iter().find(|(_, known)| known.key_data() == key.key_data());
        found.map(|(name, _)| name.as_str())
    }
}

/// The options of a line of allowed signers.
const OPTIONS: [&str; 4] = ["cert-authority", "namespaces", "valid-after", "valid-before"];

/// The algorithm of Ed25519 keys (RFC 8410, 3).
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// The algorithm of keys on elliptic curves (RFC 5480, 2.1.1).
const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Returns the Base64 body of the first public key in PEM in a text.
fn pem_body(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    Some(body.split_whitespace().collect())
}

/// Reads an Ed25519 or P-256 key from its `SubjectPublicKeyInfo`.
fn public_key_of_pem(body: &str) -> Option<PublicKey> {
    let der = STANDARD.decode(body).ok()?;
    let info = SubjectPublicKeyInfoRef::try_from(der.as_slice()).ok()?;
    let bytes = info.subject_public_key.as_bytes()?;
    let data = match info.algorithm.oid {
        ID_ED25519 => KeyData::Ed25519(Ed25519PublicKey::try_from(bytes).ok()?),
        ID_EC_PUBLIC_KEY => match EcdsaPublicKey::from_sec1_bytes(bytes).ok()? {
            key @ EcdsaPublicKey::NistP256(_) => KeyData::Ecdsa(key),
            _ => return None,
        },
        _ => return None,
    };
    Some(PublicKey::from(data))
}

/// Returns the signer that a line of allowed signers names (ssh-keygen(1), ALLOWED SIGNERS), if it
/// may sign reports at this time.
fn allowed_signer(line: &str, now: Timestamp) -> Option<(String, PublicKey)> {
    let (principals, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    // The principals come first, so a line that begins with an option has none.
    let first = principals.split('=').next().unwrap_or_default().to_ascii_lowercase();
    if OPTIONS.contains(&first.as_str()) {
        return None;
    }
    if let Ok(key) = PublicKey::from_openssh(rest) {
        return Some((principals.to_owned(), key));
    }
    // Options end at the first blank outside quotes.
    let mut quoted = false;
    let end = rest.find(|character: char| {
        quoted ^= character == '"';
        !quoted && character.is_whitespace()
    })?;
    let (options, key) = rest.split_at(end);
    let mut quoted = false;
    let options = options.split(|character: char| {
        quoted ^= character == '"';
        !quoted && character == ','
    });
    for option in options {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        let applies = match name.to_ascii_lowercase().as_str() {
            "namespaces" => matches_list(value, NAMESPACE),
            "valid-after" => option_time(value).is_some_and(|at| at <= now),
            "valid-before" => option_time(value).is_some_and(|at| now <= at),
            // Certificates are not supported, and any other option has an unknown meaning.
            _ => false,
        };
        if !applies {
            return None;
        }
    }
    Some((principals.to_owned(), PublicKey::from_openssh(key.trim()).ok()?))
}

/// Returns whether a text matches a list of patterns (ssh_config(5), PATTERNS): one of them at
/// least, and none that is negated.
fn matches_list(patterns: &str, text: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches_pattern(negated.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= matches_pattern(pattern.as_bytes(), text.as_bytes()),
        }
    }
    matched
}

/// Returns whether a text matches a pattern: `*` stands for any characters, `?` for one.
fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            // A star that follows another one adds nothing.
            let rest = rest.iter().position(|byte| *byte != b'*').map_or(&[][..], |at| &rest[at..]);
            (0..=text.len()).any(|at| matches_pattern(rest, &text[at..]))
        }
        (Some((b'?', rest)), Some((_, text))) => matches_pattern(rest, text),
        (Some((one, rest)), Some((other, text))) => one == other && matches_pattern(rest, text),
        _ => false,
    }
}

/// Reads a time in the form `YYYYMMDD[HHMM[SS]][Z]`, which is taken as UTC.
fn option_time(text: &str) -> Option<Timestamp> {
    let digits = text.trim_end_matches(['Z', 'z']);
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return None,
    };
    parse_compact_time(&format!("{}T{}Z", padded.get(..8)?, padded.get(8..)?))
}

/// The result of checking a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The signature was made with a known key of this name.
    Good {
        /// The name that the file of known keys gives it.
        name: String,
        /// The fingerprint of the key.
        fingerprint: String,
    },
    /// The signature verifies, but it is not known whose key that is.
    Unknown {
        /// The fingerprint of the key.
        fingerprint: String,
    },
    /// The signature does not verify: the report or the signature was changed.
    Bad,
}

/// Checks the signature of a report, which lies beside it or in `signature`.
///
/// # Errors
///
/// Fails if the report or the signature can't be read, or the signature is of a kind that can't be
/// checked. A signature that does not verify is no error.
pub fn check(report: &Path, signature: Option<&Path>, known: Option<&KnownSigners>) -> Result<Checked, SignError> {
    let path = signature.map_or_else(|| signature_path(report), Path::to_path_buf);
    let signature = DetachedSignature::parse(&read(&path)?);
    let signature = signature.map_err(|reason| SignError::Signature { path, reason })?;
    let mut content = Vec::new();
    let unreadable = |error| SignError::Unreadable { path: report.to_owned(), error };
    std::fs::File::open(report).and_then(|mut file| file.read_to_end(&mut content)).map_err(unreadable)?;
    Ok(signature.check(&content, known))
}

/// An SSH signature that is kept apart from the content that it signs.
#[derive(Debug)]
pub struct DetachedSignature(SshSig);

impl DetachedSignature {
    /// Reads a signature in its armoured form.
    ///
    /// # Errors
    ///
    /// A text that is not such a signature, or a signature by a kind of key that can't be checked
    /// here; the error says which.
    pub fn parse(text: &str) -> Result<Self, String> {
        let signature = SshSig::from_pem(text).map_err(|error| error.to_string())?;
        let kind = signature.public_key().algorithm();
        if !is_supported(&kind) {
            return Err(format!("it is by a key of the kind {kind}, which only 'ssh-keygen -Y verify' checks"));
        }
        Ok(Self(signature))
    }

    /// Returns whether the signature claims to be by one of these keys.
    pub fn is_by(&self, known: &KnownSigners) -> bool {
        known.name_of(&PublicKey::from(self.0.public_key().clone())).is_some()
    }

    /// Returns the fingerprint of the key that the signature claims to be by.
    pub fn fingerprint(&self) -> String {
        PublicKey::from(self.0.public_key().clone()).fingerprint(HashAlg::Sha256).to_string()
    }

    /// Checks the signature against a content.
    pub fn check(&self, content: &[u8], known: Option<&KnownSigners>) -> Checked {
        let key = PublicKey::from(self.0.public_key().clone());
        if key.verify(NAMESPACE, content, &self.0).is_err() {
            return Checked::Bad;
        }
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        match known.and_then(|known| known.name_of(&key)) {
            Some(name) => Checked::Good { name: name.to_owned(), fingerprint },
            None => Checked::Unknown { fingerprint },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJpyCYqZSvLYbEWzqQmLaTQbZ2Vb3eNqJ0gGm2tqs6bR";

    #[test]
    fn options_of_allowed_signers_are_heard() {
        let now = "2026-03-01T00:00:00Z".parse().unwrap();
        let takes = |options: &str| allowed_signer(&format!("doe@example.org {options}{KEY}"), now).is_some();
        for options in [
            "",
            "namespaces=\"git,ctverify\" ",
            "Namespaces=\"*\" ",
            "namespaces=\"ct*,!git\" ",
            "valid-after=\"20260101\",valid-before=\"20270101Z\" ",
            "valid-after=\"202601010000\" ",
        ] {
            assert!(takes(options), "{options}");
        }
        for options in [
            "namespaces=\"git\" ",
            "namespaces=\"*,!ctverify\" ",
            "namespaces=\"!git\" ",
            "NAMESPACES=\"git\" ",
            "cert-authority ",
            "valid-before=\"20260101\" ",
            "valid-after=\"20270101\" ",
            "valid-after=\"soon\" ",
            "namespaces=\"ctverify\",cert-authority ",
            "no-such-option ",
        ] {
            assert!(!takes(options), "{options}");
        }
        // A line without principals names no signer.
        for options in ["cert-authority ", "namespaces=\"ctverify\" ", "Valid-After=\"20260101\" "] {
            assert!(allowed_signer(&format!("{options}{KEY}"), now).is_none(), "{options}");
        }
    }
}
