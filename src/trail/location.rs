//! The location to which a trail delivers: `GetTrail`, or `DescribeTrails` if that is denied.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::Region as SdkRegion;
use aws_sdk_cloudtrail::config::http::HttpResponse;
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::types::Trail as SdkTrail;

use crate::aws::RetryTooManyRequests;
use crate::aws::{Connection, explain, lacks_credentials};
use crate::debug::opaque_debug;
use crate::model::TrailArn;

/// The settings of a trail, as CloudTrail states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailSettings {
    /// The bucket that it delivers to now.
    pub bucket: String,
    /// The key prefix, without a slash at its end; empty if none.
    pub prefix: String,
    /// True if it logs in every region.
    pub is_multi_region: bool,
    /// True if it logs every account of an organization.
    pub is_organization: bool,
    /// The ARN of the KMS key that encrypts what it delivers, if it has one.
    pub kms_key: Option<String>,
}

/// The reason why a trail's settings could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrailError {
    /// There is no such trail.
    #[error("CloudTrail knows no trail {0}")]
    NotFound(TrailArn),
    /// Neither call is allowed.
    #[error("CloudTrail does not tell where {0} delivers: allow cloudtrail:GetTrail (or cloudtrail:DescribeTrails)")]
    Denied(TrailArn),
    /// There are no credentials, or none that AWS takes.
    #[error("no AWS credentials that work ({0})")]
    Credentials(String),
    /// There are no credentials, or they can't be loaded.
    #[error("{0}")]
    NoCredentials(String),
    /// Any other failure.
    #[error("CloudTrail could not be asked where {arn} delivers: {reason}")]
    Failed {
        /// The trail.
        arn: TrailArn,
        /// The reason.
        reason: String,
    },
}

/// A trail that AWS can be asked about.
pub struct Trail {
    arn: TrailArn,
    client: Client,
    /// The name of the service, for messages.
    service: String,
    requests: AtomicU64,
}

opaque_debug!(Trail);

/// The kind of a failed call, which decides the next step.
enum Failure {
    Denied,
    NotFound,
    Final(TrailError),
}

impl Trail {
    /// Creates a client that asks about `arn` in the trail's home region.
    pub fn new(arn: TrailArn, config: &Connection) -> Self {
        let service = config.name_of("CloudTrail");
        let config = aws_sdk_cloudtrail::config::Builder::from(config.sdk())
            .retry_classifier(RetryTooManyRequests)
            .region(SdkRegion::new(arn.home_region.to_string()))
            .build();
        Self { arn, client: Client::from_conf(config), service, requests: AtomicU64::new(0) }
    }

    /// Returns the settings of the trail as they are now.
    ///
    /// # Errors
    ///
    /// Fails if there is no such trail, or CloudTrail does not answer.
    pub async fn settings(&self) -> Result<TrailSettings, TrailError> {
        match self.get_trail().await {
            Err(Failure::Denied) => {}
            other => return self.finish(other),
        }
        let described = self.describe_trails().await;
        self.finish(described)
    }

    /// The number of requests made so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn finish(&self, answer: Result<Option<SdkTrail>, Failure>) -> Result<TrailSettings, TrailError> {
        let trail = match answer {
            Ok(trail) => trail.ok_or_else(|| TrailError::NotFound(self.arn.clone()))?,
            Err(Failure::Denied) => return Err(TrailError::Denied(self.arn.clone())),
            Err(Failure::NotFound) => return Err(TrailError::NotFound(self.arn.clone())),
            Err(Failure::Final(error)) => return Err(error),
        };
        let bucket = trail.s3_bucket_name.ok_or_else(|| TrailError::Failed {
            arn: self.arn.clone(),
            reason: "the answer names no bucket".to_owned(),
        })?;
        Ok(TrailSettings {
            bucket,
            prefix: trail.s3_key_prefix.unwrap_or_default().trim_matches('/').to_owned(),
            is_multi_region: trail.is_multi_region_trail == Some(true),
            is_organization: trail.is_organization_trail == Some(true),
            kms_key: trail.kms_key_id,
        })
    }

    async fn get_trail(&self) -> Result<Option<SdkTrail>, Failure> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.get_trail().name(self.arn.to_string()).send().await;
        answer.map(|answer| answer.trail).map_err(|error| self.sort(&error))
    }

    async fn describe_trails(&self) -> Result<Option<SdkTrail>, Failure> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.describe_trails().trail_name_list(self.arn.to_string()).send().await;
        let trails = answer.map_err(|error| self.sort(&error))?.trail_list.unwrap_or_default();
        let arn = self.arn.to_string();
        Ok(trails.into_iter().find(|trail| trail.trail_arn.as_deref() == Some(&arn)))
    }

    fn sort<E>(&self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let reason = explain(error, &self.service);
        match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some("AccessDenied" | "AccessDeniedException") => Failure::Denied,
            Some("TrailNotFoundException") => Failure::NotFound,
            Some(
                code @ ("UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "ExpiredTokenException"
                | "ExpiredToken"
                | "InvalidSignatureException"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"),
            ) => Failure::Final(TrailError::Credentials(code.to_owned())),
            None if lacks_credentials(error) => Failure::Final(TrailError::NoCredentials(reason)),
            _ => Failure::Final(TrailError::Failed { arn: self.arn.clone(), reason }),
        }
    }
}
