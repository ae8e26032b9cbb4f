//! The seam between two runs of a scheduled audit: attacks that could slip through there, and
//! events that could raise a false alarm.

use std::process::Command;

use ctverify_testkit::{Digest, ForgedTrail, Lifecycle, Server, ServerOptions, Stored, TrailSpec, gzip};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::checkpoint::scheduled::{Job, of_kind};
use crate::support::{Run, ctverify_at, records};

fn spec() -> TrailSpec {
    TrailSpec { hours: 40, ..TrailSpec::default() }
}

/// The object as the forge made it.
fn made(trail: &ForgedTrail, key: &str) -> Stored {
    trail.objects[&(trail.spec.bucket.clone(), key.to_owned())].clone()
}

fn delete(job: &Job, key: &str) {
    job.server.delete(&job.trail.spec.bucket, key, Timestamp::now());
}

fn put(job: &Job, key: &str, stored: Stored) {
    job.server.put(&job.trail.spec.bucket, key, stored);
}

fn junk(at: Timestamp) -> Stored {
    Stored { body: gzip(b"{}").into(), metadata: Default::default(), last_modified: at }
}

fn middle(digest: &Digest) -> Timestamp {
    digest.document.digest_end_time.parse::<Timestamp>().unwrap() - SignedDuration::from_mins(30)
}

/// The key of a log file that looks genuine.
fn planted(at: Timestamp) -> String {
    format!(
        "AWSLogs/111122223333/CloudTrail/us-east-1/{}/111122223333_CloudTrail_us-east-1_{}_PlantedPlanted01.json.gz",
        at.strftime("%Y/%m/%d"),
        at.strftime("%Y%m%dT%H%MZ")
    )
}

/// Runs against a server that refuses what these options say.
fn run_denied(job: &Job, options: ServerOptions, digest: usize) -> Run {
    let mut trail = job.trail.clone();
    // The server gets the objects as they are in the bucket now.
    for ((bucket, key), stored) in &mut trail.objects {
        if let Some(now) = job.server.object(bucket, key) {
            *stored = now;
        }
    }
    let server = Server::start(&trail, options);
    let mut command = ctverify_at(&server);
    command.args(["--trail-arn", &trail.spec.arn(), "--bucket", &trail.spec.bucket, "--end", &job.end(digest)]);
    records(command.arg("--state").arg(job.state()))
}

fn without(keys: &[&str]) -> ServerOptions {
    ServerOptions { denied_keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..ServerOptions::default() }
}

fn fault(run: &Run) -> &Value {
    &run.of("chain")[0]["fault"]
}

#[test]
fn a_contradiction_outlives_a_read_that_fails() {
    let job = Job::new(spec().forge());
    job.run_to(20);
    let key = job.trail.chains[0].digests[20].key.clone();
    put(&job, &key, junk("2026-03-02T00:00:00Z".parse().unwrap()));
    assert_eq!(fault(&job.run_to(22)), "checkpoint_contradicted");
    run_denied(&job, without(&[&key]), 23);
    for digest in 24..27 {
        let run = job.run_to(digest);
        assert_eq!((fault(&run), run.verdict()), (&"checkpoint_contradicted".into(), "violated"), "{}", run.stdout);
    }
    // The genuine digest is put back.
    put(&job, &key, made(&job.trail, &key));
    assert_eq!(fault(&job.run_to(27)), &Value::Null);
}

#[test]
fn what_could_not_be_read_does_not_close_by_being_deleted() {
    let job = Job::new(TrailSpec { backfill: vec![3], ..spec() }.forge());
    let backfill = job.trail.chains[0].backfill[0].clone();
    assert_eq!(run_denied(&job, without(&[&backfill.key]), 20).count("digest", "unverified"), 1);
    delete(&job, &backfill.key);
    backfill.document.log_files.iter().for_each(|file| delete(&job, &file.s3_object));
    for digest in [21, 25] {
        let run = job.run_to(digest);
        assert_ne!(run.verdict(), "verified", "{}", run.stdout);
    }
}

#[test]
fn what_was_open_and_is_violated_is_news() {
    let job = Job::new(spec().forge());
    let file = job.trail.chains[0].digests[10].document.log_files[0].s3_object.clone();
    let digest = job.trail.chains[0].digests[12].key.clone();
    assert_eq!(run_denied(&job, without(&[&file, &digest]), 20).verdict(), "inconclusive");
    put(&job, &file, junk(Timestamp::now()));
    delete(&job, &digest);
    let run = job.run_to(20);
    let news: Vec<&Value> = [of_kind(&run, "log_file", "modified"), of_kind(&run, "digest", "missing")].concat();
    assert!(news.len() == 2 && news.iter().all(|record| record.get("since").is_none()), "{}", run.stdout);
    let later = job.run_to(21);
    assert_eq!(of_kind(&later, "log_file", "modified")[0]["since"], run.of("run")[0]["started"]);
    assert_eq!(of_kind(&later, "digest", "missing")[0]["since"], run.of("run")[0]["started"]);
}

