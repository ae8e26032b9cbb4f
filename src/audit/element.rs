//! One digest of a chain, judged or known to be missing.

use jiff::Timestamp;

use crate::model::{DigestKind, ObjectRef, Versions};
use crate::verify::{RejectedDigest, ValidDigest};

/// One digest of a chain: there, or known to be missing.
#[derive(Debug)]
pub(super) struct Element {
    pub kind: DigestKind,
    pub object: ObjectRef,
    /// For a digest that is not valid, an hour before its end: what it claims itself is not to be trusted.
    pub start: Timestamp,
    pub end: Timestamp,
    pub state: State,
    /// When S3 last wrote it, where a listing told.
    pub last_modified: Option<Timestamp>,
    /// What a reader should know about its metadata.
    pub note: Option<String>,
    /// What a versioned bucket still holds of it.
    pub versions: Option<Box<Versions>>,
}

/// What is known of it.
#[derive(Debug)]
pub(super) enum State {
    Valid(ValidDigest),
    Rejected(Box<RejectedDigest>),
    /// Named by its successor, and not there.
    Missing,
    /// Named by its successor, not there, and young enough that it may still come.
    NotYetDelivered,
    /// Named by its successor, not there, and removed by a lifecycle rule.
    Expired,
}
