//! A trail in S3: found through CloudTrail or the flags, in any region, with requests that are
//! refused.

use std::collections::HashMap;

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, TrailSpec, defects};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Mirror, Run, ctverify_at, organization_spec, range_of, records};

fn verify(trail: &ForgedTrail, options: ServerOptions) -> (Run, Server) {
    let server = Server::start(trail, options);
    (records(ctverify_at(&server).args(range_of(trail))), server)
}

fn fault_of<'a>(run: &'a Run, kind: &str, key: &str) -> (&'a Value, &'a Value) {
    let found = run.of(kind).into_iter().find(|record| record["key"] == key).unwrap();
    (&found["status"], &found["fault"])
}

#[test]
fn an_arn_and_a_start_are_enough() {
    // A trail of today: the newest digest is not two hours old, as in life.
    let start = Timestamp::now() - SignedDuration::from_hours(30);
    let trail = TrailSpec { start, hours: 30, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "24h"]));
    assert_eq!((run.code, run.verdict()), (0, "verified"), "{}{}", run.stdout, run.stderr);
    assert!((24..=25).contains(&run.of("digest").len()));
    assert!(run.gaps().iter().all(|cause| *cause == "not_yet_delivered"), "{:?}", run.gaps());
    assert_eq!(run.of("run")[0]["source"], "s3://example-trail-logs");
    assert_eq!(run.of("run")[0]["trail_arn"], trail.spec.arn());
}

#[test]
fn a_trail_that_went_silent_is_no_clean_one() {
    let start = Timestamp::now() - SignedDuration::from_hours(30);
    let trail = TrailSpec { start, hours: 20, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "24h"]));
    assert_eq!((run.code, run.gaps()), (3, vec!["after_last_digest", "not_yet_delivered"]), "{}", run.stdout);
}

#[test]
fn a_predecessor_that_may_still_come_is_not_missing() {
    // The removed digest ended up to an hour ago and may still come; its successor is there.
    let start = Timestamp::now() - SignedDuration::from_hours(10);
    let mut trail = TrailSpec { start, hours: 10, ..TrailSpec::default() }.forge();
    let late = trail.chains[0].digests[9].key.clone();
    trail.remove(&late);
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "9h"]));
    assert_eq!((run.code, run.count("digest", "missing")), (0, 0), "{}", run.stdout);
    assert!(run.gaps().iter().all(|cause| *cause == "not_yet_delivered") && !run.gaps().is_empty());
}

#[test]
fn an_organization_trail_is_verified_in_every_account_and_region() {
    let trail = organization_spec().forge();
    // Chains keep their own minute: the range is the inner part, which all of them cover.
    let server = Server::start(&trail, ServerOptions::default());
    let range = ["--trail-arn", &trail.spec.arn(), "--start", "2026-03-01T00:00:00Z", "--end", "2026-03-01T03:00:00Z"];
    let run = records(ctverify_at(&server).args(range));
    assert_eq!((run.code, run.of("chain").len()), (0, 4), "{}{}", run.stdout, run.stderr);
    for chain in run.of("chain") {
        assert_eq!((&chain["covered_seconds"], &chain["organization"]), (&json!(3 * 3600), &json!("o-exampleorgid")));
    }
    let mirror = Mirror::new(&trail, Layout::Buckets, true);
    assert_eq!(records(mirror.command().args(range)).findings(), run.findings());
}

#[test]
fn flags_make_the_calls_that_find_the_location_unnecessary() {
    let trail = organization_spec().forge();
    let denied = ["GetTrail", "DescribeTrails"].map(str::to_owned).into();
    let server = Server::start(&trail, ServerOptions { denied_actions: denied, ..ServerOptions::default() });
    let mut command = ctverify_at(&server);
    let range = ["--start", "2026-03-01T00:00:00Z", "--end", "2026-03-01T03:00:00Z"];
    let place =
        ["--s3-bucket", "example-trail-logs", "--s3-prefix", "org/trail", "--organization-id", "o-exampleorgid"];
    let run = records(command.args(range).args(place));
    assert_eq!((run.code, run.of("chain").len()), (0, 4), "{}{}", run.stdout, run.stderr);
    assert_eq!((server.calls("GetTrail"), server.calls("DescribeTrails")), (0, 0));
}

#[test]
fn where_get_trail_is_denied_describe_trails_tells_the_location() {
    let trail = defects::small_trail();
    let options = ServerOptions { denied_actions: ["GetTrail".to_owned()].into(), ..ServerOptions::default() };
    let (run, server) = verify(&trail, options);
    assert_eq!((run.code, server.calls("DescribeTrails")), (0, 1), "{}", run.stderr);
}

