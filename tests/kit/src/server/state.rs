//! The state of the server: versioned buckets, trails, keys, and the requests that it refuses.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::authority::KeyAuthority;
use crate::forge::{Chain, Digest, ForgedTrail, Stored};

/// The options that control how the server behaves.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The time that the server waits before it answers.
    pub latency: Duration,
    /// The regions of buckets that are not in the trail's home region.
    pub bucket_regions: HashMap<String, String>,
    /// Keys that GetObject refuses with AccessDenied.
    pub denied_keys: HashSet<String>,
    /// Keys that GetObject refuses with InvalidObjectState.
    pub archived_keys: HashSet<String>,
    /// Prefixes that listing refuses; the empty one refuses every listing.
    pub denied_prefixes: Vec<String>,
    /// Prefixes that listing refuses, while it allows prefixes below them.
    pub denied_exact_prefixes: Vec<String>,
    /// True if listings leave out `KeyCount`, as some servers' do.
    pub without_key_count: bool,
    /// CloudTrail actions that are refused, as `GetTrail` or `ListPublicKeys:eu-west-1`.
    pub denied_actions: HashSet<String>,
    /// The maximum number of keys on a page of ListPublicKeys.
    pub keys_a_page: Option<usize>,
    /// The maximum number of objects on a page of a listing.
    pub objects_a_page: Option<usize>,
    /// The time at which CloudTrail says that it last delivered a digest, by region; by default,
    /// the delivery time of the forge's newest one.
    pub latest_deliveries: HashMap<String, Timestamp>,
    /// The delivery times of digests that come later than others do, by key.
    pub late_deliveries: HashMap<String, Timestamp>,
    /// The time at which logging was last stopped, as CloudTrail says.
    pub logging_stopped: Option<Timestamp>,
    /// True if CloudTrail says that the trail is not logging.
    pub is_off: bool,
    /// The error with which CloudTrail says that it could not deliver log files.
    pub delivery_error: Option<String>,
    /// The records of the management events that CloudTrail's Event History has. The answer leaves out
    /// the record of one whose `eventID` is `without-record`.
    pub event_history: Vec<Value>,
    /// Trails that CloudTrail knows beside the forged one.
    pub other_trails: Vec<TrailAnswer>,
    /// The enabled regions of every account; by default, those of the trail.
    pub enabled_regions: Option<Vec<String>>,
    /// Regions in which CloudTrail does not take the credentials, because they are not enabled.
    pub disabled_regions: HashSet<String>,
    /// The accounts of the organization with the time at which each joined; by default, the trail's
    /// own and those that it logs.
    pub organization_accounts: Option<Vec<(String, Timestamp)>>,
    /// The account of the caller; by default, the owner of the trail.
    pub caller: Option<String>,
    /// The lifecycle rules of every bucket.
    pub lifecycle: Vec<Lifecycle>,
    /// Transient faults: the random seed, and the percentage of requests that have one.
    pub faults: Option<(u64, u8)>,
    /// The number of GetObject requests of a thousand that are answered with SlowDown.
    pub slow_down_permille: u16,
    /// The faults of single objects, by key.
    pub key_faults: HashMap<String, KeyFault>,
    /// The number of S3 requests that are answered before every further one is refused, and the
    /// status and the code of the refusal.
    pub refuses_after: Option<(u64, u16, &'static str)>,
    /// True if a bucket always claims to be in another region than the one that was asked.
    pub wandering_buckets: bool,
    /// True if a misdirected request is answered with 400 instead of 301; the region is in the
    /// answer's header.
    pub bad_request_redirects: bool,
    /// True if every page of a listing but the first fails.
    pub later_pages_fail: bool,
    /// The number of webhooks that fail before one is accepted, and the status with which they
    /// fail.
    pub webhook_fails: Option<(usize, u16)>,
    /// S3 operations that are refused, as `ListObjectVersions` or `GetObjectVersion`.
    pub denied_operations: HashSet<String>,
}

/// A notice that the server received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path of a webhook's URL; `sns REGION` for a notice to a topic.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// A fault of one object, which does not depend on chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// The caller may not use the KMS key that encrypts the object.
    KmsDenied,
    /// A listing shows the object, and reading it says that it does not exist.
    Vanishes,
    /// The body of the first answer stops halfway and never ends.
    StallsOnce,
    /// Only the first request for the object is answered; the others are denied.
    DeniedLater,
    /// Only the first request for the object is answered; later it does not exist.
    VanishesLater,
}

