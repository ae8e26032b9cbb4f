//! The beginning of a chain, without a `--start` that says from when on to look.

use ctverify_testkit::{ForgedTrail, Layout, Lifecycle, Server, ServerOptions, TrailSpec};
use jiff::{SignedDuration, Timestamp};

use crate::support::{Mirror, Run, ctverify_at, records};

/// Returns the time so many hours ago, in whole seconds, as object names have it.
fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() - hours * 3600).unwrap()
}

/// A trail of a day, whose first half was removed with its log files.
fn without_first_half() -> ForgedTrail {
    let start = hours_ago(60);
    let mut trail = TrailSpec { start, hours: 24, ..TrailSpec::default() }.forge();
    for digest in &trail.chains[0].digests.clone()[..12] {
        trail.remove(&digest.key);
        digest.document.log_files.iter().for_each(|file| drop(trail.remove(&file.s3_object)));
    }
    trail
}

fn over_s3(trail: &ForgedTrail, options: ServerOptions, more: &[&str]) -> Run {
    let server = Server::start(trail, options);
    let end = trail.chains[0].digests.last().unwrap().document.digest_end_time.clone();
    let place = ["--bucket", &trail.spec.bucket, "--trail-arn", &trail.spec.arn(), "--end", &end];
    records(ctverify_at(&server).args(place).args(more))
}

/// Issue: "The oldest history": without `--start`, half a day deleted with its logs gave exit 0.
#[test]
fn without_a_start_the_first_digests_predecessor_is_missed() {
    let trail = without_first_half();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    for more in [&[][..], &["--state", state.to_str().unwrap()]] {
        let run = over_s3(&trail, ServerOptions::default(), more);
        assert_eq!((run.code, run.count("digest", "missing")), (1, 1), "{}", run.stdout);
        let gap = run.of("gap")[0];
        let (named, first) = (&trail.chains[0].digests[11].document, &trail.chains[0].digests[12].document);
        assert_eq!((gap["cause"].as_str(), gap["missing_digests"].as_u64()), (Some("digests_missing"), Some(1)));
        let end: Timestamp = named.digest_end_time.parse().unwrap();
        let from = (end - SignedDuration::from_hours(1)).to_string();
        assert_eq!((gap["from"].as_str(), gap["to"].as_str()), (Some(&*from), Some(&*first.digest_start_time)));
    }
    let run = records(&mut Mirror::new(&trail, Layout::Keys, true).command());
    assert_eq!((run.code, run.gaps()), (3, vec!["before_first_digest"]), "{}", run.stdout);
    assert!(run.of("gap")[0]["detail"].as_str().unwrap().contains("earlier digests existed; give --start"));
}

#[test]
fn a_chain_that_begins_with_a_starting_digest_begins_by_itself() {
    let start = hours_ago(60);
    let trail = TrailSpec { start, hours: 24, ..TrailSpec::default() }.forge();
    assert_eq!(over_s3(&trail, ServerOptions::default(), &[]).code, 0);
}

#[test]
fn what_a_lifecycle_rule_explains_of_the_beginning_has_expired() {
    let trail = without_first_half();
    let rule = Lifecycle { id: "tidy up".into(), prefix: String::new(), days: 1, tagged: false };
    // Everything that the rule reaches is gone.
    let mut expired = trail.clone();
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).start_of_day().unwrap().timestamp();
    let horizon = today - SignedDuration::from_hours(24);
    expired.objects.retain(|_, stored| stored.last_modified >= horizon);
    if expired.objects.is_empty() {
        return;
    }
    let run = over_s3(&expired, ServerOptions { lifecycle: vec![rule], ..ServerOptions::default() }, &[]);
    assert_eq!((run.code, run.count("digest", "missing")), (3, 0), "{}", run.stdout);
    assert!(run.gaps().contains(&"expired"), "{}", run.stdout);
    // If the rules may not be read, the cause stays open.
    let denied_operations = ["GetBucketLifecycleConfiguration".to_owned()].into();
    let run = over_s3(&trail, ServerOptions { denied_operations, ..ServerOptions::default() }, &[]);
    assert_eq!((run.code, run.gaps()), (3, vec!["before_first_digest"]), "{}", run.stdout);
}

#[test]
fn a_beginning_in_a_bucket_that_the_trail_has_left_is_open() {
    let start = hours_ago(60);
    let mut trail = TrailSpec { start, hours: 24, ..TrailSpec::default() }.forge();
    trail.house_before(12, "old-bucket");
    // The old bucket is there, and its digests are read.
    assert_eq!(over_s3(&trail, ServerOptions::default(), &[]).code, 0);
    let mut gone = trail.clone();
    gone.objects.retain(|(bucket, _), _| bucket != "old-bucket");
    let run = over_s3(&gone, ServerOptions::default(), &[]);
    assert_eq!((run.code, run.gaps().contains(&"before_first_digest")), (3, true), "{}", run.stdout);
    let denied_keys = trail.chains[0].digests[..12].iter().map(|digest| digest.key.clone()).collect();
    let run = over_s3(&trail, ServerOptions { denied_keys, ..ServerOptions::default() }, &[]);
    assert_eq!((run.code, run.count("digest", "missing")), (3, 0), "{}", run.stdout);
}

/// Issue: "Settings that soften silently": `CTVERIFY_GRACE=100000h` turned two deleted digests into
/// exit 0.
#[test]
fn a_grace_is_at_most_a_day_and_stands_in_the_records() {
    let start = hours_ago(12);
    let mut trail = TrailSpec { start, hours: 11, ..TrailSpec::default() }.forge();
    for digest in &trail.chains[0].digests.clone()[5..7] {
        trail.remove(&digest.key);
    }
    let server = Server::start(&trail, ServerOptions::default());
    let run = |grace: &str| {
        let mut command = ctverify_at(&server);
        command.env("CTVERIFY_GRACE", grace).args(["--trail-arn", &trail.spec.arn(), "--start", "11h"]);
        records(&mut command)
    };
    let refused = run("100000h");
    assert_eq!((refused.code, refused.stderr.contains("at most 24h")), (2, true), "{}", refused.stderr);
    let excused = run("10h");
    assert_eq!((excused.code, &excused.of("run")[0]["grace_seconds"]), (0, &serde_json::json!(36_000)));
    let hole = excused.of("gap").into_iter().find(|gap| gap["missing_digests"] == 2).unwrap().clone();
    assert!(hole["detail"].as_str().unwrap().contains("the grace of 10 h alone excuses"), "{hole}");
}
