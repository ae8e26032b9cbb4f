//! The answers that a plan keeps, as sources for an audit: public keys, and trails that deliver to
//! the same place.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keys::{KeySet, KeySource, KeySourceError, ListedKey};
use crate::model::{KeysFrom, Region};
use crate::records::KeysAsked;
use crate::trail::NeighbourSource;

/// The public keys that a plan keeps, so that its units ask nobody: CloudTrail answers few
/// requests a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedKeys {
    /// The origin of the keys, for people.
    pub origin: String,
    /// The source of the keys, for the run record.
    pub asked: KeysAsked,
    /// The keys of each region; an error is the reason why they could not be obtained.
    pub regions: BTreeMap<Region, Result<PlannedKeySet, String>>,
}

/// The keys of one region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedKeySet {
    /// True if these are known to be the region's own keys.
    authoritative: bool,
    /// Notes for a reader about keys in the set.
    notes: Vec<String>,
    /// The keys, as `aws cloudtrail list-public-keys` prints them.
    #[serde(rename = "PublicKeyList")]
    keys: Vec<PlannedKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlannedKey {
    fingerprint: String,
    value: String,
    validity_start_time: Timestamp,
    validity_end_time: Timestamp,
}

impl PlannedKeys {
    /// Asks `source` for the keys of these regions whose windows touch `[from, to]`.
    pub(super) async fn ask(
        source: &dyn KeySource,
        asked: KeysAsked,
        regions: impl IntoIterator<Item = Region>,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        let mut answers = BTreeMap::new();
        for region in regions {
            let answer = source.keys(&region, from, to).await;
            let answer = answer.map(|set| PlannedKeySet::of(&set)).map_err(|error| error.reason);
            answers.insert(region, answer);
        }
        Self { origin: source.origin(), asked, regions: answers }
    }
}

impl PlannedKeySet {
    fn of(set: &KeySet) -> Self {
        let key = |key: &ListedKey| PlannedKey {
            fingerprint: key.fingerprint.clone(),
            value: STANDARD.encode(&key.der),
            validity_start_time: key.valid_from,
            validity_end_time: key.valid_to,
        };
        Self { authoritative: set.authoritative, notes: set.notes.clone(), keys: set.listed.iter().map(key).collect() }
    }

    /// The keys that the source would give for `[from, to]`: `ListPublicKeys` gives those whose windows
    /// touch it, a file all that it has.
    fn between(&self, from: Timestamp, to: Timestamp, source: KeysFrom) -> Result<KeySet, String> {
        let is_file = source != KeysFrom::ListPublicKeys;
        let touches = |key: &&PlannedKey| is_file || (key.validity_end_time >= from && key.validity_start_time <= to);
        let listed = |key: &PlannedKey| {
            let der = STANDARD.decode(&key.value).map_err(|error| format!("a key is not base64: {error}"))?;
            let (valid_from, valid_to) = (key.validity_start_time, key.validity_end_time);
            Ok(ListedKey { fingerprint: key.fingerprint.clone(), der, valid_from, valid_to })
        };
        let listed: Result<Vec<ListedKey>, String> = self.keys.iter().filter(touches).map(listed).collect();
        KeySet::of_listed(listed?, self.authoritative, self.notes.clone())
    }
}

#[async_trait]
impl KeySource for PlannedKeys {
    async fn keys(&self, region: &Region, from: Timestamp, to: Timestamp) -> Result<KeySet, KeySourceError> {
        let failed = |reason: String| KeySourceError { region: region.to_string(), reason };
        match self.regions.get(region) {
            Some(Ok(set)) => set.between(from, to, self.asked.source).map_err(failed),
            Some(Err(reason)) => Err(failed(reason.clone())),
            None => Err(failed("the plan has no chain there, and lists no keys of it".to_owned())),
        }
    }

    fn requests(&self) -> u64 {
        0
    }

    fn origin(&self) -> String {
        format!("the plan, which asked: {}", self.origin)
    }
}

/// The trails that deliver to the same place without digests, by region; an error is the reason why
/// they are unknown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlannedNeighbours(BTreeMap<Region, Result<Vec<String>, String>>);

impl PlannedNeighbours {
    /// Asks `source` about these regions.
    pub(super) async fn ask(source: &dyn NeighbourSource, regions: impl IntoIterator<Item = Region>) -> Self {
        let mut answers = BTreeMap::new();
        for region in regions {
            let answer = source.without_digests(&region).await;
            answers.insert(region, answer);
        }
        Self(answers)
    }
}

#[async_trait]
impl NeighbourSource for PlannedNeighbours {
    async fn without_digests(&self, region: &Region) -> Result<Vec<String>, String> {
        self.0.get(region).cloned().unwrap_or_else(|| Ok(Vec::new()))
    }

    fn requests(&self) -> u64 {
        0
    }
}
