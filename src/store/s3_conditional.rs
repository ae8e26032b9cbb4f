//! Reading and writing one object of S3 that others may write as well (S3 user guide, "Conditional
//! writes").

use std::path::Path;

use async_trait::async_trait;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use super::{ConditionalStore, S3, StoreError, Tagged, Written};
use crate::model::ObjectRef;

#[async_trait]
impl ConditionalStore for S3 {
    async fn get_with_etag(&self, object: &ObjectRef, max_bytes: u64) -> Result<Option<Tagged>, StoreError> {
        let ObjectRef { bucket, key } = object;
        let mut tries = 0;
        loop {
            match self.client(bucket).get_object().bucket(&**bucket).key(&**key).send().await {
                Ok(answer) => {
                    let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
                    let length = length.unwrap_or_default();
                    if length > max_bytes {
                        return Err(StoreError::Failed(format!("it is larger than {max_bytes} bytes")));
                    }
                    let etag = answer.e_tag().unwrap_or_default().as_bytes().to_vec();
                    let body = answer.body.collect().await.map_err(|error| StoreError::Failed(error.to_string()))?;
                    let bytes = body.into_bytes();
                    if bytes.len() as u64 != length {
                        return Err(StoreError::Failed("its body broke off".to_owned()));
                    }
                    return Ok(Some(Tagged { bytes: bytes.to_vec(), etag }));
                }
                Err(error) => match self.redirect(&error, "s3:GetObject", bucket, Some(key), tries) {
                    Err(StoreError::NotFound) => return Ok(None),
                    other => other?,
                },
            }
            tries += 1;
        }
    }

    async fn put_if_match(
        &self,
        object: &ObjectRef,
        bytes: Vec<u8>,
        etag: Option<&[u8]>,
    ) -> Result<Written, StoreError> {
        let ObjectRef { bucket, key } = object;
        let etag = etag.map(|etag| String::from_utf8_lossy(etag).into_owned());
        let mut tries = 0;
        loop {
            let put = self.client(bucket).put_object().bucket(&**bucket).key(&**key).content_type("application/json");
            let put = match &etag {
                Some(etag) => put.if_match(etag),
                None => put.if_none_match("*"),
            };
            match put.body(ByteStream::from(bytes.clone())).send().await {
                Ok(_) => return Ok(Written::Whole),
                Err(error) if is_conflict(&error) => return Ok(Written::Changed),
                Err(error) => self.redirect(&error, "s3:PutObject", bucket, Some(key), tries)?,
            }
            tries += 1;
        }
    }
}

/// The largest object that one PutObject takes, in bytes (S3 user guide, "Uploading objects").
const MAX_PUT_BYTES: u64 = 5 << 30;

impl S3 {
    /// Writes a file to an object that does not exist yet, without holding it in memory.
    ///
    /// # Errors
    ///
    /// The file can't be read or is larger than S3 takes at once, or the object could not be written.
    pub async fn put_new_file(&self, object: &ObjectRef, path: &Path) -> Result<Written, StoreError> {
        let ObjectRef { bucket, key } = object;
        let unreadable =
            |error: &dyn std::fmt::Display| StoreError::Failed(format!("{} can't be read: {error}", path.display()));
        let length = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
        if length > MAX_PUT_BYTES {
            return Err(StoreError::Failed(format!(
                "it has {length} bytes, and S3 takes {MAX_PUT_BYTES} at once: write it to a disk"
            )));
        }
        let mut tries = 0;
        loop {
            let body = ByteStream::from_path(path).await.map_err(|error| unreadable(&error))?;
            let put = self.client(bucket).put_object().bucket(&**bucket).key(&**key).if_none_match("*");
            match put.body(body).send().await {
                Ok(_) => return Ok(Written::Whole),
                Err(error) if is_conflict(&error) => return Ok(Written::Changed),
                Err(error) => self.redirect(&error, "s3:PutObject", bucket, Some(key), tries)?,
            }
            tries += 1;
        }
    }
}

/// Returns whether another writer has interfered: S3 answers 412 if the object has another entity
/// tag, 409 if it is just being written or deleted, and 404 if it is gone.
fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    let status = error.raw_response().map(|response| response.status().as_u16());
    matches!(code, Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey"))
        || matches!(status, Some(412 | 409))
}
