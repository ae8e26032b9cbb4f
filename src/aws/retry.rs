//! Which answers are worth asking again, besides those that the SDK knows.

use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};

/// Asks again where an answer is 429: AWS says 503 or names a code that the SDK knows, and proxies and other stores say this.
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
