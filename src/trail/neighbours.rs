//! Trails that deliver to the same bucket and prefix without digests: `DescribeTrails`, which
//! covers one region at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::Region as SdkRegion;
use aws_sdk_cloudtrail::types::Trail as SdkTrail;

use super::NeighbourSource;
use super::location::TrailSettings;
use crate::aws::RetryTooManyRequests;
use crate::aws::{Connection, explain};
use crate::debug::opaque_debug;
use crate::model::{Region, TrailArn};

/// A source of trails that asks CloudTrail's `DescribeTrails` with an AWS configuration.
pub struct DescribeTrails {
    arn: TrailArn,
    settings: TrailSettings,
    config: Connection,
    requests: AtomicU64,
}

opaque_debug!(DescribeTrails);

impl DescribeTrails {
    /// Creates a source for the neighbours of `arn`, which delivers as `settings` say.
    pub fn new(arn: TrailArn, settings: TrailSettings, config: Connection) -> Self {
        Self { arn, settings, config, requests: AtomicU64::new(0) }
    }
}

#[async_trait]
impl NeighbourSource for DescribeTrails {
    async fn without_digests(&self, region: &Region) -> Result<Vec<String>, String> {
        if region.partition() != self.arn.partition {
            return Ok(Vec::new());
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let config = aws_sdk_cloudtrail::config::Builder::from(self.config.sdk())
            .retry_classifier(RetryTooManyRequests)
            .region(SdkRegion::new(region.to_string()))
            .build();
        let answer = Client::from_conf(config).describe_trails().send().await;
        let answer = answer.map_err(|error| explain(&error, &self.config.name_of("CloudTrail")))?;
        let shares_place = |trail: &SdkTrail| {
            trail.s3_bucket_name.as_deref() == Some(&self.settings.bucket)
                && trail.s3_key_prefix.as_deref().unwrap_or_default().trim_matches('/') == self.settings.prefix
        };
        let trails = answer.trail_list.unwrap_or_default().into_iter();
        let silent = trails.filter(|trail| shares_place(trail) && trail.log_file_validation_enabled == Some(false));
        let other = |trail: &SdkTrail| trail.trail_arn.as_deref() != Some(&self.arn.to_string());
        Ok(silent.filter(other).filter_map(|trail| trail.name).collect())
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
