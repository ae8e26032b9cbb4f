//! The identifier of a finding.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::hash::decode_hex;
use super::text_form::{serialize_as_text, string_schema};
use super::{ChainFault, ChainId, DigestStatus, GapCause, LogFileStatus, ObjectRef, Sha256Hash};

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
    /// Returns the identifier of a digest that is not valid. `sha256` is the hash of the content that
    /// was found: another content of an invalid digest is another finding.
    pub fn of_digest(object: &ObjectRef, status: DigestStatus, sha256: Option<Sha256Hash>) -> Self {
        let content = sha256.filter(|_| status == DigestStatus::Invalid);
        Self::of_object("digest", object, status.as_str(), content)
    }

    /// Returns the identifier of a log file that is not intact. `actual` is the hash of the content
    /// that was found: another content of a modified log file is another finding.
    pub fn of_log_file(object: &ObjectRef, status: LogFileStatus, actual: Option<Sha256Hash>) -> Self {
        let content = actual.filter(|_| status == LogFileStatus::Modified);
        Self::of_object("log_file", object, status.as_str(), content)
    }

    fn of_object(kind: &str, object: &ObjectRef, status: &str, content: Option<Sha256Hash>) -> Self {
        let content = content.map(|hash| hash.to_string()).unwrap_or_default();
        Self::of(&[kind, status, &content, &object.bucket, &object.key])
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
        let modified = FindingId::of_log_file(&object, LogFileStatus::Modified, Some(one));
        assert_eq!(modified, FindingId::of_log_file(&object, LogFileStatus::Modified, Some(one)));
        let others = [
            FindingId::of_log_file(&object, LogFileStatus::Modified, Some(other)),
            FindingId::of_log_file(&object, LogFileStatus::Deleted, None),
            FindingId::of_log_file(&ObjectRef::new("bucket", "other"), LogFileStatus::Modified, Some(one)),
            FindingId::of_log_file(&ObjectRef::new("bucketk", "ey"), LogFileStatus::Modified, Some(one)),
            FindingId::of_digest(&object, DigestStatus::Invalid, Some(one)),
        ];
        assert!(others.iter().all(|id| *id != modified), "{others:?}");
        assert_eq!(modified.to_string().parse(), Ok(modified));
        for wrong in ["", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef0"] {
            assert!(wrong.parse::<FindingId>().is_err(), "{wrong}");
        }
    }
}
