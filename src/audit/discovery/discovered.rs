//! The outcome of a discovery, kept for other runs that examine the same chains.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::discovery::chains::ListedChain;
use crate::audit::listing::folders::RegionFolder;
use crate::debug::opaque_debug;
use crate::model::{ChainId, Period, Region};
use crate::records::{LogFileRecord, WarningRecord};
use crate::trail::TrailStatus;

/// The chains that an earlier discovery found, with what it learned besides. A run that is given
/// one lists no folders of accounts and regions, and asks nobody for the trail's status: it lists
/// the digests of each of these chains when it examines the chain.
#[derive(Clone)]
pub struct Discovered {
    /// The chains, in the order of their identities.
    pub chains: Arc<dyn ChainList>,
    /// The facts that it learned besides.
    pub facts: DiscoveredFacts,
}

opaque_debug!(Discovered);

/// The facts that a discovery learned besides the chains.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DiscoveredFacts {
    /// CloudTrail's statements about the trail's own account, by region; an error is the reason why
    /// nothing is known.
    pub statuses: BTreeMap<Region, Result<TrailStatus, String>>,
    /// The warnings about the discovery.
    pub warnings: Vec<WarningRecord>,
    /// The objects that lie in no region's folder and that no digest lists.
    pub beside_regions: Vec<LogFileRecord>,
    /// The warnings about them.
    pub beside_warnings: Vec<WarningRecord>,
    /// The trails that deliver to the same place without digests, in the regions in which the discovery
    /// had to ask.
    pub neighbours: BTreeMap<Region, Vec<String>>,
    /// The ends of the first and of the last digest of any chain that was listed.
    pub ends: Option<Period>,
}

/// One chain that a discovery found, or that should be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredChain {
    /// Its identity.
    #[serde(flatten)]
    pub id: ChainId,
    /// The folders that hold it.
    folders: Vec<RegionFolder>,
    /// The folders that may hold a chain which continues it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    other_folders: Vec<RegionFolder>,
    /// The reason why a part of it could not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// A list of chains, in memory or elsewhere.
pub trait ChainList: Send + Sync {
    /// Iterates over the chains, in the order of their identities.
    ///
    /// # Errors
    ///
    /// A chain that can't be read is an error, after which the iteration ends.
    fn chains(&self) -> Box<dyn Iterator<Item = io::Result<DiscoveredChain>> + Send + '_>;
}

impl ChainList for Vec<DiscoveredChain> {
    fn chains(&self) -> Box<dyn Iterator<Item = io::Result<DiscoveredChain>> + Send + '_> {
        Box::new(self.iter().cloned().map(Ok))
    }
}

impl DiscoveredChain {
    pub(crate) fn new(id: &ChainId, listed: &ListedChain) -> Self {
        let ListedChain { folders, other_folders, failure, .. } = listed;
        Self {
            id: id.clone(),
            folders: folders.clone(),
            other_folders: other_folders.clone(),
            failure: failure.clone(),
        }
    }

    pub(crate) fn folders(&self) -> &[RegionFolder] {
        &self.folders
    }

    /// Returns the chain as listings would show it, without digests.
    pub(crate) fn unlisted(self) -> ListedChain {
        let Self { folders, other_folders, failure, .. } = self;
        ListedChain { folders, other_folders, failure, ..ListedChain::default() }
    }
}
