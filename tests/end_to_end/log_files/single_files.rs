//! `ctverify file`: checks whether single log files are as AWS delivered them.

use std::io::Write;
use std::process::{Command, Stdio};

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, Stored, TrailSpec, defects, gzip};
use serde_json::json;

use crate::support::{Mirror, Run, ctverify, ctverify_at, records, run};

fn uri(trail: &ForgedTrail, key: &str) -> String {
    format!("s3://{}/{key}", trail.spec.bucket)
}

/// The first log file of the digest in the middle.
fn middle(trail: &ForgedTrail) -> String {
    trail.chains[0].digests[3].document.log_files[0].s3_object.clone()
}

fn over_s3(trail: &ForgedTrail, keys: &[&str]) -> (Run, Server) {
    let server = Server::start(trail, ServerOptions::default());
    let names: Vec<String> = keys.iter().map(|key| uri(trail, key)).collect();
    (records(ctverify_at(&server).arg("file").args(names)), server)
}

fn file_command(mirror: &Mirror) -> Command {
    let mut command = ctverify();
    command.arg("file").arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys());
    command
}

fn in_folder(trail: &ForgedTrail, key: &str) -> Run {
    let mirror = Mirror::new(trail, Layout::Keys, true);
    records(file_command(&mirror).arg(mirror.dir().join(key)))
}

#[test]
fn an_intact_file_is_verified_with_its_digest_and_the_links_beside_it() {
    let trail = defects::small_trail();
    let key = middle(&trail);
    let (remote, server) = over_s3(&trail, &[&key]);
    for found in [&remote, &in_folder(&trail, &key)] {
        assert_eq!((found.code, found.verdict(), found.of("log_file").len()), (0, "verified", 1), "{}", found.stdout);
        let file = found.of("log_file")[0];
        assert_eq!((&file["status"], &file["key"]), (&json!("intact"), &json!(key)));
        let digests: Vec<_> = found.of("digest").iter().map(|digest| digest["key"].clone()).collect();
        let near: Vec<_> = trail.chains[0].digests[2..=4].iter().map(|digest| json!(digest.key)).collect();
        assert_eq!(digests, near, "the one that lists it, and those before and after");
    }
    assert_eq!((server.calls("GetTrail"), server.calls("GetTrailStatus")), (0, 0));
}

#[test]
fn every_file_of_a_trail_is_verified_by_its_own_name() {
    let trail = TrailSpec { hours: 60, backfill: vec![9], ..TrailSpec::default() }.forge();
    let keys: Vec<String> = trail.chains[0]
        .all()
        .flat_map(|digest| &digest.document.log_files)
        .map(|file| file.s3_object.clone())
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (found, _server) = over_s3(&trail, &keys);
    assert_eq!((found.code, found.count("log_file", "intact")), (0, keys.len()), "{}", found.stdout);
}

#[test]
fn what_was_done_to_a_file_is_told() {
    let key = middle(&defects::small_trail());
    let mut edited = defects::small_trail();
    edited.replace(&key, gzip(b"{}"));
    let mut deleted = defects::small_trail();
    deleted.remove(&key);
    for (trail, status) in [(edited, "modified"), (deleted, "deleted")] {
        for found in [over_s3(&trail, &[&key]).0, in_folder(&trail, &key)] {
            assert_eq!((found.code, found.count("log_file", status)), (1, 1), "{}", found.stdout);
        }
    }
}

#[test]
fn a_defect_elsewhere_in_the_chain_is_not_this_files() {
    let mut trail = defects::small_trail();
    let far = trail.chains[0].digests[0].document.log_files[0].s3_object.clone();
    trail.replace(&far, gzip(b"{}"));
    trail.remove(&trail.chains[0].digests[1].key.clone());
    let key = trail.chains[0].digests[5].document.log_files[0].s3_object.clone();
    let (found, _server) = over_s3(&trail, &[&key]);
    assert_eq!((found.code, found.verdict()), (0, "verified"), "{}", found.stdout);
}

#[test]
fn a_broken_link_beside_its_digest_counts() {
    let mut trail = defects::small_trail();
    trail.remove(&trail.chains[0].digests[2].key.clone());
    let (found, _server) = over_s3(&trail, &[&middle(&trail)]);
    assert_eq!((found.code, found.count("digest", "missing")), (1, 1), "{}", found.stdout);
    let mut forged = defects::small_trail();
    let successor = forged.chains[0].digests[4].clone();
    forged.edit_digest(&successor, |document| document.log_files.clear());
    let (found, _server) = over_s3(&forged, &[&middle(&forged)]);
    assert_eq!((found.code, found.count("digest", "invalid")), (1, 1), "{}", found.stdout);
}

