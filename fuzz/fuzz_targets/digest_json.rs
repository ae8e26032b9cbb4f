//! The JSON of a digest: whatever it contains, no digest is valid without a key, and a packed
//! digest unpacks without an error.

#![no_main]

use std::io::Write as _;

use ctverify::model::{DigestKind, ObjectRef};
use ctverify::verify::{DigestMetadata, CheckedDigest, RawDigest, HashKey, KeyRing, DigestJudgement, PendingDigest, examine, verify_chain};
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(json).unwrap();
    let bytes = gzip.finish().unwrap();
    let place = ObjectRef::new("bucket", "key");
    let metadata = DigestMetadata { kept: true, signature: Some("ab".repeat(256)), ..DigestMetadata::default() };
    for kind in [DigestKind::Standard, DigestKind::Backfill] {
        let found = RawDigest { place: &place, kind, bytes: &bytes, is_uncompressed: false, metadata: &metadata, last_modified: None };
        let keys = KeyRing::new([], true);
        let examined = examine(&found, |_| true, &keys);
        if let CheckedDigest::Parsed(_, own) = &examined {
            assert!(own.is_err());
        }
        let (key, mut packed) = (HashKey::default(), Vec::new());
        let waiting = PendingDigest::pack(examined, &key, &mut packed).unwrap();
        let settled = verify_chain(vec![((), waiting)], |(), summary| summary.unpack(&packed, &key), &keys).unwrap();
        assert!(matches!(settled[0].digest, DigestJudgement::Rejected(_)));
    }
});