#[test]
fn a_late_digest_brings_its_hours_planted_files_to_light() {
    let job = Job::new(spec().forge());
    let late = job.trail.chains[0].digests[15].clone();
    delete(&job, &late.key);
    let key = planted(middle(&late));
    put(&job, &key, junk(middle(&late)));
    assert_eq!(job.run_to(25).verdict(), "violated");
    put(&job, &late.key, made(&job.trail, &late.key));
    let run = job.run_to(25);
    assert_eq!(
        of_kind(&run, "log_file", "unlisted").first().map(|file| &file["key"]),
        Some(&key.into()),
        "{}",
        run.stdout
    );
}

#[test]
fn a_log_folder_that_could_not_be_listed_is_looked_at_by_the_next_run() {
    let job = Job::new(spec().forge());
    job.run_to(20);
    let key = planted(middle(&job.trail.chains[0].digests[22]));
    put(&job, &key, junk(middle(&job.trail.chains[0].digests[22])));
    let folder = "AWSLogs/111122223333/CloudTrail/us-east-1/".to_owned();
    run_denied(&job, ServerOptions { denied_prefixes: vec![folder], ..ServerOptions::default() }, 26);
    let run = job.run_to(27);
    assert_eq!(run.count("log_file", "unlisted"), 1, "{}", run.stdout);
}

#[test]
fn a_name_that_tells_no_hour_is_judged_once_its_day_is_covered() {
    let job = Job::new(TrailSpec { hours: 60, ..spec() }.forge());
    let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/02/evil.json.gz";
    put(&job, key, junk("2026-03-02T09:00:00Z".parse().unwrap()));
    let mut told = 0;
    for digest in 20..56 {
        let run = job.run_to(digest);
        told += of_kind(&run, "log_file", "unlisted").iter().filter(|file| file.get("since").is_none()).count();
    }
    assert_eq!(told, 1);
}

#[test]
fn a_starting_digest_that_came_late_turns_a_loss_into_a_stop() {
    let job = Job::new(TrailSpec { stopped: vec![15, 16], ..spec() }.forge());
    let late = job.trail.chains[0].digests[15].clone();
    assert!(late.document.previous_digest_s3_object.is_none());
    delete(&job, &late.key);
    assert_eq!(job.run_to(20).gaps(), ["digests_missing"]);
    put(&job, &late.key, made(&job.trail, &late.key));
    let run = job.run_to(20);
    assert_eq!((run.gaps(), run.verdict()), (vec!["logging_stopped"], "inconclusive"), "{}", run.stdout);
    assert_eq!(job.run_to(24).verdict(), "verified");
}

#[test]
fn a_backfill_digest_names_one_that_is_gone() {
    let job = Job::new(TrailSpec { backfill: vec![3, 6], ..spec() }.forge());
    let backfill = job.trail.chains[0].backfill.clone();
    for digest in &backfill {
        delete(&job, &digest.key);
        digest.document.log_files.iter().for_each(|file| delete(&job, &file.s3_object));
    }
    assert_eq!(job.run_to(20).verdict(), "verified");
    // The first backfill digest was delivered and removed; the second one is delivered.
    let second = &backfill[1];
    second.document.log_files.iter().for_each(|file| put(&job, &file.s3_object, made(&job.trail, &file.s3_object)));
    let at = "2026-03-05T00:00:00Z".parse().unwrap();
    put(&job, &second.key, Stored { last_modified: at, ..made(&job.trail, &second.key) });
    let run = job.run_to(21);
    assert_eq!(of_kind(&run, "digest", "missing")[0]["key"], *backfill[0].key, "{}", run.stdout);
}

#[test]
fn a_recheck_misses_what_verified_history_has_lost() {
    let job = Job::new(spec().forge());
    job.run_to(20);
    [10, 11, 15].iter().for_each(|index| delete(&job, &job.trail.chains[0].digests[*index].key));
    let run = records(job.command().args(["--end", &job.end(21), "--recheck", "100%"]));
    // The first of two neighbours is named only by a digest that is gone itself; an earlier run has
    // verified it.
    assert_eq!((run.verdict(), run.count("digest", "missing")), ("violated", 3), "{}", run.stdout);
}

#[test]
fn a_digest_that_is_written_over_is_read_again_whenever_it_came() {
    let job = Job::new(TrailSpec { backfill: vec![3], ..spec() }.forge());
    let key = job.trail.chains[0].backfill[0].key.clone();
    let newest = job.trail.chains[0].digests.last().unwrap().delivered();
    // The backfill digest was delivered three minutes before the newest digest.
    let at = newest - SignedDuration::from_mins(3);
    put(&job, &key, Stored { last_modified: at, ..made(&job.trail, &key) });
    assert_eq!(job.run_to(30).verdict(), "verified");
    put(&job, &key, junk(newest - SignedDuration::from_mins(1)));
    assert_eq!(job.run_to(31).count("digest", "invalid"), 1);
}

