//! The meaning of S3's errors: absence, denial, another region, or a failure that may pass.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::StoreError;
use crate::aws::explain;

/// The kind of a failed request.
pub(super) enum Failure {
    /// The bucket is in this region, to which the request has to be sent.
    OtherRegion(String),
    /// Any other failure, as an error of the store.
    Store(StoreError),
}

/// Classifies a failed request on `bucket`. `action` is the permission that it needs, such as
/// `s3:GetObject`.
pub(super) fn sort<E>(
    error: &SdkError<E, HttpResponse>,
    service: &str,
    action: &str,
    bucket: &str,
    key: Option<&str>,
) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let raw = error.raw_response();
    let status = raw.map(|response| response.status().as_u16());
    let region = raw.and_then(|response| response.headers().get("x-amz-bucket-region"));
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    let misdirected = status == Some(301)
        || matches!(
            code,
            Some(
                "PermanentRedirect"
                    | "AuthorizationHeaderMalformed"
                    | "IllegalLocationConstraintException"
                    | "TemporaryRedirect"
            )
        );
    // A 400 may name the region in its message alone: "the region 'us-east-1' is wrong; expecting
    // 'eu-west-1'".
    let expected =
        message.split_once("expecting '").and_then(|(_, rest)| rest.split_once('\'')).map(|(region, _)| region);
    if let (true, Some(region)) = (misdirected, region.or(expected)) {
        return Failure::OtherRegion(region.to_owned());
    }
    // An answer of success that can't be read to its end broke off on the way.
    if matches!(error, SdkError::ResponseError(_)) || (code.is_none() && status.is_some_and(|status| status < 300)) {
        return Failure::Store(StoreError::Broken(explain(error, service)));
    }
    if matches!(error, SdkError::DispatchFailure(_) | SdkError::TimeoutError(_)) {
        return Failure::Store(StoreError::Unreachable(explain(error, service)));
    }
    Failure::Store(match (code, status) {
        (Some("NoSuchBucket"), _) => StoreError::NoSuchBucket(bucket.to_owned()),
        (Some("NoSuchKey"), _) => StoreError::NotFound,
        (Some("InvalidObjectState"), _) => StoreError::Archived(message.to_owned()),
        (Some(code), _) if code.starts_with("KMS.") || message.contains("kms:") => StoreError::AccessDenied(format!(
            "{code}: {message}; the caller needs kms:Decrypt on the key of the object"
        )),
        (
            Some(
                code @ ("ExpiredToken"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "NotSignedUp"),
            ),
            _,
        ) => StoreError::Credentials(format!(
            "S3 does not take the credentials ({code}: {message}): renew them, or choose others with --profile"
        )),
        (Some("RequestTimeTooSkewed"), _) => StoreError::Failed(format!(
            "S3 refuses requests because the clock of this machine is wrong (RequestTimeTooSkewed: {message}): \
             set it right"
        )),
        (Some("AccessDenied" | "AllAccessDisabled"), _) | (None, Some(403)) => {
            let object = key.map(|key| format!("/{key}")).unwrap_or_default();
            StoreError::AccessDenied(format!("the caller needs {action} on {bucket}{object}{}", hint(action)))
        }
        // A 404 without a code comes from something that is not S3, or from a proxy: no evidence of
        // absence.
        _ => StoreError::Failed(explain(error, service)),
    })
}

fn hint(action: &str) -> &'static str {
    // S3 answers 403 and not 404 for a key that doesn't exist to those who may not list (GetObject,
    // "Permissions").
    if action == "s3:GetObject" {
        " (S3 answers the same for an object that does not exist if s3:ListBucket is not allowed)"
    } else {
        ""
    }
}
