//! Errors about checkpoints that can't be used.

/// The reason why a checkpoint can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The checkpoint can't be read or written.
    #[error("the checkpoint {place} can't be read or written: {reason}")]
    Failed {
        /// The file or object of the checkpoint.
        place: String,
        /// The reason why that failed.
        reason: String,
    },
    /// The file or object is not a checkpoint that this version can read.
    #[error("{place} is no checkpoint that this version can read: {reason}")]
    Malformed {
        /// The file or object of the checkpoint.
        place: String,
        /// A description of the fault.
        reason: String,
    },
    /// The checkpoint was made for another trail, source or depth.
    #[error("the checkpoint {place} was made for {what}{kept}, not for {asked}")]
    Other {
        /// The file or object of the checkpoint.
        place: String,
        /// The property that differs, with a space after it, if its values do not name it.
        what: &'static str,
        /// The value for which the checkpoint was made.
        kept: String,
        /// The value of this run.
        asked: String,
    },
}
