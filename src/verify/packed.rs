//! The packed form of a parsed digest, as it lies on the spool: everything but the period, which
//! the summary in memory has.

use std::io::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::digest::ParsedDigest;
use super::document::Predecessor;
use super::entries::LogFileEntries;
use super::signature::RecordedSignature;
use crate::model::{ObjectRef, Period, Sha256Hash};

/// The reason why a digest could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// It could not be written.
    #[error("it could not be packed: {0}")]
    Unwritable(String),
    /// The bytes are not those that were packed.
    #[error("its bytes are not those that were kept")]
    Damaged,
}

/// Packs a digest.
pub(super) fn write(digest: &ParsedDigest, out: impl Write) -> Result<(), PackError> {
    postcard::to_io(&PackedDigest::from(digest), out).map_err(|error| PackError::Unwritable(error.to_string()))?;
    Ok(())
}

/// Unpacks a digest that covers this period.
pub(super) fn read(packed: &[u8], period: Period) -> Result<ParsedDigest, PackError> {
    let digest: PackedDigest<'_> = postcard::from_bytes(packed).map_err(|_| PackError::Damaged)?;
    digest.unpack(period).ok_or(PackError::Damaged)
}

/// The fields of a digest, borrowed from it or from its packed bytes.
#[derive(Serialize, Deserialize)]
struct PackedDigest<'a> {
    bucket: &'a str,
    key: &'a str,
    #[serde(serialize_with = "as_bytes")]
    sha256: &'a [u8],
    #[serde(borrow)]
    predecessor: Option<PackedPredecessor<'a>>,
    metadata_kept: bool,
    signature: Option<PackedSignature<'a>>,
    #[serde(serialize_with = "as_bytes")]
    log_files: &'a [u8],
    log_file_count: usize,
    /// The bucket of the first log file, if it is not the digest's own.
    log_file_bucket: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct PackedPredecessor<'a> {
    /// The predecessor's bucket; `None` if it is the digest's own.
    bucket: Option<&'a str>,
    key: &'a str,
    sha256: Option<[u8; 32]>,
    #[serde(borrow)]
    signature: Option<PackedSignature<'a>>,
}

#[derive(Serialize, Deserialize)]
enum PackedSignature<'a> {
    Bytes(#[serde(serialize_with = "as_bytes")] &'a [u8]),
    Unreadable([u8; 32]),
}

/// Serializes bytes as one byte string: serde would write a slice element by element.
fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl<'a> From<&'a ParsedDigest> for PackedDigest<'a> {
    fn from(open: &'a ParsedDigest) -> Self {
        let own = &open.object.bucket;
        Self {
            bucket: own,
            key: &open.object.key,
            sha256: &open.sha256.0,
            predecessor: open.predecessor.as_ref().map(|recorded| PackedPredecessor {
                bucket: (recorded.object.bucket != *own).then_some(&*recorded.object.bucket),
                key: &recorded.object.key,
                sha256: recorded.sha256.map(|hash| hash.0),
                signature: recorded.signature.as_ref().map(PackedSignature::from),
            }),
            metadata_kept: open.metadata_kept,
            signature: open.signature.as_ref().map(PackedSignature::from),
            log_files: &open.log_files.packed,
            log_file_count: open.log_files.count,
            log_file_bucket: open.log_files.bucket.as_deref().filter(|bucket| **bucket != **own),
        }
    }
}

impl PackedDigest<'_> {
    fn unpack(self, Period { start, end }: Period) -> Option<ParsedDigest> {
        let object = ObjectRef::new(self.bucket, self.key);
        let predecessor = self.predecessor.map(|recorded| Predecessor {
            object: ObjectRef::new(recorded.bucket.map_or_else(|| Arc::clone(&object.bucket), Arc::from), recorded.key),
            sha256: recorded.sha256.map(Sha256Hash),
            signature: recorded.signature.map(RecordedSignature::from),
        });
        let own = || (!self.log_files.is_empty()).then(|| Arc::clone(&object.bucket));
        let log_files = LogFileEntries {
            bucket: self.log_file_bucket.map(Arc::from).or_else(own),
            packed: self.log_files.into(),
            count: self.log_file_count,
        };
        Some(ParsedDigest {
            start,
            end,
            sha256: Sha256Hash(self.sha256.try_into().ok()?),
            predecessor,
            log_files,
            metadata_kept: self.metadata_kept,
            signature: self.signature.map(RecordedSignature::from),
            object,
        })
    }
}

impl<'a> From<&'a RecordedSignature> for PackedSignature<'a> {
    fn from(signature: &'a RecordedSignature) -> Self {
        match signature {
            RecordedSignature::Bytes(bytes) => Self::Bytes(bytes),
            RecordedSignature::Unreadable(hash) => Self::Unreadable(hash.0),
        }
    }
}

impl From<PackedSignature<'_>> for RecordedSignature {
    fn from(signature: PackedSignature<'_>) -> Self {
        match signature {
            PackedSignature::Bytes(bytes) => Self::Bytes(bytes.into()),
            PackedSignature::Unreadable(hash) => Self::Unreadable(Box::new(Sha256Hash(hash))),
        }
    }
}
