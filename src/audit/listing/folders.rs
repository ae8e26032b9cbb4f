//! The folder of a region's digests, and listings of what lies directly below a prefix.

use std::collections::BTreeMap;
use std::ops::RangeFrom;

use serde::{Deserialize, Serialize};

use crate::audit::listing::pages::Pages;
use crate::model::{AccountId, ChainId, OrganizationId, Region};
use crate::store::{ListedObject, Location, Store, StoreError};

/// The folder that holds the digests of one account and region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegionFolder {
    #[serde(flatten)]
    pub location: Location,
    pub organization: Option<OrganizationId>,
    pub account: AccountId,
    pub region: Region,
}

impl RegionFolder {
    /// Returns whether a chain's digests may lie in this folder.
    pub(crate) fn holds(&self, chain: &ChainId) -> bool {
        (&chain.organization, &chain.account, &chain.region) == (&self.organization, &self.account, &self.region)
    }

    /// The identities from which on, in their order, a chain may lie in this folder: those that do follow
    /// one another.
    pub(crate) fn chains_from(&self) -> RangeFrom<ChainId> {
        ChainId::first_of(self.organization.clone(), self.account.clone(), self.region.clone())..
    }

    /// The entries of chains whose digests may lie in this folder. There may be a million chains, so
    /// that not all are compared.
    pub(crate) fn entries_of<'c, V>(
        &self,
        chains: &'c BTreeMap<ChainId, V>,
    ) -> impl Iterator<Item = (&'c ChainId, &'c V)> {
        chains.range(self.chains_from()).take_while(|(id, _)| self.holds(id))
    }

    /// The prefix of its log files' keys in the log folder of this name.
    pub(crate) fn log_prefix(&self, folder: &str) -> String {
        let regions = self.location.root.log_regions(self.organization.as_ref(), &self.account, folder);
        format!("{regions}{}/", self.region)
    }

    /// The prefix of its digests' keys.
    pub(crate) fn prefix(&self) -> String {
        let accounts = self.location.root.digest_regions(self.organization.as_ref(), &self.account);
        format!("{accounts}{}/", self.region)
    }
}

/// The names of the folders directly below `prefix`.
pub(crate) async fn folders(store: &dyn Store, bucket: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
    Ok(children(store, bucket, prefix).await?.folders)
}

/// The objects and folders directly below a prefix.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// The names of the folders, without their slashes.
    pub folders: Vec<String>,
    pub objects: Vec<ListedObject>,
}

/// The folders and objects directly below `prefix`.
pub(crate) async fn children(store: &dyn Store, bucket: &str, prefix: &str) -> Result<Children, StoreError> {
    let mut children = Children::default();
    let mut pages = Pages::of_folder(bucket, prefix);
    while let Some(page) = pages.next(store).await? {
        let name = |folder: &String| {
            let inside = folder.strip_prefix(prefix)?;
            Some(inside.strip_suffix('/').unwrap_or(inside).to_owned())
        };
        children.folders.extend(page.folders.iter().filter_map(name));
        children.objects.extend(page.objects);
    }
    Ok(children)
}
