//! Units that an array job verifies: each in a process of its own, which may be killed, and whose
//! result may be lost, damaged or mixed up.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ctverify_testkit::{Server, ServerOptions, TrailSpec};

use super::distributed::{Distributed, assert_same, result_of};
use super::same_as_one_machine::{minutes_from, together};
use crate::support::{Run, ctverify_at, records, run};

/// The names of the variables that array jobs find their index in.
const VARIABLES: [&str; 3] = ["AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID"];

fn index(plan: &Distributed<'_>, index: u64) -> Run {
    let variable = VARIABLES[usize::try_from(index).unwrap() % VARIABLES.len()];
    run(plan.shard().args(["--index-from-env", "--quiet"]).env(variable, index.to_string()))
}

#[test]
fn an_array_of_processes_comes_to_one_verdict_whatever_happens_to_its_results() {
    let trail = together(8, |index, spec| {
        let mut trail = TrailSpec { hours: 5, busy_percent: 100, ..spec }.forge();
        if index == 3 {
            let key = trail.chains[0].digests[2].key.clone();
            trail.remove(&key);
        }
        trail
    });
    let server = Server::start(&trail, ServerOptions::default());
    let [start, end] = minutes_from(&trail, &[-50, 310])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--start", &start, "--end", &end];
    let single = records(ctverify_at(&server).args(arguments));
    assert_eq!(single.code, 1);
    let plan = Distributed::plan(&server, &arguments).recut(&[], &[1]);
    assert_eq!(plan.units().len(), 8);

    // Without results there is nothing to merge.
    std::fs::create_dir(plan.results()).unwrap();
    let none = run(&mut plan.merge());
    assert_eq!(none.code, 4);
    assert!(
        none.stderr.contains("8 units of 8 without a whole result") && none.stderr.contains("0-7"),
        "{}",
        none.stderr
    );

    for unit in [0, 1, 2, 3, 4, 6, 7] {
        let done = index(&plan, unit);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    // Unit 5 is killed before it has an answer: it leaves nothing that would be taken for a result.
    let slow = ServerOptions { latency: Duration::from_secs(5), ..ServerOptions::default() };
    let slow = Server::start(&trail, slow);
    let mut killed = plan.shard();
    killed.env("AWS_ENDPOINT_URL", slow.url()).args(["--unit", "5"]);
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while slow.calls("ListObjectsV2") == 0 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let incomplete = run(&mut plan.merge());
    assert_eq!(incomplete.code, 4);
    assert!(incomplete.stderr.contains("1 unit of 8 without a whole result"), "{}", incomplete.stderr);
    assert!(incomplete.stderr.contains(": 5. Run") && incomplete.stderr.contains("--unit 5"), "{}", incomplete.stderr);
    // It is run again.
    assert_eq!(index(&plan, 5).code, 0);
    assert_same(&records(&mut plan.merge()), &single);

    // A unit that is run twice gives the same bytes.
    let whole = std::fs::read(result_of(&plan.results(), 2)).unwrap();
    std::fs::remove_file(result_of(&plan.results(), 2)).unwrap();
    assert_eq!(index(&plan, 2).code, 0);
    assert!(std::fs::read(result_of(&plan.results(), 2)).unwrap() == whole);
    // One whose result is there is not run again, and says so.
    let again = index(&plan, 2);
    let line: serde_json::Value = serde_json::from_str(again.stdout.trim()).unwrap();
    assert_eq!((line["unit"].as_u64(), line["kept"].as_bool()), (Some(2), Some(true)));

    // It has the counts of its records.
    let lost: serde_json::Value = serde_json::from_str(index(&plan, 3).stdout.trim()).unwrap();
    assert_eq!(lost["counts"]["digests"]["missing"], 1, "{lost}");
    assert_eq!(lost["counts"]["log_files"]["uncovered"], 2, "{lost}");

    // An identical copy under another name is fine.
    let copy = plan.results().join("copy-of-2.jsonl.gz");
    std::fs::write(&copy, &whole).unwrap();
    assert_same(&records(&mut plan.merge()), &single);
    std::fs::remove_file(&copy).unwrap();

    // A result that is cut short is none, unless another one of the unit is whole.
    std::fs::write(result_of(&plan.results(), 2), &whole[..whole.len() / 2]).unwrap();
    let cut = run(&mut plan.merge());
    assert_eq!(cut.code, 4);
    assert!(cut.stderr.contains(": 2;") && cut.stderr.contains("cut short"), "{}", cut.stderr);
    // It is not overwritten, either.
    assert_eq!(index(&plan, 2).code, 2);
    std::fs::write(&copy, &whole).unwrap();
    let left_aside = records(&mut plan.merge());
    assert!(left_aside.stderr.contains("is left aside"), "{}", left_aside.stderr);
    assert_same(&left_aside, &single);
    std::fs::rename(&copy, result_of(&plan.results(), 2)).unwrap();

    // A result of another plan is refused, for the same units or others.
    let other = Distributed::plan(&server, &arguments).recut(&[], &[2]);
    assert_eq!(index(&other, 1).code, 0);
    let foreign = plan.results().join("foreign.jsonl.gz");
    std::fs::copy(result_of(&other.results(), 1), &foreign).unwrap();
    let refused = run(&mut plan.merge());
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("of another plan") && refused.stderr.contains("foreign"), "{}", refused.stderr);
    std::fs::remove_file(&foreign).unwrap();

    // Two results of one unit that differ: only one can be right.
    let victim = trail.chains[2].digests[1].key.clone();
    server.delete(&trail.spec.bucket, &victim, jiff::Timestamp::now());
    let kept = plan.results().join("kept.jsonl.gz");
    std::fs::rename(result_of(&plan.results(), 2), &kept).unwrap();
    assert_eq!(index(&plan, 2).code, 0);
    let conflict = run(&mut plan.merge());
    assert_eq!(conflict.code, 2);
    assert!(conflict.stderr.contains("unit 2 (kept.jsonl.gz and unit-000002.jsonl.gz)"), "{}", conflict.stderr);
    std::fs::remove_file(result_of(&plan.results(), 2)).unwrap();
    assert_same(&records(&mut plan.merge()), &single);
}

