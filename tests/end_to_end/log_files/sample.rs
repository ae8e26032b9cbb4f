//! Samples: a random part of the log files is read, and bounds how many of all can be bad.

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, TrailSpec, gzip};
use serde_json::json;

use crate::support::{Mirror, Run, ctverify_at, records, run};

fn trail() -> ForgedTrail {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    TrailSpec { hours: 30, regions, busy_percent: 100, log_files: 3, ..TrailSpec::default() }.forge()
}

fn verify(trail: &ForgedTrail, more: &[&str]) -> Run {
    records(Mirror::new(trail, Layout::Keys, true).command().args(more))
}

fn read(run: &Run) -> Vec<&str> {
    run.of("log_file").into_iter().map(|file| file["key"].as_str().unwrap()).collect()
}

#[test]
fn a_sample_is_never_verified_and_says_what_it_bounds() {
    let trail = trail();
    let total = trail.log_file_count();
    let run = verify(&trail, &["--sample", "20", "--seed", "7"]);
    assert_eq!((run.code, run.verdict(), read(&run).len()), (3, "inconclusive", 20), "{}", run.stdout);
    assert_eq!(run.of("run")[0]["sample"], json!({ "files": 20, "seed": 7 }));
    let summary = run.of("summary")[0];
    assert_eq!(summary["log_files"]["not_read"], json!(total - 20));
    let sample = &summary["sample"];
    assert_eq!((&sample["total"], &sample["read"], &sample["bad"]), (&json!(total), &json!(20), &json!(0)));
    // With none of twenty bad, about one in seven could be, less than by the rule of three.
    let at_most = sample["at_most_bad"].as_u64().unwrap() as usize;
    assert!(at_most > total / 10 && at_most < total * 3 / 20, "{at_most} of {total}");
    let allowed = verify(&trail, &["--sample", "20", "--seed", "7", "--allow", "sample"]);
    assert_eq!((allowed.code, allowed.verdict()), (0, "verified"));
}

#[test]
fn the_same_seed_draws_the_same_files_in_a_folder_and_over_s3() {
    let trail = trail();
    let whole = verify(&trail, &["--sample", "10%", "--seed", "99"]);
    assert_eq!(read(&whole).len(), trail.log_file_count().div_ceil(10));
    let range = ["--start", "2026-03-01T01:00:00Z", "--end", "2026-03-02T05:00:00Z", "--sample", "10%", "--seed", "99"];
    let first = verify(&trail, &range);
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let again = records(ctverify_at(&server).args(range).args(["--concurrency", "3", "--trail-arn", &arn]));
    assert_eq!(first.findings(), again.findings());
    let other = verify(&trail, &["--sample", "10%", "--seed", "100"]);
    assert_ne!(read(&first), read(&other));
}

#[test]
fn without_a_seed_each_run_draws_anew_and_tells_its_seed() {
    let trail = trail();
    let runs = [verify(&trail, &["--sample", "15"]), verify(&trail, &["--sample", "15"])];
    assert_ne!(read(&runs[0]), read(&runs[1]));
    let seed = runs[0].of("run")[0]["sample"]["seed"].to_string();
    let again = verify(&trail, &["--sample", "15", "--seed", &seed]);
    assert_eq!(read(&runs[0]), read(&again));
}

#[test]
fn what_the_sample_shows_changed_is_a_violation_and_raises_the_bound() {
    let mut trail = trail();
    let files: Vec<String> =
        trail.objects.keys().filter(|(_, key)| key.contains("/CloudTrail/")).map(|(_, key)| key.clone()).collect();
    for key in &files {
        trail.replace(key, gzip(b"{}"));
    }
    let run = verify(&trail, &["--sample", "5", "--seed", "1", "--allow", "sample"]);
    let sample = &run.of("summary")[0]["sample"];
    assert_eq!((run.code, run.count("log_file", "modified"), &sample["bad"]), (1, 5, &json!(5)));
    assert_eq!(sample["at_most_bad"], json!(files.len()));
}

#[test]
fn deleted_files_are_found_whether_the_sample_holds_them_or_not() {
    let mut trail = trail();
    let file = trail.chains[0].digests[5].document.log_files[0].s3_object.clone();
    trail.remove(&file);
    for seed in ["1", "2", "3"] {
        let run = verify(&trail, &["--sample", "1", "--seed", seed]);
        assert_eq!((run.code, run.count("log_file", "deleted")), (1, 1), "{}", run.stdout);
        assert_eq!(run.of("summary")[0]["sample"]["total"], json!(trail.log_file_count() - 1));
    }
}

#[test]
fn a_sample_of_everything_is_verified() {
    let trail = trail();
    for all in ["100%", "100000"] {
        let run = verify(&trail, &["--sample", all]);
        assert_eq!((run.code, read(&run).len()), (0, trail.log_file_count()), "{all}");
        assert_eq!(run.of("summary")[0]["sample"]["at_most_bad"], json!(0));
    }
}

#[test]
fn the_text_says_what_was_read_and_what_that_bounds() {
    let trail = trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let text = run(mirror.command().args(["--sample", "20", "--seed", "7"])).stdout;
    assert!(text.contains("sample  20 log files at random; --seed 7 draws the same ones again"), "{text}");
    assert!(text.contains("With 95 % confidence, at most"), "{text}");
    assert!(text.contains("INCONCLUSIVE"), "{text}");
}

#[test]
fn samples_that_make_no_sense_are_refused() {
    let trail = trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    for wrong in
        [&["--sample", "0"][..], &["--sample", "0%"], &["--sample", "101%"], &["--sample", "many"], &["--seed", "1"]]
    {
        assert_eq!(run(mirror.command().args(wrong)).code, 2, "{wrong:?}");
    }
    let shallow = run(mirror.command().args(["--sample", "5%", "--depth", "presence"]));
    assert!(shallow.code == 2 && shallow.stderr.contains("--depth presence"), "{}", shallow.stderr);
}

#[test]
fn where_the_log_folder_can_not_be_listed_every_file_is_read() {
    let mut trail = trail();
    let file = trail.chains[0].digests[5].document.log_files[0].s3_object.clone();
    trail.remove(&file);
    let denied_prefixes = vec!["AWSLogs/111122223333/CloudTrail/".to_owned()];
    let server = Server::start(&trail, ServerOptions { denied_prefixes, ..ServerOptions::default() });
    let range = ["--start", "2026-03-01T01:00:00Z", "--end", "2026-03-02T05:00:00Z", "--bucket", "example-trail-logs"];
    let run = records(ctverify_at(&server).args(range).args(["--sample", "1", "--allow", "sample"]));
    assert_eq!((run.code, run.count("log_file", "deleted")), (1, 1), "{}", run.stdout);
}
