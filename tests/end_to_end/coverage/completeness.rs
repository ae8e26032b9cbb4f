//! Chains that are expected to exist: removing all of an account or a region leaves nothing that
//! names it.

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, TrailAnswer, TrailSpec};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{Mirror, Run, ctverify_at, records, run};

const MEMBER: &str = "444455556666";

fn two_regions() -> ForgedTrail {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    TrailSpec { regions, busy_percent: 100, ..TrailSpec::default() }.forge()
}

fn organization() -> ForgedTrail {
    TrailSpec {
        organization: Some("o-exampleorgid".into()),
        accounts: vec!["111122223333".into(), MEMBER.into()],
        regions: vec!["us-east-1".into(), "eu-west-1".into()],
        ..TrailSpec::default()
    }
    .forge()
}

/// Returns the arguments for a range that every chain covers, whatever its minute of the hour, and
/// for the trail.
fn arguments(trail: &ForgedTrail) -> Vec<String> {
    let range = ["--start", "2026-03-01T01:00:00Z", "--end", "2026-03-01T05:00:00Z", "--trail-arn"];
    range.into_iter().map(str::to_owned).chain([trail.spec.arn()]).collect()
}

/// Removes the objects whose keys contain `folder`.
fn remove_all(trail: &mut ForgedTrail, folder: &str) {
    trail.objects.retain(|(_, key), _| !key.contains(folder));
}

fn verify(trail: &ForgedTrail, options: ServerOptions, more: &[&str]) -> Run {
    let server = Server::start(trail, options);
    records(ctverify_at(&server).args(arguments(trail)).args(more))
}

/// Returns options with which no region is listed as enabled, and CloudTrail reports no delivery to
/// eu-west-1 within the range.
fn nothing_told() -> ServerOptions {
    let long_ago = "2025-01-01T00:00:00Z".parse().unwrap();
    ServerOptions {
        enabled_regions: Some(Vec::new()),
        latest_deliveries: [("eu-west-1".to_owned(), long_ago)].into(),
        ..ServerOptions::default()
    }
}

/// Returns the account, region and cause of every gap.
fn gaps(run: &Run) -> Vec<(&str, &str, &str)> {
    run.of("gap")
        .into_iter()
        .map(|gap| (gap["account"].as_str().unwrap(), gap["region"].as_str().unwrap(), gap["cause"].as_str().unwrap()))
        .collect()
}

#[test]
fn an_enabled_region_without_any_digest_is_a_gap() {
    let mut trail = two_regions();
    remove_all(&mut trail, "/eu-west-1/");
    let run = verify(&trail, ServerOptions::default(), &[]);
    assert_eq!((run.code, gaps(&run)), (3, vec![("111122223333", "eu-west-1", "no_digests")]), "{}", run.stdout);
    // If flags name the place, the account is not asked for its regions.
    let server = Server::start(&trail, ServerOptions::default());
    let flags = records(ctverify_at(&server).args(arguments(&trail)).args(["--bucket", "example-trail-logs"]));
    assert_eq!((flags.code, server.calls("ListRegions")), (0, 0), "{}", flags.stdout);
}

#[test]
fn a_region_filter_expects_nothing_elsewhere() {
    let mut trail = two_regions();
    remove_all(&mut trail, "/eu-west-1/");
    let run = verify(&trail, ServerOptions::default(), &["--regions", "us-east-1"]);
    assert_eq!((run.code, gaps(&run)), (0, vec![]), "{}", run.stdout);
}

#[test]
fn removing_every_digest_of_an_enabled_region_is_a_cut_where_cloudtrail_tells_of_a_delivery() {
    let start = Timestamp::now() - SignedDuration::from_hours(10);
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    let mut trail = TrailSpec { start, hours: 8, regions, busy_percent: 100, ..TrailSpec::default() }.forge();
    remove_all(&mut trail, "/CloudTrail-Digest/eu-west-1/");
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "9h"]));
    let cut = run.of("chain").into_iter().find(|chain| chain["region"] == "eu-west-1").unwrap().clone();
    assert_eq!((run.code, &cut["fault"]), (1, &json!("tail_cut")), "{}", run.stdout);
}

#[test]
fn an_account_of_the_organization_without_any_digest_is_a_gap_in_each_region() {
    let mut trail = organization();
    remove_all(&mut trail, MEMBER);
    let run = verify(&trail, ServerOptions::default(), &[]);
    let expected = vec![(MEMBER, "eu-west-1", "no_digests"), (MEMBER, "us-east-1", "no_digests")];
    assert_eq!((run.code, gaps(&run)), (3, expected), "{}", run.stdout);
    let chain = run.of("chain").into_iter().find(|chain| chain["account"] == MEMBER).unwrap().clone();
    assert_eq!(chain["organization"], "o-exampleorgid");
}

