//! Attacks that make a cut or broken trail pass for whole. Each of them worked once.

use ctverify_testkit::{
    Digest, DigestDocument, ForgedTrail, Layout, Server, ServerOptions, Stored, TrailSpec, defects, gzip,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{Mirror, Run, ctverify_at, organization_spec, range_of, records, run, verify_folder, verify_s3};

/// A trail of the last two days, whose newest digest was delivered more than half an hour ago.
fn living_trail() -> ForgedTrail {
    let start = Timestamp::now() - SignedDuration::from_hours(48);
    TrailSpec { start, hours: 46, ..TrailSpec::default() }.forge()
}

fn live(trail: &ForgedTrail, more: &[&str]) -> Run {
    let server = Server::start(trail, ServerOptions::default());
    records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "47h"]).args(more))
}

/// Puts a digest without a signature into the bucket, under the key for its end time.
fn plant(trail: &mut ForgedTrail, like: &Digest, end: &str, edit: impl FnOnce(&mut DigestDocument)) {
    let end: Timestamp = end.parse().unwrap();
    let compact = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let old: Timestamp = like.document.digest_end_time.parse().unwrap();
    let day = |time: Timestamp| time.strftime("/%Y/%m/%d/").to_string();
    let key = like.key.replace(&compact(old), &compact(end)).replace(&day(old), &day(end));
    let mut document = like.document.clone();
    document.digest_start_time = (end - SignedDuration::from_hours(1)).to_string();
    document.digest_end_time = end.to_string();
    document.digest_s3_object = key.clone();
    edit(&mut document);
    let stored = Stored { body: gzip(&document.to_json()).into(), metadata: Default::default(), last_modified: old };
    trail.objects.insert((trail.spec.bucket.clone(), key), stored);
}

#[test]
fn a_young_missing_predecessor_does_not_excuse_two_days() {
    // The newest digest ends within the hour; of those before it, only the first two are there.
    let start = Timestamp::now() - SignedDuration::from_hours(48);
    let mut trail = TrailSpec { start, hours: 48, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    for digest in &digests[2..digests.len() - 1] {
        trail.remove(&digest.key);
    }
    let run = live(&trail, &[]);
    assert_eq!((run.code, run.gaps()[0]), (1, "digests_missing"), "{}", run.stdout);
    assert!(run.of("gap")[0]["missing_digests"].as_u64().unwrap() > 35);
}

#[test]
fn a_planted_digest_of_the_future_does_not_excuse_a_cut_tail() {
    let mut trail = living_trail();
    let digests = trail.chains[0].digests.clone();
    for digest in &digests[10..] {
        trail.remove(&digest.key);
    }
    plant(&mut trail, &digests[5], "2099-01-01T10:00:00Z", |document| {
        document.previous_digest_s3_object = document
            .previous_digest_s3_object
            .take()
            .map(|key| key.replace(&key[key.len() - 24..], "20990101T090000Z.json.gz"));
    });
    let place = ["--bucket", "example-trail-logs"];
    let run = live(&trail, &place);
    assert_eq!((run.code, run.gaps()), (3, vec!["after_last_digest", "not_yet_delivered"]), "{}", run.stdout);
    assert_eq!(live(&trail, &[]).code, 1);
}

#[test]
fn another_chains_digests_cover_nothing_of_this_one() {
    let mut trail = TrailSpec { hours: 10, seed: 7, ..TrailSpec::default() }.forge();
    let own = trail.chains[0].digests.clone();
    let end = own.last().unwrap().document.digest_end_time.clone();
    let other = TrailSpec { name: "second-trail".into(), hours: 10, seed: 8, ..TrailSpec::default() }.forge();
    let newest = other.chains[0].digests.last().unwrap().clone();
    for digest in &own[4..] {
        trail.remove(&digest.key);
    }
    // The planted digest names the other trail's newest digest as its predecessor.
    let after = (end.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(1)).to_string();
    plant(&mut trail, &own[5], &after, |document| {
        document.previous_digest_s3_object = Some(newest.key.clone());
        document.previous_digest_hash_value = Some(newest.document.sha256());
        document.previous_digest_signature = Some(newest.signature.clone());
    });
    let arn = trail.spec.arn();
    trail.merge(other);
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(mirror.command().args(["--trail-arn", &arn, "--end", &end]));
    assert_ne!(run.code, 0, "{}", run.stdout);
    let foreign =
        run.of("digest").into_iter().filter(|digest| !digest["key"].as_str().unwrap().contains("management-events"));
    assert_eq!(foreign.count(), 0);
}

#[test]
fn a_copy_of_the_original_under_another_name_does_not_hide_that_it_was_overwritten() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let original = trail.object_mut(&key).clone();
    trail.replace(&key, gzip(b"{}"));
    trail.objects.insert((trail.spec.bucket.clone(), format!("{}/{key}", trail.spec.bucket)), original);
    let mirror = tempfile::tempdir().unwrap();
    for ((_, key), stored) in &trail.objects {
        let path = mirror.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &stored.body).unwrap();
    }
    std::fs::write(mirror.path().join("keys.json"), trail.keys_by_region().to_string()).unwrap();
    let keys = mirror.path().join("keys.json");
    let run = records(crate::support::ctverify().arg("--from").arg(mirror.path()).arg("--keys").arg(keys));
    assert_eq!((run.code, run.count("log_file", "modified")), (1, 1), "{}", run.stdout);
}

