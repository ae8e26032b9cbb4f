//! Pure checks on bytes: decompression, hashes, signatures and links.
//!
//! No file, network, clock, environment or log: what this floor decides follows from its arguments alone.
//!
//! Success is a type. A digest's bytes are read into an [`OpenDigest`], which claims things, and waits for the others of its chain as
//! a [`WaitingDigest`]; [`settle()`] makes a [`ProvenDigest`] of it when its signature verifies and no valid successor contradicts it.
//! Only that gives a [`ValidDigest`], and only a [`ValidDigest`] hands out [`LogFileEntry`]s that a log file can be judged by. What an
//! invalid or unverified digest lists comes out as names alone.

mod content;
mod digest;
mod document;
mod entries;
mod inflate;
mod key;
pub mod limits;
mod links;
mod metadata;
mod settle;
mod signature;
mod waiting;

pub use content::{Content, ContentHasher, sha256};
pub use digest::{ClosedDigest, Examined, FoundDigest, OpenDigest, Rejection, Unproven, examine};
pub use document::{Predecessor, peek_log_files, peek_object};
pub use entries::{ExpectedHash, LogFileEntries, LogFileEntry};
pub use inflate::{Gunzip, gunzip, inflates_beyond, uncompressed};
pub use key::{KeyError, KeyLookup, KeyRing, PublicKey, RsaKey, fingerprint};
pub use metadata::DigestMetadata;
pub use settle::{ProvenDigest, RejectedDigest, Settled, SettledDigest, ValidDigest, settle, try_recorded_signatures};
pub use signature::{RecordedSignature, SHA256_WITH_RSA, SignatureCheck, check, signed_hash};
pub use waiting::{HashKey, NameHash, Outline, PackError, WaitingDigest};