#[test]
fn an_account_that_joined_after_the_range_is_not_expected() {
    let mut trail = organization();
    remove_all(&mut trail, MEMBER);
    let joined = |time: &str| time.parse::<Timestamp>().unwrap();
    let accounts = vec![
        ("111122223333".to_owned(), joined("2020-01-01T00:00:00Z")),
        (MEMBER.to_owned(), joined("2026-03-02T00:00:00Z")),
    ];
    let run = verify(&trail, ServerOptions { organization_accounts: Some(accounts), ..ServerOptions::default() }, &[]);
    assert_eq!((run.code, gaps(&run)), (0, vec![]), "{}", run.stdout);
}

#[test]
fn who_may_not_ask_is_told_once_and_learns_the_rest() {
    let mut trail = organization();
    remove_all(&mut trail, MEMBER);
    let denied = ["ListRegions".to_owned(), "ListAccounts".to_owned()].into();
    let run = verify(&trail, ServerOptions { denied_actions: denied, ..ServerOptions::default() }, &[]);
    let warnings = run.of("warning");
    assert_eq!((run.code, warnings.len()), (0, 1), "{}", run.stdout);
    assert_eq!(warnings[0]["code"], "reach_unknown");
    let detail = warnings[0]["detail"].as_str().unwrap();
    assert!(detail.contains("account:ListRegions") && detail.contains("organizations:ListAccounts"), "{detail}");
}

#[test]
fn the_management_account_asks_about_its_member() {
    let mut trail = two_regions();
    remove_all(&mut trail, "/eu-west-1/");
    let caller = Some("999988887777".to_owned());
    let run = verify(&trail, ServerOptions { caller, ..ServerOptions::default() }, &[]);
    assert_eq!(gaps(&run), [("111122223333", "eu-west-1", "no_digests")]);
}

#[test]
fn what_the_user_expects_is_looked_for_in_copies_too() {
    let trail = two_regions();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let whole = records(mirror.command().args(["--expect-account", "111122223333", "--expect-region", "eu-west-1"]));
    assert_eq!((whole.code, gaps(&whole)), (0, vec![]), "{}", whole.stdout);
    let account = records(mirror.command().args(["--expect-account", "111122223333,444455556666"]));
    assert_eq!((account.code, gaps(&account)), (3, vec![(MEMBER, "us-east-1", "no_digests")]), "{}", account.stdout);
    let gap = account.of("gap")[0];
    let others = [&gap["from"], &gap["to"]].map(|time| time.as_str().unwrap());
    assert!(others[0].starts_with("2026-03-01T00:") && others[1].starts_with("2026-03-01T06:"), "{gap}");
    let region = records(mirror.command().args(["--expect-region", "ap-south-1"]));
    assert_eq!((region.code, gaps(&region)), (3, vec![("111122223333", "ap-south-1", "no_digests")]));
}

#[test]
fn a_region_with_log_files_and_no_digests_is_a_gap() {
    let mut trail = two_regions();
    remove_all(&mut trail, "/CloudTrail-Digest/eu-west-1/");
    let over_s3 = verify(&trail, nothing_told(), &[]);
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    for run in [over_s3, records(&mut mirror.command())] {
        assert_eq!((run.code, gaps(&run)), (3, vec![("111122223333", "eu-west-1", "no_digests")]), "{}", run.stdout);
    }
}

#[test]
fn log_files_outside_the_range_expect_nothing() {
    let mut trail = two_regions();
    let old = |key: &str| key.contains("/CloudTrail/eu-west-1/");
    let files: Vec<_> = trail.objects.keys().filter(|(_, key)| old(key)).cloned().collect();
    remove_all(&mut trail, "/eu-west-1/");
    let mut other = two_regions();
    for (bucket, key) in files {
        let stored = other.remove(&key);
        let earlier = key.replace("/2026/02/28/", "/2025/02/28/").replace("/2026/03/01/", "/2025/03/01/");
        let earlier = earlier.replace("_20260228T", "_20250228T").replace("_20260301T", "_20250301T");
        trail.objects.insert((bucket, earlier), stored);
    }
    let run = verify(&trail, nothing_told(), &[]);
    assert_eq!((run.code, gaps(&run)), (0, vec![]), "{}", run.stdout);
}

#[test]
fn log_files_of_a_trail_without_digests_expect_nothing() {
    let mut trail = two_regions();
    remove_all(&mut trail, "/CloudTrail-Digest/eu-west-1/");
    let silent = TrailAnswer {
        arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/silent".into(),
        bucket: "example-trail-logs".into(),
        prefix: String::new(),
        organization: None,
        validated: false,
    };
    let options = ServerOptions { other_trails: vec![silent], ..nothing_told() };
    let run = verify(&trail, options, &[]);
    // Files that no digest lists can't be judged beside such a trail.
    assert_eq!((run.code, gaps(&run)), (3, vec![]), "{}", run.stdout);
}

