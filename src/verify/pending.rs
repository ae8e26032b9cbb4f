//! Digests that are held until their whole chain can be judged. A chain may be long and a digest
//! may list thousands of log files, so only a summary stays in memory; the rest is packed into
//! bytes, which the caller can store elsewhere.

use std::num::NonZero;
use std::sync::Arc;

use ahash::RandomState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::digest::{CheckedDigest, ParsedDigest, UnparsedDigest, Unproven};
use super::document::Predecessor;
use super::entries::LogFileEntries;
use super::signature::RecordedSignature;
use crate::model::{ObjectRef, Period, Sha256Hash};

/// A digest that was examined by itself, held until the digests that may name it are read.
#[derive(Debug)]
pub enum PendingDigest {
    /// It was parsed; the second field is the result of checking its own signature.
    Parsed(DigestSummary, Result<(), Box<Unproven>>),
    /// It could not be read or parsed, or a backfill digest's generation time is missing or not
    /// plausible.
    Unparsed(Box<UnparsedDigest>),
}

/// The part of a packed digest that stays in memory. Names are hashes under a random [`HashKey`],
/// so nobody can construct names that collide; before a digest is judged by another's record of it,
/// the names themselves are compared.
#[derive(Debug)]
pub struct DigestSummary {
    /// A hash of the packed bytes, under the same key.
    seal: u64,
    name: NameHash,
    predecessor: Option<NameHash>,
    start: Timestamp,
    end: Timestamp,
    log_files: u32,
}

/// The hash of a name. Zero is stored as one, so that an `Option` of it takes no extra space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameHash(NonZero<u64>);

/// The key under which names and packed digests are hashed: each is drawn at random.
#[derive(Debug, Clone, Default)]
pub struct HashKey(RandomState);

impl HashKey {
    /// The hash of a name.
    pub fn name(&self, object: &ObjectRef) -> NameHash {
        NameHash(NonZero::new(self.0.hash_one(object)).unwrap_or(NonZero::<u64>::MIN))
    }

    fn seal(&self, packed: &[u8]) -> u64 {
        self.0.hash_one(packed)
    }
}

/// The reason why a digest could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It could not be written.
    #[error("it could not be packed: {0}")]
    Unwritable(String),
    /// The bytes are not those that were packed.
    #[error("its bytes are not those that were kept")]
    Damaged,
}

impl PendingDigest {
    /// Packs a digest that was examined: everything but the summary is appended to `out`.
    pub fn pack(examined: CheckedDigest, key: &HashKey, out: &mut Vec<u8>) -> Result<Self, PackError> {
        match examined {
            CheckedDigest::Parsed(open, own) => Ok(Self::Parsed(DigestSummary::pack(&open, key, out)?, own)),
            CheckedDigest::Unparsed(closed) => Ok(Self::Unparsed(closed)),
        }
    }
}

impl DigestSummary {
    fn pack(open: &ParsedDigest, key: &HashKey, out: &mut Vec<u8>) -> Result<Self, PackError> {
        let begin = out.len();
        postcard::to_io(&PackedDigest::from(open), &mut *out)
            .map_err(|error| PackError::Unwritable(error.to_string()))?;
        Ok(Self {
            seal: key.seal(out.get(begin..).unwrap_or_default()),
            name: key.name(&open.object),
            predecessor: open.predecessor.as_ref().map(|recorded| key.name(&recorded.object)),
            start: open.start,
            end: open.end,
            // The limit on a digest's size keeps the number far below `u32::MAX`.
            log_files: u32::try_from(open.log_files.len()).unwrap_or(u32::MAX),
        })
    }

    /// Unpacks the digest from the bytes that it was packed into.
    pub fn unpack(&self, packed: &[u8], key: &HashKey) -> Result<ParsedDigest, PackError> {
        if key.seal(packed) != self.seal {
            return Err(PackError::Damaged);
        }
        let digest: PackedDigest<'_> = postcard::from_bytes(packed).map_err(|_| PackError::Damaged)?;
        digest.open(self.period()).ok_or(PackError::Damaged)
    }

    /// The hash of its name.
    pub fn name(&self) -> NameHash {
        self.name
    }

    /// The hash of the name of the digest that it names as its predecessor; `None` for a starting
    /// digest.
    pub fn predecessor(&self) -> Option<NameHash> {
        self.predecessor
    }

    /// The period that the digest claims to cover.
    pub fn period(&self) -> Period {
        Period { start: self.start, end: self.end }
    }

    /// The number of log files that the digest lists.
    pub fn log_files(&self) -> usize {
        self.log_files as usize
    }
}

/// The part of a digest that its summary lacks.
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
    fn open(self, Period { start, end }: Period) -> Option<ParsedDigest> {
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

#[cfg(test)]
mod tests {
    use super::super::entries::{EntriesBuilder, RecordedHash};
    use super::*;

    fn digest(predecessor: Option<Predecessor>, signature: Option<RecordedSignature>) -> ParsedDigest {
        let mut entries = EntriesBuilder::default();
        entries.push("bucket", "a/log", RecordedHash::Sha256(Sha256Hash([3; 32])));
        entries.push("other", "a/log", RecordedHash::Sha256(Sha256Hash([4; 32])));
        entries.push("bucket", "a/log", RecordedHash::OtherAlgorithm("why"));
        let object = ObjectRef::new("bucket", "a/digest");
        ParsedDigest {
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            sha256: Sha256Hash([1; 32]),
            log_files: entries.finish(),
            object,
            predecessor,
            metadata_kept: true,
            signature,
        }
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was_and_nothing_else_does() {
        let key = HashKey::default();
        let bytes = RecordedSignature::Bytes([0, 255, 7].as_slice().into());
        let unreadable = RecordedSignature::read("no hex");
        let predecessor = |bucket: &str, sha256, signature| {
            Some(Predecessor { object: ObjectRef::new(bucket, "a/before"), sha256, signature })
        };
        let digests = [
            digest(None, None),
            digest(predecessor("bucket", None, None), Some(unreadable.clone())),
            digest(predecessor("other", Some(Sha256Hash([9; 32])), Some(bytes.clone())), Some(bytes)),
            digest(predecessor("bucket", None, Some(unreadable)), None),
        ];
        for open in digests {
            let mut kept = vec![1, 2, 3];
            let summary = DigestSummary::pack(&open, &key, &mut kept).unwrap();
            let unpacked = summary.unpack(&kept[3..], &key).unwrap();
            assert_eq!(format!("{unpacked:?}"), format!("{open:?}"));
            assert_eq!(summary.name(), key.name(&open.object));
            let named = open.predecessor.as_ref().map(|recorded| key.name(&recorded.object));
            assert_eq!((summary.predecessor(), summary.log_files()), (named, 3));
            for place in 3..kept.len() {
                kept[place] ^= 1;
                assert!(summary.unpack(&kept[3..], &key).is_err(), "byte {place} was changed");
                kept[place] ^= 1;
            }
            assert!(summary.unpack(&kept[3..kept.len() - 1], &key).is_err());
        }
    }
}
