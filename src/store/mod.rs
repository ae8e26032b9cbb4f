//! Access to objects: in S3, or in a folder that mirrors it.
//!
//! A [`Store`] lists names and opens objects by name. That an object does not exist is an answer;
//! everything else that keeps it from being read is a failure to look. The audit knows stores by
//! this trait alone.

mod error;
mod folder;
mod folder_layout;
mod lifecycle;
mod replica;
#[cfg(feature = "aws")]
mod s3;
#[cfg(feature = "aws")]
mod s3_answers;
#[cfg(feature = "aws")]
mod s3_conditional;
#[cfg(feature = "aws")]
mod s3_error;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use error::StoreError;
pub use folder::Folder;
pub use lifecycle::{Expiry, LifecycleRule};
pub use replica::Replica;
#[cfg(feature = "aws")]
pub use s3::S3;

use crate::debug::opaque_debug;
use crate::model::{LogRoot, ObjectRef, Requests};
use crate::verify::{Content, DigestMetadata};

/// A bucket and the location of the `AWSLogs/` folder in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The location in the bucket to which CloudTrail delivers.
    #[serde(rename = "prefix")]
    pub root: LogRoot,
}

/// A request for a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// The bucket.
    pub bucket: String,
    /// The prefix of the keys.
    pub prefix: String,
    /// Keys up to and with this one are left out.
    pub start_after: Option<String>,
    /// If true, the answer has the folders and objects directly below the prefix instead of all the
    /// keys below it.
    pub folders: bool,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// The time at which the store last wrote it; `None` in a folder.
    pub last_modified: Option<Timestamp>,
    /// The size, in bytes as stored, if the listing gives it.
    pub size: Option<u64>,
    /// False if it is something else than a file in a copy, such as a symbolic link or a pipe: its
    /// content is known only by reading it.
    pub is_file: bool,
}

/// One page of a listing, in the byte order of keys.
#[derive(Debug, Default)]
pub struct Page {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// The folders directly below the prefix, whole, each with its slash at the end.
    pub folders: Vec<String>,
    /// The continuation of the next page; `None` on the last.
    pub next: Option<String>,
}

/// An object being read.
pub struct Object {
    /// Its user metadata.
    pub metadata: DigestMetadata,
    /// Something about the metadata that a reader should know.
    pub metadata_note: Option<String>,
    /// All that the store says of it, for callers that keep it, if the store has it.
    pub head: Option<Head>,
    /// True if the bytes are those that the object decompresses to: a copy may hold files that
    /// somebody decompressed.
    pub is_uncompressed: bool,
    /// Its bytes.
    pub body: Box<dyn Body>,
}

opaque_debug!(Object);

/// The properties of an object besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Its user metadata; names are those that follow `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// The time at which it was last written.
    pub last_modified: Option<Timestamp>,
    /// Its entity tag.
    pub e_tag: Option<String>,
    /// Its version, in a bucket that keeps versions.
    pub version_id: Option<String>,
}

/// One version of an object in a versioned bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// The version's ID; `null` for one that was written while versioning was off.
    pub id: String,
    /// The time at which S3 wrote it.
    pub last_modified: Option<Timestamp>,
    /// True if it is a marker that the object was deleted, and holds nothing.
    pub is_delete_marker: bool,
    /// True if it is the version that a read without a version gives.
    pub is_latest: bool,
}