#[test]
fn a_copy_without_one_readable_digest_is_not_passed_over() {
    let mut trail = defects::small_trail();
    for digest in trail.chains[0].digests.clone() {
        trail.replace(&digest.key, &b"junk"[..]);
    }
    for layout in [Layout::Keys, Layout::Buckets, Layout::AwsLogs] {
        let run = records(&mut Mirror::new(&trail, layout, true).command());
        assert_eq!((run.code, run.count("digest", "invalid")), (1, trail.digest_count()), "{layout:?} {}", run.stderr);
    }
    let second = TrailSpec { bucket: "other".into(), name: "second-trail".into(), ..TrailSpec::default() };
    trail.merge(second.forge());
    let run = records(&mut Mirror::new(&trail, Layout::Buckets, true).command());
    assert_eq!((run.code, run.of("chain").len()), (1, 2), "{}", run.stdout);
}

#[test]
fn a_trail_that_was_cut_before_the_range_is_told_of_beside_one_that_lives_on() {
    let mut trail = TrailSpec { hours: 30, ..TrailSpec::default() }.forge();
    let mut cut = TrailSpec { name: "second-trail".into(), hours: 30, seed: 3, ..TrailSpec::default() }.forge();
    for digest in &cut.chains[0].digests.clone()[20..] {
        cut.remove(&digest.key);
    }
    trail.merge(cut);
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(mirror.command().args(["--start", "2026-03-01T23:00:00Z", "--end", "2026-03-02"]));
    assert_eq!((run.code, run.of("chain").len(), run.gaps()), (3, 2, vec!["after_last_digest"]), "{}", run.stdout);
}

#[test]
fn every_digest_of_the_home_region_removed_is_told_of_beside_another_region() {
    let spec = TrailSpec { regions: vec!["us-east-1".into(), "eu-west-1".into()], ..TrailSpec::default() };
    let mut trail = spec.forge();
    let home = trail.chains.iter().find(|chain| chain.region == "us-east-1").unwrap().clone();
    home.digests.iter().for_each(|digest| {
        trail.remove(&digest.key);
    });
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(mirror.command().args(["--trail-arn", &trail.spec.arn()]));
    assert_eq!((run.code, run.of("chain").len(), run.gaps()), (3, 2, vec!["no_digests"]), "{}", run.stdout);
}

#[test]
fn a_listed_file_that_is_gone_and_that_nobody_names_is_no_accusation() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let newest = &trail.chains[0].digests.last().unwrap().key;
    let dangling = mirror.dir().join(newest.replace("T062530Z", "T072530Z"));
    std::os::unix::fs::symlink("nowhere", dangling).unwrap();
    let run = records(&mut mirror.command());
    assert_eq!(
        (run.code, run.count("digest", "missing"), run.count("digest", "unverified")),
        (3, 0, 1),
        "{}",
        run.stdout
    );
}

