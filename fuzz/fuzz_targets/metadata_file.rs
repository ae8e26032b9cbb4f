//! The metadata file beside a digest.

#![no_main]

use ctverify::verify::DigestMetadata;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(metadata) = DigestMetadata::from_head_object(json) {
        assert!(metadata.kept);
    }
});
