//! Gaps and the proven events that explain them.

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, TrailSpec};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Mirror, Run, ctverify_at, range_of, run, verify_folder};

/// A trail of two regions that was off for two hours, and the begin and end of the gap in each region.
pub(crate) struct Stopped {
    pub(crate) trail: ForgedTrail,
    pub(crate) gaps: Vec<(Timestamp, Timestamp)>,
}

/// The last digest before the stop, and the first after it.
pub(crate) const LAST: usize = 3;
pub(crate) const NEXT: usize = 4;

impl Stopped {
    pub(crate) fn new() -> Self {
        let regions = ["eu-west-1", "us-east-1"].map(str::to_owned).to_vec();
        let home_region = "eu-west-1".to_owned();
        let trail = TrailSpec { home_region, regions, stopped: vec![4, 5], hours: 9, ..TrailSpec::default() }.forge();
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let gaps = trail.chains.iter().map(|chain| {
            let documents = [LAST, NEXT].map(|index| &chain.digests[index].document);
            (time(&documents[0].digest_end_time), time(&documents[1].digest_start_time))
        });
        Self { gaps: gaps.collect(), trail }
    }

    pub(crate) fn stopped_at(&self) -> Timestamp {
        self.gaps.iter().map(|gap| gap.0).min().unwrap() - SignedDuration::from_mins(3)
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.gaps.iter().map(|gap| gap.1).max().unwrap() + SignedDuration::from_mins(1)
    }

    /// Puts calls into the first log file of a digest of the home region.
    pub(crate) fn put(&mut self, digest: usize, calls: &[Value]) -> String {
        let key = self.trail.chains[0].digests[digest].document.log_files[0].s3_object.clone();
        self.trail.redeliver(&key, json!({ "Records": calls }).to_string().as_bytes());
        key
    }
}

pub(crate) fn call(name: &str, at: Timestamp, parameters: Value) -> Value {
    json!({
        "eventTime": at.to_string(), "eventID": format!("id-{name}"), "eventName": name, "awsRegion": "eu-west-1",
        "eventSource": "cloudtrail.amazonaws.com", "requestParameters": parameters,
        "userIdentity": {"arn": "arn:aws:iam::111122223333:user/mallory"}, "sourceIPAddress": "198.51.100.7",
    })
}

pub(crate) fn of_trail() -> Value {
    json!({"name": "management-events"})
}

pub(crate) fn gaps(run: &Run) -> Vec<Value> {
    run.of("gap").into_iter().filter(|gap| gap["cause"] == "logging_stopped").cloned().collect()
}

#[test]
fn the_events_that_stopped_and_started_the_logging_explain_a_gap() {
    let mut stopped = Stopped::new();
    let (from, to) = (stopped.stopped_at(), stopped.started_at());
    let key = stopped.put(LAST, &[call("StopLogging", from, of_trail())]);
    let arn = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/management-events";
    stopped.put(NEXT, &[call("StartLogging", to, json!({"name": arn}))]);
    let server = Server::start(&stopped.trail, ServerOptions::default());
    let verify = |arguments: &[&str]| {
        let mut command = ctverify_at(&server);
        command.args(range_of(&stopped.trail)).args(arguments);
        crate::support::records(&mut command)
    };
    let by_copy = verify_folder(&stopped.trail);
    for (found, regions) in [(verify(&[]), 2), (verify(&["--regions", "us-east-1"]), 1), (by_copy, 2)] {
        let gaps = gaps(&found);
        assert_eq!((found.code, gaps.len()), (3, regions), "{}", found.stdout);
        for gap in gaps {
            let expected = json!({
                "event_id": "id-StopLogging", "event_time": from.to_string(), "event_name": "StopLogging",
                "arn": "arn:aws:iam::111122223333:user/mallory", "source_ip": "198.51.100.7",
                "bucket": "example-trail-logs", "key": key,
            });
            assert_eq!((&gap["explained_by"], &gap["ended_by"]["event_id"]), (&expected, &json!("id-StartLogging")));
            let detail = gap["detail"].as_str().unwrap();
            let says = format!(
                "; explained by the proven event StopLogging by arn:aws:iam::111122223333:user/mallory from \
                 198.51.100.7 at {from} (id-StopLogging); ended by the proven event StartLogging"
            );
            assert!(detail.contains(&says), "{detail}");
        }
    }
    // Of digests alone, no event is known.
    let shallow = gaps(&verify(&["--depth", "chain"]));
    assert!(shallow.iter().all(|gap| gap["explained_by"].is_null()), "{shallow:?}");
    assert!(!shallow[0]["detail"].as_str().unwrap().contains("explained"), "{shallow:?}");
}

