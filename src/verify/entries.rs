//! The log files of one digest, kept small: a chain may list millions, and they wait until all its digests are judged.

use std::sync::Arc;

use crate::model::{NameCoder, ObjectRef, Sha256Hash};

/// The hash by which a log file can be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedHash {
    /// SHA-256 of the uncompressed bytes.
    Sha256(Sha256Hash),
    /// Something that this version can't compare with; the text says what.
    Unknown(String),
}

/// A log file as a valid digest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileEntry {
    /// The log file.
    pub object: ObjectRef,
    /// The hash that it must have.
    pub expected: ExpectedHash,
}

/// What an entry takes as a rule, the first one's whole name aside.
const ENTRY_BYTES: usize = 64;

/// Log files in the order in which their digest lists them: some 60 bytes each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LogFileEntries {
    /// The digest's own.
    pub(super) bucket: Option<Arc<str>>,
    /// Name and hash of each.
    pub(super) packed: Box<[u8]>,
    /// Those with a hash that nothing can be compared with, or a name in another bucket, by their places in the whole list.
    pub(super) odd: Box<[(usize, LogFileEntry)]>,
    pub(super) count: usize,
}

impl LogFileEntries {
    /// Packs the log files of a digest that lies in `bucket`.
    pub(super) fn pack(bucket: &Arc<str>, entries: impl Iterator<Item = LogFileEntry>) -> Self {
        let room = ENTRY_BYTES * entries.size_hint().0;
        let (mut packed, mut coder, mut odd, mut count) =
            (Vec::with_capacity(room), NameCoder::default(), Vec::new(), 0);
        for (place, entry) in entries.enumerate() {
            count += 1;
            match entry.expected {
                ExpectedHash::Sha256(Sha256Hash(hash)) if entry.object.bucket == *bucket => {
                    coder.write(&mut packed, &entry.object.key);
                    packed.extend_from_slice(&hash);
                }
                _ => odd.push((place, entry)),
            }
        }
        let bucket = (!packed.is_empty()).then(|| bucket.clone());
        Self { bucket, packed: packed.as_slice().into(), odd: odd.into(), count }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each log file, made anew.
    pub fn iter(&self) -> impl Iterator<Item = LogFileEntry> + '_ {
        let (mut coder, mut rest) = (NameCoder::default(), &*self.packed);
        let mut odd = self.odd.iter().peekable();
        (0..self.count).map_while(move |place| {
            if let Some((_, entry)) = odd.next_if(|(at, _)| *at == place) {
                return Some(entry.clone());
            }
            let object = ObjectRef::new(self.bucket.clone()?, coder.read(&mut rest)?);
            let hash;
            (hash, rest) = rest.split_first_chunk()?;
            Some(LogFileEntry { object, expected: ExpectedHash::Sha256(Sha256Hash(*hash)) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_in_its_order() {
        let entry = |bucket: &str, key: &str, expected| LogFileEntry { object: ObjectRef::new(bucket, key), expected };
        let hash = |byte| ExpectedHash::Sha256(Sha256Hash([byte; 32]));
        let entries = vec![
            entry("other", "x", hash(0)),
            entry("bucket", "a/2026/x1.json.gz", hash(1)),
            entry("bucket", "a/2026/x2.json.gz", ExpectedHash::Unknown("why".to_owned())),
            entry("other", "a/2026/x2.json.gz", hash(2)),
            entry("bucket", "a/2026/x3.json.gz", hash(3)),
            entry("bucket", "a/2026/x3.json.gz", hash(4)),
        ];
        let packed = LogFileEntries::pack(&"bucket".into(), entries.iter().cloned());
        assert_eq!((packed.iter().collect::<Vec<_>>(), packed.len()), (entries, 6));
        assert!(LogFileEntries::pack(&"bucket".into(), std::iter::empty()).is_empty());
    }
}
