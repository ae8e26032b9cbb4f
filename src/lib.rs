//! Prove that AWS CloudTrail log files are the ones that CloudTrail delivered.
//!
//! # The chain of trust
//!
//! CloudTrail delivers log files to S3 and, every hour, a *digest file*: it lists the log files
//! that were delivered in that hour with the SHA-256 of their content, names the digest before it
//! with hash and signature, and is signed with an RSA key of its region.
//!
//! ```text
//!            AWS's public keys (ListPublicKeys, per region)
//!                 │ verify the signature of
//!                 ▼
//!   … ◄──────  digest 10:00  ◄──────  digest 11:00  ◄──────  digest 12:00
//!     hash and      │      hash and        │      hash and        │
//!     signature     ▼ SHA-256 signature    ▼ SHA-256 signature    ▼ SHA-256
//!               log files              log files              log files
//! ```
//!
//! So an attacker who changes a log file has to change its digest, whose signature then fails; one
//! who deletes a log file leaves it listed; one who deletes a digest leaves it named by the next
//! one. The signed text is
//!
//! ```text
//! digestEndTime \n digestS3Bucket/digestS3Object \n hex(SHA-256 of the uncompressed digest) \n previousDigestSignature
//! ```
//!
//! with RSASSA-PKCS1-v1_5 and SHA-256 (CloudTrail user guide, "Custom implementations of CloudTrail
//! log file integrity validation").
//!
//! # Layers
//!
//! Each layer uses those below it, never one above.
//!
//! | layer | content |
//! |---|---|
//! | `cli` | what the user types and sees: arguments, commands, progress, exit codes |
//! | `report` | one file per output format; knows records and model, nothing else |
//! | `notice` | notifications: SNS, webhooks |
//! | [`shard`] | units of work for many machines, and the merging of their results |
//! | [`audit`] | the verification run: chains, digests and their order; gaps, coverage, verdict |
//! | [`checkpoint`] | storage for the results of a scheduled audit |
//! | [`bag`] | evidence bags: what is collected, manifests, the custody log |
//! | [`sign`] | signatures under reports |
//! | [`store`] | access to stored objects: S3, a folder |
//! | [`keys`] | sources of public keys: `ListPublicKeys`, a key file |
//! | [`trail`] | AWS's information about a trail |
//! | [`verify`] | pure checks on bytes: inflate, hash, RSA, links |
//! | `aws` | what every client of AWS shares: the connection, limits, retries |
//! | `disk` | files that appear only once they are whole, and buffers in temporary files |
//! | [`records`] | what an audit finds: types, serialized form, JSON Schema, verdict |
//! | [`model`] | the domain types |
//!
//! The audit names no report and reports name no store: the audit passes what it finds to an
//! [`audit::Observer`], one [`records::Record`] at a time, and the command line connects the two.
//!
//! `cli`, `report` and `notice` belong to the command line, and `disk` is internal. The other layers
//! are the library's interface. Times are [`jiff::Timestamp`].
//!
//! # Features
//!
//! Both are on by default.
//!
//! - `aws`: S3, `ListPublicKeys`, and what AWS says about a trail. Without it, the crate verifies
//!   folders with keys from a file, and links neither the AWS SDK nor a network stack.
//! - `cli`: the command line, the reports and the notices; it includes `aws`.
//!
//! # Example
//!
//! A local copy of a trail, verified without any network:
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use ctverify::audit::{Audit, AuditRequest};
//! use ctverify::keys::KeyFile;
//! use ctverify::model::Verdict;
//! use ctverify::records::Record;
//! use ctverify::store::Folder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = Folder::open(Path::new("testdata/sample-trail"), None)?;
//! let keys = KeyFile::open(Path::new("testdata/sample-trail/keys.json"))?;
//! let request = AuditRequest::builder(jiff::Timestamp::now()).locations(folder.locations()).build()?;
//! let audit = Audit::new(Arc::new(folder), Arc::new(keys), request);
//!
//! let mut changed = Vec::new();
//! let mut observer = |record: &Record| {
//!     if let Record::LogFile(log_file) = record
//!         && log_file.fault.is_some()
//!     {
//!         changed.push(log_file.object.clone());
//!     }
//!     Ok(())
//! };
//! let runtime = tokio::runtime::Runtime::new()?;
//! let summary = runtime.block_on(audit.run(&mut observer, std::future::pending()))?.summary;
//! assert_eq!(summary.verdict, Verdict::Verified);
//! assert!(changed.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod audit;
#[cfg(feature = "aws")]
pub mod aws;
pub mod bag;
pub mod checkpoint;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod debug;
mod disk;
pub mod events;
pub mod keys;
pub mod model;
#[cfg(feature = "cli")]
mod notice;
pub mod records;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod report;
pub mod shard;
pub mod sign;
pub mod store;
mod sync;
pub mod trail;
pub mod verify;
