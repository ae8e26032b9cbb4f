//! The name of an object in S3.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The bucket and the key of an object, exactly as S3 knows them. Untrusted text: never a path, and
/// escaped before it is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// The bucket's name.
    pub bucket: Arc<str>,
    /// The object's key.
    pub key: Arc<str>,
}

impl ObjectRef {
    /// Names the object `key` in `bucket`.
    pub fn new(bucket: impl Into<Arc<str>>, key: impl Into<Arc<str>>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Returns whether a text may be a bucket's name (Amazon S3 user guide, "General purpose bucket
/// naming rules", with what buckets in us-east-1 were allowed before March 2018). A digest may name
/// anything, and requests are signed.
pub fn is_bucket_name(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}
