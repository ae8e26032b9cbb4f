//! Signatures of reports, made with SSH keys, and of envelopes, made with SSH keys or keys in PEM.
//!
//! A report is signed as SSHSIG (openssh-portable, `PROTOCOL.sshsig`) with the namespace
//! `ctverify`, in `REPORT.sig` beside the report; `ssh-keygen -Y verify` accepts it. An in-toto
//! envelope is signed as DSSE defines it, with Ed25519 or ECDSA on P-256.

mod envelope;
mod short_scalar;
mod ssh;

use std::path::{Path, PathBuf};

pub use envelope::{CheckedEnvelope, EnvelopeKey, check_envelope};
pub use ssh::{Checked, DetachedSignature, KnownSigners, SshSigner, check};

use crate::disk;

/// The namespace of every signature that is made here.
pub const NAMESPACE: &str = "ctverify";

/// The reason why something can't be signed, or a signature can't be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// A file can't be read.
    #[error("{} can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The file does not hold a key of a supported kind.
    #[error("{} is no private key that can sign: it takes an OpenSSH private key (Ed25519, ECDSA on P-256 or \
        P-384, RSA), or an Ed25519 or P-256 key in PKCS#8 PEM ({reason})", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// A description of the fault.
        reason: String,
    },
    /// The passphrase does not decrypt the key in this file.
    #[error("the passphrase does not open {}", .0.display())]
    Passphrase(PathBuf),
    /// The file does not hold public keys.
    #[error("{} is neither a public key (OpenSSH, or Ed25519 or P-256 in PEM) nor a file of allowed signers: \
        {reason}", path.display())]
    Signers {
        /// The file.
        path: PathBuf,
        /// A description of the fault.
        reason: String,
    },
    /// This kind of key can't sign this kind of content.
    #[error("{0}")]
    Kind(String),
    /// The file is not an SSH signature, or not one that can be checked.
    #[error("{} is no SSH signature that can be checked: {reason}", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// A description of the fault.
        reason: String,
    },
}

/// Returns the path of the signature of a report: `REPORT.sig`.
pub fn signature_path(report: &Path) -> PathBuf {
    let mut path = report.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Reads a small file as text. The file may be a pipe, since keys come from many places.
fn read(path: &Path) -> Result<String, SignError> {
    disk::read_small_text(path).map_err(|error| SignError::Unreadable { path: path.to_owned(), error })
}
