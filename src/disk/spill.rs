//! Buffers that are written once and read once, in memory within a limit that all of them share,
//! and in temporary files beyond it.
//!
//! Log files are verified in any order and their events are written in one, so that some wait for
//! others. A run may hold more than a thousand of them, and a single one may have gigabytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// The least memory that a buffer takes from the shared limit, in bytes; it takes as much again each time
/// that it is full.
const STEP: usize = 64 << 10;
/// The size of the pieces in which a buffer is written to a file and read from it, in bytes.
const PIECE: usize = 256 << 10;
/// The size at which a file takes no further pieces, in bytes. Files are freed as a whole, once all
/// their pieces were read, and the number of those that are open stays small.
const SEGMENT: u64 = 64 << 20;

/// The memory and the files of buffers.
#[derive(Debug)]
pub(crate) struct SpillPool {
    /// The number of bytes that buffers may still take, all together.
    memory_left: AtomicUsize,
    /// The number of bytes of one buffer that may stay in memory.
    of_one: usize,
    /// The file to which pieces are written now.
    segment: Mutex<Option<Arc<Segment>>>,
}

/// A temporary file without a name, which its last user closes and thereby removes.
#[derive(Debug)]
struct Segment {
    file: Mutex<Appended>,
}

#[derive(Debug)]
struct Appended {
    file: File,
    length: u64,
}

impl SpillPool {
    /// Creates a pool whose buffers hold at most `memory` bytes in memory, all together, `of_one` each, and
    /// beyond that one piece each.
    pub(crate) fn new(memory: usize, of_one: usize) -> Arc<Self> {
        Arc::new(Self { memory_left: AtomicUsize::new(memory), of_one, segment: Mutex::new(None) })
    }

    /// Returns an empty buffer.
    pub(crate) fn buffer(self: &Arc<Self>) -> SpillBuffer {
        let pool = self.clone();
        SpillBuffer { pool, memory: Vec::new(), reserved: 0, spilled: VecDeque::new(), length: 0 }
    }

    fn reserve(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.memory_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Appends bytes to a file.
    pub(crate) fn spill(&self, bytes: &[u8]) -> io::Result<Chunk> {
        let segment = {
            let mut current = lock(&self.segment);
            match &*current {
                Some(segment) if !segment.is_full() => segment.clone(),
                _ => {
                    let file = Mutex::new(Appended { file: tempfile::tempfile()?, length: 0 });
                    current.insert(Arc::new(Segment { file })).clone()
                }
            }
        };
        let mut appended = lock(&segment.file);
        let begin = appended.length;
        appended.file.seek(SeekFrom::Start(begin))?;
        appended.file.write_all(bytes)?;
        appended.length += bytes.len() as u64;
        drop(appended);
        Ok(Chunk { segment, begin, length: bytes.len() })
    }
}

impl Segment {
    fn is_full(&self) -> bool {
        lock(&self.file).length >= SEGMENT
    }
}

/// A piece of a buffer, in a file.
#[derive(Debug)]
pub(crate) struct Chunk {
    segment: Arc<Segment>,
    begin: u64,
    length: usize,
}

impl Chunk {
    /// Reads the piece in place of what is in `into`.
    pub(crate) fn read(&self, into: &mut Vec<u8>) -> io::Result<()> {
        let mut appended = lock(&self.segment.file);
        appended.file.seek(SeekFrom::Start(self.begin))?;
        into.clear();
        into.resize(self.length, 0);
        appended.file.read_exact(into)
    }
}

/// Bytes that are written once and read once.
#[derive(Debug)]
pub(crate) struct SpillBuffer {
    pool: Arc<SpillPool>,
    /// The bytes behind those that were spilled.
    memory: Vec<u8>,
    /// The number of bytes that were taken from the pool's limit.
    reserved: usize,
    spilled: VecDeque<Chunk>,
    length: u64,
}

impl SpillBuffer {
    /// The number of bytes that were written.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// All bytes, if they are in memory.
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        self.spilled.is_empty().then_some(&self.memory)
    }

