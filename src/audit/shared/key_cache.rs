//! The public keys of each region, requested once, and once more up to the present if a digest
//! names an unknown one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::keys::KeySource;
use crate::model::{Period, Region, WarningCode};
use crate::records::{KeyValidity, WarningRecord};
use crate::sync::lock;
use crate::verify::{KeyRing, PublicKey};

/// The public keys under which signatures have verified.
#[derive(Debug, Default)]
pub(crate) struct UsedKeys {
    /// The fingerprints, by region.
    pub fingerprints: BTreeMap<String, BTreeSet<String>>,
    /// The validity of each, by fingerprint.
    pub validity: BTreeMap<String, KeyValidity>,
}

/// The keys of all regions.
pub(crate) struct KeyCache {
    source: Arc<dyn KeySource>,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    regions: Mutex<BTreeMap<Region, Arc<Rings>>>,
}

#[derive(Default)]
struct Rings {
    /// The keys for the range that is audited.
    range: OnceCell<RegionAnswer>,
    /// The keys up to the present.
    present: OnceCell<RegionAnswer>,
}

struct RegionAnswer {
    ring: Arc<KeyRing>,
    notes: Vec<(WarningCode, String)>,
}

impl KeyCache {
    /// Creates a cache of keys for digests that end in `[from, to]`.
    pub(crate) fn new(source: Arc<dyn KeySource>, ends: Period, now: Timestamp) -> Self {
        let Period { start: from, end: to } = ends;
        Self { source, from, to, now: now.max(to), regions: Mutex::default() }
    }

    /// The keys of a region for the range that is audited.
    pub(crate) async fn for_range(&self, region: &Region) -> Arc<KeyRing> {
        let rings = self.rings(region);
        rings.range.get_or_init(|| self.ask(region, self.to)).await.ring.clone()
    }

    /// Returns the keys of a region up to the present; if they cannot be obtained, those for the
    /// range.
    pub(crate) async fn up_to_now(&self, region: &Region) -> Arc<KeyRing> {
        let rings = self.rings(region);
        let ring = rings.present.get_or_init(|| self.ask(region, self.now)).await.ring.clone();
        if ring.trouble().is_some() { self.for_range(region).await } else { ring }
    }

    /// Returns the warnings about the keys, by region.
    pub(crate) fn warnings(&self) -> Vec<WarningRecord> {
        let regions = lock(&self.regions);
        let answers = regions.values().flat_map(|rings| {
            let range = rings.range.get();
            // One that could not be obtained is told once.
            let is_told = range.is_some_and(|answer| answer.ring.trouble().is_some());
            [range, rings.present.get().filter(|answer| !is_told || answer.ring.trouble().is_none())]
        });
        let answers = answers.flatten();
        let mut warnings: Vec<WarningRecord> = Vec::new();
        for (code, detail) in answers.flat_map(|answer| answer.notes.iter().cloned()) {
            let warning = WarningRecord { code, bucket: None, key: None, detail };
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings
    }

    /// Returns the keys under which signatures have verified.
    pub(crate) fn used(&self) -> UsedKeys {
        let mut used = UsedKeys::default();
        for (region, rings) in lock(&self.regions).iter() {
            let answers = [rings.range.get(), rings.present.get()].into_iter().flatten();
            for PublicKey { fingerprint, valid_from, valid_to, .. } in answers.flat_map(|answer| answer.ring.used()) {
                used.fingerprints.entry(region.to_string()).or_default().insert(fingerprint.clone());
                used.validity.insert(fingerprint.clone(), KeyValidity { from: *valid_from, to: *valid_to });
            }
        }
        used
    }

    fn rings(&self, region: &Region) -> Arc<Rings> {
        lock(&self.regions).entry(region.clone()).or_default().clone()
    }

    async fn ask(&self, region: &Region, to: Timestamp) -> RegionAnswer {
        match self.source.keys(region, self.from, to).await {
            Ok(set) => {
                let notes = set.notes.into_iter().map(|note| (WarningCode::FingerprintMismatch, note)).collect();
                RegionAnswer { ring: Arc::new(KeyRing::new(set.keys, set.authoritative)), notes }
            }
            Err(error) => RegionAnswer {
                ring: Arc::new(KeyRing::unavailable(error.to_string())),
                notes: vec![(WarningCode::KeysUnavailable, error.to_string())],
            },
        }
    }
}
