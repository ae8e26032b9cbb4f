//! S3, as far as reading a trail needs it.

use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use super::state::State;
use super::{ACCESS_KEY, SECRET_KEY};
use crate::forge::Stored;

const PAGE: usize = 1000;

pub fn service(state: Arc<State>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Storage { state });
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    builder.build()
}

struct Storage {
    state: Arc<State>,
}

struct Listing {
    keys: Vec<(String, Stored)>,
    folders: Vec<String>,
    last: Option<String>,
    truncated: bool,
}

impl Storage {
    fn stored(&self, bucket: &str, key: &str) -> S3Result<Stored> {
        let options = &self.state.options;
        if options.denied_keys.contains(key) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        if options.archived_keys.contains(key) {
            return Err(s3_error!(InvalidObjectState, "The operation is not valid for the object's storage class"));
        }
        let buckets = self.state.buckets.read().expect("no test panics holding it");
        let held = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        held.current(key).cloned().ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    fn list(&self, bucket: &str, prefix: &str, after: &str, folders: bool, limit: Option<i32>) -> S3Result<Listing> {
        let options = &self.state.options;
        if options.denied_prefixes.iter().any(|denied| prefix.starts_with(denied.as_str())) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
        let limit = limit.min(options.objects_a_page.unwrap_or(PAGE));
        let buckets = self.state.buckets.read().expect("no test panics holding it");
        let held = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let mut listing = Listing { keys: Vec::new(), folders: Vec::new(), last: None, truncated: false };
        for (key, _) in held.objects.range(prefix.to_owned()..) {
            if !key.starts_with(prefix) {
                break;
            }
            let Some(stored) = held.current(key) else { continue };
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
                Some(folder) => listing.folders.push(folder.to_owned()),
                None => listing.keys.push((key.clone(), stored.clone())),
            }
        }
        Ok(listing)
    }
}

fn object((key, stored): (String, Stored)) -> Object {
    Object {
        key: Some(key),
        size: i64::try_from(stored.body.len()).ok(),
        last_modified: Some(SystemTime::from(stored.last_modified).into()),
        ..Default::default()
    }
}

/// As S3 encodes keys where it is asked to.
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
        let stored = self.stored(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(stored.body.len()).ok(),
            body: Some(StreamingBlob::from(Body::from(stored.body))),
            last_modified: Some(SystemTime::from(stored.last_modified).into()),
            metadata: Some(stored.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.state.count("HeadObject");
        let stored = self.stored(&request.input.bucket, &request.input.key)?;
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
        let after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let url = input.encoding_type.is_some();
        let encode = |key: String| if url { url_encode(&key) } else { key };
        let listing = self.list(&input.bucket, &prefix, &after, input.delimiter.is_some(), input.max_keys)?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            is_truncated: Some(listing.truncated),
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
