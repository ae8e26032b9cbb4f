//! Errors of the AWS SDK in words. The SDK's own texts hold the debug output of requests and
//! answers.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// The text of an error when no source of credentials has any.
const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_PROFILE, run 'aws sso login', or set AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY";

/// Explains a failed request in one sentence. `service` names the service and, if it is not AWS's
/// own, its endpoint.
pub fn explain<E>(error: &SdkError<E, HttpResponse>, service: &str) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => match (error.code(), error.message()) {
            (Some(code), Some(message)) if !message.is_empty() => format!("{service} answered {code}: {message}"),
            (Some(code), _) => format!("{service} answered {code}"),
            (None, _) => {
                let status = context.raw().status().as_u16();
                format!("{service} gave an answer with status {status} that is none of AWS's")
            }
        },
        SdkError::TimeoutError(_) => format!("{service} did not answer in time"),
        SdkError::ResponseError(_) => format!("the answer of {service} can't be read: {}", innermost(error)),
        _ if lacks_credentials(error) => credentials(error),
        _ => format!("{service} could not be reached: {}", innermost(error)),
    }
}

/// Returns whether a request failed because there are no credentials, or none that can be loaded.
pub fn lacks_credentials<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: Error + 'static,
{
    matches!(error, SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_))
        && causes(error).any(|cause| cause.to_string().contains("credential"))
}

/// Explains why no credentials could be loaded.
fn credentials<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + 'static,
{
    if causes(error).any(|cause| cause.to_string().contains("no credentials found in chain")) {
        return NO_CREDENTIALS.to_owned();
    }
    format!("the AWS credentials can't be loaded: {}", innermost(error))
}

/// The errors that led to an error, the outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> std::vec::IntoIter<&'a (dyn Error + 'static)> {
    let mut found = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        found.push(cause);
        next = cause.source();
    }
    found.into_iter()
}

/// The text of the innermost cause, in one line.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let text = causes(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