#[test]
fn a_file_that_no_digest_lists_is_unlisted_where_digests_cover_its_time() {
    let mut trail = defects::small_trail();
    let plant = |trail: &mut ForgedTrail, day: &str, minute: &str| {
        let file = format!("111122223333_CloudTrail_us-east-1_{minute}_PlantedPlanted01.json.gz");
        let key = format!("AWSLogs/111122223333/CloudTrail/us-east-1/{day}/{file}");
        let last_modified = "2026-03-01T03:00:00Z".parse().unwrap();
        let stored = Stored { body: gzip(b"{}").into(), metadata: Default::default(), last_modified };
        trail.objects.insert((trail.spec.bucket.clone(), key.clone()), stored);
        key
    };
    let inside = plant(&mut trail, "2026/03/01", "20260301T0220Z");
    let outside = plant(&mut trail, "2026/03/09", "20260309T0220Z");
    for (key, status) in [(&inside, "unlisted"), (&outside, "unverified")] {
        let (found, _server) = over_s3(&trail, &[key]);
        assert_eq!((found.code, found.count("log_file", status)), (3, 1), "{}", found.stdout);
        assert_eq!(found.of("log_file")[0]["fault"], "not_listed");
    }
    let nowhere = inside.replace("Planted01", "Planted99");
    let (found, _server) = over_s3(&trail, &[&nowhere]);
    let file = found.of("log_file")[0];
    assert_eq!((found.code, &file["status"], &file["fault"]), (3, &json!("unverified"), &json!("not_found")));
}

