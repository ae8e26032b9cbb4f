//! `--state`: audits that continue where the last one ended.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, TrailSpec};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Mirror, Run, ctverify, ctverify_at, figure, records, run};

/// A trail of two days with a log file or two each hour.
fn trail() -> ForgedTrail {
    TrailSpec { hours: 48, backfill: vec![5], ..TrailSpec::default() }.forge()
}

/// A trail on a server, and a checkpoint in a folder.
pub(crate) struct Job {
    pub trail: ForgedTrail,
    pub server: Server,
    folder: TempDir,
}

impl Job {
    pub(crate) fn new(trail: ForgedTrail) -> Self {
        let server = Server::start(&trail, ServerOptions::default());
        Self { trail, server, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("checkpoint.json")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = ctverify_at(&self.server);
        command.args(["--trail-arn", &self.trail.spec.arn(), "--bucket", &self.trail.spec.bucket]);
        command.arg("--state").arg(self.state());
        command
    }

    /// Runs up to the end of the digest at this index of the first chain.
    pub(crate) fn run_to(&self, digest: usize) -> Run {
        records(self.command().args(["--end", &self.end(digest)]))
    }

    pub(crate) fn end(&self, digest: usize) -> String {
        self.trail.chains[0].digests[digest].document.digest_end_time.clone()
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.state()).unwrap()).unwrap()
    }
}

/// The records of one kind that have this status.
pub(crate) fn of_kind<'a>(run: &'a Run, kind: &str, status: &str) -> Vec<&'a Value> {
    run.of(kind).into_iter().filter(|record| record["status"] == status).collect()
}

#[test]
fn the_next_run_goes_on_where_the_last_one_ended() {
    let job = Job::new(trail());
    let first = job.run_to(20);
    assert_eq!((first.code, first.verdict()), (0, "verified"), "{}{}", first.stdout, first.stderr);
    assert_eq!(first.count("digest", "valid"), 22);
    let summary = &first.of("summary")[0]["checkpoint"];
    assert_eq!((&summary["last_run"], &summary["new"]), (&Value::Null, &Value::from(0)));
    let kept = job.kept();
    assert_eq!(kept["ctverify_checkpoint"], 3);
    let through = &kept["chains"][0]["through"];
    let digest = &job.trail.chains[0].digests[20];
    assert_eq!(through["key"], *digest.key);
    assert_eq!(through["sha256"], *digest.document.sha256());
    assert_eq!(through["signature"], *digest.signature);

    let second = job.run_to(22);
    assert_eq!((second.code, second.verdict()), (0, "verified"), "{}", second.stdout);
    // The last digest of the first run, which is still the same, and two new ones.
    let told: Vec<&str> = second.of("digest").iter().map(|digest| digest["key"].as_str().unwrap()).collect();
    let expected: Vec<&str> = job.trail.chains[0].digests[20..=22].iter().map(|digest| &*digest.key).collect();
    assert_eq!(told, expected);
    let files: usize = job.trail.chains[0].digests[21..=22].iter().map(|digest| digest.document.log_files.len()).sum();
    assert_eq!(second.count("log_file", "intact"), files);
    let kept = job.kept();
    assert_eq!(kept["chains"][0]["begin"], first.of("chain")[0]["from"]);

    // Without new digests, the run checks that the last verified one is still there.
    let third = job.run_to(22);
    assert_eq!((third.code, third.verdict(), third.of("digest").len()), (0, "verified", 1));
    let quiet = run(job.command().args(["--end", &job.end(22), "--quiet"]));
    assert_eq!((quiet.code, &*quiet.stdout, &*quiet.stderr), (0, "", ""));
}

#[test]
fn an_hour_costs_an_hours_files_and_one_listing() {
    let hours = 24 * 60;
    let job = Job::new(TrailSpec { hours, log_files: 3, ..TrailSpec::default() }.forge());
    job.run_to(hours as usize - 1);
    let last = &job.trail.chains[0].digests[hours as usize];
    let run = job.run_to(hours as usize);
    assert_eq!(run.verdict(), "verified");
    let requests = &run.of("summary")[0]["requests"];
    // The new digest and its log files, the last verified one, and those whose listings tell which
    // log files are listed.
    let most = 1 + last.document.log_files.len() as u64 + 6;
    assert!(requests["get"].as_u64().unwrap() <= most, "{requests}");
    // The folders, the digests of the last weeks, and the log files of the last hours.
    assert!(requests["list"].as_u64().unwrap() <= 8, "{requests}");
    assert!(std::fs::metadata(job.state()).unwrap().len() < 8 << 10);
}

#[test]
fn a_digest_in_the_place_of_the_verified_one_contradicts_the_checkpoint() {
    let other = TrailSpec { events: 9, ..trail().spec }.forge();
    for seeded in [true, false] {
        let job = Job::new(trail());
        job.run_to(20);
        let key = &job.trail.chains[0].digests[20].key;
        if seeded {
            // The replacement looks as genuine as the first digest to anyone who has not seen that
            // one.
            let (bucket, spec) = (job.trail.spec.bucket.clone(), &other.spec);
            for chain in &other.chains {
                for digest in chain.digests.iter().take(22) {
                    let stored = other.objects[&(spec.bucket.clone(), digest.key.clone())].clone();
                    job.server.put(&bucket, &digest.key, stored);
                }
            }
        } else {
            job.server.put(
                &job.trail.spec.bucket,
                key,
                ctverify_testkit::Stored {
                    body: ctverify_testkit::gzip(b"{}").into(),
                    metadata: Default::default(),
                    last_modified: "2026-03-02T00:00:00Z".parse().unwrap(),
                },
            );
        }
        let run = job.run_to(21);
        assert_eq!((run.code, run.verdict()), (1, "violated"), "{}", run.stdout);
        let chain = run.of("chain")[0];
        assert_eq!(chain["fault"], "checkpoint_contradicted");
        assert!(chain["detail"].as_str().unwrap().contains(&**key), "{chain}");
        assert!(chain.get("since").is_none());
        // The fault stays in the next report, as known.
        let again = job.run_to(21);
        let chain = again.of("chain")[0];
        assert_eq!(
            (&chain["fault"], &chain["since"]),
            (&"checkpoint_contradicted".into(), &run.of("run")[0]["started"])
        );
    }
}

