//! Objects in an account's log folder that belong to no region: CloudTrail puts none there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::chain::follow::judge_digests;
use crate::audit::discovery::expected::guess_trail;
use crate::audit::discovery::folders::{BesideRegions, Folders};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::log_folder::listed_files::without_listed;
use crate::audit::log_folder::outside_days::{list_whole, take};
use crate::audit::log_folder::unlisted::{StrayFiles, stray_record};
use crate::audit::request::AuditRequest;
use crate::audit::shared::context::Context;
use crate::model::{
    AccountId, ChainId, Depth, Fault, LOG_FOLDER, LogFileStatus, OrganizationId, Region, TrailName, WarningCode,
};
use crate::records::{LogFileRecord, WarningRecord};

/// The log files found in no region's folder.
#[derive(Default)]
pub(crate) struct FoundBeside {
    pub files: Vec<LogFileRecord>,
    pub warnings: Vec<WarningRecord>,
}

/// Finds the objects in no region's folder that no valid digest lists, by organization, account and
/// key.
pub(crate) async fn find(
    context: &Arc<Context>,
    folders: &mut Folders,
    chains: impl Iterator<Item = &ChainId> + Clone,
) -> Result<FoundBeside, AuditError> {
    let mut found = FoundBeside::default();
    let request = &context.request;
    let beside = std::mem::take(&mut folders.beside);
    if request.depth == Depth::Chain || !request.regions.is_empty() {
        return Ok(found);
    }
    let trail = guess_trail(chains, request);
    let mut groups: BTreeMap<(Option<OrganizationId>, AccountId), StrayFiles> = BTreeMap::new();
    for BesideRegions { location, organization, account, below } in beside {
        let mut keys = Vec::new();
        let store = context.store.as_ref();
        take(store, below.objects, &mut keys);
        let prefix = location.root.log_regions(organization.as_ref(), &account, LOG_FOLDER);
        for name in below.folders {
            if let Err(error) = list_whole(store, &location.bucket, &format!("{prefix}{name}/"), &mut keys).await {
                let detail = format!("{prefix}{name}/ could not be listed: {error}");
                let bucket = Some(location.bucket.as_str().into());
                found.warnings.push(WarningRecord { code: WarningCode::UnlistedNotJudged, bucket, key: None, detail });
            }
        }
        keys.sort();
        let group = groups.entry((organization, account)).or_default();
        group.begin(location.bucket.as_str().into(), None);
        keys.iter().for_each(|key| group.push(key, None));
    }
    for ((organization, account), strays) in groups {
        let strays = unlisted(context, folders, organization.as_ref(), &account, strays).await?;
        let (trail, home_region) = trail.clone().unwrap_or_else(|| (TrailName::unknown(), Region::unknown()));
        let chain = Arc::new(ChainId { organization, account, region: Region::none(), trail, home_region });
        let detail =
            "it lies in no region's folder, where CloudTrail delivers no log file, and no valid digest lists it";
        found.files.extend(
            strays
                .into_sorted()
                .map(|stray| stray_record(&chain, stray.object, LogFileStatus::Unlisted, Fault::NotListed, detail)),
        );
    }
    Ok(found)
}

/// Returns the files that no valid digest of the account lists. Digests are read for this only if
/// there are such files, which is rare.
async fn unlisted(
    context: &Arc<Context>,
    folders: &Folders,
    organization: Option<&OrganizationId>,
    account: &AccountId,
    mut strays: StrayFiles,
) -> Result<StrayFiles, AuditError> {
    let any_trail = AuditRequest { trail: None, ..context.request.clone() };
    let is_of_account =
        |folder: &&RegionFolder| folder.organization.as_ref() == organization && folder.account == *account;
    for folder in folders.digests.iter().filter(is_of_account) {
        if strays.is_empty() {
            break;
        }
        let listing = digests::digests(context.store.as_ref(), folder, &context.range, &any_trail).await;
        for (id, digests) in listing.digests {
            let folders = std::slice::from_ref(folder);
            let judged = judge_digests(context, &Arc::new(id), folders, digests, &mut Admission::apart()).await?;
            strays = without_listed(context, strays, &judged)?;
        }
    }
    Ok(strays)
}
