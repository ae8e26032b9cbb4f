//! Proven events that weaken logging: `--report tampering=FILE`, `--fail-on tampering`, and
//! `ctverify events --tampering`.

use std::path::Path;
use std::process::Command;

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, defects};
use serde_json::{Value, json};

use super::{copy_of, emitted, events_of};
use crate::support::{Mirror, Run, ctverify, ctverify_at, range_of, run};

/// An event of a call, with a time that lies in the trail.
fn event(source: &str, name: &str, parameters: Value, error: Option<&str>) -> Value {
    let mut event = json!({
        "eventVersion": "1.11", "eventTime": "2026-03-01T02:50:00Z", "eventID": format!("id-{name}"),
        "eventSource": format!("{source}.amazonaws.com"), "eventName": name, "awsRegion": "us-east-1",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/mallory"},
        "sourceIPAddress": "198.51.100.7", "requestParameters": parameters,
    });
    if let Some(error) = error {
        event["errorCode"] = json!(error);
    }
    event
}

/// A trail with these events in one of its log files, whose key is returned.
fn trail_with(events: &[Value]) -> (ForgedTrail, String) {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    trail.redeliver(&key, json!({ "Records": events }).to_string().as_bytes());
    (trail, key)
}

/// Calls that succeed and one that fails, with two that are about another bucket and no tampering at all.
fn calls() -> [Value; 5] {
    [
        event("cloudtrail", "StopLogging", json!({"name": "management-events"}), None),
        event("s3", "DeleteBucketPolicy", json!({"bucketName": "another-bucket"}), None),
        event("s3", "PutBucketLifecycle", json!({"bucketName": "example-trail-logs"}), None),
        event("cloudtrail", "DeleteTrail", json!({"name": "management-events"}), Some("AccessDenied")),
        event("cloudtrail", "DescribeTrails", json!(null), None),
    ]
}

fn verify(mirror: &Mirror, arguments: &[&str]) -> Run {
    run(mirror.command().args(arguments))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_of_tampering_are_findings_of_their_own() {
    let (trail, key) = trail_with(&calls());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let kinds =
        ["tampering", "jsonl", "json", "csv", "html", "custody", "sarif", "ocsf", "asff", "junit", "prometheus"];
    let mut arguments = Vec::new();
    for kind in kinds {
        arguments.extend(["--report".to_owned(), format!("{kind}={}", path(kind).display())]);
    }
    let server = Server::start(&trail, ServerOptions::default());
    let found = run(ctverify_at(&server).args(range_of(&trail)).args(&arguments));
    assert_eq!(found.code, 0, "{}", found.stderr);
    let records = lines(&path("tampering"));
    let kinds_of: Vec<&str> = records.iter().map(|record| record["record"].as_str().unwrap()).collect();
    assert_eq!(kinds_of, ["run", "tampering", "tampering", "tampering", "summary"]);
    let of = |name: &str| records[1..4].iter().map(|record| record[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("rule"), ["logging_stopped", "bucket_lifecycle", "trail_deleted"]);
    assert_eq!(of("outcome"), ["succeeded", "succeeded", "attempted"]);
    assert_eq!(of("subject"), ["management-events", "example-trail-logs", "management-events"]);
    assert_eq!(of("index"), [json!(0), json!(2), json!(3)]);
    let expected = json!({
        "event_id": "id-StopLogging", "event_time": "2026-03-01T02:50:00Z", "event_name": "StopLogging",
        "arn": "arn:aws:iam::111122223333:user/mallory", "source_ip": "198.51.100.7",
        "bucket": "example-trail-logs", "key": key,
    });
    assert_eq!((&records[1]["event"], &records[3]["error_code"]), (&expected, &json!("AccessDenied")));
    assert_eq!(
        (&records[4]["verdict"], &records[4]["tampering"]),
        (&json!("verified"), &json!({"succeeded": 2, "attempted": 1}))
    );
    // In the records, they follow their log file.
    let all = lines(&path("jsonl"));
    let at = all.iter().position(|record| record["key"] == json!(key)).unwrap();
    assert_eq!(all[at + 1..at + 4], records[1..4]);
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path("json")).unwrap()).unwrap();
    assert_eq!(document["tampering"].as_array().unwrap().len(), 3);
    for kind in ["csv", "html", "custody", "sarif", "ocsf", "asff", "junit"] {
        let report = std::fs::read_to_string(path(kind)).unwrap();
        assert!(report.contains("stops the delivery of log files"), "{kind}: {report}");
    }
    let metrics = std::fs::read_to_string(path("prometheus")).unwrap();
    for (outcome, count) in [("succeeded", "2"), ("attempted", "1")] {
        let mut lines = metrics.lines().filter(|line| line.contains(&format!("{{outcome=\"{outcome}\",trail_arn=")));
        assert!(lines.any(|line| line.starts_with("ctverify_tampering_events") && line.ends_with(count)), "{metrics}");
    }
    for says in [
        "Proven calls that weaken logging, no part of the verdict\n",
        "StopLogging of management-events by arn:aws:iam::111122223333:user/mallory from 198.51.100.7: the call",
        "DeleteTrail of management-events by arn:aws:iam::111122223333:user/mallory from 198.51.100.7, which failed",
        "2 findings of calls that weaken logging, and 1 of failed ones, in",
    ] {
        assert!(found.stdout.contains(says), "{says}: {}", found.stdout);
    }
    // The records can be made into each report again.
    let again = path("again.html");
    let remade =
        run(ctverify().arg("report").arg(path("jsonl")).arg("--report").arg(format!("html={}", again.display())));
    assert_eq!(remade.code, 0, "{}", remade.stderr);
    assert!(std::fs::read_to_string(&again).unwrap().contains("stops the delivery of log files"));
}

