//! The identity of one chain of digests.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountId, OrganizationId, Region, TrailArn, TrailName};

/// The identity of one chain of digests. The chain's buckets and prefixes may change over time; its
/// identity does not.
///
/// The derived order is the order in which chains are reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ChainId {
    /// The organization whose folder holds the chain; null for a trail of one account.
    pub organization: Option<OrganizationId>,
    /// The account whose events were logged.
    pub account: AccountId,
    /// The region whose events were logged. Its keys sign the digests.
    ///
    /// Null for an object that lies in no region's folder.
    pub region: Region,
    /// The trail's name.
    pub trail: TrailName,
    /// The region in which the trail was made.
    pub home_region: Region,
}

impl ChainId {
    /// The first of the identities, in their order, that chains of this account and region can have.
    pub(crate) fn first_of(organization: Option<OrganizationId>, account: AccountId, region: Region) -> Self {
        Self { organization, account, region, trail: TrailName::least(), home_region: Region::none() }
    }

    /// Returns whether this is a chain of the trail that `arn` names: its own account's under
    /// `AWSLogs/ACCOUNT/`, every account's under `AWSLogs/O-ID/`.
    pub fn belongs_to(&self, arn: &TrailArn) -> bool {
        self.trail == arn.name
            && self.home_region == arn.home_region
            && (self.organization.is_some() || self.account == arn.account)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(organization) = &self.organization {
            write!(f, "{organization}/")?;
        }
        write!(f, "{} {} {} ({})", self.account, self.region, self.trail, self.home_region)
    }
}
