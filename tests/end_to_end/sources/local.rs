//! Local copies: their layouts, what they lack, and attempts to lead out of the folder.

use std::fs;
use std::path::PathBuf;

use ctverify_testkit::{Chain, ForgedTrail, Layout, TrailSpec, defects};
use serde_json::{Value, json};

use crate::support::{Mirror, Run, ctverify, organization_spec, records, run, verify_folder};

fn digest_file(mirror: &Mirror, chain: &Chain, index: usize) -> PathBuf {
    mirror.dir().join(&chain.digests[index].key)
}

#[test]
fn every_layout_gives_the_same_records() {
    for spec in [TrailSpec::default(), organization_spec()] {
        let trail = spec.forge();
        let expected = verify_folder(&trail);
        assert_eq!(expected.code, 0, "{}", expected.stdout);
        assert_eq!(expected.of("digest").len(), trail.digest_count());
        assert_eq!(expected.of("log_file").len(), trail.log_file_count());
        for layout in [Layout::Buckets, Layout::WithoutPrefix, Layout::AwsLogs] {
            let found = records(&mut Mirror::new(&trail, layout, true).command());
            assert_eq!(found.findings(), expected.findings(), "{layout:?}");
        }
    }
}

#[test]
fn chains_come_in_the_promised_order() {
    let run = verify_folder(&organization_spec().forge());
    let text = |record: &Value, field: &str| record[field].as_str().unwrap().to_owned();
    let chains: Vec<_> = run.of("chain").iter().map(|c| (text(c, "account"), text(c, "region"))).collect();
    assert_eq!(chains.len(), 4);
    assert!(chains.is_sorted(), "{chains:?}");
    let ends: Vec<_> =
        run.of("digest").iter().map(|d| (text(d, "account"), text(d, "region"), text(d, "end"))).collect();
    assert!(ends.is_sorted(), "{ends:?}");
    for log_file in run.of("log_file") {
        assert_eq!(log_file["organization"], "o-exampleorgid");
    }
}

#[test]
fn without_metadata_every_digest_but_the_newest_verifies() {
    let mut trail = organization_spec().forge();
    trail.strip_metadata();
    let run = records(&mut Mirror::new(&trail, Layout::Keys, false).command());
    let chains = trail.chains.len();
    assert_eq!((run.code, run.count("digest", "valid")), (3, trail.digest_count() - chains));
    assert_eq!(run.count("digest", "unverified"), chains);
    for digest in run.of("digest") {
        let expected = if digest["status"] == "valid" { json!("successor") } else { Value::Null };
        assert_eq!(digest["signature_from"], expected);
    }
    assert!(run.of("warning").is_empty());
}

#[test]
fn a_metadata_file_that_is_none_is_told_and_the_successor_asked() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let beside = format!("{}.metadata.json", digest_file(&mirror, &trail.chains[0], 2).display());
    fs::write(beside, "<html>").unwrap();
    let run = records(&mut mirror.command());
    assert_eq!(run.code, 0);
    assert_eq!(run.of("digest")[2]["signature_from"], "successor");
    assert_eq!(run.of("warning")[0]["code"], "metadata_unreadable");
}

#[test]
fn keys_that_are_nobodys_prove_and_do_not_accuse() {
    let apply = |name: &str| {
        let mut trail = defects::small_trail();
        (defects::ALL.iter().find(|defect| defect.name == name).unwrap().apply)(&mut trail);
        let mirror = Mirror::new(&trail, Layout::Keys, true);
        mirror.write_keys(&trail.keys_flat());
        records(&mut mirror.command())
    };
    assert_eq!(apply("clean").code, 0);
    assert_eq!(apply("log-modified").code, 1);
    // A valid successor proves an edit, whichever keys the successor was proven with.
    assert_eq!(apply("digest-edited").code, 1);
    for name in ["newest-digest-foreign-key", "newest-digest-borrowed-fingerprint"] {
        let run = apply(name);
        assert_eq!((run.code, run.count("digest", "unverified")), (3, 1), "{name}");
    }
}

