//! The cost of a few hostile objects: memory, time, requests to others' buckets, a runner of jobs,
//! a bag.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use ctverify_testkit::{Digest, ForgedTrail, Layout, Server, ServerOptions, Stored, TrailSpec, defects, gzip};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{Mirror, Run, ctverify, ctverify_at, range_of, records, run, verify_folder, watched};

/// A digest's key for another end time.
fn key_at(like: &Digest, end: Timestamp) -> String {
    let old: Timestamp = like.document.digest_end_time.parse().unwrap();
    let compact = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = |time: Timestamp| time.strftime("/%Y/%m/%d/").to_string();
    like.key.replace(&compact(old), &compact(end)).replace(&day(old), &day(end))
}

fn put(trail: &mut ForgedTrail, key: String, body: bytes::Bytes) {
    let stored = Stored { body, metadata: Default::default(), last_modified: Timestamp::UNIX_EPOCH };
    trail.objects.insert((trail.spec.bucket.clone(), key), stored);
}

/// Issue: "Memory": an unsigned digest of 97 kB with half a million entries cost 97 MB, and twelve
/// of them 1.27 GB.
#[test]
fn planted_digests_of_half_a_million_entries_take_little_memory() {
    let count = 16;
    let mut trail = TrailSpec { hours: 30, ..TrailSpec::default() }.forge();
    let like = trail.chains[0].digests[3].clone();
    let mut document =
        serde_json::to_value(serde_json::from_slice::<serde_json::Value>(&like.document.to_json()).unwrap()).unwrap();
    document["logFiles"] = json!([]);
    let text = document.to_string();
    let entry = "{\"s3Bucket\":\"\",\"s3Object\":\"\",\"hashValue\":\"\",\"hashAlgorithm\":\"\"}";
    let entries = vec![entry; 515_000].join(",");
    let body: bytes::Bytes =
        gzip(text.replace("\"logFiles\":[]", &format!("\"logFiles\":[{entries}]")).as_bytes()).into();
    assert!(body.len() < 300_000, "{}", body.len());
    let end: Timestamp = like.document.digest_end_time.parse().unwrap();
    for second in 1..=count {
        put(&mut trail, key_at(&like, end + SignedDuration::from_secs(second)), body.clone());
    }
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let (Run { code, .. }, peak) = watched(mirror.command().args(["--format", "jsonl"]));
    let peak = peak.resident;
    assert!(code == 1 && peak < 96 * 1024, "exit {code}, {peak} KiB for {count} digests");
    crate::support::figure("hostile", &format!("{count} planted digests of 515,000 entries: {peak} KiB"));
}

/// Issue: "Time": unsigned digests that name each other cost a round and all signatures again each.
#[test]
fn planted_digests_that_name_each_other_take_time_in_proportion() {
    let all = std::env::var_os("CTVERIFY_TEST_ALL").is_some();
    let mut trail = TrailSpec { hours: 30, ..TrailSpec::default() }.forge();
    let like = trail.chains[0].digests[20].clone();
    let end: Timestamp = like.document.digest_end_time.parse().unwrap();
    // Each digest names one that is not listed, since it lies in another day's folder.
    let count = if all { 10_000 } else { 1_000 };
    let mut previous = like.clone();
    for second in 1..=count {
        let key = key_at(&like, end - SignedDuration::from_secs(second)).replace("/2026/03/01/", "/2026/01/01/");
        let mut document = previous.document.clone();
        document.previous_digest_s3_object = Some(key.clone());
        put(&mut trail, previous.key.clone(), gzip(&document.to_json()).into());
        document.digest_s3_object = key.clone();
        document.digest_end_time = (end - SignedDuration::from_secs(second)).to_string();
        document.digest_start_time = (end - SignedDuration::from_secs(second + 3600)).to_string();
        previous = Digest { key, document, signature: String::new() };
    }
    put(&mut trail, previous.key.clone(), gzip(&previous.document.to_json()).into());
    let start = like.document.digest_start_time.clone();
    let server = Server::start(&trail, ServerOptions::default());
    let begun = Instant::now();
    let place = ["--bucket", "example-trail-logs", "--start", &start, "--format", "jsonl"];
    let (Run { code, .. }, _) = watched(ctverify_at(&server).args(place));
    let took = begun.elapsed();
    // Not a measurement, only a bound: this took half an hour before.
    assert!(code != 0 && took < Duration::from_secs(60), "{took:?} for {count}, exit {code}");
    assert!(server.calls("GetObject") < 400, "{} of {count} were followed", server.calls("GetObject"));
}

