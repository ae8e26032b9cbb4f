//! Bounds on the input: decompression bombs, nesting, names, keys.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use ctverify_testkit::{ForgedTrail, Layout, TrailSpec, defects};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::support::{Mirror, Run, records, watched};

fn log_file(trail: &ForgedTrail) -> String {
    trail.chains[0].digests[3].document.log_files[0].s3_object.clone()
}

/// A gzip stream that decompresses to so many zeros.
fn bomb(bytes: u64) -> Vec<u8> {
    // In large pieces: `std::io::repeat` fills each byte by itself where nothing is optimized.
    let zeros = vec![0; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(zeros.len(), |left| left.min(zeros.len()));
        encoder.write_all(&zeros[..piece]).unwrap();
        left -= piece as u64;
    }
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_of_four_gib_is_hashed_to_its_end_in_little_memory() {
    let mut trail = defects::small_trail();
    let key = log_file(&trail);
    trail.replace(&key, bomb(4 << 30));
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let (Run { stdout: out, .. }, peak) = watched(mirror.command().args(["--format", "jsonl"]));
    let peak = peak.resident;
    let line = out.lines().find(|line| line.contains("\"status\":\"modified\"")).unwrap();
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&record["key"], &record["fault"]), (&json!(key), &json!("hash_mismatch")));
    assert!(peak > 0 && peak < 64 * 1024, "{peak} KiB");
}

#[test]
fn beyond_the_ceiling_a_file_is_unverified_and_a_flag_raises_it() {
    let mut trail = defects::small_trail();
    let key = log_file(&trail);
    trail.replace(&key, bomb(5 << 20));
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let low = records(mirror.command().args(["--max-log-file-size", "4MiB"]));
    let record = low.of("log_file").into_iter().find(|file| file["status"] != "intact").unwrap();
    assert_eq!((low.code, &record["status"], &record["fault"]), (3, &json!("unverified"), &json!("too_large")));
    assert!(record["detail"].as_str().unwrap().contains("--max-log-file-size"), "{record}");
    let high = records(mirror.command().args(["--max-log-file-size", "6MiB"]));
    assert_eq!((high.code, high.count("log_file", "modified")), (1, 1));
}

/// Issue 25: a digest that is too large to be read and that a valid one names is hashed, to 1 GiB.
#[test]
fn a_bomb_over_a_digest_is_invalid_where_a_valid_one_names_it() {
    let judged = |place: usize, bytes: u64| {
        let mut trail = defects::small_trail();
        let key = trail.chains[0].digests[place].key.clone();
        trail.replace(&key, bomb(bytes));
        let mirror = Mirror::new(&trail, Layout::Keys, true);
        let (Run { stdout: out, .. }, peak) = watched(mirror.command().args(["--format", "jsonl"]));
        let peak = peak.resident;
        let lines = || out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let record = lines().find(|record| record["record"] == "digest" && record["key"] == key).unwrap();
        assert!(peak > 0 && peak < 64 * 1024 + 32 * 1024, "{peak} KiB");
        let text = |field: &str| record[field].as_str().unwrap().to_owned();
        (text("status"), text("fault"), lines().next_back().unwrap()["exit_code"].as_i64().unwrap())
    };
    let newest = defects::small_trail().chains[0].digests.len() - 1;
    let told = |status: &str, fault: &str, code| (status.to_owned(), fault.to_owned(), code);
    assert_eq!(judged(3, 64 << 20), told("invalid", "predecessor_hash_mismatch", 1));
    assert_eq!(judged(3, 2 << 30), told("unverified", "too_large", 3));
    assert_eq!(judged(newest, 64 << 20), told("unverified", "too_large", 3));
}

#[test]
fn a_genuine_digest_that_is_too_large_to_be_read_is_unverified() {
    let mut trail = defects::small_trail();
    let place = trail.chains[0].digests.iter().position(|digest| !digest.document.log_files.is_empty()).unwrap();
    trail.reissue(|index, document| {
        if index == place {
            document.log_files = document.log_files.iter().cycle().take(150_000).cloned().collect();
        }
    });
    let key = trail.chains[0].digests[place].key.clone();
    for run in [crate::support::verify_folder(&trail), crate::support::verify_s3(&trail)] {
        let record = run.of("digest").into_iter().find(|record| record["key"] == key).unwrap();
        assert_eq!((run.code, &record["status"], &record["fault"]), (3, &json!("unverified"), &json!("too_large")));
        assert_eq!(record["sha256"], trail.chains[0].digests[place].document.sha256());
        assert!(
            record["detail"].as_str().unwrap().contains("its hash is the one that its valid successor"),
            "{record}"
        );
    }
}

