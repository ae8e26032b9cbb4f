//! The events that start and stop the logging of trails, which explain gaps: units keep them as
//! evidence of the log files that they read, and a merge takes them from there.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use super::recorder::Recorder;
use super::result_store::ResultStore;
use crate::audit::{KnownEvents, LoggingEvent, LoggingEventReader, ProvenContent};
use crate::debug::opaque_debug;
use crate::events::TrailCalls;
use crate::model::{ObjectRef, Requests};
use crate::records::EventSummary;
use crate::store::{LifecycleRule, ListRequest, Object, ObjectVersion, Page, Store, StoreError, StoreProperties};
use crate::verify::Content;

/// A reader of such events that keeps them as evidence of a unit.
pub(super) struct EventsOfFiles {
    pub recorder: Arc<Recorder>,
}

#[async_trait]
impl LoggingEventReader for EventsOfFiles {
    fn read(&self, object: &ObjectRef, content: &ProvenContent) -> io::Result<Vec<LoggingEvent>> {
        let events = TrailCalls.read(object, content);
        self.recorder.keep_logging_events(object, events.as_deref().ok());
        events
    }

    fn read_record(&self, record: &str) -> Option<(EventSummary, Option<LoggingEvent>)> {
        TrailCalls.read_record(record)
    }
}

/// A reader of such events that takes them from the evidence of units, and asks nobody else.
pub struct MergedLoggingEvents {
    store: Arc<ResultStore>,
}

opaque_debug!(MergedLoggingEvents);

impl MergedLoggingEvents {
    /// Creates a reader that takes events from these results.
    pub fn new(store: Arc<ResultStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl LoggingEventReader for MergedLoggingEvents {
    fn read(&self, object: &ObjectRef, content: &ProvenContent) -> io::Result<Vec<LoggingEvent>> {
        TrailCalls.read(object, content)
    }

    fn read_record(&self, record: &str) -> Option<(EventSummary, Option<LoggingEvent>)> {
        TrailCalls.read_record(record)
    }

    async fn known(&self, object: &ObjectRef) -> KnownEvents {
        // Results that can't be read end the merge.
        match self.store.logging_events(object).await {
            Ok(Some(events)) => KnownEvents::Known(events),
            Ok(None) | Err(_) => KnownEvents::Unknown,
        }
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(Evidence(self.store.clone())))
    }
}

/// A store that answers from the evidence of units, and fails where they have no answer: the merge needs
/// none about events, and may have no access to the trail's bucket.
struct Evidence(Arc<ResultStore>);

impl Evidence {
    fn unknown<T>() -> Result<T, StoreError> {
        Err(StoreError::Failed("no unit of the plan has read it".to_owned()))
    }
}

#[async_trait]
impl Store for Evidence {
    fn source(&self) -> String {
        self.0.source()
    }

    fn properties(&self) -> StoreProperties {
        self.0.properties()
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        self.0.known_page(request, continuation).await?.map_or_else(Self::unknown, Ok)
    }

    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError> {
        self.0.known_digest(object, version).await?.map_or_else(Self::unknown, Ok)
    }

    async fn content(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
    ) -> Option<Result<Content, StoreError>> {
        self.0.content(object, version, ceiling).await
    }

    async fn versions(&self, _object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        Self::unknown()
    }

    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        self.0.lifecycle_rules(bucket).await
    }

    fn listed_name<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        self.0.listed_name(object)
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        self.0.in_place(place, claimed)
    }

    fn absence(&self) -> &'static str {
        self.0.absence()
    }

    fn requests(&self) -> Requests {
        Requests::default()
    }

    fn refusals(&self) -> u64 {
        0
    }
}
