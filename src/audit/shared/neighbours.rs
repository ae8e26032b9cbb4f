//! Trails that deliver to the same location without digests: a file that no digest lists may belong
//! to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::model::{Depth, Region, WarningCode};
use crate::records::WarningRecord;
use crate::sync::lock;
use crate::trail::NeighbourSource;

/// The trails without digests, requested once in each region that has a file which no digest lists.
#[derive(Default)]
pub(crate) struct Neighbours {
    source: Option<Arc<dyn NeighbourSource>>,
    regions: Mutex<BTreeMap<Region, Arc<OnceCell<Vec<String>>>>>,
}

impl Neighbours {
    /// Creates a cache of this source's answers; without a source, no trails are known.
    pub(crate) fn new(source: Option<Arc<dyn NeighbourSource>>) -> Self {
        Self { source, regions: Mutex::default() }
    }

    /// Creates a cache that has some answers already.
    pub(crate) fn with_known(self, known: &BTreeMap<Region, Vec<String>>) -> Self {
        let cells =
            known.iter().map(|(region, names)| (region.clone(), Arc::new(OnceCell::new_with(Some(names.clone())))));
        lock(&self.regions).extend(cells);
        self
    }

    /// Returns the answers so far, by region.
    pub(crate) fn known(&self) -> BTreeMap<Region, Vec<String>> {
        let regions = lock(&self.regions);
        regions.iter().filter_map(|(region, cell)| Some((region.clone(), cell.get()?.clone()))).collect()
    }

    /// Returns the names of the trails that deliver log files of a region to the same location
    /// without digests; none if the request is denied or fails.
    pub(crate) async fn of(&self, region: &Region) -> Vec<String> {
        let Some(source) = &self.source else { return Vec::new() };
        let cell = {
            let mut regions = lock(&self.regions);
            regions.entry(region.clone()).or_default().clone()
        };
        cell.get_or_init(|| async { source.without_digests(region).await.unwrap_or_default() }).await.clone()
    }

    /// Returns the warning that unlisted files could not be judged, if any such trail was found.
    pub(crate) fn warning(&self, depth: Depth) -> Option<WarningRecord> {
        let names: Vec<String> = self.names().into_iter().collect();
        if names.is_empty() || depth == Depth::Chain {
            return None;
        }
        let detail = format!(
            "log files that no digest lists could not be judged: {} delivers to the same place without digests, \
             and they may be its own",
            names.join(", ")
        );
        Some(WarningRecord { code: WarningCode::UnlistedNotJudged, bucket: None, key: None, detail })
    }

    /// The names of all trails that were found.
    fn names(&self) -> BTreeSet<String> {
        let regions = lock(&self.regions);
        regions.values().filter_map(|cell| cell.get()).flatten().cloned().collect()
    }
}
