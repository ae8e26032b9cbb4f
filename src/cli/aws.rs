//! The AWS configuration that the command line asks for.

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;

use super::args::SourceArgs;
use crate::aws::limits::{CONNECT_TIMEOUT, FIRST_BACKOFF, MAX_ATTEMPTS, READ_TIMEOUT, STALL};

/// Loads the AWS configuration. Every call knows its region or learns it from the bucket; `home` is
/// the default region, if the configuration names none.
pub(super) async fn load_config(args: &SourceArgs, home: &str) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALL).build())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build());
    if let Some(profile) = &args.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &args.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(region) = &args.region {
        loader = loader.region(SdkRegion::new(region.to_string()));
    }
    let config = loader.load().await;
    if config.region().is_some() {
        return config;
    }
    config.into_builder().region(SdkRegion::new(home.to_owned())).build()
}

/// Returns whether buckets are addressed by path: those behind endpoints that are not AWS's own
/// rarely have host names of their own.
pub(super) fn is_path_style(config: &SdkConfig) -> bool {
    config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
}
