//! Chains that should exist: someone who removes every digest of an account or a region leaves
//! nothing that names them.
//!
//! A chain is expected in the trail's home region, in regions where CloudTrail says that it
//! delivered a digest, in regions that have log files without digests, and in the accounts and
//! regions that the trail reaches according to the caller or AWS.

use std::collections::BTreeSet;

use crate::audit::discovery::chains::Discovery;
use crate::audit::discovery::folders::Folders;
use crate::audit::request::{AuditRequest, Expected};
use crate::model::{AccountId, ChainId, OrganizationId, Region, TimeRange, TrailName};

/// Adds the expected chains that were not found to `discovery`.
pub(crate) fn add(discovery: &mut Discovery, request: &AuditRequest, range: &TimeRange) {
    let folders = &discovery.folders;
    let mut expected: BTreeSet<(Option<OrganizationId>, AccountId, Region)> = BTreeSet::new();
    let found: BTreeSet<(AccountId, Region)> =
        discovery.chains.keys().map(|chain| (chain.account.clone(), chain.region.clone())).collect();
    let Expected { accounts, regions, own_regions, .. } = &request.expected;
    let organization = |account: &AccountId| organization_of(account, request, folders);
    if let Some(arn) = &request.trail {
        let delivered = discovery.statuses.iter().filter(|(_, status)| {
            let delivery = status.as_ref().ok().and_then(|status| status.latest_digest_delivery);
            delivery.is_some_and(|at| range.reaches(at))
        });
        let own = delivered.map(|(region, _)| region).chain([&arn.home_region]).chain(own_regions).chain(regions);
        expected.extend(own.map(|region| (organization(&arn.account), arn.account.clone(), region.clone())));
    }
    let home = guess_trail(discovery.chains.keys(), request).map(|(_, home)| home);
    let known: BTreeSet<&AccountId> = found.iter().map(|(account, _)| account).chain(accounts).collect();
    for account in known {
        expected.extend(regions.iter().map(|region| (organization(account), account.clone(), region.clone())));
        let is_missing = regions.is_empty() && !found.iter().any(|(other, _)| other == account);
        if is_missing {
            let home = home.clone().unwrap_or_else(Region::unknown);
            expected.insert((organization(account), account.clone(), home));
        }
    }
    let trail = guess_trail(discovery.chains.keys(), request);
    for (organization, account, region) in expected {
        if !request.wants_account(&account) || !request.wants_region(&region) {
            continue;
        }
        let (trail, home_region) = trail.clone().unwrap_or_else(|| (TrailName::unknown(), region.clone()));
        discovery.expect(ChainId { organization, account, region, trail, home_region }, request);
    }
}

/// Returns the organization below whose folder an account's chains lie, as far as the folders show
/// it.
fn organization_of(account: &AccountId, request: &AuditRequest, folders: &Folders) -> Option<OrganizationId> {
    if request.organization.is_some() {
        return request.organization.clone();
    }
    let all = || folders.digests.iter().chain(&folders.log_files);
    match request.is_organization {
        Some(true) => return all().find_map(|folder| folder.organization.clone()),
        Some(false) => return None,
        None => {}
    }
    let own = || all().filter(|folder| folder.account == *account).map(|folder| &folder.organization);
    // If an account has a folder of its own beside the organization's, it is unknown which one the
    // trail used.
    if own().next().is_some() {
        return if own().any(Option::is_none) { None } else { own().find_map(Clone::clone) };
    }
    if request.trail.as_ref().is_some_and(|arn| arn.account == *account) {
        return None;
    }
    all().find_map(|folder| folder.organization.clone())
}

/// Returns the name and home region of the trail: the ARN's, or those of the only trail that was
/// found.
pub(crate) fn guess_trail<'a>(
    chains: impl Iterator<Item = &'a ChainId>,
    request: &AuditRequest,
) -> Option<(TrailName, Region)> {
    if let Some(arn) = &request.trail {
        return Some((arn.name.clone(), arn.home_region.clone()));
    }
    let mut trails = chains.map(|chain| (&chain.trail, &chain.home_region));
    let first = trails.next()?;
    trails.all(|other| other == first).then(|| (first.0.clone(), first.1.clone()))
}
