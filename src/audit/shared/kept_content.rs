//! The content of a log file that is kept while it is hashed, to be read once it is proven.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use crate::disk::spill::{SpillBuffer, SpillPool};
use crate::model::Fault;
use crate::verify::{ContentCopy, Gunzip};

/// The number of bytes of a compressed content that are decompressed at once: some ten KB of a log file,
/// and at most a MiB.
const INPUT: usize = 1 << 10;
/// The number of bytes that a compressed content may be larger than it is uncompressed.
const PADDING: u64 = 1 << 20;

/// The uncompressed content of a log file that is proven.
#[derive(Debug)]
pub struct ProvenContent(Kept);

#[derive(Debug)]
enum Kept {
    /// The uncompressed bytes.
    Uncompressed(SpillBuffer),
    /// The bytes as stored, a tenth of that as a rule: what was hashed is what they decompress to.
    Gzip(SpillBuffer),
}

impl ProvenContent {
    /// All bytes, if they are in memory; else they are read with [`Self::into_reader`].
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.0 {
            Kept::Uncompressed(buffer) => buffer.in_memory(),
            Kept::Gzip(_) => None,
        }
    }

    /// Reads the bytes.
    pub fn into_reader(self) -> impl BufRead + Send {
        let reader: Box<dyn BufRead + Send> = match self.0 {
            Kept::Uncompressed(buffer) => Box::new(buffer.into_reader()),
            Kept::Gzip(buffer) => Box::new(Decompressed::new(buffer.into_reader())),
        };
        reader
    }

    /// Reads the bytes, and keeps them.
    pub fn reader(&self) -> impl BufRead + Send {
        let reader: Box<dyn BufRead + Send + '_> = match &self.0 {
            Kept::Uncompressed(buffer) => Box::new(buffer.reader()),
            Kept::Gzip(buffer) => Box::new(Decompressed::new(buffer.reader())),
        };
        reader
    }
}

/// Decompresses a content that was found whole when it was hashed.
struct Decompressed<R> {
    stored: R,
    gunzip: Gunzip,
    bytes: Vec<u8>,
    position: usize,
}

impl<R> Decompressed<R> {
    fn new(stored: R) -> Self {
        // The size was limited when the content was hashed.
        Self { stored, gunzip: Gunzip::new(u64::MAX), bytes: Vec::new(), position: 0 }
    }
}