    /// Drops all bytes.
    pub(crate) fn clear(&mut self) {
        self.spilled.clear();
        self.memory.clear();
        self.length = 0;
    }

    /// Reads the bytes from the first on.
    pub(crate) fn into_reader(self) -> SpillReader {
        SpillReader { buffer: self, piece: Vec::new(), position: 0 }
    }

    /// Reads the bytes from the first on, and keeps them.
    pub(crate) fn reader(&self) -> SpillView<'_> {
        SpillView { buffer: self, next: 0, piece: Vec::new(), position: 0 }
    }

    /// Makes room for `more` bytes in memory. Returns false if the limits don't permit that.
    fn grow(&mut self, more: usize) -> bool {
        let wanted = self.memory.len() + more;
        if wanted <= self.reserved {
            return true;
        }
        let most = self.pool.of_one;
        let room = wanted.max(2 * self.reserved).next_multiple_of(STEP).min(most.max(wanted));
        // A buffer whose beginning lies in a file has nothing to gain from memory.
        let grows = wanted <= most && self.spilled.is_empty() && self.pool.reserve(room - self.reserved);
        if grows {
            self.reserved = room;
            self.memory.reserve_exact(room - self.memory.len());
        }
        grows
    }

    fn spill(&mut self) -> io::Result<()> {
        for piece in self.memory.chunks(PIECE) {
            self.spilled.push_back(self.pool.spill(piece)?);
        }
        // From here on, a buffer holds less than a piece, which the limit leaves out.
        self.release();
        self.memory = Vec::new();
        Ok(())
    }

    /// Appends bytes if that needs no file. Otherwise it returns false, and the buffer stays as it is.
    pub(crate) fn write_in_memory(&mut self, bytes: &[u8]) -> bool {
        let fits = self.grow(bytes.len()) || (self.spilled.is_empty() && self.memory.len() + bytes.len() <= PIECE);
        if fits {
            self.memory.extend_from_slice(bytes);
            self.length += bytes.len() as u64;
        }
        fits
    }

    /// Ends the writing: what is beyond the memory that the buffer has from the pool goes to a file, since
    /// very many buffers may wait to be read.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        if self.memory.len() > self.reserved { self.spill() } else { Ok(()) }
    }

    fn release(&mut self) {
        self.pool.memory_left.fetch_add(std::mem::take(&mut self.reserved), Ordering::Relaxed);
    }
}

impl Write for SpillBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.grow(bytes.len()) && self.memory.len() + bytes.len() > PIECE {
            self.spill()?;
            // The rest is longer than a piece: it needs no copy in memory.
            let whole = bytes.len() / PIECE * PIECE;
            for piece in bytes[..whole].chunks(PIECE) {
                self.spilled.push_back(self.pool.spill(piece)?);
            }
            self.memory.extend_from_slice(&bytes[whole..]);
        } else {
            self.memory.extend_from_slice(bytes);
        }
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SpillBuffer {
    fn drop(&mut self) {
        self.release();
    }
}

/// Reads the bytes of a [`SpillBuffer`].
#[derive(Debug)]
pub(crate) struct SpillReader {
    buffer: SpillBuffer,
    piece: Vec<u8>,
    position: usize,
}

