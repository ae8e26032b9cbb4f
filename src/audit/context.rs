//! What every part of a running audit shares.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::observer::Progress;
use super::region_keys::RegionKeys;
use super::request::AuditRequest;
use super::tail::Statuses;
use crate::model::TimeRange;
use crate::store::Store;

/// What every part of a running audit shares.
pub(super) struct Context {
    pub store: Arc<dyn Store>,
    pub keys: RegionKeys,
    pub request: AuditRequest,
    /// The requested range with its end filled in.
    pub range: TimeRange,
    pub progress: Arc<Progress>,
    pub statuses: Statuses,
    /// How many more objects may be read at once, whatever they are read for.
    pub permits: Semaphore,
}
