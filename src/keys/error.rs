//! The errors of sources of public keys.

use std::path::PathBuf;

/// The reason why the keys of a region could not be obtained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the public keys of {region} could not be obtained: {reason}")]
pub struct KeySourceError {
    /// The region that was asked.
    pub region: String,
    /// The reason, and what to do.
    pub reason: String,
}

/// The reason why a file of public keys can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It can't be read.
    #[error("the key file {} can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of reading it.
        error: std::io::Error,
    },
    /// It is not a list of public keys.
    #[error(
        "the key file {} is not what 'aws cloudtrail list-public-keys' prints, nor {{\"REGION\": that, …}}: {reason}",
        path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// The fault of its content, and where it is.
        reason: String,
    },
}
