//! Keys and signatures that AWS itself published (CloudTrail user guide, "Custom implementations";
//! AWS CLI example of `list-public-keys`), carried over as they were printed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctverify::model::Sha256Hash;
use ctverify::verify::{RsaKey, SignatureCheck, check, fingerprint};

/// Fingerprint and base64 DER. The first is SPKI, the others PKCS#1.
const KEYS: [(&str, &str); 4] = [
    (
        "31e8b5433410dfb61a9dc45cc65b22ff",
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqlzPJbvZJ42UdcmLfPUqXYNfOs6I8lCfao/tOs8CmzPOEdtLWugB9xoIUz78qVHdKIqxbaG4jWHfJBiOSSFBM0lt8cdVo4TnRa7oG9io5pysS6DJhBBAeXsicufsiFJR+wrUNh8RSLxL4k6G1+BhLX20tJkZ/erT97tDGBujAelqseGg3vPZbTx9SMfOLN65PdLFudLP7Gat0Z9p5jw/rjpclKfo9Bfc3heeBxWGKwBBOKnFAaN9V57pOaosCvPKmHd9bg7jsQkI9Xp22IzGLsTFJZYVA3KiTAElDMu80iFXPHEq9hKNbt9e4URFam+1utKVEiLkR2disdCmPTK0VQIDAQAB",
    ),
    (
        "8eba5db5bea9b640d1c96a77256fe7f2",
        "MIIBCgKCAQEAn11L2YZ9h7onug2ILi1MWyHiMRsTQjfWE+pHVRLk1QjfWhirG+lpOa8NrwQ/r7Ah5bNL6HepznOU9XTDSfmmnP97mqyc7z/upfZdS/AHhYcGaz7n6Wc/RRBU6VmiPCrAUojuSk6/GjvA8iOPFsYDuBtviXarvuLPlrT9kAd4Lb+rFfR5peEgBEkhlzc5HuWO7S0y+KunqxX6jQBnXGMtxmPBPP0FylgWGNdFtks/4YSKcgqwH0YDcawP9GGGDAeCIqPWIXDLG1jOjRRzWfCmD0iJUkz8vTsn4hq/5ZxRFE7UBAUiVcGbdnDdvVfhF9C3dQiDq3k7adQIziLT0cShgQIDAQAB",
    ),
    (
        "8933b39ddc64d26d8e14ffbf6566fee4",
        "MIIBCgKCAQEApfYL2FiZhpN74LNWVUzhR+VheYhwhYm8w0n5Gf6i95ylW5kBAWKVEmnAQG7BvS5g9SMqFDQx52fW7NWV44IvfJ2xGXT+wT+DgR6ZQ+6yxskQNqV5YcXj4Aa5Zz4jJfsYjDuO2MDTZNIzNvBNzaBJ+r2WIWAJ/Xq54kyF63B6WE38vKuDE7nSd1FqQuEoNBFLPInvgggYe2Ym1Refe2z71wNcJ2kY+q0h1BSHrSM8RWuJIw7MXwF9iQncg9jYzUlNJomozQzAG5wSRfbplcCYNY40xvGd/aAmO0m+Y+XFMrKwtLCwseHPvj843qVno6x4BJN9bpWnoPo9sdsbGoiK3QIDAQAB",
    ),
    (
        "7f3f401420072e50a65a141430817ab3",
        "MIIBCgKCAQEAlSS3cl92HDycr/MTj0moOhas8habjrraXw+KzlWF0axSI2tcF+3iJ9BKQAVSKxGwxwu3m0wG3J+kUl1xboEcEPHYoIYMbgfSw7KGnuDKwkLzsQWhUJ0cIbOHASox1vv/5fNXkrHhGbDCHeVXm804c83nvHUEFYThr1PfyP/8HwrCtR3FX5OANtQCP61C1nJtSSkC8JSQUOrIP4CuwJjc+4WGDk+BGH5m9iuiAKkipEHWmUl8/P7XpfpWQuk4h8g3pXZOrNXr08lbh4d39svj7UqdhvOXoBISp9t/EXYuePGEtBdrKD9Dz+VHwyUPtBQvYr9BnkF88qBnaPNhS44rzwIDAQAB",
    ),
];

