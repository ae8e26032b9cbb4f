//! The accounts and regions that a trail has to reach: the regions that are enabled, for a
//! multi-region trail, and the accounts of the organization, for an organization trail.
//!
//! A caller without the permissions learns less about what is missing, and nothing wrong.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_account::types::RegionOptStatus;
use aws_sdk_cloudtrail::config::http::HttpResponse;
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_organizations::types::AccountState;
use jiff::Timestamp;

use super::location::TrailSettings;
use crate::aws::RetryTooManyRequests;
use crate::aws::{Connection, explain};
use crate::debug::opaque_debug;
use crate::model::{AccountId, OrganizationId, Region, TrailArn};

/// The accounts and regions that a trail has to reach, as far as AWS gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// The enabled regions of the trail's own account, for a multi-region trail.
    pub own_regions: BTreeSet<Region>,
    /// The regions that are enabled in every account, for a multi-region trail.
    pub default_regions: BTreeSet<Region>,
    /// The accounts of the organization, for an organization trail, that were in it at the end of
    /// the range.
    pub accounts: BTreeSet<AccountId>,
    /// The trail's organization, where the caller may list its accounts and the trail's own is
    /// among them.
    pub organization: Option<OrganizationId>,
    /// True if the trail logs in every region, and the enabled ones could not be determined.
    pub regions_unknown: bool,
    /// The reasons why some of this could not be determined, each once.
    pub unknown: Vec<String>,
}

/// A client that asks AWS which accounts and regions a trail has to reach.
pub struct ReachSource {
    arn: TrailArn,
    config: Connection,
    requests: AtomicU64,
}

opaque_debug!(ReachSource);

impl ReachSource {
    /// Creates a client that asks about `arn` with this configuration.
    pub fn new(arn: TrailArn, config: Connection) -> Self {
        Self { arn, config, requests: AtomicU64::new(0) }
    }

    /// Asks for the regions of a multi-region trail, and for the accounts of an organization trail.
    /// Accounts that joined after `until` are left out.
    pub async fn reach(&self, settings: &TrailSettings, until: Timestamp) -> Reach {
        let mut reach = Reach::default();
        let (regions, accounts) =
            futures::join!(async { if settings.is_multi_region { Some(self.regions().await) } else { None } }, async {
                if settings.is_organization { Some(self.accounts(until).await) } else { None }
            },);
        match regions {
            Some(Ok((own, default))) => (reach.own_regions, reach.default_regions) = (own, default),
            Some(Err(reason)) => {
                reach.regions_unknown = true;
                reach.unknown.push(format!(
                    "which regions are enabled, so whether one is missing altogether, can't be told: {reason}"
                ));
            }
            None => {}
        }
        match accounts {
            Some(Ok((accounts, organization))) => (reach.accounts, reach.organization) = (accounts, organization),
            Some(Err(reason)) => reach.unknown.push(format!(
                "which accounts the organization has, so whether one is missing altogether, can't be told: {reason}"
            )),
            None => {}
        }
        reach
    }

    /// The number of requests made so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The enabled regions of the trail's account, and among them those that every account has.
    async fn regions(&self) -> Result<(BTreeSet<Region>, BTreeSet<Region>), String> {
        self.count();
        let sts = aws_sdk_sts::config::Builder::from(self.config.sdk()).retry_classifier(RetryTooManyRequests).build();
        let sts = aws_sdk_sts::Client::from_conf(sts);
        let identity = sts.get_caller_identity().send().await;
        let caller =
            identity.map_err(|error| reason(&error, &self.config.name_of("STS"), "sts:GetCallerIdentity"))?.account;
        // The management account may ask for its members, and no caller may name its own account.
        let other = Some(self.arn.account.to_string()).filter(|account| caller.as_ref() != Some(account));
        let client =
            aws_sdk_account::config::Builder::from(self.config.sdk()).retry_classifier(RetryTooManyRequests).build();
        let client = aws_sdk_account::Client::from_conf(client);
        let (mut own, mut default) = (BTreeSet::new(), BTreeSet::new());
        let mut token = None;
        loop {
            self.count();
            let page = client
                .list_regions()
                .set_account_id(other.clone())
                .region_opt_status_contains(RegionOptStatus::Enabled)
                .region_opt_status_contains(RegionOptStatus::EnabledByDefault)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| reason(&error, &self.config.name_of("Account"), "account:ListRegions"))?;
            for region in page.regions.unwrap_or_default() {
                let Some(Ok(name)) = region.region_name.map(|name| name.parse::<Region>()) else { continue };
                if region.region_opt_status == Some(RegionOptStatus::EnabledByDefault) {
                    default.insert(name.clone());
                }
                own.insert(name);
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok((own, default));
            }
        }
    }

    /// The accounts of the caller's organization, and its id if the trail's own account is one of
    /// them.
    async fn accounts(&self, until: Timestamp) -> Result<(BTreeSet<AccountId>, Option<OrganizationId>), String> {
        let client = aws_sdk_organizations::config::Builder::from(self.config.sdk());
        let client = aws_sdk_organizations::Client::from_conf(client.retry_classifier(RetryTooManyRequests).build());
        let (mut accounts, mut organization) = (BTreeSet::new(), None);
        let mut token = None;
        loop {
            self.count();
            let page =
                client.list_accounts().set_next_token(token).send().await.map_err(|error| {
                    reason(&error, &self.config.name_of("Organizations"), "organizations:ListAccounts")
                })?;
            for account in page.accounts.unwrap_or_default() {
                let joined = account.joined_timestamp.and_then(|at| Timestamp::from_second(at.secs()).ok());
                let active = account.state.is_none_or(|state| state == AccountState::Active);
                if account.id.as_deref() == Some(self.arn.account.as_str()) {
                    organization = account.arn.as_deref().and_then(organization_of);
                }
                if active && joined.is_none_or(|joined| joined < until) {
                    accounts.extend(account.id.and_then(|id| id.parse::<AccountId>().ok()));
                }
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok((accounts, organization));
            }
        }
    }

    fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// The organization that the ARN of a member account names:
/// `arn:aws:organizations::MANAGEMENT:account/o-…/ACCOUNT` (Organizations API reference,
/// "Account").
fn organization_of(arn: &str) -> Option<OrganizationId> {
    arn.rsplit_once(":account/")?.1.split('/').next()?.parse().ok()
}

fn reason<E>(error: &SdkError<E, HttpResponse>, service: &str, action: &str) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("AccessDenied" | "AccessDeniedException") => format!("the caller may not use {action}"),
        Some("AWSOrganizationsNotInUseException") => "the caller's account is in no organization".to_owned(),
        _ => explain(error, service),
    }
}