#[test]
fn a_bucket_in_another_region_works_without_a_flag() {
    let trail = defects::small_trail();
    let regions = HashMap::from([("example-trail-logs".to_owned(), "eu-central-1".to_owned())]);
    let (run, server) = verify(&trail, ServerOptions { bucket_regions: regions, ..ServerOptions::default() });
    assert_eq!(run.code, 0, "{}", run.stderr);
    // The region is learned once, from the answer to the first request.
    assert_eq!((server.calls("Redirect"), server.calls("HeadBucket")), (1, 0));
}

/// Returns a trail whose first five digests, and the log files that they list, lie in another
/// bucket and were signed for it.
pub(crate) fn moved_trail() -> ForgedTrail {
    let mut trail = TrailSpec { hours: 9, seed: 7, ..TrailSpec::default() }.forge();
    trail.house_before(5, "old-bucket");
    trail
}

#[test]
fn a_trail_that_moved_to_another_bucket_is_followed_there() {
    let mut trail = moved_trail();
    let names: Vec<_> = trail.chains[0].digests.iter().map(|digest| digest.key.clone()).collect();
    let regions = HashMap::from([("old-bucket".to_owned(), "ap-northeast-1".to_owned())]);
    let (run, server) = verify(&trail, ServerOptions { bucket_regions: regions, ..ServerOptions::default() });
    assert_eq!((run.code, run.count("digest", "valid")), (0, 10), "{}", run.stdout);
    assert_eq!(server.calls("GetObject"), (trail.digest_count() + trail.log_file_count()) as u64);

    // A digest that is missing there is found missing there.
    trail.remove(&names[2]);
    let (run, _server) = verify(&trail, ServerOptions::default());
    assert_eq!((run.code, run.gaps()), (1, vec!["digests_missing"]), "{}", run.stdout);
    assert_eq!(fault_of(&run, "digest", &names[2]), (&json!("missing"), &json!("not_found")));
}

#[test]
fn pages_of_listings_and_of_keys_are_followed() {
    let keys = ctverify_testkit::KeyAuthority { rotation: SignedDuration::from_hours(30) };
    let trail = TrailSpec { keys, ..organization_spec() }.forge();
    let small = ServerOptions { objects_a_page: Some(2), keys_a_page: Some(1), ..ServerOptions::default() };
    let (run, server) = verify(&trail, small);
    let (whole, _server) = verify(&trail, ServerOptions::default());
    assert_eq!(run.findings(), whole.findings());
    assert!(server.calls("ListPublicKeys") > 2);
}

#[test]
fn a_store_that_asks_to_slow_down_changes_no_record() {
    let trail = TrailSpec { hours: 40, busy_percent: 100, ..organization_spec() }.forge();
    let (whole, _server) = verify(&trail, ServerOptions::default());
    let (slowed, server) = verify(&trail, ServerOptions { slow_down_permille: 200, ..ServerOptions::default() });
    assert_eq!((slowed.code, slowed.findings()), (whole.code, whole.findings()));
    let objects = slowed.of("digest").len() + slowed.of("log_file").len();
    assert!(server.calls("GetObject") as usize > objects + objects / 10, "{}", server.calls("GetObject"));
}

#[test]
fn every_object_is_read_once_and_the_summary_counts_the_requests() {
    let trail = organization_spec().forge();
    // The range ends before every chain does: the events that explain a gap are read once more.
    let ends = trail.chains.iter().map(|chain| chain.digests.last().unwrap().document.digest_end_time.clone());
    let mut range = range_of(&trail);
    *range.last_mut().unwrap() = ends.min().unwrap();
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(range));
    let requests = &run.of("summary")[0]["requests"];
    let objects = (run.of("digest").len() + run.of("log_file").len()) as u64;
    // One more object per chain may be read: the digest next to the range.
    let read = server.calls("GetObject");
    assert!((objects..=objects + 4).contains(&read), "{read} of {objects}");
    assert_eq!(server.calls("HeadObject") + server.calls("HeadBucket"), 0);
    assert_eq!(requests["get"], json!(read));
    assert_eq!(requests["list"], json!(server.calls("ListObjectsV2")));
    assert_eq!(
        requests["other"],
        json!(
            [
                "ListPublicKeys",
                "GetTrail",
                "DescribeTrails",
                "GetTrailStatus",
                "GetCallerIdentity",
                "ListRegions",
                "ListAccounts"
            ]
            .iter()
            .map(|call| server.calls(call))
            .sum::<u64>()
        )
    );
}

