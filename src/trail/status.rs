//! What CloudTrail says of a trail's delivery: `GetTrailStatus`, which speaks of one region at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::Region as SdkRegion;
use aws_sdk_cloudtrail::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_cloudtrail::primitives::DateTime;
use jiff::Timestamp;

use crate::aws::RetryTooManyRequests;
use crate::model::{Region, TrailArn};

/// What CloudTrail says of a trail's delivery in one region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailStatus {
    /// When it last delivered a digest there.
    pub latest_digest_delivery: Option<Timestamp>,
    /// Why it could not deliver the last digest.
    pub digest_delivery_error: Option<String>,
    /// When logging was last stopped.
    pub logging_stopped: Option<Timestamp>,
    /// When logging was last started.
    pub logging_started: Option<Timestamp>,
}

/// A source of such answers.
#[async_trait]
pub trait StatusSource: Send + Sync {
    /// What is said of `region`; an error says why nothing is known, and what to do.
    async fn status(&self, region: &Region) -> Result<TrailStatus, String>;

    /// How many requests were made so far.
    fn requests(&self) -> u64;
}

/// CloudTrail, as the AWS configuration at hand reaches it.
pub struct GetTrailStatus {
    arn: TrailArn,
    config: SdkConfig,
    requests: AtomicU64,
}

impl GetTrailStatus {
    /// Asks about `arn`; the configuration's own region doesn't matter.
    pub fn new(arn: TrailArn, config: SdkConfig) -> Self {
        Self { arn, config, requests: AtomicU64::new(0) }
    }
}

#[async_trait]
impl StatusSource for GetTrailStatus {
    async fn status(&self, region: &Region) -> Result<TrailStatus, String> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.config)
            .retry_classifier(RetryTooManyRequests)
            .region(SdkRegion::new(region.to_string()))
            .build();
        let answer = Client::from_conf(config).get_trail_status().name(self.arn.to_string()).send().await;
        let answer = answer.map_err(|error| match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some("AccessDenied" | "AccessDeniedException") => {
                format!("the caller needs cloudtrail:GetTrailStatus in {region}")
            }
            _ => DisplayErrorContext(&error).to_string(),
        })?;
        let time = |at: Option<DateTime>| at.and_then(|at| Timestamp::from_second(at.secs()).ok());
        Ok(TrailStatus {
            latest_digest_delivery: time(answer.latest_digest_delivery_time),
            digest_delivery_error: answer.latest_digest_delivery_error.filter(|error| !error.is_empty()),
            logging_stopped: time(answer.stop_logging_time),
            logging_started: time(answer.start_logging_time),
        })
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