#[test]
fn a_proven_event_of_tampering_may_fail_the_run() {
    let (trail, _) = trail_with(&calls());
    let mirror = copy_of(&trail);
    let found = verify(&mirror, &["--fail-on", "tampering", "--format", "json"]);
    let report: Value = serde_json::from_str(&found.stdout).unwrap();
    let summary = &report["summary"];
    assert_eq!((found.code, &summary["verdict"], &summary["exit_code"]), (1, &json!("verified"), &json!(1)));
    assert_eq!(report["run"]["fail_on"], json!(["tampering"]));
    let text = verify(&mirror, &["--fail-on", "tampering", "--quiet"]).stdout;
    assert!(text.contains("; the exit code is 1, by --fail-on tampering"), "{text}");
    let text = verify(&mirror, &["--fail-on", "tampering", "--verbose"]).stdout;
    assert!(text.contains("exit code 1: a proven event of tampering counts, by --fail-on tampering"), "{text}");
    let records = mirror.dir().parent().unwrap().join("records.jsonl");
    let report = format!("jsonl={}", records.display());
    assert_eq!(verify(&mirror, &["--fail-on", "tampering", "--report", &report]).code, 1);
    assert_eq!(run(ctverify().arg("report").arg(&records)).code, 1);
    // Without the flag, nothing is looked for; a failed call is no success.
    let silent = verify(&mirror, &["--format", "json"]);
    let report: Value = serde_json::from_str(&silent.stdout).unwrap();
    assert_eq!((silent.code, &report["tampering"], report["summary"].get("tampering")), (0, &Value::Null, None));
    let (trail, _) = trail_with(&calls()[3..]);
    assert_eq!(verify(&copy_of(&trail), &["--fail-on", "tampering"]).code, 0);
}

/// An event counts only if its log file is proven.
#[test]
fn a_file_that_is_not_proven_tells_of_no_tampering() {
    let (mut trail, key) = trail_with(&calls());
    trail.edit_content(&key, |content| [&content[..], b"\n"].concat());
    let found = verify(&copy_of(&trail), &["--fail-on", "tampering", "--format", "json"]);
    let report: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((found.code, &report["tampering"]), (1, &json!([])), "{}", found.stdout);
    assert_eq!(report["summary"]["tampering"], json!({"succeeded": 0, "attempted": 0}));
}

#[test]
fn events_lists_them_over_a_range() {
    let (trail, _) = trail_with(&calls());
    let mirror = copy_of(&trail);
    let all = run(events_of(&mirror).arg("--tampering"));
    let (events, _) = emitted(&all);
    let calls = calls();
    let expected = [&calls[0], &calls[2], &calls[3]].map(ToString::to_string);
    let events: Vec<String> = events.into_iter().map(|(event, _)| event).collect();
    assert_eq!((all.code, &events[..]), (0, &expected[..]), "{}", all.stderr);
    // Each says which rules it meets; without the condition, nothing is said.
    let rules = |found: &Run| -> Vec<Value> {
        let lines = found.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| line.get("tampering").cloned()).collect()
    };
    let expected = [json!(["logging_stopped"]), json!(["bucket_lifecycle"]), json!(["trail_deleted"])];
    assert_eq!(rules(&all), expected, "{}", all.stdout);
    assert_eq!(rules(&run(events_of(&mirror).args(["--event-name", "StopLogging"]))), [json!(null); 0]);
    // It combines with the other conditions, and with the exit code.
    let some =
        run(events_of(&mirror).args(["--tampering", "--event-source", "s3.amazonaws.com", "--fail-on", "tampering"]));
    assert_eq!((some.code, emitted(&some).0.len()), (1, 1), "{}", some.stderr);
    let says = "verdict on the logs: verified\nthe exit code is 1, by --fail-on tampering: ";
    assert!(some.stderr.contains(says) && !some.stderr.contains("says what was found"), "{}", some.stderr);
}