/// Issue: each chain of a folder listed and judged all others, in search of the trail that lists a
/// stray file.
#[test]
fn planted_digests_of_many_trails_cost_listings_in_proportion() {
    let pages = |count: usize| {
        let mut trail = defects::small_trail();
        let like = trail.chains[0].digests[3].clone();
        let body = trail.object_mut(&like.key).body.clone();
        for index in 0..count {
            put(&mut trail, like.key.replace("management-events", &format!("planted-{index:04}")), body.clone());
        }
        let file = "111122223333_CloudTrail_us-east-1_20260301T0300Z_PlantedPlanted01.json.gz";
        let stray = format!("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/{file}");
        put(&mut trail, stray, gzip(b"{}").into());
        let options = ServerOptions { objects_a_page: Some(20), ..ServerOptions::default() };
        let server = Server::start(&trail, options);
        let start = like.document.digest_start_time.as_str();
        let place = ["--bucket", "example-trail-logs", "--start", start, "--end", "2026-03-01T06:00:00Z"];
        let run = records(ctverify_at(&server).args(place));
        assert_eq!((run.code, run.count("digest", "invalid")), (1, count), "{}", run.stderr);
        server.calls("ListObjectsV2")
    };
    let (few, many) = (pages(60), pages(240));
    assert!(many < 5 * few, "{few} pages for 60 trails, {many} for 240");
}

/// Found by an attack: a planted digest of another trail that lists genuine files made each of them
/// `unverified`, too.
#[test]
fn what_a_planted_digest_of_another_trail_lists_is_told_where_a_valid_one_lists_it() {
    let mut trail = defects::small_trail();
    let like = trail.chains[0].digests.iter().find(|digest| !digest.document.log_files.is_empty()).unwrap().clone();
    for name in ["aaa", "zzz"] {
        let key = like.key.replace("management-events", name);
        let mut document = like.document.clone();
        document.digest_s3_object.clone_from(&key);
        // An entry that no valid digest lists is reported.
        let mut odd = document.log_files[0].clone();
        odd.s3_object = format!("{name}.json.gz");
        document.log_files.push(odd);
        put(&mut trail, key, gzip(&document.to_json()).into());
    }
    let whole = crate::support::verify_folder(&defects::small_trail()).count("log_file", "intact");
    let server = Server::start(&trail, ServerOptions::default());
    let range = ["--start", "2026-03-01T00:00:00Z", "--end", "2026-03-01T06:00:00Z"];
    let live = records(ctverify_at(&server).args(["--bucket", "example-trail-logs"]).args(range));
    for run in [crate::support::verify_folder(&trail), live] {
        assert_eq!((run.code, run.count("digest", "unverified")), (3, 2), "{}", run.stdout);
        let claims = run.of("log_file").into_iter().filter(|file| file["status"] == "unverified");
        let claims: Vec<&str> = claims.map(|file| file["key"].as_str().unwrap()).collect();
        assert_eq!(claims, ["aaa.json.gz", "zzz.json.gz"], "{}", run.stdout);
        assert!(run.count("log_file", "intact") <= whole, "{}", run.stdout);
    }
}

