//! Names of objects: the folder derived from a parsed key is a prefix of that key.

#![no_main]

use ctverify::model::{DigestName, LogFileKey, TrailArn};
use ctverify::model::printable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|key: &str| {
    if let Some(name) = DigestName::parse(key) {
        let folder = name.root.digest_regions(name.chain.organization.as_ref(), &name.chain.account);
        assert!(key.starts_with(&folder), "{key:?} lies in {folder:?}");
        assert!(key.contains(name.chain.trail.as_str()) && key.contains(name.chain.home_region.as_str()));
        assert!(LogFileKey::parse(key).is_none());
    }
    if let Some(name) = LogFileKey::parse(key) {
        let folder = name.root.accounts(name.organization.as_ref());
        assert!(key.starts_with(&format!("{folder}{}/CloudTrail", name.account)), "{key:?} lies in {folder:?}");
        assert!(name.time.from <= name.time.to);
    }
    if let Ok(arn) = key.parse::<TrailArn>() {
        assert_eq!(arn.to_string(), key);
    }
    assert!(!printable(key).chars().any(char::is_control));
});