#[test]
fn keys_of_another_region_or_time_leave_digests_unverified() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let keys = trail.keys_by_region();
    mirror.write_keys(&json!({ "eu-west-1": keys["us-east-1"] }));
    let run = records(&mut mirror.command());
    assert_eq!((run.code, run.count("digest", "unverified")), (3, trail.digest_count()));
    assert_eq!(run.of("digest")[0]["fault"], "key_unknown");

    let mut old = keys.clone();
    for key in old["us-east-1"]["PublicKeyList"].as_array_mut().unwrap() {
        key["ValidityStartTime"] = json!(1_436_317_441.0);
        key["ValidityEndTime"] = json!(1_438_909_441.0);
    }
    mirror.write_keys(&old);
    let run = records(&mut mirror.command());
    assert_eq!((run.code, run.count("digest", "unverified")), (3, trail.digest_count()));
    assert_eq!(run.of("digest")[0]["fault"], "key_not_valid_then");
}

#[test]
fn a_key_outside_its_window_is_an_accusation_where_another_covers_the_time() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let foreign = ctverify_testkit::TestKey::number(8);
    trail.forge_digest(&digest, &foreign, |document| {
        document.digest_public_key_fingerprint = foreign.fingerprint.clone();
    });
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let mut keys = trail.keys_by_region();
    let published = ctverify_testkit::PublishedKey {
        key: foreign,
        valid_from: "2020-01-01T00:00:00Z".parse().unwrap(),
        valid_to: "2020-02-01T00:00:00Z".parse().unwrap(),
    };
    keys["us-east-1"]["PublicKeyList"].as_array_mut().unwrap().push(published.json());
    mirror.write_keys(&keys);
    let run = records(&mut mirror.command());
    let newest = run.of("digest").pop().unwrap().clone();
    assert_eq!((run.code, &newest["status"], &newest["fault"]), (1, &json!("invalid"), &json!("key_not_valid_then")));
}

#[test]
fn the_successors_signature_speaks_even_where_the_successor_is_not_proven() {
    let mut trail = defects::small_trail();
    let digests = trail.chains[0].digests.clone();
    // The last but one lost its signature, and the newest, which recorded it, is not proven itself.
    trail.strip_metadata();
    let run = records(&mut Mirror::new(&trail, Layout::Keys, false).command());
    let statuses: Vec<&Value> = run.of("digest").iter().map(|digest| &digest["status"]).collect();
    assert_eq!(statuses[digests.len() - 2..], [&json!("valid"), &json!("unverified")]);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_out_of_the_folder_is_not_followed() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let log_file = mirror.dir().join(&trail.chains[0].digests[3].document.log_files[0].s3_object);
    let outside = mirror.dir().parent().unwrap().join("outside.json.gz");
    fs::rename(&log_file, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &log_file).unwrap();
    let run = records(&mut mirror.command());
    let odd: Vec<_> = run.of("log_file").into_iter().filter(|file| file["status"] != "intact").collect();
    assert_eq!((run.code, odd.len()), (3, 1));
    assert_eq!((&odd[0]["status"], &odd[0]["fault"]), (&json!("unverified"), &json!("unsafe_name")));

    // Within the folder a link is as good as the file.
    fs::remove_file(&log_file).unwrap();
    let beside = log_file.with_file_name(".kept");
    fs::rename(&outside, &beside).unwrap();
    std::os::unix::fs::symlink(beside.file_name().unwrap(), &log_file).unwrap();
    assert_eq!(records(&mut mirror.command()).code, 0);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_read() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let log_file = mirror.dir().join(&trail.chains[0].digests[3].document.log_files[0].s3_object);
    fs::remove_file(&log_file).unwrap();
    fs::create_dir(&log_file).unwrap();
    let run = records(&mut mirror.command());
    let odd = run.of("log_file").into_iter().find(|file| file["status"] != "intact").unwrap().clone();
    assert_eq!((run.code, &odd["status"], &odd["fault"]), (3, &json!("unverified"), &json!("read_failed")));
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
    trail.forge_digest(&digest, &key, |document| {
        document.log_files[0].s3_object = "../../../../etc/passwd".to_owned();
    });
    let run = verify_folder(&trail);
    let odd = run.of("log_file").into_iter().find(|file| file["status"] != "intact").unwrap().clone();
    assert_eq!((&odd["status"], &odd["fault"]), (&json!("unverified"), &json!("unsafe_name")));
    assert_eq!((run.code, &odd["key"]), (3, &json!("../../../../etc/passwd")));
}

