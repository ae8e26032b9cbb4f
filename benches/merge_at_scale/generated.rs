//! A trail of any number of chains that is made while it is read: little of it is kept.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use ctverify::keys::{KeySet, KeySource, KeySourceError, ListedKey};
use ctverify::model::{LogRoot, ObjectRef, Region, Requests, TimeRange};
use ctverify::store::{
    Body, LifecycleRule, ListRequest, ListedObject, Location, Object, ObjectVersion, Page, Store, StoreError,
    StoreProperties,
};
use ctverify::verify::DigestMetadata;
use ctverify_testkit::{DigestDocument, KeyAuthority, LogFileDocument, gzip};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// The number of log files of each chain.
pub(crate) const LOG_FILES: u64 = 48;
const BUCKET: &str = "generated-trail-logs";
const REGION: &str = "eu-west-1";
/// The number of names on a page (S3 API reference, ListObjectsV2).
const PAGE: usize = 1000;

/// The content of every log file, compressed.
static LOG_FILE: LazyLock<Bytes> = LazyLock::new(|| gzip(CONTENT).into());
const CONTENT: &[u8] = b"{\"Records\":[]}";

fn start() -> Timestamp {
    Timestamp::constant(1_772_323_200, 0)
}

fn end() -> Timestamp {
    start() + SignedDuration::from_hours(1)
}

pub(crate) fn range() -> TimeRange {
    TimeRange { start: Some(start()), end: Some(end()) }
}

/// Long after the range, so that nothing of it is fresh.
pub(crate) fn now() -> Timestamp {
    start() + SignedDuration::from_hours(24 * 30)
}

pub(crate) fn location() -> Location {
    Location { bucket: BUCKET.to_owned(), root: LogRoot::default() }
}

/// The number of accounts that are kept at most: more than are verified at once.
const KEPT: usize = 4096;

/// A bucket with a trail of so many accounts, each with one chain.
pub(crate) struct Generated {
    pub chains: u64,
    kept: Mutex<HashMap<u64, Arc<Account>>>,
}

/// The objects of an account.
struct Account {
    name: String,
    /// All keys, sorted.
    keys: Vec<String>,
    /// Signed once somebody reads one: listings don't.
    digests: OnceLock<[MadeDigest; 2]>,
}

struct MadeDigest {
    key: String,
    /// The compressed content.
    content: Bytes,
    signature: String,
}

impl Generated {
    pub(crate) fn new(chains: u64) -> Self {
        Self { chains, kept: Mutex::default() }
    }

    /// The objects of an account, which are asked for several times in a row.
    fn account(&self, number: u64) -> Arc<Account> {
        if let Some(kept) = self.kept.lock().unwrap().get(&number) {
            return kept.clone();
        }
        let made = Arc::new(Account::make(number));
        let mut kept = self.kept.lock().unwrap();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(number, made.clone());
        made
    }
}

impl Account {
    fn make(number: u64) -> Self {
        let name = account(number);
        let mut keys: Vec<String> = (0..LOG_FILES).map(|number| log_file_key(&name, number)).collect();
        // The next digest tells that the last one of the range is not missing.
        keys.extend([digest_key(&name, end()), digest_key(&name, end() + SignedDuration::from_hours(1))]);
        keys.sort();
        Self { name, keys, digests: OnceLock::new() }
    }

    fn digests(&self) -> &[MadeDigest; 2] {
        self.digests.get_or_init(|| {
            let (first, signature) = document(&self.name, start(), None);
            let (next, of_next) = document(&self.name, end(), Some((&first, &signature)));
            [(first, signature), (next, of_next)].map(|(document, signature)| MadeDigest {
                content: gzip(&document.to_json()).into(),
                key: document.digest_s3_object,
                signature,
            })
        })
    }
}

fn account(number: u64) -> String {
    format!("{number:012}")
}

/// The account that a name lies in; `None` if it lies above all accounts.
fn account_of(name: &str) -> Option<u64> {
    name.strip_prefix("AWSLogs/")?.get(..12)?.parse().ok()
}

fn digest_key(account: &str, end: Timestamp) -> String {
    let (day, time) = (end.strftime("%Y/%m/%d"), end.strftime("%Y%m%dT%H%M%SZ"));
    format!(
        "AWSLogs/{account}/CloudTrail-Digest/{REGION}/{day}/{account}_CloudTrail-Digest_{REGION}_generated_us-east-1_{time}.json.gz"
    )
}

/// The day and the time in the names of log files.
static TIMES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let times = (0..12).map(|number| start() + SignedDuration::from_mins(5 * number));
    times.map(|at| (at.strftime("%Y/%m/%d").to_string(), at.strftime("%Y%m%dT%H%MZ").to_string())).collect()
});

fn log_file_key(account: &str, number: u64) -> String {
    let (day, time) = &TIMES[usize::try_from(number % 12).unwrap()];
    format!("AWSLogs/{account}/CloudTrail/{REGION}/{day}/{account}_CloudTrail_{REGION}_{time}_{number:016}.json.gz")
}

