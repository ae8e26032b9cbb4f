//! Discovery of the chains at the requested locations, and of the digests that the range needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::audit::digests::listed_digests::ListedDigests;
use crate::audit::discovery::statuses;
use crate::audit::error::AuditError;
use crate::audit::listing::digests::{self, Children, RegionFolder};
use crate::audit::request::AuditRequest;
use crate::audit::resume::late_arrivals::Deliveries;
use crate::audit::resume::selection::{self, Resume};
use crate::audit::shared::context::Statuses;
use crate::model::{
    AccountId, ChainId, Checkpoint, Depth, Fault, LOG_FOLDER, OrganizationId, Region, TimeRange, TrailName,
    WarningCode, WarningRecord,
};
use crate::store::{Location, Store, StoreError};
use crate::trail::StatusSource;

/// One chain, as listings show it.
#[derive(Debug, Default)]
pub(crate) struct ListedChain {
    /// The folders that hold it.
    pub folders: Vec<RegionFolder>,
    /// The folders that may hold a chain which continues it: of the same account and region, inside
    /// an organization or outside.
    pub other_folders: Vec<RegionFolder>,
    /// The digests that the range needs.
    pub digests: ListedDigests,
    /// The reason why a part of it could not be listed.
    pub failure: Option<String>,
    /// True if only digests older than the range are known of the chain.
    pub ended_before: bool,
    /// The deliveries to it that the listing shows, if a checkpoint is kept.
    pub deliveries: Deliveries,
    /// The state that earlier runs left of it.
    pub resume: Option<Arc<Resume>>,
}

/// The result of discovery.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    pub chains: BTreeMap<ChainId, ListedChain>,
    pub statuses: Statuses,
    pub warnings: Vec<WarningRecord>,
    pub folders: Folders,
    /// The accounts whose digests could not be listed at all, with the reasons.
    unlisted: BTreeMap<AccountId, String>,
}

/// Finds every chain that the request asks for. Fails only if nothing could be listed.
pub(crate) async fn discover(
    store: &Arc<dyn Store>,
    status: Option<&dyn StatusSource>,
    request: &AuditRequest,
    range: &TimeRange,
) -> Result<Discovery, AuditError> {
    let mut discovery = Discovery::default();
    // Chains that earlier runs found have to exist.
    for id in request.checkpoint.iter().flat_map(|checkpoint| checkpoint.chains.keys()) {
        // Objects outside the folders of regions do not form a chain.
        if request.wants(id) && id.region.known().is_some() {
            discovery.chains.insert(id.clone(), ListedChain::default());
        }
    }
    let folders = region_folders(store.as_ref(), request, &mut discovery).await?;
    // Include the former folders of chains that have moved since.
    let elsewhere = selection::other_folders(request, store.is_live());
    discovery.statuses = statuses::ask(status, request, &own_regions(request, &folders)).await;
    let shared = Arc::new(request.clone());
    let all: Vec<RegionFolder> = folders.digests.iter().chain(&elsewhere).cloned().collect();
    let listings = stream::iter(all)
        .map(|folder| {
            let (store, request) = (store.clone(), shared.clone());
            let range = selection::listing_range(&request, &folder, range);
            let task = tokio::spawn(async move {
                let store = store.as_ref();
                let listing = digests::digests(store, &folder, &range, &request).await;
                let nothing = listing.digests.is_empty() && listing.earlier.is_empty() && listing.failure.is_none();
                let earlier = match range.start {
                    Some(start) if nothing => digests::earlier_chains(store, &folder, start, &request).await,
                    _ => Ok(Vec::new()),
                };
                (folder, listing, earlier)
            });
            async move { task.await.map_err(|error| AuditError::Task(error.to_string())) }
        })
        .buffered(request.concurrency);
    let mut listings = std::pin::pin!(listings);
    while let Some((folder, listing, earlier)) = listings.try_next().await? {
        let mut failure = listing.failure;
        let earlier = earlier.map(|found| listing.earlier.into_iter().chain(found).collect::<BTreeSet<_>>());
        for chain in listing.digests.keys() {
            discovery.chains.entry(chain.clone()).or_default().folders.push(folder.clone());
        }
        for (_, known) in discovery.chains.iter_mut().filter(|(id, _)| folder.holds(id)) {
            if !known.folders.contains(&folder) {
                known.folders.push(folder.clone());
            }
        }
        for (chain, digests) in listing.digests {
            discovery.chains.entry(chain).or_default().digests.extend(&digests);
        }
        match earlier {
            Ok(chains) => {
                for chain in chains {
                    // A trail that became the organization's continues in the organization's
                    // folder.
                    if request.is_organization.is_some_and(|is| is != chain.organization.is_some()) {
                        continue;
                    }
                    let listed = discovery.chains.entry(chain).or_default();
                    if !listed.folders.contains(&folder) {
                        listed.folders.push(folder.clone());
                    }
                    listed.ended_before |= listed.digests.is_empty();
                }
            }
            Err(error) => failure = failure.or(Some(error)),
        }
        match failure {
            // A location that the trail has left may be deleted or denied by now.
            Some(error) if elsewhere.contains(&folder) => discovery.warn_of_former_place(&folder, &error),
            Some(error) => discovery.failed(&folder, request, error),
            None => {}
        }
    }
    discovery.folders = folders;
    discovery.add_other_folders();
    discovery.warn_of_organizations(request);
    if let Some(checkpoint) = &request.checkpoint {
        discovery.go_on_from(checkpoint, request, range, store.is_live());
    }
    Ok(discovery)
}

