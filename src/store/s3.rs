//! Amazon S3, through the AWS SDK.
//!
//! Requests that fail for a passing reason are retried by the SDK. A bucket in another region
//! answers with that region's name: later requests for it go there, so no flag and no extra request
//! is needed.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::config::{
    ConfigBag, Intercept, Region, RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents,
};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat as Format};
use aws_sdk_s3::types::EncodingType;
use jiff::Timestamp;

use super::error::check_length;
use super::s3_answers::{EndOfList, S3Body, decode, is_whole, lifecycle_rule, listed, timestamp, versions_of};
use super::s3_error::{Failure, sort};
use super::{
    Counter, Head, LifecycleRule, ListRequest, Object, ObjectVersion, Page, Store, StoreError, StoreProperties,
};
use crate::aws::RetryTooManyRequests;
use crate::aws::limits::{MAX_BROKEN_LISTINGS, MAX_REDIRECTS, MAX_VERSIONS};
use crate::aws::{Connection, explain, lacks_credentials};
use crate::debug::opaque_debug;
use crate::model::{ObjectRef, Requests};
use crate::sync::lock;
use crate::verify::DigestMetadata;

/// Waits before a listing is asked for again.
async fn pause(tries: usize) {
    let times = u32::try_from(tries).unwrap_or_default().saturating_add(1);
    tokio::time::sleep(std::time::Duration::from_millis(50) * times).await;
}

/// A store that reads S3 with an AWS configuration.
pub struct S3 {
    config: Connection,
    path_style: bool,
    source: String,
    clients: Mutex<HashMap<Option<String>, Client>>,
    bucket_regions: Mutex<HashMap<String, String>>,
    counter: Arc<Counter>,
}

opaque_debug!(S3);

impl S3 {
    /// Creates a store with this configuration. `source` is its name in reports.
    pub fn new(config: Connection, source: String) -> Self {
        Self {
            path_style: config.is_path_style(),
            config,
            source,
            clients: Mutex::default(),
            bucket_regions: Mutex::default(),
            counter: Arc::default(),
        }
    }

    pub(super) fn client(&self, bucket: &str) -> Client {
        let region = lock(&self.bucket_regions).get(bucket).cloned();
        let mut clients = lock(&self.clients);
        let client = clients.entry(region.clone()).or_insert_with(|| {
            let mut config = aws_sdk_s3::config::Builder::from(self.config.sdk())
                .force_path_style(self.path_style)
                // The content is checked against the digests; S3's own checksums would hash
                // everything a second time.
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                // The SDK stops retrying if many requests fail. Here each object is evidence, so
                // retries have no such limit.
                .retry_partition(RetryPartition::custom("ctverify").token_bucket(TokenBucket::unlimited()).build())
                .retry_classifier(RetryTooManyRequests)
                .interceptor(WatchAnswers(self.counter.clone()));
            if let Some(region) = region {
                config = config.region(Region::new(region));
            }
            Client::from_conf(config.build())
        });
        client.clone()
    }

    /// Returns one page of the versions of the keys that begin with this object's key.
    async fn version_page(
        &self,
        object: &ObjectRef,
        (key_marker, version_marker): (Option<String>, Option<String>),
    ) -> Result<ListObjectVersionsOutput, StoreError> {
        let ObjectRef { bucket, key } = object;
        let mut tries = 0;
        loop {
            self.counter.list();
            let answer = self
                .client(bucket)
                .list_object_versions()
                .bucket(&**bucket)
                .prefix(&**key)
                .set_key_marker(key_marker.as_deref().and_then(decode))
                .set_version_id_marker(version_marker.clone())
                .encoding_type(EncodingType::Url)
                .send()
                .await;
            match answer {
                Ok(page) => return Ok(page),
                Err(error) => match self.redirect(&error, "s3:ListBucketVersions", bucket, None, tries) {
                    Err(StoreError::Broken(_)) if tries < MAX_BROKEN_LISTINGS => pause(tries).await,
                    other => other?,
                },
            }
            tries += 1;
        }
    }

    /// Handles a failed request. Returns `Ok` if it is to be sent again, to the region that the
    /// answer named.
    pub(super) fn redirect<E>(
        &self,
        error: &SdkError<E, HttpResponse>,
        action: &str,
        bucket: &str,
        key: Option<&str>,
        tries: usize,
    ) -> Result<(), StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if lacks_credentials(error) {
            return Err(StoreError::Credentials(explain(error, &self.config.name_of("S3"))));
        }
        match sort(error, &self.config.name_of("S3"), action, bucket, key) {
            Failure::OtherRegion(region) if tries < MAX_REDIRECTS => {
                lock(&self.bucket_regions).insert(bucket.to_owned(), region);
                Ok(())
            }
            Failure::OtherRegion(region) => Err(StoreError::Failed(format!(
                "the bucket {bucket} says that it is in {region}, and refuses there too"
            ))),
            Failure::Store(error) => Err(error),
        }
    }
}

#[async_trait]
impl Store for S3 {
    fn source(&self) -> String {
        self.source.clone()
    }