/// SHA-256 of a signed string, and the signature under the first key.
const SIGNATURES: [(&str, &str); 3] = [
    (
        "4cdaa85fddf1a1a032e5fca5d16d104d1b03f2b31641eff267d877264a44c570",
        "50887ccffad4c002b97caa37cc9dc626e3c680207d41d27fa5835458e066e0d3652fc4dfc30937e4d5f4cc7f796e7a258fb50a43ac427f2237f6e505d4efaf373d156e15e3b68dea9f58111d395b62628d6bd367a9024d2183b5c5f6e19466d3a996b92df705bc997b8a0e13430f241d733cf95df4e41bb6c304c3f58363043572ea57a27085639ce187e679c0d81c7519b1184fa77fb7ab0b0e40a32dace6e1eefc3995c5ae182da49b62b26398cebb52a2201a6387b75b89c83e5570bcb9bba6c34a80f2f00a1c6ebe07d1ff149eccd812dc805bb3eeff6657db32a6cb48d2d096404eb76181877bc6ebb8cd0b23f823200155b2fd8848d428e46e8456328a",
    ),
    (
        "eb6fb72c4f3302de4b4a4693658e3a7bf1d464330eb80399500fe11bf1b7ab00",
        "82705525fb0fe7f919f9434e5b7138cb41793c776c7414f3520c0242902daa8cc8286b29263d2627f2f259471c745b1654af76e2073264b2510fd45236b3aea4d80c0e8e6455223d7bd54ff80af0edf22a5f14fa856626daec919f0591479aa4f213787ba1e1076328dcf8ff624e03a977fa5612dcf58594c590fd8c1c5b48bddf43fc84ecc00b41bedd0ff7f293c3e2de8dcdc78f98b03e17577f5822ba842399d69eb79921c0429773509520e08c8b518702d987dfbb3a4e5d8c5f17673ce1f989dfff82d4becf24e452f20d3bcac94ad50131f93e57f10155536acb54c60efbe9d57228c2b930bc6082b2318e3ccd36834a8e835b8d112dbf32145f445c11",
    ),
    (
        "5637b49ab4833a39ecb584a800cb4559c582a6f45a49b22d0943a4278df91ac0",
        "6e8540b83c3ac86a0312d971a225361d28ed0af20d70c211a2d405e32abf529a8145c2966e3bb47362383a52441545ed091fb81d4c7c09dd152b84e79099ce7a9ec35d2b264eb92eb6e090f1e5ec5d40ec8a0729c02ff57f9e30d5343a8591638f8b794972ce15bb3063a0197298b0aee2c1c8af74ec620261529265e83a9834ebef6054979d3e9a6767dfa6fdb4ae153436c567d6ae208f988047ccfc8e5e41f7d0121e54ed66b1b904f80fb2ce304458a2a6b91685b699434b946c52589e9438f8ebe5a0d80522b2f043b3710b87d2cda43e5c1e0db921d8d540b9ad5f6d4831b1f4a8ef2d758424329583897339493a082bb36e782143ee5464b4e3eb4ef6",
    ),
];

fn vector(index: usize) -> (Sha256Hash, Vec<u8>) {
    (SIGNATURES[index].0.parse().unwrap(), hex::decode(SIGNATURES[index].1).unwrap())
}

fn der(index: usize) -> Vec<u8> {
    STANDARD.decode(KEYS[index].1).unwrap()
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn the_fingerprint_of_every_published_key_is_the_md5_of_its_bytes() {
    for (index, (published, _)) in KEYS.iter().enumerate() {
        assert_eq!(fingerprint(&der(index)), *published);
        RsaKey::from_der(&der(index)).unwrap();
    }
}

#[test]
fn genuine_signatures_verify_under_their_key_and_no_other() {
    for (index, expected) in
        [SignatureCheck::Verifies, SignatureCheck::Fails, SignatureCheck::Fails, SignatureCheck::Fails]
            .into_iter()
            .enumerate()
    {
        let key = RsaKey::from_der(&der(index)).unwrap();
        for signature in 0..SIGNATURES.len() {
            let (hash, signature) = vector(signature);
            assert_eq!(check(&key, &hash, &signature), expected, "key {index}");
        }
    }
}

#[test]
fn a_genuine_signature_with_any_bit_changed_fails() {
    let key = RsaKey::from_der(&der(0)).unwrap();
    for index in 0..SIGNATURES.len() {
        let (hash, signature) = vector(index);
        for bit in 0..signature.len() * 8 {
            assert_eq!(check(&key, &hash, &flipped(&signature, bit)), SignatureCheck::Fails, "bit {bit}");
        }
        for bit in 0..256 {
            let other = Sha256Hash(flipped(&hash.0, bit).try_into().unwrap());
            assert_eq!(check(&key, &other, &signature), SignatureCheck::Fails, "bit {bit} of the hash");
        }
        for length in [0, 1, 255] {
            assert_eq!(check(&key, &hash, &signature[..length]), SignatureCheck::Fails, "{length} bytes");
        }
        assert_eq!(check(&key, &hash, &[&signature[..], &[0]].concat()), SignatureCheck::Fails);
        assert_eq!(check(&key, &hash, &[&[0], &signature[..]].concat()), SignatureCheck::Fails);
    }
}

#[test]
fn a_genuine_key_with_any_bit_changed_verifies_nothing() {
    let (hash, signature) = vector(0);
    let whole = der(0);
    for bit in 0..whole.len() * 8 {
        if let Ok(key) = RsaKey::from_der(&flipped(&whole, bit)) {
            assert_eq!(check(&key, &hash, &signature), SignatureCheck::Fails, "bit {bit}");
        }
    }
}