/// A transient fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    InternalError,
    SlowDown,
    TooManyRequests,
    /// The connection is closed before an answer.
    Reset,
    /// The body ends before its announced length.
    CutShort,
    /// The body is cut short, and no length was announced.
    CutUnannounced,
    /// The answer is complete, and the connection is closed after it.
    ClosedAfter,
}

const ALL_FAULTS: [Fault; 7] = [
    Fault::InternalError,
    Fault::SlowDown,
    Fault::TooManyRequests,
    Fault::Reset,
    Fault::CutShort,
    Fault::CutUnannounced,
    Fault::ClosedAfter,
];

/// A lifecycle rule that lets objects expire.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    pub id: String,
    pub prefix: String,
    pub days: i32,
    /// True if the rule applies only to objects with a certain tag.
    pub tagged: bool,
}

/// A trail as GetTrail describes it.
#[derive(Debug, Clone)]
pub struct TrailAnswer {
    pub arn: String,
    pub bucket: String,
    pub prefix: String,
    pub organization: Option<String>,
    /// True if log file validation is on.
    pub validated: bool,
}

/// One version of an object. A version without content is a delete marker.
#[derive(Debug, Clone)]
pub struct Version {
    pub content: Option<Stored>,
    pub last_modified: Timestamp,
}

impl Version {
    /// The ID of the version at this place of an object's history.
    pub fn id(index: usize) -> String {
        format!("version-{index}")
    }
}

#[derive(Debug, Default)]
pub struct Bucket {
    pub region: String,
    /// The versions of each key, the newest last.
    pub objects: BTreeMap<String, Vec<Version>>,
}

impl Bucket {
    /// Returns the object as it was at `now`, or as it is if that is `None`.
    pub fn current(&self, key: &str, now: Option<Timestamp>) -> Option<&Stored> {
        let written = |version: &&Version| now.is_none_or(|now| version.last_modified <= now);
        self.objects.get(key)?.iter().rfind(written)?.content.as_ref()
    }
}

pub struct State {
    pub buckets: RwLock<HashMap<String, Bucket>>,
    pub trails: Vec<TrailAnswer>,
    /// The delivery times of the digests, by region, in the order of the digests.
    deliveries: HashMap<String, Vec<Timestamp>>,
    /// The server's current time, if it is not the machine's: objects written later do not exist
    /// yet.
    now: RwLock<Option<Timestamp>>,
    pub keys: KeyAuthority,
    /// The owner of the trail.
    pub owner: String,
    pub regions: Vec<String>,
    pub accounts: Vec<String>,
    pub options: ServerOptions,
    calls: Mutex<HashMap<String, u64>>,
    /// The buckets that requests named.
    buckets_asked: Mutex<HashSet<String>>,
    received: Mutex<Vec<Received>>,
    dice: Mutex<fastrand::Rng>,
}

impl State {
    pub fn new(trail: &ForgedTrail, options: ServerOptions) -> Self {
        let spec = &trail.spec;
        let known = TrailAnswer {
            arn: spec.arn(),
            bucket: spec.bucket.clone(),
            prefix: spec.prefix.clone(),
            organization: spec.organization.clone(),
            validated: true,
        };
        let mut buckets: HashMap<String, Bucket> = HashMap::new();
        let region = |bucket: &str| options.bucket_regions.get(bucket).unwrap_or(&spec.home_region).clone();
        buckets.entry(spec.bucket.clone()).or_default().region = region(&spec.bucket);
        for ((bucket, key), stored) in &trail.objects {
            let held = buckets.entry(bucket.clone()).or_default();
            held.region = region(bucket);
            held.objects
                .entry(key.clone())
                .or_default()
                .push(Version { last_modified: stored.last_modified, content: Some(stored.clone()) });
        }
        let own = trail.chains.iter().filter(|chain| chain.account == spec.owner);
        let delivered =
            |digest: &Digest| options.late_deliveries.get(&digest.key).copied().unwrap_or(digest.delivered());
        let delivered = |chain: &Chain| chain.digests.iter().map(delivered).collect();
        let deliveries = own.map(|chain| (chain.region.clone(), delivered(chain))).collect();
        Self {
            deliveries,
            now: RwLock::default(),
            buckets: RwLock::new(buckets),
            trails: [vec![known], options.other_trails.clone()].concat(),
            keys: spec.keys.clone(),
            owner: spec.owner.clone(),
            regions: spec.regions.clone(),
            accounts: spec.accounts.clone(),
            dice: Mutex::new(fastrand::Rng::with_seed(options.faults.map_or(1, |(seed, _)| seed))),
            options,
            calls: Mutex::default(),
            buckets_asked: Mutex::default(),
            received: Mutex::default(),
        }
    }

