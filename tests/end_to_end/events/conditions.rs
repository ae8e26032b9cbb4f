//! Conditions on events, as jq and Python would apply them.

use std::collections::BTreeSet;

use ctverify_testkit::{TrailSpec, defects};
use serde_json::{Value, json};

use super::{copy_of, emitted, events_of};
use crate::support::run;

/// The identifiers of events for which a test of the parsed event is true.
fn identifiers(events: &[(String, Value)], test: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let parsed = events.iter().map(|(event, _)| serde_json::from_str::<Value>(event).unwrap());
    parsed.filter(|event| test(event)).map(|event| event["eventID"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_condition_selects_what_a_look_at_the_fields_selects() {
    let spec = TrailSpec {
        hours: 12,
        log_files: 4,
        events: 20,
        regions: vec!["us-east-1".into(), "eu-west-1".into()],
        ..TrailSpec::default()
    };
    let mirror = copy_of(&spec.forge());
    let (all, _) = emitted(&run(&mut events_of(&mirror)));
    let name = |event: &Value| event["eventName"].as_str().unwrap().to_owned();
    let some_id = serde_json::from_str::<Value>(&all[3].0).unwrap()["eventID"].as_str().unwrap().to_owned();
    let some_key =
        serde_json::from_str::<Value>(&all[5].0).unwrap()["userIdentity"]["accessKeyId"].as_str().unwrap().to_owned();
    let some_resource =
        serde_json::from_str::<Value>(&all[7].0).unwrap()["requestParameters"]["resource"].as_str().unwrap().to_owned();
    type Test<'t> = Box<dyn Fn(&Value) -> bool + 't>;
    let cases: Vec<(Vec<&str>, Test<'_>)> = vec![
        (vec!["--event-id", &some_id], Box::new(|event| event["eventID"] == *some_id)),
        (
            vec!["--event-name", "Decrypt,RunInstances"],
            Box::new(|event| ["Decrypt", "RunInstances"].contains(&&*name(event))),
        ),
        (vec!["--event-name", "Describe*"], Box::new(|event| name(event).starts_with("Describe"))),
        (vec!["--event-source", "s3.amazonaws.com"], Box::new(|event| event["eventSource"] == "s3.amazonaws.com")),
        (
            vec!["--username", "alice", "--username", "bob-role"],
            Box::new(|event| {
                let identity = &event["userIdentity"];
                identity["principalId"].as_str().unwrap().ends_with(":alice")
                    || identity["sessionContext"]["sessionIssuer"]["userName"] == "bob-role"
            }),
        ),
        (vec!["--access-key-id", &some_key], Box::new(|event| event["userIdentity"]["accessKeyId"] == *some_key)),
        (
            vec!["--resource-name", &some_resource],
            Box::new(|event| event["requestParameters"]["resource"] == *some_resource),
        ),
        (vec!["--read-only"], Box::new(|event| event["readOnly"] == true)),
        (vec!["--read-only=false"], Box::new(|event| event["readOnly"] == false)),
        (
            vec!["--arn", "*role/carol-role"],
            Box::new(|event| {
                event["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"]
                    .as_str()
                    .unwrap()
                    .ends_with("role/carol-role")
            }),
        ),
        (
            vec!["--source-ip", "198.51.100.0/26"],
            Box::new(|event| {
                let last = event["sourceIPAddress"].as_str().unwrap().rsplit('.').next().unwrap();
                last.parse::<u8>().unwrap() < 64
            }),
        ),
        (vec!["--event-region", "eu-west-1"], Box::new(|event| event["awsRegion"] == "eu-west-1")),
        (vec!["--event-account", "111122223333"], Box::new(|_| true)),
        (
            vec!["--after", "2026-03-01T03:00:00Z", "--before", "2026-03-01T05:00:00Z"],
            Box::new(|event| {
                ("2026-03-01T03:00:00Z".."2026-03-01T05:00:00Z").contains(&event["eventTime"].as_str().unwrap())
            }),
        ),
        (
            vec!["--event-name", "Decrypt", "--event-region", "us-east-1", "--username", "alice,bob"],
            Box::new(|_| false),
        ),
        (
            vec!["--event-name", "Decrypt", "--event-region", "us-east-1"],
            Box::new(|event| name(event) == "Decrypt" && event["awsRegion"] == "us-east-1"),
        ),
        (
            vec!["--where", r#".eventName == "Decrypt" and (.userIdentity.arn | endswith("/alice"))"#],
            Box::new(|event| {
                name(event) == "Decrypt" && event["userIdentity"]["arn"].as_str().unwrap().ends_with("/alice")
            }),
        ),
        (vec!["--error-code", "*"], Box::new(|event| !event["errorCode"].is_null())),
    ];
    for (arguments, test) in cases {
        let found = run(events_of(&mirror).args(&arguments));
        let (events, summary) = emitted(&found);
        let expected = identifiers(&all, test);
        assert_eq!(identifiers(&events, |_| true), expected, "{arguments:?}");
        assert!(events.iter().all(|event| all.contains(event)), "{arguments:?}: with their proofs");
        // Conditions do not change what is verified.
        assert_eq!((found.code, &summary["verdict"], &summary["left_out"]), (0, &json!("verified"), &json!({})));
        assert!(expected.len() < all.len() || arguments[0] == "--event-account", "{arguments:?} selects");
    }
}

/// Fields that few records have: a glob or a name selects those that have it.
#[test]
fn errors_and_types_of_resources_are_conditions() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let records = [
        r#"{"eventID":"denied","errorCode":"AccessDenied"}"#,
        r#"{"eventID":"throttled","errorCode":"Client.RequestLimitExceeded"}"#,
        r#"{"eventID":"bucket","resources":[{"ARN":"arn:aws:s3:::b","type":"AWS::S3::Bucket"}]}"#,
        r#"{"eventID":"both","errorCode":"AccessDenied",
"resources":[{"type":"AWS::S3::Object"},{"type":"AWS::KMS::Key"}]}"#,
    ];
    trail.redeliver(&key, format!("{{\"Records\":[{}]}}", records.join(",")).as_bytes());
    let mirror = copy_of(&trail);
    for (arguments, expected) in [
        (vec!["--error-code", "AccessDenied"], vec!["both", "denied"]),
        (vec!["--error-code", "*LimitExceeded,AccessDenied"], vec!["both", "denied", "throttled"]),
        (vec!["--error-code", "*"], vec!["both", "denied", "throttled"]),
        (vec!["--error-code", "NoSuchError"], vec![]),
        (vec!["--resource-type", "AWS::S3::Bucket"], vec!["bucket"]),
        (vec!["--resource-type", "AWS::S3::*"], vec!["both", "bucket"]),
        (vec!["--resource-type", "AWS::KMS::Key", "--error-code", "Access*"], vec!["both"]),
        (vec!["--resource-type", "Bucket"], vec![]),
    ] {
        let (events, _) = emitted(&run(events_of(&mirror).args(&arguments)));
        let found: Vec<String> = identifiers(&events, |_| true).into_iter().collect();
        assert_eq!(found, expected, "{arguments:?}");
    }
}

/// The quick look at bytes must not pass over a text that is written with escapes.
#[test]
fn escaped_texts_are_found() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    trail.redeliver(
        &key,
        br#"{"Records":[{"eventID":"1","eventName":"Stop\u004cogging","userIdentity":{"arn":"arn:aws:iam::1:role\/a\u002Db"}}]}"#,
    );
    let mirror = copy_of(&trail);
    for condition in [["--event-name", "StopLogging"], ["--event-name", "Stop*"], ["--arn", "arn:aws:iam::1:role/a-b"]]
    {
        let (events, _) = emitted(&run(events_of(&mirror).args(condition)));
        assert_eq!(events.len(), 1, "{condition:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_read() {
    let mirror = copy_of(&defects::small_trail());
    let output = mirror.dir().join("events.jsonl");
    for (arguments, says) in [
        (vec!["--depth", "chain"], "--depth chain reads none"),
        (vec!["--source-ip", "198.51.100"], "neither an address nor a network"),
        (vec!["--after", "2026-03-02", "--before", "2026-03-01"], "no event is in between"),
        (vec!["--count-by", "a..b"], "names no field"),
        (vec!["--count-by", "account, account"], "names account twice"),
        (vec!["--event-name", ""], "a value is required"),
        (vec!["--count-by", "account", "--format", "raw"], "choose --format jsonl, table or csv"),
        (vec!["--format", "xml"], "invalid value 'xml'"),
        (vec!["--where", ".eventName =="], "term is expected at its end"),
        (vec!["--where", "nothing"], "'nothing' is not defined"),
        (vec!["--read-only=maybe"], "invalid value 'maybe'"),
        (vec!["--output", output.to_str().unwrap()], "is left as it is"),
        (vec!["--output", "/nonexistent/events.jsonl"], "there is no folder /nonexistent"),
    ] {
        let found = run(events_of(&mirror).args(&arguments));
        let code = if arguments[1..].first().is_some_and(|path| path.starts_with("/nonexistent")) { 4 } else { 2 };
        assert_eq!((found.code, &*found.stdout), (code, ""), "{arguments:?}: {}", found.stderr);
        assert!(found.stderr.contains(says), "{arguments:?}: {}", found.stderr);
    }
}

/// Services cut texts short in the middle of a surrogate pair: half of one hides no event.
#[test]
fn half_of_a_surrogate_pair_hides_no_event() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let record = r#"{"eventID":"s","eventName":"StopLogging","\ud83d":1,"userAgent":"x\ud83d",
"requestParameters":{"\ud83d":[[{"bucketName":"needle"}]]}}"#;
    trail.redeliver(&key, format!("{{\"Records\":[{record}]}}").as_bytes());
    let mirror = copy_of(&trail);
    for condition in [["--event-name", "StopLogging"], ["--resource-name", "needle"], ["--event-id", "s"]] {
        let (events, _) = emitted(&run(events_of(&mirror).args(condition)));
        assert_eq!(events.len(), 1, "{condition:?}");
        assert_eq!(events[0].0, record.replace('\n', " "));
    }
}

/// A condition that fails on an event says nothing of it.
#[test]
fn events_on_which_a_condition_fails_are_counted() {
    let mirror = copy_of(&defects::small_trail());
    let (all, _) = emitted(&run(&mut events_of(&mirror)));
    let found = run(events_of(&mirror).args(["--quiet", "--where", "(.eventName | tonumber) > 1"]));
    let (events, summary) = emitted(&found);
    assert_eq!((events.len(), &summary["not_judged"], found.code), (0, &json!(all.len()), 0));
    let says = format!("events left out, because the condition of --where fails on them: {} (", all.len());
    assert!(found.stderr.contains(&says), "{}", found.stderr);
}
