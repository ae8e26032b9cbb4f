//! The status of a trail's delivery: `GetTrailStatus`, which covers one region at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::Region as SdkRegion;
use aws_sdk_cloudtrail::config::retry::RetryConfig;
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::operation::get_trail_status::{GetTrailStatusError, GetTrailStatusOutput};
use aws_sdk_cloudtrail::primitives::DateTime;
use jiff::Timestamp;

use super::{StatusSource, TrailStatus};
use crate::aws::RetryTooManyRequests;
use crate::aws::{Connection, explain};
use crate::debug::opaque_debug;
use crate::model::{Region, TrailArn};

/// The longest time that an attempt may take in a region that may not be enabled.
const PROBE: Duration = Duration::from_secs(5);

/// A source of statuses that asks CloudTrail's `GetTrailStatus` with an AWS configuration.
pub struct GetTrailStatus {
    arn: TrailArn,
    config: Connection,
    requests: AtomicU64,
}

opaque_debug!(GetTrailStatus);

impl GetTrailStatus {
    /// Creates a source for `arn`; the configuration's own region doesn't matter.
    pub fn new(arn: TrailArn, config: Connection) -> Self {
        Self { arn, config, requests: AtomicU64::new(0) }
    }
}

impl GetTrailStatus {
    async fn ask(
        &self,
        region: &Region,
        retries: Option<RetryConfig>,
    ) -> Result<GetTrailStatusOutput, SdkError<GetTrailStatusError>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut config = aws_sdk_cloudtrail::config::Builder::from(self.config.sdk())
            .retry_classifier(RetryTooManyRequests)
            .region(SdkRegion::new(region.to_string()));
        if let Some(retries) = retries {
            config = config.retry_config(retries);
        }
        Client::from_conf(config.build()).get_trail_status().name(self.arn.to_string()).send().await
    }
}

fn status_of(answer: GetTrailStatusOutput) -> TrailStatus {
    let given = |error: Option<String>| error.filter(|error| !error.is_empty());
    let time = |at: Option<DateTime>| at.and_then(|at| Timestamp::from_second(at.secs()).ok());
    TrailStatus {
        latest_digest_delivery: time(answer.latest_digest_delivery_time),
        digest_delivery_error: given(answer.latest_digest_delivery_error),
        logging_stopped: time(answer.stop_logging_time),
        logging_started: time(answer.start_logging_time),
        is_logging: answer.is_logging,
        delivery_error: given(answer.latest_delivery_error),
        log_group_error: given(answer.latest_cloud_watch_logs_delivery_error),
    }
}

fn reason(error: &SdkError<GetTrailStatusError>, service: &str, region: &Region) -> String {
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("AccessDenied" | "AccessDeniedException") => {
            format!("the caller needs cloudtrail:GetTrailStatus in {region}")
        }
        _ => explain(error, service),
    }
}

#[async_trait]
impl StatusSource for GetTrailStatus {
    async fn status(&self, region: &Region) -> Result<TrailStatus, String> {
        self.ask(region, None)
            .await
            .map(status_of)
            .map_err(|error| reason(&error, &self.config.name_of("CloudTrail"), region))
    }

    async fn probe(&self, region: &Region) -> Result<Option<TrailStatus>, String> {
        let attempt = tokio::time::timeout(PROBE, self.ask(region, Some(RetryConfig::disabled()))).await;
        let answer = attempt.map_err(|_| format!("no answer within {} seconds", PROBE.as_secs()))?;
        match answer {
            Ok(answer) => Ok(Some(status_of(answer))),
            // A region that is not enabled does not take the account's credentials.
            Err(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("UnrecognizedClientException" | "InvalidClientTokenId") => Ok(None),
                _ => Err(reason(&error, &self.config.name_of("CloudTrail"), region)),
            },
        }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
