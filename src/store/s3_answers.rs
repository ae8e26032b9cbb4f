//! Conversions of S3's answers to the store's own types: pages, versions, lifecycle rules, bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ExpirationStatus, LifecycleRuleFilter};
use bytes::Bytes;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout_at};

use super::{Body, Expiry, LifecycleRule, ListedObject, ObjectVersion, StoreError};
use crate::aws::limits::{BODY_GRACE, LEAST_RATE, STALL};
use crate::model::ObjectRef;

/// Returns whether a page has all the keys that it announces. The SDK takes XML that breaks off for
/// a shorter answer, and a key that is left out looks like one that was removed. `ended` states
/// whether the answer's document came to its end, which is the only check for servers that announce
/// no count.
pub(super) fn is_whole(page: &ListObjectsV2Output, ended: bool) -> bool {
    let found = page.contents().len() + page.common_prefixes().len();
    page.is_truncated().is_some()
        && match page.key_count() {
            Some(count) => usize::try_from(count) == Ok(found),
            None => ended,
        }
}

/// An interceptor that notes whether the document of a listing came to its end.
#[derive(Debug, Default)]
pub(super) struct EndOfList(pub Arc<AtomicBool>);

impl Intercept for EndOfList {
    fn name(&self) -> &'static str {
        "EndOfList"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let ended = context
            .response()
            .body()
            .bytes()
            .is_some_and(|body| body.trim_ascii_end().ends_with(b"</ListBucketResult>"));
        self.0.store(ended, Ordering::Relaxed);
        Ok(())
    }
}

/// An object as a listing shows it; `None` for one whose key can't be read.
pub(super) fn listed(object: aws_sdk_s3::types::Object) -> Option<ListedObject> {
    let size = object.size.and_then(|size| u64::try_from(size).ok());
    Some(ListedObject {
        key: decode(&object.key?)?,
        last_modified: timestamp(object.last_modified),
        size,
        is_file: true,
    })
}

/// Returns the versions and delete markers that a page has of one object.
pub(super) fn versions_of(
    object: &ObjectRef,
    versions: Vec<aws_sdk_s3::types::ObjectVersion>,
    delete_markers: Vec<aws_sdk_s3::types::DeleteMarkerEntry>,
) -> Vec<ObjectVersion> {
    let version = |key: Option<String>, id: Option<String>, at, is_latest, is_delete_marker| {
        let own = decode(&key?)? == *object.key;
        let version = ObjectVersion {
            id: id?,
            last_modified: timestamp(at),
            is_delete_marker,
            is_latest: is_latest == Some(true),
        };
        own.then_some(version)
    };
    let versions =
        versions.into_iter().filter_map(|v| version(v.key, v.version_id, v.last_modified, v.is_latest, false));
    let markers =
        delete_markers.into_iter().filter_map(|v| version(v.key, v.version_id, v.last_modified, v.is_latest, true));
    versions.chain(markers).collect()
}

/// Converts a time of S3, in whole seconds.
pub(super) fn timestamp(at: Option<DateTime>) -> Option<Timestamp> {
    Timestamp::from_second(at?.secs()).ok()
}

/// Converts a lifecycle rule; `None` for one that is off, or lets no current version expire.
pub(super) fn lifecycle_rule(rule: aws_sdk_s3::types::LifecycleRule) -> Option<LifecycleRule> {
    if rule.status != ExpirationStatus::Enabled {
        return None;
    }
    let expiration = rule.expiration?;
    let expiry = match (expiration.days, timestamp(expiration.date)) {
        (Some(days), _) => Expiry::Days(days),
        (None, Some(at)) => Expiry::At(at),
        (None, None) => return None,
    };
    let filter = rule.filter.unwrap_or_else(|| LifecycleRuleFilter::builder().build());
    let sized = filter.object_size_greater_than.is_some() || filter.object_size_less_than.is_some();
    let mut narrowed = filter.tag.is_some() || sized;
    let mut prefix = filter.prefix;
    if let Some(and) = filter.and {
        narrowed |= and.tags.is_some_and(|tags| !tags.is_empty())
            || and.object_size_greater_than.is_some()
            || and.object_size_less_than.is_some();
        prefix = prefix.or(and.prefix);
    }
    #[expect(deprecated, reason = "older configurations still name the prefix here")]
    let prefix = prefix.or(rule.prefix).unwrap_or_default();
    Some(LifecycleRule { id: rule.id.unwrap_or_default(), prefix, expiry, narrowed })
}

/// Decodes a URL-encoded key, in which a space is a plus sign; `None` if the result is not UTF-8,
/// which no key can be.
pub(super) fn decode(encoded: &str) -> Option<String> {
    percent_decode_str(&encoded.replace('+', " ")).decode_utf8().ok().map(Into::into)
}

/// The body of an answer, as it is received.
pub(super) struct S3Body {
    stream: ByteStream,
    /// The number of announced bytes that have not come yet.
    missing: u64,
    /// The longest time that the body may stand still.
    stall: Duration,
    /// The time by which the next piece has to come; each piece that comes extends it.
    deadline: Instant,
    /// The minimum rate, in bytes a second.
    rate: u64,
}

impl S3Body {
    /// Reads an answer whose body has this length, in bytes.
    pub(super) fn new(stream: ByteStream, length: u64) -> Self {
        Self { stream, missing: length, stall: STALL, deadline: Instant::now() + BODY_GRACE, rate: LEAST_RATE }
    }
}

#[async_trait]
impl Body for S3Body {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let broken = |reason: String| StoreError::Broken(reason);
        let limit = self.deadline.min(Instant::now() + self.stall);
        let piece = timeout_at(limit, self.stream.next()).await.map_err(|_| {
            broken(if limit == self.deadline {
                "the body came too slowly".to_owned()
            } else {
                format!("the body stood still for {} seconds", self.stall.as_secs_f32())
            })
        })?;
        match piece {
            Some(Ok(piece)) => {
                let missing = self.missing.checked_sub(piece.len() as u64);
                // Only the bytes that have come extend the deadline, not the announced length.
                self.deadline += Duration::from_secs_f64(piece.len() as f64 / self.rate as f64);
                self.missing = missing.ok_or_else(|| broken("S3 sent more bytes than it had announced".to_owned()))?;
                Ok(Some(piece))
            }
            Some(Err(error)) => Err(broken(format!("the body broke off: {error}"))),
            None if self.missing > 0 => Err(broken("the body ended before its announced length".to_owned())),
            None => Ok(None),
        }
    }

    fn announced_length(&self) -> Option<u64> {
        Some(self.missing)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::SdkBody;
    use futures::stream;
    use http_body_util::StreamBody;

    use super::*;

    /// A body that gives a byte at each interval, and has to be there within 300 ms without
    /// standing still for 100.
    fn slow(interval: Duration) -> S3Body {
        let frames = stream::unfold((), move |()| async move {
            tokio::time::sleep(interval).await;
            Some((Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let stream = ByteStream::new(SdkBody::from_body_1_x(StreamBody::new(Box::pin(frames))));
        let deadline = Instant::now() + Duration::from_millis(300);
        S3Body { stall: Duration::from_millis(100), deadline, ..S3Body::new(stream, 1_000_000) }
    }

    async fn read(mut body: S3Body) -> String {
        loop {
            match body.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return String::new(),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up() {
        let error = read(slow(Duration::from_secs(3600))).await;
        assert!(error.contains("stood still"), "{error}");
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_given_up_though_it_never_stands_still() {
        let error = read(slow(Duration::from_millis(5))).await;
        assert!(error.contains("too slowly"), "{error}");
    }
}
