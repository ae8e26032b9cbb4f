//! The name by which an object is recognized, and its rank in a random draw.

use std::borrow::Cow;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::model::{AWS_LOGS_FOLDER, ObjectRef, VerifiedFiles};

/// Returns the name by which an object is recognized where digests and listings are compared.
/// Without `exact`, only the part after `AWSLogs/` counts: a copy may be laid out under another
/// bucket's name or prefix.
pub(crate) fn identity(object: &ObjectRef, exact: bool) -> Cow<'_, str> {
    if exact {
        return format!("{}/{}", object.bucket, object.key).into();
    }
    inside(&object.key).into()
}

/// Returns the same name for a part of a key.
pub(crate) fn identity_of_key(bucket: &str, key: &str, exact: bool) -> String {
    if exact { format!("{bucket}/{key}") } else { inside(key).to_owned() }
}

fn inside(key: &str) -> &str {
    key.rfind(AWS_LOGS_FOLDER).map_or(key, |at| &key[at + AWS_LOGS_FOLDER.len()..])
}

/// Returns the hash of a log file that was written at this time.
pub(crate) fn written_hash(files: &VerifiedFiles, name: &str, written: Timestamp) -> u64 {
    name_hash(files, &format!("{name}\n{}", written.as_second()))
}

/// The hash of a log file's name under the key of a checkpoint.
pub(crate) fn name_hash(files: &VerifiedFiles, name: &str) -> u64 {
    let hash = Sha256::new().chain_update(files.key).chain_update(name).finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Returns the rank of a name in the order in which a seed draws names.
pub(crate) fn rank(seed: u64, name: &str) -> u64 {
    let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(name).finalize();
    hash.iter().take(8).fold(0, |rank, byte| rank << 8 | u64::from(*byte))
}
