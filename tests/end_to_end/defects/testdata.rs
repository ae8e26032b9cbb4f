//! The test data in the repository is what the forge makes.

use std::collections::BTreeMap;
use std::path::Path;

use ctverify_testkit::{defects, gunzip};

use crate::support::testdata;

/// Returns the files of a folder by path: decompressed if they are gzip, since compressors differ.
fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            if name == "about.txt" || name == "expected.jsonl" {
                continue;
            }
            found.insert(name, gunzip(&bytes).unwrap_or(bytes));
        }
    }
    found
}

#[test]
fn every_defect_folder_is_what_the_forge_makes_today() {
    let mut wrong = Vec::new();
    for defect in defects::ALL {
        let mut trail = defects::small_trail();
        (defect.apply)(&mut trail);
        let made = tempfile::tempdir().unwrap();
        trail.write_with_keys(made.path()).unwrap();
        let kept = testdata(defect.name);
        let about = std::fs::read_to_string(kept.join("about.txt")).unwrap_or_default();
        if about.trim() != defect.about || content(made.path()) != content(&kept) {
            wrong.push(defect.name);
        }
    }
    assert!(wrong.is_empty(), "made otherwise now, run 'cargo run --example testdata': {wrong:?}");
}

#[test]
fn every_folder_of_testdata_has_its_defect() {
    for entry in std::fs::read_dir(testdata("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "sample-trail" || defects::ALL.iter().any(|defect| defect.name == name), "{name} is nobody's");
    }
}