impl Discovery {
    /// Adds an expected chain if none of that account and region was found.
    pub(crate) fn expect(&mut self, chain: ChainId, request: &AuditRequest) {
        let is_it = |other: &ChainId| {
            // Objects under `AWSLogs/ACCOUNT/` were delivered while the trail was not the
            // organization's, before or after.
            let same_kind = request.is_organization.is_none_or(|is| is == other.organization.is_some());
            other.account == chain.account && other.region == chain.region && same_kind
        };
        if !self.chains.keys().any(is_it) {
            self.expect_exactly(chain);
        }
    }

    /// Adds an expected chain if none with exactly this identity was found.
    pub(crate) fn expect_exactly(&mut self, chain: ChainId) {
        if !self.chains.contains_key(&chain) {
            let failure = self.unlisted.get(&chain.account).cloned();
            // Its log files may exist all the same.
            let log_files = self.folders.log_files.iter().filter(|folder| folder.holds(&chain)).cloned();
            let folders = log_files.collect();
            self.chains.insert(chain, ListedChain { folders, failure, ..ListedChain::default() });
        }
    }

    /// Notes for each chain the folders of the same account and region that belong to another
    /// organization, or to none.
    fn add_other_folders(&mut self) {
        let mut by_place: BTreeMap<(&AccountId, &Region), Vec<&RegionFolder>> = BTreeMap::new();
        for folder in &self.folders.digests {
            by_place.entry((&folder.account, &folder.region)).or_default().push(folder);
        }
        by_place.retain(|_, folders| folders.len() > 1);
        for (id, chain) in &mut self.chains {
            let near = by_place.get(&(&id.account, &id.region)).into_iter().flatten();
            chain.other_folders = near.filter(|folder| !folder.holds(id)).map(|folder| (*folder).clone()).collect();
        }
    }

    /// Warns if trails of several organizations have the requested name.
    fn warn_of_organizations(&mut self, request: &AuditRequest) {
        let Some(arn) = &request.trail else { return };
        let organizations: BTreeSet<&OrganizationId> =
            self.chains.keys().filter_map(|id| id.organization.as_ref()).collect();
        if organizations.len() < 2 {
            return;
        }
        let names: Vec<String> = organizations.into_iter().map(ToString::to_string).collect();
        let detail = format!(
            "digests of trails named {} in {} lie in the folders of several organizations: {}. Which of them is asked \
             about can't be told, so all are examined",
            arn.name,
            arn.home_region,
            names.join(", ")
        );
        let code = WarningCode::SeveralOrganizations;
        self.warnings.push(WarningRecord { code, bucket: None, key: None, detail });
    }

