//! The identity under which AWS is called.

use crate::aws::Connection;
use crate::aws::RetryTooManyRequests;

/// Returns the ARN of the caller, if AWS gives it (GetCallerIdentity, which needs no permission).
pub async fn caller_identity(config: &Connection) -> Option<String> {
    let sts = aws_sdk_sts::config::Builder::from(config.sdk()).retry_classifier(RetryTooManyRequests).build();
    // Failures are ignored: a report without the identity says so, and is complete otherwise.
    aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await.ok()?.arn
}
