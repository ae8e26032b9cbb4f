//! An untrusted bag, whose manifest, custody log and head may hold anything. Every fault is
//! reported or an error, and no bag passes, since none has a manifest of its tag files.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use ctverify::bag::{Bag, CustodyLog};
use libfuzzer_sys::fuzz_target;

/// One folder for the whole process: each input writes over it.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("ctverify-fuzz-bag-{}", std::process::id()));
    fs::create_dir_all(folder.join("data/objects")).unwrap();
    fs::write(folder.join("bagit.txt"), "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n").unwrap();
    fs::write(folder.join("data/file"), "content").unwrap();
    folder
});

fuzz_target!(|bytes: &[u8]| {
    // The input is the three files one after the other, separated by 0xff, which is never part of
    // UTF-8.
    let mut parts = bytes.splitn(3, |byte| *byte == 0xff);
    for name in ["manifest-sha256.txt", "custody.jsonl", "custody-head.txt"] {
        fs::write(FOLDER.join(name), parts.next().unwrap_or_default()).unwrap();
    }
    if let Ok(log) = CustodyLog::open(&FOLDER) {
        assert!(log.len() <= bytes.len());
        let _ = log.faults();
    }
    if let Ok(altered) = Bag::open(&FOLDER).and_then(|bag| bag.altered()) {
        // It has no manifest of its tag files.
        assert!(!altered.is_empty());
    }
});