#[test]
fn a_region_that_is_not_enabled_leaves_its_digests_unverified_and_says_so() {
    let trail = two_regions();
    let disabled_regions = ["eu-west-1".to_owned()].into();
    let run = verify(&trail, ServerOptions { disabled_regions, ..ServerOptions::default() }, &[]);
    let of = |region: &str, status: &str| {
        run.of("digest").iter().filter(|digest| digest["region"] == region && digest["status"] == status).count()
    };
    assert_eq!((run.code, of("eu-west-1", "unverified"), of("us-east-1", "valid")), (3, 5, 5), "{}", run.stdout);
    let warnings = run.of("warning");
    let keys = warnings.iter().find(|warning| warning["code"] == "keys_unavailable").unwrap();
    assert!(keys["detail"].as_str().unwrap().contains("is the region enabled"), "{keys}");
}

#[test]
fn the_text_report_shows_the_holes_by_account_and_region() {
    let mut trail = organization();
    remove_all(&mut trail, MEMBER);
    let server = Server::start(&trail, ServerOptions::default());
    let text = run(ctverify_at(&server).args(arguments(&trail))).stdout;
    assert!(text.contains("Gaps"), "{text}");
    for region in ["eu-west-1", "us-east-1"] {
        assert!(text.contains(&format!("no_digests  {MEMBER} {region}  2026-03-01T")), "{text}");
    }
}

#[test]
fn a_planted_digest_of_another_trail_does_not_hide_a_region_without_digests() {
    let mut trail = two_regions();
    remove_all(&mut trail, "/CloudTrail-Digest/eu-west-1/");
    let region = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1";
    let name = "111122223333_CloudTrail-Digest_eu-west-1_zzz_us-east-1_20260301T020000Z.json.gz";
    let junk = trail.objects.values().next().unwrap().clone();
    trail.objects.insert((trail.spec.bucket.clone(), format!("{region}/2026/03/01/{name}")), junk);
    let run = verify(&trail, ServerOptions::default(), &["--bucket", "example-trail-logs"]);
    assert_eq!((run.code, gaps(&run)), (3, vec![("111122223333", "eu-west-1", "no_digests")]), "{}", run.stdout);
}

#[test]
fn a_region_whose_log_files_another_trail_lists_is_not_expected() {
    let mut trail = TrailSpec { busy_percent: 100, ..TrailSpec::default() }.forge();
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    let other = TrailSpec { name: "other-trail".into(), regions, busy_percent: 100, seed: 3, ..TrailSpec::default() };
    trail.merge(other.forge());
    let run = verify(&trail, ServerOptions::default(), &["--bucket", "example-trail-logs"]);
    assert_eq!((run.code, gaps(&run)), (0, vec![]), "{}", run.stdout);
}

#[test]
fn a_trail_that_became_the_organizations_is_not_accused_of_its_old_folder() {
    let start = Timestamp::now() - SignedDuration::from_hours(30);
    let old = TrailSpec { start, hours: 10, ..TrailSpec::default() }.forge();
    let start = start + SignedDuration::from_hours(10);
    let mut trail =
        TrailSpec { start, hours: 19, organization: Some("o-exampleorgid".into()), ..TrailSpec::default() }.forge();
    trail.objects.extend(old.objects);
    for range in ["15h", "25h"] {
        let server = Server::start(&trail, ServerOptions::default());
        let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", range]));
        assert!(run.of("chain").iter().all(|chain| chain["fault"].is_null()), "{range} {}", run.stdout);
        assert_ne!(run.code, 1, "{range} {}", run.stdout);
    }
}

/// Issue: "A region wiped altogether where ListRegions is denied": exit 0 with a warning.
#[test]
fn a_region_that_was_wiped_is_missed_where_regions_may_not_be_listed() {
    let start = Timestamp::now() - SignedDuration::from_hours(10);
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    let mut trail = TrailSpec { start, hours: 8, regions, busy_percent: 100, ..TrailSpec::default() }.forge();
    remove_all(&mut trail, "/eu-west-1/");
    let denied = || ServerOptions { denied_actions: ["ListRegions".to_owned()].into(), ..ServerOptions::default() };
    let server = Server::start(&trail, denied());
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "9h"]));
    assert_eq!(
        (run.code, gaps(&run).contains(&("111122223333", "eu-west-1", "no_digests"))),
        (3, true),
        "{}",
        run.stdout
    );
    // A region that is not enabled causes no warning.
    let disabled_regions = ["af-south-1".to_owned(), "ap-east-1".to_owned()].into();
    let server = Server::start(&trail, ServerOptions { disabled_regions, ..denied() });
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "9h"]));
    let codes: Vec<_> = run.of("warning").iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!(codes, ["reach_unknown"], "{}", run.stdout);
    // A scheduled run asks once a day.
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&trail, denied());
    let mut asked = Vec::new();
    for _ in 0..2 {
        let mut command = ctverify_at(&server);
        command.args(["--trail-arn", &trail.spec.arn(), "--start", "9h", "--state"]).arg(folder.path().join("state"));
        let run = records(&mut command);
        assert_eq!(run.code, 3, "{}", run.stdout);
        asked.push(server.calls("GetTrailStatus:sa-east-1"));
    }
    assert_eq!(asked, [1, 1]);
}
