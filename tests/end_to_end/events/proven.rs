//! Which events come out: those of intact log files, all of them, byte for byte.

use std::collections::BTreeSet;

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, TrailSpec, defects};
use serde_json::json;

use super::{copy_of, emitted, events_at, events_of, permitted, records_in};
use crate::support::{ctverify_at, organization_spec, range_of, records, run, verify_folder, verify_s3};

/// The first log file of the first chain.
fn first_log_file(trail: &ForgedTrail) -> String {
    let digests = &trail.chains[0].digests;
    digests.iter().find_map(|digest| digest.document.log_files.first()).unwrap().s3_object.clone()
}

#[test]
fn on_every_defect_the_events_are_those_of_intact_files() {
    let mut left_out = BTreeSet::new();
    for defect in defects::ALL {
        let mut trail = defects::small_trail();
        (defect.apply)(&mut trail);
        for (verification, found) in [
            (verify_folder(&trail), run(&mut events_of(&copy_of(&trail)))),
            (verify_s3(&trail), {
                let (mut command, _server) = events_at(&trail);
                run(&mut command)
            }),
        ] {
            let (events, summary) = emitted(&found);
            assert!(events == permitted(&trail, &verification), "{}: {}", defect.name, found.stderr);
            assert_eq!(found.code, verification.code, "{}: {}", defect.name, found.stderr);
            assert_eq!(summary["verdict"], verification.verdict(), "{}", defect.name);
            assert_eq!(summary["events"], events.len(), "{}", defect.name);
            for (status, count) in summary["left_out"].as_object().unwrap() {
                assert_eq!(*count, verification.count("log_file", status), "{}: {status}", defect.name);
                left_out.insert(status.clone());
            }
        }
    }
    assert_eq!(left_out.iter().collect::<Vec<_>>(), ["deleted", "modified", "uncovered", "unverified"]);
}

#[test]
fn an_organization_trail_comes_chain_by_chain() {
    let mut trail = organization_spec().forge();
    trail.edit_content(&first_log_file(&trail), |content| [&content[..], b" "].concat());
    let verification = verify_folder(&trail);
    let found = run(&mut events_of(&copy_of(&trail)));
    let (events, summary) = emitted(&found);
    assert!(events == permitted(&trail, &verification), "{}", found.stderr);
    assert_eq!((found.code, &summary["left_out"]), (1, &json!({ "modified": 1 })));
    let accounts: BTreeSet<_> = events.iter().map(|(_, proof)| proof["account"].as_str().unwrap()).collect();
    assert_eq!(accounts.len(), 2);
}

#[test]
fn a_planted_log_file_has_no_events() {
    let mut trail = defects::small_trail();
    let key = first_log_file(&trail);
    let genuine = trail.objects[&(trail.spec.bucket.clone(), key.clone())].clone();
    let planted = format!("{}_planted000000000.json.gz", key.rsplit_once('_').unwrap().0);
    trail.objects.insert((trail.spec.bucket.clone(), planted), genuine);
    let (events, summary) = emitted(&run(&mut events_of(&copy_of(&trail))));
    assert!(events == permitted(&trail, &verify_folder(&trail)));
    assert_eq!((&summary["left_out"], &summary["duplicate_event_ids"]), (&json!({ "unlisted": 1 }), &json!(0)));
}

/// CloudTrail's own text is kept: escapes, numbers and spaces.
#[test]
fn records_keep_their_bytes() {
    let mut trail = defects::small_trail();
    let key = first_log_file(&trail);
    let odd = [
        r#"{"eventID":"1","a":"\/\u00fc\ud83d\ude00","n":1.0,"big":9007199254740993,"e":-0.0e+10}"#,
        r#"{ "eventID" : "2" , "a":[ ] , "a":null }"#,
        r#"{}"#,
    ];
    trail.redeliver(&key, format!("{{\"other\":[{{}}],\"Records\":[{}]}}", odd.join(" , ")).as_bytes());
    let (events, summary) = emitted(&run(&mut events_of(&copy_of(&trail))));
    let of_file: Vec<&str> =
        events.iter().filter(|(_, proof)| proof["key"] == *key).map(|(event, _)| event.as_str()).collect();
    assert_eq!(of_file, odd);
    assert_eq!((&summary["verdict"], &summary["left_out"]), (&json!("verified"), &json!({})));
}

