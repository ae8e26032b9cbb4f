//! The state that every part of a running audit shares.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use ahash::{HashSet, RandomState};
use jiff::Timestamp;
use tokio::sync::{OnceCell, Semaphore};

use crate::audit::event_history::EventHistory;
use crate::audit::io::ordered_tasks::TaskLimits;
use crate::audit::io::read_object::ObjectReader;
use crate::audit::listing::log_files::LogFileLister;
use crate::audit::logging_events::LoggingEvents;
use crate::audit::observer::Progress;
use crate::audit::request::{AuditRequest, fresh_from};
use crate::audit::resume::state::Resume;
use crate::audit::shared::folder_answers::Answers;
use crate::audit::shared::key_cache::KeyCache;
use crate::audit::shared::neighbours::Neighbours;
use crate::audit::shared::proven_content::Consumption;
use crate::model::{ChainId, ObjectRef, OpenPoint, Period, Region, TimeRange};
use crate::store::{LifecycleRule, Store};
use crate::sync::lock;
use crate::trail::TrailStatus;

/// CloudTrail's statements about the trail's own account, by region; an error is the reason why
/// nothing is known.
pub(crate) type Statuses = BTreeMap<Region, Result<TrailStatus, String>>;

/// The state that every part of a running audit shares.
#[derive(Clone)]
pub(crate) struct Context {
    pub store: Arc<dyn Store>,
    pub keys: Arc<KeyCache>,
    pub request: AuditRequest,
    /// The requested range with its end filled in.
    pub range: TimeRange,
    pub progress: Arc<Progress>,
    pub statuses: Statuses,
    /// The state that earlier runs left of the chain that is examined.
    pub resume: Option<Arc<Resume>>,
    /// The time at which S3 had last written a digest of the examined chain, in this run's listing
    /// or an earlier run's, if a checkpoint is kept: log files that digests list were written
    /// before.
    pub written_after: Option<Timestamp>,
    /// The chains that this run examines.
    pub examined: Arc<ExaminedChains>,
    /// The ends of the first and of the last digest of any chain that was listed.
    pub ends: Option<Period>,
    /// The reader of objects, which limits how many are read at once.
    pub reader: ObjectReader,
    /// The permit for decompressing a large digest; there is only one.
    pub large_digests: Arc<Semaphore>,
    /// The number of bytes that were hashed of digests that are too large to be parsed.
    pub oversized_bytes: Arc<AtomicU64>,
    /// The hasher of fingerprints; its key is drawn anew for each run.
    pub hasher: RandomState,
    /// The permissions that are missing for reading versions of objects.
    pub versions_denied: Arc<Mutex<BTreeSet<String>>>,
    /// The emitted files that no valid digest lists, by [`Self::fingerprint`].
    pub emitted_strays: Arc<Mutex<HashSet<u64>>>,
    /// The files listed by digests of trails that deliver to the same location, by folder.
    pub answers: Arc<Answers>,
    /// The trails without digests that deliver to the same place, by region.
    pub neighbours: Arc<Neighbours>,
    /// True if not all versions of some object were read, because they are too many or too large.
    pub versions_cut: Arc<AtomicBool>,
    /// The answers about the events that explain gaps.
    pub logging_events: Option<Arc<LoggingEvents>>,
    /// The answers of CloudTrail's Event History about gaps.
    pub event_history: Option<Arc<EventHistory>>,
    /// The consumer of the content of log files that are found intact.
    pub consumption: Option<Consumption>,
    /// The lifecycle rules of each bucket that was asked for them.
    pub lifecycles: Arc<Mutex<BTreeMap<String, Lifecycle>>>,
}

/// The chains that a run examines, as hashes: there may be a million of them.
#[derive(Debug, Default)]
pub(crate) struct ExaminedChains {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl ExaminedChains {
    /// Adds a chain.
    pub(crate) fn insert(&mut self, chain: &ChainId) {
        self.hashes.insert(self.hasher.hash_one(chain));
    }

    /// Returns the number of chains.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Returns whether a chain is among them.
    pub(crate) fn contains(&self, chain: &ChainId) -> bool {
        self.hashes.contains(&self.hasher.hash_one(chain))
    }
}

/// The lifecycle rules of a bucket; an error is the reason why they are unknown.
type Lifecycle = Arc<OnceCell<Result<Vec<LifecycleRule>, String>>>;

impl Context {
    /// Returns a lister of log files. A file that was written after the run which verified it
    /// counts as recent.
    pub(crate) fn log_files(&self) -> LogFileLister<'_> {
        let fresh = fresh_from(&self.request);
        let recent_from = self.written_after.map_or(fresh, |after| after.min(fresh));
        LogFileLister { store: self.store.as_ref(), recent_from, now: self.request.now }
    }

    /// Returns the limits of tasks that read objects.
    pub(crate) fn task_limits(&self) -> TaskLimits {
        TaskLimits { concurrency: self.request.concurrency, is_remote: self.store.properties().is_remote }
    }

    /// Returns whether a chain bears the name of the trail that the request names, and its home region.
    pub(crate) fn is_of_trail(&self, chain: &ChainId) -> bool {
        let trail = self.request.trail.as_ref();
        trail.is_some_and(|arn| arn.name == chain.trail && arn.home_region == chain.home_region)
    }

    /// Returns the same context for another range.
    pub(crate) fn with_range(&self, range: TimeRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// Returns the violations that earlier runs reported about objects of a chain.
    pub(crate) fn standing(&self, chain: &ChainId) -> impl Iterator<Item = &OpenPoint> {
        let chain = self.request.checkpoint.as_ref().and_then(|checkpoint| checkpoint.chains.get(chain));
        chain.into_iter().flat_map(|chain| &chain.open).filter(|point| point.is_standing())
    }

    /// Returns whether a file that no valid digest lists was not emitted before, and marks it as
    /// emitted.
    pub(crate) fn is_new_stray(&self, object: &ObjectRef) -> bool {
        let mut emitted = lock(&self.emitted_strays);
        emitted.insert(self.fingerprint(object))
    }

    /// Returns the lifecycle rules of a bucket, which are requested once.
    pub(crate) async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, String> {
        let lifecycle = {
            let mut known = lock(&self.lifecycles);
            known.entry(bucket.to_owned()).or_default().clone()
        };
        let ask = || async { self.store.lifecycle_rules(bucket).await.map_err(|error| error.to_string()) };
        lifecycle.get_or_init(ask).await.clone()
    }
}

impl Context {
    /// Returns a short form of [`Self::identity`] for very large sets, under a key that is unknown
    /// outside this run. Never zero.
    pub(crate) fn fingerprint(&self, object: &ObjectRef) -> u64 {
        self.hasher.hash_one(self.identity(object)).max(1)
    }

    /// Returns the name under which the store lists an object, by which it is recognized where
    /// digests and listings are compared.
    pub(crate) fn identity<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        self.store.listed_name(object)
    }
}