fn document(account: &str, begin: Timestamp, previous: Option<(&DigestDocument, &str)>) -> (DigestDocument, String) {
    let end = begin + SignedDuration::from_hours(1);
    let key = KeyAuthority::default().signing_key(REGION, end);
    let text = |at: Timestamp| at.to_string();
    let hash = hex::encode(Sha256::digest(CONTENT));
    let log_file = |number| LogFileDocument {
        s3_bucket: BUCKET.to_owned(),
        s3_object: log_file_key(account, number),
        hash_value: hash.clone(),
        hash_algorithm: "SHA-256".to_owned(),
        newest_event_time: text(begin),
        oldest_event_time: text(begin),
    };
    let listed = if previous.is_none() { LOG_FILES } else { 0 };
    let document = DigestDocument {
        aws_account_id: account.to_owned(),
        digest_start_time: text(begin),
        digest_end_time: text(end),
        digest_s3_bucket: BUCKET.to_owned(),
        digest_s3_object: digest_key(account, end),
        digest_public_key_fingerprint: key.fingerprint.clone(),
        digest_signature_algorithm: "SHA256withRSA".to_owned(),
        newest_event_time: Some(text(begin)),
        oldest_event_time: Some(text(begin)),
        previous_digest_s3_bucket: previous.map(|_| BUCKET.to_owned()),
        previous_digest_s3_object: previous.map(|(before, _)| before.digest_s3_object.clone()),
        previous_digest_hash_value: previous.map(|(before, _)| before.sha256()),
        previous_digest_hash_algorithm: previous.map(|_| "SHA-256".to_owned()),
        previous_digest_signature: previous.map(|(_, signature)| signature.to_owned()),
        log_files: (0..listed).map(log_file).collect(),
    };
    let signature = document.sign(&key);
    (document, signature)
}

struct Whole(Option<Bytes>);

#[async_trait]
impl Body for Whole {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.take())
    }
}

fn object(body: Bytes, signature: Option<&str>) -> Object {
    Object {
        metadata: DigestMetadata::from_pairs(signature.map(|signature| ("signature", signature))),
        metadata_note: None,
        head: None,
        is_uncompressed: false,
        body: Box::new(Whole(Some(body))),
    }
}

#[async_trait]
impl Store for Generated {
    fn source(&self) -> String {
        format!("s3://{BUCKET}")
    }

    fn properties(&self) -> StoreProperties {
        StoreProperties::BUCKET
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        let ListRequest { prefix, start_after, folders, .. } = request;
        let after = continuation.or(start_after.as_deref()).unwrap_or_default();
        let mut page = Page::default();
        let Some(number) = account_of(prefix) else {
            let first = account_of(after).map_or(0, |number| number + 1);
            let last = (first + PAGE as u64).min(self.chains);
            page.folders = (first..last).map(|number| format!("AWSLogs/{}/", account(number))).collect();
            page.next = page.folders.last().filter(|_| last < self.chains).cloned();
            return Ok(page);
        };
        let account = self.account(number);
        for key in account.keys.iter().filter(|key| key.starts_with(prefix.as_str()) && key.as_str() > after) {
            match key[prefix.len()..].find('/').filter(|_| *folders) {
                Some(slash) => page.folders.push(key[..=prefix.len() + slash].to_owned()),
                None => {
                    let last_modified = Some(end());
                    page.objects.push(ListedObject { key: key.clone(), last_modified, size: Some(400), is_file: true });
                }
            }
        }
        page.folders.dedup();
        Ok(page)
    }

    async fn get(&self, asked: &ObjectRef, _: Option<&str>) -> Result<Object, StoreError> {
        let number = account_of(&asked.key).filter(|number| *number < self.chains).ok_or(StoreError::NotFound)?;
        if asked.key.contains("/CloudTrail/") {
            return Ok(object(LOG_FILE.clone(), None));
        }
        if let Some(made) = self.account(number).digests().iter().find(|made| made.key == *asked.key) {
            return Ok(object(made.content.clone(), Some(&made.signature)));
        }
        Err(StoreError::NotFound)
    }

    async fn versions(&self, _: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        Ok(Vec::new())
    }

    async fn lifecycle_rules(&self, _: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        Ok(Vec::new())
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        Ok(place == claimed)
    }

    fn absence(&self) -> &'static str {
        "it was not generated"
    }

    fn requests(&self) -> Requests {
        Requests::default()
    }

    fn refusals(&self) -> u64 {
        0
    }
}

/// The public keys of the generated trail.
pub(crate) struct GeneratedKeys;

#[async_trait]
impl KeySource for GeneratedKeys {
    async fn keys(&self, region: &Region, from: Timestamp, to: Timestamp) -> Result<KeySet, KeySourceError> {
        let published = KeyAuthority::default().published(region.as_str(), from, to);
        let listed = published.into_iter().map(|published| ListedKey {
            fingerprint: published.key.fingerprint.clone(),
            der: published.key.public_der.clone(),
            valid_from: published.valid_from,
            valid_to: published.valid_to,
        });
        let failed = |reason| KeySourceError { region: region.to_string(), reason };
        KeySet::of_listed(listed.collect(), true, Vec::new()).map_err(failed)
    }

    fn requests(&self) -> u64 {
        0
    }

    fn origin(&self) -> String {
        "the generator".to_owned()
    }
}