/// A trail that was deleted, and made anew under its name.
#[test]
fn a_trail_that_was_deleted_and_created_anew_explains_a_gap() {
    let mut stopped = Stopped::new();
    let (from, to) = (stopped.stopped_at(), stopped.started_at());
    stopped.put(LAST, &[call("DeleteTrail", from, of_trail())]);
    let created = json!({"name": "management-events", "isMultiRegionTrail": true, "enableLogFileValidation": true});
    stopped.put(NEXT, &[call("CreateTrail", to, created)]);
    let found = gaps(&verify_folder(&stopped.trail));
    assert_eq!(found.len(), 2);
    for gap in found {
        let ids = (&gap["explained_by"]["event_id"], &gap["ended_by"]["event_id"]);
        assert_eq!(ids, (&json!("id-DeleteTrail"), &json!("id-CreateTrail")), "{gap}");
    }
}

/// A page shows who stopped the logging, in the list of gaps and on the timeline.
#[test]
fn the_page_shows_who_stopped_it() {
    let mut stopped = Stopped::new();
    let from = stopped.stopped_at();
    stopped.put(LAST, &[call("StopLogging", from, of_trail())]);
    let mirror = Mirror::new(&stopped.trail, Layout::Buckets, true);
    let page = mirror.dir().parent().unwrap().join("report.html");
    let made = run(mirror.command().arg("--report").arg(format!("html={}", page.display())));
    assert_eq!(made.code, 3, "{}", made.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("explained by the proven event StopLogging"), "{page}");
    assert!(page.contains(", StopLogging by arn:aws:iam::111122223333:user"), "{page}");
}

const UNDONE: &str = "what proven events stopped was started again before the gap";

#[test]
fn an_event_that_did_not_stop_the_logging_explains_nothing() {
    let stop = |mut call: Value, name: &str, value: Value| {
        call[name] = value;
        call
    };
    let long_before = SignedDuration::from_hours(3);
    for change in 0..6 {
        let mut stopped = Stopped::new();
        let at = stopped.stopped_at();
        let calls = match change {
            // None at all; one that failed; another trail; another region; too early; undone before.
            0 => vec![],
            1 => vec![stop(call("StopLogging", at, of_trail()), "errorCode", json!("AccessDenied"))],
            2 => vec![call("StopLogging", at, json!({"name": "another"}))],
            3 => vec![stop(call("StopLogging", at, of_trail()), "awsRegion", json!("us-east-1"))],
            4 => vec![call("StopLogging", at - long_before, of_trail())],
            _ => vec![
                call("StopLogging", at - SignedDuration::from_mins(9), of_trail()),
                call("StartLogging", at, of_trail()),
            ],
        };
        stopped.put(LAST, &calls);
        for gap in gaps(&verify_folder(&stopped.trail)) {
            let detail = gap["detail"].as_str().unwrap();
            let what = if change < 5 { "no proven event says that logging was stopped" } else { UNDONE };
            let says = format!("; unexplained: {what}, in the log files of 111122223333 eu-west-1 from ");
            assert!(gap["explained_by"].is_null() && detail.contains(&says), "{change}: {detail}");
        }
    }
}