impl io::BufRead for SpillReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position == self.piece.len() {
            self.position = 0;
            match self.buffer.spilled.pop_front() {
                Some(chunk) => chunk.read(&mut self.piece)?,
                None => {
                    self.piece = std::mem::take(&mut self.buffer.memory);
                    break;
                }
            }
        }
        Ok(&self.piece[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl Read for SpillReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

/// Reads the bytes of a [`SpillBuffer`], which keeps them.
#[derive(Debug)]
pub(crate) struct SpillView<'b> {
    buffer: &'b SpillBuffer,
    /// The index of the next piece in a file; the bytes in memory follow the last one.
    next: usize,
    piece: Vec<u8>,
    position: usize,
}

impl io::BufRead for SpillView<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let spilled = &self.buffer.spilled;
        while self.position == self.piece.len() && self.next < spilled.len() {
            self.position = 0;
            spilled[self.next].read(&mut self.piece)?;
            self.next += 1;
        }
        if self.position < self.piece.len() {
            return Ok(&self.piece[self.position..]);
        }
        // Beyond the pieces, the position goes on in memory.
        Ok(&self.buffer.memory[self.position - self.piece.len()..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl Read for SpillView<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

fn read_buffered(reader: &mut impl io::BufRead, out: &mut [u8]) -> io::Result<usize> {
    let mut available = reader.fill_buf()?;
    let count = available.read(out)?;
    reader.consume(count);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ONE: usize = 1 << 20;

    fn filled(pool: &Arc<SpillPool>, seed: usize, length: usize, step: usize) -> SpillBuffer {
        let mut buffer = pool.buffer();
        for piece in bytes(seed, length).chunks(step) {
            buffer.write_all(piece).unwrap();
        }
        buffer
    }

    fn bytes(seed: usize, length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 31 + index / 256 + seed) as u8).collect()
    }

    fn content(buffer: SpillBuffer) -> Vec<u8> {
        let mut read = Vec::new();
        buffer.into_reader().read_to_end(&mut read).unwrap();
        read
    }

    #[test]
    fn what_was_written_comes_back_from_memory_and_from_files() {
        for memory in [0, STEP, 3 << 20] {
            let pool = SpillPool::new(memory, OF_ONE);
            let lengths = [0, 1, PIECE - 1, PIECE, PIECE + 1, OF_ONE, OF_ONE + 1, 5 * PIECE + 7];
            let of = |step: usize| lengths.iter().map(|length| filled(&pool, *length, *length, step)).collect();
            let buffers: Vec<Vec<SpillBuffer>> = [1 << 10, 64 << 10, 1 << 22].map(of).into();
            for buffer in buffers.into_iter().flatten() {
                let length = usize::try_from(buffer.len()).unwrap();
                assert!(content(buffer) == bytes(length, length), "{length} bytes, {memory} of memory");
            }
            assert_eq!(pool.memory_left.load(Ordering::Relaxed), memory, "all memory is given back");
        }
    }

    #[test]
    fn all_buffers_together_hold_no_more_in_memory_than_the_pool_permits() {
        let memory = 4 << 20;
        let pool = SpillPool::new(memory, OF_ONE);
        let buffers: Vec<SpillBuffer> = (0..40).map(|seed| filled(&pool, seed, 1_000_000, 10_000)).collect();
        let whole = buffers.iter().filter(|buffer| buffer.in_memory().is_some()).count();
        assert!((3..=4).contains(&whole), "{whole}");
        let held: usize = buffers.iter().map(|buffer| buffer.memory.len()).sum();
        assert!(held <= memory + 40 * PIECE, "{held}");
        drop(buffers);
        assert_eq!(pool.memory_left.load(Ordering::Relaxed), memory);
    }

    #[test]
    fn files_are_freed_once_their_pieces_are_read() {
        let pool = SpillPool::new(0, OF_ONE);
        let length = 3 * usize::try_from(SEGMENT).unwrap();
        let mut buffer = pool.buffer();
        for _ in 0..length / PIECE {
            buffer.write_all(&[7; PIECE]).unwrap();
        }
        buffer.spill().unwrap();
        let first = Arc::downgrade(&buffer.spilled[0].segment);
        let segments = 1 + buffer
            .spilled
            .iter()
            .zip(buffer.spilled.iter().skip(1))
            .filter(|(one, next)| !Arc::ptr_eq(&one.segment, &next.segment))
            .count();
        assert_eq!(segments, 3);
        let mut reader = buffer.into_reader();
        io::copy(&mut (&mut reader).take(SEGMENT), &mut io::sink()).unwrap();
        io::BufRead::fill_buf(&mut reader).unwrap();
        assert!(first.upgrade().is_none(), "the first file is closed once it was read");
    }
}
