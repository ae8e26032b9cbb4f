//! Benchmarks of the parts of a verification: `cargo bench --bench parts`.
//!
//! Each is measured on what the forge makes, in the sizes of real objects: a quiet hour's digest, a
//! busy hour's, a log file of a few KB and one of some MB. `side_by_side` measures the whole.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that can't go on has failed")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use ctverify::events::{Event, Format, Lake, Proof, each_record_of_bytes};
use ctverify::keys::{KeyFile, KeySource as _};
use ctverify::model::{DigestKind, DigestName, ObjectRef};
use ctverify::verify::{
    CheckedDigest, ContentHasher, DigestJudgement, DigestMetadata, DigestSummary, HashKey, JudgedDigest, KeyRing,
    PendingDigest, RawDigest, RecordedSignature, examine, limits, sha256, verify_chain,
};
use ctverify_testkit::{ForgedTrail, Stored, TrailSpec, gunzip};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// A trail of one chain, and the keys that verify it.
struct Chain {
    trail: ForgedTrail,
    keys: KeyRing,
}

impl Chain {
    fn forge(hours: u32, log_files: usize, events: usize) -> Self {
        let spec = TrailSpec { hours, log_files, events, busy_percent: 100, ..TrailSpec::default() };
        let trail = spec.forge();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, trail.keys_by_region().to_string()).unwrap();
        let (region, now) = ("us-east-1".parse().unwrap(), trail.spec.start);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let set = runtime.block_on(KeyFile::open(&path).unwrap().keys(&region, now, now)).unwrap();
        Self { trail, keys: KeyRing::new(set.keys, set.authoritative) }
    }

    fn digests(&self) -> BTreeMap<ObjectRef, &Stored> {
        let objects = self.trail.objects.iter().filter(|((_, key), _)| DigestName::parse(key).is_some());
        objects.map(|((bucket, key), stored)| (ObjectRef::new(bucket.as_str(), key.as_str()), stored)).collect()
    }

    fn largest_log_file(&self) -> Bytes {
        let log_files = self.trail.objects.iter().filter(|((_, key), _)| DigestName::parse(key).is_none());
        log_files.map(|(_, stored)| stored.body.clone()).max_by_key(Bytes::len).unwrap()
    }

    fn examine(&self, object: &ObjectRef, stored: &Stored) -> CheckedDigest {
        let metadata = DigestMetadata::from_pairs(stored.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let (kind, bytes) = (DigestKind::Standard, &stored.body);
        let found = RawDigest { object, kind, bytes, is_uncompressed: false, metadata: &metadata, last_modified: None };
        examine(&found, |claimed| claimed == object, &self.keys)
    }
}

/// Inflating and hashing a log file, by how many events it may have.
#[divan::bench(args = [5, 30, 5_600])]
fn hash_log_file(bencher: Bencher<'_, '_>, events: usize) {
    let file = Chain::forge(0, 1, events).largest_log_file();
    bencher.counter(BytesCount::new(file.len())).bench(|| {
        let mut hasher = ContentHasher::new(limits::MAX_LOG_FILE_BYTES);
        hasher.feed(black_box(&file).clone());
        hasher.finish()
    });
}

/// The same with flate2's own reader of gzip, made anew for each file.
#[divan::bench(args = [5, 30, 5_600])]
fn hash_log_file_with_flate2(bencher: Bencher<'_, '_>, events: usize) {
    let file = Chain::forge(0, 1, events).largest_log_file();
    bencher.counter(BytesCount::new(file.len())).bench(|| {
        let mut content = Vec::new();
        flate2::read::MultiGzDecoder::new(&black_box(&file)[..]).read_to_end(&mut content).unwrap();
        sha256(&content)
    });
}

/// Inflating, hashing, parsing a digest and checking its signature, by how many log files it may
/// list.
#[divan::bench(args = [0, 10, 1_000])]
fn examine_digest(bencher: Bencher<'_, '_>, log_files: usize) {
    let chain = Chain::forge(1, log_files, 1);
    let (object, stored) = chain.digests().into_iter().next_back().unwrap();
    bencher.bench(|| chain.examine(black_box(&object), stored));
}

