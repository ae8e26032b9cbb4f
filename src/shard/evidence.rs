//! Evidence: the answers that the store gave to the audit of one unit, as lines of its result.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::LoggingEvent;
use crate::records::{TamperingRecord, WarningRecord};
use crate::store::{LifecycleRule, ListedObject, ObjectVersion, StoreError};
use crate::verify::{Content, DigestMetadata};

/// One answer of the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "evidence", rename_all = "snake_case")]
pub(super) enum Evidence {
    /// A page of a listing.
    Listing(Listing),
    /// The bytes and the metadata of a digest.
    Digest(Digest),
    /// The hash of a log file's content.
    Content(LogFileContent),
    /// The versions of an object.
    Versions(Versions),
    /// The lifecycle rules of a bucket.
    LifecycleRules(Rules),
    /// The events of a log file that start or stop the logging of trails.
    LoggingEvents(LoggingEventsOfFile),
    /// The findings of tampering in a log file.
    Tampering(TamperingOfFile),
}

/// A page of a listing: all the names below `prefix` that come after `after`, up to `to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Listing {
    pub bucket: String,
    pub prefix: String,
    /// True if it has the folders and objects directly below the prefix.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub folders: bool,
    /// The name after which the page begins; null for the first name.
    pub after: Option<String>,
    /// The last name of the page; null if no name follows.
    pub to: Option<String>,
    /// The objects: each the rest of its key after the prefix, its time of modification in
    /// milliseconds since 1970, and its size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<(String, Option<i64>, Option<u64>)>,
    /// The folders, each the rest of its name after the prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<String>,
    /// The reason why the page could not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StoreError>,
}

/// A digest as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Digest {
    pub bucket: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its user metadata; null if the store keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its time of modification, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// True if it has more bytes than a digest may have, and they were not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_large: bool,
    /// Its bytes as they are stored, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    /// The reason why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StoreError>,
}

/// The content of a log file, hashed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LogFileContent {
    pub bucket: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The number of uncompressed bytes up to which it was read.
    pub ceiling: u64,
    pub content: Result<Content, StoreError>,
}

/// The versions of an object that the bucket still holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Versions {
    pub bucket: String,
    pub key: String,
    pub versions: Result<Vec<ObjectVersion>, StoreError>,
}

/// The lifecycle rules of a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rules {
    pub bucket: String,
    pub rules: Result<Vec<LifecycleRule>, StoreError>,
}

/// The events of a log file that start or stop the logging of trails, which explain gaps. Log files
/// without any are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LoggingEventsOfFile {
    pub bucket: String,
    pub key: String,
    /// The events; null if they can't be read.
    pub events: Option<Vec<LoggingEvent>>,
}

/// The events of a log file that meet a rule of tampering, or a part of them: a file may have very many, and a
/// line of a result has a largest length. Log files without any are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TamperingOfFile {
    pub bucket: String,
    pub key: String,
    /// The number of the part, from 0 on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: usize,
    /// The findings, in the order of the events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<TamperingRecord>,
    /// The warning, if not all events could be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<WarningRecord>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The question that an answer belongs to.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    pub kind: Kind,
    pub bucket: Cow<'a, str>,
    /// The key, or the prefix of a listing.
    pub name: Cow<'a, str>,
    /// The version of an object, or the name after which a page begins.
    pub part: Option<Cow<'a, str>>,
}

/// The kind of an answer. The order is that of the answers in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Rules,
    Folders,
    Keys,
    Digest,
    Content,
    Versions,
    Events,
    Tampering,
}

impl Kind {
    /// All kinds, in their order.
    pub(super) const ALL: [Self; 8] = [
        Self::Rules,
        Self::Folders,
        Self::Keys,
        Self::Digest,
        Self::Content,
        Self::Versions,
        Self::Events,
        Self::Tampering,
    ];
}

impl<'a> Subject<'a> {
    pub(super) fn new(kind: Kind, bucket: &'a str, name: &'a str, part: Option<&'a str>) -> Self {
        Self { kind, bucket: bucket.into(), name: name.into(), part: part.map(Cow::Borrowed) }
    }
}

impl Evidence {
    pub(super) fn subject(&self) -> Subject<'_> {
        match self {
            Self::Listing(Listing { bucket, prefix, folders, after, .. }) => {
                let kind = if *folders { Kind::Folders } else { Kind::Keys };
                Subject::new(kind, bucket, prefix, after.as_deref())
            }
            Self::Digest(Digest { bucket, key, version, .. }) => {
                Subject::new(Kind::Digest, bucket, key, version.as_deref())
            }
            Self::Content(LogFileContent { bucket, key, version, .. }) => {
                Subject::new(Kind::Content, bucket, key, version.as_deref())
            }
            Self::Versions(Versions { bucket, key, .. }) => Subject::new(Kind::Versions, bucket, key, None),
            Self::LoggingEvents(LoggingEventsOfFile { bucket, key, .. }) => {
                Subject::new(Kind::Events, bucket, key, None)
            }
            Self::Tampering(TamperingOfFile { bucket, key, part, .. }) => {
                let part = (*part > 0).then(|| part.to_string().into());
                Subject { part, ..Subject::new(Kind::Tampering, bucket, key, None) }
            }
            Self::LifecycleRules(Rules { bucket, .. }) => Subject::new(Kind::Rules, bucket, "", None),
        }
    }
}

impl Evidence {
    /// The error that the store answered with.
    pub(super) fn error(&self) -> Option<&StoreError> {
        match self {
            Self::Listing(listing) => listing.error.as_ref(),
            Self::Digest(digest) => digest.error.as_ref(),
            Self::Content(content) => content.content.as_ref().err(),
            Self::Versions(versions) => versions.versions.as_ref().err(),
            Self::LifecycleRules(rules) => rules.rules.as_ref().err(),
            Self::LoggingEvents(_) | Self::Tampering(_) => None,
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The time of a number of milliseconds since 1970.
pub(super) fn time(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok()
}

/// Bytes in the form of evidence.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// The bytes of evidence.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, String> {
    STANDARD_NO_PAD.decode(text).map_err(|error| format!("it is not base64: {error}"))
}

impl Digest {
    pub(super) fn metadata(&self) -> DigestMetadata {
        match &self.metadata {
            Some(pairs) => {
                DigestMetadata::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            }
            None => DigestMetadata::default(),
        }
    }
}

impl Listing {
    /// The objects with their whole keys.
    pub(super) fn objects(&self) -> impl Iterator<Item = ListedObject> + '_ {
        self.objects.iter().map(|(rest, modified, size)| ListedObject {
            key: format!("{}{rest}", self.prefix),
            last_modified: modified.and_then(time),
            size: *size,
            is_file: true,
        })
    }
}
