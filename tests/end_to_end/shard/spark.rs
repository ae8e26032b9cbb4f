//! Units on a real Spark cluster: a master and two workers on loopback.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ctverify_testkit::{ACCESS_KEY, SECRET_KEY, Server, ServerOptions};

use super::distributed::{Distributed, assert_same};
use super::same_as_one_machine::{every_defect, minutes_from};
use crate::support::{ctverify_at, outside_agrees, records, run};

/// Runs a scenario on a cluster of its own, with the Python that a variable names; `None` if none does.
fn on_spark(python: &str, scenario: &str, plan: &Distributed<'_>, folder: &Path, more: &[&str]) -> Option<Output> {
    let Some(python) = std::env::var_os(python) else {
        assert!(std::env::var_os("CTVERIFY_TEST_ALL").is_none(), "{python} has to name a Python with PySpark");
        eprintln!("skipped: {python} names no Python with PySpark; tests/run installs it");
        return None;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.arg(root.join("tests/outside/spark.py")).arg(scenario);
    command.arg("--job").arg(root.join("deploy/spark/ctverify_spark.py"));
    command.arg("--ctverify").arg(env!("CARGO_BIN_EXE_ctverify"));
    command.arg("--plan").arg(plan.plan_folder().join("manifest.json")).arg("--keep").arg(folder).args(more);
    command.env("AWS_ENDPOINT_URL", plan.server.url()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    Some(command.output().unwrap())
}

#[track_caller]
fn assert_success(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn results(folder: &Path) -> PathBuf {
    folder.join("results")
}

#[test]
fn a_cluster_comes_to_the_records_of_one_machine_whatever_happens_to_its_workers() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    let [start, end] = minutes_from(&trail, &[-50, 430])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--start", &start, "--end", &end];
    let single = records(ctverify_at(&server).args(arguments));
    let plan = Distributed::plan(&server, &arguments).recut(&minutes_from(&trail, &[190]), &[8]);
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    run(ctverify_at(&server).arg("events").args(arguments).arg("--output").arg(&events));
    for (python, scenario) in
        [("CTVERIFY_TEST_SPARK", "run"), ("CTVERIFY_TEST_SPARK", "kill-worker"), ("CTVERIFY_TEST_SPARK_4", "run")]
    {
        let folder = folder.path().join(format!("{python}-{scenario}"));
        let Some(output) = on_spark(python, scenario, &plan, &folder, &[]) else { return };
        assert_success(&output);
        let merged = records(
            ctverify_at(&server)
                .arg("merge")
                .arg("--plan")
                .arg(plan.plan_folder())
                .arg("--results")
                .arg(results(&folder)),
        );
        assert_same(&merged, &single);
        outside_agrees("table.py", &[folder.join("events").as_os_str(), events.as_os_str()]);
    }
}

#[test]
fn a_unit_that_always_fails_fails_the_job_and_is_named_by_the_merge() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    let end = minutes_from(&trail, &[430])[0].to_string();
    let arguments =
        ["--bucket", trail.spec.bucket.as_str(), "--end", &end, "--account-id", "111100000000,111100000001"];
    let plan = Distributed::plan(&server, &arguments).recut(&[], &[1]);
    assert_eq!(plan.units().len(), 2);
    let folder = tempfile::tempdir().unwrap();
    // A folder is in the place of its result.
    std::fs::create_dir_all(results(folder.path()).join("unit-000001.jsonl.gz")).unwrap();
    let expected = ["--expect", "unit 1: ctverify shard ended with exit code 4"];
    let Some(output) = on_spark("CTVERIFY_TEST_SPARK", "failing-unit", &plan, folder.path(), &expected) else { return };
    assert_success(&output);
    let merge = run(ctverify_at(&server)
        .arg("merge")
        .arg("--plan")
        .arg(plan.plan_folder())
        .arg("--results")
        .arg(results(folder.path())));
    assert_eq!(merge.code, 4, "{}", merge.stderr);
}