#[test]
fn where_nothing_can_be_looked_for_the_question_is_refused() {
    let (trail, _) = trail_with(&calls());
    let mirror = copy_of(&trail);
    let folder = mirror.dir().parent().unwrap().to_owned();
    let report = format!("tampering={}", folder.join("tampering.jsonl").display());
    let refused = verify(&mirror, &["--depth", "presence", "--report", &report]);
    assert!(refused.code == 2 && refused.stderr.contains("--depth presence reads none"), "{}", refused.stderr);
    let records = folder.join("records.jsonl");
    assert_eq!(verify(&mirror, &["--report", &format!("jsonl={}", records.display())]).code, 0);
    let mut command: Command = ctverify();
    let remade = run(command.arg("report").arg(&records).args(["--report", &report]));
    assert!(remade.code == 4 && remade.stderr.contains("did not look for events of tampering"), "{}", remade.stderr);
}

/// Found by an attack: events of a file that can be read in part were dropped, and none was said to be there.
#[test]
fn a_file_that_can_be_read_in_part_tells_what_it_has() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let stop = &calls()[0];
    trail.redeliver(&key, format!("{{\"Records\":[{stop},7]}}").as_bytes());
    let found = verify(&copy_of(&trail), &["--fail-on", "tampering", "--format", "json"]);
    let report: Value = serde_json::from_str(&found.stdout).unwrap();
    let warning = report["warnings"].as_array().unwrap().iter().find(|warning| warning["code"] == "events_unreadable");
    assert_eq!(warning.unwrap()["key"], json!(key));
    assert_eq!((found.code, report["tampering"].as_array().unwrap().len()), (1, 1), "{}", found.stdout);
    let text = verify(&copy_of(&trail), &["--fail-on", "tampering"]).stdout;
    assert!(text.contains(", apart from events of 1 of them, which could not be looked at"), "{text}");
}

/// Which key the trail has is known if CloudTrail was asked; else the report says that it was not.
#[test]
fn calls_about_a_key_that_is_not_known_are_said_to_be_missing() {
    let (trail, _) = trail_with(&calls());
    let says = |run: &Run| run.stdout.contains("calls about the trail's KMS key were not looked for");
    assert!(says(&verify(&copy_of(&trail), &["--fail-on", "tampering"])));
    let server = Server::start(&trail, ServerOptions::default());
    let asked = run(ctverify_at(&server).args(range_of(&trail)).args(["--fail-on", "tampering"]));
    assert!(asked.code == 1 && !says(&asked), "{}", asked.stdout);
}

/// Calls that did nothing are attempts, and JUnit has no failure where the verdict has none.
#[test]
fn a_call_that_did_nothing_is_an_attempt() {
    let mut flow_logs = event("ec2", "DeleteFlowLogs", json!({"DeleteFlowLogsRequest": {"FlowLogId": "fl-1"}}), None);
    flow_logs["responseElements"] =
        json!({"DeleteFlowLogsResponse": {"unsuccessful": {"item": {"resourceId": "fl-1"}}}});
    let mut denied = event("cloudtrail", "StopLogging", json!({"name": "management-events"}), None);
    denied["errorMessage"] = json!("denied");
    let (trail, _) = trail_with(&[flow_logs, denied]);
    let mirror = copy_of(&trail);
    let junit = mirror.dir().parent().unwrap().join("junit.xml");
    let report = format!("junit={}", junit.display());
    let found = verify(&mirror, &["--fail-on", "tampering", "--format", "json", "--report", &report]);
    let document: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((found.code, &document["summary"]["tampering"]), (0, &json!({"succeeded": 0, "attempted": 2})));
    let (trail, _) = trail_with(&calls());
    let mirror = copy_of(&trail);
    let tampering = format!("tampering={}", junit.with_extension("jsonl").display());
    assert_eq!(verify(&mirror, &["--report", &tampering, "--report", &report]).code, 0);
    let text = std::fs::read_to_string(&junit).unwrap();
    assert!(text.contains("failures=\"0\"") && text.contains("logging_stopped, event id-StopLogging"), "{text}");
}