    /// Reduces the listed digests to those that are needed by a run that continues from the
    /// checkpoint.
    fn go_on_from(&mut self, checkpoint: &Checkpoint, request: &AuditRequest, range: &TimeRange, live: bool) {
        // Drop the placeholder of an unseen chain once a real chain of its account and region is
        // found.
        let known = |id: &ChainId| id.trail != TrailName::unknown();
        let real: BTreeSet<(AccountId, Region)> = self
            .chains
            .iter()
            .filter(|(id, chain)| known(id) && !chain.digests.is_empty())
            .map(|(id, _)| (id.account.clone(), id.region.clone()))
            .collect();
        self.chains.retain(|id, _| known(id) || !real.contains(&(id.account.clone(), id.region.clone())));
        for (id, chain) in &mut self.chains {
            chain.deliveries = Deliveries::of(&chain.digests, live);
            if chain.failure.is_none() {
                chain.failure = self.unlisted.get(&id.account).cloned();
            }
            let before = checkpoint.chains.get(id);
            // An incomplete listing is no evidence that a digest is gone.
            let places: &[_] = if chain.failure.is_none() { &request.locations } else { &[] };
            let selected =
                before.and_then(|before| Resume::select(id, before, &chain.digests, places, request.recheck, live));
            match selected {
                Some((resume, digests)) => {
                    chain.resume = Some(Arc::new(resume));
                    chain.digests = digests;
                }
                None => {
                    // The listing may reach back before the range, because other chains of the
                    // folder need that.
                    let (inside, before): (Vec<_>, Vec<_>) =
                        chain.digests.iter().partition(|digest| range.reaches(digest.end));
                    chain.digests = inside.iter().collect();
                    chain.ended_before |= inside.is_empty() && !before.is_empty();
                }
            }
        }
    }

    /// Records that a region's folder could not be listed completely: none of its chains may pass
    /// as complete.
    fn failed(&mut self, folder: &RegionFolder, request: &AuditRequest, error: StoreError) {
        let reason = error.to_string();
        let place = format!("the digests of {} in {}", folder.account, folder.region);
        self.warn(
            WarningCode::ListingFailed,
            &folder.location.bucket,
            format!("{place} could not be listed: {reason}"),
        );
        let mut known: Vec<ChainId> = self.chains.keys().filter(|chain| folder.holds(chain)).cloned().collect();
        known.extend(request.trail.as_ref().filter(|_| known.is_empty()).map(|arn| ChainId {
            organization: folder.organization.clone(),
            account: folder.account.clone(),
            region: folder.region.clone(),
            trail: arn.name.clone(),
            home_region: arn.home_region.clone(),
        }));
        if known.is_empty() {
            known.push(ChainId {
                organization: folder.organization.clone(),
                account: folder.account.clone(),
                region: folder.region.clone(),
                trail: TrailName::unknown(),
                home_region: folder.region.clone(),
            });
        }
        for chain in known {
            self.chains.entry(chain).or_default().failure = Some(reason.clone());
        }
    }

    /// Warns that a location could not be listed that the trail delivered to when an earlier run
    /// verified it.
    fn warn_of_former_place(&mut self, folder: &RegionFolder, error: &StoreError) {
        let RegionFolder { account, region, location, .. } = folder;
        let detail = format!(
            "the digests of {account} in {region} that earlier runs verified in another place could not be listed, so \
             whether they are still there can't be told: {error}"
        );
        self.warn(WarningCode::ListingFailed, &location.bucket, detail);
    }

    fn warn(&mut self, code: WarningCode, bucket: &str, detail: String) {
        self.warnings.push(WarningRecord { code, bucket: Some(bucket.into()), key: None, detail });
    }
}

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

