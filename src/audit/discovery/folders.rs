//! The folders of accounts and regions at the locations of a request.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};

use crate::audit::error::AuditError;
use crate::audit::listing::folders::{self as listing, Children, RegionFolder};
use crate::audit::request::AuditRequest;
use crate::model::{AccountId, Depth, Fault, LOG_FOLDER, OrganizationId, Region, WarningCode};
use crate::records::WarningRecord;
use crate::store::{Location, Store, StoreError};

/// The folders of accounts and regions that the request asks for.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// The folders that hold digests.
    pub digests: Vec<RegionFolder>,
    /// The folders that hold log files; the digest folder of the same region need not exist.
    pub log_files: Vec<RegionFolder>,
    /// The objects that lie in log folders and belong to no region.
    pub beside: Vec<BesideRegions>,
}

/// The objects and folders directly in an account's log folder, besides the folders of regions.
#[derive(Debug)]
pub(crate) struct BesideRegions {
    pub location: Location,
    pub organization: Option<OrganizationId>,
    pub account: AccountId,
    pub below: Children,
}

impl BesideRegions {
    /// Returns `None` if the log folder holds nothing but regions. `below` lists the objects and
    /// folders directly in it.
    pub(crate) fn new(
        location: Location,
        organization: Option<OrganizationId>,
        account: AccountId,
        mut below: Children,
    ) -> Option<Self> {
        below.folders.retain(|name| name.parse::<Region>().is_err());
        let is_empty = below.folders.is_empty() && below.objects.is_empty();
        (!is_empty).then_some(Self { location, organization, account, below })
    }
}

/// The names that the locations hold, whatever the request asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub organizations: BTreeSet<OrganizationId>,
    pub accounts: BTreeSet<AccountId>,
    /// The regions of the accounts that the request asks for.
    pub regions: BTreeSet<Region>,
    /// The locations that hold nothing of any account or organization.
    pub empty: Vec<Location>,
    /// True if a part could not be listed.
    pub is_partial: bool,
}

/// The folders that were found, and those that could not be listed.
#[derive(Debug, Default)]
pub(crate) struct FoundFolders {
    pub folders: Folders,
    pub seen: Seen,
    /// In the order in which they were met.
    pub troubles: Vec<Trouble>,
}

/// A part of a location that could not be listed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The digests of an account. The region is the trail's home region, or unknown.
    Digests { folder: RegionFolder, error: StoreError },
    /// The log files of an account.
    LogFiles(WarningRecord),
}

/// An account, and the organization below whose folder it lies.
type Member = (Option<OrganizationId>, AccountId);

/// Finds the folders that the request asks for.
///
/// # Errors
///
/// A location could not be listed, nor any account's folder in it that the request names.
pub(crate) async fn find(store: &dyn Store, request: &AuditRequest) -> Result<FoundFolders, AuditError> {
    let mut found = FoundFolders::default();
    for location in &request.locations {
        let members = members(store, request, location, &mut found.seen).await?;
        let listings = stream::iter(members)
            .map(|(organization, account)| async move {
                let prefix = location.root.digest_regions(organization.as_ref(), &account);
                let logs = location.root.log_regions(organization.as_ref(), &account, LOG_FOLDER);
                let (regions, logs) = futures::join!(
                    listing::folders(store, &location.bucket, &prefix),
                    listing::children(store, &location.bucket, &logs),
                );
                let location = location.clone();
                AccountListing { location, organization, account, regions, logs }
            })
            .buffered(request.concurrency);
        let mut listings = std::pin::pin!(listings);
        while let Some(listing) = listings.next().await {
            found.add(listing, request);
        }
    }
    Ok(found)
}

/// The listings of an account's folders.
struct AccountListing {
    location: Location,
    organization: Option<OrganizationId>,
    account: AccountId,
    /// The regions that have digests.
    regions: Result<Vec<String>, StoreError>,
    /// The content of the log folder.
    logs: Result<Children, StoreError>,
}