#[test]
fn unsigned_digests_past_the_range_do_not_excuse_what_is_missing_at_its_end() {
    let mut trail = TrailSpec { hours: 12, seed: 7, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    let end = digests[4].document.digest_end_time.clone();
    trail.remove(&digests[4].key);
    trail.remove(&digests[5].key);
    for minute in 31..59 {
        plant(&mut trail, &digests[2], &format!("2026-03-01T05:{minute}:00Z"), |document| {
            document.previous_digest_s3_object = None;
        });
    }
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(mirror.command().args(["--end", &end]));
    assert_eq!((run.code, run.gaps()), (1, vec!["digests_missing"]), "{}", run.stdout);
}

#[test]
fn a_planted_first_digest_does_not_say_whose_a_copy_is_by_a_name_that_leads_out() {
    let mut trail = defects::small_trail();
    let victim = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    trail.replace(&victim, gzip(b"{}"));
    let first = trail.chains[0].digests[0].clone();
    let mut document = first.document.clone();
    document.digest_s3_bucket = "..".to_owned();
    document.digest_s3_object = first.key.replace("111122223333", "000000000000");
    let stored = Stored { body: gzip(&document.to_json()).into(), ..trail.object_mut(&first.key).clone() };
    trail.objects.insert((trail.spec.bucket.clone(), document.digest_s3_object), stored);
    let run = verify_folder(&trail);
    assert_eq!((run.code, run.count("log_file", "modified")), (1, 1), "{}", run.stdout);
}

#[test]
fn one_account_that_can_not_be_listed_hides_no_other_and_passes_for_none() {
    let trail = organization_spec().forge();
    let denied = vec!["org/trail/AWSLogs/o-exampleorgid/111122223333/CloudTrail-Digest/".to_owned()];
    let server = Server::start(&trail, ServerOptions { denied_prefixes: denied, ..ServerOptions::default() });
    let place = ["--bucket", "example-trail-logs", "--prefix", "org/trail"];
    let range = ["--start", "2026-03-01T00:00:00Z", "--end", "2026-03-01T03:00:00Z"];
    let run = records(ctverify_at(&server).args(place).args(range));
    assert_eq!((run.code, run.of("chain").len()), (3, 3), "{}{}", run.stdout, run.stderr);
    assert!(run.gaps().contains(&"listing_failed"));
}

#[test]
fn a_changed_signature_does_not_turn_what_came_before_it_into_missing_digests() {
    // The first digest in the new bucket, whose pointer leads to the old one, is proven by its
    // successor alone.
    let mut trail = crate::sources::remote::moved_trail();
    let first = trail.chains[0].digests[5].key.clone();
    trail.object_mut(&first).metadata.insert("signature".to_owned(), "00".repeat(256));
    let run = verify_s3(&trail);
    assert_eq!((run.code, run.gaps().len(), run.of("warning").len()), (0, 0, 1), "{}", run.stdout);
    assert_eq!(run.count("digest", "valid"), 10);
}

#[test]
fn a_terminal_is_not_spoken_to_by_error_messages() {
    let mut trail = defects::small_trail();
    trail.spec.bucket = "b\u{1b}[2J".to_owned();
    let trail = TrailSpec { bucket: "b\u{1b}[2J".to_owned(), ..trail.spec }.forge();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    std::fs::create_dir(mirror.dir().join("newer")).unwrap();
    std::fs::rename(mirror.dir().join("AWSLogs"), mirror.dir().join("newer/AWSLogs")).unwrap();
    trail.write(&mirror.dir().join("older"), Layout::Keys, true).unwrap();
    let run = run(&mut mirror.command());
    assert_eq!(run.code, 2);
    assert!(!run.stderr.contains('\u{1b}') && run.stderr.contains("\\u{1b}"), "{}", run.stderr);
}

#[test]
fn a_report_to_a_device_leaves_the_device() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    let run = run(mirror.command().args(["--report", &format!("jsonl={}", pipe.display())]));
    assert_eq!(run.code, 0);
    assert!(reader.join().unwrap().contains("\"record\":\"summary\""));
    use std::os::unix::fs::FileTypeExt as _;
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn a_trail_that_moved_is_followed_to_its_first_digest_without_a_start() {
    let trail = crate::sources::remote::moved_trail();
    let server = Server::start(&trail, ServerOptions::default());
    let all = &range_of(&trail)[..2];
    let end = trail.chains[0].digests.last().unwrap().document.digest_end_time.clone();
    let run = records(ctverify_at(&server).args(all).args(["--end", &end]));
    assert_eq!((run.code, run.count("digest", "valid")), (0, 10), "{}", run.stdout);
    assert_eq!(run.of("digest")[0]["bucket"], json!("old-bucket"));
}

#[test]
fn an_unsigned_digest_in_a_hole_does_not_excuse_the_hole() {
    let mut trail = TrailSpec { hours: 12, seed: 7, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    for digest in &digests[3..9] {
        trail.remove(&digest.key);
    }
    plant(&mut trail, &digests[2], "2026-03-01T08:20:00Z", |_| {});
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(mirror.command().args(["--end", "2026-03-01T08:25:00Z"]));
    assert_eq!((run.code, run.gaps()[0]), (1, "digests_missing"), "{}", run.stdout);
}

#[test]
fn a_young_late_digest_in_order_is_no_accusation() {
    // The late digest ended up to an hour ago, and its successor is there.
    let start = Timestamp::now() - SignedDuration::from_hours(30);
    for seed in 0..8 {
        let mut trail = TrailSpec { start, hours: 30, seed, ..TrailSpec::default() }.forge();
        let late = trail.chains[0].digests[29].key.clone();
        trail.remove(&late);
        let run = live(&trail, &["--bucket", "example-trail-logs", "--allow", "gap:before_first_digest"]);
        assert_eq!(run.code, 0, "{seed}: {}", run.stdout);
    }
}

#[test]
fn a_copy_in_a_folder_named_like_an_account_is_read() {
    let mut trail = TrailSpec { prefix: "111122223333".to_owned(), ..TrailSpec::default() }.forge();
    let victim = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    trail.replace(&victim, gzip(b"{}"));
    let run = verify_folder(&trail);
    assert_eq!((run.code, run.count("log_file", "modified")), (1, 1), "{}", run.stderr);
}

#[test]
fn planted_names_do_not_end_a_listing_early() {
    let mut trail = TrailSpec { hours: 200, log_files: 1, events: 1, seed: 7, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    let end = digests[150].document.digest_end_time.clone();
    for hour in 10..14 {
        plant(&mut trail, &digests[5], &format!("2099-01-01T{hour}:00:00Z"), |_| {});
        // Names of the far future, in the folder of an early day.
        let planted = trail.objects.keys().find(|(_, key)| key.contains("2099")).cloned().unwrap();
        let stored = trail.objects.remove(&planted).unwrap();
        let early = planted.1.replace("/2099/01/01/", "/2026/03/01/").replace("20990101", "20990102");
        trail.objects.insert((planted.0, early), stored);
    }
    let server = Server::start(&trail, ServerOptions { objects_a_page: Some(40), ..ServerOptions::default() });
    let range = ["--bucket", "example-trail-logs", "--start", &digests[0].document.digest_start_time, "--end", &end];
    let run = records(ctverify_at(&server).args(range));
    assert_eq!((run.count("digest", "valid"), run.gaps().len()), (151, 0), "{}", run.stderr);
}

#[test]
fn an_expired_backfill_predecessor_is_not_asked_about_without_a_start() {
    let mut trail = TrailSpec { hours: 40, backfill: vec![2, 30], ..TrailSpec::default() }.forge();
    let chain = trail.chains[0].clone();
    for digest in chain.digests[..20].iter().chain(&chain.backfill[..1]) {
        trail.remove(&digest.key);
    }
    let run = verify_folder(&trail);
    // The contract's "The beginning": the predecessor of the first standard digest is asked for,
    // and a copy does not show what became of it.
    assert_eq!(
        (run.code, run.count("digest", "missing"), run.gaps()),
        (3, 0, vec!["before_first_digest"]),
        "{}",
        run.stdout
    );
}

#[test]
fn a_trail_whose_digests_are_gone_for_months_is_told_of_beside_one_that_lives_on() {
    let spec = |name: &str| TrailSpec { name: name.to_owned(), hours: 110 * 24, log_files: 0, ..TrailSpec::default() };
    let mut trail = spec("living").forge();
    let other = spec("gappy").forge();
    // The first 75 days are removed: from the day before the range on, nothing is left for ten
    // weeks.
    let digests = other.chains[0].digests.clone();
    trail.merge(other);
    for digest in &digests[..75 * 24] {
        trail.remove(&digest.key);
    }
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(mirror.command().args(["--start", "2026-03-10", "--end", "2026-03-11"]));
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(
        run.of("gap").iter().any(|gap| gap["trail"] == "gappy" && gap["cause"] == "digests_missing"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_a_digest_says_of_itself_is_nobodys_word() {
    let mut trail = defects::small_trail();
    let newest = trail.chains[0].digests.last().unwrap().clone();
    let key = newest.key.clone();
    trail.edit_digest(&newest, |document| {
        document.previous_digest_s3_object = Some(key.clone());
        document.previous_digest_signature = Some("ab".repeat(256));
    });
    trail.object_mut(&key).metadata.clear();
    let run = verify_s3(&trail);
    let record = run.of("digest").into_iter().find(|digest| digest["key"] == json!(key)).unwrap();
    assert_eq!((&record["status"], &record["fault"]), (&json!("unverified"), &json!("signature_missing")), "{record}");
    assert!(!record["detail"].as_str().unwrap().contains("successor"), "{record}");
}

#[test]
fn digests_with_the_same_end_are_told_of_in_the_order_of_their_keys() {
    let mut trail = defects::small_trail();
    let like = trail.chains[0].digests[3].clone();
    let end: Timestamp = like.document.digest_end_time.parse().unwrap();
    let day = end.strftime("/%Y/%m/%d/").to_string();
    // Copies of the digest, in folders of days before and after its own.
    for folder in ["/2026/02/07/", "/2026/02/01/", "/2026/12/31/", "/2026/02/03/", "/2026/12/01/"] {
        let key = like.key.replace(&day, folder);
        let stored = trail.object_mut(&like.key).clone();
        trail.objects.insert((trail.spec.bucket.clone(), key), stored);
    }
    // The original is removed: its record, made because its successor names it, comes last then.
    trail.remove(&like.key);
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "2026-01-01"]));
    let digests = run.of("digest");
    let places: Vec<_> = digests.iter().map(|digest| (digest["end"].as_str(), digest["key"].as_str())).collect();
    assert!(places.is_sorted(), "{places:#?}");
    let same = like.document.digest_end_time.as_str();
    assert_eq!(places.iter().filter(|(end, _)| *end == Some(same)).count(), 6, "{places:#?}");
}
