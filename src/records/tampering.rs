//! The records of proven events that weaken logging, and references to proven events.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::{optional_time, required_time};
use crate::model::{ChainId, FindingId, ObjectRef, TamperingOutcome};

/// The facts about an event that reports name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "event_summary")]
pub struct EventSummary {
    /// The identifier; null if the record has none.
    pub event_id: Option<String>,
    /// The time; null if the record has none.
    #[serde(with = "optional_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub event_time: Option<Timestamp>,
    /// The name of the call.
    pub event_name: String,
    /// The ARN of who made the call, or what stands for it.
    pub arn: Option<String>,
    /// The address or the AWS service that the call came from.
    pub source_ip: Option<String>,
}

/// A reference to an event in a log file that is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "event_reference")]
pub struct EventReference {
    /// The event.
    #[serde(flatten)]
    pub summary: EventSummary,
    /// The bucket of the log file.
    pub bucket: Arc<str>,
    /// The key of the log file.
    pub key: Arc<str>,
}

impl EventReference {
    /// Refers to an event of a log file.
    pub fn new(summary: EventSummary, object: &ObjectRef) -> Self {
        Self { summary, bucket: object.bucket.clone(), key: object.key.clone() }
    }
}

/// The answers of CloudTrail's Event History about a gap. They are not signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "event_history")]
#[non_exhaustive]
pub struct EventHistoryAnswer {
    /// The management events of the gap; null if there was no answer.
    pub calls: Option<HistoryOfGap>,
    /// The calls that stopped and started the logging; null if they were not asked for, or if there was
    /// no answer.
    pub logging: Option<HistoryOfLogging>,
}

/// The management events of a gap with `readOnly` false, as CloudTrail's Event History has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "history_of_gap")]
#[non_exhaustive]
pub struct HistoryOfGap {
    /// The start of the time that was asked about.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub from: Timestamp,
    /// The end of the time that was asked about.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub to: Timestamp,
    /// The number of events that were received.
    pub events: u64,
    /// False if there may be more, which were not asked for.
    pub is_complete: bool,
    /// The newest of them.
    pub newest: Vec<EventSummary>,
}

/// The calls that stopped and started the logging around a gap, as CloudTrail's Event History has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "history_of_logging")]
#[non_exhaustive]
pub struct HistoryOfLogging {
    /// The start of the time that was asked about.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub from: Timestamp,
    /// The end of the time that was asked about.
    #[serde(with = "required_time")]
    #[schemars(with = "Timestamp")]
    pub to: Timestamp,
    /// The call that explains the gap; null if there is none.
    pub stopped_by: Option<EventSummary>,
    /// The call that ended it; null if there is none.
    pub started_by: Option<EventSummary>,
}

/// A proven event that weakens logging or the protection of the logs, or was to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "tampering")]
#[non_exhaustive]
pub struct TamperingRecord {
    /// The identifier of the finding, which is the same in every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FindingId")]
    pub id: Option<FindingId>,
    /// The rule that the event meets.
    // Later versions add rules, and their records are not to fail in the validators of consumers.
    pub rule: String,
    /// The outcome of the call.
    pub outcome: TamperingOutcome,
    /// The chain of the log file.
    #[serde(flatten)]
    pub chain: Arc<ChainId>,
    /// The event.
    pub event: EventReference,
    /// The position of the record in the log file, from 0 on.
    pub index: u64,
    /// The error of a call that failed.
    pub error_code: Option<String>,
    /// The resource that the call was about, as the record names it: a trail, a bucket, a key, or another.
    pub subject: Option<String>,
    /// The techniques of MITRE ATT&CK that the rule belongs to.
    pub attack: Vec<String>,
    /// The same in words.
    pub detail: String,
}

/// The number of findings of tampering: of each proven event, one for each rule that it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "tampering_counts")]
pub struct TamperingCounts {
    /// The number of findings of calls that succeeded.
    pub succeeded: u64,
    /// The number of findings of calls that failed.
    pub attempted: u64,
}
