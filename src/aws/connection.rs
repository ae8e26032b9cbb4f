//! The way to AWS: credentials, a region, endpoints, timeouts and retries.

use std::collections::BTreeMap;

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;

use super::limits::{CONNECT_TIMEOUT, FIRST_BACKOFF, MAX_ATTEMPTS, READ_TIMEOUT, STALL};
use crate::model::Region;

/// The parts of a connection that override environment and configuration files.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionOptions<'a> {
    /// The profile of the shared configuration files.
    pub profile: Option<&'a str>,
    /// The endpoint of all services.
    pub endpoint_url: Option<&'a str>,
    /// The region.
    pub region: Option<&'a str>,
}

/// The configuration that every client of AWS is made with.
#[derive(Debug, Clone)]
pub struct Connection(SdkConfig);

impl Connection {
    /// Loads the configuration from the environment and the configuration files, as every AWS tool
    /// does. Every call knows its region or learns it from the bucket; `home` is the default
    /// region, if the configuration names none.
    pub async fn load(options: &ConnectionOptions<'_>, home: &str) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALL).build())
            .timeout_config(timeouts.build());
        if let Some(profile) = options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(region) = options.region {
            loader = loader.region(SdkRegion::new(region.to_owned()));
        }
        let config = loader.load().await;
        if config.region().is_some() {
            return Self(config);
        }
        Self(config.into_builder().region(SdkRegion::new(home.to_owned())).build())
    }

    /// Takes a configuration that somebody else has loaded. For tests, which run many clients in
    /// one process.
    #[doc(hidden)]
    pub fn from_sdk(config: SdkConfig) -> Self {
        Self(config)
    }

    /// Returns the endpoint of a service, by the ID that the SDK gives it, if one is configured in
    /// place of AWS's own. The order of precedence is the SDK's.
    pub fn endpoint(&self, service: &str) -> Option<String> {
        let general = || self.0.endpoint_url().map(str::to_owned);
        if self.0.get_origin("endpoint_url").is_client_config() {
            return general();
        }
        let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let specific = key.build().ok().and_then(|key| self.0.service_config()?.load_config(key));
        specific.or_else(general)
    }

    /// The name of a service and, if it is not AWS's own, its endpoint, for messages.
    pub fn name_of(&self, service: &str) -> String {
        match self.endpoint(service) {
            Some(url) => format!("{service} at {url}"),
            None => service.to_owned(),
        }
    }

    /// Returns the configured endpoints of the services that a run may ask, by service.
    pub fn endpoints(&self) -> BTreeMap<String, String> {
        let services = ["Account", "CloudTrail", "Organizations", "S3", "SNS", "STS"];
        services.into_iter().filter_map(|service| Some((service.to_owned(), self.endpoint(service)?))).collect()
    }

    /// Returns whether buckets are addressed by path: those behind endpoints that are not AWS's own
    /// rarely have host names of their own.
    pub fn is_path_style(&self) -> bool {
        self.0.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
    }

    /// The region, if its name has the form of one.
    pub fn region(&self) -> Option<Region> {
        self.0.region().and_then(|region| region.as_ref().parse().ok())
    }

    /// The configuration as the SDK's clients take it.
    pub(crate) fn sdk(&self) -> &SdkConfig {
        &self.0
    }
}

/// Returns whether the configuration files have a profile of this name; `None` if they can't be
/// read, which the SDK then reports.
pub async fn has_profile(name: &str) -> Option<bool> {
    let (fs, env) = (Fs::real(), Env::real());
    let profiles = aws_config::profile::load(&fs, &env, &Default::default(), None).await.ok()?;
    Some(profiles.get_profile(name).is_some())
}
