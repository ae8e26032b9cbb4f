//! What every part of a running audit shares.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::observer::Progress;
use super::region_keys::RegionKeys;
use super::request::AuditRequest;
use crate::model::{Region, TimeRange};
use crate::store::Store;
use crate::trail::TrailStatus;

/// What CloudTrail says of the trail's own account, by region; an error says why nothing is known.
pub(super) type Statuses = BTreeMap<Region, Result<TrailStatus, String>>;

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
