//! Incremental gzip decompression that judges a file as its consumer would read it (RFC 1952).
//!
//! Every member is decompressed. Bytes after the last member, or a stream that ends early, are
//! faults: a reader that ignores them and one that does not would see different logs.
//!
//! The members' frames are parsed here, and only their content is passed to the decompressor: one
//! that parses frames itself can't be reused for the next object without being made anew.

use std::borrow::Cow;
use std::cell::RefCell;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::debug::opaque_debug;
use crate::model::Fault;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// CM: the only compression method there is.
const DEFLATE: u8 = 8;
/// The length of MTIME, XFL and OS, in bytes, which are skipped: they say nothing about the
/// content.
const PASSED_OVER: usize = 6;
/// The length of CRC32 and ISIZE, in bytes.
const TRAILER: usize = 8;
/// The size of the output buffer, in bytes: large enough for a typical log file in one piece, small
/// enough for a cache.
const OUT_BYTES: usize = 64 * 1024;

/// Bits of FLG.
mod flag {
    pub(super) const HEADER_CRC: u8 = 1 << 1;
    pub(super) const EXTRA: u8 = 1 << 2;
    pub(super) const NAME: u8 = 1 << 3;
    pub(super) const COMMENT: u8 = 1 << 4;
    pub(super) const RESERVED: u8 = 0b1110_0000;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before a member, this many bytes of its magic number seen.
    Before(usize),
    /// In a member's header.
    Header(Field),
    Inside,
    /// After a member's content, this many bytes of its trailer seen.
    Trailer(usize),
    Failed(Fault),
}

/// The next thing to come in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Method,
    Flags,
    /// This many bytes that are skipped.
    Skip(usize),
    /// The length of the extra field, this many bytes of it seen.
    ExtraLength(usize),
    Extra(usize),
    Name,
    Comment,
    /// The header's own checksum, this many bytes of it seen.
    Crc(usize),
}

/// The buffers that decompression needs. Most objects are smaller than they are, so they are kept
/// for the next one.
struct Buffers {
    inflate: Decompress,
    out: Box<[u8]>,
}

/// The number of buffers that a thread keeps.
const KEPT: usize = 4;

thread_local! {
    static SPARE_BUFFERS: RefCell<Vec<Buffers>> = const { RefCell::new(Vec::new()) };
}

impl Buffers {
    fn new() -> Self {
        let kept = SPARE_BUFFERS.with_borrow_mut(Vec::pop);
        kept.unwrap_or_else(|| Self { inflate: Decompress::new(false), out: vec![0; OUT_BYTES].into_boxed_slice() })
    }
}

/// A gzip stream being decompressed.
pub struct Gunzip {
    /// Present until the stream is dropped, which takes them out.
    buffers: Option<Buffers>,
    state: Position,
    flags: u8,
    /// The bytes seen so far of a number that comes byte by byte.
    number: [u8; TRAILER],
    header_crc: Crc,
    crc: Crc,
    members: u64,
    produced: u64,
    ceiling: u64,
}

opaque_debug!(Gunzip);

impl Gunzip {
    /// Creates a stream that may decompress to at most `ceiling` bytes.
    pub fn new(ceiling: u64) -> Self {
        Self {
            buffers: Some(Buffers::new()),
            state: Position::Before(0),
            flags: 0,
            number: [0; TRAILER],
            header_crc: Crc::new(),
            crc: Crc::new(),
            members: 0,
            produced: 0,
            ceiling,
        }
    }

    /// Decompresses the next piece of the stream and passes the output to `sink`, piece by piece.
    pub fn feed(&mut self, mut input: &[u8], mut sink: impl FnMut(&[u8])) {
        while let [first, rest @ ..] = input {
            input = match self.state {
                Position::Before(seen) => {
                    self.magic(*first, seen);
                    rest
                }
                Position::Header(field) => {
                    self.header(*first, field);
                    rest
                }
                Position::Inside => self.inside(input, &mut sink),
                Position::Trailer(seen) => {
                    self.trailer(*first, seen);
                    rest
                }
                Position::Failed(_) => return,
            };
        }
    }

