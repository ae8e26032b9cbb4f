//! Why a checkpoint can't be used.

/// Why a checkpoint can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It can't be read or written.
    #[error("the checkpoint {place} can't be read or written: {reason}")]
    Failed {
        /// Where it is.
        place: String,
        /// Why.
        reason: String,
    },
    /// What is there is none.
    #[error("{place} is no checkpoint that this version can read: {reason}")]
    Malformed {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was made for something else.
    #[error("the checkpoint {place} was made for the {what} {kept}, not for {asked}")]
    Other {
        /// Where it is.
        place: String,
        /// What differs.
        what: &'static str,
        /// What it was made for.
        kept: String,
        /// What is asked now.
        asked: String,
    },
}
