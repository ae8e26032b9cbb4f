//! The questions that an audit asks about a trail, as traits: CloudTrail answers them.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{AccountId, Period, Region};

/// The status of a trail's delivery in one region, as CloudTrail states it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrailStatus {
    /// The time at which it last delivered a digest there.
    pub latest_digest_delivery: Option<Timestamp>,
    /// The reason why it could not deliver the last digest.
    pub digest_delivery_error: Option<String>,
    /// The time at which logging was last stopped.
    pub logging_stopped: Option<Timestamp>,
    /// The time at which logging was last started.
    pub logging_started: Option<Timestamp>,
    /// True if the trail is logging.
    #[serde(default)]
    pub is_logging: Option<bool>,
    /// The reason why it could not deliver the last log file to the bucket.
    #[serde(default)]
    pub delivery_error: Option<String>,
    /// The reason why it could not deliver the last events to CloudWatch Logs.
    #[serde(default)]
    pub log_group_error: Option<String>,
}

/// A source of the status of a trail's delivery.
#[async_trait]
pub trait StatusSource: Send + Sync {
    /// Returns the status in `region`; the error says why nothing is known, and what to do.
    async fn status(&self, region: &Region) -> Result<TrailStatus, String>;

    /// Returns the status in a region that may not be enabled, with one attempt of a few seconds;
    /// `None` if the region is not enabled.
    ///
    /// # Errors
    ///
    /// Returns the reason why nothing is known.
    async fn probe(&self, region: &Region) -> Result<Option<TrailStatus>, String>;

    /// The number of requests made so far.
    fn requests(&self) -> u64;
}

/// A source that knows the trails of an account.
#[async_trait]
pub trait NeighbourSource: Send + Sync {
    /// Returns the names of trails that deliver log files of `region` to the same location without
    /// digests.
    ///
    /// # Errors
    ///
    /// Returns the reason why they can't be determined, such as a permission that the caller lacks.
    async fn without_digests(&self, region: &Region) -> Result<Vec<String>, String>;

    /// The number of requests made so far.
    fn requests(&self) -> u64;
}

/// The management events that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryFilter {
    /// Those whose `readOnly` is false.
    Writes,
    /// Those of one name.
    Named(&'static str),
}

/// A page of an account's Event History.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The records of the events, as JSON, the newest first; `None` for an event whose record is not
    /// there, or is larger than any of CloudTrail's.
    pub records: Vec<Option<String>>,
    /// The token of the next page, if there is one.
    pub next: Option<String>,
}

/// A source of the management events of the last 90 days, which are not signed.
#[async_trait]
pub trait HistorySource: Send + Sync {
    /// Returns the account whose events it has.
    ///
    /// # Errors
    ///
    /// Returns the reason why it can't be determined.
    async fn account(&self) -> Result<AccountId, String>;

    /// Returns the name of whoever answers: CloudTrail, or an endpoint that was configured in place of
    /// it.
    fn name(&self) -> String;

    /// Returns a page of the events of a region in a time, both ends included. `token` is that of the
    /// page before.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no answer, and what to do.
    async fn page(
        &self,
        region: &Region,
        time: Period,
        filter: HistoryFilter,
        token: Option<String>,
    ) -> Result<HistoryPage, String>;

    /// The number of requests made so far.
    fn requests(&self) -> u64;
}