impl<R: BufRead> BufRead for Decompressed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position == self.bytes.len() {
            self.position = 0;
            self.bytes.clear();
            let piece = self.stored.fill_buf()?;
            if piece.is_empty() {
                // It was whole when it was hashed.
                return match self.gunzip.finish() {
                    Ok(_) | Err(Fault::TrailingData) => Ok(&[]),
                    Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a temporary file was changed")),
                };
            }
            let length = piece.len().min(INPUT);
            self.gunzip.feed(&piece[..length], |bytes| self.bytes.extend_from_slice(bytes));
            self.stored.consume(length);
        }
        Ok(&self.bytes[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// A copy of a log file that is made while the file is hashed. The compressed bytes are kept, and the uncompressed
/// ones as well as long as there is memory for them.
pub(crate) struct KeptContent {
    /// The bytes as stored, if they are compressed; `None` if they are not kept.
    stored: Option<SpillBuffer>,
    /// The uncompressed bytes; `None` if they are not kept, but the compressed ones.
    content: Option<SpillBuffer>,
    /// The number of uncompressed bytes.
    length: u64,
    /// The number of bytes that may be kept.
    ceiling: u64,
    /// The error that ended the copy. The verification of the file goes on.
    error: Option<io::Error>,
}

impl KeptContent {
    /// Returns an empty copy of a file that may have `ceiling` bytes, uncompressed.
    pub(crate) fn new(pool: &Arc<SpillPool>, ceiling: u64) -> Self {
        Self { stored: Some(pool.buffer()), content: Some(pool.buffer()), length: 0, ceiling, error: None }
    }

    /// Returns the content, which the caller has found to be proven.
    ///
    /// # Errors
    ///
    /// The copy could not be kept, for lack of disk space as a rule.
    pub(crate) fn finish(self) -> io::Result<ProvenContent> {
        match (self.content, self.stored, self.error) {
            (_, _, Some(error)) => Err(error),
            (Some(content), ..) => Ok(ProvenContent(Kept::Uncompressed(content))),
            (None, Some(stored), None) => Ok(ProvenContent(Kept::Gzip(stored))),
            (None, None, None) => Err(io::Error::other("nothing of it was kept")),
        }
    }

    fn write(buffer: &mut SpillBuffer, bytes: &[u8], ceiling: u64) -> io::Result<()> {
        if buffer.len() + bytes.len() as u64 > ceiling {
            let reason = format!("compressed, it has more than {ceiling} bytes, and so more than its content");
            return Err(io::Error::other(reason));
        }
        buffer.write_all(bytes)
    }
}

impl ContentCopy for KeptContent {
    fn take_compressed(&mut self, bytes: &[u8]) {
        let Some(stored) = &mut self.stored else { return };
        // Names in headers and empty members, of which somebody may add any number, are no content.
        let is_padded = stored.len() > self.length + PADDING;
        if is_padded && self.content.is_some() {
            self.stored = None;
        } else if self.error.is_none()
            && let Err(error) = Self::write(stored, bytes, self.ceiling.saturating_add(PADDING))
        {
            // The uncompressed bytes may do without it.
            self.stored = None;
            self.error = self.content.is_none().then_some(error);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let Some(content) = &mut self.content else { return };
        if self.stored.as_ref().is_some_and(|stored| stored.len() > 0) {
            if !content.write_in_memory(bytes) {
                self.content = None;
            }
        } else if self.error.is_none() {
            self.error = content.write_all(bytes).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use bytes::Bytes;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::verify::{ContentHasher, sha256};

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// A content that compresses badly, so that both of its forms pass each limit.
    fn content(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..length).map(|_| random.alphanumeric() as u8).collect()
    }

    #[test]
    fn a_content_comes_back_from_either_form() {
        let (memory, of_one) = (1 << 20, 512 << 10);
        for length in [0, 1, 100, 300 << 10, 600 << 10, 3 << 20] {
            let content = content(length);
            let whole = gzip(&content);
            let members = [gzip(&content[..length / 3]), gzip(&content[length / 3..]), b"behind it".to_vec()].concat();
            for (stored, is_compressed) in [(&whole, true), (&members, true), (&content, false)] {
                for piece in [1000, 70_000, 5 << 20] {
                    let pool = SpillPool::new(memory, of_one);
                    let hasher = ContentHasher::copying(1 << 30, KeptContent::new(&pool, 1 << 30));
                    let mut hasher = if is_compressed { hasher } else { hasher.of_uncompressed() };
                    for bytes in stored.chunks(piece) {
                        assert!(hasher.feed(Bytes::copy_from_slice(bytes)));
                    }
                    let (hashed, kept) = hasher.finish_copy();
                    assert_eq!(hashed.sha256, Some(sha256(&content)));
                    let kept = kept.finish().unwrap();
                    let context = format!("{length} bytes in pieces of {piece}, {is_compressed}");
                    assert_eq!(kept.in_memory().is_some(), length <= of_one, "{context}");
                    let mut bytes = Vec::new();
                    kept.reader().read_to_end(&mut bytes).unwrap();
                    assert!(bytes == content, "{context}");
                    bytes.clear();
                    kept.into_reader().read_to_end(&mut bytes).unwrap();
                    assert!(bytes == content, "{context}");
                }
            }
        }
    }

    /// Whoever can write to the bucket may add to an object without changing what is hashed.
    #[test]
    fn bytes_that_are_no_content_are_not_kept() {
        let (small, large) = (content(1000), content(3 << 20));
        let empty: Vec<u8> = gzip(b"").repeat(300_000);
        let endless_name = [&[0x1f, 0x8b, 8, 1 << 3, 0, 0, 0, 0, 0, 3], "x".repeat(6 << 20).as_bytes()].concat();
        let junk = vec![b'x'; 6 << 20];
        for (about, stored, is_whole, most) in [
            ("no gzip", junk.clone(), false, 64 << 10),
            ("an endless name", endless_name, false, 2 << 20),
            ("bytes behind a small content", [gzip(&small), junk.clone()].concat(), true, 128 << 10),
            ("bytes behind a large content", [gzip(&large), junk].concat(), true, 4 << 20),
            ("empty members", [gzip(&small), empty.clone()].concat(), true, 2 << 20),
            ("empty members within a ceiling", [gzip(&large), empty].concat(), true, 5 << 20),
        ] {
            let (pool, ceiling) = (SpillPool::new(64 << 10, 64 << 10), 4 << 20);
            let mut hasher = ContentHasher::copying(1 << 30, KeptContent::new(&pool, ceiling));
            for bytes in stored.chunks(64 << 10) {
                assert!(hasher.feed(Bytes::copy_from_slice(bytes)));
            }
            let (hashed, kept) = hasher.finish_copy();
            let kept_bytes = [&kept.stored, &kept.content].into_iter().flatten().map(SpillBuffer::len).sum::<u64>();
            assert!(kept_bytes <= most, "{about}: {kept_bytes} bytes");
            assert_eq!(hashed.sha256.is_some(), is_whole, "{about}");
            if is_whole {
                let expected = if hashed.hashed == 1000 { &small } else { &large };
                assert_eq!(hashed.sha256, Some(sha256(expected)), "{about}");
                match kept.finish() {
                    Ok(kept) => {
                        let mut bytes = Vec::new();
                        kept.into_reader().read_to_end(&mut bytes).unwrap();
                        assert!(bytes == *expected, "{about}");
                    }
                    Err(error) => {
                        assert!(about.ends_with("ceiling") && error.to_string().contains("more than"), "{error}")
                    }
                }
            }
        }
    }

    #[test]
    fn a_content_that_changed_on_disk_is_an_error() {
        let stored = gzip(&content(100_000));
        for (changed, is_whole) in [
            (stored.clone(), true),
            (stored[..stored.len() / 2].to_vec(), false),
            ([&stored[..stored.len() - 8], &[0; 8]].concat(), false),
        ] {
            let mut bytes = Vec::new();
            let read = Decompressed::new(&changed[..]).read_to_end(&mut bytes);
            assert_eq!(read.is_ok(), is_whole, "{read:?}");
            assert!(is_whole || read.unwrap_err().to_string().contains("was changed"));
        }
    }
}
