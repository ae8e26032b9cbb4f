//! A checkpoint in S3: it is put only where nobody else has put one meanwhile.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use super::MAX_BYTES;
use crate::model::ObjectRef;
use crate::store::{S3, StoreError};

/// What came of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It stands there.
    Whole,
    /// Something else stands there than was read: nothing was written.
    Changed,
}

/// The object's bytes and its entity tag; `None` where there is none.
pub(super) async fn read(s3: &S3, object: &ObjectRef) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
    let ObjectRef { bucket, key } = object;
    let mut tries = 0;
    loop {
        match s3.client(bucket).get_object().bucket(&**bucket).key(&**key).send().await {
            Ok(answer) => {
                let length = answer.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
                if length > MAX_BYTES {
                    return Err(StoreError::Failed(format!("it is larger than {MAX_BYTES} bytes")));
                }
                let tag = answer.e_tag().unwrap_or_default().as_bytes().to_vec();
                let body = answer.body.collect().await.map_err(|error| StoreError::Failed(error.to_string()))?;
                let bytes = body.into_bytes();
                if bytes.len() as u64 != length {
                    return Err(StoreError::Failed("its body broke off".to_owned()));
                }
                return Ok(Some((bytes.to_vec(), tag)));
            }
            Err(error) => match s3.redirect(&error, "s3:GetObject", bucket, Some(key), tries) {
                Err(StoreError::NotFound) => return Ok(None),
                other => other?,
            },
        }
        tries += 1;
    }
}

/// Puts the object where this entity tag stands, or where nothing does.
pub(super) async fn write(
    s3: &S3,
    object: &ObjectRef,
    bytes: Vec<u8>,
    tag: Option<&[u8]>,
) -> Result<Written, StoreError> {
    let ObjectRef { bucket, key } = object;
    let tag = tag.map(|tag| String::from_utf8_lossy(tag).into_owned());
    let mut tries = 0;
    loop {
        let put = s3.client(bucket).put_object().bucket(&**bucket).key(&**key).content_type("application/json");
        let put = match &tag {
            Some(tag) => put.if_match(tag),
            None => put.if_none_match("*"),
        };
        let answer = put.body(ByteStream::from(bytes.clone())).send().await;
        match answer {
            Ok(_) => return Ok(Written::Whole),
            Err(error) if is_conflict(&error) => return Ok(Written::Changed),
            Err(error) => s3.redirect(&error, "s3:PutObject", bucket, Some(key), tries)?,
        }
        tries += 1;
    }
}

/// Whether somebody else has written meanwhile (S3 user guide, "Conditional writes"): 412 where something else stands there, 409
/// where it is being written or deleted just now, 404 where what was there is gone.
fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    let status = error.raw_response().map(|response| response.status().as_u16());
    matches!(code, Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey"))
        || matches!(status, Some(412 | 409))
}