#[test]
fn how_many_run_at_once_changes_no_record() {
    let trail = organization_spec().forge();
    let server = Server::start(&trail, ServerOptions::default());
    let at = |n: &str| records(ctverify_at(&server).args(range_of(&trail)).args(["--concurrency", n])).findings();
    assert_eq!(at("1"), at("64"));
}

#[test]
fn what_may_not_be_read_is_unverified_and_the_rest_is_judged() {
    let trail = defects::small_trail();
    let digests = &trail.chains[0].digests;
    let (denied, archived) = (&digests[1].document.log_files[0].s3_object, &digests[2].document.log_files[0].s3_object);
    let options = ServerOptions {
        denied_keys: [denied.clone(), digests[4].key.clone()].into(),
        archived_keys: [archived.clone()].into(),
        ..ServerOptions::default()
    };
    let (run, _server) = verify(&trail, options);
    assert_eq!((run.code, run.verdict()), (3, "inconclusive"));
    assert_eq!(fault_of(&run, "log_file", denied), (&json!("unverified"), &json!("access_denied")));
    assert_eq!(fault_of(&run, "log_file", archived), (&json!("unverified"), &json!("archived")));
    assert_eq!(fault_of(&run, "digest", &digests[4].key), (&json!("unverified"), &json!("access_denied")));
    assert_eq!(run.gaps(), ["digests_unverified"]);
    assert_eq!((run.count("digest", "valid"), run.count("digest", "missing")), (6, 0));
    let detail = run.of("digest")[4]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("s3:GetObject"), "{detail}");
}

#[test]
fn keys_denied_in_one_region_leave_that_region_unverified_and_no_other() {
    let trail = organization_spec().forge();
    let denied = ["ListPublicKeys:eu-west-1".to_owned()].into();
    let (run, _server) = verify(&trail, ServerOptions { denied_actions: denied, ..ServerOptions::default() });
    assert_eq!(run.code, 3);
    for digest in run.of("digest") {
        let expected = if digest["region"] == "eu-west-1" { "unverified" } else { "valid" };
        assert_eq!(digest["status"], expected);
    }
    let warnings = run.of("warning");
    assert_eq!((warnings.len(), &warnings[0]["code"]), (1, &json!("keys_unavailable")));
    assert!(warnings[0]["detail"].as_str().unwrap().contains("cloudtrail:ListPublicKeys"));
}

#[test]
fn a_region_that_can_not_be_listed_is_a_gap_and_hides_no_other() {
    let mut trail = organization_spec().forge();
    let victim = trail.chains[3].digests[2].document.log_files[0].s3_object.clone();
    trail.remove(&victim);
    let denied = vec!["org/trail/AWSLogs/o-exampleorgid/111122223333/CloudTrail-Digest/us-east-1/".to_owned()];
    let (run, _server) = verify(&trail, ServerOptions { denied_prefixes: denied, ..ServerOptions::default() });
    assert_eq!((run.code, run.of("chain").len()), (1, 4), "{}", run.stdout);
    assert_eq!(fault_of(&run, "log_file", &victim), (&json!("deleted"), &json!("not_found")));
    let gaps: Vec<_> = run.of("gap").into_iter().filter(|gap| gap["cause"] == "listing_failed").collect();
    assert_eq!((gaps.len(), &gaps[0]["account"], &gaps[0]["region"]), (1, &json!("111122223333"), &json!("us-east-1")));
}

#[test]
fn another_trail_under_the_same_prefix_is_left_alone_unless_all_are_asked_for() {
    let mut trail = defects::small_trail();
    trail.merge(TrailSpec { name: "other_trail.x".to_owned(), seed: 9, ..TrailSpec::default() }.forge());
    let (run, server) = verify(&trail, ServerOptions::default());
    assert_eq!((run.code, run.of("chain").len()), (0, 1), "{}", run.stdout);
    let range = ["--bucket", "example-trail-logs", "--start", "2026-03-01T00:30:00Z", "--end", "2026-03-01T05:00:00Z"];
    let run = records(ctverify_at(&server).args(range));
    let trails: Vec<_> = run.of("chain").iter().map(|chain| chain["trail"].clone()).collect();
    assert_eq!((run.code, trails), (0, vec![json!("management-events"), json!("other_trail.x")]), "{}", run.stdout);
}

#[test]
fn a_bucket_without_any_digest_is_no_clean_one() {
    let mut trail = defects::small_trail();
    trail.objects.clear();
    let (run, _server) = verify(&trail, ServerOptions::default());
    assert_eq!((run.code, run.gaps()), (3, vec!["no_digests"]), "{}", run.stdout);
}

