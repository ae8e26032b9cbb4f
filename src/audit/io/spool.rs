//! Temporary storage for bytes: in memory while they are few, otherwise in an unnamed temporary
//! file.

use crate::sync::lock;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The number of bytes that stay in memory before they are moved to the file: those of some days. A
/// scheduled run reads less.
const IN_MEMORY: usize = 256 << 10;
/// The size of the pieces in which the file is read: bytes that are stored together are requested
/// together.
const PIECE: u64 = 64 << 10;

/// The position of stored bytes in a [`Spool`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    offset: u64,
    length: usize,
}

/// Temporary storage for bytes, in memory and in a file.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    file: Option<Mutex<Reader>>,
    /// The length of the file, which is the offset of the bytes in memory.
    in_file: u64,
    memory: Vec<u8>,
    /// True if the file could not be created or written: then all further bytes stay in memory.
    is_without_file: bool,
}

/// The file, and the piece of it that was read last.
#[derive(Debug)]
struct Reader {
    file: File,
    piece: Vec<u8>,
    begin: u64,
}

impl Spool {
    /// Stores the bytes that `write` appends to the given buffer.
    pub(crate) fn put<T, E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>) -> Result<(T, Ticket), E> {
        let begin = self.memory.len();
        let written = write(&mut self.memory)?;
        let ticket = Ticket { offset: self.in_file + begin as u64, length: self.memory.len() - begin };
        if self.memory.len() >= IN_MEMORY && !self.is_without_file {
            self.is_without_file = self.move_to_file().is_err();
        }
        Ok((written, ticket))
    }

    fn move_to_file(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let reader = Reader { file: tempfile::tempfile()?, piece: Vec::new(), begin: 0 };
            self.file = Some(Mutex::new(reader));
        }
        let Some(reader) = &mut self.file else { return Ok(()) };
        let reader = reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        reader.file.seek(SeekFrom::Start(self.in_file))?;
        reader.file.write_all(&self.memory)?;
        reader.piece = Vec::new();
        self.in_file += self.memory.len() as u64;
        self.memory.clear();
        self.memory.shrink_to(2 * IN_MEMORY);
        Ok(())
    }

    /// Hands the bytes of a ticket to `read`.
    pub(crate) fn get<T>(&self, ticket: Ticket, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let lost = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let place = |begin: u64| -> Option<Range<usize>> {
            let begin = usize::try_from(ticket.offset.checked_sub(begin)?).ok()?;
            Some(begin..begin.checked_add(ticket.length)?)
        };
        if ticket.offset >= self.in_file {
            let bytes = place(self.in_file).and_then(|place| self.memory.get(place)).ok_or_else(lost)?;
            return Ok(read(bytes));
        }
        let reader = self.file.as_ref().ok_or_else(lost)?;
        let mut reader = lock(reader);
        if place(reader.begin).is_none_or(|place| reader.piece.get(place).is_none()) {
            reader.fill(ticket, self.in_file)?;
        }
        let bytes = place(reader.begin).and_then(|place| reader.piece.get(place)).ok_or_else(lost)?;
        Ok(read(bytes))
    }
}

impl Reader {
    /// Reads the pieces in which a ticket's bytes lie.
    fn fill(&mut self, ticket: Ticket, length: u64) -> io::Result<()> {
        let begin = ticket.offset / PIECE * PIECE;
        let end = (ticket.offset + ticket.length as u64).next_multiple_of(PIECE).min(length);
        self.piece.clear();
        self.begin = begin;
        self.file.seek(SeekFrom::Start(begin))?;
        (&self.file).take(end.saturating_sub(begin)).read_to_end(&mut self.piece)?;
        self.piece.shrink_to(4 * PIECE as usize);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn put(spool: &mut Spool, bytes: &[u8]) -> Ticket {
        let put = spool.put(|out| {
            out.extend_from_slice(bytes);
            Ok::<_, Infallible>(())
        });
        put.unwrap().1
    }

    fn bytes(index: usize) -> Vec<u8> {
        // Some are longer than a piece of the file, and one than the memory.
        let length = if index == 40 { IN_MEMORY + 7 } else { index * index * 37 % 100_000 };
        (0..length).map(|place| (place * 31 + index) as u8).collect()
    }

    fn assert_all_come_back(spool: &Spool, tickets: &[Ticket]) {
        let forth = 0..tickets.len();
        for index in forth.clone().chain(forth.clone().rev()).chain(forth.map(|index| index * 17 % tickets.len())) {
            assert!(spool.get(tickets[index], |found| found == bytes(index)).unwrap(), "{index}");
        }
    }

    #[test]
    fn what_is_kept_comes_back_whether_from_memory_or_from_the_file() {
        let mut spool = Spool::default();
        let tickets: Vec<Ticket> = (0..101).map(|index| put(&mut spool, &bytes(index))).collect();
        assert!(spool.in_file > 4 * IN_MEMORY as u64, "{}", spool.in_file);
        assert!((1..IN_MEMORY).contains(&spool.memory.len()), "{}", spool.memory.len());
        assert_all_come_back(&spool, &tickets);
        let later = put(&mut spool, &[7; 2 * IN_MEMORY]);
        assert!(spool.memory.is_empty() && spool.memory.capacity() <= 2 * IN_MEMORY);
        assert!(spool.get(later, |found| found == [7; 2 * IN_MEMORY]).unwrap());
        assert_all_come_back(&spool, &tickets);
    }

    #[test]
    fn without_a_file_memory_has_to_do() {
        let mut spool = Spool { is_without_file: true, ..Spool::default() };
        let tickets: Vec<Ticket> = (0..100).map(|index| put(&mut spool, &bytes(index))).collect();
        assert_eq!(spool.in_file, 0);
        assert_all_come_back(&spool, &tickets);
    }

    #[test]
    fn a_file_that_lost_something_is_an_error() {
        let mut spool = Spool::default();
        let first = put(&mut spool, &[1; IN_MEMORY]);
        spool.file.as_mut().unwrap().get_mut().unwrap().file.set_len(5).unwrap();
        assert_eq!(spool.get(first, <[u8]>::len).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_could_not_be_written_stays_in_memory() {
        let mut spool = Spool::default();
        let tickets: Vec<Ticket> = (0..41).map(|index| put(&mut spool, &bytes(index))).collect();
        let read_only = File::open("/dev/null").unwrap();
        let file = std::mem::replace(&mut spool.file.as_mut().unwrap().get_mut().unwrap().file, read_only);
        let in_file = spool.in_file;
        let mut more: Vec<Ticket> = (41..100).map(|index| put(&mut spool, &bytes(index))).collect();
        assert!(spool.is_without_file && spool.in_file == in_file && spool.memory.len() > 2 * IN_MEMORY);
        spool.file.as_mut().unwrap().get_mut().unwrap().file = file;
        more.splice(0..0, tickets);
        assert_all_come_back(&spool, &more);
    }
}
