//! What every part of a running audit shares.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use ahash::{HashSet, RandomState};
use jiff::Timestamp;
use tokio::sync::{OnceCell, Semaphore};

use crate::audit::io::ordered_tasks::TaskLimits;
use crate::audit::io::read_object::ObjectReader;
use crate::audit::listing::log_files::LogFileLister;
use crate::audit::observer::Progress;
use crate::audit::request::{AuditRequest, fresh_from};
use crate::audit::resume::selection::Resume;
use crate::audit::shared::folder_answers::Answers;
use crate::audit::shared::key_cache::KeyCache;
use crate::audit::shared::neighbours::Neighbours;
use crate::model::{ChainId, ObjectRef, Period, Region, TimeRange};
use crate::store::{LifecycleRule, Store};
use crate::sync::lock;
use crate::trail::TrailStatus;

/// What CloudTrail says of the trail's own account, by region; an error says why nothing is known.
pub(crate) type Statuses = BTreeMap<Region, Result<TrailStatus, String>>;

/// What every part of a running audit shares.
#[derive(Clone)]
pub(crate) struct Context {
    pub store: Arc<dyn Store>,
    pub keys: Arc<KeyCache>,
    pub request: AuditRequest,
    /// The requested range with its end filled in.
    pub range: TimeRange,
    pub progress: Arc<Progress>,
    pub statuses: Statuses,
    /// What earlier runs left of the chain that is examined.
    pub resume: Option<Arc<Resume>>,
    /// When S3 had last written a digest of the chain that is examined, now or when an earlier run listed it,
    /// where a checkpoint is kept: log files that digests list were written before.
    pub written_after: Option<Timestamp>,
    /// The chains that this run examines.
    pub examined: Arc<BTreeSet<ChainId>>,
    /// The ends of the first and of the last digest of any chain that was listed.
    pub ends: Option<Period>,
    /// Reads objects, within the limit of those that are read at once.
    pub reader: ObjectReader,
    /// The turn of the next large digest.
    pub large_digests: Arc<Semaphore>,
    /// How many bytes were hashed of digests that are too large to be read.
    pub oversized_bytes: Arc<AtomicU64>,
    /// What fingerprints are made with; its key is drawn anew for each run.
    pub hasher: RandomState,
    /// What is lacking for a look at versions of objects.
    pub versions_denied: Arc<Mutex<BTreeSet<String>>>,
    /// The files that no valid digest lists and that were told of, by [`Self::fingerprint`].
    pub emitted_strays: Arc<Mutex<HashSet<u64>>>,
    /// The answers of trails that deliver to the same place, of what they list.
    pub answers: Arc<Answers>,
    /// The trails without digests that deliver to the same place, by region.
    pub neighbours: Arc<Neighbours>,
    /// True if not all versions of some object were read, because they are too many or too large.
    pub versions_cut: Arc<AtomicBool>,
    /// The lifecycle rules of each bucket that was asked for them.
    pub lifecycles: Arc<Mutex<BTreeMap<String, Lifecycle>>>,
}

/// The lifecycle rules of a bucket; an error says why they can't be told.
type Lifecycle = Arc<OnceCell<Result<Vec<LifecycleRule>, String>>>;

impl Context {
    /// Lists log files. A file that was written after the run which verified it counts as recent.
    pub fn log_files(&self) -> LogFileLister<'_> {
        let fresh = fresh_from(&self.request);
        let recent_from = self.written_after.map_or(fresh, |after| after.min(fresh));
        LogFileLister { store: self.store.as_ref(), recent_from, now: self.request.now }
    }

    /// The limits of tasks that read objects.
    pub fn task_limits(&self) -> TaskLimits {
        TaskLimits { concurrency: self.request.concurrency, is_remote: self.store.is_live() }
    }

    /// The same, for another range.
    pub fn with_range(&self, range: TimeRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// Returns whether a file that no valid digest lists was not told of before: from then on, it was.
    pub fn is_new_stray(&self, object: &ObjectRef) -> bool {
        let mut emitted = lock(&self.emitted_strays);
        emitted.insert(self.fingerprint(object))
    }

    /// The lifecycle rules of a bucket, asked for once.
    pub async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, String> {
        let lifecycle = {
            let mut known = lock(&self.lifecycles);
            known.entry(bucket.to_owned()).or_default().clone()
        };
        let ask = || async { self.store.lifecycle_rules(bucket).await.map_err(|error| error.to_string()) };
        lifecycle.get_or_init(ask).await.clone()
    }
}

impl Context {
    /// A short form of [`Self::identity`], under a key that nobody outside this run knows, for sets of very many.
    /// Never zero.
    pub fn fingerprint(&self, object: &ObjectRef) -> u64 {
        self.hasher.hash_one(self.identity(object)).max(1)
    }

    /// The name by which an object is known where digests and listings are compared: the name under which the
    /// store lists it.
    pub fn identity<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        self.store.listed_name(object)
    }
}
