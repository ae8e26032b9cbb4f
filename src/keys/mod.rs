//! Sources of public keys: CloudTrail's `ListPublicKeys`, or a file of its output.
//!
//! A digest is signed with a key of the region in its path, so that region is asked. Only keys that
//! are known to be one region's can show that a digest is invalid; keys from a file that does not
//! state their region can only show that one is valid.

mod error;
mod key_file;
#[cfg(feature = "aws")]
mod list_public_keys;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;

pub use error::{KeyFileError, KeySourceError};
pub use key_file::KeyFile;
#[cfg(feature = "aws")]
pub use list_public_keys::ListPublicKeys;

use crate::model::Region;
use crate::verify::{PublicKey, RsaKey, fingerprint};

/// The keys known for one region.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// True if these are known to be the region's own keys, so that they can show that a digest is
    /// invalid.
    pub authoritative: bool,
    /// Notes for a reader about keys in the set.
    pub notes: Vec<String>,
    /// The keys as they were delivered.
    pub listed: Vec<ListedKey>,
}

/// A key as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// The fingerprint that it was delivered with, in lower case.
    pub fingerprint: String,
    /// Its DER bytes.
    pub der: Vec<u8>,
    /// The time from which it is valid.
    pub valid_from: Timestamp,
    /// The time until which it is valid.
    pub valid_to: Timestamp,
}

/// Returns keys in the form in which `aws cloudtrail list-public-keys` prints them.
pub fn listing<'a>(keys: impl IntoIterator<Item = &'a ListedKey>) -> serde_json::Value {
    let key = |key: &ListedKey| {
        json!({
            "Value": STANDARD.encode(&key.der),
            "ValidityStartTime": key.valid_from.to_string(),
            "ValidityEndTime": key.valid_to.to_string(),
            "Fingerprint": key.fingerprint,
        })
    };
    json!({ "PublicKeyList": keys.into_iter().map(key).collect::<Vec<_>>() })
}

impl KeySet {
    /// Makes a set of keys that were listed before. `authoritative` and `notes` are those of the set
    /// that listed them.
    ///
    /// # Errors
    ///
    /// Returns why one of them is no key.
    pub fn of_listed(listed: Vec<ListedKey>, authoritative: bool, notes: Vec<String>) -> Result<Self, String> {
        let mut set = Self::default();
        for ListedKey { fingerprint, der, valid_from, valid_to } in listed {
            set.add_der(&fingerprint, &der, valid_from, valid_to)?;
        }
        Ok(Self { authoritative, notes, ..set })
    }

    /// Adds one key as it was delivered: fingerprint, base64 of its DER, and its window.
    fn add(&mut self, delivered: &str, value: &str, valid_from: Timestamp, valid_to: Timestamp) -> Result<(), String> {
        let der = STANDARD.decode(value.trim()).map_err(|error| format!("its Value is not base64: {error}"))?;
        self.add_der(delivered, &der, valid_from, valid_to)
    }

    fn add_der(
        &mut self,
        delivered: &str,
        der: &[u8],
        valid_from: Timestamp,
        valid_to: Timestamp,
    ) -> Result<(), String> {
        let key = RsaKey::from_der(der).map_err(|error| error.to_string())?;
        let computed = fingerprint(der);
        if !computed.eq_ignore_ascii_case(delivered) {
            self.notes.push(format!(
                "the public key delivered as {delivered} has the fingerprint {computed}: what came with it accuses nobody"
            ));
            // Names and keys are mixed up, so that a signature may fail though it is genuine.
            self.authoritative = false;
        }
        let fingerprint = delivered.to_ascii_lowercase();
        let der = der.to_vec();
        self.listed.push(ListedKey { fingerprint: fingerprint.clone(), der, valid_from, valid_to });
        self.keys.push(PublicKey { fingerprint, key: key.into(), valid_from, valid_to });
        Ok(())
    }
}

/// A source of public keys.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Returns the keys of `region` whose windows touch `[from, to]`; a source may return more.
    ///
    /// # Errors
    ///
    /// Fails if the keys can't be obtained: digests of the region are then unverified.
    async fn keys(&self, region: &Region, from: Timestamp, to: Timestamp) -> Result<KeySet, KeySourceError>;

    /// The number of requests made so far.
    fn requests(&self) -> u64;

    /// The origin of the keys, for people.
    fn origin(&self) -> String;
}

/// Returns the keys that `held` has for a region and `authority` does not publish there.
///
/// # Errors
///
/// Fails if either source could not be asked.
pub async fn unpublished(
    held: &dyn KeySource,
    authority: &dyn KeySource,
    region: &Region,
    now: Timestamp,
) -> Result<Vec<ListedKey>, KeySourceError> {
    let held = held.keys(region, Timestamp::UNIX_EPOCH, now).await?.listed;
    let from = held.iter().map(|key| key.valid_from).min().unwrap_or(now);
    let to = held.iter().map(|key| key.valid_to).max().unwrap_or(now).min(now);
    let published = authority.keys(region, from.min(to), to).await?.listed;
    let is_published = |key: &ListedKey| published.iter().any(|other| other.der == key.der);
    Ok(held.into_iter().filter(|key| !is_published(key)).collect())
}