/// Issue: "Pointers of unproven digests" made ctverify list any bucket that they name.
#[test]
fn what_an_unproven_digest_names_in_another_bucket_is_not_asked_for() {
    let start = Timestamp::now() - SignedDuration::from_hours(10);
    let mut trail = TrailSpec { start, hours: 8, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    for digest in &digests[6..] {
        trail.remove(&digest.key);
    }
    let unsigned = |trail: &mut ForgedTrail, bucket: &str| {
        let mut document = digests[4].document.clone();
        document.previous_digest_s3_bucket = Some(bucket.to_owned());
        trail.replace(&digests[4].key, gzip(&document.to_json()));
        trail.object_mut(&digests[4].key).metadata.clear();
    };
    let verify = |trail: &ForgedTrail| {
        let server = Server::start(trail, ServerOptions::default());
        let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "9h"]));
        (run, server)
    };
    // Without its successor, which recorded its signature, nothing proves the digest.
    trail.remove(&digests[5].key);
    for bucket in ["attackers-bucket", "arn:aws:s3:us-east-1:444455556666:accesspoint/evil", "../evil"] {
        unsigned(&mut trail, bucket);
        let (run, server) = verify(&trail);
        assert_eq!((run.code, &run.of("chain")[0]["fault"]), (1, &json!("tail_cut")), "{bucket} {}", run.stdout);
        let asked = server.buckets_asked();
        assert!(asked.iter().all(|asked| asked == "example-trail-logs"), "{asked:?}");
    }
}

/// Issue: "Region folders `cn-evil-9` made it try `amazonaws.com.cn`".
#[test]
fn a_region_of_another_partition_is_not_asked() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests[2].clone();
    let key = digest.key.replace("us-east-1/2026", "cn-evil-9/2026").replace("Digest_us-east-1", "Digest_cn-evil-9");
    let body = trail.object_mut(&digest.key).body.clone();
    put(&mut trail, key, body);
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(range_of(&trail)));
    let told = run.of("warning").into_iter().any(|warning| warning["detail"].as_str().unwrap().contains("aws-cn"));
    assert!(run.code == 1 && told, "{}", run.stdout);
    assert_eq!(server.calls("ListPublicKeys:cn-evil-9"), 0);
}

/// Issue: "Workflow commands": `##[add-mask]…` in a key was printed as it stands.
#[test]
fn names_are_no_commands_to_a_runner_of_jobs() {
    let mut trail = defects::small_trail();
    for name in ["##[add-mask]secret", "##[stop-commands]x", "##vso[task.setvariable]x", "::error::x"] {
        put(&mut trail, format!("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/{name}"), gzip(b"{}").into());
    }
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    for format in ["text", "jsonl", "json"] {
        let mut command = mirror.command();
        let run = run(command.env("GITHUB_ACTIONS", "true").args(["--verbose", "--format", format]));
        assert!(run.code == 3 && run.stdout.contains("add-mask"), "{format} {}", run.stderr);
        for out in [&run.stdout, &run.stderr] {
            assert!(!out.contains("##"), "{format} {out}");
        }
    }
    // Parsing the JSON gives the name as it is.
    let parsed = records(mirror.command().env("GITHUB_ACTIONS", "true"));
    assert!(parsed.of("log_file").iter().any(|file| file["key"].as_str().unwrap().ends_with("/##[add-mask]secret")));
}

