//! Public keys from CloudTrail's `ListPublicKeys`, asked in each digest's own region.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::Region as SdkRegion;
use aws_sdk_cloudtrail::error::ProvideErrorMetadata;
use aws_sdk_cloudtrail::primitives::DateTime;
use jiff::Timestamp;

use super::{KeySet, KeySource, KeySourceError};
use crate::aws::RetryTooManyRequests;
use crate::aws::{Connection, explain};
use crate::debug::opaque_debug;
use crate::model::Region;

/// A source of public keys that asks CloudTrail with an AWS configuration.
pub struct ListPublicKeys {
    config: Connection,
    partition: String,
    requests: AtomicU64,
}

opaque_debug!(ListPublicKeys);

impl ListPublicKeys {
    /// Creates a source with this configuration, for the regions of this partition; the
    /// configuration's own region doesn't matter.
    pub fn new(config: Connection, partition: String) -> Self {
        Self { config, partition, requests: AtomicU64::new(0) }
    }
}

#[async_trait]
impl KeySource for ListPublicKeys {
    async fn keys(&self, region: &Region, from: Timestamp, to: Timestamp) -> Result<KeySet, KeySourceError> {
        let failed = |reason: String| KeySourceError { region: region.to_string(), reason };
        // The region comes from the name of a folder. None of another partition is asked: its
        // endpoints belong to others.
        if region.partition() != self.partition {
            let (partition, own) = (region.partition(), &self.partition);
            return Err(failed(format!(
                "it is a region of the partition {partition}, and only those of {own} are asked"
            )));
        }
        let config = aws_sdk_cloudtrail::config::Builder::from(self.config.sdk())
            .retry_classifier(RetryTooManyRequests)
            .region(SdkRegion::new(region.to_string()))
            .build();
        let client = Client::from_conf(config);
        let mut set = KeySet { authoritative: true, ..KeySet::default() };
        let mut token = None;
        loop {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let page = client
                .list_public_keys()
                .start_time(DateTime::from_secs(from.as_second()))
                .end_time(DateTime::from_secs(to.as_second()))
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| {
                    let reason = match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                        Some("AccessDenied" | "AccessDeniedException") => {
                            "access denied: the caller needs cloudtrail:ListPublicKeys there".to_owned()
                        }
                        Some("UnrecognizedClientException" | "InvalidClientTokenId") => {
                            "CloudTrail there does not take the credentials: is the region enabled for this account?"
                                .to_owned()
                        }
                        _ => explain(&error, &self.config.name_of("CloudTrail")),
                    };
                    failed(reason)
                })?;
            for key in page.public_key_list.unwrap_or_default() {
                let delivered = key.fingerprint.unwrap_or_default();
                let (Some(value), Some(from), Some(to)) = (key.value, key.validity_start_time, key.validity_end_time)
                else {
                    set.notes.push(format!("the public key {delivered} came without a value or without its window"));
                    continue;
                };
                // A time out of the representable range leaves the window open on that side.
                let time = |at: DateTime, beyond| Timestamp::from_second(at.secs()).unwrap_or(beyond);
                let window = (time(from, Timestamp::MIN), time(to, Timestamp::MAX));
                if let Err(reason) = set.add_der(&delivered, value.as_ref(), window.0, window.1) {
                    set.notes.push(format!("the public key {delivered} is of no use: {reason}"));
                }
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(set);
            }
        }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn origin(&self) -> String {
        match self.config.endpoint("CloudTrail") {
            None => "CloudTrail's ListPublicKeys, asked in each region at the endpoint of AWS, over TLS".to_owned(),
            Some(url) => {
                let tls = if url.starts_with("https://") { "over TLS" } else { "without TLS" };
                format!("ListPublicKeys, asked at {url}, {tls}, an endpoint that was configured in place of AWS's own")
            }
        }
    }
}
