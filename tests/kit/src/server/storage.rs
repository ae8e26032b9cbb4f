//! S3, as far as reading a trail needs it.

use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use futures::StreamExt as _;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use super::state::{KeyFault, State, Version};
use super::{ACCESS_KEY, SECRET_KEY};
use crate::forge::Stored;
use md5::Digest as _;

const PAGE: usize = 1000;

pub fn service(state: Arc<State>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Storage { state });
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    builder.build()
}

struct Storage {
    state: Arc<State>,
}

/// One version of an object, with its key.
struct HeldVersion {
    key: String,
    index: usize,
    is_latest: bool,
    last_modified: Timestamp,
    size: Option<usize>,
}

struct Listing {
    keys: Vec<(String, Stored)>,
    folders: Vec<String>,
    last: Option<String>,
    truncated: bool,
}

impl Storage {
    fn stored(&self, bucket: &str, key: &str, version: Option<&str>) -> S3Result<Stored> {
        self.state.asks_for(bucket);
        let options = &self.state.options;
        if let Some(version) = version {
            self.refuse("GetObjectVersion")?;
            let buckets = self.state.buckets.read().expect("no test panics holding it");
            let versions = buckets.get(bucket).and_then(|held| held.objects.get(key)).map_or(&[][..], Vec::as_slice);
            let found = versions.iter().enumerate().find(|(index, _)| Version::id(*index) == version);
            let content = found.and_then(|(_, version)| version.content.clone());
            return content.ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."));
        }
        if options.denied_keys.contains(key) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        match options.key_faults.get(key) {
            Some(KeyFault::KmsDenied) => {
                return Err(s3_error!(
                    AccessDenied,
                    "User: arn:aws:iam::111122223333:user/tester is not authorized to perform: kms:Decrypt on \
                     the resource"
                ));
            }
            Some(KeyFault::Vanishes) => return Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            Some(KeyFault::DeniedLater) if !self.state.is_first("Answer", key) => {
                return Err(s3_error!(AccessDenied, "Access Denied"));
            }
            Some(KeyFault::VanishesLater) if !self.state.is_first("Answer", key) => {
                return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
            }
            Some(_) | None => {}
        }
        if options.archived_keys.contains(key) {
            return Err(s3_error!(InvalidObjectState, "The operation is not valid for the object's storage class"));
        }
        let buckets = self.state.buckets.read().expect("no test panics holding it");
        let held = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        held.current(key, self.state.now())
            .cloned()
            .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    fn refuse(&self, operation: &str) -> S3Result<()> {
        if self.state.options.denied_operations.contains(operation) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(())
    }

    /// Returns the versions of the keys that begin with `prefix`, each key's newest first.
    fn versions(&self, bucket: &str, prefix: &str) -> S3Result<Vec<HeldVersion>> {
        let buckets = self.state.buckets.read().expect("no test panics holding it");
        let held = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let keys = held.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let versions = keys.flat_map(|(key, versions)| {
            versions.iter().enumerate().rev().map(|(index, version)| HeldVersion {
                key: key.clone(),
                index,
                is_latest: index + 1 == versions.len(),
                last_modified: version.last_modified,
                size: version.content.as_ref().map(|stored| stored.body.len()),
            })
        });
        Ok(versions.collect())
    }

    fn list(&self, bucket: &str, prefix: &str, after: &str, folders: bool, limit: Option<i32>) -> S3Result<Listing> {
        self.state.asks_for(bucket);
        let options = &self.state.options;
        let denied = options.denied_prefixes.iter().any(|denied| prefix.starts_with(denied.as_str()))
            || options.denied_exact_prefixes.iter().any(|denied| *denied == prefix);
        if denied {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
        let limit = limit.min(options.objects_a_page.unwrap_or(PAGE));
        let buckets = self.state.buckets.read().expect("no test panics holding it");
        let held = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let now = self.state.now();
        let mut listing = Listing { keys: Vec::new(), folders: Vec::new(), last: None, truncated: false };
        let mut at = Bound::Included(prefix.max(after).to_owned());
        while let Some((key, _)) = held.objects.range::<String, _>((at.as_ref(), Bound::Unbounded)).next() {
            if !key.starts_with(prefix) {
                break;
            }
            at = Bound::Excluded(key.clone());
            let Some(stored) = held.current(key, now) else { continue };
            let folder = key[prefix.len()..].find('/').filter(|_| folders).map(|at| &key[..=prefix.len() + at]);
            let name = folder.unwrap_or(key);
            if name <= after || listing.folders.last().is_some_and(|last| last == name) {
                continue;
            }
            if listing.keys.len() + listing.folders.len() == limit {
                listing.truncated = true;
                break;
            }
            listing.last = Some(name.to_owned());
            match folder {
                Some(folder) => {
                    // A folder is listed once: skip the other keys in it.
                    at = Bound::Included(format!("{folder}\u{10ffff}"));
                    listing.folders.push(folder.to_owned());
                }
                None => listing.keys.push((key.clone(), stored.clone())),
            }
        }
        Ok(listing)
    }
}

/// Returns the ETag that S3 gives an object put in a single request: the MD5 of its body.
fn e_tag(stored: &Stored) -> ETag {
    ETag::Strong(hex::encode(md5::Md5::digest(&stored.body)))
}

fn object((key, stored): (String, Stored)) -> Object {
    Object {
        key: Some(key),
        size: i64::try_from(stored.body.len()).ok(),
        last_modified: Some(SystemTime::from(stored.last_modified).into()),
        ..Default::default()
    }
}

/// Encodes a key as S3 does if the request has an `encoding-type`.
fn url_encode(key: &str) -> String {
    const PLAIN: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b' ');
    utf8_percent_encode(key, PLAIN).to_string().replace(' ', "+")
}

fn folder(prefix: String) -> CommonPrefix {
    CommonPrefix { prefix: Some(prefix) }
}

#[async_trait::async_trait]
impl S3 for Storage {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.state.count("GetObject");
        if self.state.slows_down() {
            return Err(s3_error!(SlowDown, "Please reduce your request rate."));
        }
        let stored = self.stored(&request.input.bucket, &request.input.key, request.input.version_id.as_deref())?;
        let length = stored.body.len();
        let e_tag = e_tag(&stored);
        let body = if self.state.stalls(&request.input.key) {
            let half = futures::stream::iter([Ok::<_, std::io::Error>(stored.body.slice(..length / 2))]);
            StreamingBlob::wrap(half.chain(futures::stream::pending()))
        } else {
            StreamingBlob::from(Body::from(stored.body))
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(length).ok(),
            body: Some(body),
            e_tag: Some(e_tag),
            last_modified: Some(SystemTime::from(stored.last_modified).into()),
            metadata: Some(stored.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.state.count("PutObject");
        self.refuse("PutObject")?;
        let PutObjectInput { bucket, key, body, if_match, if_none_match, .. } = request.input;
        let mut bytes = Vec::new();
        let mut body = body.ok_or_else(|| s3_error!(MissingRequestBodyError))?;
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.map_err(|_| s3_error!(IncompleteBody))?);
        }
        let stored = Stored { body: bytes.into(), metadata: Default::default(), last_modified: Timestamp::now() };
        let own = e_tag(&stored);
        let fits = |there: Option<&Stored>| match (&if_match, &if_none_match, there) {
            (Some(wanted), _, Some(there)) => wanted.as_etag() == Some(&e_tag(there)),
            (Some(_), _, None) => false,
            (None, Some(_), there) => there.is_none(),
            (None, None, _) => true,
        };
        if !self.state.put_if(&bucket, &key, stored, fits)? {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(own), ..Default::default() }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.state.count("HeadObject");
        let stored = self.stored(&request.input.bucket, &request.input.key, None)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(stored.body.len()).ok(),
            last_modified: Some(SystemTime::from(stored.last_modified).into()),
            metadata: Some(stored.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.state.count("ListObjectsV2");
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        if self.state.options.later_pages_fail && input.continuation_token.is_some() {
            return Err(s3_error!(InternalError, "We encountered an internal error."));
        }
        let after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let url = input.encoding_type.is_some();
        let encode = |key: String| if url { url_encode(&key) } else { key };
        let listing = self.list(&input.bucket, &prefix, &after, input.delimiter.is_some(), input.max_keys)?;
        let counts = !self.state.options.without_key_count;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            is_truncated: Some(listing.truncated),
            key_count: i32::try_from(listing.keys.len() + listing.folders.len()).ok().filter(|_| counts),
            next_continuation_token: listing.last.filter(|_| listing.truncated),
            contents: Some(listing.keys.into_iter().map(|(key, stored)| object((encode(key), stored))).collect()),
            common_prefixes: Some(listing.folders.into_iter().map(encode).map(folder).collect()),
            ..Default::default()
        }))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.state.count("ListObjects");
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.marker.clone().unwrap_or_default();
        let listing = self.list(&input.bucket, &prefix, &after, input.delimiter.is_some(), input.max_keys)?;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            marker: input.marker,
            is_truncated: Some(listing.truncated),
            next_marker: listing.last.filter(|_| listing.truncated),
            contents: Some(listing.keys.into_iter().map(object).collect()),
            common_prefixes: Some(listing.folders.into_iter().map(folder).collect()),
            ..Default::default()
        }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        self.state.count("ListObjectVersions");
        self.refuse("ListObjectVersions")?;
        let input = request.input;
        let url = input.encoding_type.is_some();
        let encode = |key: &str| if url { url_encode(key) } else { key.to_owned() };
        let all = self.versions(&input.bucket, &input.prefix.unwrap_or_default())?;
        let page = self.state.options.objects_a_page.unwrap_or(PAGE);
        let is_marker = |held: &HeldVersion| {
            Some(&held.key) == input.key_marker.as_ref() && Some(Version::id(held.index)) == input.version_id_marker
        };
        let skip = all.iter().position(is_marker).map_or(0, |at| at + 1);
        let shown: Vec<&HeldVersion> = all.iter().skip(skip).take(page).collect();
        let is_truncated = all.len() > skip + shown.len();
        let last = shown.last().filter(|_| is_truncated);
        let (held, deleted): (Vec<&&HeldVersion>, Vec<&&HeldVersion>) =
            shown.iter().partition(|held| held.size.is_some());
        let versions = held.into_iter().map(|held| ObjectVersion {
            key: Some(encode(&held.key)),
            version_id: Some(Version::id(held.index)),
            is_latest: Some(held.is_latest),
            last_modified: Some(SystemTime::from(held.last_modified).into()),
            size: held.size.and_then(|size| i64::try_from(size).ok()),
            ..Default::default()
        });
        let delete_markers = deleted.into_iter().map(|held| DeleteMarkerEntry {
            key: Some(encode(&held.key)),
            version_id: Some(Version::id(held.index)),
            is_latest: Some(held.is_latest),
            last_modified: Some(SystemTime::from(held.last_modified).into()),
            ..Default::default()
        });
        Ok(S3Response::new(ListObjectVersionsOutput {
            is_truncated: Some(is_truncated),
            next_key_marker: last.map(|held| encode(&held.key)),
            next_version_id_marker: last.map(|held| Version::id(held.index)),
            versions: Some(versions.collect()),
            delete_markers: Some(delete_markers.collect()),
            ..Default::default()
        }))
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        _request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        self.state.count("GetBucketLifecycleConfiguration");
        self.refuse("GetBucketLifecycleConfiguration")?;
        if self.state.options.lifecycle.is_empty() {
            return Err(s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist"));
        }
        let rules = self.state.options.lifecycle.iter().map(|rule| {
            let prefix = Some(rule.prefix.clone());
            let tag = Tag { key: Some("class".to_owned()), value: Some("scratch".to_owned()) };
            let and = LifecycleRuleAndOperator { prefix: prefix.clone(), tags: Some(vec![tag]), ..Default::default() };
            let filter = if rule.tagged {
                LifecycleRuleFilter { and: Some(and), ..Default::default() }
            } else {
                LifecycleRuleFilter { prefix, ..Default::default() }
            };
            LifecycleRule {
                id: Some(rule.id.clone()),
                status: ExpirationStatus::from_static(ExpirationStatus::ENABLED),
                expiration: Some(LifecycleExpiration { days: Some(rule.days), ..Default::default() }),
                filter: Some(filter),
                abort_incomplete_multipart_upload: None,
                noncurrent_version_expiration: None,
                noncurrent_version_transitions: None,
                prefix: None,
                transitions: None,
            }
        });
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(rules.collect()),
            ..Default::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.state.count("GetBucketLocation");
        let buckets = self.state.buckets.read().expect("no test panics holding it");
        let held = buckets
            .get(&request.input.bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let region = Some(held.region.clone()).filter(|region| region != "us-east-1");
        let output = GetBucketLocationOutput { location_constraint: region.map(BucketLocationConstraint::from) };
        Ok(S3Response::new(output))
    }
}
