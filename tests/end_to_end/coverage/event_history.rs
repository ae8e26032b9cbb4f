//! `--event-history`: CloudTrail's answers about gaps, which are not signed.

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, TrailSpec};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Run, ctverify, ctverify_at, range_of, records, run};

const ACCOUNT: &str = "111122223333";

/// A trail of two regions that was off for two hours, which ended some hours ago.
fn stopped() -> ForgedTrail {
    let regions = ["eu-west-1", "us-east-1"].map(str::to_owned).to_vec();
    let now = Timestamp::now().as_second();
    let start = Timestamp::from_second(now - now.rem_euclid(3600) - 20 * 3600).unwrap();
    TrailSpec {
        home_region: "eu-west-1".to_owned(),
        regions,
        stopped: vec![4, 5],
        hours: 9,
        start,
        ..TrailSpec::default()
    }
    .forge()
}

/// The begin and the end of the gap in a region.
fn gap_of(trail: &ForgedTrail, region: usize) -> (Timestamp, Timestamp) {
    let digests = &trail.chains[region].digests;
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    (time(&digests[3].document.digest_end_time), time(&digests[4].document.digest_start_time))
}

fn call(id: &str, name: &str, region: &str, at: Timestamp) -> Value {
    json!({
        "eventTime": at.to_string(), "eventID": id, "eventName": name, "awsRegion": region, "readOnly": false,
        "eventSource": "cloudtrail.amazonaws.com", "requestParameters": {"name": "management-events"},
        "userIdentity": {"arn": "arn:aws:iam::111122223333:user/mallory"}, "sourceIPAddress": "198.51.100.7",
    })
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Verifies with `--event-history`.
fn ask(server: &Server, trail: &ForgedTrail, more: &[&str]) -> Run {
    records(ctverify_at(server).args(range_of(trail)).arg("--event-history").args(more))
}

fn gaps(run: &Run) -> Vec<&Value> {
    run.of("gap").into_iter().filter(|gap| gap["cause"] == "logging_stopped").collect()
}

/// The history of a trail that was stopped: the calls that stopped and started it, and others.
fn history(trail: &ForgedTrail) -> Vec<Value> {
    let ((from, to), (from_in_us, _)) = (gap_of(trail, 0), gap_of(trail, 1));
    let mut history = vec![
        call("stop", "StopLogging", "eu-west-1", from.min(from_in_us) - minutes(3)),
        call("start", "StartLogging", "eu-west-1", to + minutes(1)),
        call("other-trail", "StopLogging", "eu-west-1", from + minutes(1)),
    ];
    history[2]["requestParameters"]["name"] = json!("another");
    for index in 0..120 {
        history.push(call(&format!("role-{index}"), "CreateRole", "us-east-1", from_in_us + minutes(2 + index % 60)));
    }
    let mut read = call("read", "ListRoles", "us-east-1", from_in_us + minutes(9));
    read["readOnly"] = json!(true);
    history.push(read);
    history
}

#[test]
fn the_history_has_the_events_of_a_gap_and_the_call_that_stopped_the_logging() {
    let trail = stopped();
    let options = ServerOptions { event_history: history(&trail), ..ServerOptions::default() };
    let server = Server::start(&trail, options);
    let without = records(ctverify_at(&server).args(range_of(&trail)));
    assert!(gaps(&without).iter().all(|gap| gap.get("event_history").is_none()));
    assert_eq!(server.calls("LookupEvents"), 0);
    let found = ask(&server, &trail, &[]);
    assert_eq!((found.code, found.verdict()), (without.code, without.verdict()));
    let gaps = gaps(&found);
    let [home, other] = &*gaps else { panic!("{}", found.stdout) };
    // The call about another trail lies in the gap, too.
    for (gap, region, events) in [(home, "eu-west-1", 1), (other, "us-east-1", 120)] {
        let answer = &gap["event_history"];
        let detail = gap["detail"].as_str().unwrap();
        assert_eq!((&gap["explained_by"], &answer["calls"]["events"]), (&Value::Null, &json!(events)), "{detail}");
        assert_eq!(answer["calls"]["is_complete"], true);
        assert_eq!(answer["calls"]["newest"].as_array().unwrap().len(), events.min(50));
        assert_eq!(
            (&answer["logging"]["stopped_by"]["event_id"], &answer["logging"]["started_by"]["event_id"]),
            (&json!("stop"), &json!("start"))
        );
        let source = format!("the answer of CloudTrail at {}, not signed: ", server.url());
        let number = if events == 1 { "1 management event" } else { "120 management events" };
        for part in [
            format!("{source}the Event History of {ACCOUNT} in {region} has {number} with readOnly false, from "),
            format!("{source}the logging was stopped by StopLogging by arn:aws:iam::111122223333:user/mallory from"),
            "; the gap was ended by StartLogging".to_owned(),
            "unexplained: no proven event says that logging was stopped".to_owned(),
        ] {
            assert!(detail.contains(&part), "{part}: {detail}");
        }
    }
    // Three pages of events in one region, one in the other, one before the first digest there, and one
    // for each name of a call and gap.
    assert_eq!(server.calls("LookupEvents"), 3 + 1 + 1 + 2 * 5);
}

#[test]
fn a_proven_event_is_not_asked_for_again() {
    let mut trail = stopped();
    let stop = call("proven", "StopLogging", "eu-west-1", gap_of(&trail, 0).0.min(gap_of(&trail, 1).0) - minutes(3));
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    trail.redeliver(&key, json!({ "Records": [stop] }).to_string().as_bytes());
    let server = Server::start(&trail, ServerOptions::default());
    let found = ask(&server, &trail, &["--regions", "eu-west-1"]);
    let [gap] = &*gaps(&found) else { panic!("{}", found.stdout) };
    assert_eq!(gap["explained_by"]["event_id"], "proven");
    assert_eq!(gap["event_history"]["logging"], Value::Null);
    assert!(gap["detail"].as_str().unwrap().contains("has 0 management events with readOnly false, from "), "{gap}");
    assert_eq!(server.calls("LookupEvents"), 1);
}

#[test]
fn what_can_not_be_asked_is_told_with_the_gap() {
    let trail = stopped();
    let denied = ServerOptions { denied_actions: ["LookupEvents".to_owned()].into(), ..ServerOptions::default() };
    let other = ServerOptions { caller: Some("444455556666".to_owned()), ..ServerOptions::default() };
    for (options, part) in [
        (denied, "access denied: the caller needs cloudtrail:LookupEvents in eu-west-1"),
        (other, "these credentials are of the account 444455556666"),
    ] {
        let server = Server::start(&trail, options);
        let found = ask(&server, &trail, &["--regions", "eu-west-1"]);
        let [gap] = &*gaps(&found) else { panic!("{}", found.stdout) };
        assert_eq!((found.code, gap.get("event_history")), (3, None));
        let detail = gap["detail"].as_str().unwrap();
        let what = format!("the Event History of {ACCOUNT} in eu-west-1 gives no answer");
        assert!(detail.contains(&format!("{what}: {part}")), "{detail}");
        assert!(detail.contains(&format!("{what} about calls that stopped the logging: {part}")), "{detail}");
    }
}

/// Found by an attack: events without a record were not counted, and could hide the call.
#[test]
fn an_event_without_a_record_counts_and_leaves_the_question_open() {
    let trail = stopped();
    let (from, _) = gap_of(&trail, 0);
    let event_history = vec![call("without-record", "StopLogging", "eu-west-1", from + minutes(2))];
    let server = Server::start(&trail, ServerOptions { event_history, ..ServerOptions::default() });
    let found = ask(&server, &trail, &["--regions", "eu-west-1"]);
    let [gap] = &*gaps(&found) else { panic!("{}", found.stdout) };
    let answer = &gap["event_history"];
    assert_eq!((&answer["calls"]["events"], &answer["calls"]["newest"]), (&json!(1), &json!([])));
    assert_eq!(answer["logging"], Value::Null);
    let part = "no answer about calls that stopped the logging: it has StopLogging calls without a record";
    assert!(gap["detail"].as_str().unwrap().contains(part), "{gap}");
}

/// Found by an attack: a trail that was stopped more than 90 days ago was said to have no call that
/// explains it.
#[test]
fn times_of_which_there_is_no_history_are_not_asked_about() {
    let spec = TrailSpec { stopped: vec![4, 5], hours: 9, ..TrailSpec::default() };
    let trail = TrailSpec { start: "2025-03-01T00:00:00Z".parse().unwrap(), ..spec }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let found = ask(&server, &trail, &[]);
    let detail = gaps(&found)[0]["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail.matches("it keeps 90 days, and this is older").count(), 2, "{detail}");
    assert_eq!(server.calls("LookupEvents"), 0);
    // The gap after the last digest goes on, and its begin is not in the history.
    let found = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--event-history"]));
    let last = found.of("gap").into_iter().find(|gap| gap["cause"] == "after_last_digest").unwrap().clone();
    assert_eq!(
        (&last["event_history"]["calls"]["events"], &last["event_history"]["logging"]),
        (&json!(0), &Value::Null)
    );
    let detail = last["detail"].as_str().unwrap();
    assert!(detail.contains("it keeps 90 days, and the gap began before them or shortly after"), "{detail}");
}

/// Found by an attack: planted names of trails took requests that the gaps of real ones needed.
#[test]
fn a_chain_that_nothing_proves_is_not_asked_about() {
    let mut trail = stopped();
    let keys: Vec<_> = trail.objects.keys().filter(|(_, key)| key.contains("CloudTrail-Digest")).cloned().collect();
    for key in keys {
        trail.objects.get_mut(&key).unwrap().body = vec![0; 9].into();
    }
    let server = Server::start(&trail, ServerOptions::default());
    let found = records(ctverify_at(&server).args(["--bucket", &trail.spec.bucket, "--event-history"]));
    let asked = found.of("gap").into_iter().filter(|gap| gap["cause"] != "not_yet_delivered");
    let details = asked.map(|gap| gap["detail"].as_str().unwrap().to_owned());
    let details: Vec<String> = details.collect();
    let says = "; the Event History was not asked about it, as no digest of the chain is valid";
    assert!(!details.is_empty() && details.iter().all(|detail| detail.ends_with(says)), "{details:?}");
    assert_eq!(server.calls("LookupEvents"), 0);
}

#[test]
fn a_local_copy_has_no_event_history() {
    let refused = run(ctverify().args(["--from", ".", "--keys", "keys.json", "--event-history"]));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--event-history asks CloudTrail about gaps"), "{}", refused.stderr);
}
