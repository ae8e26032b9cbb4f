//! The bare floor: every digest is read, inflated, hashed, parsed and its signature checked once,
//! every log file is read, inflated and hashed, on two threads, with no chain logic and no
//! comparison. Nothing that reads and checks each object can be faster.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const THREADS: usize = 2;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    digest_end_time: String,
    digest_s3_bucket: String,
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    previous_digest_signature: Option<String>,
    log_files: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    s3_object: String,
    hash_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HeadObject {
    metadata: HashMap<String, String>,
}

pub(crate) fn run(dir: &Path) {
    let keys = keys(dir);
    let mut files = Vec::new();
    walk(dir, &mut files);
    let next = AtomicUsize::new(0);
    let checked: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| work(&files, &next, &keys))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(checked, files.len());
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), files);
        } else if entry.path().extension().is_some_and(|extension| extension == "gz") {
            files.push(entry.path());
        }
    }
}

fn keys(dir: &Path) -> HashMap<String, ParsedPublicKey> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("keys.json")).unwrap()).unwrap();
    let listed = json.as_object().unwrap().values().flat_map(|region| region["PublicKeyList"].as_array().unwrap());
    let key = |listed: &serde_json::Value| {
        let der = STANDARD.decode(listed["Value"].as_str().unwrap()).unwrap();
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &der).unwrap();
        (listed["Fingerprint"].as_str().unwrap().to_owned(), key)
    };
    listed.map(key).collect()
}

fn work(files: &[PathBuf], next: &AtomicUsize, keys: &HashMap<String, ParsedPublicKey>) -> usize {
    let mut inflate = Decompress::new(false);
    let mut content = Vec::with_capacity(8 << 20);
    let mut checked = 0;
    while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        gunzip(&mut inflate, &std::fs::read(path).unwrap(), &mut content);
        let hash = Sha256::digest(&content);
        if path.as_os_str().as_encoded_bytes().windows(11).any(|part| part == b"Trail-Diges") {
            digest(path, &content, &hash, keys);
        } else {
            std::hint::black_box(hash);
        }
        checked += 1;
    }
    checked
}

fn gunzip(inflate: &mut Decompress, compressed: &[u8], content: &mut Vec<u8>) {
    // The forge writes gzip headers without optional fields: they are ten bytes long.
    let compressed = &compressed[10..];
    inflate.reset(false);
    content.clear();
    loop {
        let consumed = usize::try_from(inflate.total_in()).unwrap();
        match inflate.decompress_vec(&compressed[consumed..], content, FlushDecompress::Finish).unwrap() {
            Status::StreamEnd => break,
            _ => content.reserve(content.capacity().max(1 << 16)),
        }
    }
    let mut crc = Crc::new();
    crc.update(content);
    let trailer = &compressed[usize::try_from(inflate.total_in()).unwrap()..];
    assert_eq!(crc.sum().to_le_bytes(), trailer[..4]);
}

fn digest(path: &Path, content: &[u8], hash: &[u8], keys: &HashMap<String, ParsedPublicKey>) {
    let head: HeadObject =
        serde_json::from_slice(&std::fs::read(format!("{}.metadata.json", path.display())).unwrap()).unwrap();
    let document: Document = serde_json::from_slice(content).unwrap();
    let signed = format!(
        "{}\n{}/{}\n{}\n{}",
        document.digest_end_time,
        document.digest_s3_bucket,
        document.digest_s3_object,
        hex::encode(hash),
        document.previous_digest_signature.as_deref().unwrap_or("null")
    );
    let signature = hex::decode(&head.metadata["signature"]).unwrap();
    keys[&document.digest_public_key_fingerprint].verify_sig(signed.as_bytes(), &signature).unwrap();
    for entry in document.log_files {
        std::hint::black_box((entry.s3_object, entry.hash_value));
    }
}