#[test]
fn a_verified_digest_that_is_gone_contradicts_the_checkpoint() {
    let job = Job::new(trail());
    job.run_to(20);
    let gone = &job.trail.chains[0].digests[20];
    job.server.delete(&job.trail.spec.bucket, &gone.key, jiff::Timestamp::now());
    let run = job.run_to(22);
    assert_eq!(run.verdict(), "violated");
    assert_eq!(run.of("chain")[0]["fault"], "checkpoint_contradicted");
    assert_eq!(of_kind(&run, "digest", "missing")[0]["key"], *gone.key);
}

#[test]
fn a_whole_chain_that_is_gone_is_missed() {
    let job =
        Job::new(TrailSpec { regions: vec!["us-east-1".to_owned(), "eu-west-1".to_owned()], ..trail().spec }.forge());
    job.run_to(20);
    for ((bucket, key), _) in job.trail.objects.iter().filter(|((_, key), _)| key.contains("eu-west-1")) {
        job.server.delete(bucket, key, jiff::Timestamp::now());
    }
    let run = job.run_to(30);
    assert_eq!(run.verdict(), "violated");
    let faults: Vec<(&Value, &Value)> =
        run.of("chain").iter().map(|chain| (&chain["region"], &chain["fault"])).collect();
    let contradicted = Value::from("checkpoint_contradicted");
    assert_eq!(faults, [(&"eu-west-1".into(), &contradicted), (&"us-east-1".into(), &Value::Null)]);
}

#[test]
fn a_starting_digest_after_the_verified_one_is_a_gap() {
    let job = Job::new(TrailSpec { stopped: vec![22, 23], ..trail().spec }.forge());
    job.run_to(20);
    let run = job.run_to(25);
    assert_eq!((run.verdict(), run.gaps()), ("inconclusive", vec!["logging_stopped"]));
    assert_eq!(run.of("chain")[0]["fault"], Value::Null);
    // The gap was reported, and the time that is covered now has none.
    let next = job.run_to(30);
    assert_eq!((next.verdict(), next.gaps().len()), ("verified", 0), "{}", next.stdout);
}

#[test]
fn a_late_digest_closes_the_hole_that_it_left() {
    let job = Job::new(trail());
    let late = job.trail.chains[0].digests[15].clone();
    let (bucket, key) = (job.trail.spec.bucket.clone(), late.key.clone());
    let stored = job.trail.objects[&(bucket.clone(), key.clone())].clone();
    job.server.delete(&bucket, &key, stored.last_modified);
    let first = job.run_to(20);
    assert_eq!((first.verdict(), first.gaps()), ("violated", vec!["digests_missing"]));
    assert_eq!(of_kind(&first, "digest", "missing").len(), 1);
    let started = &first.of("run")[0]["started"];
    // The finding stays in the report, as known.
    let second = job.run_to(25);
    assert_eq!((second.verdict(), second.gaps()), ("violated", vec!["digests_missing"]));
    assert_eq!(second.of("gap")[0]["since"], *started);
    assert_eq!(of_kind(&second, "digest", "missing")[0]["since"], *started);
    let counts = &second.of("summary")[0]["checkpoint"];
    assert_eq!((&counts["new"], &counts["known"]), (&Value::from(0), &Value::from(2)));
    let same = run(job.command().args(["--end", &job.end(25), "--quiet"]));
    assert_eq!((same.code, same.stdout.lines().count()), (1, 1), "{}", same.stdout);
    assert!(same.stdout.contains("the same as at"), "{}", same.stdout);
    // The late digest is delivered.
    job.server.put(&bucket, &key, stored);
    let third = job.run_to(25);
    assert_eq!((third.verdict(), third.gaps().len()), ("verified", 0), "{}", third.stdout);
    assert!(third.of("digest").iter().any(|digest| digest["key"] == *key && digest["status"] == "valid"));
    assert_eq!(third.count("log_file", "intact"), late.document.log_files.len());
    assert_eq!(job.run_to(25).of("digest").len(), 1);
}

#[test]
fn a_backfill_digest_for_an_hour_that_is_past_is_picked_up() {
    let job = Job::new(trail());
    let backfill = job.trail.chains[0].backfill[0].clone();
    let (bucket, key) = (job.trail.spec.bucket.clone(), backfill.key.clone());
    let stored = job.trail.objects[&(bucket.clone(), key.clone())].clone();
    job.server.delete(&bucket, &key, stored.last_modified);
    assert_eq!(job.run_to(30).verdict(), "inconclusive");
    // Its log files are there, and no digest lists them yet.
    let at = "2026-03-04T00:00:00Z".parse().unwrap();
    job.server.put(&bucket, &key, ctverify_testkit::Stored { last_modified: at, ..stored });
    let run = job.run_to(31);
    assert_eq!(run.verdict(), "verified", "{}", run.stdout);
    assert!(run.of("digest").iter().any(|digest| digest["key"] == *key));
    assert!(run.count("log_file", "intact") >= backfill.document.log_files.len());
    assert!(job.run_to(31).of("digest").iter().all(|digest| digest["key"] != *key));
}

#[test]
fn what_could_not_be_read_is_looked_at_again() {
    let made = trail();
    let denied = made.chains[0].digests[10].document.log_files[0].s3_object.clone();
    let options = ServerOptions { denied_keys: [denied.clone()].into(), ..ServerOptions::default() };
    let (closed, open) = (Server::start(&made, options), Server::start(&made, ServerOptions::default()));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let run_at = |server: &Server, digest: usize| {
        let end = &made.chains[0].digests[digest].document.digest_end_time;
        let place = ["--trail-arn", &made.spec.arn(), "--bucket", &made.spec.bucket, "--end", end];
        records(ctverify_at(server).args(place).arg("--state").arg(&state))
    };
    let first = run_at(&closed, 20);
    assert_eq!((first.verdict(), first.count("log_file", "unverified")), ("inconclusive", 1));
    let second = run_at(&closed, 22);
    assert_eq!((second.verdict(), second.count("log_file", "unverified")), ("inconclusive", 1));
    let known = of_kind(&second, "log_file", "unverified")[0];
    assert_eq!((&known["key"], &known["since"]), (&Value::from(&*denied), &first.of("run")[0]["started"]));
    let third = run_at(&open, 22);
    assert_eq!(third.verdict(), "verified");
    assert_eq!(of_kind(&third, "log_file", "intact")[0]["key"], *denied);
    assert_eq!(run_at(&open, 22).of("log_file").len(), 0);
}

