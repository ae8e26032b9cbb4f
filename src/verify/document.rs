//! The JSON of a digest file (CloudTrail user guide, "CloudTrail digest file structure").

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::entries::{EntriesBuilder, LogFileEntries, RecordedHash};
use super::signature::RecordedSignature;
use crate::model::{ObjectRef, Period, Sha256Hash};

/// The only hash algorithm that CloudTrail documents.
const SHA_256: &str = "SHA-256";

/// The fields of a digest's JSON, as they stand there. Unknown fields, which AWS may add, are
/// ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    digest_start_time: Cow<'a, str>,
    #[serde(borrow)]
    pub digest_end_time: Cow<'a, str>,
    #[serde(borrow)]
    digest_s3_bucket: Cow<'a, str>,
    #[serde(borrow)]
    digest_s3_object: Cow<'a, str>,
    #[serde(borrow)]
    pub digest_public_key_fingerprint: Cow<'a, str>,
    #[serde(borrow)]
    pub digest_signature_algorithm: Cow<'a, str>,
    #[serde(borrow)]
    previous_digest_s3_bucket: Option<Cow<'a, str>>,
    #[serde(borrow)]
    previous_digest_s3_object: Option<Cow<'a, str>>,
    #[serde(borrow)]
    previous_digest_hash_value: Option<Cow<'a, str>>,
    #[serde(borrow)]
    previous_digest_hash_algorithm: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub previous_digest_signature: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "packed")]
    pub log_files: LogFileEntries,
}

/// Packs the log files while they are read: half a million of them fit into a digest of the largest
/// size.
fn packed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFileEntries, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = LogFileEntries;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of log files")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<LogFileEntries, A::Error> {
            let mut builder = EntriesBuilder::default();
            while let Some(fields) = list.next_element::<LogFileFields<'de>>()? {
                builder.push(&fields.s3_bucket, &fields.s3_object, fields.recorded());
            }
            Ok(builder.finish())
        }
    }

    deserializer.deserialize_seq(Entries)
}

/// One entry of `logFiles`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogFileFields<'a> {
    #[serde(borrow)]
    s3_bucket: Cow<'a, str>,
    #[serde(borrow)]
    s3_object: Cow<'a, str>,
    #[serde(borrow)]
    hash_value: Cow<'a, str>,
    #[serde(borrow)]
    hash_algorithm: Cow<'a, str>,
}

impl LogFileFields<'_> {
    fn recorded(&self) -> RecordedHash<'_> {
        if self.hash_algorithm != SHA_256 {
            return RecordedHash::OtherAlgorithm(&self.hash_algorithm);
        }
        self.hash_value.parse().map_or(RecordedHash::Unreadable(&self.hash_value), RecordedHash::Sha256)
    }
}

/// A digest's record of the digest before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// The name of the digest before it.
    pub object: ObjectRef,
    /// The SHA-256 of its uncompressed bytes; `None` if another hash algorithm was used.
    pub sha256: Option<Sha256Hash>,
    /// The signature of the digest before it.
    pub signature: Option<RecordedSignature>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("has a content that is no digest: {error}"))
    }

    /// Returns the period that the digest covers.
    pub(super) fn period(&self) -> Result<Period, String> {
        let time = |name, text: &str| {
            Timestamp::from_str(text).map_err(|_| format!("its {name}, '{text}', is not an RFC 3339 time"))
        };
        let start = time("digestStartTime", &self.digest_start_time)?;
        let end = time("digestEndTime", &self.digest_end_time)?;
        if start > end {
            Err(format!("it starts at {start}, after its end at {end}"))
        } else {
            Ok(Period { start, end })
        }
    }

    /// Returns the object that the digest names as its own.
    pub(super) fn object(&self) -> ObjectRef {
        ObjectRef::new(&*self.digest_s3_bucket, &*self.digest_s3_object)
    }

    /// Returns the digest's record of its predecessor; `None` for a starting digest.
    pub(super) fn predecessor(&self, own: &ObjectRef) -> Option<Predecessor> {
        let bucket = self.previous_digest_s3_bucket.as_deref()?;
        // Nearly always the digest's own bucket: one allocation serves both.
        let bucket = if *own.bucket == *bucket { own.bucket.clone() } else { bucket.into() };
        let key = self.previous_digest_s3_object.as_deref()?;
        let known = self.previous_digest_hash_algorithm.as_deref() == Some(SHA_256);
        let hash = self.previous_digest_hash_value.as_deref().filter(|_| known);
        Some(Predecessor {
            object: ObjectRef::new(bucket, key),
            sha256: hash.and_then(|text| text.parse().ok()),
            signature: self.previous_digest_signature.as_deref().map(RecordedSignature::read),
        })
    }
}

/// Returns the number of log files that uncompressed digest bytes list. It is unproven: good only
/// for an estimate.
pub fn peek_log_files(json: &[u8]) -> Option<usize> {
    Document::parse(json).ok().map(|document| document.log_files.len())
}

/// Returns the object that uncompressed digest bytes name as their own. It is unproven: good only
/// for finding out how a local copy is laid out.
pub fn peek_object(json: &[u8]) -> Option<ObjectRef> {
    Document::parse(json).ok().map(|document| document.object())
}