#[test]
fn a_key_file_serves_where_the_key_authority_can_not_be_asked() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let denied = ["ListPublicKeys".to_owned()].into();
    let server = Server::start(&trail, ServerOptions { denied_actions: denied, ..ServerOptions::default() });
    let run = records(ctverify_at(&server).args(range_of(&trail)).arg("--keys").arg(mirror.keys()));
    assert_eq!((run.code, server.calls("ListPublicKeys")), (0, 0), "{}", run.stdout);
}

#[test]
fn keys_that_rotate_within_the_range_are_all_asked_for() {
    let keys = ctverify_testkit::KeyAuthority { rotation: SignedDuration::from_hours(40) };
    let trail = TrailSpec { hours: 100, keys, log_files: 1, events: 1, ..TrailSpec::default() }.forge();
    let fingerprints: std::collections::BTreeSet<_> =
        trail.chains[0].digests.iter().map(|digest| &digest.document.digest_public_key_fingerprint).collect();
    assert!(fingerprints.len() > 1);
    let (run, _server) = verify(&trail, ServerOptions::default());
    assert_eq!((run.code, run.count("digest", "valid")), (0, 101), "{}", run.stdout);
}

#[test]
fn a_replica_is_read_under_the_names_that_the_digests_record() {
    let trail = defects::small_trail();
    let expected = crate::support::verify_s3(&trail);
    let mut replica = trail.clone();
    replica.objects =
        trail.objects.into_iter().map(|((_, key), stored)| (("replica".to_owned(), key), stored)).collect();
    let server = Server::start(&replica, ServerOptions::default());
    let verify = |more: &[&str]| {
        let place = ["--bucket", "replica"];
        records(ctverify_at(&server).args(range_of(&replica)).args(place).args(more))
    };
    let run = verify(&["--recorded-bucket", "example-trail-logs"]);
    assert_eq!((run.code, &run.of("run")[0]["source"]), (0, &json!("s3://replica")), "{}", run.stdout);
    assert_eq!(run.findings(), expected.findings());
    // Without `--recorded-bucket`, every digest lies in another bucket than the one that it names.
    let run = verify(&[]);
    assert_eq!((run.code, run.count("digest", "invalid")), (1, replica.digest_count()));
    assert!(run.of("digest").iter().all(|digest| digest["fault"] == "moved"));
}

#[test]
fn an_organizations_folder_beside_the_accounts_own_makes_no_chain_expected_twice() {
    let mut trail = defects::small_trail();
    let organization = TrailSpec { name: "org-trail".to_owned(), hours: 6, ..organization_spec() };
    trail.merge(TrailSpec { prefix: String::new(), ..organization }.forge());
    let latest_deliveries = [("eu-west-1".to_owned(), "2025-01-01T00:00:00Z".parse().unwrap())].into();
    let (run, _server) = verify(&trail, ServerOptions { latest_deliveries, ..ServerOptions::default() });
    assert_eq!((run.code, run.of("chain").len(), run.gaps().len()), (0, 1, 0), "{}", run.stdout);
}

#[test]
fn a_long_range_is_listed_in_parts_and_gives_the_same_records() {
    // The range has 120 days, so that it is listed in parts; the hours between are off, so that the
    // trail is small.
    let on = [0, 1, 5, 700, 701, 969, 970, 971, 1500, 2400, 2850, 2870];
    let stopped = (0..2880).filter(|hour| !on.contains(hour)).collect();
    let mut trail = TrailSpec { hours: 2879, stopped, busy_percent: 100, ..TrailSpec::default() }.forge();
    let planted = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/04/10/111122223333_CloudTrail_us-east-1_20260410T1005Z_PlantedPlanted01.json.gz";
    let any = trail.objects.values().next().unwrap().clone();
    trail.objects.insert((trail.spec.bucket.clone(), planted.into()), any);
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let range = ["--start", "2026-03-01T00:00:00Z", "--end", "2026-06-28T00:00:00Z"];
    let local = records(mirror.command().args(range));
    assert_eq!(local.of("digest").len(), on.len() - 1, "all but the one past the end");
    for objects_a_page in [None, Some(3)] {
        let server = Server::start(&trail, ServerOptions { objects_a_page, ..ServerOptions::default() });
        let parted = records(ctverify_at(&server).args(range).args(["--bucket", "example-trail-logs"]));
        assert_eq!(parted.findings(), local.findings());
        let whole = records(ctverify_at(&server).args(["--bucket", "example-trail-logs"]));
        assert_eq!(whole.of("digest").len(), on.len());
    }
}
