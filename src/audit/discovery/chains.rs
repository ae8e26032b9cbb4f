//! Discovery of the chains at the requested locations, and of the digests that the range needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::audit::digests::listed_digests::ListedDigests;
use crate::audit::discovery::discovered::DiscoveredChain;
use crate::audit::discovery::folders::{self, Folders, FoundFolders, Trouble};
use crate::audit::discovery::{not_found, statuses};
use crate::audit::error::AuditError;
use crate::audit::listing::digests;
use crate::audit::listing::earlier_digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::request::AuditRequest;
use crate::audit::resume::late_arrivals::Deliveries;
use crate::audit::resume::listing_range;
use crate::audit::resume::selection::{self, ReadAgain, Selected};
use crate::audit::resume::state::Resume;
use crate::audit::shared::context::Statuses;
use crate::model::{AccountId, ChainId, Checkpoint, OrganizationId, Region, TimeRange, TrailName, WarningCode};
use crate::records::WarningRecord;
use crate::store::{Store, StoreError};
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

impl ListedChain {
    fn add_folder(&mut self, folder: &RegionFolder) {
        if !self.folders.contains(folder) {
            self.folders.push(folder.clone());
        }
    }
}

/// The result of discovery.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    pub chains: BTreeMap<ChainId, ListedChain>,
    pub statuses: Statuses,
    pub warnings: Vec<WarningRecord>,
    pub folders: Folders,
    /// The accounts whose digests could not be listed at all, with the reasons.
    failed_accounts: BTreeMap<AccountId, String>,
}

/// Finds every chain that the request asks for.
///
/// # Errors
///
/// Nothing could be listed.
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
    let FoundFolders { folders, seen, troubles } = folders::find(store.as_ref(), request).await?;
    for trouble in troubles {
        discovery.add_trouble(trouble, request);
    }
    // Include the former folders of chains that have moved since.
    let elsewhere = listing_range::other_folders(request, store.properties().is_live);
    discovery.statuses = statuses::ask(status, request, &own_regions(request, &folders)).await;
    let all: Vec<RegionFolder> = folders.digests.iter().chain(&elsewhere).cloned().collect();
    let shared = Arc::new(request.clone());
    let listings = stream::iter(all)
        .map(|folder| {
            let task = tokio::spawn(list_folder(store.clone(), shared.clone(), folder, *range));
            async move { task.await.map_err(|error| AuditError::Task(error.to_string())) }
        })
        .buffered(request.concurrency);
    let mut listings = std::pin::pin!(listings);
    let mut others = BTreeSet::new();
    while let Some(listing) = listings.try_next().await? {
        let folder = listing.folder.clone();
        others.extend(listing.others.iter().cloned());
        match discovery.add_listing(listing, request) {
            // A location that the trail has left may be deleted or denied by now.
            Some(error) if elsewhere.contains(&folder) => discovery.warn_of_former_place(&folder, &error),
            Some(error) => discovery.failed(&folder, request, error),
            None => {}
        }
    }
    discovery.folders = folders;
    let has_digests = discovery.chains.values().any(|chain| !chain.digests.is_empty() || chain.ended_before);
    discovery.warnings.extend(not_found::names(request, &seen, &others, has_digests));
    discovery.warnings.extend(not_found::prefixes(store.as_ref(), request, &seen).await);
    discovery.add_other_folders();
    discovery.warn_of_organizations(request);
    if let Some(checkpoint) = &request.checkpoint {
        discovery.go_on_from(checkpoint, request, range, !store.properties().is_copy);
    }
    Ok(discovery)
}

/// The chains that a region's folder holds.
struct FolderListing {
    folder: RegionFolder,
    digests: BTreeMap<ChainId, ListedDigests>,
    /// The chains that have digests older than the range.
    earlier: BTreeSet<ChainId>,
    /// Trails that have digests there and that the request does not ask for.
    others: BTreeSet<TrailName>,
    /// The reason why a part could not be listed.
    failure: Option<StoreError>,
}

/// Lists a region's folder. If it has nothing of the range, looks for the chains that ended before.
async fn list_folder(
    store: Arc<dyn Store>,
    request: Arc<AuditRequest>,
    folder: RegionFolder,
    range: TimeRange,
) -> FolderListing {
    let store = store.as_ref();
    let range = listing_range::listing_range(&request, &folder, &range);
    let listing = digests::digests(store, &folder, &range, &request).await;
    let is_empty = listing.digests.is_empty() && listing.earlier.is_empty() && listing.failure.is_none();
    let earlier = match range.start {
        Some(start) if is_empty => earlier_digests::earlier_chains(store, &folder, start, &request).await,
        _ => Ok(Vec::new()),
    };
    let (earlier, error) = match earlier {
        Ok(found) => (listing.earlier.into_iter().chain(found).collect(), None),
        Err(error) => (BTreeSet::new(), Some(error)),
    };
    let failure = listing.failure.or(error);
    FolderListing { folder, digests: listing.digests, earlier, others: listing.others, failure }
}

