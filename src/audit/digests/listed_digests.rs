//! Digests as listings show them, stored compactly: those of all chains are kept in memory until
//! their chain is examined.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{DigestKind, NameCoder, ObjectRef, read_number, write_number};

/// A digest as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedDigest {
    pub object: ObjectRef,
    pub kind: DigestKind,
    /// The end time in its name.
    pub end: Timestamp,
    /// The time at which S3 last wrote it, to the second, if a listing showed it.
    pub last_modified: Option<Timestamp>,
    /// The size of the stored object in bytes, if a listing showed it.
    pub size: Option<u64>,
}

/// A digest that was named or listed, but does not exist.
pub(crate) struct AbsentDigest {
    pub listed: ListedDigest,
    /// True if its bucket does not exist either.
    pub without_bucket: bool,
}

/// Digests as listings show them, packed into some 30 bytes each.
#[derive(Debug, Default)]
pub(crate) struct ListedDigests {
    /// Runs of digests in one bucket.
    buckets: Vec<(Arc<str>, usize)>,
    packed: Vec<u8>,
    coder: Coder,
    count: usize,
}

impl ListedDigests {
    /// Appends a digest.
    pub(crate) fn push(&mut self, digest: &ListedDigest) {
        match self.buckets.last_mut().filter(|(bucket, _)| *bucket == digest.object.bucket) {
            Some((_, count)) => *count += 1,
            None => self.buckets.push((digest.object.bucket.clone(), 1)),
        }
        self.coder.write(&mut self.packed, digest);
        self.count += 1;
    }

    /// Appends all digests of `other`.
    pub(crate) fn extend(&mut self, other: &Self) {
        other.iter().for_each(|digest| self.push(&digest));
    }

    /// The number of digests.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are no digests.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Iterates over the end times of the digests.
    pub(crate) fn ends(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.iter().map(|digest| digest.end)
    }

    /// Iterates over the digests, decoding each one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ListedDigest> + '_ {
        let (mut coder, mut rest) = (Coder::default(), self.packed.as_slice());
        buckets(self.buckets.iter().cloned()).map_while(move |bucket| coder.read(bucket, &mut rest))
    }
}

impl<'a> FromIterator<&'a ListedDigest> for ListedDigests {
    fn from_iter<T: IntoIterator<Item = &'a ListedDigest>>(digests: T) -> Self {
        let mut listed = Self::default();
        digests.into_iter().for_each(|digest| listed.push(digest));
        listed
    }
}

impl IntoIterator for ListedDigests {
    type Item = ListedDigest;
    type IntoIter = Box<dyn Iterator<Item = ListedDigest> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        let (packed, mut coder, mut at) = (self.packed, Coder::default(), 0);
        Box::new(buckets(self.buckets.into_iter()).map_while(move |bucket| {
            let mut rest = packed.get(at..)?;
            let digest = coder.read(bucket, &mut rest);
            at = packed.len() - rest.len();
            digest
        }))
    }
}

fn buckets(runs: impl Iterator<Item = (Arc<str>, usize)>) -> impl Iterator<Item = Arc<str>> {
    runs.flat_map(|(bucket, count)| std::iter::repeat_n(bucket, count))
}

/// Encodes consecutive digests, without their buckets, and decodes them again.
#[derive(Debug, Default)]
struct Coder {
    names: NameCoder,
    /// The end of the previous digest, in seconds.
    last_end: i64,
}

/// Flag bits for the facts about a digest that are stored besides its name and its end.
const BACKFILL: u64 = 1;
const HAS_LAST_MODIFIED: u64 = 2;
const HAS_SIZE: u64 = 4;

impl Coder {
    fn write(&mut self, out: &mut Vec<u8>, digest: &ListedDigest) {
        self.names.write(out, &digest.object.key);
        let flag = |is_set, bit| if is_set { bit } else { 0 };
        let flags = flag(digest.kind == DigestKind::Backfill, BACKFILL)
            | flag(digest.last_modified.is_some(), HAS_LAST_MODIFIED)
            | flag(digest.size.is_some(), HAS_SIZE);
        write_number(out, flags);
        let end = digest.end.as_second();
        write_number(out, zigzag(end - self.last_end));
        self.last_end = end;
        if let Some(last_modified) = digest.last_modified {
            write_number(out, zigzag(last_modified.as_second() - end));
        }
        if let Some(size) = digest.size {
            write_number(out, size);
        }
    }

    fn read(&mut self, bucket: Arc<str>, rest: &mut &[u8]) -> Option<ListedDigest> {
        let key = self.names.read(rest)?;
        let flags = read_number(rest)?;
        let kind = if flags & BACKFILL == 0 { DigestKind::Standard } else { DigestKind::Backfill };
        let end = self.last_end.wrapping_add(unzigzag(read_number(rest)?));
        self.last_end = end;
        let last_modified = match flags & HAS_LAST_MODIFIED {
            0 => None,
            _ => Timestamp::from_second(end.wrapping_add(unzigzag(read_number(rest)?))).ok(),
        };
        let size = if flags & HAS_SIZE == 0 { None } else { Some(read_number(rest)?) };
        let end = Timestamp::from_second(end).unwrap_or_default();
        Some(ListedDigest { object: ObjectRef { bucket, key }, kind, end, last_modified, size })
    }
}

/// Maps small numbers of either sign to small unsigned numbers: 0, -1, 1, -2, 2 … become 0, 1, 2,
/// 3, 4 …
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_comes_out_as_it_was() {
        let digest = |bucket: &str, key: &str, kind, end: i64, last_modified: Option<i64>, size| ListedDigest {
            object: ObjectRef::new(bucket, key),
            kind,
            end: Timestamp::from_second(end).unwrap(),
            last_modified: last_modified.map(|second| Timestamp::from_second(second).unwrap()),
            size,
        };
        let (earliest, latest) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let digests = [
            digest("one", "a/1.json.gz", DigestKind::Standard, 1_772_323_200, Some(1_772_323_900), Some(1234)),
            digest("one", "a/2.json.gz", DigestKind::Backfill, 1_772_326_800, Some(1_772_323_000), Some(u64::MAX)),
            digest("two", "a/2.json.gz", DigestKind::Standard, latest, Some(earliest), None),
            digest("one", "b", DigestKind::Standard, earliest, Some(latest), Some(0)),
            digest("one", "", DigestKind::Standard, -1, None, None),
        ];
        let listed: ListedDigests = digests.iter().collect();
        assert_eq!((listed.len(), listed.is_empty()), (5, false));
        assert_eq!(listed.iter().collect::<Vec<_>>(), digests);
        let mut twice = ListedDigests::default();
        twice.extend(&listed);
        twice.extend(&listed);
        assert!(twice.into_iter().eq(digests.iter().chain(&digests).cloned()));
    }
}
