//! The forge: makes trails signed as CloudTrail signs them.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::authority::KeyAuthority;
use crate::content;
use crate::document::{DigestDocument, LogFileDocument};
use crate::tamper::gzip;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Regions for trails that need several.
pub const REGIONS: [&str; 8] = [
    "us-east-1",
    "eu-west-1",
    "ap-northeast-1",
    "us-west-2",
    "eu-central-1",
    "sa-east-1",
    "ca-central-1",
    "ap-south-1",
];

/// The specification of a forged trail. The same specification always gives the same trail.
#[derive(Debug, Clone)]
pub struct TrailSpec {
    pub name: String,
    pub home_region: String,
    /// The account that owns the trail.
    pub owner: String,
    pub bucket: String,
    /// The key prefix, without a trailing slash; empty for none.
    pub prefix: String,
    /// The ID (`o-…`) of the organization, for an organization trail.
    pub organization: Option<String>,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
    /// The time from which the range is covered. Each chain has its own minute of the hour: its
    /// first digest begins up to an hour earlier.
    pub start: Timestamp,
    /// The number of hours that are covered.
    pub hours: u32,
    /// Hours, counted from the first digest of a chain, in which logging was off.
    pub stopped: Vec<u32>,
    /// Hours, counted from the first digest of a chain, that have a backfill digest beside the
    /// standard one.
    pub backfill: Vec<u32>,
    /// The time from the end of an hour to the generation of its backfill digest.
    pub backfill_delay: SignedDuration,
    /// The share of its hours in which a chain has log files, in percent; the home region has them
    /// in every hour.
    pub busy_percent: u8,
    /// The maximum number of log files in a busy hour.
    pub log_files: usize,
    /// Hours, counted from the first digest of a chain, in which no chain has log files.
    pub silent: Range<u32>,
    /// The maximum number of events in a log file.
    pub events: usize,
    pub keys: KeyAuthority,
    pub seed: u64,
}

impl Default for TrailSpec {
    fn default() -> Self {
        Self {
            name: "management-events".to_owned(),
            home_region: "us-east-1".to_owned(),
            owner: "111122223333".to_owned(),
            bucket: "example-trail-logs".to_owned(),
            prefix: String::new(),
            organization: None,
            accounts: vec!["111122223333".to_owned()],
            regions: vec!["us-east-1".to_owned()],
            start: "2026-03-01T00:00:00Z".parse().expect("a time"),
            hours: 6,
            stopped: Vec::new(),
            backfill: Vec::new(),
            backfill_delay: SignedDuration::from_hours(6),
            busy_percent: 25,
            log_files: 2,
            silent: 0..0,
            events: 4,
            keys: KeyAuthority::default(),
            seed: 1,
        }
    }
}

/// An object as S3 keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub body: Bytes,
    /// User metadata, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    pub last_modified: Timestamp,
}

/// A digest as the forge made it.
#[derive(Debug, Clone)]
pub struct Digest {
    pub key: String,
    pub document: DigestDocument,
    pub signature: String,
}

impl Digest {
    /// The digest as S3 keeps it.
    fn stored(&self, last_modified: Timestamp) -> Stored {
        let metadata = BTreeMap::from([
            ("signature".to_owned(), self.signature.clone()),
            ("signature-algorithm".to_owned(), "SHA256withRSA".to_owned()),
        ]);
        Stored { body: gzip(&self.document.to_json()).into(), metadata, last_modified }
    }

    /// Returns the time at which CloudTrail delivered the digest: 26 minutes after the end of its
    /// hour.
    pub fn delivered(&self) -> Timestamp {
        let end: Timestamp = self.document.digest_end_time.parse().expect("the forge writes times");
        end + SignedDuration::from_mins(26)
    }
}

/// One chain.
#[derive(Debug, Clone)]
pub struct Chain {
    pub account: String,
    pub region: String,
    /// The standard digests, ordered by time.
    pub digests: Vec<Digest>,
    /// The backfill digests, a series of their own, ordered by time.
    pub backfill: Vec<Digest>,
}

/// A forged trail, intact or tampered with.
#[derive(Debug, Clone)]
pub struct ForgedTrail {
    pub spec: TrailSpec,
    /// The stored objects, by bucket and key.
    pub objects: BTreeMap<(String, String), Stored>,
    /// The chains as they were made, regardless of later tampering with `objects`.
    pub chains: Vec<Chain>,
}

impl Chain {
    /// Standard and backfill digests.
    pub fn all(&self) -> impl Iterator<Item = &Digest> {
        self.digests.iter().chain(&self.backfill)
    }
}

