//! The user metadata of a digest object, which holds its signature.

use jiff::Timestamp;

use crate::model::parse_compact_time;

/// What a store knows of a digest's user metadata. Names are those that follow `x-amz-meta-`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestMetadata {
    /// Whether the store keeps metadata for this object at all. S3 does; a local copy only with a metadata file.
    pub kept: bool,
    /// `signature`, as it stands there: hex.
    pub signature: Option<String>,
    /// `backfill-generation-timestamp`, as it stands there.
    pub backfill_generation_timestamp: Option<String>,
}

impl DigestMetadata {
    /// Picks what counts from an object's user metadata. Names compare without case, as HTTP header names do.
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

    /// When a backfill digest was generated; `None` where that is missing or no time.
    pub(super) fn generated(&self) -> Option<Timestamp> {
        let text = self.backfill_generation_timestamp.as_deref()?.trim();
        text.parse().ok().or_else(|| parse_compact_time(text))
    }
}
