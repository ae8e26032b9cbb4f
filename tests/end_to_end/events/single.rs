//! `ctverify event`: the proof of one event, and the comparison of events with the proven ones.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, defects, gunzip, gzip};
use serde_json::{Value, json};

use super::{copy_of, emitted, events_of};
use crate::support::{Mirror, Run, ctverify, ctverify_at, organization_spec, range_of, run};

fn event_of(mirror: &Mirror, arguments: &[&str]) -> Run {
    let mut command = ctverify();
    command.arg("event").arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys());
    run(command.args(arguments))
}

/// Runs `ctverify event --match -` with these lines.
fn matched(mut command: Command, lines: &str) -> Run {
    command.args(["event", "--match", "-", "--format", "jsonl"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        records: Vec::new(),
    }
}

fn matched_in(mirror: &Mirror, lines: &str) -> Run {
    let mut command = ctverify();
    command.env("CTVERIFY_FROM", mirror.dir()).env("CTVERIFY_KEYS", mirror.keys());
    matched(command, lines)
}

fn parsed(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The first event of a trail's middle log file, and the key of the file.
fn an_event(trail: &ForgedTrail) -> (Value, String) {
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let content = gunzip(&trail.objects[&(trail.spec.bucket.clone(), key.clone())].body).unwrap();
    let content: Value = serde_json::from_slice(&content).unwrap();
    (content["Records"][0].clone(), key)
}

#[test]
fn an_event_is_proven_up_to_its_key() {
    let trail = organization_spec().forge();
    let digest = &trail.chains[0].digests[1];
    let file = &digest.document.log_files[0];
    let content = gunzip(&trail.objects[&(trail.spec.bucket.clone(), file.s3_object.clone())].body).unwrap();
    let event = serde_json::from_slice::<Value>(&content).unwrap()["Records"][1].clone();
    let id = event["eventID"].as_str().unwrap();
    let server = Server::start(&trail, ServerOptions::default());
    let over_s3 =
        |format: &str| run(ctverify_at(&server).args(["event", id, "--format", format]).args(range_of(&trail)));
    let mirror = copy_of(&trail);
    for found in [over_s3("jsonl"), event_of(&mirror, &[id, "--format", "jsonl"])] {
        let line: Value = serde_json::from_str(&found.stdout).unwrap();
        let proof = &line["proof"];
        assert_eq!((found.code, &line["event"], &proof["index"]), (0, &event, &json!(1)), "{}", found.stderr);
        assert_eq!((&proof["key"], &proof["sha256"]), (&json!(file.s3_object), &json!(file.hash_value)));
        assert_eq!((&proof["digest"], &proof["digest_sha256"]), (&json!(digest.key), &json!(digest.document.sha256())));
        assert_eq!(proof["key_fingerprint"], digest.document.digest_public_key_fingerprint);
        assert_eq!((&proof["signature"], &proof["signature_from"]), (&json!(digest.signature), &json!("metadata")));
        assert_eq!((&proof["trail"], &proof["organization"]), (&json!("management-events"), &json!("o-exampleorgid")));
    }
    let text = over_s3("text").stdout;
    for part in [
        &format!("PROVEN  event {id} stands in a log file whose digest is signed"),
        "with a key from ListPublicKeys",
        &file.s3_object,
        &file.hash_value,
        &digest.key,
        &digest.signature,
        "from ListPublicKeys",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A bag's own keys are said to be the bag's, and a packed bag is there until the digest was read again.
#[test]
fn a_bag_proves_by_its_own_keys_and_says_so() {
    let trail = defects::small_trail();
    let (event, _) = an_event(&trail);
    let id = event["eventID"].as_str().unwrap();
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let (bag, packed) = (folder.path().join("bag"), folder.path().join("bag.zip"));
    let mut collect = ctverify_at(&server);
    collect.arg("collect").args(range_of(&trail)).arg("--output").arg(&bag).arg("--zip").arg(&packed);
    assert_eq!(run(&mut collect).code, 0);
    for bag in [&bag, &packed] {
        let found = run(ctverify().args(["event", id, "--from"]).arg(bag));
        assert!(
            found.code == 0 && found.stdout.contains("with a key that comes from the bag itself"),
            "{}",
            found.stderr
        );
        assert!(found.stdout.contains(&trail.chains[0].digests[3].signature), "{}", found.stdout);
        let all = run(ctverify().args(["events", "--allow", "unlisted", "--from"]).arg(bag));
        let says = "verdict on the logs: verified, by the bag's own public keys, with unlisted allowed\n";
        assert!(all.stderr.ends_with(says), "{}", all.stderr);
        let (_, summary) = emitted(&all);
        assert_eq!((&summary["keys_of_bag"], &summary["allow"]), (&json!(true), &json!(["unlisted"])));
    }
}

/// Without metadata, the signature stands in the digest after it, and is not shown as the digest's own.
#[test]
fn a_signature_of_the_successor_is_said_to_be_there() {
    let mut trail = defects::small_trail();
    let id = an_event(&trail).0["eventID"].as_str().unwrap().to_owned();
    trail.strip_metadata();
    let mirror = Mirror::new(&trail, ctverify_testkit::Layout::Keys, false);
    let found = event_of(&mirror, &[&id]);
    assert!(found.code == 0 && found.stdout.contains("verified from the digest after it"), "{}", found.stdout);
}

#[test]
fn an_event_that_is_not_proven_is_not_found() {
    let mut trail = defects::small_trail();
    let (event, key) = an_event(&trail);
    let id = event["eventID"].as_str().unwrap();
    trail.edit_content(&key, |content| [&content[..], b"\n"].concat());
    let mirror = copy_of(&trail);
    let found = event_of(&mirror, &[id]);
    assert_eq!(found.code, 3, "{}", found.stderr);
    assert!(found.stdout.starts_with(&format!(
        "NOT FOUND  no event that could be read in the proven log files has the eventID {id}\n"
    )));
    assert!(
        found.stdout.contains("verdict on the logs: violated; log files that are not proven: 1"),
        "{}",
        found.stdout
    );
    let line: Value = serde_json::from_str(&event_of(&mirror, &[id, "--format", "jsonl"]).stdout).unwrap();
    assert_eq!((&line["result"], &line["log_files_not_proven"]), (&json!("not_found"), &json!(1)));
}

#[test]
fn given_events_are_genuine_altered_or_not_found() {
    let mut trail = defects::small_trail();
    let (lost, key) = {
        let key = trail.chains[0].digests[4].document.log_files[0].s3_object.clone();
        let content = gunzip(&trail.objects[&(trail.spec.bucket.clone(), key.clone())].body).unwrap();
        (serde_json::from_slice::<Value>(&content).unwrap()["Records"][0].clone(), key)
    };
    trail.replace(&key, gzip(b"{}"));
    let (event, _) = an_event(&trail);
    let mirror = copy_of(&trail);
    let with = |name: &str, value: Value| {
        let mut event = event.clone();
        event[name] = value;
        event
    };
    let mut altered = with("sourceIPAddress", json!("192.0.2.1"));
    altered["userIdentity"]["arn"] = json!("arn:aws:iam::111122223333:user/nobody");
    let elsewhen = |time: &str| {
        let mut event = with("eventID", json!("00000000-0000-0000-0000-000000000000"));
        event["eventTime"] = json!(time);
        event["recipientAccountId"] = json!("111122223333");
        event
    };
    let lines = [
        event.clone(),
        json!({ "event": event, "proof": {} }),
        json!({ "CloudTrailEvent": event.to_string(), "EventTime": "x" }),
        altered,
        elsewhen(event["eventTime"].as_str().unwrap()),
        elsewhen("2020-01-01T00:00:00Z"),
        lost,
        json!({ "eventID": "x" }),
    ];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let found = matched_in(&mirror, &lines);
    let results = parsed(&found);
    let of = |name: &str| results.iter().map(|result| result[name].clone()).collect::<Vec<_>>();
    assert_eq!(
        of("result"),
        ["genuine", "genuine", "genuine", "altered", "not_found", "not_found", "not_found", "not_found"]
    );
    assert_eq!(results[3]["differs"], json!(["sourceIPAddress", "userIdentity.arn"]));
    assert_eq!(of("covered")[4..], [json!(true), json!(false), json!(false), Value::Null]);
    assert_eq!(results[6]["detail"], "the events of a log file of its time are not known");
    assert_eq!(of("line"), (1..=8).map(Value::from).collect::<Vec<_>>());
    assert_eq!(found.code, 1);
    assert_eq!(found.stderr, "3 genuine, 1 altered, 4 not found; verdict on the logs: violated\n");
}

/// An export has the record under a name of its own, which may lie in other objects.
#[test]
fn given_events_may_stand_in_a_field_that_is_named() {
    let trail = defects::small_trail();
    let (event, _) = an_event(&trail);
    let mut altered = event.clone();
    altered["eventName"] = json!("Decrypt2");
    let mirror = copy_of(&trail);
    let lines = [
        (json!({ "_raw": event.to_string() }), "_raw"),
        (json!({ "_source": { "event": { "original": event.to_string() } } }), "_source.event.original"),
        (json!({ "_source": { "event.original": event } }), "_source.event.original"),
        (json!({ "a.b": event, "a": { "b": altered } }), "a.b"),
    ];
    for (line, field) in lines {
        let mut command = ctverify();
        command.env("CTVERIFY_FROM", mirror.dir()).env("CTVERIFY_KEYS", mirror.keys());
        command.env("CTVERIFY_MATCH_FIELD", field);
        let found = matched(command, &line.to_string());
        assert_eq!((found.code, &parsed(&found)[0]["result"]), (0, &json!("genuine")), "{field}: {}", found.stderr);
    }
    let mut command = ctverify();
    command.env("CTVERIFY_FROM", mirror.dir()).env("CTVERIFY_KEYS", mirror.keys());
    command.env("CTVERIFY_MATCH_FIELD", "_source.message");
    let found = matched(command, &json!({ "_source": { "event": event } }).to_string());
    let says = "line 1 of standard input has no field '_source.message'";
    assert!(found.code == 2 && found.stderr.contains(says), "{}", found.stderr);
}

/// What `ctverify events` has written, its summary included, is genuine; so is what jq made of it.
#[test]
fn emitted_events_are_genuine() {
    let mirror = copy_of(&organization_spec().forge());
    let all = run(&mut events_of(&mirror));
    let (events, _) = emitted(&all);
    let found = matched_in(&mirror, &all.stdout);
    assert_eq!((found.code, parsed(&found).len()), (0, events.len()), "{}", found.stderr);
    assert!(parsed(&found).iter().all(|result| result["result"] == "genuine"));
}

/// Every record that JSON permits is compared: no number, text or depth ends the run.
#[test]
fn odd_records_are_genuine_too() {
    let mut trail = defects::small_trail();
    let (_, key) = an_event(&trail);
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let odd = [
        r#"{"eventID":"1","n":18446744073709551617,"e":1e400,"f":0.1}"#.to_owned(),
        r#"{"eventID":"2","a":"cut short\ud83d","\ud83d":1}"#.to_owned(),
        format!("{{\"eventID\":\"3\",\"deep\":{deep}}}"),
        "{\"eventID\":\"4\",\"a\":\"A\u{7f}B\"}".to_owned(),
    ];
    trail.redeliver(&key, format!("{{\"Records\":[{}]}}", odd.join(",")).as_bytes());
    let mirror = copy_of(&trail);
    let all = run(&mut events_of(&mirror));
    let found = matched_in(&mirror, &format!("\u{feff}{}", all.stdout));
    assert_eq!(found.code, 0, "{}", found.stderr);
    assert!(parsed(&found).iter().all(|result| result["result"] == "genuine"));
    for (given, differs) in [
        (r#"{"eventID":"1","n":18446744073709551999,"e":1e400,"f":0.1}"#, "n"),
        (r#"{"eventID":"1","n":18446744073709551617,"e":1e400,"f":0.1000000000000000055511}"#, "f"),
        (r#"{"eventID":"1","n":18446744073709551617,"e":1e400,"f":0.2,"f":0.1}"#, "f"),
    ] {
        let found = matched_in(&mirror, given);
        assert_eq!((found.code, &parsed(&found)[0]["differs"]), (1, &json!([differs])), "{}", found.stdout);
    }
    let proven = event_of(&mirror, &["4", "--format", "jsonl"]).stdout;
    assert!(proven.starts_with(&format!("{{\"event\":{},", odd[3])), "{proven}");
}

/// A proven log file whose events can't be read may have the event.
#[test]
fn a_file_that_cannot_be_searched_is_told() {
    let mut trail = defects::small_trail();
    let (event, key) = an_event(&trail);
    let id = event["eventID"].as_str().unwrap();
    trail.redeliver(&key, format!("{{\"Records\":[{event}],\"Records\":[]}}").as_bytes());
    let mirror = copy_of(&trail);
    let found = event_of(&mirror, &[id]);
    assert!(found.code == 3 && found.stdout.contains("whose events can't be read: 1"), "{}", found.stdout);
    let mut given = event.clone();
    given["recipientAccountId"] = json!("111122223333");
    let result = parsed(&matched_in(&mirror, &given.to_string())).remove(0);
    assert_eq!((&result["result"], &result["covered"]), (&json!("not_found"), &json!(false)));
    // Of another region, no chain was verified.
    given["awsRegion"] = json!("eu-west-1");
    let result = parsed(&matched_in(&mirror, &given.to_string())).remove(0);
    assert_eq!(result["detail"], "no chain of its account and region was verified");
}

#[test]
fn what_names_no_event_is_refused() {
    let mirror = copy_of(&defects::small_trail());
    for (lines, says) in [
        ("", "has no event"),
        ("{\"eventID\":\"1\"}\nnot JSON\n", "line 2 of standard input is no JSON object"),
        ("{\"a\":1}\n", "line 1 of standard input has no event with an eventID"),
    ] {
        let found = matched_in(&mirror, lines);
        assert!(found.code == 2 && found.stderr.contains(says), "{lines}: {}", found.stderr);
    }
    for (arguments, says) in [
        (vec![], "required arguments"),
        (vec!["id", "--match", "x"], "cannot be used with"),
        (vec!["id", "--depth", "presence"], "--depth presence reads none"),
        (vec!["--match", "/nonexistent"], "can't be read"),
    ] {
        let found = event_of(&mirror, &arguments);
        assert!(found.code == 2 && found.stderr.contains(says), "{arguments:?}: {}", found.stderr);
    }
}
