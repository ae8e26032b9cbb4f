//! The test kit of ctverify: the forge, which makes trails signed as CloudTrail signs them and
//! breaks them on request, and a server on loopback that speaks S3 and CloudTrail.
//!
//! Nothing here uses ctverify's own code: the forge writes down the format a second time,
//! independently, from AWS's documentation.

mod authority;
mod content;
pub mod defects;
mod document;
mod forge;
mod mirror;
mod server;
mod tamper;

pub use authority::{KeyAuthority, PublishedKey, TestKey};
pub use document::{DigestDocument, LogFileDocument};
pub use forge::{Chain, Digest, ForgedTrail, REGIONS, Stored, TrailSpec};
pub use mirror::Layout;
pub use server::{ACCESS_KEY, KeyFault, Lifecycle, Received, SECRET_KEY, Server, ServerOptions, TrailAnswer};
pub use tamper::{gunzip, gzip};
