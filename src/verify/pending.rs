//! Digests that are held until their whole chain can be judged. A chain may be long and a digest
//! may list thousands of log files, so only a summary stays in memory; the rest is packed into
//! bytes, which the caller can store elsewhere.

use std::num::NonZero;

use ahash::RandomState;
use jiff::Timestamp;

use super::digest::{CheckedDigest, ParsedDigest, UnparsedDigest, Unproven};
use super::packed::{self, PackError};
use crate::model::{ObjectRef, Period};

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

impl PendingDigest {
    /// Packs a digest that was examined: everything but the summary is appended to `out`.
    ///
    /// # Errors
    ///
    /// Fails if the digest can't be packed.
    pub fn pack(examined: CheckedDigest, key: &HashKey, out: &mut Vec<u8>) -> Result<Self, PackError> {
        match examined {
            CheckedDigest::Parsed(digest, own) => Ok(Self::Parsed(DigestSummary::pack(&digest, key, out)?, own)),
            CheckedDigest::Unparsed(unparsed) => Ok(Self::Unparsed(unparsed)),
        }
    }
}

impl DigestSummary {
    fn pack(digest: &ParsedDigest, key: &HashKey, out: &mut Vec<u8>) -> Result<Self, PackError> {
        let begin = out.len();
        packed::write(digest, &mut *out)?;
        Ok(Self {
            seal: key.seal(out.get(begin..).unwrap_or_default()),
            name: key.name(&digest.object),
            predecessor: digest.predecessor.as_ref().map(|recorded| key.name(&recorded.object)),
            start: digest.start,
            end: digest.end,
            // The limit on a digest's size keeps the number far below `u32::MAX`.
            log_files: u32::try_from(digest.log_files.len()).unwrap_or(u32::MAX),
        })
    }

    /// Unpacks the digest from the bytes that it was packed into.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not those that were packed.
    pub fn unpack(&self, packed: &[u8], key: &HashKey) -> Result<ParsedDigest, PackError> {
        if key.seal(packed) != self.seal {
            return Err(PackError::Damaged);
        }
        packed::read(packed, self.period())
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

#[cfg(test)]
mod tests {
    use super::super::document::Predecessor;
    use super::super::entries::{EntriesBuilder, RecordedHash};
    use super::super::signature::RecordedSignature;
    use super::*;
    use crate::model::Sha256Hash;

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
        for digest in digests {
            let mut kept = vec![1, 2, 3];
            let summary = DigestSummary::pack(&digest, &key, &mut kept).unwrap();
            let unpacked = summary.unpack(&kept[3..], &key).unwrap();
            assert_eq!(format!("{unpacked:?}"), format!("{digest:?}"));
            assert_eq!(summary.name(), key.name(&digest.object));
            let named = digest.predecessor.as_ref().map(|recorded| key.name(&recorded.object));
            assert_eq!((summary.predecessor(), summary.log_files()), (named, 3));
            for index in 3..kept.len() {
                kept[index] ^= 1;
                assert!(summary.unpack(&kept[3..], &key).is_err(), "byte {index} was changed");
                kept[index] ^= 1;
            }
            assert!(summary.unpack(&kept[3..kept.len() - 1], &key).is_err());
        }
    }
}