#[test]
fn two_copies_of_one_bucket_are_an_error_that_names_them() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    // Neither copy lies where its objects' names put it.
    fs::create_dir(mirror.dir().join("newer")).unwrap();
    fs::rename(mirror.dir().join("AWSLogs"), mirror.dir().join("newer/AWSLogs")).unwrap();
    trail.write(&mirror.dir().join("older"), Layout::Keys, true).unwrap();
    let run = run(&mut mirror.command());
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("two copies") && run.stderr.contains("older"), "{}", run.stderr);
}

#[test]
fn copies_of_two_buckets_side_by_side_are_verified_together() {
    let mut first = TrailSpec { hours: 3, ..TrailSpec::default() }.forge();
    let second = TrailSpec { hours: 3, bucket: "other".into(), name: "second-trail".into(), ..TrailSpec::default() };
    first.merge(second.forge());
    let run = records(&mut Mirror::new(&first, Layout::Buckets, true).command());
    assert_eq!((run.code, run.of("chain").len()), (0, 2), "{}", run.stdout);
    let buckets: Vec<_> = run.of("digest").iter().map(|digest| digest["bucket"].clone()).collect();
    assert!(buckets.contains(&json!("other")) && buckets.contains(&json!("example-trail-logs")));
}

#[test]
fn a_log_file_that_two_digests_list_is_one_record_and_intact_only_if_both_agree() {
    let listed_twice = |hash: Option<&str>| -> Run {
        let mut trail: ForgedTrail = defects::small_trail();
        let older = trail.chains[0].digests[4].document.log_files[0].clone();
        let digest = trail.chains[0].digests.last().unwrap().clone();
        let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
        trail.forge_digest(&digest, &key, |document| {
            let mut again = older.clone();
            again.hash_value = hash.map_or(again.hash_value, str::to_owned);
            document.log_files.extend([again.clone(), again]);
        });
        verify_folder(&trail)
    };
    let agreeing = listed_twice(None);
    assert_eq!((agreeing.code, agreeing.of("log_file").len()), (0, defects::small_trail().log_file_count()));
    let differing = listed_twice(Some(&"00".repeat(32)));
    assert_eq!((differing.code, differing.count("log_file", "modified")), (1, 1));
}

#[test]
fn accounts_regions_and_the_arn_narrow_what_is_verified() {
    let trail = organization_spec().forge();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let chains = |arguments: &[&str]| records(mirror.command().args(arguments)).of("chain").len();
    assert_eq!(chains(&[]), 4);
    assert_eq!(chains(&["--account-id", "444455556666"]), 2);
    assert_eq!(chains(&["--regions", "eu-west-1"]), 2);
    assert_eq!(chains(&["--regions", "eu-west-1,us-east-1", "--account-id", "111122223333"]), 2);
    assert_eq!(chains(&["--trail-arn", &trail.spec.arn()]), 4);
    assert_eq!(chains(&["--organization-id", "o-exampleorgid"]), 4);
    let other =
        records(mirror.command().args(["--trail-arn", "arn:aws:cloudtrail:us-east-1:111122223333:trail/other"]));
    assert_eq!((other.code, other.gaps()), (3, vec!["no_digests"]));
    let other = records(mirror.command().args(["--organization-id", "o-otherorgid0"]));
    assert_eq!((other.code, other.of("digest").len()), (3, 0));
}

#[test]
fn offline_means_without_any_aws_configuration() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(
        ctverify().env("AWS_PROFILE", "none-such").arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys()),
    );
    assert_eq!((run.code, &run.of("summary")[0]["requests"]["other"]), (0, &json!(0)), "{}", run.stderr);
}

#[test]
fn a_copy_of_a_replica_is_held_against_the_recorded_bucket() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let code = |bucket: &str| records(mirror.command().args(["--recorded-bucket", bucket]));
    assert_eq!(code("example-trail-logs").code, 0);
    let other = code("another-bucket");
    assert_eq!((other.code, other.count("digest", "invalid")), (1, trail.digest_count()));
    assert_eq!(other.of("digest")[0]["fault"], "moved");
}
