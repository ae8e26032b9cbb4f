//! What the server holds: versioned buckets, trails, keys, and what it refuses.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::authority::KeyAuthority;
use crate::forge::{Chain, Digest, ForgedTrail, Stored};

/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// How long it waits before it answers.
    pub latency: Duration,
    /// Regions of buckets, where they are not the trail's home region.
    pub bucket_regions: HashMap<String, String>,
    /// Keys that GetObject refuses with AccessDenied.
    pub denied_keys: HashSet<String>,
    /// Keys that GetObject refuses with InvalidObjectState.
    pub archived_keys: HashSet<String>,
    /// Prefixes that listing refuses; the empty one refuses every listing.
    pub denied_prefixes: Vec<String>,
    /// Prefixes that listing refuses, and not what lies below them.
    pub denied_exact_prefixes: Vec<String>,
    /// True if listings leave out `KeyCount`, as some servers' do.
    pub without_key_count: bool,
    /// CloudTrail actions that are refused, as `GetTrail` or `ListPublicKeys:eu-west-1`.
    pub denied_actions: HashSet<String>,
    /// How many keys a page of ListPublicKeys has.
    pub keys_a_page: Option<usize>,
    /// How many objects a page of a listing has.
    pub objects_a_page: Option<usize>,
    /// When CloudTrail says that it last delivered a digest, by region; by itself, when the forge's newest one was delivered.
    pub latest_deliveries: HashMap<String, Timestamp>,
    /// When digests were delivered that came later than others do, by key.
    pub late_deliveries: HashMap<String, Timestamp>,
    /// When CloudTrail says that logging was last stopped.
    pub logging_stopped: Option<Timestamp>,
    /// Trails that CloudTrail knows beside the forged one.
    pub other_trails: Vec<TrailAnswer>,
    /// The enabled regions of every account; by itself, those of the trail.
    pub enabled_regions: Option<Vec<String>>,
    /// Regions in which CloudTrail does not take the credentials, because they are not enabled.
    pub disabled_regions: HashSet<String>,
    /// The accounts of the organization and when each joined; by itself, the trail's own and those that it logs.
    pub organization_accounts: Option<Vec<(String, Timestamp)>>,
    /// The account of the caller; by itself, the owner of the trail.
    pub caller: Option<String>,
    /// The lifecycle rules of every bucket.
    pub lifecycle: Vec<Lifecycle>,
    /// Passing faults: the seed, and how many of a hundred requests have one.
    pub faults: Option<(u64, u8)>,
    /// How many of a hundred GetObject requests are answered with SlowDown.
    pub slow_down_percent: u8,
    /// What happens to single objects for good.
    pub key_faults: HashMap<String, KeyFault>,
    /// The status and the code with which every S3 request is refused, after so many that were answered.
    pub refuses_after: Option<(u64, u16, &'static str)>,
    /// Whether a bucket always says that it is in another region than the one that was asked.
    pub wandering_buckets: bool,
    /// Whether a misdirected request is answered with 400 and the region in the answer's header, not with 301.
    pub bad_request_redirects: bool,
    /// Whether every page of a listing but the first fails.
    pub later_pages_fail: bool,
    /// How many webhooks are answered with this status before one is taken.
    pub webhook_fails: Option<(usize, u16)>,
    /// S3 operations that are refused, as `ListObjectVersions` or `GetObjectVersion`.
    pub denied_operations: HashSet<String>,
}

/// A notice that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Where it came; `sns REGION` for a topic.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What happens to one object for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// The key that encrypts it may not be used.
    KmsDenied,
    /// A listing shows it, and reading it says that it does not exist.
    Vanishes,
    /// Its body never comes to its end, once.
    StallsOnce,
}

/// A fault that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    InternalError,
    SlowDown,
    TooManyRequests,
    /// The connection is closed before an answer.
    Reset,
    /// The body ends before its announced length.
    CutShort,
    /// The same, without an announced length.
    CutUnannounced,
    /// The answer is whole, and the connection closed behind it.
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
    /// Whether it is for objects with a certain tag alone.
    pub tagged: bool,
}

/// A trail as GetTrail describes it.
#[derive(Debug, Clone)]
pub struct TrailAnswer {
    pub arn: String,
    pub bucket: String,
    pub prefix: String,
    pub organization: Option<String>,
    /// Whether log file validation is on.
    pub validated: bool,
}

/// One version of an object; no content is a delete marker.
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
    /// The newest version last.
    pub objects: BTreeMap<String, Vec<Version>>,
}

impl Bucket {
    /// The object as it was at `now`, if that is given.
    pub fn current(&self, key: &str, now: Option<Timestamp>) -> Option<&Stored> {
        let written = |version: &&Version| now.is_none_or(|now| version.last_modified <= now);
        self.objects.get(key)?.iter().rfind(written)?.content.as_ref()
    }
}

pub struct State {
    pub buckets: RwLock<HashMap<String, Bucket>>,
    pub trails: Vec<TrailAnswer>,
    /// When digests were delivered, by region and by time.
    deliveries: HashMap<String, Vec<Timestamp>>,
    /// The present, where it is not that of the machine: what was written later is not there yet.
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

    /// When CloudTrail last delivered a digest.
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

    /// Takes a notice, and says how many came so far.
    pub fn receive(&self, notice: Received) -> usize {
        let mut received = self.received.lock().expect("no test panics holding it");
        received.push(notice);
        received.len()
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no test panics holding it").clone()
    }

    /// What goes wrong with this request.
    pub fn fault(&self) -> Option<Fault> {
        let (_, percent) = self.options.faults?;
        let mut dice = self.dice.lock().expect("no test panics holding it");
        (dice.u8(..100) < percent).then(|| ALL_FAULTS[dice.usize(..ALL_FAULTS.len())])
    }

    /// Whether this request is to be refused with SlowDown.
    pub fn slows_down(&self) -> bool {
        let percent = self.options.slow_down_percent;
        percent > 0 && self.dice.lock().expect("no test panics holding it").u8(..100) < percent
    }

    /// How many requests came, of whatever kind.
    pub fn next_request(&self) -> u64 {
        self.count("Request");
        self.calls("Request")
    }

    /// Whether this object's body is to stall now.
    pub fn stalls(&self, key: &str) -> bool {
        if self.options.key_faults.get(key) != Some(&KeyFault::StallsOnce) {
            return false;
        }
        let name = format!("Stall {key}");
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

    /// Puts an object in a bucket that there is, if what stands there fits.
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
