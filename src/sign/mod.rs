//! Signatures under reports: SSH keys, as people have them, and PEM keys for envelopes.
//!
//! A report is signed as SSHSIG (openssh-portable, `PROTOCOL.sshsig`), namespace `ctverify`, beside it in `REPORT.sig`:
//! `ssh-keygen -Y verify` takes it. An in-toto envelope is signed as DSSE wants it, with Ed25519 or ECDSA on P-256.

mod envelope;
mod ssh;

use std::path::{Path, PathBuf};

pub use envelope::{CheckedEnvelope, EnvelopeKey, check_envelope};
pub use ssh::{Checked, DetachedSignature, KnownSigners, SshSigner, check};

use crate::disk;

/// The namespace of every signature that is made here.
pub const NAMESPACE: &str = "ctverify";

/// Why something can't be signed, or a signature not be checked.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A file can't be read.
    #[error("{} can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no key of a kind that can be used.
    #[error("{} is no private key that can sign: it takes an OpenSSH private key (Ed25519, ECDSA on P-256 or P-384, RSA), or an Ed25519 or P-256 key in PKCS#8 PEM ({reason})", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The passphrase does not open it.
    #[error("the passphrase does not open {}", .0.display())]
    Passphrase(PathBuf),
    /// A file of public keys is none.
    #[error("{} is neither a public key (OpenSSH, or Ed25519 or P-256 in PEM) nor a file of allowed signers: {reason}", path.display())]
    Signers {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// This kind of key does not sign this.
    #[error("{0}")]
    Kind(String),
    /// A file is no SSH signature, or one that can't be checked.
    #[error("{} is no SSH signature that can be checked: {reason}", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where the signature of a report lies: `REPORT.sig`.
pub fn signature_path(report: &Path) -> PathBuf {
    let mut path = report.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Reads a small file as text. It may be a pipe: keys come from many places.
fn read(path: &Path) -> Result<String, SignError> {
    disk::read_small_text(path).map_err(|error| SignError::Unreadable { path: path.to_owned(), error })
}
