//! What an object is known by, and its place in a draw by lot.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use crate::model::{AWS_LOGS_FOLDER, ObjectRef};

/// What an object is known by where digests and listings are compared. A copy may be laid out under another bucket's name or prefix: there,
/// what follows `AWSLogs/` counts.
pub(super) fn identity(object: &ObjectRef, live: bool) -> Cow<'_, str> {
    if live {
        return format!("{}/{}", object.bucket, object.key).into();
    }
    let inside = object.key.rfind(AWS_LOGS_FOLDER).map(|at| &object.key[at + AWS_LOGS_FOLDER.len()..]);
    inside.unwrap_or(&object.key).into()
}

/// Where an object stands in the order in which a seed draws objects.
pub(super) fn rank(seed: u64, object: &ObjectRef) -> u64 {
    let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(object.to_string()).finalize();
    hash.iter().take(8).fold(0, |rank, byte| rank << 8 | u64::from(*byte))
}
