//! Gunzip, fed piece by piece, and judged as a consumer of the file would read it (RFC 1952).
//!
//! Every member is decompressed. Bytes after the last member, or a stream that ends early, are faults: a reader that
//! ignores them and one that does not would see different logs.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use crate::model::Fault;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const WINDOW_BITS: u8 = 15;
/// Large enough to take a typical log file in one piece, small enough for a cache.
const OUT_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a member, this many bytes of its magic number seen.
    Before(usize),
    Inside,
    Failed(Fault),
}

/// What decompressing needs room for. Most objects are smaller than it is, so it is kept for the next one.
struct Room {
    inflate: Decompress,
    out: Box<[u8]>,
}

/// How much room a thread keeps.
const KEPT: usize = 4;

thread_local! {
    static ROOMS: RefCell<Vec<Room>> = const { RefCell::new(Vec::new()) };
}

impl Room {
    fn new() -> Self {
        let kept = ROOMS.with_borrow_mut(Vec::pop);
        kept.unwrap_or_else(|| Self {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            out: vec![0; OUT_BYTES].into_boxed_slice(),
        })
    }
}

/// A gzip stream being decompressed.
pub struct Gunzip {
    /// Taken out when the stream is dropped, and only then.
    room: Option<Room>,
    state: State,
    members: u64,
    produced: u64,
    ceiling: u64,
}

impl Gunzip {
    /// Begins a stream that may decompress to `ceiling` bytes and no more.
    pub fn new(ceiling: u64) -> Self {
        Self { room: Some(Room::new()), state: State::Before(0), members: 0, produced: 0, ceiling }
    }

    /// Decompresses the next piece of the stream and hands what comes out of it to `sink`, piece by piece.
    pub fn feed(&mut self, mut input: &[u8], mut sink: impl FnMut(&[u8])) {
        while !input.is_empty() {
            match self.state {
                State::Before(seen) => {
                    input = self.magic(input, seen);
                }
                State::Inside => input = self.inside(input, &mut sink),
                State::Failed(_) => return,
            }
        }
    }

    /// Ends the stream: the number of uncompressed bytes, or what is wrong with it.
    pub fn finish(&self) -> Result<u64, Fault> {
        match self.state {
            State::Failed(fault) => Err(fault),
            State::Before(0) if self.members > 0 => Ok(self.produced),
            State::Before(_) if self.members > 0 => Err(Fault::TrailingData),
            State::Before(_) | State::Inside => Err(Fault::Truncated),
        }
    }

    fn magic<'a>(&mut self, input: &'a [u8], seen: usize) -> &'a [u8] {
        if input[0] != MAGIC[seen] {
            self.state = State::Failed(if self.members > 0 { Fault::TrailingData } else { Fault::NotGzip });
        } else if seen + 1 < MAGIC.len() {
            self.state = State::Before(seen + 1);
        } else {
            let begun = self.room.as_mut().map(|room| {
                room.inflate.reset(true);
                room.inflate.decompress(&MAGIC, &mut room.out, FlushDecompress::None)
            });
            self.state = match begun {
                Some(Ok(_)) => State::Inside,
                _ => State::Failed(Fault::Corrupt),
            };
        }
        &input[1..]
    }

    fn inside<'a>(&mut self, input: &'a [u8], sink: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let Some(Room { inflate, out }) = &mut self.room else { return &[] };
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(input, out, FlushDecompress::None);
        let consumed = usize::try_from(inflate.total_in() - before_in).unwrap_or(input.len());
        let produced = usize::try_from(inflate.total_out() - before_out).unwrap_or_default();
        self.produced += produced as u64;
        if self.produced > self.ceiling {
            self.state = State::Failed(Fault::TooLarge);
            return &[];
        }
        sink(&out[..produced]);
        match status {
            Ok(Status::StreamEnd) => {
                self.members += 1;
                self.state = State::Before(0);
            }
            Ok(_) if consumed == 0 && produced == 0 => self.state = State::Failed(Fault::Corrupt),
            Ok(_) => {}
            Err(_) => self.state = State::Failed(Fault::Corrupt),
        }
        &input[consumed..]
    }
}

impl Drop for Gunzip {
    fn drop(&mut self) {
        let room = self.room.take();
        // A thread that is ending keeps nothing.
        let _ = ROOMS.try_with(|rooms| {
            if let Ok(mut rooms) = rooms.try_borrow_mut()
                && rooms.len() < KEPT
            {
                rooms.extend(room);
            }
        });
    }
}

/// Decompresses a whole object held in memory.
pub fn gunzip(compressed: &[u8], ceiling: u64) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::with_capacity(compressed.len().saturating_mul(4).min(1 << 20));
    let mut stream = Gunzip::new(ceiling);
    stream.feed(compressed, |piece| content.extend_from_slice(piece));
    stream.finish().map(|_| content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn in_pieces(stream: &[u8], size: usize) -> Result<Vec<u8>, Fault> {
        let mut content = Vec::new();
        let mut gunzip = Gunzip::new(u64::MAX);
        for piece in stream.chunks(size) {
            gunzip.feed(piece, |out| content.extend_from_slice(out));
        }
        gunzip.finish().map(|_| content)
    }

    #[test]
    fn content_comes_out_whole_whatever_the_pieces() {
        let content: Vec<u8> = (0..300_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let stream = gzip(&content);
        for size in [1, 2, 3, 7, 1000, stream.len()] {
            assert_eq!(in_pieces(&stream, size).unwrap(), content);
        }
    }

    #[test]
    fn every_member_counts() {
        let stream = [gzip(b"one"), gzip(b""), gzip(b"two")].concat();
        for size in [1, 5, stream.len()] {
            assert_eq!(in_pieces(&stream, size).unwrap(), b"onetwo");
        }
    }

    #[test]
    fn every_prefix_is_truncated() {
        let stream = gzip(b"a log file of some length, repeated, repeated, repeated");
        for length in 0..stream.len() {
            assert_eq!(gunzip(&stream[..length], u64::MAX), Err(Fault::Truncated), "{length}");
        }
    }

    #[test]
    fn what_follows_the_last_member_is_a_fault() {
        for tail in [&b"x"[..], b"\0", b"\0\0\0\0", b"\x1f", b"\x1fx", b"{}"] {
            let stream = [gzip(b"log"), tail.to_vec()].concat();
            for size in [1, stream.len()] {
                assert_eq!(in_pieces(&stream, size), Err(Fault::TrailingData), "{tail:?}");
            }
        }
    }

    #[test]
    fn text_is_not_gzip_and_a_wrong_checksum_is_corrupt() {
        assert_eq!(gunzip(b"{\"Records\":[]}", u64::MAX), Err(Fault::NotGzip));
        assert_eq!(gunzip(b"\x1f\x8bnonsense that follows", u64::MAX), Err(Fault::Corrupt));
        let mut stream = gzip(b"log");
        let crc = stream.len() - 8;
        stream[crc] ^= 1;
        assert_eq!(gunzip(&stream, u64::MAX), Err(Fault::Corrupt));
    }

    #[test]
    fn a_bomb_stops_at_the_ceiling() {
        let stream = gzip(&vec![0; 1 << 20]);
        assert_eq!(gunzip(&stream, (1 << 20) - 1), Err(Fault::TooLarge));
        assert!(gunzip(&stream, 1 << 20).is_ok());
    }
}
