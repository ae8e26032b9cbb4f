//! The JSON of a digest, field by field in the order in which CloudTrail writes them.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::authority::TestKey;

/// A digest's JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DigestDocument {
    pub aws_account_id: String,
    pub digest_start_time: String,
    pub digest_end_time: String,
    pub digest_s3_bucket: String,
    pub digest_s3_object: String,
    pub digest_public_key_fingerprint: String,
    pub digest_signature_algorithm: String,
    pub newest_event_time: Option<String>,
    pub oldest_event_time: Option<String>,
    pub previous_digest_s3_bucket: Option<String>,
    pub previous_digest_s3_object: Option<String>,
    pub previous_digest_hash_value: Option<String>,
    pub previous_digest_hash_algorithm: Option<String>,
    pub previous_digest_signature: Option<String>,
    pub log_files: Vec<LogFileDocument>,
}

/// An entry of `logFiles`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogFileDocument {
    pub s3_bucket: String,
    pub s3_object: String,
    pub hash_value: String,
    pub hash_algorithm: String,
    pub newest_event_time: String,
    pub oldest_event_time: String,
}

impl DigestDocument {
    /// The uncompressed bytes of the digest.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a digest serialises")
    }

    /// The hex SHA-256 of the uncompressed bytes.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.to_json()))
    }

    /// Signs the digest as CloudTrail does.
    pub fn sign(&self, key: &TestKey) -> String {
        self.sign_text(key, &self.to_json())
    }

    /// Signs the digest as if `text` were its uncompressed bytes.
    pub fn sign_text(&self, key: &TestKey, text: &[u8]) -> String {
        let sha256 = hex::encode(Sha256::digest(text));
        let previous = self.previous_digest_signature.as_deref().unwrap_or("null");
        let Self { digest_end_time, digest_s3_bucket, digest_s3_object, .. } = self;
        let text = format!("{digest_end_time}\n{digest_s3_bucket}/{digest_s3_object}\n{sha256}\n{previous}");
        key.sign(text.as_bytes())
    }
}
