//! Where bytes are: S3, or a folder that mirrors it.
//!
//! A [`Store`] lists names and hands out objects by name. That an object does not exist is an answer; everything else that keeps it
//! from being read is a failure to look. The audit knows stores by this trait alone.

mod error;
mod folder;
mod folder_layout;
mod replica;
mod s3;
mod s3_error;

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

pub use error::StoreError;
pub use folder::Folder;
pub use replica::Replica;
pub use s3::S3;

use crate::model::{LogRoot, ObjectRef, Requests};
use crate::verify::DigestMetadata;

/// A bucket and the place of the `AWSLogs/` folder in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// Where in it CloudTrail delivers.
    pub root: LogRoot,
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// The bucket.
    pub bucket: String,
    /// What the keys begin with.
    pub prefix: String,
    /// Keys up to and with this one are left out.
    pub start_after: Option<String>,
    /// Whether to answer with the folders directly below the prefix instead of all the keys below it.
    pub folders: bool,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// When S3 last wrote it. A copy doesn't know.
    pub last_modified: Option<Timestamp>,
}

/// One page of a listing, in the byte order of keys.
#[derive(Debug, Default)]
pub struct Page {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// The folders directly below the prefix, whole, each with its slash at the end.
    pub folders: Vec<String>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
}

/// An object being read.
pub struct Object {
    /// Its user metadata.
    pub metadata: DigestMetadata,
    /// Something about the metadata that a reader should know.
    pub metadata_note: Option<String>,
    /// Its bytes.
    pub body: Box<dyn Body>,
}

/// The bytes of an object, piece by piece.
#[async_trait]
pub trait Body: Send {
    /// The next piece; `None` at the end. A body that ends before its announced length is an error.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}

/// A place that holds objects under S3 names.
#[async_trait]
pub trait Store: Send + Sync {
    /// What the bytes come from, for people: `s3://…`, or a folder's path.
    fn source(&self) -> String;

    /// Whether the trail goes on writing here. A copy ends where it was made.
    fn is_live(&self) -> bool;

    /// One page of a listing; `continuation` is what the page before it gave.
    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError>;

    /// Opens an object.
    async fn get(&self, object: &ObjectRef) -> Result<Object, StoreError>;

    /// Whether an object that lies under the name `place` lies where one with the name `claimed` belongs.
    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError>;

    /// What is said of an object that does not exist here.
    fn absence(&self) -> &'static str;

    /// How many requests were made so far.
    fn requests(&self) -> Requests;
}

/// Counts requests from many tasks.
#[derive(Debug, Default)]
struct Counter {
    get: AtomicU64,
    list: AtomicU64,
}

impl Counter {
    fn get(&self) {
        self.get.fetch_add(1, Ordering::Relaxed);
    }

    fn list(&self) {
        self.list.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self) -> Requests {
        Requests { get: self.get.load(Ordering::Relaxed), list: self.list.load(Ordering::Relaxed), other: 0 }
    }
}
