//! The log files of one digest, kept small: a chain may list millions, and they wait until all its digests are judged.

use std::sync::Arc;

use crate::model::{NameCoder, ObjectRef, Sha256Hash, read_number, write_number};

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

/// The length to which a text is kept that says why a hash can't be compared with, in bytes: a digest may hold half a million.
const MAX_REASON_BYTES: usize = 160;

/// Marks an entry in another bucket than the first one's.
const OTHER_BUCKET: u8 = 1;
/// Marks an entry whose hash can't be compared with.
const UNKNOWN_HASH: u8 = 2;

/// Log files in the order in which their digest lists them: some 60 bytes each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LogFileEntries {
    /// The bucket of the first one.
    pub(super) bucket: Option<Arc<str>>,
    /// Marks, name and hash of each.
    pub(super) packed: Box<[u8]>,
    pub(super) count: usize,
}

/// Packs the log files of a digest, one at a time.
#[derive(Debug, Default)]
pub(super) struct EntriesBuilder {
    bucket: Option<Arc<str>>,
    packed: Vec<u8>,
    coder: NameCoder,
    count: usize,
}

impl EntriesBuilder {
    /// Adds a log file.
    pub fn push(&mut self, bucket: &str, key: &str, expected: &ExpectedHash) {
        let own = self.bucket.get_or_insert_with(|| bucket.into());
        let other = if **own == *bucket { 0 } else { OTHER_BUCKET };
        let unknown = if matches!(expected, ExpectedHash::Unknown(_)) { UNKNOWN_HASH } else { 0 };
        self.packed.push(other | unknown);
        self.coder.write(&mut self.packed, key);
        if other != 0 {
            write_text(&mut self.packed, bucket);
        }
        match expected {
            ExpectedHash::Sha256(Sha256Hash(hash)) => self.packed.extend_from_slice(hash),
            ExpectedHash::Unknown(reason) => {
                let end = reason.floor_char_boundary(MAX_REASON_BYTES);
                write_text(&mut self.packed, &reason[..end]);
            }
        }
        self.count += 1;
    }

    /// Ends the list.
    pub fn finish(self) -> LogFileEntries {
        LogFileEntries { bucket: self.bucket, packed: self.packed.into(), count: self.count }
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    write_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn read_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

impl LogFileEntries {
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
        (0..self.count).map_while(move |_| {
            let (marks, after) = rest.split_first()?;
            rest = after;
            let key = coder.read(&mut rest)?;
            let bucket =
                if marks & OTHER_BUCKET == 0 { self.bucket.clone()? } else { Arc::from(read_text(&mut rest)?) };
            let expected = if marks & UNKNOWN_HASH == 0 {
                let (hash, after) = rest.split_first_chunk()?;
                rest = after;
                ExpectedHash::Sha256(Sha256Hash(*hash))
            } else {
                ExpectedHash::Unknown(read_text(&mut rest)?.to_owned())
            };
            Some(LogFileEntry { object: ObjectRef { bucket, key }, expected })
        })
    }
}

impl<'a> FromIterator<&'a LogFileEntry> for LogFileEntries {
    fn from_iter<T: IntoIterator<Item = &'a LogFileEntry>>(entries: T) -> Self {
        let mut builder = EntriesBuilder::default();
        entries.into_iter().for_each(|entry| builder.push(&entry.object.bucket, &entry.object.key, &entry.expected));
        builder.finish()
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
        let packed: LogFileEntries = entries.iter().collect();
        assert_eq!((packed.iter().collect::<Vec<_>>(), packed.len()), (entries, 6));
        assert!(LogFileEntries::default().is_empty());
    }
}
