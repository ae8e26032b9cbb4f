//! The forms in which events are written, and where to.

use std::process::Stdio;

use ctverify_testkit::{TrailSpec, defects, gzip};
use serde_json::{Value, json};

use super::{copy_of, emitted, events_of};
use crate::support::{Mirror, organization_spec, outside_agrees, run};

fn parsed(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_format_has_each_event() {
    let mirror = copy_of(&defects::small_trail());
    let (events, _) = emitted(&run(&mut events_of(&mirror)));
    let records: Vec<Value> = events.iter().map(|(event, _)| serde_json::from_str(event).unwrap()).collect();
    let in_format = |format: &str| run(events_of(&mirror).args(["--format", format])).stdout;
    assert_eq!(in_format("raw"), events.iter().map(|(event, _)| format!("{event}\n")).collect::<String>());
    let timesketch = parsed(&in_format("timesketch"));
    let lookup = parsed(&in_format("lookup-events"));
    let mut rows = csv::Reader::from_reader(std::io::Cursor::new(in_format("csv")));
    let columns = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let table = in_format("table");
    assert_eq!([timesketch.len(), lookup.len(), rows.len(), table.lines().count() - 1], [events.len(); 4]);
    for (index, record) in records.iter().enumerate() {
        let time = record["eventTime"].as_str().unwrap();
        assert_eq!(timesketch[index]["datetime"], time.replace('Z', "+00:00"));
        assert_eq!(timesketch[index]["cloud_trail_event"], events[index].0);
        assert!(timesketch[index]["message"].as_str().unwrap().contains(record["eventName"].as_str().unwrap()));
        assert_eq!(lookup[index]["EventTime"], time.replace('T', " ").replace('Z', "+00:00"));
        assert_eq!(lookup[index]["CloudTrailEvent"], events[index].0);
        let cell = |column: &str| &rows[index][columns.iter().position(|name| name == column).unwrap()];
        assert_eq!((cell("event_time"), cell("event_name")), (time, record["eventName"].as_str().unwrap()));
        assert_eq!(cell("index"), events[index].1["index"].to_string());
        assert_eq!(cell("sha256"), events[index].1["sha256"].as_str().unwrap());
        let line = table.lines().nth(index + 1).unwrap();
        assert!(line.starts_with(time) && line.contains(record["eventName"].as_str().unwrap()), "{line}");
    }
}

#[test]
fn counts_have_a_row_for_each_chain() {
    let spec = organization_spec();
    let (accounts, regions) = (spec.accounts.clone(), spec.regions.clone());
    let mirror = copy_of(&spec.forge());
    let count = |arguments: &[&str]| run(events_of(&mirror).args(["--count-by", "account,region"]).args(arguments));
    let all = parsed(&count(&[]).stdout);
    let (groups, summary) = (&all[..all.len() - 1], &all[all.len() - 1]["summary"]);
    assert_eq!(groups.len(), accounts.len() * regions.len());
    let sum: u64 = groups.iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!(summary["events"], sum);
    assert!(groups.iter().all(|group| group["first"].as_str() <= group["last"].as_str()));
    // The accounts from which nothing comes are those that an auditor looks for.
    let table = count(&["--event-account", &accounts[0], "--format", "table"]).stdout;
    let silent = table.lines().filter(|line| line.trim_start().starts_with("0 ") && line.contains(&accounts[1]));
    assert_eq!(silent.count(), regions.len(), "{table}");
    let by_name = run(events_of(&mirror).args(["--count-by", "eventSource,eventName", "--format", "csv"])).stdout;
    assert!(by_name.starts_with("count,first,last,eventSource,eventName\n"), "{by_name}");
}

#[test]
fn a_file_appears_once_it_is_complete() {
    let mirror = copy_of(&defects::small_trail());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let found = run(events_of(&mirror).arg("--output").arg(&path));
    assert_eq!((found.code, &*found.stdout), (0, ""));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), run(&mut events_of(&mirror)).stdout);
    // A run that fails leaves what was there.
    let failed = run(events_of(&mirror).arg("--output").arg(&path).args(["--keys", "/nonexistent"]));
    assert!(failed.code == 2 && std::fs::read_dir(folder.path()).unwrap().count() == 1, "{}", failed.stderr);
}

#[test]
fn the_verification_has_its_reports_beside_the_events() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    trail.replace(&key, gzip(b"{}"));
    let mirror = copy_of(&trail);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("records.jsonl");
    let found = run(events_of(&mirror).arg("--report").arg(format!("jsonl={}", report.display())));
    let records = parsed(&std::fs::read_to_string(&report).unwrap());
    assert_eq!((found.code, &records.last().unwrap()["verdict"]), (1, &json!("violated")));
    assert!(records.iter().any(|record| record["status"] == "modified"));
    assert_eq!(
        found.stderr.lines().skip(1).collect::<Vec<_>>(),
        ["log files left out, because they are not proven: 1 modified", "verdict on the logs: violated"]
    );
}

#[test]
fn a_reader_that_leaves_ends_the_run() {
    let trail = TrailSpec { hours: 30, log_files: 20, events: 60, ..TrailSpec::default() }.forge();
    let mirror = copy_of(&trail);
    let mut child = events_of(&mirror).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(4), String::new()));
}

#[test]
fn quiet_is_silent_when_all_is_well() {
    let mirror = copy_of(&defects::small_trail());
    assert_eq!(run(events_of(&mirror).arg("--quiet")).stderr, "");
    let mut trail = defects::small_trail();
    trail.remove(&trail.chains[0].digests[3].document.log_files[0].s3_object.clone());
    assert!(run(events_of(&copy_of(&trail)).arg("--quiet")).stderr.contains("not proven: 1 deleted"));
}

/// A reading by Python's standard library, from the digests on: each event stands in a log file whose
/// hash a digest lists, byte for byte, and none of an intact file is missing.
#[test]
fn python_finds_the_same_events() {
    for apply in [None, defects::ALL.iter().find(|defect| defect.name == "log-modified").map(|defect| defect.apply)] {
        let mut trail = organization_spec().forge();
        if let Some(apply) = apply {
            trail = defects::small_trail();
            apply(&mut trail);
        }
        let mirror: Mirror = copy_of(&trail);
        let folder = tempfile::tempdir().unwrap();
        let (events, records) = (folder.path().join("events.jsonl"), folder.path().join("records.jsonl"));
        let mut command = events_of(&mirror);
        command.arg("--output").arg(&events).arg("--report").arg(format!("jsonl={}", records.display()));
        run(&mut command);
        let arguments = [mirror.dir(), records, events];
        let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(|path| path.as_os_str()).collect();
        let Some(said) = outside_agrees("events.py", &arguments) else { return };
        assert!(said.contains("events agree"), "{said}");
    }
}
