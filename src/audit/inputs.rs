//! The inputs of an audit, and its result.

use std::sync::Arc;

use super::discovery::discovered::Discovered;
use super::logging_events::LoggingEventReader;
use super::observer::Progress;
use super::request::AuditRequest;
use super::shared::proven_content::{ContentConsumer, ContentExaminer};
use crate::debug::opaque_debug;
use crate::keys::KeySource;
use crate::model::{Checkpoint, Requests};
use crate::records::SummaryRecord;
use crate::store::Store;
use crate::trail::{HistorySource, NeighbourSource, StatusSource};

/// The result of an audit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The last record.
    pub summary: SummaryRecord,
    /// The checkpoint for the next run, if the request had one and the run was completed.
    pub checkpoint: Option<Checkpoint>,
}

/// The verification of a trail.
#[non_exhaustive]
pub struct Audit {
    /// The store of the digests and log files.
    pub store: Arc<dyn Store>,
    /// The source of the public keys.
    pub keys: Arc<dyn KeySource>,
    /// The source of CloudTrail's statements about the trail's delivery, if they concern the
    /// location that is read.
    pub status: Option<Arc<dyn StatusSource>>,
    /// The source of the trails that deliver to the same location without digests, if these can be
    /// requested.
    pub neighbours: Option<Arc<dyn NeighbourSource>>,
    /// The request.
    pub request: AuditRequest,
    /// The progress, to be read from another thread.
    pub progress: Arc<Progress>,
    /// The chains, if another run has found them already.
    pub discovered: Option<Discovered>,
    /// The consumer of the content of log files that are found intact. Content that the store knows
    /// without its bytes ([`Store::content`]) is read for it.
    pub consumer: Option<Arc<dyn ContentConsumer>>,
    /// The examiner of the content of log files that are found intact, whose records follow theirs.
    /// Content is read for it as for the consumer.
    pub examiner: Option<Arc<dyn ContentExaminer>>,
    /// The reader of the events that explain gaps, at depth `content`. Log files of the trail's home
    /// region around a gap are read for it once more.
    pub logging_events: Option<Arc<dyn LoggingEventReader>>,
    /// The source of management events in gaps, which are not signed, with the reader of its records.
    pub event_history: Option<(Arc<dyn HistorySource>, Arc<dyn LoggingEventReader>)>,
}

impl Audit {
    /// Creates an audit that asks nobody but this store and this source of keys.
    pub fn new(store: Arc<dyn Store>, keys: Arc<dyn KeySource>, request: AuditRequest) -> Self {
        Self {
            store,
            keys,
            status: None,
            neighbours: None,
            request,
            progress: Arc::default(),
            discovered: None,
            consumer: None,
            examiner: None,
            logging_events: None,
            event_history: None,
        }
    }
}

opaque_debug!(Audit);

impl Audit {
    /// The requests that were sent, those before the run included.
    pub(super) fn requests(&self) -> Requests {
        let mut requests = self.store.requests();
        requests.other += self.keys.requests() + self.request.requests_before;
        requests.other += self.status.as_ref().map_or(0, |status| status.requests());
        requests.other += self.neighbours.as_ref().map_or(0, |neighbours| neighbours.requests());
        requests.other += self.event_history.as_ref().map_or(0, |(source, _)| source.requests());
        requests
    }
}
