//! The number of events whose identifier other events have, too.
//!
//! CloudTrail may deliver an event more than once (user guide, "CloudTrail concepts"). Identifiers are
//! kept as hashes, sorted in parts on disk, so that memory does not grow with their number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use ahash::RandomState;

/// The number of hashes that are in memory before they are moved to a file: 4 MiB.
const IN_MEMORY: usize = 1 << 18;
/// The same for those of one log file, of which several are read at once: 1 MiB.
const OF_FILE: usize = 1 << 16;
/// The number of sorted files that are merged into one.
const FILES: usize = 64;
/// The size of a hash in a file, in bytes.
const BYTES: usize = 16;

/// Hashes identifiers. Two keyed hashes make one of 128 bits: among 10^10 identifiers, the probability
/// that two different ones share it is below 10^-18.
#[derive(Clone)]
struct IdentifierHasher([RandomState; 2]);

impl IdentifierHasher {
    /// Returns the hash of an identifier.
    fn hash(&self, id: &str) -> u128 {
        let [first, second] = self.0.each_ref().map(|hasher| u128::from(hasher.hash_one(id)));
        (first << 64) | second
    }
}

/// Hashes of the identifiers of events.
pub(super) struct Identifiers {
    hasher: IdentifierHasher,
    memory: Vec<u128>,
    files: Vec<File>,
    in_memory: usize,
}

impl Default for Identifiers {
    fn default() -> Self {
        let hasher = IdentifierHasher([RandomState::new(), RandomState::new()]);
        Self { hasher, memory: Vec::new(), files: Vec::new(), in_memory: IN_MEMORY }
    }
}

impl Identifiers {
    /// An empty collection for the identifiers of one log file, to be absorbed by this one.
    pub(super) fn of_file(&self) -> Self {
        let hasher = self.hasher.clone();
        Self { hasher, memory: Vec::new(), files: Vec::new(), in_memory: OF_FILE.min(self.in_memory) }
    }

    /// Adds an identifier.
    ///
    /// # Errors
    ///
    /// Fails if identifiers can't be moved to a temporary file.
    pub(super) fn add(&mut self, id: &str) -> io::Result<()> {
        self.memory.push(self.hasher.hash(id));
        self.move_to_file()
    }

    /// Takes all identifiers of another collection.
    ///
    /// # Errors
    ///
    /// Fails if identifiers can't be moved to a temporary file.
    pub(super) fn absorb(&mut self, other: Self) -> io::Result<()> {
        self.files.extend(other.files);
        self.memory.extend_from_slice(&other.memory);
        self.move_to_file()
    }

    fn move_to_file(&mut self) -> io::Result<()> {
        if self.memory.len() < self.in_memory && self.files.len() < FILES {
            return Ok(());
        }
        self.memory.sort_unstable();
        let sorted = std::mem::take(&mut self.memory);
        self.files.push(written(sorted.iter().copied().map(Ok))?);
        // The same allocation serves the next hashes.
        self.memory = sorted;
        self.memory.clear();
        if self.files.len() >= FILES {
            let merged = written(Merged::of(std::mem::take(&mut self.files), Vec::new())?)?;
            self.files.push(merged);
        }
        Ok(())
    }

    /// Returns the number of events that have the identifier of an earlier one.
    ///
    /// # Errors
    ///
    /// Fails if the temporary files can't be read.
    pub(super) fn duplicates(self) -> io::Result<u64> {
        let mut memory = self.memory;
        memory.sort_unstable();
        let (mut last, mut count) = (None, 0);
        for hash in Merged::of(self.files, memory)? {
            let hash = Some(hash?);
            count += u64::from(hash == last);
            last = hash;
        }
        Ok(count)
    }
}

fn written(hashes: impl Iterator<Item = io::Result<u128>>) -> io::Result<File> {
    let mut out = BufWriter::new(tempfile::tempfile()?);
    for hash in hashes {
        out.write_all(&hash?.to_be_bytes())?;
    }
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// Sorted hashes of several sources, merged.
struct Merged {
    files: Vec<BufReader<File>>,
    memory: std::vec::IntoIter<u128>,
    /// The next hash of each source that has one, by its index; the memory's is that after the files'.
    next: BinaryHeap<Reverse<(u128, usize)>>,
}

impl Merged {
    fn of(files: Vec<File>, memory: Vec<u128>) -> io::Result<Self> {
        let files: Vec<BufReader<File>> = files.into_iter().map(BufReader::new).collect();
        let sources = files.len() + 1;
        let mut merged = Self { files, memory: memory.into_iter(), next: BinaryHeap::new() };
        for source in 0..sources {
            merged.take_from(source)?;
        }
        Ok(merged)
    }

    fn take_from(&mut self, source: usize) -> io::Result<()> {
        let hash = match self.files.get_mut(source) {
            None => self.memory.next(),
            Some(file) => {
                let mut bytes = [0; BYTES];
                match file.read_exact(&mut bytes) {
                    Ok(()) => Some(u128::from_be_bytes(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
                    Err(error) => return Err(error),
                }
            }
        };
        self.next.extend(hash.map(|hash| Reverse((hash, source))));
        Ok(())
    }
}

impl Iterator for Merged {
    type Item = io::Result<u128>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((hash, source)) = self.next.pop()?;
        Some(self.take_from(source).map(|()| hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_event_with_an_identifier_counts() {
        for in_memory in [IN_MEMORY, 7, 1] {
            let mut identifiers = Identifiers { in_memory, ..Identifiers::default() };
            for round in 0..3_u32 {
                let ids: Vec<String> = (0..1000).map(|id| (id * (round + 1) % 2000).to_string()).collect();
                for ids in ids.chunks(13) {
                    let mut of_file = identifiers.of_file();
                    ids.iter().for_each(|id| of_file.add(id).unwrap());
                    identifiers.absorb(of_file).unwrap();
                }
            }
            let mut all: Vec<u32> = (0..3).flat_map(|round| (0..1000).map(move |id| id * (round + 1) % 2000)).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(identifiers.duplicates().unwrap(), (count - all.len()) as u64, "{in_memory}");
        }
        assert_eq!(Identifiers::default().duplicates().unwrap(), 0);
    }
}
