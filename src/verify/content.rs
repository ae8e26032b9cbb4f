//! Hashing content: SHA-256 over the uncompressed bytes of an object, as the digest files record it.

use sha2::{Digest as _, Sha256};

use super::inflate::Gunzip;
use crate::model::{Fault, Sha256Hash};

/// SHA-256 of bytes in memory.
pub fn sha256(content: &[u8]) -> Sha256Hash {
    Sha256Hash(Sha256::digest(content).into())
}

/// A gzipped object being read: fed piece by piece, it keeps only a hash.
pub struct ContentHasher {
    gunzip: Gunzip,
    sha256: Sha256,
    size: u64,
}

/// What an object was found to contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The object's size as stored, in bytes.
    pub size: u64,
    /// SHA-256 of all that could be decompressed of it; `None` where that is not the content of a whole file.
    pub sha256: Option<Sha256Hash>,
    /// What is wrong with the gzip stream.
    pub fault: Option<Fault>,
}

impl ContentHasher {
    /// Begins an object that may decompress to `ceiling` bytes.
    pub fn new(ceiling: u64) -> Self {
        Self { gunzip: Gunzip::new(ceiling), sha256: Sha256::new(), size: 0 }
    }

    /// Takes the next piece of the object as stored.
    pub fn feed(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        self.gunzip.feed(piece, |out| self.sha256.update(out));
    }

    /// Ends the object.
    pub fn finish(self) -> Content {
        let fault = self.gunzip.finish().err();
        // What follows the last member does not change what its members contain.
        let whole = matches!(fault, None | Some(Fault::TrailingData));
        Content { size: self.size, sha256: whole.then(|| Sha256Hash(self.sha256.finalize().into())), fault }
    }
}
