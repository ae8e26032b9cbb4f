//! Events of tampering in a merged run: those that the units found, as one machine finds them.

use ctverify_testkit::{ForgedTrail, KeyFault, Server, ServerOptions, TrailSpec, defects, gunzip};
use serde_json::{Value, json};

use super::distributed::{Distributed, assert_same};
use super::same_as_one_machine::minutes_from;
use crate::coverage::explained::{LAST, NEXT, Stopped, call, of_trail};
use crate::support::{Run, ctverify_at, range_of, records, run};

/// The key of the first log file of a digest of the first chain.
fn key(trail: &ForgedTrail, digest: usize) -> String {
    trail.chains[0].digests[digest].document.log_files[0].s3_object.clone()
}

/// A trail of two regions with calls in log files of both, one that failed, and one of which a part can't be
/// read.
fn tampered() -> ForgedTrail {
    let home_region = "eu-west-1".to_owned();
    let in_region = |region: &str| TrailSpec {
        home_region: home_region.clone(),
        regions: vec![region.to_owned()],
        hours: 9,
        busy_percent: 100,
        ..TrailSpec::default()
    };
    let at = "2026-03-01T03:00:00Z".parse().unwrap();
    let of = |name: &str, source: &str, parameters: Value, rest: Value| {
        let mut event = call(name, at, parameters);
        event["eventSource"] = json!(format!("{source}.amazonaws.com"));
        for (name, value) in rest.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    };
    let denied = json!({"errorCode": "AccessDenied"});
    let in_bucket = |bucket: &str| json!({"bucketName": bucket});
    let mut home = in_region("eu-west-1").forge();
    let calls = [
        of("StopLogging", "cloudtrail", of_trail(), json!({})),
        of("DeleteTrail", "cloudtrail", of_trail(), denied.clone()),
        of("PutBucketPolicy", "s3", in_bucket("another-bucket"), json!({})),
    ];
    home.redeliver(&key(&home, 3), json!({"Records": calls}).to_string().as_bytes());
    let mut other = in_region("us-east-1").forge();
    let calls = [of("PutBucketPolicy", "s3", in_bucket("example-trail-logs"), json!({})), json!({})];
    other.redeliver(&key(&other, 2), json!({"Records": calls}).to_string().as_bytes());
    let cut = json!({"Records": [of("DeleteDetector", "guardduty", json!({"detectorId": "d"}), denied)]}).to_string();
    other.redeliver(&key(&other, 6), &cut.as_bytes()[..cut.len() - 2]);
    home.merge(other);
    home
}

fn events_of_tampering(run: &Run) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    run.of("tampering").iter().map(|record| (text(&record["rule"]), text(&record["region"]))).collect()
}

