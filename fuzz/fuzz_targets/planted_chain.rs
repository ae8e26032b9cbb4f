//! A chain of several planted digests with arbitrary pointers: without a key none is valid, every
//! digest is returned, and each pair of a digest and one that names it is tried once.

#![no_main]

use std::collections::HashSet;
use std::io::Write as _;

use ctverify::model::{DigestKind, ObjectRef};
use ctverify::verify::{
    DigestMetadata, RawDigest, HashKey, KeyRing, DigestJudgement, PendingDigest, examine, verify_chain,
    try_recorded_signatures,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let keys = KeyRing::new([], true);
    let key = HashKey::default();
    let mut packed: Vec<Vec<u8>> = Vec::new();
    let mut waiting: Vec<(usize, PendingDigest)> = Vec::new();
    // The input is digests separated by 0xff, a byte that no JSON contains.
    for json in bytes.split(|byte| *byte == 0xff).take(16) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(json).unwrap();
        let bytes = gzip.finish().unwrap();
        let object = ObjectRef::new("bucket", format!("key-{}", waiting.len()));
        let metadata = DigestMetadata { kept: true, ..DigestMetadata::default() };
        let kind = if waiting.len() % 2 == 0 { DigestKind::Standard } else { DigestKind::Backfill };
        let found = RawDigest { object: &object, kind, bytes: &bytes, is_uncompressed: false, metadata: &metadata, last_modified: None };
        let examined = examine(&found, |_| json.len() % 3 != 0, &keys);
        let mut out = Vec::new();
        let digest = PendingDigest::pack(examined, &key, &mut out).unwrap();
        waiting.push((packed.len(), digest));
        packed.push(out);
    }
    let count = waiting.len();
    let open = |index: &usize, summary: &ctverify::verify::DigestSummary| summary.unpack(&packed[*index], &key);
    let mut tried = HashSet::with_hasher(Default::default());
    try_recorded_signatures(&waiting, open, &keys, &mut tried, |_, came| assert!(came.is_err())).unwrap();
    try_recorded_signatures(&waiting, open, &keys, &mut tried, |_, _| panic!("a pair was tried twice")).unwrap();
    let settled = verify_chain(waiting, open, &keys).unwrap();
    assert_eq!(settled.len(), count);
    assert!(settled.iter().all(|settled| matches!(settled.digest, DigestJudgement::Rejected(_))));
});