/// Returns the regions in which the trail's own account may have a chain, and whose status is
/// requested.
fn own_regions<'a>(request: &'a AuditRequest, folders: &'a Folders) -> BTreeSet<&'a Region> {
    let Some(arn) = &request.trail else { return BTreeSet::new() };
    let found = folders.digests.iter().chain(&folders.log_files).filter(|folder| folder.account == arn.account);
    let named = request.expected.regions.iter().chain(&request.expected.own_regions);
    found
        .map(|folder| &folder.region)
        .chain(named)
        .chain([&arn.home_region])
        .filter(|region| request.wants_region(region))
        .collect()
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

async fn region_folders(
    store: &dyn Store,
    request: &AuditRequest,
    discovery: &mut Discovery,
) -> Result<Folders, AuditError> {
    let mut found = Folders::default();
    for location in &request.locations {
        let place = |prefix: &str| format!("s3://{}/{prefix}", location.bucket);
        let top = location.root.folder();
        let failed = |prefix: &str, error| AuditError::Listing { place: place(prefix), error };
        let names = match digests::folders(store, &location.bucket, &top).await {
            Ok(names) => names,
            // If only the account's own folder may be listed, the ARN or a filter names it.
            Err(error) if error.fault() == Fault::AccessDenied => {
                let named = named_folders(request);
                let digests = |name: &String| format!("{top}{name}/");
                let mut found = Vec::new();
                for name in named {
                    if digests::folders(store, &location.bucket, &digests(&name)).await.is_ok() {
                        found.push(name);
                    }
                }
                if found.is_empty() {
                    return Err(failed(&top, error));
                }
                found
            }
            Err(error) => return Err(failed(&top, error)),
        };
        let mut accounts: Vec<(Option<OrganizationId>, AccountId)> = Vec::new();
        let own = request.own_organization.as_ref().filter(|own| names.iter().any(|name| *name == own.as_str()));
        let wanted = request.organization.as_ref().or(own);
        for name in &names {
            if let Ok(organization) = name.parse::<OrganizationId>() {
                if wanted.is_none_or(|wanted| *wanted == organization) {
                    let prefix = location.root.accounts(Some(&organization));
                    let below = digests::folders(store, &location.bucket, &prefix).await;
                    let below = below.map_err(|error| failed(&prefix, error))?;
                    let members = below.iter().filter_map(|name| name.parse().ok());
                    accounts.extend(members.map(|account| (Some(organization.clone()), account)));
                }
            } else if let Ok(account) = name.parse::<AccountId>()
                && request.organization.is_none()
                && request.trail.as_ref().is_none_or(|arn| arn.account == account)
            {
                accounts.push((None, account));
            }
        }
        accounts.retain(|(_, account)| request.wants_account(account));
        let listings = stream::iter(accounts)
            .map(|(organization, account)| async move {
                let prefix = location.root.digest_regions(organization.as_ref(), &account);
                let logs = location.root.log_regions(organization.as_ref(), &account, LOG_FOLDER);
                let (regions, logs) = futures::join!(
                    digests::folders(store, &location.bucket, &prefix),
                    digests::children(store, &location.bucket, &logs),
                );
                (organization, account, regions, logs)
            })
            .buffered(request.concurrency);
        let mut listings = std::pin::pin!(listings);
        while let Some((organization, account, regions, logs)) = listings.next().await {
            let folder = |region| RegionFolder {
                location: location.clone(),
                organization: organization.clone(),
                account: account.clone(),
                region,
            };
            match regions {
                Ok(names) => {
                    let regions = names.iter().filter_map(|name| name.parse().ok());
                    found.digests.extend(regions.filter(|region| request.wants_region(region)).map(folder));
                }
                Err(error) => {
                    discovery.unlisted.insert(account.clone(), error.to_string());
                    let home = request.trail.as_ref().map(|arn| arn.home_region.clone());
                    discovery.failed(&folder(home.unwrap_or_else(Region::unknown)), request, error);
                }
            }
            match logs {
                Ok(children) => {
                    let regions = children.folders.iter().filter_map(|name| name.parse().ok());
                    found.log_files.extend(regions.filter(|region| request.wants_region(region)).map(folder));
                    let beside = BesideRegions::new(location.clone(), organization.clone(), account.clone(), children);
                    found.beside.extend(beside);
                }
                Err(error) => {
                    let deep = request.depth != Depth::Chain;
                    let code = if deep { WarningCode::UnlistedNotJudged } else { WarningCode::ListingFailed };
                    let detail = format!("the regions that have log files of {account} could not be listed: {error}");
                    discovery.warn(code, &location.bucket, detail);
                }
            }
        }
    }
    Ok(found)
}
