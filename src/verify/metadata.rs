//! The user metadata of a digest object, which holds its signature.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{json_text, parse_compact_time};

/// A digest's user metadata, as far as the store has it. Names are those that follow `x-amz-meta-`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestMetadata {
    /// True if the store keeps metadata for this object at all. S3 does; a local copy only with a
    /// metadata file.
    pub kept: bool,
    /// `signature`, as it stands there: hex.
    pub signature: Option<String>,
    /// `backfill-generation-timestamp`, as it stands there.
    pub backfill_generation_timestamp: Option<String>,
}

/// The output of `aws s3api head-object`, reduced to the fields that are used.
#[derive(Deserialize)]
struct HeadObject<'a> {
    #[serde(borrow, rename = "Metadata")]
    metadata: Option<HashMap<Cow<'a, str>, Cow<'a, str>>>,
}

impl DigestMetadata {
    /// Selects the known fields from an object's user metadata. Names compare without case, as HTTP
    /// header names do.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut metadata = Self { kept: true, ..Self::default() };
        for (name, value) in pairs {
            let field = match name.to_ascii_lowercase().as_str() {
                "signature" => &mut metadata.signature,
                "backfill-generation-timestamp" => &mut metadata.backfill_generation_timestamp,
                _ => continue,
            };
            *field = Some(value.to_owned());
        }
        metadata
    }

    /// Returns the fields that are present, as pairs of name and value.
    pub fn pairs(&self) -> BTreeMap<String, String> {
        let pairs =
            [("signature", &self.signature), ("backfill-generation-timestamp", &self.backfill_generation_timestamp)];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }

    /// Reads the output of `aws s3api head-object` for an object.
    ///
    /// # Errors
    ///
    /// Returns why the bytes are something else.
    pub fn from_head_object(json: &[u8]) -> Result<Self, String> {
        let json = json_text(json)?;
        let head: HeadObject<'_> = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
        let pairs = head.metadata.unwrap_or_default();
        Ok(Self::from_pairs(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))))
    }

    /// The time at which a backfill digest was generated; `None` if it is missing or not a time.
    pub fn generated(&self) -> Option<Timestamp> {
        let text = self.backfill_generation_timestamp.as_deref()?.trim();
        text.parse().ok().or_else(|| parse_compact_time(text))
    }
}