    fn properties(&self) -> StoreProperties {
        StoreProperties::BUCKET
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        let ListRequest { bucket, prefix, start_after, folders } = request;
        let mut tries = 0;
        loop {
            self.counter.list();
            let end = EndOfList::default();
            let ended = Arc::clone(&end.0);
            let answer = self
                .client(bucket)
                .list_objects_v2()
                .bucket(bucket)
                .prefix(prefix)
                .set_start_after(start_after.clone())
                .set_continuation_token(continuation.map(str::to_owned))
                .set_delimiter(folders.then(|| "/".to_owned()))
                // XML can't hold every key that S3 can: one with a control character would break
                // the whole page.
                .encoding_type(EncodingType::Url)
                .customize()
                .interceptor(end)
                .send()
                .await;
            match answer {
                Ok(page) if !is_whole(&page, ended.load(Ordering::Relaxed)) => {
                    if tries >= MAX_BROKEN_LISTINGS {
                        let lacks = match (page.is_truncated(), page.key_count()) {
                            (None, _) => "the answer has no IsTruncated",
                            (_, None) => "the answer has no KeyCount, and its document does not end",
                            _ => "the answer has fewer keys than its KeyCount says",
                        };
                        return Err(StoreError::Failed(format!(
                            "the listing of {bucket}/{prefix} broke off {tries} times in a row: {lacks}"
                        )));
                    }
                    pause(tries).await;
                }
                Ok(page) => {
                    let next =
                        if page.is_truncated() == Some(true) { page.next_continuation_token.clone() } else { None };
                    return Ok(Page {
                        objects: page.contents.unwrap_or_default().into_iter().filter_map(listed).collect(),
                        folders: page
                            .common_prefixes
                            .unwrap_or_default()
                            .into_iter()
                            .filter_map(|folder| decode(&folder.prefix?))
                            .collect(),
                        next,
                    });
                }
                Err(error) => match self.redirect(&error, "s3:ListBucket", bucket, None, tries) {
                    Err(StoreError::Broken(_)) if tries < MAX_BROKEN_LISTINGS => pause(tries).await,
                    other => other?,
                },
            }
            tries += 1;
        }
    }

    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError> {
        let ObjectRef { bucket, key } = object;
        check_length(object)?;
        let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let mut tries = 0;
        loop {
            self.counter.get();
            let request = self.client(bucket).get_object().bucket(&**bucket).key(&**key);
            match request.set_version_id(version.map(str::to_owned)).send().await {
                Ok(answer) => {
                    // S3 always announces the length. Without it, a body that is cut short could
                    // not be distinguished from a whole one.
                    let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
                    let length = length.ok_or_else(|| {
                        StoreError::Broken("the answer did not announce how long the body is".to_owned())
                    })?;
                    let head = Head {
                        metadata: answer.metadata.into_iter().flatten().collect(),
                        last_modified: timestamp(answer.last_modified),
                        e_tag: answer.e_tag,
                        version_id: answer.version_id,
                    };
                    let pairs = head.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    return Ok(Object {
                        metadata: DigestMetadata::from_pairs(pairs),
                        metadata_note: None,
                        head: Some(head),
                        is_uncompressed: false,
                        body: Box::new(S3Body::new(answer.body, length)),
                    });
                }
                Err(error) => self.redirect(&error, action, bucket, Some(key), tries)?,
            }
            tries += 1;
        }
    }

    async fn versions(&self, object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        let mut versions: Vec<ObjectVersion> = Vec::new();
        let mut markers = (None, None);
        loop {
            let page = self.version_page(object, markers).await?;
            versions.extend(versions_of(
                object,
                page.versions.unwrap_or_default(),
                page.delete_markers.unwrap_or_default(),
            ));
            // Keys of which this one is only a prefix come after it.
            let next = page.next_key_marker.filter(|next| decode(next).is_some_and(|next| next == *object.key));
            match next {
                Some(key) if page.is_truncated == Some(true) && versions.len() < MAX_VERSIONS => {
                    markers = (Some(key), page.next_version_id_marker)
                }
                _ => break,
            }
        }
        versions.sort_by_key(|version| std::cmp::Reverse((version.is_latest, version.last_modified)));
        Ok(versions)
    }

    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        let mut tries = 0;
        loop {
            self.counter.other();
            match self.client(bucket).get_bucket_lifecycle_configuration().bucket(bucket).send().await {
                Ok(answer) => {
                    return Ok(answer.rules.unwrap_or_default().into_iter().filter_map(lifecycle_rule).collect());
                }
                Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => return Ok(Vec::new()),
                Err(error) => self.redirect(&error, "s3:GetLifecycleConfiguration", bucket, None, tries)?,
            }
            tries += 1;
        }
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        Ok(place == claimed)
    }

    fn absence(&self) -> &'static str {
        "S3 answers that it does not exist"
    }

    fn requests(&self) -> Requests {
        self.counter.sum()
    }

    fn refusals(&self) -> u64 {
        self.counter.refusals.load(Ordering::Relaxed)
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        self.counter.clock_ahead_ms.get().copied()
    }
}

/// An interceptor that counts the answers that ask for fewer requests, which the SDK does not
/// report, and reads the clock from the first answer that has a date.
#[derive(Debug)]
struct WatchAnswers(Arc<Counter>);

impl Intercept for WatchAnswers {
    fn name(&self) -> &'static str {
        "WatchAnswers"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // SlowDown is a 503 (S3 API reference, "Error responses"); proxies and other stores answer
        // 429.
        let status = context.response().map(|response| response.status().as_u16());
        // `Date` is a whole second (RFC 9110, 6.6.1): half of one makes up for what it leaves out.
        let date = context
            .response()
            .and_then(|response| DateTime::from_str(response.headers().get("date")?, Format::HttpDate).ok());
        if let Some(date) = date {
            self.0.clock_ahead_ms.get_or_init(|| Timestamp::now().as_millisecond() - date.secs() * 1000 - 500);
        }
        if matches!(status, Some(429 | 503)) {
            self.0.refusals.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