#[test]
fn log_files_that_nobody_lists_are_found_at_the_seam_of_two_runs() {
    let made = trail();
    let edge: jiff::Timestamp = made.chains[0].digests[20].document.digest_end_time.parse().unwrap();
    // Names close to the end of what the first run covers, on both sides.
    for minutes in [-16, -9, -3, 2, 7, 13, 21] {
        let job = Job::new(made.clone());
        job.run_to(20);
        let named = edge + jiff::SignedDuration::from_mins(minutes);
        let key = format!(
            "AWSLogs/111122223333/CloudTrail/us-east-1/{}/111122223333_CloudTrail_us-east-1_{}_0123456789abcdef.json.gz",
            named.strftime("%Y/%m/%d"),
            named.strftime("%Y%m%dT%H%MZ"),
        );
        let stored = ctverify_testkit::Stored {
            body: ctverify_testkit::gzip(b"{\"Records\":[]}").into(),
            metadata: Default::default(),
            last_modified: named,
        };
        job.server.put(&job.trail.spec.bucket, &key, stored);
        let run = job.run_to(22);
        let found = of_kind(&run, "log_file", "unlisted");
        // The first one lies before what the first run left to the next, on a day that it verified.
        assert_eq!(found.len(), 1, "{minutes}: {}", run.stdout);
        assert_eq!(found[0]["key"], *key);
        let again = job.run_to(30);
        assert_eq!(of_kind(&again, "log_file", "unlisted")[0]["since"], run.of("run")[0]["started"]);
        job.server.delete(&job.trail.spec.bucket, &key, jiff::Timestamp::now());
        assert_eq!(job.run_to(31).verdict(), "verified");
    }
}

/// A run that continues from a checkpoint must find what a whole run finds, however the names sort.
#[test]
fn a_planted_file_with_an_odd_name_is_found_by_a_later_run() {
    let made = trail();
    let bucket = made.spec.bucket.clone();
    for name in ["0_20260301T2150Z_x.json.gz", "0sub/111122223333_CloudTrail_us-east-1_20260301T2150Z_x.json.gz"] {
        let job = Job::new(made.clone());
        job.run_to(20);
        let key = format!("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/{name}");
        let body = ctverify_testkit::gzip(b"{}").into();
        let last_modified = "2026-03-01T21:50:00Z".parse().unwrap();
        job.server.put(&bucket, &key, ctverify_testkit::Stored { body, metadata: Default::default(), last_modified });
        let whole = ["--trail-arn", &job.trail.spec.arn(), "--bucket", &bucket, "--end", &job.end(24)];
        let whole = records(ctverify_at(&job.server).args(whole));
        let run = job.run_to(24);
        assert_eq!(run.count("log_file", "unlisted"), whole.count("log_file", "unlisted"), "{name}");
    }
}

#[test]
fn a_log_file_that_was_changed_later_is_found_by_a_recheck() {
    let job = Job::new(trail());
    assert_eq!(job.run_to(20).verdict(), "verified");
    let file = job.trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let stored = job.server.object(&job.trail.spec.bucket, &file).unwrap();
    let body = ctverify_testkit::gzip(b"{\"Records\":[]}").into();
    job.server.put(&job.trail.spec.bucket, &file, ctverify_testkit::Stored { body, ..stored });
    assert_eq!(job.run_to(21).verdict(), "verified");
    let all = records(job.command().args(["--end", &job.end(21), "--recheck", "100%"]));
    assert_eq!((all.code, all.verdict()), (1, "violated"));
    assert_eq!(of_kind(&all, "log_file", "modified")[0]["key"], *file);
    // The violation stays in later reports, and another recheck does not tell it as new.
    let started = all.of("run")[0]["started"].clone();
    for more in [&[][..], &["--recheck", "100%"]] {
        let later = records(job.command().args(["--end", &job.end(22)]).args(more));
        assert_eq!((later.code, later.verdict()), (1, "violated"), "{}", later.stdout);
        assert_eq!(of_kind(&later, "log_file", "modified")[0]["since"], started);
        assert_eq!(of_kind(&later, "log_file", "modified")[0]["id"], of_kind(&all, "log_file", "modified")[0]["id"]);
        assert_eq!(later.of("summary")[0]["checkpoint"]["new"], 0);
    }
}

#[test]
fn a_copy_is_gone_on_with() {
    let made = trail();
    let mirror = Mirror::new(&made, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let late = mirror.dir().join(&made.chains[0].backfill[0].key);
    let aside = folder.path().join("aside");
    std::fs::rename(&late, &aside).unwrap();
    let run_to = |digest: usize| {
        let end = &made.chains[0].digests[digest].document.digest_end_time;
        records(mirror.command().args(["--end", end]).arg("--state").arg(&state))
    };
    let first = run_to(20);
    assert_eq!(first.count("digest", "valid"), 21);
    std::fs::rename(&aside, &late).unwrap();
    let second = run_to(22);
    // The last digest of the first run, two new ones, and the late backfill digest.
    assert_eq!((second.verdict(), second.count("digest", "valid")), ("verified", 4), "{}", second.stdout);
    assert_eq!(run_to(22).count("digest", "valid"), 1);
    assert!(!std::fs::read_dir(folder.path()).unwrap().any(|entry| entry.unwrap().path().ends_with("partial")));
}

#[test]
fn a_checkpoint_serves_one_trail_one_depth_and_one_version() {
    let job = Job::new(trail());
    job.run_to(20);
    let before = std::fs::read(job.state()).unwrap();
    let refused = |command: &mut Command, why: &str| {
        let run = run(command);
        assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(why) && run.stderr.contains("checkpoint"), "{}", run.stderr);
    };
    refused(job.command().args(["--depth", "chain"]), "depth content, not for chain");
    let mut other = ctverify_at(&job.server);
    other.args([
        "--trail-arn",
        "arn:aws:cloudtrail:us-east-1:111122223333:trail/other",
        "--bucket",
        "example-trail-logs",
    ]);
    refused(other.arg("--state").arg(job.state()), "not for arn:aws:cloudtrail:us-east-1:111122223333:trail/other");
    assert_eq!(std::fs::read(job.state()).unwrap(), before);
    let newer =
        String::from_utf8(before.clone()).unwrap().replace("\"ctverify_checkpoint\":3", "\"ctverify_checkpoint\":4");
    std::fs::write(job.state(), newer).unwrap();
    refused(&mut job.command(), "its version is 4");
    std::fs::write(job.state(), &before[..before.len() / 2]).unwrap();
    refused(&mut job.command(), "is no checkpoint that this version can read");
    std::fs::write(job.state(), "").unwrap();
    refused(&mut job.command(), "Move it away to begin anew");
    std::fs::remove_file(job.state()).unwrap();
    std::fs::create_dir(job.state()).unwrap();
    assert_eq!(run(&mut job.command()).code, 4);
}