#[test]
fn json_that_is_nested_without_end_is_malformed_and_nothing_worse() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests[3].clone();
    let text = String::from_utf8(digest.document.to_json()).unwrap();
    let nested = format!("{{\"deep\":{}{},{}", "[".repeat(200_000), "]".repeat(200_000), &text[1..]);
    trail.replace(&digest.key, ctverify_testkit::gzip(nested.as_bytes()));
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let deep = format!("{{\"Metadata\":{}", "{\"a\":".repeat(10_000));
    let other = mirror.dir().join(format!("{}.metadata.json", trail.chains[0].digests[1].key));
    std::fs::write(other, deep).unwrap();
    let run = records(&mut mirror.command());
    let record = run.of("digest").into_iter().find(|record| record["status"] != "valid").unwrap();
    assert_eq!((run.code, &record["key"]), (1, &json!(digest.key)), "{}", run.stdout);
    assert!(["malformed", "predecessor_hash_mismatch"].contains(&record["fault"].as_str().unwrap()), "{record}");
    assert_eq!(run.of("warning")[0]["code"], "metadata_unreadable");
}

#[test]
fn a_name_that_no_object_can_have_is_not_asked_for() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
    let folder = digest.document.log_files[0].s3_object.rsplit_once('/').unwrap().0.to_owned();
    let long = format!("{folder}/{}", "x".repeat(4096));
    trail.forge_digest(&digest, &key, |document| document.log_files[0].s3_object = long.clone());
    for run in [crate::support::verify_folder(&trail), crate::support::verify_s3(&trail)] {
        let record = run.of("log_file").into_iter().find(|file| file["key"] == long).unwrap();
        assert_eq!((&record["status"], &record["fault"]), (&json!("unverified"), &json!("unsafe_name")));
        assert!(record["detail"].as_str().unwrap().contains("1024"), "{record}");
    }
}

#[test]
fn a_key_file_without_end_is_refused() {
    let mirror = Mirror::new(&defects::small_trail(), Layout::Keys, true);
    std::fs::write(mirror.keys(), vec![b' '; 20 << 20]).unwrap();
    let run = records(&mut mirror.command());
    assert!(run.code == 2 && run.stderr.contains("larger than"), "{}", run.stderr);
}

/// A small file system that is soon full. It is mounted if that is permitted, until it is dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(place: &'a Path, size: &str) -> Option<Self> {
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(place))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0).status().ok();
    }
}

#[test]
fn a_long_chain_is_judged_the_same_whether_or_not_there_is_room_for_temporary_files() {
    let spec = TrailSpec { hours: 60, busy_percent: 100, log_files: 300, events: 1, ..TrailSpec::default() };
    let mut trail = spec.forge();
    // The hashes alone exceed the 256 KiB that are kept in memory if a temporary file can be
    // written.
    let listed: usize = trail.chains[0].digests.iter().map(|digest| digest.document.log_files.len()).sum();
    assert!(listed * 32 > 300 << 10, "{listed}");
    let key = trail.chains[0].digests[7].document.log_files[11].s3_object.clone();
    trail.replace(&key, bomb(100));
    let digest = trail.chains[0].digests[9].key.clone();
    trail.remove(&digest);
    let folder = tempfile::tempdir().unwrap();
    let (roomy, small) = (folder.path().join("roomy"), folder.path().join("small"));
    std::fs::create_dir(&roomy).unwrap();
    std::fs::create_dir(&small).unwrap();
    let mounted = Mounted::new(&small, "16k");
    // With the signatures in metadata, and with those alone that successors recorded.
    let runs = [true, false].map(|metadata| {
        let mirror = Mirror::new(&trail, Layout::Keys, metadata);
        [roomy.as_path(), small.as_path(), Path::new("/nonexistent")]
            .map(|place| records(mirror.command().env("TMPDIR", place)))
    });
    let left = [&roomy, &small].map(|place| std::fs::read_dir(place).unwrap().count());
    drop(mounted);
    assert_eq!(left, [0, 0], "temporary files were left");
    for [roomy, small, none] in runs {
        let counts = ["modified", "intact"].map(|status| roomy.count("log_file", status));
        assert_eq!((roomy.code, counts[0], roomy.count("digest", "missing")), (1, 1, 1), "{}", roomy.stderr);
        assert!(counts[1] > 9_000 && roomy.findings().len() > 1, "{counts:?}");
        for other in [small, none] {
            assert_eq!(other.code, 1, "{}", other.stderr);
            for kind in ["digest", "log_file", "gap", "chain", "warning"] {
                assert_eq!(other.of(kind), roomy.of(kind));
            }
        }
    }
}
