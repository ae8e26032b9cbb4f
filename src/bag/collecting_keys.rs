//! A source of public keys that records the keys it handed out, for the bag.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use crate::debug::opaque_debug;
use crate::keys::{KeySet, KeySource, KeySourceError, ListedKey, listing};
use crate::model::Region;
use crate::sync::lock;

/// The keys that were asked for, by region, and whether they are known to be the region's own.
type Kept = BTreeMap<String, (BTreeMap<String, ListedKey>, bool)>;

/// A source of keys that records the answers of the source behind it.
pub struct CollectingKeys {
    inner: Arc<dyn KeySource>,
    kept: Mutex<Kept>,
}

opaque_debug!(CollectingKeys);

impl CollectingKeys {
    /// Wraps `inner` and records what it answers.
    pub fn new(inner: Arc<dyn KeySource>) -> Self {
        Self { inner, kept: Mutex::default() }
    }

    /// Returns the keys in the form of a key file: by region, or in one list if it is not known
    /// whose they are.
    pub fn listing(&self) -> Value {
        let kept = lock(&self.kept);
        if kept.values().any(|(_, authoritative)| !authoritative) {
            let all: BTreeMap<&String, &ListedKey> = kept.values().flat_map(|(keys, _)| keys).collect();
            return listing(all.into_values());
        }
        kept.iter().map(|(region, (keys, _))| (region.clone(), listing(keys.values()))).collect()
    }
}

#[async_trait]
impl KeySource for CollectingKeys {
    async fn keys(&self, region: &Region, from: Timestamp, to: Timestamp) -> Result<KeySet, KeySourceError> {
        let set = self.inner.keys(region, from, to).await?;
        let mut kept = lock(&self.kept);
        let (keys, authoritative) = kept.entry(region.to_string()).or_insert_with(|| (BTreeMap::new(), true));
        *authoritative &= set.authoritative;
        for key in &set.listed {
            keys.insert(format!("{} {}", key.fingerprint, key.valid_from), key.clone());
        }
        drop(kept);
        Ok(set)
    }

    fn requests(&self) -> u64 {
        self.inner.requests()
    }

    fn origin(&self) -> String {
        self.inner.origin()
    }
}
