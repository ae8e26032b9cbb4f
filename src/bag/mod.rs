//! Evidence bags: what was collected of a trail, in a form that others can check without this tool (BagIt, RFC 8493).
//!
//! ```text
//! BAG/
//!   bagit.txt  bag-info.txt  manifest-sha256.txt  tagmanifest-sha256.txt
//!   collect.json               what is collected: a bag is of one source
//!   custody.jsonl              who did what with the bag, each line with the hash of the one before
//!   custody-head.txt           how many lines that has, and the hash of the last
//!   custody-head.txt.sig       the signature of that, if a key was given
//!   data/
//!     objects/BUCKET/KEY       digests and log files as they were stored, each digest with KEY.metadata.json
//!     objects.jsonl            each object: its place, size and SHA-256 as stored, and what S3 said of it
//!     keys.json                the public keys
//!     trail.json               what CloudTrail said of the trail
//!     records/TIME.jsonl       the records of each run that collected
//!     not-collected/TIME.jsonl what is listed and could not be collected, and why
//! ```
//!
//! While it is being filled, a bag has no manifest: whoever finds one has a whole bag.

mod collecting_keys;
mod collecting_store;
mod custody;
mod error;
mod manifest;
mod read;
mod writer;
mod zip;

pub use collecting_keys::CollectingKeys;
pub use collecting_store::{CollectingStore, NO_FILE_NAME};
pub use custody::{Action, CustodyEntry, CustodyLog, SignHead};
pub use error::BagError;
pub use read::{Altered, Bag};
pub use writer::{BagInfo, BagWriter};
pub use zip::zip;

/// The folder of the bag's content.
const DATA: &str = "data";
/// Where the copies of objects lie in a bag.
const OBJECTS: &str = "data/objects";
/// What is known of each.
const OBJECTS_LIST: &str = "data/objects.jsonl";
/// The public keys.
const KEYS: &str = "data/keys.json";
const MANIFEST: &str = "manifest-sha256.txt";
const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
const DECLARATION: &str = "bagit.txt";
const INFO: &str = "bag-info.txt";
const SOURCE: &str = "collect.json";
