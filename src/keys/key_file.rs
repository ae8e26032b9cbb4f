//! Public keys from a file: the output of `aws cloudtrail list-public-keys`, or `{REGION: that,
//! …}`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;

use super::{KeyFileError, KeySet, KeySource, KeySourceError};
use crate::model::{Region, Sha256Hash, json_text};
use crate::verify::limits::MAX_KEY_FILE_BYTES;
use crate::verify::{KeyRing, sha256};

/// A file of public keys.
#[derive(Debug)]
pub struct KeyFile {
    keys: Keys,
    origin: String,
    sha256: Option<Sha256Hash>,
}

#[derive(Debug)]
enum Keys {
    /// Keys of a file that does not state their region: they can show that a digest is valid, but
    /// not that one is invalid.
    Flat(KeySet),
    /// Keys by region.
    ByRegion(BTreeMap<String, KeySet>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    public_key_list: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    value: String,
    fingerprint: String,
    validity_start_time: Time,
    validity_end_time: Time,
}

/// The AWS CLI prints times as RFC 3339 or, in version 1, as seconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Seconds(f64),
    Text(String),
}

impl Time {
    fn read(&self) -> Result<Timestamp, String> {
        match self {
            #[expect(clippy::cast_possible_truncation, reason = "a time out of range is refused by the next step")]
            Self::Seconds(seconds) => Timestamp::from_second(*seconds as i64).map_err(|error| error.to_string()),
            Self::Text(text) => text.parse().map_err(|_| format!("'{text}' is not a time")),
        }
    }
}

/// The fault of a file without keys.
const NO_KEYS: &str = "it holds no keys";

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read, is too large, or holds no key that can be used.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        Self::open_as(path, &path.display().to_string())
    }

    /// Reads a file that reports call by this name.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read, is too large, or holds no key that can be used.
    pub fn open_as(path: &Path, name: &str) -> Result<Self, KeyFileError> {
        let unreadable = |error| KeyFileError::Unreadable { path: path.to_owned(), error };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_KEY_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_KEY_FILE_BYTES {
            let reason = format!("it is larger than {MAX_KEY_FILE_BYTES} bytes");
            return Err(KeyFileError::Form { path: path.to_owned(), reason });
        }
        let keys = Self::parse(&bytes).map_err(|reason| KeyFileError::Form { path: path.to_owned(), reason })?;
        let whose = match keys.keys {
            Keys::Flat(_) => ", which does not say of which region each key is",
            Keys::ByRegion(_) => "",
        };
        let hash = sha256(&bytes);
        Ok(Self { origin: format!("the file {name}, SHA-256 {hash}{whose}"), sha256: Some(hash), ..keys })
    }

    /// Parses the content of a file.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it: no JSON of this form, or no key that can be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = json_text(bytes)?;
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        if json.get("PublicKeyList").is_some() {
            let set = read(json, false)?;
            return if set.listed.is_empty() { Err(NO_KEYS.to_owned()) } else { Ok(Self::of(Keys::Flat(set))) };
        }
        let serde_json::Value::Object(regions) = json else {
            return Err("it is not a JSON object".to_owned());
        };
        if regions.is_empty() {
            return Err(NO_KEYS.to_owned());
        }
        let mut sets = BTreeMap::new();
        for (region, listing) in regions {
            region.parse::<Region>().map_err(|error| error.to_string())?;
            let set = read(listing, true).map_err(|reason| format!("under '{region}', {reason}"))?;
            sets.insert(region, set);
        }
        if sets.values().all(|set: &KeySet| set.listed.is_empty()) {
            return Err(NO_KEYS.to_owned());
        }
        Ok(Self::of(Keys::ByRegion(sets)))
    }
}

impl KeyFile {
    fn of(keys: Keys) -> Self {
        Self { keys, origin: "a list of public keys".to_owned(), sha256: None }
    }

    /// Returns the keys that digests of `region` are checked against.
    pub fn key_ring(&self, region: &Region) -> KeyRing {
        let set = self.set(region);
        KeyRing::new(set.keys, set.authoritative)
    }

    fn set(&self, region: &Region) -> KeySet {
        match &self.keys {
            Keys::Flat(set) => set.clone(),
            Keys::ByRegion(sets) => sets.get(region.as_str()).cloned().unwrap_or_default(),
        }
    }

    /// The SHA-256 of the file; `None` if the keys were not read from one.
    pub fn sha256(&self) -> Option<Sha256Hash> {
        self.sha256
    }

    /// The regions that the file has keys of; empty if it does not state them.
    pub fn regions(&self) -> Vec<Region> {
        match &self.keys {
            Keys::Flat(_) => Vec::new(),
            Keys::ByRegion(sets) => sets.keys().filter_map(|region| region.parse().ok()).collect(),
        }
    }
}

fn read(listing: serde_json::Value, authoritative: bool) -> Result<KeySet, String> {
    let listing: Listing = serde_json::from_value(listing).map_err(|error| error.to_string())?;
    let mut set = KeySet { authoritative, ..KeySet::default() };
    let count = listing.public_key_list.len();
    let mut useless = Vec::new();
    for entry in listing.public_key_list {
        let times = (entry.validity_start_time.read(), entry.validity_end_time.read());
        let added = match times {
            (Ok(from), Ok(to)) => set.add(&entry.fingerprint, &entry.value, from, to),
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
        };
        if let Err(reason) = added {
            useless.push(format!("the public key {} in the file is of no use: {reason}", entry.fingerprint));
        }
    }
    // One key that can't be used does not affect the others.
    if count > 0 && useless.len() == count {
        return Err(format!("none of its keys can be used: {}", useless.join("; ")));
    }
    set.notes.extend(useless);
    Ok(set)
}

#[async_trait]
impl KeySource for KeyFile {
    async fn keys(&self, region: &Region, from: Timestamp, to: Timestamp) -> Result<KeySet, KeySourceError> {
        let set = self.set(region);
        if !matches!(self.keys, Keys::ByRegion(_)) || !set.listed.is_empty() {
            return Ok(set);
        }
        let reason = format!(
            "{} has none of that region; 'aws cloudtrail list-public-keys --region {region} --start-time {from} --end-time {to}' \
             prints them",
            self.origin
        );
        Err(KeySourceError { region: region.to_string(), reason })
    }

    fn requests(&self) -> u64 {
        0
    }

    fn origin(&self) -> String {
        self.origin.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_file_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "EOF"),
            ("[]", "not a JSON object"),
            ("{}", "holds no keys"),
            ("{\"PublicKeyList\": 1}", "invalid type"),
            ("{\"Keys\": {\"PublicKeyList\": []}}", "not an AWS region"),
            ("{\"eu-west-1\": []}", "under 'eu-west-1'"),
            (
                "{\"PublicKeyList\":[{\"Value\":\"AAAA\",\"Fingerprint\":\"f\",\"ValidityStartTime\":1,\"ValidityEndTime\":2}]}",
                "the public key f",
            ),
        ] {
            let error = KeyFile::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