/// The bytes of an object, piece by piece.
#[async_trait]
pub trait Body: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Broken`] if the body ended before its announced length; it is then read again
    /// from its start. Any other error ends the reading.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;

    /// The number of bytes that are to be received, if the store has announced it.
    fn announced_length(&self) -> Option<u64> {
        None
    }
}

/// The properties of a store that an audit relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreProperties {
    /// True if the trail still writes here. A copy ends where it was made.
    pub is_live: bool,
    /// True if each request takes a round trip over a network.
    pub is_remote: bool,
    /// True if the objects were copied here by some tool: they may lie under another bucket's name
    /// or prefix, some may not have been copied or were decompressed, and the tool may have left
    /// files of its own.
    pub is_copy: bool,
    /// True if earlier versions of objects can be asked for.
    pub keeps_versions: bool,
    /// True if lifecycle rules can be asked for.
    pub has_lifecycle_rules: bool,
}

impl StoreProperties {
    /// The properties of an S3 bucket.
    pub const BUCKET: Self =
        Self { is_live: true, is_remote: true, is_copy: false, keeps_versions: true, has_lifecycle_rules: true };
    /// The properties of a folder.
    pub const FOLDER: Self =
        Self { is_live: false, is_remote: false, is_copy: true, keeps_versions: false, has_lifecycle_rules: false };
}

/// A collection of objects under S3 names.
#[async_trait]
pub trait Store: Send + Sync {
    /// The source of the bytes, for people: `s3://…`, or a folder's path.
    fn source(&self) -> String;

    /// The properties of the store that an audit relies on.
    fn properties(&self) -> StoreProperties;

    /// Returns one page of a listing; `continuation` is what the page before it gave. Nothing below
    /// the prefix is an empty page.
    ///
    /// # Errors
    ///
    /// Fails if the page can't be listed: what was not listed is unknown, and accuses nobody.
    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError>;

    /// Opens an object, as it is now or in an earlier version.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] and [`StoreError::NoSuchBucket`] state that the object does not
    /// exist, by which a listed file counts as deleted; a store must return them only where it knows
    /// that. Any other error leaves the object unverified.
    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError>;

    /// Returns the content of a log file, as far as the store knows it without its bytes; `None` where
    /// they have to be read and hashed, which is so in every store that holds objects. `ceiling` is the
    /// number of uncompressed bytes up to which they would be.
    async fn content(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
    ) -> Option<Result<Content, StoreError>> {
        let _ = (object, version, ceiling);
        None
    }

    /// Tells the store what reading and hashing a log file came to. A store of objects has no use for
    /// it.
    fn note_content(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
        content: &Result<Content, StoreError>,
    ) {
        let _ = (object, version, ceiling, content);
    }

    /// The versions of an object that the store still holds, the newest first; none where it keeps
    /// no versions.
    ///
    /// # Errors
    ///
    /// Fails if they can't be listed, by which it is unknown whether an intact one exists.
    async fn versions(&self, object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError>;

    /// The enabled lifecycle rules of a bucket that let objects expire. None means that no rule
    /// explains a loss.
    ///
    /// # Errors
    ///
    /// Fails if they can't be read: a loss may then be explained, and is left open.
    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, StoreError>;

    /// Returns whether the object that is stored as `place` may be the one that calls itself
    /// `claimed`: the names are equal or, in a copy, differ only in the bucket or prefix under which
    /// the copy lies.
    ///
    /// # Errors
    ///
    /// Fails if the store has to look at other objects to tell, and can't.
    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError>;

    /// The name under which this store lists an object: a copy may be laid out under another
    /// bucket's name or prefix than the digests record.
    fn listed_name<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        Cow::Borrowed(object)
    }

    /// The words for an object that does not exist here.
    fn absence(&self) -> &'static str;

    /// The number of requests made so far.
    fn requests(&self) -> Requests;

    /// The number of answers so far that asked for fewer requests.
    fn refusals(&self) -> u64;

    /// The number of milliseconds by which the clock of this machine is ahead of the store's, if an
    /// answer gave the time.
    fn clock_ahead_ms(&self) -> Option<i64> {
        None
    }
}

/// Counts requests from many tasks.
#[derive(Debug, Default)]
struct Counter {
    get: AtomicU64,
    list: AtomicU64,
    other: AtomicU64,
    /// Answers that asked for fewer requests; only a remote store gives them.
    #[cfg(feature = "aws")]
    refusals: AtomicU64,
    #[cfg(feature = "aws")]
    clock_ahead_ms: std::sync::OnceLock<i64>,
}

impl Counter {
    fn get(&self) {
        self.get.fetch_add(1, Ordering::Relaxed);
    }

    fn list(&self) {
        self.list.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(feature = "aws")]
    fn other(&self) {
        self.other.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self) -> Requests {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests { get: count(&self.get), list: count(&self.list), other: count(&self.other) }
    }
}

/// The bytes of an object, and its entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The entity tag, as the store spells it.
    pub etag: Vec<u8>,
}

/// The result of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The object has these bytes now.
    Whole,
    /// The object has another entity tag than was expected: nothing was written.
    Changed,
}

/// A store in which several writers share an object without losing each other's work.
#[async_trait]
pub trait ConditionalStore: Send + Sync {
    /// Reads an object; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// The object has more than `max_bytes` bytes, or could not be read.
    async fn get_with_etag(&self, object: &ObjectRef, max_bytes: u64) -> Result<Option<Tagged>, StoreError>;

    /// Writes an object if it still has this entity tag, or, without one, if it does not exist.
    ///
    /// # Errors
    ///
    /// The object could not be written.
    async fn put_if_match(
        &self,
        object: &ObjectRef,
        bytes: Vec<u8>,
        etag: Option<&[u8]>,
    ) -> Result<Written, StoreError>;
}
