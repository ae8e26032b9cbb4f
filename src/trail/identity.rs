//! In whose name AWS is asked.

use aws_config::SdkConfig;

use crate::aws::RetryTooManyRequests;

/// The ARN of the caller, where AWS tells (GetCallerIdentity, which needs no permission).
pub async fn caller_identity(config: &SdkConfig) -> Option<String> {
    let sts = aws_sdk_sts::config::Builder::from(config).retry_classifier(RetryTooManyRequests).build();
    // A report without it says so, and is a report all the same.
    aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await.ok()?.arn
}
