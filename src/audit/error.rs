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
    /// A task of the audit's own did not come to its end.
    #[error("a part of the audit stopped unexpectedly: {0}")]
    Task(String),
}