/// Lists the digests of a chain that another run has found.
///
/// # Errors
///
/// A folder can't be listed that the other run could list.
pub(crate) async fn list_chain(
    store: &Arc<dyn Store>,
    request: &Arc<AuditRequest>,
    range: &TimeRange,
    chain: DiscoveredChain,
) -> Result<ListedChain, AuditError> {
    let id = chain.id.clone();
    let mut listed = chain.unlisted();
    for folder in listed.folders.clone() {
        let place = format!("s3://{}/{}", folder.location.bucket, folder.prefix());
        let FolderListing { mut digests, earlier, failure, .. } =
            list_folder(store.clone(), request.clone(), folder, *range).await;
        if let Some(error) = failure.filter(|_| listed.failure.is_none()) {
            return Err(AuditError::Listing { place, error });
        }
        listed.digests.extend(&digests.remove(&id).unwrap_or_default());
        // A trail that became the organization's continues in the organization's folder.
        let counts = request.is_organization.is_none_or(|is| is == id.organization.is_some());
        listed.ended_before |= counts && earlier.contains(&id) && listed.digests.is_empty();
    }
    if request.checkpoint.is_some() {
        listed.deliveries = Deliveries::of(&listed.digests, !store.properties().is_copy);
    }
    Ok(listed)
}

impl Discovery {
    /// Adds what a folder holds. Returns the reason why a part of it could not be listed.
    fn add_listing(&mut self, listing: FolderListing, request: &AuditRequest) -> Option<StoreError> {
        let FolderListing { folder, digests, earlier, failure, .. } = listing;
        for chain in digests.keys() {
            self.chains.entry(chain.clone()).or_default().folders.push(folder.clone());
        }
        let from = folder.chains_from();
        for (_, known) in self.chains.range_mut(from).take_while(|(id, _)| folder.holds(id)) {
            known.add_folder(&folder);
        }
        for (chain, digests) in digests {
            self.chains.entry(chain).or_default().digests.extend(&digests);
        }
        for chain in earlier {
            // A trail that became the organization's continues in the organization's folder.
            if request.is_organization.is_some_and(|is| is != chain.organization.is_some()) {
                continue;
            }
            let listed = self.chains.entry(chain).or_default();
            listed.add_folder(&folder);
            listed.ended_before |= listed.digests.is_empty();
        }
        failure
    }

    /// Notes a part of a location that could not be listed.
    fn add_trouble(&mut self, trouble: Trouble, request: &AuditRequest) {
        match trouble {
            Trouble::Digests { folder, error } => {
                self.failed_accounts.insert(folder.account.clone(), error.to_string());
                self.failed(&folder, request, error);
            }
            Trouble::LogFiles(warning) => self.warnings.push(warning),
        }
    }

    /// Adds an expected chain if none with exactly this identity was found.
    pub(crate) fn expect_exactly(&mut self, chain: ChainId) {
        if !self.chains.contains_key(&chain) {
            let failure = self.failed_accounts.get(&chain.account).cloned();
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
    fn go_on_from(&mut self, checkpoint: &Checkpoint, request: &AuditRequest, range: &TimeRange, exact: bool) {
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
        let violations = Arc::new(checkpoint.read_again(request.now));
        let again = ReadAgain { recheck: request.recheck, violations };
        for (id, chain) in &mut self.chains {
            chain.deliveries = Deliveries::of(&chain.digests, exact);
            if chain.failure.is_none() {
                chain.failure = self.failed_accounts.get(&id.account).cloned();
            }
            let before = checkpoint.chains.get(id);
            // An incomplete listing is no evidence that a digest is gone.
            let places: &[_] = if chain.failure.is_none() { &request.locations } else { &[] };
            let selected =
                before.and_then(|before| selection::select(id, before, &chain.digests, places, &again, exact));
            match selected {
                Some(Selected { resume, digests }) => {
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
        let mut known: Vec<ChainId> = folder.entries_of(&self.chains).map(|(id, _)| id.clone()).collect();
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
