//! A bucket that is a replica or a restored copy of another one: objects are addressed by the names
//! that they had there.

use async_trait::async_trait;

use super::{LifecycleRule, ListRequest, Object, ObjectVersion, Page, Store, StoreError, StoreProperties};
use crate::debug::opaque_debug;
use crate::model::{ObjectRef, Requests};

/// A store in which one bucket stands for another.
pub struct Replica<S> {
    inner: S,
    /// The bucket that is read.
    read: String,
    /// The bucket that the digests record.
    recorded: String,
}

opaque_debug!(Replica<S>);

impl<S: Store> Replica<S> {
    /// Reads the bucket `read` of `inner` wherever `recorded` is asked for.
    pub fn new(inner: S, read: String, recorded: String) -> Self {
        Self { inner, read, recorded }
    }

    fn bucket<'a>(&'a self, asked: &'a str) -> &'a str {
        if asked == self.recorded { &self.read } else { asked }
    }

    fn object(&self, asked: &ObjectRef) -> ObjectRef {
        ObjectRef::new(self.bucket(&asked.bucket), asked.key.clone())
    }
}

#[async_trait]
impl<S: Store> Store for Replica<S> {
    fn source(&self) -> String {
        self.inner.source()
    }

    fn properties(&self) -> StoreProperties {
        self.inner.properties()
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        let bucket = self.bucket(&request.bucket).to_owned();
        self.inner.list(&ListRequest { bucket, ..request.clone() }, continuation).await
    }

    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError> {
        self.inner.get(&self.object(object), version).await
    }

    async fn versions(&self, object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        self.inner.versions(&self.object(object)).await
    }

    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        if bucket == self.recorded {
            // The copy's own lifecycle rules can't explain a missing object: it may never have been
            // copied.
            return Ok(Vec::new());
        }
        self.inner.lifecycle_rules(bucket).await
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        self.inner.in_place(place, claimed)
    }

    fn absence(&self) -> &'static str {
        self.inner.absence()
    }

    fn requests(&self) -> Requests {
        self.inner.requests()
    }

    fn refusals(&self) -> u64 {
        self.inner.refusals()
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        self.inner.clock_ahead_ms()
    }
}