/// A log file that is not proven explains nothing, and is told.
#[test]
fn a_file_that_is_not_proven_explains_nothing() {
    let mut stopped = Stopped::new();
    let at = stopped.stopped_at();
    let key = stopped.put(LAST, &[call("StopLogging", at, of_trail())]);
    stopped.trail.edit_content(&key, |content| [&content[..], b"\n"].concat());
    let found = gaps(&verify_folder(&stopped.trail));
    let detail = found[0]["detail"].as_str().unwrap();
    assert!(found[0]["explained_by"].is_null() && detail.contains("1 log file of it is not proven"), "{detail}");
}

/// Validation that is switched off stops the digests at once: the event is in a log file of the hours
/// before. A call that ends the logging of other regions explains nothing in the home region.
#[test]
fn validation_and_regions_that_were_switched_off_explain_a_gap() {
    for (parameters, expected) in [
        (json!({"name": "management-events", "enableLogFileValidation": false}), [true, true]),
        (json!({"name": "management-events", "isMultiRegionTrail": false}), [false, true]),
    ] {
        let mut stopped = Stopped::new();
        let at = stopped.stopped_at() - SignedDuration::from_mins(50);
        stopped.put(LAST - 1, &[call("UpdateTrail", at, parameters)]);
        let found = verify_folder(&stopped.trail);
        let is_explained = |gap: &Value| !gap["explained_by"].is_null();
        // Of the home region and of the other one.
        assert_eq!(gaps(&found).iter().map(is_explained).collect::<Vec<_>>(), expected, "{}", found.stdout);
    }
}

/// Found by an attack: digests that were removed long after a short stop were explained by that stop.
#[test]
fn a_stop_explains_no_more_than_the_time_until_logging_was_on_again() {
    let regions = ["eu-west-1", "us-east-1"].map(str::to_owned).to_vec();
    let home_region = "eu-west-1".to_owned();
    let trail = TrailSpec { home_region, regions, hours: 12, ..TrailSpec::default() }.forge();
    let ends = |chain: usize, digest: usize| {
        trail.chains[chain].digests[digest].document.digest_end_time.parse::<Timestamp>().unwrap()
    };
    let (from, of_home) = (ends(1, 3), ends(0, 3));
    let gone: Vec<String> = trail.chains[1].digests[4..].iter().map(|digest| digest.key.clone()).collect();
    let last = trail.chains[0].digests.last().unwrap().document.digest_end_time.clone();
    let mut stopped = Stopped { trail, gaps: Vec::new() };
    stopped.put(3, &[call("StopLogging", from.min(of_home) - SignedDuration::from_mins(3), of_trail())]);
    stopped.trail.objects.retain(|(_, key), _| !gone.contains(key));
    let mirror = Mirror::new(&stopped.trail, Layout::Buckets, true);
    let found = crate::support::records(mirror.command().args(["--end", &last]));
    let gap = found.of("gap").into_iter().find(|gap| gap["region"] == "us-east-1").unwrap().clone();
    assert_eq!((&gap["cause"], &gap["explained_by"]), (&json!("after_last_digest"), &Value::Null), "{gap}");
    let detail = gap["detail"].as_str().unwrap();
    let says = "ended the delivery of digests, and that was on again then";
    assert!(detail.contains("; unexplained from ") && detail.contains(says), "{detail}");
}

/// Found by an attack: UpdateTrail with a value that was set before hid the call that stopped the logging.
#[test]
fn a_call_that_sets_another_thing_undoes_no_stop() {
    let mut stopped = Stopped::new();
    let (from, to) = (stopped.stopped_at(), stopped.started_at());
    let parameters = json!({"name": "management-events", "enableLogFileValidation": true});
    let update = call("UpdateTrail", from + SignedDuration::from_mins(1), parameters);
    stopped.put(LAST, &[call("StopLogging", from, of_trail()), update.clone()]);
    stopped.put(NEXT, &[update, call("StartLogging", to, of_trail())]);
    for gap in gaps(&verify_folder(&stopped.trail)) {
        let ids = (&gap["explained_by"]["event_id"], &gap["ended_by"]["event_id"]);
        assert_eq!(ids, (&json!("id-StopLogging"), &json!("id-StartLogging")), "{gap}");
    }
}
