//! Plans and results in folders and in S3, and what is refused.

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, TrailSpec};

use super::distributed::{Distributed, assert_same, with_input};
use crate::support::{ctverify_at, records, run};

fn small() -> ForgedTrail {
    TrailSpec { hours: 3, regions: vec!["us-east-1".into(), "eu-west-1".into()], ..TrailSpec::default() }.forge()
}

const END: [&str; 2] = ["--end", "2026-03-01T03:00:00Z"];

#[test]
fn plan_and_results_may_lie_in_a_bucket() {
    let trail = small();
    let server = Server::start(&trail, ServerOptions::default());
    server.make_bucket("audit", "us-east-1");
    let arn = trail.spec.arn();
    let single = records(ctverify_at(&server).args(["--trail-arn", &arn]).args(END));
    let plan =
        |output: &str| run(ctverify_at(&server).args(["plan", "--trail-arn", &arn, "--output", output]).args(END));
    let made = plan("s3://audit/run-7/plan");
    assert_eq!(made.code, 0, "{}", made.stderr);
    // Nothing is overwritten, and nothing is written where the trail delivers.
    let again = plan("s3://audit/run-7/plan/");
    assert!(again.code == 2 && again.stderr.contains("is there already"), "{}", again.stderr);
    let inside = plan(&format!("s3://{}/plan", trail.spec.bucket));
    assert!(inside.code == 2 && inside.stderr.contains("never writes to"), "{}", inside.stderr);
    let shard = || {
        let mut command = ctverify_at(&server);
        command.args([
            "shard",
            "--plan",
            "s3://audit/run-7/plan/manifest.json",
            "--output",
            "s3://audit/run-7/results",
        ]);
        command
    };
    let first = run(shard().args(["--unit", "0"]));
    assert_eq!(first.code, 0, "{}", first.stderr);
    let line: serde_json::Value = serde_json::from_str(first.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(line["result"], "s3://audit/run-7/results/unit-000000.jsonl.gz");
    assert!(server.object("audit", "run-7/results/unit-000000.jsonl.gz").is_some());
    let kept = run(shard().args(["--unit", "0"]));
    assert!(kept.stdout.contains("\"kept\":true"), "{}", kept.stdout);
    // The records that it prints are those of the result.
    assert_eq!(kept.stdout.lines().count(), first.stdout.lines().count());
    let merged = records(ctverify_at(&server).args([
        "merge",
        "--plan",
        "s3://audit/run-7/plan",
        "--results",
        "s3://audit/run-7/results/",
    ]));
    assert_same(&merged, &single);
    // So may its reports, which are not written over others.
    let report = || {
        let mut command = ctverify_at(&server);
        command.args(["merge", "--plan", "s3://audit/run-7/plan", "--results", "s3://audit/run-7/results/"]);
        run(command.args(["--quiet", "--report", "jsonl=s3://audit/run-7/reports/records.jsonl"]))
    };
    let reported = report();
    assert_eq!((reported.code, &*reported.stdout), (0, ""), "{}", reported.stderr);
    let stored = server.object("audit", "run-7/reports/records.jsonl").unwrap();
    assert_eq!(stored.body.iter().filter(|byte| **byte == b'\n').count(), merged.stdout.lines().count());
    let twice = report();
    assert!(twice.code == 2 && twice.stderr.contains("is there already"), "{}", twice.stderr);
    let examined = format!("jsonl=s3://{}/records.jsonl", trail.spec.bucket);
    let refused = run(ctverify_at(&server)
        .args(["merge", "--plan", "s3://audit/run-7/plan", "--results", "s3://audit/run-7/results/"])
        .args(["--report", &examined]));
    assert!(refused.code == 2 && refused.stderr.contains("never writes to"), "{}", refused.stderr);
    let results = format!("s3://{}/results", trail.spec.bucket);
    let inside = run(ctverify_at(&server).args([
        "shard",
        "--plan",
        "s3://audit/run-7/plan",
        "--unit",
        "0",
        "--output",
        &results,
    ]));
    assert!(inside.code == 2 && inside.stderr.contains("never writes to"), "{}", inside.stderr);
    let checkpoint = format!("s3://{}/checkpoint.json", trail.spec.bucket);
    let inside = run(ctverify_at(&server)
        .args(["merge", "--plan", "s3://audit/run-7/plan", "--results", "s3://audit/run-7/results/"])
        .args(["--checkpoint", &checkpoint]));
    assert!(inside.code == 2 && inside.stderr.contains("never writes to"), "{}", inside.stderr);
    let elsewhere = run(ctverify_at(&server).args([
        "shard",
        "--plan",
        "s3://audit/run-7/plan",
        "--unit",
        "0",
        "--output",
        "s3a://audit/results",
    ]));
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("s3a:// is not known"), "{}", elsewhere.stderr);
    // A plan that was not finished has no manifest, and is made anew.
    let units = server.object("audit", "run-7/plan/units.jsonl").unwrap();
    server.put("audit", "run-8/plan/units.jsonl", units);
    let finished = plan("s3://audit/run-8/plan");
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let nothing = run(ctverify_at(&server).args(["shard", "--plan", "s3://audit/none/", "--unit", "0"]));
    assert!(nothing.code == 2 && nothing.stderr.contains("there is no plan"), "{}", nothing.stderr);
}