impl TrailSpec {
    /// The ARN of the trail, `arn:aws:cloudtrail:…`.
    pub fn arn(&self) -> String {
        format!("arn:aws:cloudtrail:{}:{}:trail/{}", self.home_region, self.owner, self.name)
    }

    /// Makes the trail.
    pub fn forge(self) -> ForgedTrail {
        let jobs: Vec<(String, String)> = self
            .accounts
            .iter()
            .flat_map(|account| self.regions.iter().map(move |region| (account.clone(), region.clone())))
            .collect();
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len().max(1));
        let spec = &self;
        let made: Vec<(Chain, Vec<(String, Stored)>)> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..workers)
                .map(|worker| {
                    let mine: Vec<_> = jobs.iter().skip(worker).step_by(workers).collect();
                    scope.spawn(move || mine.into_iter().map(|(a, r)| spec.forge_chain(a, r)).collect::<Vec<_>>())
                })
                .collect();
            handles.into_iter().flat_map(|handle| handle.join().expect("the forge does not fail")).collect()
        });
        let mut chains = Vec::new();
        let mut objects = BTreeMap::new();
        for (chain, stored) in made {
            chains.push(chain);
            objects.extend(stored.into_iter().map(|(key, stored)| ((self.bucket.clone(), key), stored)));
        }
        chains.sort_by(|a, b| (&a.account, &a.region).cmp(&(&b.account, &b.region)));
        ForgedTrail { spec: self, objects, chains }
    }

    fn root(&self, account: &str) -> String {
        let prefix = if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let organization = self.organization.as_ref().map(|id| format!("{id}/")).unwrap_or_default();
        format!("{prefix}AWSLogs/{organization}{account}")
    }

    fn forge_chain(&self, account: &str, region: &str) -> (Chain, Vec<(String, Stored)>) {
        let place = format!("{account}/{region}/{}", self.name);
        let salt = u64::from_be_bytes(Sha256::digest(place.as_bytes())[..8].try_into().expect("eight bytes"));
        let mut rng = Rng::with_seed(self.seed ^ salt);
        // Every chain keeps its own minute and second of the hour.
        let offset = SignedDuration::from_secs(rng.i64(1..3600));
        let mut objects = Vec::new();
        let mut digests: Vec<Digest> = Vec::new();
        let mut previous: Option<&Digest>;
        for hour in 0..=self.hours {
            if self.stopped.contains(&hour) {
                continue;
            }
            let start = self.start - HOUR + offset + HOUR * i32::try_from(hour).expect("a few years of hours");
            previous = digests.last().filter(|_| hour > 0 && !self.stopped.contains(&(hour - 1)));
            let log_files = match self.silent.contains(&hour) {
                true => Vec::new(),
                false => self.forge_log_files(&mut rng, account, region, start, &mut objects),
            };
            let digest = self.forge_digest(account, region, start, None, previous, log_files);
            objects.push((digest.key.clone(), digest.stored(digest.delivered())));
            digests.push(digest);
        }
        let mut backfill: Vec<Digest> = Vec::new();
        for hour in &self.backfill {
            let start = self.start - HOUR + offset + HOUR * i32::try_from(*hour).expect("a few years of hours");
            let log_files = self.forge_log_files(&mut rng, account, region, start, &mut objects);
            let generated = start + HOUR + self.backfill_delay;
            let digest = self.forge_digest(account, region, start, Some(generated), backfill.last(), log_files);
            let mut stored = digest.stored(generated);
            stored.metadata.insert("backfill-generation-timestamp".to_owned(), generated.to_string());
            objects.push((digest.key.clone(), stored));
            backfill.push(digest);
        }
        (Chain { account: account.to_owned(), region: region.to_owned(), digests, backfill }, objects)
    }

    fn forge_log_files(
        &self,
        rng: &mut Rng,
        account: &str,
        region: &str,
        start: Timestamp,
        objects: &mut Vec<(String, Stored)>,
    ) -> Vec<LogFileDocument> {
        let busy = region == self.home_region || rng.u8(..100) < self.busy_percent;
        let count = if busy { rng.usize(1..=self.log_files.max(1)) } else { 0 };
        let mut entries = Vec::new();
        for _ in 0..count.min(self.log_files) {
            let delivered = start + SignedDuration::from_secs(rng.i64(300..3600));
            let newest = delivered - SignedDuration::from_secs(rng.i64(60..300));
            let events = rng.usize(1..=self.events.max(1));
            let content = content::log_file(rng, account, region, newest, events);
            // Names carry a five-minute multiple, shortly after the newest event.
            let named = Timestamp::from_second((newest.as_second() + 299) / 300 * 300).expect("times of tests");
            let day = named.strftime("%Y/%m/%d");
            let file = format!(
                "{account}_CloudTrail_{region}_{}_{}.json.gz",
                named.strftime("%Y%m%dT%H%MZ"),
                content::unique(rng)
            );
            let key = format!("{}/CloudTrail/{region}/{day}/{file}", self.root(account));
            let oldest = Timestamp::from_second(newest.as_second() - i64::try_from(events).expect("few"))
                .expect("times of tests");
            entries.push(LogFileDocument {
                s3_bucket: self.bucket.clone(),
                s3_object: key.clone(),
                hash_value: hex::encode(Sha256::digest(&content)),
                hash_algorithm: "SHA-256".to_owned(),
                newest_event_time: newest.to_string(),
                oldest_event_time: oldest.to_string(),
            });
            let body = gzip(&content).into();
            objects.push((key, Stored { body, metadata: BTreeMap::new(), last_modified: delivered }));
        }
        entries
    }

    fn forge_digest(
        &self,
        account: &str,
        region: &str,
        start: Timestamp,
        backfilled: Option<Timestamp>,
        previous: Option<&Digest>,
        log_files: Vec<LogFileDocument>,
    ) -> Digest {
        let end = start + HOUR;
        let key_pair = self.keys.signing_key(region, backfilled.unwrap_or(end));
        let key = format!(
            "{}/CloudTrail-Digest/{region}/{}/{account}_CloudTrail-Digest_{region}_{}_{}_{}{}.json.gz",
            self.root(account),
            end.strftime("%Y/%m/%d"),
            self.name,
            self.home_region,
            end.strftime("%Y%m%dT%H%M%SZ"),
            if backfilled.is_some() { "_backfill" } else { "" },
        );
        let document = DigestDocument {
            aws_account_id: account.to_owned(),
            digest_start_time: start.to_string(),
            digest_end_time: end.to_string(),
            digest_s3_bucket: self.bucket.clone(),
            digest_s3_object: key.clone(),
            digest_public_key_fingerprint: key_pair.fingerprint.clone(),
            digest_signature_algorithm: "SHA256withRSA".to_owned(),
            newest_event_time: log_files.iter().map(|file| file.newest_event_time.clone()).max(),
            oldest_event_time: log_files.iter().map(|file| file.oldest_event_time.clone()).min(),
            previous_digest_s3_bucket: previous.map(|digest| digest.document.digest_s3_bucket.clone()),
            previous_digest_s3_object: previous.map(|digest| digest.key.clone()),
            previous_digest_hash_value: previous.map(|digest| digest.document.sha256()),
            previous_digest_hash_algorithm: previous.map(|_| "SHA-256".to_owned()),
            previous_digest_signature: previous.map(|digest| digest.signature.clone()),
            log_files,
        };
        let signature = document.sign(&key_pair);
        Digest { key, document, signature }
    }
}