/// Issue: "collect is blocked for good by one key".
#[test]
fn keys_that_no_folder_can_hold_do_not_block_a_collection() {
    let mut trail = defects::small_trail();
    let day = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01";
    let long = format!("{day}/{}.json.gz", "x".repeat(300));
    let file = format!("{day}/both");
    for key in [long.clone(), file.clone(), format!("{file}/below.json.gz")] {
        put(&mut trail, key, gzip(b"{}").into());
    }
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    let collected = run(ctverify_at(&server).arg("collect").args(range_of(&trail)).arg("--output").arg(&bag));
    assert_eq!(collected.code, 3, "{}{}", collected.stdout, collected.stderr);
    let mut lines = String::new();
    for entry in fs::read_dir(bag.join("data/not-collected")).unwrap() {
        lines += &fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    assert!(lines.contains(&long) && lines.contains("its name can't be that of a file"), "{lines}");
    assert_eq!(lines.lines().count(), 2, "one of the two that need the same name is there: {lines}");
    let verified = records(ctverify().arg("--from").arg(&bag));
    assert_eq!(
        (verified.code, verified.count("log_file", "intact")),
        (3, trail.log_file_count()),
        "{}",
        verified.stderr
    );
}

/// Issue: "Bags": a sparse manifest of 3 GiB took 14.5 GB, and a FIFO as `custody.jsonl` hung.
#[test]
fn a_hostile_bag_is_refused_in_little_memory_and_time() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let bag = |name: &str| {
        let bag = folder.path().join(name);
        let mut command = ctverify();
        command.arg("collect").arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys());
        assert_eq!(run(command.arg("--output").arg(&bag)).code, 0);
        bag
    };
    let sparse = bag("sparse");
    fs::File::options().write(true).open(sparse.join("manifest-sha256.txt")).unwrap().set_len(3 << 30).unwrap();
    let (Run { code, .. }, peak) = watched(ctverify().arg("--from").arg(&sparse));
    let peak = peak.resident;
    assert!(code != 0 && peak < 64 * 1024, "exit {code}, {peak} KiB");
    let piped = bag("piped");
    fs::remove_file(piped.join("custody.jsonl")).unwrap();
    assert!(Command::new("mkfifo").arg(piped.join("custody.jsonl")).status().unwrap().success());
    let begun = Instant::now();
    let (Run { code, .. }, _) = watched(ctverify().arg("--from").arg(&piped));
    assert!(code != 0 && begun.elapsed() < Duration::from_secs(20), "exit {code}");
}

/// Issue: "Reports and checkpoints are written through symbolic links in shared folders".
#[test]
#[cfg(unix)]
fn a_link_of_another_user_is_not_written_through() {
    use std::os::unix::fs::MetadataExt;
    let mirror = Mirror::new(&defects::small_trail(), Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let link = folder.path().join("report.jsonl");
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    // Only root can give a link away.
    let given = std::os::unix::fs::lchown(&link, Some(12345), None).is_ok();
    for flags in [vec!["--report", "jsonl="], vec!["--state", ""]] {
        let argument = format!("{}{}", flags[1], link.display());
        let run = run(mirror.command().args([flags[0], &argument]));
        let kept = fs::read_to_string(&victim).unwrap() == "precious";
        let owner = link.symlink_metadata().unwrap().uid();
        assert_eq!((run.code == 4, kept), (given, given), "{owner} {}", run.stderr);
        fs::write(&victim, "precious").unwrap();
    }
}

/// Issue: "Backfill generation time is not compared with the digest's end: an old key makes a
/// digest of today `valid`".
#[test]
fn a_backfill_digest_can_not_choose_the_time_of_its_key() {
    let spec = TrailSpec { hours: 8, backfill: vec![3], ..TrailSpec::default() };
    let trail = spec.forge();
    let digest = trail.chains[0].backfill[0].clone();
    let with = |generated: &str| {
        let mut trail = trail.clone();
        let stored = trail.object_mut(&digest.key);
        stored.metadata.insert("backfill-generation-timestamp".to_owned(), generated.to_owned());
        trail
    };
    assert_eq!(verify_folder(&trail).code, 0);
    let early = with("2026-01-01T00:00:00Z");
    for run in [verify_folder(&early), crate::support::verify_s3(&early)] {
        let found = run.of("digest").into_iter().find(|digest| digest["kind"] == "backfill").unwrap().clone();
        assert_eq!((run.code, &found["fault"]), (1, &json!("malformed")), "{}", run.stdout);
    }
    // A backfill digest that claims to have been generated after S3 stored it.
    let run = crate::support::verify_s3(&with("2026-03-09T00:00:00Z"));
    let found = run.of("digest").into_iter().find(|digest| digest["kind"] == "backfill").unwrap().clone();
    assert_eq!((run.code, &found["fault"]), (1, &json!("malformed")), "{}", run.stdout);
}
