//! Hashes of content: SHA-256 over the uncompressed bytes of an object, as the digest files record
//! it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::inflate::Gunzip;
use crate::model::{Fault, Sha256Hash};

/// SHA-256 of bytes in memory.
pub fn sha256(content: &[u8]) -> Sha256Hash {
    Sha256Hash(Sha256::digest(content).into())
}

/// A receiver of the bytes of an object, as they are hashed.
pub trait ContentCopy {
    /// Takes the next bytes as stored, before the uncompressed bytes in them. Nothing calls it for an object
    /// that is stored uncompressed, or behind a fault of the gzip stream.
    fn take_compressed(&mut self, _: &[u8]) {}

    /// Takes the next uncompressed bytes.
    fn take(&mut self, bytes: &[u8]);
}

/// Keeps nothing.
impl ContentCopy for () {
    fn take(&mut self, _: &[u8]) {}
}

/// An incremental hasher of a gzipped object: it is fed piece by piece and keeps only a hash, unless
/// it has a [`ContentCopy`].
pub struct ContentHasher<C = ()> {
    copy: C,
    ceiling: u64,
    /// The first piece, which is the whole of nearly every object. It is decompressed only when the
    /// next piece or the end comes, so that an object still in transfer holds no decompression
    /// buffers.
    first: Option<Bytes>,
    stream: Option<Stream>,
    /// The hasher of an object that is stored uncompressed: its bytes are hashed as they come.
    plain: Option<Sha256>,
    size: u64,
}

impl<C> std::fmt::Debug for ContentHasher<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentHasher").finish_non_exhaustive()
    }
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

    fn feed(&mut self, piece: &[u8], copy: &mut impl ContentCopy) {
        let Self { gunzip, sha256, inflated } = self;
        if !gunzip.has_failed() {
            copy.take_compressed(piece);
        }
        gunzip.feed(piece, |out| {
            sha256.update(out);
            copy.take(out);
            *inflated += out.len() as u64;
        });
    }
}

/// The result of reading and hashing an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The object's size as stored, in bytes.
    pub size: u64,
    /// SHA-256 of the decompressed content; `None` if that is not the content of a whole file.
    pub sha256: Option<Sha256Hash>,
    /// The number of uncompressed bytes that were hashed.
    pub hashed: u64,
    /// The fault of the gzip stream or of the content's size, if there is one.
    pub fault: Option<Fault>,
    /// True if the bytes were uncompressed as they were stored.
    pub is_uncompressed: bool,
}

impl ContentHasher {
    /// Creates a hasher for an object that may decompress to `ceiling` bytes.
    pub fn new(ceiling: u64) -> Self {
        Self::copying(ceiling, ())
    }

    /// Ends the object and returns its content.
    pub fn finish(self) -> Content {
        self.finish_copy().0
    }
}

impl<C: ContentCopy> ContentHasher<C> {
    /// Creates a hasher for an object that may decompress to `ceiling` bytes, which `copy` takes.
    pub fn copying(ceiling: u64, copy: C) -> Self {
        Self { copy, ceiling, first: None, stream: None, plain: None, size: 0 }
    }

    /// Prepares the hasher for an object that is stored uncompressed.
    #[must_use]
    pub fn of_uncompressed(self) -> Self {
        Self { plain: Some(Sha256::new()), ..self }
    }

    /// Takes the next piece of the object as stored. Returns whether the rest is still of use: it
    /// is not once the content has passed the ceiling.
    pub fn feed(&mut self, piece: Bytes) -> bool {
        self.size += piece.len() as u64;
        if let Some(plain) = &mut self.plain {
            plain.update(&piece);
            self.copy.take(&piece);
            return self.size <= self.ceiling;
        }
        match &mut self.stream {
            Some(stream) => stream.feed(&piece, &mut self.copy),
            None => match self.first.take() {
                None => self.first = Some(piece),
                Some(first) => {
                    let stream = self.stream.insert(Stream::new(self.ceiling));
                    stream.feed(&first, &mut self.copy);
                    stream.feed(&piece, &mut self.copy);
                }
            },
        }
        self.stream.as_ref().is_none_or(|stream| stream.gunzip.finish() != Err(Fault::TooLarge))
    }

    /// Ends the object, and returns its content and the copy.
    pub fn finish_copy(mut self) -> (Content, C) {
        if let Some(plain) = self.plain {
            let fault = (self.size > self.ceiling).then_some(Fault::TooLarge);
            let sha256 = fault.is_none().then(|| Sha256Hash(plain.finalize().into()));
            let content = Content { size: self.size, sha256, hashed: self.size, fault, is_uncompressed: true };
            return (content, self.copy);
        }
        let mut stream = self.stream.unwrap_or_else(|| Stream::new(self.ceiling));
        if let Some(first) = self.first {
            stream.feed(&first, &mut self.copy);
        }
        let fault = stream.gunzip.finish().err();
        // Bytes after the last member do not change the content of the members.
        let whole = matches!(fault, None | Some(Fault::TrailingData));
        let hashed = stream.inflated;
        let sha256 = whole.then(|| Sha256Hash(stream.sha256.finalize().into()));
        (Content { size: self.size, sha256, hashed, fault, is_uncompressed: false }, self.copy)
    }
}
