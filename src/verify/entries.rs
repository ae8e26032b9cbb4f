//! The log files of one digest in packed form: a chain may list millions, and they are kept until
//! all its digests are judged.

use std::sync::Arc;

use crate::model::{NameCoder, ObjectRef, Sha256Hash, read_number, write_number};

/// The hash that a log file is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedHash {
    /// SHA-256 of the uncompressed bytes.
    Sha256(Sha256Hash),
    /// A hash that this version can't compare with; the text says why.
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

/// The maximum length, in bytes, of a text that is kept in the place of a hash.
const MAX_TEXT_BYTES: usize = 160;

/// Marks an entry in another bucket than the first one's.
const OTHER_BUCKET: u8 = 1;
/// Marks an entry with another hash algorithm, whose name takes the place of the hash.
const OTHER_ALGORITHM: u8 = 2;
/// Marks an entry with a hash that can't be read, whose text takes the place of the hash.
const UNREADABLE_HASH: u8 = 4;

/// The hash of an entry as a digest records it.
#[derive(Debug, Clone, Copy)]
pub(super) enum RecordedHash<'a> {
    Sha256(Sha256Hash),
    /// The name of an algorithm that this version doesn't know.
    OtherAlgorithm(&'a str),
    /// A text that is no SHA-256.
    Unreadable(&'a str),
}

impl RecordedHash<'_> {
    /// Returns the form that is compared.
    fn expected(self) -> ExpectedHash {
        match self {
            Self::Sha256(hash) => ExpectedHash::Sha256(hash),
            Self::OtherAlgorithm(name) => {
                ExpectedHash::Unknown(format!("the digest names the hash algorithm '{name}'"))
            }
            Self::Unreadable(text) => {
                let why = text.parse::<Sha256Hash>().err().map(|error| error.to_string()).unwrap_or_default();
                ExpectedHash::Unknown(format!("the digest records a hash that can't be read: {why}"))
            }
        }
    }
}

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
    pub(super) fn push(&mut self, bucket: &str, key: &str, recorded: RecordedHash<'_>) {
        let own = self.bucket.get_or_insert_with(|| bucket.into());
        let other = if **own == *bucket { 0 } else { OTHER_BUCKET };
        let kind = match recorded {
            RecordedHash::Sha256(_) => 0,
            RecordedHash::OtherAlgorithm(_) => OTHER_ALGORITHM,
            RecordedHash::Unreadable(_) => UNREADABLE_HASH,
        };
        self.packed.push(other | kind);
        self.coder.write(&mut self.packed, key);
        if other != 0 {
            write_text(&mut self.packed, bucket);
        }
        match recorded {
            RecordedHash::Sha256(Sha256Hash(hash)) => self.packed.extend_from_slice(&hash),
            RecordedHash::OtherAlgorithm(text) | RecordedHash::Unreadable(text) => {
                let end = text.floor_char_boundary(MAX_TEXT_BYTES);
                write_text(&mut self.packed, &text[..end]);
            }
        }
        self.count += 1;
    }

    /// Ends the list.
    pub(super) fn finish(self) -> LogFileEntries {
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
    /// Returns the number of log files.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are no log files.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns an iterator that unpacks each log file.
    pub fn iter(&self) -> impl Iterator<Item = LogFileEntry> + '_ {
        let (mut coder, mut rest) = (NameCoder::default(), &*self.packed);
        (0..self.count).map_while(move |_| {
            let (marks, after) = rest.split_first()?;
            rest = after;
            let key = coder.read(&mut rest)?;
            let bucket =
                if marks & OTHER_BUCKET == 0 { self.bucket.clone()? } else { Arc::from(read_text(&mut rest)?) };
            let recorded = if marks & OTHER_ALGORITHM != 0 {
                RecordedHash::OtherAlgorithm(read_text(&mut rest)?)
            } else if marks & UNREADABLE_HASH != 0 {
                RecordedHash::Unreadable(read_text(&mut rest)?)
            } else {
                let (hash, after) = rest.split_first_chunk()?;
                rest = after;
                RecordedHash::Sha256(Sha256Hash(*hash))
            };
            Some(LogFileEntry { object: ObjectRef { bucket, key }, expected: recorded.expected() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_in_its_order() {
        let hash = |byte| RecordedHash::Sha256(Sha256Hash([byte; 32]));
        let long = "é".repeat(100);
        let entries = [
            ("other", "x", hash(0)),
            ("bucket", "a/2026/x1.json.gz", hash(1)),
            ("bucket", "a/2026/x2.json.gz", RecordedHash::OtherAlgorithm("SHA-512")),
            ("other", "a/2026/x2.json.gz", hash(2)),
            ("bucket", "a/2026/x3.json.gz", RecordedHash::Unreadable(&long)),
            ("bucket", "a/2026/x3.json.gz", hash(4)),
        ];
        let mut builder = EntriesBuilder::default();
        entries.iter().for_each(|(bucket, key, hash)| builder.push(bucket, key, *hash));
        let packed = builder.finish();
        let found: Vec<LogFileEntry> = packed.iter().collect();
        for ((bucket, key, recorded), found) in entries.iter().zip(&found) {
            assert_eq!(found.object, ObjectRef::new(*bucket, *key));
            if let RecordedHash::Sha256(hash) = recorded {
                assert_eq!(found.expected, ExpectedHash::Sha256(*hash));
            }
        }
        assert!(matches!(&found[2].expected, ExpectedHash::Unknown(why) if why.contains("'SHA-512'")));
        assert!(matches!(&found[4].expected, ExpectedHash::Unknown(why) if why.contains("can't be read")));
        assert_eq!((found.len(), packed.len()), (6, 6));
        assert!(LogFileEntries::default().is_empty());
    }
}
