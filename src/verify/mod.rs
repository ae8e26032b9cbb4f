//! Pure checks on bytes: decompression, hashes, signatures and links.
//!
//! No file, network, clock, environment or log: every result of this layer follows from its
//! arguments alone.
//!
//! Success is a type. A digest's bytes are parsed into a [`ParsedDigest`], which is an unproven
//! claim, and held as a [`PendingDigest`] until the others of its chain are read.
//! [`verify_chain()`] makes a [`ProvenDigest`] of it if a signature over it verifies and no valid
//! successor contradicts it. That unpacks to a [`ValidDigest`], which [`verify_digest()`] also makes
//! of a single digest whose own signature verifies; and only a [`ValidDigest`] gives out [`LogFileEntry`]s by which a log file can be judged. Of the log files that an invalid
//! or unverified digest lists, only the names are available.

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
mod packed;
mod pending;
mod signature;

pub use chain::{
    DigestJudgement, JudgedDigest, ProvenDigest, RejectedDigest, ValidDigest, try_recorded_signatures, verify_chain,
    verify_digest,
};
pub use content::{Content, ContentCopy, ContentHasher, sha256};
pub use digest::{CheckedDigest, ParsedDigest, RawDigest, Rejection, UnparsedDigest, Unproven, examine};
pub use document::{Predecessor, peek_log_files, peek_object};
pub use entries::{ExpectedHash, LogFileEntries, LogFileEntry};
pub use inflate::{Gunzip, gunzip, inflates_beyond, uncompressed};
pub use key::{KeyError, KeyLookup, KeyRing, PublicKey, RsaKey, fingerprint};
pub use metadata::DigestMetadata;
pub use packed::PackError;
pub use pending::{DigestSummary, HashKey, NameHash, PendingDigest};
pub use signature::{RecordedSignature, SHA256_WITH_RSA, SignatureCheck, check, signed_hash};
