//! Chains that fall silent: a warning, and the same verdict.

use ctverify_testkit::TrailSpec;
use serde_json::Value;

use crate::checkpoint::scheduled::Job;
use crate::support::{Run, verify_folder};

/// A trail of 32 days with log files in every hour, but for a day near its end.
fn outage() -> TrailSpec {
    let regions = ["us-east-1", "eu-west-1"].map(str::to_owned).to_vec();
    TrailSpec {
        regions,
        hours: 32 * 24,
        log_files: 1,
        events: 1,
        busy_percent: 0,
        silent: SILENT,
        ..TrailSpec::default()
    }
}

const SILENT: std::ops::Range<u32> = 30 * 24..31 * 24;

fn warnings_of<'r>(run: &'r Run, code: &str) -> Vec<&'r Value> {
    run.of("warning").into_iter().filter(|warning| warning["code"] == code).collect()
}

fn about_activity(run: &Run) -> Vec<&Value> {
    warnings_of(run, "silence")
}

#[test]
fn a_day_without_log_files_in_a_busy_chain_has_a_warning_and_the_same_verdict() {
    let run = verify_folder(&outage().forge());
    assert_eq!((run.code, run.verdict()), (0, "verified"));
    let warnings = about_activity(&run);
    // The region without any log file has been silent always.
    let [warning] = &*warnings else { panic!("{warnings:?}") };
    let detail = warning["detail"].as_str().unwrap();
    for part in [
        "the trail management-events in account 111122223333, us-east-1: its valid digests",
        "2026-03-30T23:00:00Z to before 2026-03-31T23:00:00Z list no log file, 24 hours in a row",
        "Of the 720 hours before, within 13 weeks, of which a valid digest is known, 0 had none, at most 0 in a row",
        "below 1 in 1,000,000, divided by the number of chains, 2",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
}

#[test]
fn nightly_runs_know_the_weeks_before() {
    let job = Job::new(TrailSpec { regions: vec!["us-east-1".to_owned()], ..outage() }.forge());
    let silent = usize::try_from(SILENT.start).unwrap();
    let before = job.run_to(silent - 1);
    assert_eq!((before.code, about_activity(&before).len()), (0, 0));
    for (to, warnings) in [(silent + 2, 0), (silent + 12, 1), (silent + 23, 1), (silent + 24, 0), (silent + 30, 0)] {
        let run = job.run_to(to);
        let found = about_activity(&run);
        assert_eq!((run.code, found.len()), (0, warnings), "{to}: {}", run.stdout);
        let hours = format!("list no log file, {} hours in a row", to - silent + 1);
        assert!(found.iter().all(|warning| warning["detail"].as_str().unwrap().contains(&hours)), "{found:?}");
    }
}

#[test]
fn a_backfill_digest_that_comes_late_ends_a_silence() {
    let regions = vec!["us-east-1".to_owned()];
    let mut trail = TrailSpec { regions, backfill: vec![SILENT.start + 12], ..outage() }.forge();
    let bucket = trail.spec.bucket.clone();
    let backfill = trail.chains[0].backfill[0].clone();
    let files = backfill.document.log_files.iter().map(|file| file.s3_object.clone());
    let late: Vec<_> = files.chain([backfill.key.clone()]).collect();
    let late = late.into_iter().map(|key| (key.clone(), trail.objects.remove(&(bucket.clone(), key)).unwrap()));
    let late: Vec<_> = late.collect();
    let job = Job::new(trail);
    let silent = usize::try_from(SILENT.start).unwrap();
    assert_eq!(about_activity(&job.run_to(silent + 15)).len(), 1);
    for (key, mut stored) in late {
        // Written after all that the first run has listed.
        stored.last_modified = "2026-04-05T00:00:00Z".parse().unwrap();
        job.server.put(&bucket, &key, stored);
    }
    let run = job.run_to(silent + 17);
    assert_eq!((run.code, run.count("digest", "valid")), (0, 3 + 1), "{}", run.stdout);
    assert_eq!(about_activity(&run).len(), 0, "{}", run.stdout);
}

/// A day on which most of the log files are missing from the digests, as CloudTrail signed them, but no
/// series of hours is empty for long.
#[test]
fn a_day_with_fewer_log_files_has_a_warning_and_the_same_verdict() {
    let regions = vec!["us-east-1".to_owned()];
    let spec =
        TrailSpec { regions, hours: 33 * 24, log_files: 12, events: 1, busy_percent: 100, ..TrailSpec::default() };
    let mut trail = spec.forge();
    let mut gone = Vec::new();
    trail.reissue(|index, document| {
        if document.digest_start_time.starts_with("2026-03-30") {
            gone.extend(document.log_files.drain(usize::from(index % 3 == 0).min(document.log_files.len())..));
        }
    });
    assert!(gone.len() > 24, "{}", gone.len());
    gone.iter().for_each(|file| drop(trail.remove(&file.s3_object)));
    let run = verify_folder(&trail);
    assert_eq!((run.code, run.verdict(), about_activity(&run).len()), (0, "verified", 0), "{}", run.stderr);
    let warnings = warnings_of(&run, "fewer_log_files");
    let [warning] = &*warnings else { panic!("{warnings:?}") };
    let detail = warning["detail"].as_str().unwrap();
    assert!(detail.contains("start from 2026-03-30T00:00:00Z to before 2026-03-31T00:00:00Z"), "{detail}");
}
