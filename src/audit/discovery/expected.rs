//! Chains that should exist: someone who removes every digest of an account or a region leaves
//! nothing that names them.
//!
//! A chain is expected in the trail's home region, in regions where CloudTrail says that it
//! delivered a digest, in regions that have log files without digests, and in the accounts and
//! regions that the trail reaches according to the caller or AWS.

use std::collections::{BTreeSet, HashMap, HashSet};

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
    let has_chain = |account: &AccountId| {
        found.range((account.clone(), Region::none())..).next().is_some_and(|(other, _)| other == account)
    };
    let Expected { accounts, regions, own_regions, .. } = &request.expected;
    let organizations = Organizations::of(folders);
    let organization = |account: &AccountId| organizations.of_account(account, request);
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
        let of_account = organization(account);
        expected.extend(regions.iter().map(|region| (of_account.clone(), account.clone(), region.clone())));
        if regions.is_empty() && !has_chain(account) {
            let home = home.clone().unwrap_or_else(Region::unknown);
            expected.insert((of_account, account.clone(), home));
        }
    }
    let trail = guess_trail(discovery.chains.keys(), request);
    // Objects under `AWSLogs/ACCOUNT/` were delivered while the trail was not the organization's, before
    // or after.
    let counts = |id: &ChainId| request.is_organization.is_none_or(|is| is == id.organization.is_some());
    let mut there: HashSet<(AccountId, Region)> =
        discovery.chains.keys().filter(|id| counts(id)).map(|id| (id.account.clone(), id.region.clone())).collect();
    for (organization, account, region) in expected {
        if !request.wants_account(&account) || !request.wants_region(&region) {
            continue;
        }
        let (trail, home_region) = trail.clone().unwrap_or_else(|| (TrailName::unknown(), region.clone()));
        let place = (account, region);
        if there.contains(&place) {
            continue;
        }
        let (account, region) = place.clone();
        let chain = ChainId { organization, account, region, trail, home_region };
        if counts(&chain) {
            there.insert(place);
        }
        discovery.expect_exactly(chain);
    }
}

/// The organizations below whose folders the accounts lie, as far as the folders show them.
struct Organizations {
    /// The first organization that has a folder.
    first: Option<OrganizationId>,
    /// For each account, the first organization below whose folder it lies; `None` if it has a folder of
    /// its own, too.
    accounts: HashMap<AccountId, Option<OrganizationId>>,
}

impl Organizations {
    fn of(folders: &Folders) -> Self {
        let mut found = Self { first: None, accounts: HashMap::new() };
        for folder in folders.digests.iter().chain(&folders.log_files) {
            if found.first.is_none() {
                found.first.clone_from(&folder.organization);
            }
            let known = found.accounts.entry(folder.account.clone()).or_insert_with(|| folder.organization.clone());
            // If an account has a folder of its own beside the organization's, it is unknown which one
            // the trail used.
            if folder.organization.is_none() {
                *known = None;
            }
        }
        found
    }

    /// Returns the organization below whose folder an account's chains lie.
    fn of_account(&self, account: &AccountId, request: &AuditRequest) -> Option<OrganizationId> {
        if request.organization.is_some() {
            return request.organization.clone();
        }
        match (request.is_organization, self.accounts.get(account)) {
            (Some(true), _) => self.first.clone(),
            (Some(false), _) => None,
            (None, Some(own)) => own.clone(),
            (None, None) if request.trail.as_ref().is_some_and(|arn| arn.account == *account) => None,
            (None, None) => self.first.clone(),
        }
    }
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
