//! The question that a plan answers: the part of an audit's request that all its units share.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::tampering::TamperingQuestion;
use crate::audit::AuditRequest;
use crate::model::{AccountId, Depth, OrganizationId, Region, TimeRange, TrailArn};
use crate::records::{Setting, WarningRecord};
use crate::store::Location;

/// The part of an audit's request that a plan, its units and their merge share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The trail; null for every trail at the location.
    pub trail_arn: Option<TrailArn>,
    /// The locations of the digests, by the bucket that they record.
    pub locations: Vec<Location>,
    /// The bucket that is read in place of the recorded one.
    pub read_bucket: Option<String>,
    /// The source, for people.
    pub source: String,
    /// True if the trail is an organization's; null if that is not known.
    pub is_organization: Option<bool>,
    /// The only organization whose folder is examined.
    pub organization: Option<OrganizationId>,
    /// The trail's own organization, if it is known.
    pub own_organization: Option<OrganizationId>,
    /// The range to verify.
    #[serde(flatten)]
    pub range: TimeRange,
    /// The accounts to examine; empty for all.
    pub accounts: BTreeSet<AccountId>,
    /// The regions to examine; empty for all.
    pub regions: BTreeSet<Region>,
    /// The depth of the verification.
    pub depth: Depth,
    /// The places by which events of tampering are told; null if units look for none.
    pub tampering: Option<TamperingQuestion>,
    /// The uncompressed size up to which a log file is read, in bytes.
    pub max_log_file_bytes: u64,
    /// The time after its hour within which a digest may still come, in seconds.
    pub grace_seconds: i64,
    /// The reasons why more chains could not be derived.
    pub unknown: Vec<String>,
    /// The time as of which the trail is judged: that of the plan.
    pub now: Timestamp,
    /// The settings that were given to the plan.
    pub settings: Vec<Setting>,
    /// The endpoints in place of AWS's own, by service, that the plan asked.
    pub endpoints: Option<BTreeMap<String, String>>,
    /// The warnings from before anything was listed, such as those about public keys.
    pub warnings: Vec<WarningRecord>,
}

impl Question {
    /// Takes the shared part of a request.
    pub fn of(
        request: &AuditRequest,
        source: String,
        read_bucket: Option<String>,
        tampering: Option<TamperingQuestion>,
    ) -> Self {
        Self {
            trail_arn: request.trail.clone(),
            locations: request.locations.clone(),
            read_bucket,
            source,
            is_organization: request.is_organization,
            organization: request.organization.clone(),
            own_organization: request.own_organization.clone(),
            range: request.bounded_range(true),
            accounts: request.accounts.clone(),
            regions: request.regions.clone(),
            depth: request.depth,
            tampering,
            max_log_file_bytes: request.max_log_file_bytes,
            grace_seconds: request.grace.as_secs(),
            unknown: request.expected.unknown.clone(),
            now: request.now,
            settings: request.statement.settings.clone(),
            endpoints: request.statement.endpoints.clone(),
            warnings: request.warnings_before.clone(),
        }
    }

    /// The buckets that are examined, by the names that digests record and under which they are read.
    pub fn buckets(&self) -> Vec<String> {
        self.locations.iter().map(|location| location.bucket.clone()).chain(self.read_bucket.clone()).collect()
    }

    /// Makes the request of an audit of `range` that reads `concurrency` objects at once.
    pub fn request(&self, range: TimeRange, concurrency: usize) -> AuditRequest {
        let mut request = AuditRequest {
            trail: self.trail_arn.clone(),
            locations: self.locations.clone(),
            is_organization: self.is_organization,
            organization: self.organization.clone(),
            own_organization: self.own_organization.clone(),
            accounts: self.accounts.clone(),
            regions: self.regions.clone(),
            concurrency,
            depth: self.depth,
            max_log_file_bytes: self.max_log_file_bytes,
            grace: SignedDuration::from_secs(self.grace_seconds),
            ..AuditRequest::new(range, self.now)
        };
        request.expected.unknown = self.unknown.clone();
        request
    }
}
