//! Verifies one digest file that is already in memory, and a log file by it: no store, no network,
//! no runtime.
//!
//! ```sh
//! cargo run --no-default-features --example verify_digest
//! ```

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use ctverify::keys::KeyFile;
use ctverify::model::{DigestName, ObjectRef};
use ctverify::verify::{DigestMetadata, ExpectedHash, RawDigest, gunzip, sha256, verify_digest};

/// The size up to which a log file is decompressed, in bytes.
const MAX_LOG_FILE_BYTES: u64 = 64 << 20;

/// The digests of one day in the sample trail.
const DAY: &str = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/03/02";
const BUCKET: &str = "example-trail-logs";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample-trail");
    let keys = KeyFile::parse(&fs::read(root.join("keys.json"))?)?.key_ring(&"us-east-1".parse()?);
    let mut digests: Vec<PathBuf> =
        fs::read_dir(root.join(DAY))?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    digests.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    for path in digests {
        let key = path.strip_prefix(&root)?.to_str().ok_or("a key is UTF-8")?;
        let name = DigestName::parse(key).ok_or("not the name of a digest")?;
        let bytes = fs::read(&path)?;
        let metadata = DigestMetadata::from_head_object(&fs::read(format!("{}.metadata.json", path.display()))?)?;
        let found = RawDigest {
            object: &ObjectRef::new(BUCKET, key),
            kind: name.kind,
            bytes: &bytes,
            is_uncompressed: false,
            metadata: &metadata,
            last_modified: None,
        };
        match verify_digest(&found, &keys) {
            Err(rejected) => println!("{rejected}"),
            Ok(digest) => {
                println!("{} is valid, and lists {} log files", digest.object(), digest.log_files().len());
                for entry in digest.log_files().iter() {
                    let content = gunzip(&fs::read(root.join(&*entry.object.key))?, MAX_LOG_FILE_BYTES)?;
                    match entry.expected {
                        ExpectedHash::Sha256(hash) if hash == sha256(&content) => {
                            println!("  {} is intact", entry.object)
                        }
                        ExpectedHash::Sha256(_) => println!("  {} is modified", entry.object),
                        ExpectedHash::Unknown(reason) => println!("  {} is unverified: {reason}", entry.object),
                    }
                }
            }
        }
    }
    Ok(())
}