#[test]
fn a_run_that_fails_or_is_interrupted_leaves_the_checkpoint_as_it_was() {
    let job = Job::new(trail());
    job.run_to(20);
    let before = std::fs::read(job.state()).unwrap();
    let report = format!("json={}", job.folder.path().join("full").display());
    std::os::unix::fs::symlink("/dev/full", job.folder.path().join("full")).unwrap();
    assert_eq!(run(job.command().args(["--end", &job.end(22), "--report", &report])).code, 4);
    assert_eq!(std::fs::read(job.state()).unwrap(), before);
    let slow = ServerOptions { latency: std::time::Duration::from_millis(300), ..ServerOptions::default() };
    let slow = Server::start(&job.trail, slow);
    let mut command = ctverify_at(&slow);
    command.args(["--trail-arn", &job.trail.spec.arn(), "--bucket", &job.trail.spec.bucket, "--end", &job.end(40)]);
    let child = command.arg("--state").arg(job.state()).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1200));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let code = wait(child);
    assert_eq!(code, Some(130));
    assert_eq!(std::fs::read(job.state()).unwrap(), before);
}

#[test]
fn grace_says_how_long_a_digest_may_take() {
    // The newest digest ends within the hour.
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(10);
    let mut made = TrailSpec { start, hours: 10, ..TrailSpec::default() }.forge();
    let late = made.chains[0].digests[7].key.clone();
    made.remove(&late);
    let job = Job::new(made);
    let run_with = |grace: &[&str]| records(job.command().args(grace));
    // The removed digest ended two to three hours ago.
    let strict = run_with(&[]);
    assert_eq!((strict.code, strict.count("digest", "missing")), (1, 1), "{}", strict.stdout);
    std::fs::remove_file(job.state()).unwrap();
    let patient = run_with(&["--grace", "6h"]);
    assert_eq!((patient.code, patient.count("digest", "missing")), (0, 0), "{}", patient.stdout);
    assert!(patient.gaps().iter().all(|cause| *cause == "not_yet_delivered") && !patient.gaps().is_empty());
    // Once the grace is over, a later run reports the digest as missing, for the first time.
    let later = run_with(&["--grace", "90min"]);
    assert_eq!((later.code, later.count("digest", "missing")), (1, 1), "{}", later.stdout);
    assert!(of_kind(&later, "digest", "missing")[0].get("since").is_none());
    assert_eq!(run(job.command().args(["--grace", "soon"])).code, 2);
}

/// A report and the checkpoint must never contradict each other: a finding that is in no report has
/// to be found again by the next run.
#[test]
fn a_run_that_is_killed_at_any_moment_loses_no_finding() {
    const KILLS: usize = 100;
    let hours = u32::try_from(KILLS).unwrap() + 10;
    let mut made = TrailSpec { hours, log_files: 1, ..TrailSpec::default() }.forge();
    let files: Vec<String> =
        made.chains[0].digests.iter().map(|digest| digest.document.log_files[0].s3_object.clone()).collect();
    // One log file of every hour is changed.
    files.iter().for_each(|file| made.replace(file, ctverify_testkit::gzip(b"{}")));
    let job = Job::new(made);
    let mut told: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
    let mut take = |report: &Path| {
        for line in std::fs::read_to_string(report).unwrap_or_default().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            if record["record"] == "log_file" && record["status"] == "modified" {
                told.insert(record["key"].as_str().unwrap().to_owned());
            }
        }
    };
    // The first run is not killed, and shows how long a run takes.
    let (mut killed, mut longest) = (0, std::time::Duration::from_secs(60));
    for kill in 0..KILLS {
        let report = job.folder.path().join(format!("{kill}.jsonl"));
        let mut command = job.command();
        command.args(["--end", &job.end(kill + 5), "--quiet", "--report"]).arg(format!("jsonl={}", report.display()));
        let began = std::time::Instant::now();
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        let moment = match kill {
            0 => longest,
            _ => longest.mul_f64(RandomState::new().hash_one(kill) as f64 / u64::MAX as f64),
        };
        while began.elapsed() < moment && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        match child.try_wait().unwrap() {
            Some(_) => longest = began.elapsed().mul_f64(1.3),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                killed += 1;
                // The next run gets more time, so that some runs complete.
                longest = longest.mul_f64(1.1);
            }
        }
        // The checkpoint, if there is one, is complete.
        if job.state().exists() {
            assert_eq!(job.kept()["ctverify_checkpoint"], 3);
        }
        take(&report);
    }
    let report = job.folder.path().join("last.jsonl");
    let last =
        run(job.command().args(["--end", &job.end(KILLS + 5), "--report"]).arg(format!("jsonl={}", report.display())));
    assert!(matches!(last.code, 0 | 1), "{}", last.stderr);
    take(&report);
    let lost: Vec<&String> = files[..=KILLS + 5].iter().filter(|file| !told.contains(*file)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!((KILLS / 4..KILLS - 5).contains(&killed), "{killed} of {KILLS} runs were killed before their end");
    figure("killed", &format!("{killed} runs killed at random moments: no finding lost"));
}

