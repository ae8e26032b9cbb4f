//! Evidence bags: the collected objects of a trail, in a form that others can check without this
//! tool (BagIt, RFC 8493).
//!
//! ```text
//! BAG/
//!   bagit.txt  bag-info.txt  manifest-sha256.txt  tagmanifest-sha256.txt
//!   collect.json               the source and trail that the bag is of; a bag has one source
//!   README.txt                 in the proof of one event: what it is, and how to check it
//!   custody.jsonl              the custody log, each line with the hash of the one before
//!   custody-head.txt           the number of its lines, and the hash of the last one
//!   custody-head.txt.sig       the signature of the head, if a key was given
//!   data/
//!     objects/BUCKET/KEY       digests and log files as stored, each digest with KEY.metadata.json
//!     displaced/BUCKET/KEY.N   what an earlier run had collected under the name of another content
//!     objects.jsonl            bucket, key, size, SHA-256 and S3's metadata of each object
//!     keys.json                the public keys
//!     trail.json               the settings of the trail, as CloudTrail returned them
//!     event.json               in the proof of one event: the event and what proves it
//!     records/TIME.jsonl       the records of each run that collected
//!     not-collected/TIME.jsonl the objects that could not be collected, each with the reason
//! ```
//!
//! A bag has no manifest while it is being filled, so a bag with a manifest is complete.

mod close;
mod collecting_keys;
mod collecting_store;
mod custody;
mod error;
mod key_list;
mod manifest;
mod objects_list;
mod read;
mod unzip;
mod writer;
mod zip;

pub use close::BagInfo;
pub use collecting_keys::CollectingKeys;
pub use collecting_store::{CollectingStore, NO_FILE_NAME};
pub use custody::{Action, CustodyEntry, CustodyLog, SignHead};
pub use error::BagError;
pub use read::{Altered, Bag, Collection};
pub use unzip::{UnpackedBag, unzip};
pub use writer::{BagSource, BagWriter, EventOfBag};
pub use zip::zip;

/// The folder of the bag's payload.
const DATA: &str = "data";
/// The folder of the copies of objects in a bag.
const OBJECTS: &str = "data/objects";
/// The folder of files that were collected, and in whose place another content was collected since.
const DISPLACED: &str = "data/displaced";
/// The list of the collected objects, with what is known of each.
const OBJECTS_LIST: &str = "data/objects.jsonl";
/// The file of public keys.
const KEYS: &str = "data/keys.json";
/// The folder of the records of the runs that collected.
const RECORDS: &str = "data/records";
const MANIFEST: &str = "manifest-sha256.txt";
const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
const DECLARATION: &str = "bagit.txt";
const INFO: &str = "bag-info.txt";
const SOURCE: &str = "collect.json";
const README: &str = "README.txt";