#[test]
fn results_on_standard_output_can_be_merged_too() {
    let trail = small();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let single = records(ctverify_at(&server).args(["--trail-arn", &arn]).args(END));
    let plan = Distributed::plan(&server, &["--trail-arn", &arn, END[0], END[1]]).recut(&[], &[1]);
    let mut shard = ctverify_at(&server);
    shard.arg("shard").arg("--plan").arg(plan.plan_folder().join("manifest.json")).arg("--stdin");
    let both = with_input(&mut shard, b"1\n0\n");
    assert_eq!(both.code, 0, "{}", both.stderr);
    std::fs::create_dir(plan.results()).unwrap();
    std::fs::write(plan.results().join("all.jsonl"), both.stdout).unwrap();
    assert_same(&records(&mut plan.merge()), &single);
}

#[test]
fn what_is_no_plan_or_was_changed_is_refused() {
    let trail = small();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let plan = Distributed::plan(&server, &["--trail-arn", &arn, END[0], END[1]]);
    let refused = |what: &str| {
        let run = run(plan.shard().args(["--unit", "0"]));
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(what), "{what}: {}", run.stderr);
    };
    let (manifest, units) = (plan.plan_folder().join("manifest.json"), plan.plan_folder().join("units.jsonl"));
    let (whole, lines) = (std::fs::read_to_string(&manifest).unwrap(), std::fs::read_to_string(&units).unwrap());
    std::fs::write(&units, lines.replace("eu-west-1", "eu-west-2")).unwrap();
    refused("its SHA-256 is not the one");
    std::fs::write(&units, &lines).unwrap();
    std::fs::write(&manifest, whole.replace("\"depth\": \"content\"", "\"depth\": \"chain\"")).unwrap();
    refused("it was changed");
    std::fs::write(&manifest, whole.replacen("\"version\": \"", "\"version\": \"9", 1)).unwrap();
    refused("have to be of one version");
    std::fs::write(&manifest, "{}").unwrap();
    refused("is not what 'ctverify plan' wrote");
    std::fs::remove_file(&manifest).unwrap();
    refused("can't be read");
    // A plan is not written over anything.
    std::fs::write(&manifest, &whole).unwrap();
    let again =
        run(ctverify_at(&server).args(["plan", "--trail-arn", &arn, "--output"]).arg(plan.plan_folder()).args(END));
    assert!(again.code == 2 && again.stderr.contains("is not empty"), "{}", again.stderr);
    let nothing = run(&mut plan.shard());
    assert!(nothing.code == 2 && nothing.stderr.contains("name the units"), "{}", nothing.stderr);
    // Reports don't go where the plan is, also if it is the working folder, nor where the results are.
    let mut merge = ctverify_at(&server);
    merge.current_dir(plan.plan_folder()).args(["merge", "--plan", "manifest.json", "--results"]).arg(plan.results());
    let over = run(merge.args(["--report", "json=units.jsonl"]));
    assert!(over.code == 2 && over.stderr.contains("--plan"), "{}", over.stderr);
    // Reports don't go where the results are.
    std::fs::create_dir(plan.results()).unwrap();
    let inside = run(plan.merge().arg("--report").arg(format!("jsonl={}/x.jsonl", plan.results().display())));
    assert!(inside.code == 2 && inside.stderr.contains("--results"), "{}", inside.stderr);
}