#[test]
fn a_proven_file_in_another_form_is_left_out_as_a_whole() {
    for content in [
        "",
        "{}",
        "not JSON",
        "{\"Records\":[{\"eventID\":\"1\"},{\"eventID\":\"2\"}",
        "{\"Records\":[{\"eventID\":\"1\"}]} ]",
        "{\"Records\":[{\"eventID\":\"1\"},7]}",
    ] {
        let mut trail = defects::small_trail();
        let key = first_log_file(&trail);
        trail.redeliver(&key, content.as_bytes());
        let found = run(&mut events_of(&copy_of(&trail)));
        let (events, summary) = emitted(&found);
        assert!(events.iter().all(|(_, proof)| proof["key"] != *key) && !events.is_empty(), "{content}");
        assert_eq!((&summary["left_out"], found.code), (&json!({ "other_form": 1 }), 0), "{content}");
        assert!(found.stderr.contains(&key), "{content}: {}", found.stderr);
        let counted = run(events_of(&copy_of(&trail)).args(["--count-by", "account"]));
        assert!(counted.stdout.starts_with(&format!("{{\"count\":{},", events.len())), "{}", counted.stdout);
    }
}

#[test]
fn aggregated_events_are_an_array() {
    let mut trail = defects::small_trail();
    let key = first_log_file(&trail);
    let event = r#"{"eventVersion":"1.0","accountId":"111122223333","eventId":"e-1","eventCategory":"Aggregated",
"timeWindow":{"windowStart":"2026-03-01T00:00:00Z","windowEnd":"2026-03-01T00:05:00Z","windowSize":"PT5M"}}"#;
    trail.redeliver(&key, format!("[{event},{{}}]").as_bytes());
    let mirror = copy_of(&trail);
    let (events, _) = emitted(&run(&mut events_of(&mirror)));
    let of_file: Vec<_> = events.iter().filter(|(_, proof)| proof["key"] == *key).collect();
    assert_eq!((of_file.len(), &*of_file[0].0), (2, &*event.replace('\n', " ")));
    for condition in [["--event-id", "e-1"], ["--category", "aggregated"], ["--before", "2026-03-01T00:00:01Z"]] {
        let (events, _) = emitted(&run(events_of(&mirror).args(condition)));
        assert!(events.iter().any(|(event, _)| event.contains("\"e-1\"")), "{condition:?}");
    }
}