    /// Returns whether a fault was found, behind which nothing is decompressed.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, Position::Failed(_))
    }

    /// Ends the stream and returns the number of uncompressed bytes.
    ///
    /// # Errors
    ///
    /// Returns the stream's fault.
    pub fn finish(&self) -> Result<u64, Fault> {
        match self.state {
            Position::Failed(fault) => Err(fault),
            Position::Before(0) if self.members > 0 => Ok(self.produced),
            Position::Before(_) if self.members > 0 => Err(Fault::TrailingData),
            _ => Err(Fault::Truncated),
        }
    }

    fn magic(&mut self, byte: u8, seen: usize) {
        self.state = if byte != MAGIC[seen] {
            Position::Failed(if self.members > 0 { Fault::TrailingData } else { Fault::NotGzip })
        } else if seen + 1 < MAGIC.len() {
            Position::Before(seen + 1)
        } else {
            self.header_crc.reset();
            self.header_crc.update(&MAGIC);
            Position::Header(Field::Method)
        };
    }

    fn header(&mut self, byte: u8, field: Field) {
        if !matches!(field, Field::Crc(_)) {
            self.header_crc.update(&[byte]);
        }
        let next = match field {
            Field::Method if byte == DEFLATE => Some(Field::Flags),
            Field::Method => None,
            Field::Flags => {
                self.flags = byte;
                (byte & flag::RESERVED == 0).then_some(Field::Skip(PASSED_OVER))
            }
            Field::Skip(1) => return self.after(flag::EXTRA),
            Field::Skip(left) => Some(Field::Skip(left - 1)),
            Field::ExtraLength(seen) => {
                self.number[seen] = byte;
                match (seen, usize::from(u16::from_le_bytes([self.number[0], self.number[1]]))) {
                    (0, _) => Some(Field::ExtraLength(1)),
                    (_, 0) => return self.after(flag::NAME),
                    (_, length) => Some(Field::Extra(length)),
                }
            }
            Field::Extra(1) => return self.after(flag::NAME),
            Field::Extra(left) => Some(Field::Extra(left - 1)),
            Field::Name if byte == 0 => return self.after(flag::COMMENT),
            Field::Comment if byte == 0 => return self.after(flag::HEADER_CRC),
            Field::Name | Field::Comment => Some(field),
            Field::Crc(seen) => {
                self.number[seen] = byte;
                let told = u32::from(u16::from_le_bytes([self.number[0], self.number[1]]));
                match seen {
                    0 => Some(Field::Crc(1)),
                    _ if told == self.header_crc.sum() & 0xffff => return self.begin(),
                    _ => None,
                }
            }
        };
        self.state = next.map_or(Position::Failed(Fault::Corrupt), Position::Header);
    }

    /// Goes on to the first field of the header, from this one on, that the flags announce.
    fn after(&mut self, from: u8) {
        let fields = [
            (flag::EXTRA, Field::ExtraLength(0)),
            (flag::NAME, Field::Name),
            (flag::COMMENT, Field::Comment),
            (flag::HEADER_CRC, Field::Crc(0)),
        ];
        let rest = fields.iter().skip_while(|(flag, _)| *flag != from);
        match rest.clone().find(|(flag, _)| self.flags & flag != 0) {
            Some((_, field)) => self.state = Position::Header(*field),
            None => self.begin(),
        }
    }

    fn begin(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.inflate.reset(false);
        }
        self.crc.reset();
        self.state = Position::Inside;
    }

    fn inside<'a>(&mut self, input: &'a [u8], sink: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let Some(Buffers { inflate, out }) = &mut self.buffers else { return &[] };
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(input, out, FlushDecompress::None);
        let consumed = usize::try_from(inflate.total_in() - before_in).unwrap_or(input.len());
        let produced = usize::try_from(inflate.total_out() - before_out).unwrap_or_default();
        self.produced += produced as u64;
        if self.produced > self.ceiling {
            self.state = Position::Failed(Fault::TooLarge);
            return &[];
        }
        self.crc.update(&out[..produced]);
        sink(&out[..produced]);
        match status {
            Ok(Status::StreamEnd) => self.state = Position::Trailer(0),
            Ok(_) if consumed == 0 && produced == 0 => self.state = Position::Failed(Fault::Corrupt),
            Ok(_) => {}
            Err(_) => self.state = Position::Failed(Fault::Corrupt),
        }
        &input[consumed..]
    }

    fn trailer(&mut self, byte: u8, seen: usize) {
        self.number[seen] = byte;
        self.state = Position::Trailer(seen + 1);
        if seen + 1 == TRAILER {
            let [a, b, c, d, e, f, g, h] = self.number;
            let told = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            self.state = if told == (self.crc.sum(), self.crc.amount()) {
                self.members += 1;
                Position::Before(0)
            } else {
                Position::Failed(Fault::Corrupt)
            };
        }
    }
}

impl Drop for Gunzip {
    fn drop(&mut self) {
        let buffers = self.buffers.take();
        // Fails only in a thread that is ending, where the buffers are dropped instead of kept.
        let _ = SPARE_BUFFERS.try_with(|rooms| {
            if let Ok(mut rooms) = rooms.try_borrow_mut()
                && rooms.len() < KEPT
            {
                rooms.extend(buffers);
            }
        });
    }
}

/// The largest factor by which deflate compresses (zlib's technical details, "Maximum Compression
/// Factor").
const DEFLATE_FACTOR: usize = 1032;

