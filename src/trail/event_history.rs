//! The Event History of an account: `LookupEvents`, which covers one region at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::Region as SdkRegion;
use aws_sdk_cloudtrail::config::retry::RetryConfig;
use aws_sdk_cloudtrail::config::timeout::TimeoutConfig;
use aws_sdk_cloudtrail::error::ProvideErrorMetadata;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{HistoryFilter, HistoryPage, HistorySource, caller_identity};
use crate::aws::RetryTooManyRequests;
use crate::aws::{Connection, explain};
use crate::debug::opaque_debug;
use crate::model::{AccountId, Period, Region};

/// The time between two requests: AWS takes two a second in each account and region.
const INTERVAL: Duration = Duration::from_millis(500);
/// The number of events on a page, which is the largest that AWS takes.
const PAGE: usize = 50;
/// The size of the largest record of CloudTrail, in bytes: 256 KB.
const MAX_RECORD_BYTES: usize = 256 << 10;
/// The longest time that a request may take, further attempts included.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The number of attempts of a request, the second after this time: AWS takes two requests a second, those
/// that it refuses included.
const ATTEMPTS: u32 = 3;
const BACKOFF: Duration = Duration::from_secs(1);

/// A source of management events that asks CloudTrail's `LookupEvents` with an AWS configuration.
pub struct LookupEvents {
    config: Connection,
    partition: String,
    /// The time from which the next request may be sent.
    next: Mutex<Option<Instant>>,
    requests: AtomicU64,
}

opaque_debug!(LookupEvents);

impl LookupEvents {
    /// Creates a source for the regions of this partition; the configuration's own region doesn't
    /// matter.
    pub fn new(config: Connection, partition: String) -> Self {
        Self { config, partition, next: Mutex::default(), requests: AtomicU64::new(0) }
    }

    /// Waits until a request may be sent.
    async fn admission(&self) {
        let mut next = self.next.lock().await;
        if let Some(at) = *next {
            tokio::time::sleep_until(at).await;
        }
        *next = Some(Instant::now() + INTERVAL);
    }
}

#[async_trait]
impl HistorySource for LookupEvents {
    async fn account(&self) -> Result<AccountId, String> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let arn = caller_identity(&self.config).await;
        let account = arn.as_deref().and_then(|arn| arn.split(':').nth(4)?.parse().ok());
        account.ok_or_else(|| "GetCallerIdentity did not say which account the credentials belong to".to_owned())
    }

    fn name(&self) -> String {
        self.config.name_of("CloudTrail")
    }

    async fn page(
        &self,
        region: &Region,
        time: Period,
        filter: HistoryFilter,
        token: Option<String>,
    ) -> Result<HistoryPage, String> {
        // The region comes from the name of a folder. None of another partition is asked: its
        // endpoints belong to others.
        if region.partition() != self.partition {
            return Err(format!("{region} is a region of another partition than {}", self.partition));
        }
        let (key, value) = match filter {
            HistoryFilter::Writes => (LookupAttributeKey::ReadOnly, "false"),
            HistoryFilter::Named(name) => (LookupAttributeKey::EventName, name),
        };
        let attribute = LookupAttribute::builder().attribute_key(key).attribute_value(value).build();
        let attribute = attribute.map_err(|error| error.to_string())?;
        let config = aws_sdk_cloudtrail::config::Builder::from(self.config.sdk())
            .retry_classifier(RetryTooManyRequests)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(BACKOFF))
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            .region(SdkRegion::new(region.to_string()))
            .build();
        self.admission().await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = Client::from_conf(config)
            .lookup_events()
            .lookup_attributes(attribute)
            .start_time(DateTime::from_secs(time.start.as_second()))
            .end_time(DateTime::from_secs(time.end.as_second()))
            .max_results(PAGE as i32)
            .set_next_token(token)
            .send()
            .await;
        let page = answer.map_err(|error| match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some("AccessDenied" | "AccessDeniedException") => {
                format!("access denied: the caller needs cloudtrail:LookupEvents in {region}")
            }
            _ => explain(&error, &self.config.name_of("CloudTrail")),
        })?;
        let events = page.events.unwrap_or_default();
        if events.len() > PAGE {
            return Err(format!("it sent a page of {} events, and was asked for {PAGE}", events.len()));
        }
        let record = |event: Event| event.cloud_trail_event.filter(|record| record.len() <= MAX_RECORD_BYTES);
        let next = page.next_token.filter(|token| !token.is_empty());
        Ok(HistoryPage { records: events.into_iter().map(record).collect(), next })
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