impl ForgedTrail {
    /// Returns the number of digests that were made.
    pub fn digest_count(&self) -> usize {
        self.chains.iter().flat_map(Chain::all).count()
    }

    /// Returns the number of log files that were made.
    pub fn log_file_count(&self) -> usize {
        self.chains.iter().flat_map(Chain::all).map(|digest| digest.document.log_files.len()).sum()
    }

    /// Adds the objects of another trail that delivers to the same server.
    pub fn merge(&mut self, other: ForgedTrail) {
        self.objects.extend(other.objects);
        self.chains.extend(other.chains);
    }

    /// The public keys by region: a key file whose keys are known to be the regions' own, so that
    /// they can accuse.
    pub fn keys_by_region(&self) -> serde_json::Value {
        let day = SignedDuration::from_hours(24);
        let (from, to) =
            (self.spec.start - day, self.spec.start + day + HOUR * i32::try_from(self.spec.hours).expect("hours"));
        let listing = |region: &String| (region.clone(), self.spec.keys.listing(region, from, to));
        serde_json::Value::Object(self.spec.regions.iter().map(listing).collect())
    }

    /// The public keys of all regions in one list: a key file that does not say whose keys they
    /// are, so that they can only prove.
    pub fn keys_flat(&self) -> serde_json::Value {
        let by_region = self.keys_by_region();
        let lists = by_region.as_object().expect("an object").values();
        let keys: Vec<_> = lists.flat_map(|list| list["PublicKeyList"].as_array().expect("a list").clone()).collect();
        serde_json::json!({ "PublicKeyList": keys })
    }
}
