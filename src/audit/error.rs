//! The errors because of which an audit cannot run.

use crate::store::StoreError;

/// The reason why an audit could not run at all. A finding of a running audit is a record, never an
/// error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The store could not list a location.
    #[error("{place} can't be listed: {error}")]
    Listing {
        /// The location.
        place: String,
        /// The error of the store.
        error: StoreError,
    },
    /// The store holds two objects under one name.
    #[error("{0}")]
    Ambiguous(String),
    /// The observer could not take a record.
    #[error(transparent)]
    Observer(#[from] std::io::Error),
    /// The content of a digest, which is spooled until its whole chain can be verified, could not
    /// be stored or read back.
    #[error(
        "what a digest says was put aside until its chain can be judged, in a temporary file if there is much \
         of it, and can't be had \
         again: {0}; run it again, and if that comes back, with TMPDIR on another disk"
    )]
    PutAside(String),
    /// The content of a proven log file could not be kept for its consumer, or the consumer failed.
    #[error(
        "the content of a proven log file could not be handed on: {0}; what is large is kept in temporary files, in \
         the folder that TMPDIR names"
    )]
    Content(std::io::Error),
    /// The list of chains that another run found can't be read.
    #[error("the list of chains can't be read: {0}")]
    ChainList(std::io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, which a new checkpoint needs")]
    NoRandomNumbers,
    /// A task of the audit did not run to completion.
    #[error("a part of the audit stopped unexpectedly: {0}")]
    Task(String),
}
