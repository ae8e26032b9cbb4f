//! The inputs of an audit, and its result.

use std::sync::Arc;

use super::observer::Progress;
use super::request::AuditRequest;
use crate::keys::KeySource;
use crate::model::{Checkpoint, Requests, SummaryRecord};
use crate::store::Store;
use crate::trail::{NeighbourSource, StatusSource};

/// The result of an audit.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The last record.
    pub summary: SummaryRecord,
    /// The checkpoint for the next run, where the request had one and the run came to its end.
    pub checkpoint: Option<Checkpoint>,
}

/// The verification of a trail.
pub struct Audit {
    /// The store of the digests and log files.
    pub store: Arc<dyn Store>,
    /// The source of the public keys.
    pub keys: Arc<dyn KeySource>,
    /// CloudTrail's statements about the trail's delivery, where they are about the place that is read.
    pub status: Option<Arc<dyn StatusSource>>,
    /// The trails that deliver to the same place without digests, where that can be asked.
    pub neighbours: Option<Arc<dyn NeighbourSource>>,
    /// The request.
    pub request: AuditRequest,
    /// The progress, to be read from another thread.
    pub progress: Arc<Progress>,
}

impl Audit {
    /// The requests that were sent, those before the run included.
    pub(super) fn requests(&self) -> Requests {
        let mut requests = self.store.requests();
        requests.other += self.keys.requests() + self.request.requests_before;
        requests.other += self.status.as_ref().map_or(0, |status| status.requests());
        requests.other += self.neighbours.as_ref().map_or(0, |neighbours| neighbours.requests());
        requests
    }
}
