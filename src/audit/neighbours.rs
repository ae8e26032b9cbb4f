//! Trails that deliver to the same place without digests: a file that no digest lists may be theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::context::Context;
use crate::model::{Depth, Region, WarningCode, WarningRecord};
use crate::trail::NeighbourSource;

/// The trails without digests, asked for once in each region that has a file which no digest lists.
#[derive(Default)]
pub(super) struct Neighbours {
    source: Option<Arc<dyn NeighbourSource>>,
    regions: Mutex<BTreeMap<Region, Arc<OnceCell<Vec<String>>>>>,
}

impl Neighbours {
    /// Asks this source; without one, nobody can say.
    pub fn new(source: Option<Arc<dyn NeighbourSource>>) -> Self {
        Self { source, regions: Mutex::default() }
    }

    /// The names of the trails that deliver log files of a region to the same place without digests. A caller
    /// who may not ask learns of none.
    pub async fn of(&self, region: &Region) -> Vec<String> {
        let Some(source) = &self.source else { return Vec::new() };
        let cell = {
            let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
            regions.entry(region.clone()).or_default().clone()
        };
        cell.get_or_init(|| async { source.without_digests(region).await.unwrap_or_default() }).await.clone()
    }

    /// All that were found.
    fn names(&self) -> BTreeSet<String> {
        let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.values().filter_map(|cell| cell.get()).flatten().cloned().collect()
    }
}

impl Context {
    /// Says that unlisted files could not be judged, where that is so.
    pub fn neighbours_warning(&self) -> Option<WarningRecord> {
        let names: Vec<String> = self.neighbours.names().into_iter().collect();
        if names.is_empty() || self.request.depth == Depth::Chain {
            return None;
        }
        let detail = format!(
            "log files that no digest lists could not be judged: {} delivers to the same place without digests, and they may be its own",
            names.join(", ")
        );
        Some(WarningRecord { code: WarningCode::UnlistedNotJudged, bucket: None, key: None, detail })
    }
}
