//! A classifier of answers that are worth a retry, besides those that the SDK knows.

use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};

/// A classifier that retries a request if the answer is 429: AWS answers 503 or with a code that
/// the SDK knows, and proxies and other stores answer 429.
#[derive(Debug, Clone, Copy)]
pub struct RetryTooManyRequests;

impl ClassifyRetry for RetryTooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().map(|response| response.status().as_u16()) {
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "RetryTooManyRequests"
    }
}