#[test]
fn events_of_tampering_are_those_of_one_machine() {
    let trail = tampered();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let [start, end] = minutes_from(&trail, &[30, 500])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--trail-arn", &arn, "--start", &start, "--end", &end];
    let folder = tempfile::tempdir().unwrap();
    let report = |name: &str| format!("tampering={}", folder.path().join(name).display());
    let single = records(ctverify_at(&server).args(arguments).args(["--report", &report("single")]));
    let found = [
        ("logging_stopped", "eu-west-1"),
        ("trail_deleted", "eu-west-1"),
        ("bucket_policy", "us-east-1"),
        ("detector_deleted", "us-east-1"),
    ];
    let found = found.map(|(rule, region)| (rule.to_owned(), region.to_owned()));
    assert_eq!(events_of_tampering(&single), found, "{}", single.stdout);
    assert_eq!(single.of("warning").iter().filter(|warning| warning["code"] == "events_unreadable").count(), 1);
    let with_tampering = [&arguments[..], &["--tampering"]].concat();
    for (cuts, sizes) in [(vec![], vec![2]), (vec![130, 245, 300], vec![1])] {
        let plan = Distributed::plan(&server, &with_tampering).recut(&minutes_from(&trail, &cuts), &sizes);
        let verified = plan.verify_all();
        assert_eq!(verified.code, 0, "{}", verified.stderr);
        let merged = records(plan.merge().args(["--report", &report("merged")]));
        assert_same(&merged, &single);
        let lines = |name: &str| {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            let found = text.lines().filter(|line| line.starts_with("{\"record\":\"tampering\""));
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((lines("merged").len(), lines("merged")), (4, lines("single")));
        let failed = records(plan.merge().args(["--fail-on", "tampering"]));
        assert_eq!((failed.code, failed.verdict(), events_of_tampering(&failed).len()), (1, "verified", 4));
        // Nobody asks for them.
        assert_same(&records(&mut plan.merge()), &records(ctverify_at(&server).args(arguments)));
        // The records of units have them, for queries.
        let of_units = std::fs::read_dir(plan.results()).unwrap().map(|entry| {
            let content = gunzip(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
            String::from_utf8(content).unwrap().matches("{\"record\":\"tampering\"").count()
        });
        assert!(of_units.sum::<usize>() >= 4);
    }
}

#[test]
fn a_merge_tells_of_no_tampering_that_its_units_did_not_look_for() {
    let trail = tampered();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let plan = Distributed::plan(&server, &["--trail-arn", &arn]);
    assert_eq!(plan.verify_all().code, 0);
    let folder = tempfile::tempdir().unwrap();
    let report = format!("tampering={}", folder.path().join("tampering").display());
    for flags in [["--report", &report], ["--fail-on", "tampering"]] {
        let refused = run(plan.merge().args(flags));
        let says = "which the units of this plan did not look for: 'ctverify plan --tampering'";
        assert!(refused.code == 2 && refused.stderr.contains(says), "{}", refused.stderr);
    }
    let mut plan = ctverify_at(&server);
    plan.args(["plan", "--trail-arn", &arn, "--depth", "presence", "--tampering", "--output"]).arg(folder.path());
    let refused = run(&mut plan);
    assert!(refused.code == 2 && refused.stderr.contains("--depth presence reads none"), "{}", refused.stderr);
}

/// A log file is searched while it is hashed, and read again where it has such a call.
#[test]
fn a_log_file_that_is_gone_before_it_is_read_again_is_told() {
    let trail = tampered();
    let (arn, key) = (trail.spec.arn(), key(&trail, 3));
    let key_faults = [(key.clone(), KeyFault::VanishesLater)].into();
    let server = Server::start(&trail, ServerOptions { key_faults, ..ServerOptions::default() });
    let plan = Distributed::plan(&server, &["--trail-arn", &arn, "--tampering"]);
    assert_eq!(plan.verify_all().code, 0);
    let merged = records(plan.merge().args(["--fail-on", "tampering"]));
    let of_home = events_of_tampering(&merged).into_iter().filter(|(_, region)| region == "eu-west-1").count();
    assert_eq!((of_home, merged.count("log_file", "deleted")), (0, 0), "{}", merged.stdout);
    let warnings = merged.of("warning");
    let warning = warnings.iter().find(|warning| warning["key"] == *key).unwrap();
    let says = "it was deleted or changed before it could be read a second time";
    assert!(warning["detail"].as_str().unwrap().contains(says), "{warning}");
}

/// Found by a reader: a unit that had read a log file for the gap before it, and did not look for tampering in
/// it, hid what the file's own unit had found.
#[test]
fn events_after_a_gap_are_those_of_one_machine_wherever_the_units_are_cut() {
    let mut stopped = Stopped::new();
    let (from, to) = (stopped.stopped_at(), stopped.started_at());
    stopped.put(LAST, &[call("StopLogging", from, of_trail())]);
    stopped.put(NEXT, &[call("StartLogging", to, of_trail())]);
    let mut policy = call("PutBucketPolicy", to, json!({"bucketName": "example-trail-logs"}));
    policy["eventSource"] = json!("s3.amazonaws.com");
    stopped.put(NEXT + 1, &[policy]);
    let trail = stopped.trail;
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let [start, end] = minutes_from(&trail, &[30, 560])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--trail-arn", &arn, "--start", &start, "--end", &end];
    let single = records(ctverify_at(&server).args(arguments).args(["--fail-on", "tampering"]));
    assert_eq!(events_of_tampering(&single).len(), 2, "{}", single.stdout);
    for cut in [365, 400, 420, 425, 450] {
        let plan = Distributed::plan(&server, &[&arguments[..], &["--tampering"]].concat());
        let plan = plan.recut(&minutes_from(&trail, &[cut]), &[1]);
        assert_eq!(plan.verify_all().code, 0);
        assert_same(&records(plan.merge().args(["--fail-on", "tampering"])), &single);
    }
}

/// More findings than a line of a result has.
#[test]
fn many_findings_of_one_log_file_keep_their_order() {
    let mut trail = defects::small_trail();
    let key = key(&trail, 3);
    let attempt = |index: usize| {
        let mut event = call("DeleteTrail", "2026-03-01T03:00:00Z".parse().unwrap(), of_trail());
        (event["eventID"], event["errorCode"]) = (json!(format!("id-{index}")), json!("AccessDenied"));
        event
    };
    let events: Vec<Value> = (0..350).map(attempt).collect();
    trail.redeliver(&key, json!({"Records": events}).to_string().as_bytes());
    let server = Server::start(&trail, ServerOptions::default());
    let arguments = range_of(&trail);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let single = records(ctverify_at(&server).args(&arguments).args(["--fail-on", "tampering"]));
    assert_eq!((single.code, events_of_tampering(&single).len()), (0, 350));
    let plan = Distributed::plan(&server, &[&arguments[..], &["--tampering"]].concat());
    assert_eq!(plan.verify_all().code, 0);
    assert_same(&records(plan.merge().args(["--fail-on", "tampering"])), &single);
}
