//! Every way of changing one object of a small trail: each bit of each digest and signature, each
//! byte of each log file, every prefix, every swap, every removal. A change of content is never
//! `verified`, and the record names the right file; a change that leaves the content as it was is
//! none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ctverify::audit::{Audit, AuditRequest};
use ctverify::keys::KeyFile;
use ctverify::model::{DigestStatus, LogFileStatus, TimeRange, Verdict};
use ctverify::records::Record;
use ctverify::store::Folder;
use ctverify_testkit::{Layout, TrailSpec, gunzip};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::support::{Mirror, figure};

/// A copy of the trail that one thread changes.
struct Bench {
    mirror: Mirror,
    runtime: Runtime,
    /// The original bytes of each object, by key.
    whole: BTreeMap<String, Vec<u8>>,
    tried: u64,
}

/// The result of a run: its verdict, and the objects that it accuses.
struct Said {
    verdict: Verdict,
    /// Keys of digests that are not valid and of log files that are not intact.
    accused: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let spec = TrailSpec { hours: 2, log_files: 1, events: 1, busy_percent: 100, ..TrailSpec::default() };
        let trail = spec.forge();
        let mirror = Mirror::new(&trail, Layout::Keys, true);
        let whole = trail.objects.iter().map(|((_, key), stored)| (key.clone(), stored.body.to_vec())).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { mirror, runtime, whole, tried: 0 }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.mirror.dir().join(key)
    }

    fn run(&mut self) -> Said {
        self.tried += 1;
        let folder = Folder::open(&self.mirror.dir(), Some("example-trail-logs".into())).unwrap();
        let keys = KeyFile::open(&self.mirror.keys()).unwrap();
        let now: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        // The range begins with the first digest, so that this one is asked about, too.
        let range = TimeRange { start: "2026-02-28T23:30:47Z".parse().ok(), end: None };
        let request = AuditRequest::builder(now).locations(folder.locations()).range(range).build().unwrap();
        let audit = Audit::new(Arc::new(folder), Arc::new(keys), request);
        let mut accused = Vec::new();
        let mut observer = |record: &Record| {
            match record {
                Record::Digest(digest) if digest.status != DigestStatus::Valid => {
                    accused.push(digest.object.key.to_string())
                }
                Record::LogFile(file) if file.status != LogFileStatus::Intact => {
                    accused.push(file.object.key.to_string())
                }
                _ => {}
            }
            Ok(())
        };
        let summary = self.runtime.block_on(audit.run(&mut observer, std::future::pending())).unwrap().summary;
        Said { verdict: summary.verdict, accused }
    }

    /// Writes `bytes` for the object, runs, and puts the object back.
    fn with(&mut self, key: &str, bytes: &[u8], what: &str) {
        let path = self.path(key);
        std::fs::write(&path, bytes).unwrap();
        let said = self.run();
        let whole = &self.whole[key];
        let same = gunzip(bytes).ok().zip(gunzip(whole).ok()).is_some_and(|(one, other)| one == other);
        if same {
            assert_eq!(said.verdict, Verdict::Verified, "{what} of {key} leaves the content as it was");
        } else {
            assert_ne!(said.verdict, Verdict::Verified, "{what} of {key}");
            assert!(said.accused.iter().any(|accused| accused == key), "{what} of {key} accuses {:?}", said.accused);
        }
        std::fs::write(&path, whole).unwrap();
    }

    fn digests(&self) -> Vec<String> {
        self.whole.keys().filter(|key| key.contains("CloudTrail-Digest")).cloned().collect()
    }
}

fn is_digest(key: &str) -> bool {
    key.contains("CloudTrail-Digest")
}

#[test]
fn every_bit_of_a_digest_and_every_byte_of_a_log_file_counts() {
    let keys: Vec<String> = Bench::new().whole.into_keys().collect();
    let tried: u64 = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let keys = &keys;
                scope.spawn(move || {
                    let mut bench = Bench::new();
                    for key in keys.iter().skip(half).step_by(2) {
                        let whole = bench.whole[key].clone();
                        let step = if is_digest(key) { 1 } else { 8 };
                        for bit in (0..whole.len() * 8).step_by(step) {
                            let mut changed = whole.clone();
                            changed[bit / 8] ^= if is_digest(key) { 1 << (bit % 8) } else { 0x41 };
                            bench.with(key, &changed, &format!("bit {bit}"));
                        }
                    }
                    bench.tried
                })
            })
            .collect();
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    figure("changed-content", &format!("{tried} single changes of content tried"));
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn every_bit_of_a_signature_counts() {
    let mut bench = Bench::new();
    for key in bench.digests() {
        let path = PathBuf::from(format!("{}.metadata.json", bench.path(&key).display()));
        let whole: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let signature = hex::decode(whole["Metadata"]["signature"].as_str().unwrap()).unwrap();
        let is_newest = bench.digests().last() == Some(&key);
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut json = whole.clone();
            json["Metadata"]["signature"] = hex::encode(changed).into();
            std::fs::write(&path, json.to_string()).unwrap();
            let said = bench.run();
            // The signature that a successor recorded proves a digest whose own was spoilt; the
            // newest has no successor.
            assert_eq!(said.verdict == Verdict::Verified, !is_newest, "bit {bit} of {key}");
            assert_eq!(said.accused.contains(&key), is_newest);
        }
        std::fs::write(&path, whole.to_string()).unwrap();
    }
    figure("changed-signatures", &format!("{} changed signatures tried", bench.tried));
}

#[test]
fn every_prefix_of_every_object_is_found_out() {
    let mut bench = Bench::new();
    for (key, whole) in bench.whole.clone() {
        for length in 0..whole.len() {
            bench.with(&key, &whole[..length], &format!("the first {length} bytes"));
        }
    }
    figure("prefixes", &format!("{} prefixes tried", bench.tried));
}

#[test]
fn every_swap_and_every_removal_is_found_out() {
    let mut bench = Bench::new();
    let objects: Vec<(String, Vec<u8>)> = bench.whole.clone().into_iter().collect();
    for (at, (one, first)) in objects.iter().enumerate() {
        for (other, second) in &objects[at + 1..] {
            std::fs::write(bench.path(one), second).unwrap();
            std::fs::write(bench.path(other), first).unwrap();
            let said = bench.run();
            assert_ne!(said.verdict, Verdict::Verified, "{one} for {other}");
            assert!(said.accused.contains(one) || said.accused.contains(other), "{:?}", said.accused);
            std::fs::write(bench.path(one), first).unwrap();
            std::fs::write(bench.path(other), second).unwrap();
        }
    }
    let digests = bench.digests();
    let removals = objects.iter().map(|(key, _)| vec![key.clone()]).chain(digests.windows(2).map(<[String]>::to_vec));
    for keys in removals.collect::<Vec<_>>() {
        keys.iter().for_each(|key| std::fs::remove_file(bench.path(key)).unwrap());
        let said = bench.run();
        // A copy without its newest digests just ends earlier: nothing in it shows that they are
        // gone.
        let at_end = keys.iter().rev().eq(digests.iter().rev().take(keys.len()));
        if !at_end {
            assert_ne!(said.verdict, Verdict::Verified, "{keys:?} removed");
            assert!(keys.iter().any(|key| said.accused.contains(key)), "{keys:?} removed accuses {:?}", said.accused);
        }
        keys.iter().for_each(|key| write(&bench.path(key), &bench.whole[key]));
    }
    assert_eq!(bench.run().verdict, Verdict::Verified);
    figure("swaps-and-removals", &format!("{} swaps and removals tried", bench.tried));
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