impl FoundFolders {
    fn add(&mut self, listing: AccountListing, request: &AuditRequest) {
        let AccountListing { location, organization, account, regions, logs } = listing;
        let folder = |region| RegionFolder {
            location: location.clone(),
            organization: organization.clone(),
            account: account.clone(),
            region,
        };
        let wanted = |names: &[String]| {
            let regions = names.iter().filter_map(|name| name.parse().ok());
            regions.filter(|region| request.wants_region(region)).map(folder).collect::<Vec<_>>()
        };
        let of_logs = logs.as_ref().map(|children| &children.folders);
        for names in [regions.as_ref().ok(), of_logs.ok()] {
            self.seen.is_partial |= names.is_none();
            self.seen.regions.extend(names.into_iter().flatten().filter_map(|name| name.parse::<Region>().ok()));
        }
        match regions {
            Ok(names) => self.folders.digests.extend(wanted(&names)),
            Err(error) => {
                let home = request.trail.as_ref().map(|arn| arn.home_region.clone());
                let folder = folder(home.unwrap_or_else(Region::unknown));
                self.troubles.push(Trouble::Digests { folder, error });
            }
        }
        match logs {
            Ok(children) => {
                self.folders.log_files.extend(wanted(&children.folders));
                let beside = BesideRegions::new(location.clone(), organization.clone(), account.clone(), children);
                self.folders.beside.extend(beside);
            }
            Err(error) => {
                let deep = request.depth != Depth::Chain;
                let code = if deep { WarningCode::UnlistedNotJudged } else { WarningCode::ListingFailed };
                let detail = format!("the regions that have log files of {account} could not be listed: {error}");
                let bucket = Some(location.bucket.as_str().into());
                self.troubles.push(Trouble::LogFiles(WarningRecord { code, bucket, key: None, detail }));
            }
        }
    }
}

/// Returns the accounts of a location that the request asks for.
async fn members(
    store: &dyn Store,
    request: &AuditRequest,
    location: &Location,
    seen: &mut Seen,
) -> Result<Vec<Member>, AuditError> {
    let TopFolders { names, is_partial } = top_folders(store, request, location).await?;
    seen.is_partial |= is_partial;
    let accounts: Vec<AccountId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let organizations: Vec<OrganizationId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    if accounts.is_empty() && organizations.is_empty() {
        seen.empty.push(location.clone());
    }
    seen.accounts.extend(accounts);
    seen.organizations.extend(organizations);
    let own = request.own_organization.as_ref().filter(|own| names.iter().any(|name| *name == own.as_str()));
    let wanted = request.organization.as_ref().or(own);
    let mut members: Vec<Member> = Vec::new();
    for name in &names {
        if let Ok(organization) = name.parse::<OrganizationId>() {
            if wanted.is_some_and(|wanted| *wanted != organization) {
                continue;
            }
            let prefix = location.root.accounts(Some(&organization));
            let below = listing::folders(store, &location.bucket, &prefix).await;
            let below = below.map_err(|error| failed(location, &prefix, error))?;
            let accounts: Vec<AccountId> = below.iter().filter_map(|name| name.parse().ok()).collect();
            seen.accounts.extend(accounts.iter().cloned());
            members.extend(accounts.into_iter().map(|account| (Some(organization.clone()), account)));
        } else if let Ok(account) = name.parse::<AccountId>()
            && request.organization.is_none()
            && request.trail.as_ref().is_none_or(|arn| arn.account == account)
        {
            members.push((None, account));
        }
    }
    members.retain(|(_, account)| request.wants_account(account));
    Ok(members)
}

/// The names of folders directly below `AWSLogs/`.
struct TopFolders {
    names: Vec<String>,
    /// True if there may be more.
    is_partial: bool,
}

/// Returns the names of the folders directly below `AWSLogs/`. If that may not be listed, returns
/// those that the request names and that may be.
async fn top_folders(store: &dyn Store, request: &AuditRequest, location: &Location) -> Result<TopFolders, AuditError> {
    let top = location.root.folder();
    let error = match listing::folders(store, &location.bucket, &top).await {
        Ok(names) => return Ok(TopFolders { names, is_partial: false }),
        Err(error) => error,
    };
    let mut found = Vec::new();
    if error.fault() == Fault::AccessDenied {
        for name in named_folders(request) {
            if listing::folders(store, &location.bucket, &format!("{top}{name}/")).await.is_ok() {
                found.push(name);
            }
        }
    }
    if found.is_empty() {
        Err(failed(location, &top, error))
    } else {
        Ok(TopFolders { names: found, is_partial: true })
    }
}

fn failed(location: &Location, prefix: &str, error: StoreError) -> AuditError {
    AuditError::Listing { place: format!("s3://{}/{prefix}", location.bucket), error }
}

/// The folders directly below `AWSLogs/` that the request itself names.
fn named_folders(request: &AuditRequest) -> Vec<String> {
    if let Some(organization) = &request.organization {
        return vec![organization.to_string()];
    }
    let own = request.trail.as_ref().filter(|_| request.is_organization != Some(true)).map(|arn| &arn.account);
    let accounts: BTreeSet<&AccountId> = own.into_iter().chain(&request.accounts).collect();
    accounts.into_iter().map(ToString::to_string).collect()
}
