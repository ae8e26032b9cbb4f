//! A public key in DER form: a key that is accepted does not verify an arbitrary signature.

#![no_main]

use ctverify::verify::{RsaKey, SignatureCheck, check, fingerprint, sha256};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    assert_eq!(fingerprint(der).len(), 32);
    if let Ok(key) = RsaKey::from_der(der) {
        assert_ne!(check(&key, &sha256(b"text"), &[1; 256]), SignatureCheck::Verifies);
    }
});
