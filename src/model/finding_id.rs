//! The identifier of a finding.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::hash::decode_hex;
use super::text_form::{serialize_as_text, string_schema};
use super::{ChainFault, ChainId, DigestStatus, Fault, GapCause, LogFileStatus, ObjectRef, Sha256Hash};

/// The identifier of a finding: the same in every run that finds the same about the same object.
/// Written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId([u8; 8]);

serialize_as_text!(FindingId);
string_schema!(FindingId, { "pattern": "^[0-9a-f]{16}$" });

/// A text that is not 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the identifier of a finding, which has 16 hexadecimal digits")]
pub struct FindingIdError(String);

impl FindingId {
    /// Returns the identifier of a digest that is not valid. Another content of an invalid digest is
    /// another finding: `sha256` is the hash of what was found, and `fault` stands in for it where
    /// there is none.
    pub fn of_digest(
        object: &ObjectRef,
        status: DigestStatus,
        sha256: Option<Sha256Hash>,
        fault: Option<Fault>,
    ) -> Self {
        let content = match status {
            DigestStatus::Invalid => content_of(sha256, fault),
            _ => String::new(),
        };
        Self::of(&["digest", status.as_str(), &content, &object.bucket, &object.key])
    }

    /// Returns the identifier of an event of tampering: a rule, and the record of a log file that meets it.
    pub fn of_tampering(rule: &str, log_file: &ObjectRef, index: u64) -> Self {
        Self::of(&["tampering", rule, &index.to_string(), &log_file.bucket, &log_file.key])
    }

    /// Returns the identifier of a log file that is not intact. Another content of a modified log file
    /// is another finding: `actual` is the hash of what was found, `fault` stands in for it where there
    /// is none, and `size` is the size of the object.
    pub fn of_log_file(
        object: &ObjectRef,
        status: LogFileStatus,
        actual: Option<Sha256Hash>,
        fault: Option<Fault>,
        size: Option<u64>,
    ) -> Self {
        let content = match status {
            LogFileStatus::Modified => {
                format!("{} {}", content_of(actual, fault), size.map(|size| size.to_string()).unwrap_or_default())
            }
            _ => String::new(),
        };
        Self::of(&["log_file", status.as_str(), &content, &object.bucket, &object.key])
    }

    /// Returns the identifier of a gap, by its beginning: its end may move.
    pub fn of_gap(chain: &ChainId, cause: GapCause, from: Timestamp) -> Self {
        Self::of(&["gap", cause.as_str(), &from.to_string(), &chain.to_string()])
    }

    /// Returns the identifier of the fault of a chain. `objects` are the digests of earlier runs that
    /// contradict the chain.
    pub fn of_chain<'a>(chain: &ChainId, fault: ChainFault, objects: impl IntoIterator<Item = &'a ObjectRef>) -> Self {
        let mut objects: Vec<String> = objects.into_iter().map(ToString::to_string).collect();
        objects.sort();
        let chain = chain.to_string();
        let parts = ["chain", fault.as_str(), &chain].into_iter().chain(objects.iter().map(String::as_str));
        Self::of(&parts.collect::<Vec<_>>())
    }

    /// Returns the identifier of what these texts name together.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length comes first, so that no two lists of parts are the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut id = [0; 8];
        id.copy_from_slice(&hash.finalize()[..8]);
        Self(id)
    }
}

/// Returns a name of a content: its hash, or the fault that leaves it without one.
fn content_of(sha256: Option<Sha256Hash>, fault: Option<Fault>) -> String {
    match (sha256, fault) {
        (Some(hash), _) => hash.to_string(),
        (None, Some(fault)) => fault.to_string(),
        (None, None) => String::new(),
    }
}

impl FromStr for FindingId {
    type Err = FindingIdError;

    fn from_str(text: &str) -> Result<Self, FindingIdError> {
        let mut bytes = [0; 8];
        if decode_hex(text, &mut bytes) { Ok(Self(bytes)) } else { Err(FindingIdError(text.to_owned())) }
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_names_one_object_in_one_state() {
        let object = ObjectRef::new("bucket", "key");
        let (one, other) = (Sha256Hash([1; 32]), Sha256Hash([2; 32]));
        let file = |object: &ObjectRef, hash, fault, size| {
            FindingId::of_log_file(object, LogFileStatus::Modified, hash, fault, Some(size))
        };
        let mismatch = Some(Fault::HashMismatch);
        let ids = [
            file(&object, Some(one), mismatch, 7),
            file(&object, Some(other), mismatch, 7),
            file(&object, Some(one), mismatch, 8),
            file(&object, None, Some(Fault::Truncated), 7),
            file(&object, None, Some(Fault::NotGzip), 7),
            file(&ObjectRef::new("bucket", "other"), Some(one), mismatch, 7),
            file(&ObjectRef::new("bucketk", "ey"), Some(one), mismatch, 7),
            FindingId::of_log_file(&object, LogFileStatus::Deleted, None, Some(Fault::NotFound), None),
            FindingId::of_digest(&object, DigestStatus::Invalid, Some(one), Some(Fault::Malformed)),
            FindingId::of_digest(&object, DigestStatus::Missing, None, Some(Fault::NotFound)),
        ];
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        assert_eq!(ids[0], file(&object, Some(one), Some(Fault::TrailingData), 7));
        // The reason why a digest could not be judged differs from run to run.
        let unverified = |fault| FindingId::of_digest(&object, DigestStatus::Unverified, None, Some(fault));
        assert_eq!(unverified(Fault::AccessDenied), unverified(Fault::ReadFailed));
        assert_eq!(ids[0].to_string().parse(), Ok(ids[0]));
        for wrong in ["", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef0"] {
            assert!(wrong.parse::<FindingId>().is_err(), "{wrong}");
        }
    }
}
