//! The events of units, as a table that they share.

use std::path::Path;

use ctverify_testkit::{Server, ServerOptions, Stored, gunzip, gzip};
use serde_json::Value;

use super::distributed::Distributed;
use super::same_as_one_machine::{every_defect, minutes_from};
use crate::events::table::files;
use crate::support::{Run, ctverify_at, outside_agrees, run};

/// Verifies all units of a plan, and writes their events to a folder.
fn verify_all(plan: &Distributed<'_>, table: &Path) -> Run {
    let units: Vec<String> = plan.units().iter().map(|unit| unit.unit.to_string()).collect();
    run(plan.shard().args(["--quiet", "--unit", &units.join(","), "--events-parquet"]).arg(table))
}

/// The lines of a run about its units.
fn lines(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_events_of_all_units_are_those_of_one_machine() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    let [start, end] = minutes_from(&trail, &[-50, 430])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--start", &start, "--end", &end];
    let plan = Distributed::plan(&server, &arguments).recut(&minutes_from(&trail, &[190]), &[8]);
    let folder = tempfile::tempdir().unwrap();
    let (table, single) = (folder.path().join("lake"), folder.path().join("events.jsonl"));
    let verified = verify_all(&plan, &table);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    run(ctverify_at(&server).arg("events").args(arguments).arg("--output").arg(&single));
    let said = outside_agrees("table.py", &[table.as_os_str(), single.as_os_str()]);
    let events = |line: &Value| line["events"]["events"].as_u64().unwrap();
    let sum: u64 = lines(&verified).iter().map(events).sum();
    assert!(sum > 0 && said.is_none_or(|said| said.contains(&format!("{sum} events agree"))));
    // A unit that is done is not verified again.
    let before = files(&table);
    let again = verify_all(&plan, &table);
    assert!(lines(&again).iter().all(|line| line["kept"] == true && line["events"].is_null()), "{}", again.stdout);
    // One whose events are not noted is, also beside its result, and gives the same files.
    let notes: Vec<_> = before.keys().filter(|name| name.starts_with("_units")).collect();
    assert_eq!(notes.len(), plan.units().len());
    std::fs::remove_file(table.join(notes[0])).unwrap();
    let again = verify_all(&plan, &table);
    assert_eq!(lines(&again).iter().filter(|line| line["kept"] == false).count(), 1, "{}", again.stdout);
    assert_eq!(files(&table), before);
    // The note has the files of the unit and their events.
    let note: Value = serde_json::from_slice(&before[notes[0]]).unwrap();
    assert_eq!((&note["unit"], &note["plan"]), (&Value::from(0), &Value::from(plan.manifest().sha256)));
    let of_files: u64 = note["files"].as_array().unwrap().iter().map(|file| file["events"].as_u64().unwrap()).sum();
    assert_eq!(note["events"], of_files);
    // A file that is not the unit's own is not overwritten.
    let file = note["files"][0]["name"].as_str().unwrap();
    std::fs::remove_file(table.join(notes[0])).unwrap();
    std::fs::write(table.join(file), "other").unwrap();
    let refused = verify_all(&plan, &table);
    assert!(refused.code == 2 && refused.stderr.contains("is not the file that this unit gives"), "{}", refused.stderr);
    assert_eq!(std::fs::read(table.join(file)).unwrap(), b"other");
}

#[test]
fn the_table_may_lie_in_a_bucket() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    server.make_bucket("lake", "us-east-1");
    let [start, end] = minutes_from(&trail, &[0, 200])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--start", &start, "--end", &end];
    let plan = Distributed::plan(&server, &arguments);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(verify_all(&plan, folder.path()).code, 0);
    let unit = |more: &[&str]| {
        let mut command = ctverify_at(&server);
        run(command.arg("shard").arg("--plan").arg(plan.plan_folder()).args(["--unit", "0"]).args(more))
    };
    // Twice: what is there already is the same.
    for _ in 0..2 {
        let found = unit(&["--events-parquet", "s3://lake/proven"]);
        assert_eq!(found.code, 0, "{}", found.stderr);
    }
    let of_unit = files(folder.path());
    let of_unit = of_unit.iter().filter(|(name, _)| name.to_string_lossy().contains("unit-000000"));
    let mut count = 0;
    for (name, content) in of_unit {
        let object = server.object("lake", &format!("proven/{}", name.display())).unwrap();
        assert!(object.body == *content, "{}", name.display());
        count += 1;
    }
    assert!(count > 1);
    let inside = unit(&["--events-parquet", &format!("s3://{}/lake", trail.spec.bucket)]);
    assert!(inside.code == 2 && inside.stderr.contains("--events-parquet lies in"), "{}", inside.stderr);
}

#[test]
fn a_plan_that_reads_no_log_files_has_no_events() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--end", "2026-03-01T01:00:00Z", "--depth", "presence"];
    let plan = Distributed::plan(&server, &arguments);
    let folder = tempfile::tempdir().unwrap();
    let refused = verify_all(&plan, folder.path());
    assert!(refused.code == 2 && refused.stderr.contains("--depth presence"), "{}", refused.stderr);
}

/// A unit whose objects changed between two attempts: events of one are never beside the result of the other.
#[test]
fn events_are_those_of_the_units_result() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    let [start, end] = minutes_from(&trail, &[0, 200])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let bucket = trail.spec.bucket.as_str();
    let plan = Distributed::plan(&server, &["--bucket", bucket, "--start", &start, "--end", &end]);
    let folder = tempfile::tempdir().unwrap();
    let unit = |more: &[&str]| run(plan.shard().args(["--quiet", "--unit", "0"]).args(more));
    let with_events = || unit(&["--events-parquet", folder.path().to_str().unwrap()]);
    // A log file that is intact later.
    let key = trail.chains[0].digests[1].document.log_files[0].s3_object.clone();
    let genuine = server.object(bucket, &key).unwrap();
    let changed = gzip(&[&gunzip(&genuine.body).unwrap()[..], b" "].concat());
    let changed = Stored { body: changed.into(), ..genuine.clone() };
    server.put(bucket, &key, changed.clone());
    assert_eq!(unit(&[]).code, 0);
    server.put(bucket, &key, genuine.clone());
    let refused = with_events();
    assert!(refused.code == 2 && refused.stderr.contains("is another result of unit 0"), "{}", refused.stderr);
    assert!(files(folder.path()).is_empty());
    std::fs::remove_dir_all(plan.results()).unwrap();
    assert_eq!(with_events().code, 0);
    let first = files(folder.path());
    // The other way around: its events are there, and the result is made anew of other objects.
    std::fs::remove_dir_all(plan.results()).unwrap();
    server.put(bucket, &key, changed);
    let refused = with_events();
    assert!(
        refused.code == 2 && refused.stderr.contains("names the events of another result of unit 0"),
        "{}",
        refused.stderr
    );
    assert!(files(folder.path()) == first);
    // Without one of its files, a unit is not done.
    std::fs::remove_dir_all(plan.results()).unwrap();
    server.put(bucket, &key, genuine);
    let name = first.keys().find(|name| name.starts_with("day=2026-03-01")).unwrap();
    std::fs::remove_file(folder.path().join(name)).unwrap();
    assert_eq!(with_events().code, 0);
    assert!(files(folder.path()) == first);
}