    /// Returns the time at which CloudTrail last delivered a digest.
    pub fn latest_delivery(&self, region: &str) -> Option<Timestamp> {
        let told = self.options.latest_deliveries.get(region).copied();
        let now = self.now();
        let all = self.deliveries.get(region).into_iter().flatten().copied();
        told.or_else(|| all.filter(|at| now.is_none_or(|now| *at <= now)).max())
    }

    pub fn now(&self) -> Option<Timestamp> {
        *self.now.read().expect("no test panics holding it")
    }

    pub fn set_now(&self, now: Timestamp) {
        *self.now.write().expect("no test panics holding it") = Some(now);
    }

    /// Records a notice and returns the number of notices received so far.
    pub fn receive(&self, notice: Received) -> usize {
        let mut received = self.received.lock().expect("no test panics holding it");
        received.push(notice);
        received.len()
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no test panics holding it").clone()
    }

    /// Draws the fault of this request, if it is to have one.
    pub fn fault(&self) -> Option<Fault> {
        let (_, percent) = self.options.faults?;
        let mut dice = self.dice.lock().expect("no test panics holding it");
        (dice.u8(..100) < percent).then(|| ALL_FAULTS[dice.usize(..ALL_FAULTS.len())])
    }

    /// Returns whether this request is to be refused with SlowDown.
    pub fn slows_down(&self) -> bool {
        let permille = self.options.slow_down_permille;
        permille > 0 && self.dice.lock().expect("no test panics holding it").u16(..1000) < permille
    }

    /// Counts a request and returns the number of requests so far.
    pub fn next_request(&self) -> u64 {
        self.count("Request");
        self.calls("Request")
    }

    /// Returns whether this object's body is to stall now: only in the first answer.
    pub fn stalls(&self, key: &str) -> bool {
        self.options.key_faults.get(key) == Some(&KeyFault::StallsOnce) && self.is_first("Stall", key)
    }

    /// Returns whether something happens to an object for the first time, and counts it.
    pub fn is_first(&self, what: &str, key: &str) -> bool {
        let name = format!("{what} {key}");
        self.count(&name);
        self.calls(&name) == 1
    }

    pub fn asks_for(&self, bucket: &str) {
        self.buckets_asked.lock().expect("no test panics holding it").insert(bucket.to_owned());
    }

    pub fn buckets_asked(&self) -> HashSet<String> {
        self.buckets_asked.lock().expect("no test panics holding it").clone()
    }

    pub fn count(&self, operation: &str) {
        *self.calls.lock().expect("no test panics holding it").entry(operation.to_owned()).or_default() += 1;
    }

    pub fn calls(&self, operation: &str) -> u64 {
        self.calls.lock().expect("no test panics holding it").get(operation).copied().unwrap_or_default()
    }

    pub fn put(&self, bucket: &str, key: &str, stored: Stored) {
        let mut buckets = self.buckets.write().expect("no test panics holding it");
        let held = buckets.entry(bucket.to_owned()).or_default();
        held.objects
            .entry(key.to_owned())
            .or_default()
            .push(Version { last_modified: stored.last_modified, content: Some(stored) });
    }

    /// Puts an object in an existing bucket if `fits` accepts the object that is there, if any.
    pub fn put_if(
        &self,
        bucket: &str,
        key: &str,
        stored: Stored,
        fits: impl FnOnce(Option<&Stored>) -> bool,
    ) -> s3s::S3Result<bool> {
        let mut buckets = self.buckets.write().expect("no test panics holding it");
        let held = buckets
            .get_mut(bucket)
            .ok_or_else(|| s3s::s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        if !fits(held.current(key, None)) {
            return Ok(false);
        }
        let last_modified = stored.last_modified;
        held.objects.entry(key.to_owned()).or_default().push(Version { content: Some(stored), last_modified });
        Ok(true)
    }

    pub fn delete(&self, bucket: &str, key: &str, at: Timestamp) {
        let mut buckets = self.buckets.write().expect("no test panics holding it");
        let held = buckets.entry(bucket.to_owned()).or_default();
        held.objects.entry(key.to_owned()).or_default().push(Version { content: None, last_modified: at });
    }
}