/// Returns the capacity that the content of an object may need, in bytes: the size that its end
/// announces (RFC 1952, ISIZE), as far as that can be true.
fn room_for(compressed: &[u8], ceiling: u64) -> usize {
    let end = compressed.last_chunk().filter(|_| compressed.starts_with(&MAGIC));
    let announced = end.map_or(0, |size| u32::from_le_bytes(*size));
    let most = usize::try_from(ceiling).unwrap_or(usize::MAX).min(compressed.len().saturating_mul(DEFLATE_FACTOR));
    most.min(announced as usize)
}

/// Decompresses a whole object held in memory.
///
/// # Errors
///
/// Returns the fault of bytes that are not a whole gzip stream, or [`Fault::TooLarge`] if they
/// decompress to more than `ceiling` bytes.
pub fn gunzip(compressed: &[u8], ceiling: u64) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::with_capacity(room_for(compressed, ceiling));
    let mut stream = Gunzip::new(ceiling);
    stream.feed(compressed, |piece| content.extend_from_slice(piece));
    stream.finish().map(|_| content)
}

/// Returns the content of a whole object held in memory, which may be stored uncompressed.
///
/// # Errors
///
/// Fails if the gzip stream is broken, or the content has more than `ceiling` bytes.
pub fn uncompressed(bytes: &[u8], is_uncompressed: bool, ceiling: u64) -> Result<Cow<'_, [u8]>, Fault> {
    match is_uncompressed {
        true if bytes.len() as u64 > ceiling => Err(Fault::TooLarge),
        true => Ok(Cow::Borrowed(bytes)),
        false => gunzip(bytes, ceiling).map(Cow::Owned),
    }
}

/// Returns whether an object decompresses to more than `bytes`, as far as it decompresses. Keeps
/// nothing of it.
pub fn inflates_beyond(compressed: &[u8], bytes: u64) -> bool {
    let mut stream = Gunzip::new(bytes);
    stream.feed(compressed, |_| {});
    stream.finish() == Err(Fault::TooLarge)
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
    fn the_announced_size_is_good_for_a_guess() {
        let stream = gzip(&[b'x'; 5000]);
        assert_eq!((room_for(&stream, 10_000), room_for(&stream, 100)), (5000, 100));
        let boasting = [&stream[..stream.len() - 4], &[0xff; 4]].concat();
        assert_eq!(room_for(&boasting, u64::MAX), 1032 * boasting.len());
        assert_eq!(room_for(&[b'x'; 5000], u64::MAX), 0);
        assert_eq!((room_for(&stream[..3], u64::MAX), gunzip(&boasting, u64::MAX)), (0, Err(Fault::Corrupt)));
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
    fn every_field_of_a_header_is_read_and_its_checksum_checked() {
        let extra = flate2::GzBuilder::new().extra("extra").filename("a name").comment("a comment").mtime(7);
        let mut encoder = extra.write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"log").unwrap();
        let stream = encoder.finish().unwrap();
        for size in [1, 3, stream.len()] {
            assert_eq!(in_pieces(&stream, size).unwrap(), b"log");
        }
        // The same with a checksum of the header, right and wrong.
        let content = stream.len() - gzip(b"log").len() + 10;
        let mut checked = stream[..content].to_vec();
        checked[3] |= flag::HEADER_CRC;
        let mut crc = Crc::new();
        crc.update(&checked);
        checked.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
        checked.extend_from_slice(&stream[content..]);
        assert_eq!(gunzip(&checked, u64::MAX).unwrap(), b"log");
        checked[content] ^= 1;
        assert_eq!(gunzip(&checked, u64::MAX), Err(Fault::Corrupt));
        // Methods and flags that RFC 1952 reserves.
        for (at, value) in [(2, 7), (3, 0x20), (3, 0x80)] {
            let mut unknown = gzip(b"log");
            unknown[at] = value;
            assert_eq!(gunzip(&unknown, u64::MAX), Err(Fault::Corrupt));
        }
    }

    #[test]
    fn each_changed_bit_is_judged_as_another_reader_judges_it() {
        let stream = [gzip(b"one log file, and"), gzip(b" another")].concat();
        for bit in 0..stream.len() * 8 {
            let mut changed = stream.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut content = Vec::new();
            let other = flate2::read::MultiGzDecoder::new(changed.as_slice());
            let read = std::io::Read::read_to_end(&mut { other }, &mut content).map(|_| content);
            assert_eq!(gunzip(&changed, u64::MAX).ok(), read.ok(), "bit {bit}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_ceiling() {
        let stream = gzip(&vec![0; 1 << 20]);
        assert_eq!(gunzip(&stream, (1 << 20) - 1), Err(Fault::TooLarge));
        assert!(gunzip(&stream, 1 << 20).is_ok());
    }
}
