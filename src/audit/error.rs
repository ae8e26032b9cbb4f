//! Why an audit could not run.

use crate::store::StoreError;

/// Why an audit could not run at all. What it finds while it runs is a record, never an error.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store would not list what there is.
    #[error("{place} can't be listed: {error}")]
    Listing {
        /// The place.
        place: String,
        /// Why.
        error: StoreError,
    },
    /// The store holds two objects under one name.
    #[error("{0}")]
    Ambiguous(String),
    /// Whoever takes the records could not.
    #[error(transparent)]
    Observer(#[from] std::io::Error),
    /// What a digest says was put aside until the whole chain can be judged, and can't be had again.
    #[error(
        "what a digest says was put aside until its chain can be judged, in a temporary file if there is much of it, and can't be had \
         again: {0}; run it again, and if that comes back, with TMPDIR on another disk"
    )]
    PutAside(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, which a new checkpoint needs")]
    NoRandomNumbers,
    /// A task of the audit's own did not come to its end.
    #[error("a part of the audit stopped unexpectedly: {0}")]
    Task(String),
}
