//! Pure checks on bytes: decompression, hashes, signatures and links.
//!
//! No file, network, clock, environment or log: what this floor decides follows from its arguments alone.
//!
//! Success is a type. A digest's bytes are read into an [`ParsedDigest`], which claims things, and waits for the others of its chain as
//! a [`PendingDigest`]; [`verify_chain()`] makes a [`ProvenDigest`] of it when its signature verifies and no valid successor contradicts it.
//! Only that gives a [`ValidDigest`], and only a [`ValidDigest`] hands out [`LogFileEntry`]s that a log file can be judged by. What an
//! invalid or unverified digest lists comes out as names alone.

mod chain;
mod content;
mod digest;
mod document;
mod entries;
mod inflate;
mod key;
pub mod limits;
mod links;
mod metadata;
mod pending;
mod signature;

pub use chain::{
    JudgedDigest, ProvenDigest, RejectedDigest, SettledDigest, ValidDigest, try_recorded_signatures, verify_chain,
};
pub use content::{Content, ContentHasher, sha256};
pub use digest::{CheckedDigest, ParsedDigest, RawDigest, Rejection, UnparsedDigest, Unproven, examine};
pub use document::{Predecessor, peek_log_files, peek_object};
pub use entries::{ExpectedHash, LogFileEntries, LogFileEntry};
pub use inflate::{Gunzip, gunzip, inflates_beyond, uncompressed};
pub use key::{KeyError, KeyLookup, KeyRing, PublicKey, RsaKey, fingerprint};
pub use metadata::DigestMetadata;
pub use pending::{DigestSummary, HashKey, NameHash, PackError, PendingDigest};
pub use signature::{RecordedSignature, SHA256_WITH_RSA, SignatureCheck, check, signed_hash};