#[test]
fn a_merge_that_lacks_an_answer_and_can_not_ask_proves_nothing() {
    let trail = small();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let plan = Distributed::plan(&server, &["--trail-arn", &arn, END[0], END[1]]);
    assert_eq!(plan.verify_all().code, 0);
    let single = records(ctverify_at(&server).args(["--trail-arn", &arn]).args(END));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    // All that it needs is in the results.
    assert_same(&records(plan.merge().env("AWS_ENDPOINT_URL", &url)), &single);
    // Units that leave out a part of the range: the rest is asked for, or the merge fails.
    let units = plan.units();
    let mut less = units.clone();
    less[0].range.start = Some("2026-03-01T02:00:00Z".parse().unwrap());
    let cut = ctverify::shard::Plan::of(plan.manifest(), &less);
    let folder = plan.plan_folder();
    std::fs::write(folder.join("units.jsonl"), &cut.units).unwrap();
    std::fs::write(folder.join("chains.jsonl"), &cut.chains).unwrap();
    std::fs::write(folder.join("manifest.json"), cut.manifest.to_json()).unwrap();
    std::fs::remove_dir_all(plan.results()).unwrap();
    assert_eq!(plan.verify_all().code, 0);
    assert_same(&records(&mut plan.merge()), &single);
    let failed = records(plan.merge().env("AWS_ENDPOINT_URL", &url));
    assert_eq!(failed.code, 4, "{}", failed.stdout);
    assert!(failed.stderr.contains("neither in the results nor to be had from S3"), "{}", failed.stderr);
    assert!(failed.of("summary").is_empty());
}

#[test]
fn nightly_runs_go_on_from_a_merge() {
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(12);
    let trail = TrailSpec { start, hours: 9, busy_percent: 100, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let folder = tempfile::tempdir().unwrap();
    let (of_merge, of_single) = (folder.path().join("merge.state"), folder.path().join("single.state"));
    let end = (start + jiff::SignedDuration::from_hours(6)).to_string();
    let plan = Distributed::plan(&server, &["--trail-arn", &arn, "--end", &end])
        .recut(&[start + jiff::SignedDuration::from_hours(3)], &[1]);
    assert_eq!(plan.verify_all().code, 0);
    let merged = records(plan.merge().arg("--checkpoint").arg(&of_merge));
    let single = records(ctverify_at(&server).args(["--trail-arn", &arn, "--end", &end, "--state"]).arg(&of_single));
    assert_same(&merged, &single);
    let next =
        |state: &std::path::Path| records(ctverify_at(&server).args(["--trail-arn", &arn, "--state"]).arg(state));
    let (after_merge, after_single) = (next(&of_merge), next(&of_single));
    let named =
        |run: &crate::support::Run| run.of("digest").iter().map(|digest| digest["key"].to_string()).collect::<Vec<_>>();
    assert_eq!(named(&after_merge), named(&after_single));
    assert!(!named(&after_merge).is_empty() && named(&after_merge).len() < trail.chains[0].digests.len());
    // A merge begins a checkpoint, and goes on with none.
    let again = run(plan.merge().arg("--checkpoint").arg(&of_merge));
    assert!(again.code == 2 && again.stderr.contains("is there already"), "{}", again.stderr);
}