/// Checking a signature that fails in the first RSA implementation: the second one has to confirm
/// that.
#[divan::bench]
fn check_wrong_signature(bencher: Bencher<'_, '_>) {
    let chain = Chain::forge(1, 0, 1);
    let (object, stored) = chain.digests().into_iter().next_back().unwrap();
    let unsigned = Stored { metadata: BTreeMap::new(), ..stored.clone() };
    let CheckedDigest::Parsed(_, Err(unproven)) = chain.examine(&object, &unsigned) else {
        unreachable!("nothing proves it")
    };
    let wrong = RecordedSignature::read(&"ab".repeat(256));
    bencher.bench(|| unproven.check(black_box(&wrong), &chain.keys));
}

/// Judging the digests of a chain together, by how many they are.
#[divan::bench(args = [100, 1_000, 10_000])]
fn settle_chain(bencher: Bencher<'_, '_>, digests: u32) {
    let chain = Chain::forge(digests - 1, 0, 1);
    let found = chain.digests();
    let key = HashKey::default();
    let waiting = || found.iter().map(|(object, stored)| pack(chain.examine(object, stored), &key)).collect();
    bencher.with_inputs(waiting).bench_values(|waiting| settle_packed(waiting, &key, &chain.keys));
}

/// Packing a digest that was examined, and unpacking it, by how many log files it may list.
#[divan::bench(args = [0, 10, 1_000])]
fn pack_digest(bencher: Bencher<'_, '_>, log_files: usize) {
    let chain = Chain::forge(1, log_files, 1);
    let (object, stored) = chain.digests().into_iter().next_back().unwrap();
    let key = HashKey::default();
    bencher.with_inputs(|| chain.examine(&object, stored)).bench_values(|examined| {
        let (packed, waiting) = pack(examined, &key);
        let PendingDigest::Parsed(summary, _) = waiting else { unreachable!("it was read") };
        summary.unpack(&packed, &key).unwrap()
    });
}

type Packed = (Vec<u8>, PendingDigest);

fn pack(examined: CheckedDigest, key: &HashKey) -> Packed {
    let mut packed = Vec::new();
    let waiting = PendingDigest::pack(examined, key, &mut packed).unwrap();
    (packed, waiting)
}

fn settle_packed(waiting: Vec<Packed>, key: &HashKey, keys: &KeyRing) -> Vec<JudgedDigest<Vec<u8>>> {
    verify_chain(waiting, |packed, summary: &DigestSummary| summary.unpack(packed, key), keys).unwrap()
}

/// Unpacking the log files that a digest lists.
#[divan::bench(args = [10, 1_000])]
fn unpack_log_file_entries(bencher: Bencher<'_, '_>, log_files: usize) {
    let chain = Chain::forge(1, log_files, 1);
    let (object, stored) = chain.digests().into_iter().next_back().unwrap();
    let key = HashKey::default();
    let settled = settle_packed(vec![pack(chain.examine(&object, stored), &key)], &key, &chain.keys);
    let [JudgedDigest { handle: packed, digest: DigestJudgement::Valid(digest) }] = settled.as_slice() else {
        unreachable!("the forge makes valid digests")
    };
    let digest = digest.unpack(packed, &key).unwrap();
    bencher.bench(|| digest.log_files().iter().map(|entry| entry.object.key.len()).sum::<usize>());
}

/// The contents of the sample trail's log files.
fn sample_log_files() -> Vec<Vec<u8>> {
    fn collect(folder: &Path, found: &mut Vec<Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.to_string_lossy().contains("/CloudTrail/") && path.extension().is_some_and(|end| end == "gz")
            {
                found.push(gunzip(&std::fs::read(path).unwrap()).unwrap());
            }
        }
    }
    let mut found = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/sample-trail")), &mut found);
    found.into_iter().cycle().take(2_000).collect()
}

/// The events of log files on their way into a table: all on one core, counted by the bytes of JSON.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn events_to_parquet(bencher: Bencher<'_, '_>) {
    let files = sample_log_files();
    let bytes: usize = files.iter().map(Vec::len).sum();
    let hash = sha256(b"");
    let mut proof = Proof {
        bucket: "b",
        key: "k",
        sha256: hash,
        digest: "d",
        account: "111122223333",
        region: "eu-west-1",
        index: 0,
    };
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let mut lake = Lake::new("events".to_owned(), std::env::temp_dir(), 24 << 20).unwrap();
        for (number, content) in files.iter().enumerate() {
            let mut rows = Vec::new();
            each_record_of_bytes(black_box(content), &mut |index, record| {
                proof.index = index;
                Format::Rows.write(&Event::parse(record)?, record, &proof, &[], &mut rows)
            })
            .unwrap();
            lake.add(number as u64, &proof, &*rows).unwrap();
        }
        lake.finish().unwrap()
    });
}