#[test]
fn a_digest_that_is_put_back_has_its_log_files_read() {
    let job = Job::new(spec().forge());
    let digest = job.trail.chains[0].digests[15].clone();
    let file = digest.document.log_files[0].s3_object.clone();
    let genuine = made(&job.trail, &digest.key);
    put(&job, &digest.key, Stored { body: gzip(b"{}").into(), ..genuine.clone() });
    put(&job, &file, junk(Timestamp::now()));
    job.run_to(15);
    assert_eq!(job.run_to(17).count("digest", "invalid"), 1);
    // The bad version is removed: the old one is there again as it was written then.
    put(&job, &digest.key, genuine);
    let run = job.run_to(19);
    assert_eq!(run.count("log_file", "modified"), 1, "{}", run.stdout);
}

#[test]
fn what_a_lifecycle_rule_removed_is_no_deletion_to_later_runs() {
    const HOURS: u32 = 5 * 24 + 3;
    let now = Timestamp::now();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).start_of_day().unwrap().timestamp();
    let horizon = today - SignedDuration::from_hours(48);
    let mut was_explained = false;
    for seed in 3..6 {
        let start = now - SignedDuration::from_hours(i64::from(HOURS));
        let spec =
            TrailSpec { start, hours: HOURS, regions: vec!["eu-west-1".into()], busy_percent: 30, seed, ..spec() };
        let mut trail = spec.forge();
        let digests_from = horizon - SignedDuration::from_hours(6);
        trail.objects.retain(|(_, key), stored| {
            stored.last_modified >= horizon || (key.contains("Digest") && stored.last_modified >= digests_from)
        });
        let prefix = "AWSLogs/111122223333/CloudTrail/".to_owned();
        let rule = Lifecycle { id: "tidy".to_owned(), prefix, days: 2, tagged: false };
        let server = Server::start(&trail, ServerOptions { lifecycle: vec![rule], ..ServerOptions::default() });
        let folder = tempfile::tempdir().unwrap();
        for hours in [9, 8, 7] {
            let (start, end) = (horizon - SignedDuration::from_hours(3), now - SignedDuration::from_hours(hours));
            let mut command: Command = ctverify_at(&server);
            command.args(["--trail-arn", &trail.spec.arn(), "--bucket", &trail.spec.bucket]);
            command.args(["--start", &start.to_string(), "--end", &end.to_string(), "--state"]);
            let run = records(command.arg(folder.path().join("state")));
            was_explained |= run.count("log_file", "unverified") > 0;
            assert_eq!(run.count("log_file", "deleted"), 0, "{}", run.stdout);
        }
    }
    assert!(was_explained);
}

#[test]
fn a_file_of_another_trail_closes_when_that_trails_digest_can_be_read() {
    let mut trail = spec().forge();
    trail.merge(TrailSpec { name: "second-trail".to_owned(), seed: 9, ..spec() }.forge());
    let other = trail.chains[1].digests[10].key.clone();
    let job = Job::new(trail);
    assert_eq!(run_denied(&job, without(&[&other]), 20).count("log_file", "unverified"), 1);
    let run = job.run_to(21);
    assert_eq!(run.verdict(), "verified", "{}", run.stdout);
}

#[test]
fn a_hole_whose_front_closes_is_the_same_hole() {
    let job = Job::new(spec().forge());
    let gone: Vec<String> = (14..17).map(|index| job.trail.chains[0].digests[index].key.clone()).collect();
    gone.iter().for_each(|key| delete(&job, key));
    let first = job.run_to(20);
    let at = "2026-03-05T00:00:00Z".parse().unwrap();
    put(&job, &gone[0], Stored { last_modified: at, ..made(&job.trail, &gone[0]) });
    let second = job.run_to(21);
    assert_ne!(first.of("gap")[0]["from"], second.of("gap")[0]["from"]);
    assert_eq!(second.of("gap")[0]["since"], first.of("run")[0]["started"]);
}

/// Issue 16, point 1: a failure to look at a violation again is no mending.
#[test]
fn a_violation_that_can_not_be_looked_at_again_stands() {
    let job = Job::new(spec().forge());
    let file = job.trail.chains[0].digests[10].document.log_files[0].s3_object.clone();
    let digest = job.trail.chains[0].digests[12].key.clone();
    delete(&job, &file);
    put(&job, &digest, junk(Timestamp::now()));
    let first = job.run_to(20);
    assert_eq!((first.count("digest", "invalid"), first.count("log_file", "deleted")), (1, 1), "{}", first.stdout);
    let later = run_denied(&job, without(&[&file, &digest]), 21);
    assert_eq!((later.code, later.verdict()), (1, "violated"), "{}", later.stdout);
    for record in [of_kind(&later, "digest", "invalid")[0], of_kind(&later, "log_file", "deleted")[0]] {
        assert!(record["detail"].as_str().unwrap().contains("could not be judged again"), "{record}");
        assert_eq!(record["since"], first.of("run")[0]["started"]);
    }
    assert_eq!(job.run_to(22).of("summary")[0]["checkpoint"]["new"], 0);
}