#[test]
fn several_names_come_from_arguments_and_standard_input() {
    let mut trail = TrailSpec { hours: 100, busy_percent: 100, ..TrailSpec::default() }.forge();
    let keys: Vec<String> =
        [3, 50, 90].iter().map(|at| trail.chains[0].digests[*at].document.log_files[0].s3_object.clone()).collect();
    trail.replace(&keys[1], gzip(b"{}"));
    let server = Server::start(&trail, ServerOptions::default());
    let mut child = ctverify_at(&server)
        .args(["file", "-", &uri(&trail, &keys[0]), "--format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let list = format!("{}\n\n{}\n", uri(&trail, &keys[1]), uri(&trail, &keys[2]));
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let records: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files: Vec<_> = records.iter().filter(|record| record["record"] == "log_file").collect();
    let told: Vec<_> =
        files.iter().map(|file| (file["key"].as_str().unwrap(), file["status"].as_str().unwrap())).collect();
    let expected = [(keys[0].as_str(), "intact"), (keys[1].as_str(), "modified"), (keys[2].as_str(), "intact")];
    assert_eq!((output.status.code(), told), (Some(1), expected.to_vec()), "{text}");
    // Days between them are not read.
    let read = server.calls("GetObject");
    assert!(read < 90 + 3, "{read}");
}

#[test]
fn names_that_are_no_log_files_are_refused_with_the_reason() {
    let trail = defects::small_trail();
    let server = Server::start(&trail, ServerOptions::default());
    let digest = uri(&trail, &trail.chains[0].digests[0].key);
    for (name, reason) in [
        ("AWSLogs/x.json.gz", "s3://BUCKET/KEY"),
        ("s3://", "s3://BUCKET/KEY"),
        ("s3://bucket/some/object.gz", "is not the name of a log file"),
        (digest.as_str(), "is a digest file"),
    ] {
        let refused = run(ctverify_at(&server).args(["file", name]));
        assert!(refused.code == 2 && refused.stderr.contains(reason), "{name}: {}", refused.stderr);
    }
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let outside = run(file_command(&mirror).arg("/etc/hostname"));
    assert!(outside.code == 2 && outside.stderr.contains("does not lie in"), "{}", outside.stderr);
}

#[test]
fn a_replica_is_asked_under_its_own_name() {
    let mut trail = defects::small_trail();
    let objects = std::mem::take(&mut trail.objects);
    trail.objects = objects.into_iter().map(|((_, key), stored)| (("replica".to_owned(), key), stored)).collect();
    let server = Server::start(&trail, ServerOptions::default());
    let name = format!("s3://replica/{}", middle(&trail));
    let found = records(ctverify_at(&server).args(["file", &name, "--recorded-bucket", "example-trail-logs"]));
    assert_eq!((found.code, found.count("log_file", "intact")), (0, 1), "{}", found.stdout);
    let moved = records(ctverify_at(&server).args(["file", &name]));
    assert_ne!(moved.code, 0, "{}", moved.stdout);
}

#[test]
fn a_digest_that_was_destroyed_is_told_of() {
    let key = middle(&defects::small_trail());
    let digest = defects::small_trail().chains[0].digests[3].clone();
    let mut garbage = defects::small_trail();
    garbage.replace(&digest.key, gzip(b"{}"));
    let mut edited = defects::small_trail();
    edited.edit_digest(&digest, |document| document.log_files.clear());
    let mut deleted = defects::small_trail();
    deleted.remove(&digest.key);
    for (trail, status) in [(garbage, "invalid"), (edited, "invalid"), (deleted, "missing")] {
        let (found, _server) = over_s3(&trail, &[&key]);
        assert_eq!((found.code, found.count("digest", status)), (1, 1), "{status} {}", found.stdout);
    }
}

#[test]
fn a_digest_after_it_that_is_gone_is_told_of() {
    let mut trail = defects::small_trail();
    trail.remove(&trail.chains[0].digests[4].key.clone());
    let (found, _server) = over_s3(&trail, &[&middle(&trail)]);
    assert_eq!((found.code, found.count("digest", "missing")), (1, 1), "{}", found.stdout);
}

#[test]
fn a_planted_claim_does_not_stand_before_a_valid_listing() {
    let mut trail = defects::small_trail();
    let key = middle(&trail);
    trail.replace(&key, gzip(b"{}"));
    let claim = TrailSpec { name: "aaa".into(), ..trail.spec.clone() }.forge();
    let digest = claim.chains[0].digests[3].clone();
    let mut document = digest.document.clone();
    document.log_files[0].s3_object = key.clone();
    let mut stored = claim.objects[&(claim.spec.bucket.clone(), digest.key.clone())].clone();
    stored.body = gzip(&document.to_json()).into();
    stored.metadata.clear();
    trail.objects.insert((claim.spec.bucket.clone(), digest.key), stored);
    let (found, _server) = over_s3(&trail, &[&key]);
    assert_eq!((found.code, found.count("log_file", "modified")), (1, 1), "{}", found.stdout);
}

#[test]
fn a_link_to_another_file_is_judged_under_its_own_name() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let (key, other) = (middle(&trail), trail.chains[0].digests[5].document.log_files[0].s3_object.clone());
    let path = mirror.dir().join(&key);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(mirror.dir().join(other), &path).unwrap();
    let found = records(file_command(&mirror).arg(&path));
    assert_eq!(
        (found.of("log_file")[0]["key"].as_str(), found.code != 0),
        (Some(key.as_str()), true),
        "{}",
        found.stdout
    );
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let gone = records(file_command(&mirror).arg(&path));
    assert_eq!((gone.code, gone.count("log_file", "deleted")), (1, 1), "{}", gone.stdout);
}

#[test]
fn a_run_that_can_not_be_made_says_so() {
    let trail = defects::small_trail();
    let name = uri(&trail, &middle(&trail));
    let denied_prefixes = vec![String::new()];
    let server = Server::start(&trail, ServerOptions { denied_prefixes, ..ServerOptions::default() });
    let denied = run(ctverify_at(&server).args(["file", &name]));
    assert!(denied.code == 4 && denied.stderr.contains("s3:ListBucket"), "{}", denied.stderr);
    let nowhere = run(ctverify_at(&server).args(["file", &name.replace("example-trail-logs", "no-such-bucket")]));
    assert!(nowhere.code == 4 && nowhere.stderr.contains("no-such-bucket"), "{}", nowhere.stderr);
}

/// Issue 16, point 9: the report names what it was asked about, and does not contradict itself.
#[test]
fn the_report_on_a_file_names_it_with_its_hash_and_digest() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let digest = &trail.chains[0].digests[3];
    let listed = &digest.document.log_files[0];
    let text = run(file_command(&mirror).arg(mirror.dir().join(&listed.s3_object))).stdout;
    let hash = format!("SHA-256          {} of the uncompressed content", listed.hash_value);
    for shown in [&*listed.s3_object, &*hash, &*digest.key, "asked   1 log file"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    // Saved records say the same.
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("records.jsonl");
    let report = format!("jsonl={}", saved.display());
    run(file_command(&mirror).arg(mirror.dir().join(&listed.s3_object)).args(["--report", &report]));
    let again = run(ctverify().arg("report").arg(&saved)).stdout;
    assert!(again.contains("asked   1 log file") && again.contains(&hash), "{again}");
}

/// Issue 16, point 9.
#[test]
fn the_report_on_an_unlisted_file_shows_the_digests_that_cover_its_time() {
    let trail = defects::small_trail();
    let listed = middle(&trail);
    let at = listed.find("Z_").unwrap();
    let planted = format!("{}Z_AAAAAAAAAAAAAAAA.json.gz", &listed[..at]);
    let mut with = trail.clone();
    let stored = with.object_mut(&listed).clone();
    with.objects.insert((trail.spec.bucket.clone(), planted.clone()), stored);
    for found in [over_s3(&with, &[&planted]).0, in_folder(&with, &planted)] {
        assert_eq!((found.code, found.count("log_file", "unlisted")), (3, 1), "{}", found.stdout);
        assert!(found.count("digest", "valid") > 0, "{}", found.stdout);
        let chain = found.of("chain")[0];
        assert_eq!(chain["covered_seconds"], chain["requested_seconds"]);
        assert!(chain["to"].as_str().unwrap().starts_with("2026-03-01"), "{chain}");
    }
    let mirror = Mirror::new(&with, Layout::Keys, true);
    let text = run(file_command(&mirror).arg(mirror.dir().join(&planted))).stdout;
    assert!(!text.contains("no digest was proven valid") && text.contains("valid digests cover its time"), "{text}");
    // Without the digest of its hour, nothing covers it: the time is that of the file, all the same.
    with.remove(&trail.chains[0].digests[3].key);
    let found = in_folder(&with, &planted);
    let chain = found.of("chain")[0];
    assert!(chain["from"].as_str().unwrap().starts_with("2026-03-01"), "{chain}");
    assert_eq!(chain["covered_seconds"], 0, "{chain}");
}