fn wait(mut child: std::process::Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn a_checkpoint_lies_in_s3_and_two_jobs_do_not_lose_each_others_work() {
    let made = TrailSpec { regions: vec!["us-east-1".to_owned(), "eu-west-1".to_owned()], ..trail().spec }.forge();
    let regions = [("audit-state".to_owned(), "eu-central-1".to_owned())].into();
    let slow = std::time::Duration::from_millis(40);
    let options = ServerOptions { bucket_regions: regions, latency: slow, ..ServerOptions::default() };
    let server = Server::start(&made, options);
    server.make_bucket("audit-state", "eu-central-1");
    let command = |region: &str, end: &str| {
        let mut command = ctverify_at(&server);
        command.args(["--trail-arn", &made.spec.arn(), "--bucket", &made.spec.bucket, "--end", end]);
        command.args(["--state", "s3://audit-state/trail/checkpoint.json", "--regions", region]);
        command.args(["--format", "jsonl"]);
        command
    };
    let ends: Vec<String> =
        made.chains.iter().map(|chain| chain.digests[20].document.digest_end_time.clone()).collect();
    let children: Vec<std::process::Child> = [("eu-west-1", &ends[0]), ("us-east-1", &ends[1])]
        .map(|(region, end)| command(region, end).stdout(std::process::Stdio::null()).spawn().unwrap())
        .into();
    assert_eq!(children.into_iter().map(wait).collect::<Vec<_>>(), [Some(0), Some(0)]);
    let kept = server.object("audit-state", "trail/checkpoint.json").unwrap();
    let kept: Value = serde_json::from_slice(&kept.body).unwrap();
    let through: Vec<&Value> =
        kept["chains"].as_array().unwrap().iter().map(|chain| &chain["through"]["key"]).collect();
    let expected: Vec<Value> = made.chains.iter().map(|chain| chain.digests[20].key.clone().into()).collect();
    assert_eq!(through, expected.iter().collect::<Vec<_>>());
    // The next run continues from the checkpoint.
    let next = run(&mut command("us-east-1", &made.chains[1].digests[22].document.digest_end_time));
    assert_eq!((next.code, next.of("digest").len()), (0, 3), "{}{}", next.stdout, next.stderr);
}

#[test]
fn a_checkpoint_is_not_put_where_it_would_be_examined_or_can_not_be() {
    let job = Job::new(trail());
    let place = ["--trail-arn", &job.trail.spec.arn(), "--bucket", &job.trail.spec.bucket];
    let inside = run(ctverify_at(&job.server).args(place).args(["--state", "s3://example-trail-logs/state"]));
    assert_eq!(inside.code, 2);
    assert!(inside.stderr.contains("which ctverify never writes to"), "{}", inside.stderr);
    let end = job.end(20);
    let nowhere =
        run(ctverify_at(&job.server).args(place).args(["--end", &end, "--state", "s3://no-such-bucket/state"]));
    assert_eq!(nowhere.code, 4, "{}", nowhere.stderr);
    let mirror = Mirror::new(&job.trail, Layout::Keys, true);
    let offline = run(mirror.command().args(["--state", "s3://audit-state/key"]));
    assert_eq!(offline.code, 2);
    let missing = Path::new("/nonexistent/state");
    assert_eq!(run(mirror.command().arg("--state").arg(missing)).code, 4);
    let bag = run(mirror.command().arg("--state").arg(job.state()).args(["--sample", "5%"]));
    assert_eq!(bag.code, 2);
}

/// Issue: "Digests that were verified and are deleted later": after a run, 15 digests and their
/// logs deleted, the next said that nothing is changed or missing.
#[test]
fn verified_digests_that_are_deleted_later_are_missed() {
    let trail = TrailSpec { backfill: vec![6], hours: 40, ..trail().spec }.forge();
    let job = Job::new(trail);
    job.run_to(30);
    let now: Timestamp = Timestamp::now();
    let chain = job.trail.chains[0].clone();
    let gone: Vec<_> = chain.digests[5..20].iter().chain(&chain.backfill).cloned().collect();
    for digest in &gone {
        job.server.delete("example-trail-logs", &digest.key, now);
        for file in &digest.document.log_files {
            job.server.delete("example-trail-logs", &file.s3_object, now);
        }
    }
    let second = job.run_to(31);
    assert_eq!((second.code, second.count("digest", "missing")), (1, gone.len()), "{}", second.stdout);
    assert_eq!(second.of("chain")[0]["fault"], "checkpoint_contradicted");
    let third = job.run_to(32);
    let new = |run: &Run| run.of("summary")[0]["checkpoint"]["new"].as_u64().unwrap();
    assert_eq!((third.code, third.count("digest", "missing"), new(&third)), (1, gone.len(), 0), "{}", third.stdout);
    // The digests and their log files are put back.
    for digest in &gone {
        let stored = job.trail.objects[&("example-trail-logs".to_owned(), digest.key.clone())].clone();
        job.server.put("example-trail-logs", &digest.key, stored);
        for file in &digest.document.log_files {
            let stored = job.trail.objects[&("example-trail-logs".to_owned(), file.s3_object.clone())].clone();
            job.server.put("example-trail-logs", &file.s3_object, stored);
        }
    }
    let fourth = job.run_to(33);
    assert_eq!((fourth.code, fourth.of("chain")[0]["fault"].is_null()), (0, true), "{}", fourth.stdout);
    assert!(std::fs::metadata(job.state()).unwrap().len() < 8 << 10);
}

#[test]
fn a_place_that_could_not_be_listed_shows_nothing_of_what_is_gone() {
    let job = Job::new(trail());
    job.run_to(20);
    let denied = vec!["AWSLogs/111122223333/CloudTrail-Digest/us-east-1/".to_owned()];
    let server = Server::start(&job.trail, ServerOptions { denied_prefixes: denied, ..ServerOptions::default() });
    let mut command = job.command();
    let run = records(command.env("AWS_ENDPOINT_URL", server.url()).args(["--end", &job.end(21)]));
    assert_eq!((run.code, run.count("digest", "missing")), (3, 0), "{}", run.stdout);
}

#[test]
fn a_verified_digest_that_is_written_anew_is_read_again() {
    let job = Job::new(trail());
    assert_eq!(job.run_to(20).code, 0);
    let (bucket, key) = (&job.trail.spec.bucket, &job.trail.chains[0].digests[9].key);
    let stored = job.server.object(bucket, key).unwrap();
    let written = ctverify_testkit::Stored { last_modified: Timestamp::now(), ..stored };
    job.server.put(bucket, key, ctverify_testkit::Stored { body: ctverify_testkit::gzip(b"{}").into(), ..written });
    let found = job.run_to(21);
    assert_eq!((found.code, found.count("digest", "invalid")), (1, 1), "{}", found.stdout);
}

/// A filter that leaves out every chain of the checkpoint leaves nothing that could be verified.
#[test]
fn another_organization_is_no_reason_to_call_a_trail_verified() {
    let job = Job::new(trail());
    assert_eq!(job.run_to(20).code, 0);
    job.server.delete(&job.trail.spec.bucket, &job.trail.chains[0].digests[22].key, Timestamp::now());
    let organization = ["--organization-id", "o-abcdefghij"];
    let other = records(job.command().args(["--end", &job.end(24)]).args(organization));
    assert_eq!((other.code, other.verdict()), (3, "inconclusive"), "{}{}", other.stdout, other.stderr);
    assert_eq!(job.run_to(24).count("digest", "missing"), 1);
}

/// Issue: "checkpoints of version 1 are read".
#[test]
fn a_checkpoint_of_version_1_is_gone_on_with() {
    let job = Job::new(trail());
    job.run_to(20);
    let mut kept = job.kept();
    kept["ctverify_checkpoint"] = Value::from(1);
    for field in ["verified", "log_folders"] {
        kept["chains"][0].as_object_mut().unwrap().remove(field);
    }
    std::fs::write(job.state(), kept.to_string()).unwrap();
    let run = job.run_to(22);
    assert_eq!((run.verdict(), run.of("digest").len()), ("verified", 3), "{}{}", run.stdout, run.stderr);
    assert_eq!(job.kept()["ctverify_checkpoint"], 3);
}

/// The identifiers of the findings of a run.
fn ids(run: &Run) -> Vec<String> {
    run.records.iter().filter_map(|record| record["id"].as_str().map(str::to_owned)).collect()
}

fn ack(job: &Job, words: &[&str]) -> Run {
    let mut command = ctverify();
    run(command.arg("ack").arg("--state").arg(job.state()).args(words))
}

/// Issue 16, point 1: a violation stays in every report and in the verdict until it is acknowledged.
#[test]
fn a_violation_stays_until_it_is_acknowledged() {
    let job = Job::new(trail());
    let file = job.trail.chains[0].digests[10].document.log_files[0].s3_object.clone();
    let stored = job.server.object(&job.trail.spec.bucket, &file).unwrap();
    let body = ctverify_testkit::gzip(b"{\"Records\":[]}").into();
    let changed = ctverify_testkit::Stored { body, ..stored.clone() };
    job.server.put(&job.trail.spec.bucket, &file, changed);
    let first = job.run_to(20);
    assert_eq!((first.code, ids(&first).len()), (1, 1), "{}", first.stdout);
    let id = ids(&first).remove(0);
    for digest in [21, 22] {
        let later = job.run_to(digest);
        assert_eq!((later.code, later.verdict(), ids(&later)), (1, "violated", vec![id.clone()]), "{}", later.stdout);
        assert_eq!(of_kind(&later, "log_file", "modified")[0]["since"], first.of("run")[0]["started"]);
    }
    let text = run(job.command().args(["--end", &job.end(22)]));
    assert!(text.stdout.contains(&id) && text.stdout.contains("known since"), "{}", text.stdout);
    // `ack` lists it, and acknowledges it with name and reason.
    let listed = ack(&job, &[]);
    assert!(listed.code == 0 && listed.stdout.contains(&format!("{id}  modified log file")), "{}", listed.stdout);
    let said = ack(&job, &[&id, "--reason", "a test of ours", "--by", "Ada"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let later = job.run_to(23);
    assert_eq!((later.code, later.verdict()), (0, "verified"), "{}", later.stdout);
    let summary = later.of("summary")[0];
    assert_eq!((&summary["acknowledged"], &summary["log_files"]["modified"]), (&Value::from(1), &Value::from(0)));
    let record = of_kind(&later, "log_file", "modified")[0];
    assert_eq!(
        (&record["acknowledged"]["by"], &record["acknowledged"]["reason"]),
        (&"Ada".into(), &"a test of ours".into())
    );
    let text = run(job.command().args(["--end", &job.end(23)])).stdout;
    assert!(text.contains("apart from 1 acknowledged finding, ") && text.contains("by Ada at "), "{text}");
    // It is acknowledged in a recheck, too, and counts again once that is revoked.
    let again = records(job.command().args(["--end", &job.end(23), "--recheck", "100%"]));
    assert_eq!((again.code, &again.of("summary")[0]["acknowledged"]), (0, &Value::from(1)), "{}", again.stdout);
    assert_eq!(ack(&job, &[&id, "--revoke"]).code, 0);
    assert_eq!(job.run_to(24).verdict(), "violated");
    // Once the genuine file is back, one run says so.
    job.server.put(&job.trail.spec.bucket, &file, stored);
    let mended = job.run_to(24);
    assert_eq!((mended.code, mended.verdict()), (0, "verified"), "{}", mended.stdout);
    let record = of_kind(&mended, "log_file", "intact").into_iter().find(|record| record["key"] == *file).unwrap();
    assert_eq!((&record["mended"]["status"], &record["mended"]["id"]), (&"modified".into(), &id.clone().into()));
    let after = job.run_to(25);
    assert!(!after.stdout.contains("mended\":{") && after.code == 0, "{}", after.stdout);
    assert!(ack(&job, &[]).stdout.contains("no finding is open"));
}

/// Issue 16, point 1.
#[test]
fn every_kind_of_violation_can_be_acknowledged_and_all_at_once() {
    let job = Job::new(trail());
    let digests = &job.trail.chains[0].digests;
    job.run_to(14);
    let (bucket, verified, unseen) = (&job.trail.spec.bucket, digests[12].key.clone(), digests[16].key.clone());
    for key in [&verified, &unseen] {
        job.server.delete(bucket, key, jiff::Timestamp::now());
    }
    let first = job.run_to(20);
    // Two missing digests, their gaps, and the history that no longer leads to a verified one.
    assert_eq!((first.count("digest", "missing"), first.code), (2, 1), "{}", first.stdout);
    assert_eq!(first.of("chain")[0]["fault"], "checkpoint_contradicted");
    let found = ids(&first);
    // A digest of the verified time leaves no gap in this run's range.
    assert_eq!(found.len(), 4, "{}", first.stdout);
    let reason = ["--reason", "a test"];
    let words: Vec<&str> = found[..2].iter().map(String::as_str).chain(reason).collect();
    assert_eq!(ack(&job, &words).code, 0);
    assert_eq!(job.run_to(20).verdict(), "violated");
    let all = ack(&job, &["--all", "--reason", "a test"]);
    assert!(all.code == 0 && all.stdout.contains("The acknowledgement has no name"), "{}{}", all.stdout, all.stderr);
    let later = job.run_to(21);
    assert_eq!((later.code, ids(&later)), (0, found), "{}", later.stdout);
    assert_eq!(later.of("summary")[0]["acknowledged"], 4);
    assert_eq!(ack(&job, &["--all", "--revoke"]).code, 0);
    assert_eq!(job.run_to(21).verdict(), "violated");
}

/// Issue 16, point 1.
#[test]
fn an_acknowledgement_that_can_not_be_made_says_why() {
    let job = Job::new(trail());
    assert!(ack(&job, &[]).stderr.contains("there is no checkpoint"), "no checkpoint is there yet");
    let file = job.trail.chains[0].digests[10].document.log_files[0].s3_object.clone();
    job.server.delete(&job.trail.spec.bucket, &file, jiff::Timestamp::now());
    let id = ids(&job.run_to(20)).remove(0);
    let before = std::fs::read(job.state()).unwrap();
    for (words, why) in [
        (&[&*id][..], "an acknowledgement needs a reason"),
        (&["--reason", "x"], "no finding is named"),
        (&["0123456789abcdef", "--reason", "x"], "has no open finding 0123456789abcdef"),
        (&["zebra", "--reason", "x"], "is not the identifier of a finding"),
        (&[&*id, "--revoke"], "is not acknowledged"),
        (&[&*id, "ffffffffffffffff", "--reason", "x"], "has no open finding ffffffffffffffff"),
        (&[&*id, "--all", "--reason", "x"], "cannot be used with"),
    ] {
        let refused = ack(&job, words);
        assert!(refused.code == 2 && refused.stderr.contains(why), "{words:?}: {}{}", refused.stdout, refused.stderr);
        assert_eq!(std::fs::read(job.state()).unwrap(), before, "{words:?}");
    }
    assert_eq!(ack(&job, &[&id, "--reason", "x"]).code, 0);
    let twice = ack(&job, &[&id, "--reason", "y"]);
    assert!(twice.code == 2 && twice.stderr.contains("was acknowledged"), "{}", twice.stderr);
    assert!(ack(&job, &[]).stdout.contains("acknowledged by somebody who gave no name"));
}

/// Issue 16, point 1: an explicit --start beside a checkpoint is obeyed or refused.
#[test]
fn a_start_that_the_checkpoint_has_not_examined_is_refused() {
    let job = Job::new(trail());
    let begin = job.end(10);
    let with_start =
        |start: &str, digest: usize| records(job.command().args(["--start", start, "--end", &job.end(digest)]));
    assert_eq!(with_start(&begin, 20).code, 0);
    // The same command, and a later start, ask about a time that the runs have examined.
    for start in [begin.clone(), job.end(12), job.end(21)] {
        let run = with_start(&start, 22);
        assert_eq!((run.code, run.verdict()), (0, "verified"), "{start}: {}", run.stderr);
    }
    let before = std::fs::read(job.state()).unwrap();
    let refused = with_start(&job.end(5), 23);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("is before the time that the runs of --state"), "{}", refused.stderr);
    assert_eq!(std::fs::read(job.state()).unwrap(), before);
    // A checkpoint that began with the first digests has examined everything.
    let whole = Job::new(trail());
    whole.run_to(20);
    let run = records(whole.command().args(["--start", "2026-02-01", "--end", &whole.end(22)]));
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

/// Issue 16, point 1: what an older version reported, and did not keep, still counts.
#[test]
fn a_checkpoint_of_version_2_keeps_the_number_of_its_violations() {
    let job = Job::new(trail());
    job.run_to(20);
    let mut kept = job.kept();
    kept["ctverify_checkpoint"] = Value::from(2);
    kept["chains"][0]["told"] = serde_json::json!({ "valid": 22, "modified": 3, "deleted": 1, "intact": 40 });
    std::fs::write(job.state(), kept.to_string()).unwrap();
    let later = job.run_to(21);
    assert_eq!((later.code, later.verdict()), (1, "violated"), "{}", later.stdout);
    let counted = serde_json::json!({ "deleted log file": 1, "modified log file": 3 });
    assert_eq!(later.of("summary")[0]["checkpoint"]["counted"], counted);
    let text = run(job.command().args(["--end", &job.end(21)])).stdout;
    assert!(text.contains("Earlier runs reported 3 modified log files more"), "{text}");
    assert!(text.contains("4 more violations that earlier runs reported"), "{text}");
    assert_eq!(ack(&job, &["--all", "--reason", "looked into"]).code, 0);
    let later = job.run_to(22);
    assert_eq!((later.code, &later.of("summary")[0]["acknowledged"]), (0, &Value::from(4)), "{}", later.stdout);
    let text = run(job.command().args(["--end", &job.end(22)])).stdout;
    assert!(text.contains("looked into"), "{text}");
}

/// A scheduled audit of a copy of two regions.
struct CopyJob {
    made: ForgedTrail,
    mirror: Mirror,
    folder: TempDir,
}

impl CopyJob {
    fn new() -> Self {
        let regions = vec!["us-east-1".to_owned(), "eu-west-1".to_owned()];
        let made = TrailSpec { hours: 30, regions, busy_percent: 100, ..TrailSpec::default() }.forge();
        let mirror = Mirror::new(&made, Layout::Keys, true);
        Self { made, mirror, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.mirror.dir().join(key)
    }

    fn run(&self, words: &[&str]) -> Run {
        records(self.mirror.command().arg("--state").arg(self.folder.path().join("state")).args(words))
    }

    fn ack(&self, words: &[&str]) -> Run {
        run(ctverify().arg("ack").arg("--state").arg(self.folder.path().join("state")).args(words))
    }

    fn log_file(&self, chain: usize, digest: usize) -> String {
        self.made.chains[chain].digests[digest].document.log_files[0].s3_object.clone()
    }
}

/// Found by a trial: a log file without a hash kept its identifier, whatever it became.
#[test]
fn an_acknowledgement_does_not_cover_another_content_without_a_hash() {
    let job = CopyJob::new();
    let path = job.path(&job.log_file(0, 5));
    std::fs::write(&path, "").unwrap();
    assert_eq!(job.run(&[]).code, 1);
    assert_eq!(job.ack(&["--all", "--reason", "a test"]).code, 0);
    assert_eq!(job.run(&[]).code, 0);
    for content in ["not gzip", "not gzip, and longer"] {
        std::fs::write(&path, content).unwrap();
        let again = job.run(&[]);
        assert_eq!(
            (again.code, again.of("summary")[0]["checkpoint"]["new"].clone()),
            (1, 1.into()),
            "{}",
            again.stdout
        );
        assert_eq!(job.ack(&["--all", "--reason", "a test"]).code, 0);
    }
}

/// Found by a trial: the gap that an invalid digest leaves was forgotten by the next run.
#[test]
fn the_gap_of_an_invalid_digest_stays_until_it_closes_or_is_acknowledged() {
    let job = CopyJob::new();
    let path = job.path(&job.made.chains[0].digests[8].key);
    let genuine = std::fs::read(&path).unwrap();
    std::fs::write(&path, ctverify_testkit::gzip(b"{}")).unwrap();
    let first = job.run(&[]);
    let gap = first.of("gap")[0]["id"].clone();
    let digest = of_kind(&first, "digest", "invalid")[0]["id"].clone();
    assert_eq!(first.of("gap")[0]["cause"], "digests_invalid");
    assert_eq!(job.ack(&[digest.as_str().unwrap(), "--reason", "a test"]).code, 0);
    let later = job.run(&[]);
    assert_eq!((later.code, &later.of("gap")[0]["id"]), (3, &gap), "{}", later.stdout);
    assert_eq!(job.ack(&[gap.as_str().unwrap(), "--reason", "a test"]).code, 0);
    assert_eq!(job.run(&[]).code, 0);
    std::fs::write(&path, genuine).unwrap();
    let back = job.run(&[]);
    assert_eq!((back.code, back.of("gap").len()), (0, 0), "{}", back.stdout);
    assert_eq!(back.of("digest").iter().filter(|digest| digest.get("mended").is_some()).count(), 1);
}

/// Found by a trial: a planted file that was removed again left no trace in the reports.
#[test]
fn an_unlisted_file_that_is_gone_is_a_warning_once() {
    let job = CopyJob::new();
    job.run(&[]);
    let listed = job.log_file(0, 28);
    let planted = job.path(&listed.replace(".json.gz", "0.json.gz"));
    std::fs::copy(job.path(&listed), &planted).unwrap();
    let found = job.run(&[]);
    assert_eq!((found.code, found.count("log_file", "unlisted")), (3, 1), "{}", found.stdout);
    std::fs::remove_file(&planted).unwrap();
    let gone = job.run(&[]);
    let warnings: Vec<&Value> = gone.of("warning").into_iter().filter(|one| one["code"] == "finding_closed").collect();
    assert_eq!((gone.code, warnings.len()), (0, 1), "{}", gone.stdout);
    assert!(!job.run(&[]).stdout.contains("finding_closed"));
}

/// Found by a trial: a recheck left out the log files of the last verified digest, and a run over one
/// region said nothing of what is open in another.
#[test]
fn a_recheck_and_a_filter_leave_nothing_unsaid() {
    let job = CopyJob::new();
    job.run(&[]);
    let newest = job.made.chains[0].digests.len() - 1;
    let file = job.log_file(0, newest);
    std::fs::write(job.path(&file), ctverify_testkit::gzip(b"{}")).unwrap();
    let found = job.run(&["--recheck", "100%"]);
    assert_eq!((found.code, found.count("log_file", "modified")), (1, 1), "{}", found.stdout);
    let (mine, other) = (&job.made.chains[0].region, &job.made.chains[1].region);
    let filtered = job.run(&["--regions", other]);
    assert_eq!(filtered.code, 1, "{}", filtered.stdout);
    let counted = serde_json::json!({ "modified log file": 1 });
    assert_eq!(filtered.of("summary")[0]["checkpoint"]["counted"], counted);
    assert_eq!(job.run(&["--regions", mine]).count("log_file", "modified"), 1);
    let text = run(job.mirror.command().arg("--state").arg(job.folder.path().join("state")).args(["--recheck", "5%"]));
    assert!(text.stdout.contains("recheck 5% of the days"), "{}", text.stdout);
}

/// Issue 16, point 1: a checkpoint in S3 is listed and acknowledged as one in a file is.
#[test]
fn a_finding_in_a_checkpoint_in_s3_is_acknowledged() {
    let job = Job::new(trail());
    let file = job.trail.chains[0].digests[10].document.log_files[0].s3_object.clone();
    job.server.delete(&job.trail.spec.bucket, &file, jiff::Timestamp::now());
    job.server.make_bucket("audit-state", "us-east-1");
    let state = ["--state", "s3://audit-state/trail.json"];
    let at_end = |digest: usize| {
        let mut command = ctverify_at(&job.server);
        command.args(["--trail-arn", &job.trail.spec.arn(), "--bucket", &job.trail.spec.bucket]);
        records(command.args(state).args(["--end", &job.end(digest)]))
    };
    let id = ids(&at_end(20)).remove(0);
    let acknowledge = |words: &[&str]| run(ctverify_at(&job.server).arg("ack").args(state).args(words));
    assert!(acknowledge(&[]).stdout.contains(&id));
    assert_eq!(acknowledge(&[&id, "--reason", "a test"]).code, 0);
    let later = at_end(21);
    assert_eq!((later.code, &later.of("summary")[0]["acknowledged"]), (0, &Value::from(1)), "{}", later.stdout);
}

/// Found by a trial: a range that ends before the checkpoint gave an empty report.
#[test]
fn an_end_before_the_checkpoint_is_refused() {
    let job = CopyJob::new();
    assert_eq!(job.run(&[]).code, 0);
    let refused = job.run(&["--end", &job.made.chains[0].digests[3].document.digest_end_time]);
    assert!(refused.code == 2 && refused.stderr.contains("is before the time up to which"), "{}", refused.stderr);
}