/// The records of every log folder come out, and none of a file that nobody listed there.
#[test]
fn every_log_folder_has_events() {
    for (folder, content) in [
        (
            "CloudTrail-Insight",
            r#"{"Records":[{"eventID":"e","eventCategory":"Insight","insightDetails":{"state":"Start"}}]}"#,
        ),
        ("CloudTrail-NetworkActivity", r#"{"Records":[{"eventID":"e","eventCategory":"NetworkActivity"}]}"#),
        ("CloudTrail-Aggregated", r#"[{"eventId":"e","accountId":"111122223333","eventCategory":"Aggregated"}]"#),
    ] {
        let mut trail = defects::small_trail();
        let like = first_log_file(&trail);
        let digest = trail.chains[0].digests.iter().position(|digest| !digest.document.log_files.is_empty()).unwrap();
        let [listed, planted] = ["AAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBB"].map(|unique| {
            let (begin, _) = like.rsplit_once('_').unwrap();
            format!(
                "{}_{unique}.json.gz",
                begin.replace("/CloudTrail/", &format!("/{folder}/")).replace("_CloudTrail_", &format!("_{folder}_"))
            )
        });
        trail.deliver_beside(digest, &like, &listed, content.as_bytes());
        let stored = trail.object_mut(&listed).clone();
        trail.objects.insert((trail.spec.bucket.clone(), planted), stored);
        let (mut over_s3, _server) = events_at(&trail);
        for found in [run(&mut events_of(&copy_of(&trail))), run(&mut over_s3)] {
            let (events, summary) = emitted(&found);
            let of_folder: Vec<_> =
                events.iter().filter(|(_, proof)| proof["key"].as_str().unwrap().contains(folder)).collect();
            let [(event, proof)] = &*of_folder else { panic!("{folder}: {of_folder:?}, {}", found.stderr) };
            assert!(content.contains(event) && proof["key"] == *listed, "{event}");
            assert_eq!((found.code, &summary["left_out"]), (3, &json!({ "unlisted": 1 })), "{folder}");
        }
    }
}

/// A digest that its valid successor contradicts has a signature of its own: its log files are not
/// proven, and nothing of them comes out before that is known.
#[test]
fn nothing_comes_out_of_a_digest_that_its_successor_contradicts() {
    let mut trail = defects::small_trail();
    let victim = trail.chains[0].digests[3].clone();
    let end = victim.document.digest_end_time.parse().unwrap();
    let key = trail.spec.keys.signing_key(&trail.chains[0].region, end);
    let listed: Vec<String> = victim.document.log_files.iter().map(|file| file.s3_object.clone()).collect();
    trail.forge_digest(&victim, &key, |document| document.newest_event_time = document.oldest_event_time.clone());
    let verification = verify_folder(&trail);
    assert_eq!(verification.count("digest", "invalid"), 1, "{}", verification.stdout);
    let (events, _) = emitted(&run(&mut events_of(&copy_of(&trail))));
    assert!(!listed.is_empty() && !events.is_empty());
    assert!(events.iter().all(|(_, proof)| !listed.contains(&proof["key"].as_str().unwrap().to_owned())));
}

#[test]
fn a_body_that_breaks_off_is_read_anew_and_nothing_comes_twice() {
    let trail = TrailSpec { hours: 8, log_files: 6, events: 40, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions { faults: Some((3, 25)), ..ServerOptions::default() });
    let verification = records(ctverify_at(&server).args(range_of(&trail)));
    let (events, summary) = emitted(&run(ctverify_at(&server).arg("events").args(range_of(&trail))));
    assert!(events == permitted(&trail, &verification));
    assert_eq!((&summary["duplicate_event_ids"], &summary["verdict"]), (&json!(0), &json!("verified")));
}

#[test]
fn events_that_share_an_identifier_are_counted_and_kept() {
    let mut trail = defects::small_trail();
    let key = first_log_file(&trail);
    trail.redeliver(&key, br#"{"Records":[{"eventID":"x"},{"eventID":"x"},{"eventID":"y"},{"eventID":"x"},{},{}]}"#);
    let found = run(&mut events_of(&copy_of(&trail)));
    let (events, summary) = emitted(&found);
    assert_eq!(events.iter().filter(|(_, proof)| proof["key"] == *key).count(), 6);
    assert_eq!(summary["duplicate_event_ids"], 2);
    assert!(found.stderr.contains("events whose eventID another event had before them: 2"), "{}", found.stderr);
}

/// More than the memory for contents and extracts permits, so that both go through temporary files.
#[test]
fn large_log_files_come_out_whole() {
    let mut trail = defects::small_trail();
    let digests = trail.chains[0].digests.clone();
    let keys: Vec<String> =
        digests.iter().flat_map(|digest| &digest.document.log_files).map(|file| file.s3_object.clone()).collect();
    for (place, key) in keys.iter().enumerate() {
        let records: Vec<String> = (0..4000)
            .map(|index| {
                format!("{{\"eventID\":\"{place}-{index}\",\"eventName\":\"A\",\"pad\":\"{}\"}}", "x".repeat(900))
            })
            .collect();
        trail.redeliver(key, format!("{{\"Records\":[{}]}}", records.join(",")).as_bytes());
    }
    assert!(keys.len() > 5);
    let mirror = copy_of(&trail);
    let (events, summary) = emitted(&run(&mut events_of(&mirror)));
    assert_eq!((events.len(), &summary["verdict"]), (4000 * keys.len(), &json!("verified")));
    assert!(events.iter().enumerate().all(|(place, (_, proof))| proof["index"] == place % 4000));
    let (one, _) = emitted(&run(events_of(&mirror).args(["--event-id", "3-3999"])));
    assert_eq!(one.len(), 1);
}

#[test]
fn the_log_files_of_the_sample_pass_through_whole() {
    let sample = crate::support::testdata("sample-trail");
    let mut command = crate::support::ctverify();
    command.arg("events").arg("--from").arg(&sample).arg("--keys").arg(sample.join("keys.json"));
    let found = run(command.args(["--format", "raw"]));
    let mut expected = Vec::new();
    for file in crate::bag::bags::files(&sample).iter().filter(|file| file.to_string_lossy().contains("/CloudTrail/")) {
        let content = ctverify_testkit::gunzip(&std::fs::read(file).unwrap()).unwrap();
        expected.extend(records_in(std::str::from_utf8(&content).unwrap()));
    }
    let mut lines: Vec<&str> = found.stdout.lines().collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert!(!expected.is_empty() && lines == expected, "{}", found.stderr);
}
