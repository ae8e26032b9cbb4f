//! A file of public keys.

#![no_main]

use ctverify::keys::KeyFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(reason) = KeyFile::parse(bytes) {
        assert!(!reason.is_empty());
    }
});