#[test]
fn an_index_stands_for_several_units_and_one_past_the_end_is_told() {
    let trail = together(5, |_, spec| TrailSpec { hours: 2, ..spec }.forge());
    let server = Server::start(&trail, ServerOptions::default());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--end", "2026-03-01T02:00:00Z"];
    let plan = Distributed::plan(&server, &arguments).recut(&[], &[1]);
    let several = |index: &str| {
        run(plan
            .shard()
            .args(["--index-from-env", "--units-per-index", "3", "--quiet"])
            .env("SLURM_ARRAY_TASK_ID", index))
    };
    assert_eq!(several("0").stdout.lines().count(), 3);
    assert_eq!(several("1").stdout.lines().count(), 2);
    let past = several("2");
    assert_eq!(past.code, 2);
    assert!(past.stderr.contains("the units 0 to 4, and no unit 6"), "{}", past.stderr);
    let wrong = several("two");
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("SLURM_ARRAY_TASK_ID is 'two'"), "{}", wrong.stderr);
    let without = run(plan.shard().arg("--index-from-env"));
    assert!(without.code == 2 && without.stderr.contains("JOB_COMPLETION_INDEX"), "{}", without.stderr);
    assert_eq!(records(&mut plan.merge()).verdict(), "verified");
}

#[test]
fn a_store_that_can_not_be_reached_is_no_finding() {
    let trail = TrailSpec { hours: 3, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--end", "2026-03-01T03:00:00Z"];
    let plan = Distributed::plan(&server, &arguments);
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", refused.local_addr().unwrap());
    drop(refused);
    let run = run(plan.shard().env("AWS_ENDPOINT_URL", url).args(["--unit", "0"]));
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("unit 0"), "{}", run.stderr);
    assert!(!result_of(&plan.results(), 0).exists());
    let _ = std::io::stderr().flush();
}
