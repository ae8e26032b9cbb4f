//! Writing a forged trail as a local copy, as `aws s3 sync` and `aws s3api head-object` leave it.

use std::fs;
use std::io;
use std::path::Path;

use crate::forge::{ForgedTrail, Stored};

/// The layout of a local copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `DIR/BUCKET/KEY`.
    Buckets,
    /// `DIR/KEY`.
    Keys,
    /// `DIR/AWSLogs/…`, the prefix cut off.
    WithoutPrefix,
    /// `DIR/ACCOUNT/…` or `DIR/O-ID/…`: a copy of `AWSLogs/` itself.
    AwsLogs,
}

impl ForgedTrail {
    /// Writes the objects below `dir`; with `metadata`, each digest's metadata file beside it.
    pub fn write(&self, dir: &Path, layout: Layout, metadata: bool) -> io::Result<()> {
        for ((bucket, key), stored) in &self.objects {
            let aws_logs = key.find("AWSLogs/").expect("CloudTrail's keys have it");
            let path = match layout {
                Layout::Buckets => dir.join(bucket).join(key),
                Layout::Keys => dir.join(key),
                Layout::WithoutPrefix => dir.join(&key[aws_logs..]),
                Layout::AwsLogs => dir.join(&key[aws_logs + "AWSLogs/".len()..]),
            };
            fs::create_dir_all(path.parent().expect("keys have folders"))?;
            fs::write(&path, &stored.body)?;
            if metadata && !stored.metadata.is_empty() {
                let beside = format!("{}.metadata.json", path.display());
                fs::write(beside, serde_json::to_vec_pretty(&head_object(stored))?)?;
            }
        }
        Ok(())
    }

    /// Writes the copy and the key file `keys.json` by region beside it, in the same folder.
    pub fn write_with_keys(&self, dir: &Path) -> io::Result<()> {
        self.write(dir, Layout::Keys, true)?;
        fs::write(dir.join("keys.json"), serde_json::to_vec_pretty(&self.keys_by_region())?)
    }
}

/// Returns an object's metadata in the form in which `aws s3api head-object` prints it.
fn head_object(stored: &Stored) -> serde_json::Value {
    serde_json::json!({
        "AcceptRanges": "bytes",
        "LastModified": stored.last_modified.to_string(),
        "ContentLength": stored.body.len(),
        "ContentType": "application/json",
        "ContentEncoding": "gzip",
        "Metadata": stored.metadata,
    })
}
