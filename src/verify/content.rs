//! Hashing content: SHA-256 over the uncompressed bytes of an object, as the digest files record it.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::inflate::Gunzip;
use crate::model::{Fault, Sha256Hash};

/// SHA-256 of bytes in memory.
pub fn sha256(content: &[u8]) -> Sha256Hash {
    Sha256Hash(Sha256::digest(content).into())
}

/// A gzipped object being read: fed piece by piece, it keeps only a hash.
pub struct ContentHasher {
    ceiling: u64,
    /// The first piece, which is all there is of nearly every object: it waits, so that an object that is still on its way takes
    /// no room to decompress in.
    first: Option<Bytes>,
    stream: Option<Stream>,
    /// The hash of bytes that are hashed as they come.
    plain: Option<Sha256>,
    size: u64,
}

struct Stream {
    gunzip: Gunzip,
    sha256: Sha256,
    inflated: u64,
}

impl Stream {
    fn new(ceiling: u64) -> Self {
        Self { gunzip: Gunzip::new(ceiling), sha256: Sha256::new(), inflated: 0 }
    }

    fn feed(&mut self, piece: &[u8]) {
        let Self { gunzip, sha256, inflated } = self;
        gunzip.feed(piece, |out| {
            sha256.update(out);
            *inflated += out.len() as u64;
        });
    }
}

/// What an object was found to contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The object's size as stored, in bytes.
    pub size: u64,
    /// SHA-256 of all that could be decompressed of it; `None` where that is not the content of a whole file.
    pub sha256: Option<Sha256Hash>,
    /// How many bytes were hashed.
    pub hashed: u64,
    /// What is wrong with the gzip stream.
    pub fault: Option<Fault>,
    /// True if the bytes were uncompressed as they were stored.
    pub is_uncompressed: bool,
}

impl ContentHasher {
    /// Begins an object that may decompress to `ceiling` bytes.
    pub fn new(ceiling: u64) -> Self {
        Self { ceiling, first: None, stream: None, plain: None, size: 0 }
    }

    /// The same for an object whose bytes are the uncompressed ones.
    #[must_use]
    pub fn of_uncompressed(self) -> Self {
        Self { plain: Some(Sha256::new()), ..self }
    }

    /// Takes the next piece of the object as stored, and says whether there is any use in the rest.
    pub fn feed(&mut self, piece: Bytes) -> bool {
        self.size += piece.len() as u64;
        if let Some(plain) = &mut self.plain {
            plain.update(&piece);
            return self.size <= self.ceiling;
        }
        match &mut self.stream {
            Some(stream) => stream.feed(&piece),
            None => match self.first.take() {
                None => self.first = Some(piece),
                Some(first) => {
                    let stream = self.stream.insert(Stream::new(self.ceiling));
                    stream.feed(&first);
                    stream.feed(&piece);
                }
            },
        }
        self.stream.as_ref().is_none_or(|stream| stream.gunzip.finish() != Err(Fault::TooLarge))
    }

    /// Ends the object.
    pub fn finish(self) -> Content {
        if let Some(plain) = self.plain {
            let fault = (self.size > self.ceiling).then_some(Fault::TooLarge);
            let sha256 = fault.is_none().then(|| Sha256Hash(plain.finalize().into()));
            return Content { size: self.size, sha256, hashed: self.size, fault, is_uncompressed: true };
        }
        let mut stream = self.stream.unwrap_or_else(|| Stream::new(self.ceiling));
        if let Some(first) = self.first {
            stream.feed(&first);
        }
        let fault = stream.gunzip.finish().err();
        // What follows the last member does not change what its members contain.
        let whole = matches!(fault, None | Some(Fault::TrailingData));
        let hashed = stream.inflated;
        let sha256 = whole.then(|| Sha256Hash(stream.sha256.finalize().into()));
        Content { size: self.size, sha256, hashed, fault, is_uncompressed: false }
    }
}
