//! Losses that a lifecycle rule of the bucket explains: the oldest ones, and no others.

use ctverify_testkit::{ForgedTrail, Lifecycle, Server, ServerOptions, TrailSpec};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{Run, ctverify_at, records};

const DAYS: i32 = 2;

/// Returns a trail of the last five days and three hours: S3 removes objects at midnight, so the
/// age at which the oldest spared object tells anything depends on the hour.
fn five_days() -> ForgedTrail {
    const HOURS: u32 = 5 * 24 + 3;
    let start = Timestamp::now() - SignedDuration::from_hours(i64::from(HOURS));
    TrailSpec { start, hours: HOURS, busy_percent: 100, ..TrailSpec::default() }.forge()
}

/// Returns the time before which objects were made that have expired by now.
fn horizon() -> Timestamp {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).start_of_day().unwrap().timestamp();
    today - SignedDuration::from_hours(24 * i64::from(DAYS))
}

/// Removes the objects that were made before `horizon`, as S3 does.
fn expire(trail: &mut ForgedTrail, horizon: Timestamp) {
    trail.objects.retain(|_, stored| stored.last_modified >= horizon);
}

fn rule(prefix: &str) -> Lifecycle {
    Lifecycle { id: "tidy up".into(), prefix: prefix.into(), days: DAYS, tagged: false }
}

fn verify(trail: &ForgedTrail, lifecycle: Vec<Lifecycle>, more: &[&str]) -> Run {
    let server = Server::start(trail, ServerOptions { lifecycle, ..ServerOptions::default() });
    records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "100h"]).args(more))
}

#[test]
fn the_oldest_losses_have_expired() {
    let mut trail = five_days();
    expire(&mut trail, horizon());
    let run = verify(&trail, vec![rule("AWSLogs/")], &[]);
    assert_eq!((run.code, run.verdict()), (3, "inconclusive"), "{}", run.stdout);
    assert_eq!((run.count("digest", "missing"), run.count("log_file", "deleted")), (0, 0));
    let gaps: Vec<_> = run.of("gap").into_iter().filter(|gap| gap["cause"] != "not_yet_delivered").collect();
    assert_eq!((gaps.len(), &gaps[0]["cause"]), (1, &json!("expired")), "{}", run.stdout);
    let detail = gaps[0]["detail"].as_str().unwrap();
    assert!(detail.contains("lifecycle rule 'tidy up' lets objects under AWSLogs/ expire after 2 days"), "{detail}");
}

#[test]
fn an_expired_gap_can_be_allowed() {
    let mut trail = five_days();
    // Only digests expire: if log files had expired too, the digests of their last hour would list
    // files that are gone.
    let horizon = horizon();
    trail.objects.retain(|(_, key), stored| !key.contains("CloudTrail-Digest") || stored.last_modified >= horizon);
    let allowed = verify(&trail, vec![rule("")], &["--allow", "gap:expired"]);
    assert_eq!((allowed.code, allowed.gaps().contains(&"expired")), (0, true), "{}", allowed.stdout);
}

#[test]
fn log_files_that_expired_a_day_before_their_digest_are_not_called_deleted() {
    let mut trail = five_days();
    let horizon = horizon();
    // The digests of a whole day more are still there.
    trail.objects.retain(|(_, key), stored| key.contains("CloudTrail-Digest") || stored.last_modified >= horizon);
    let run = verify(&trail, vec![rule("AWSLogs/111122223333/CloudTrail/")], &[]);
    assert_eq!((run.code, run.count("log_file", "deleted")), (3, 0), "{}", run.stdout);
    let expired: Vec<_> = run.of("log_file").into_iter().filter(|file| file["status"] == "unverified").collect();
    assert!(expired.len() > 20, "{}", expired.len());
    for file in expired {
        assert_eq!(file["fault"], "expired");
        assert!(file["detail"].as_str().unwrap().contains("lifecycle rule 'tidy up'"), "{file}");
    }
}

#[test]
fn a_loss_that_older_objects_outlived_is_somebodys_doing() {
    let mut trail = five_days();
    let digests = trail.chains[0].digests.clone();
    // A digest and a log file in the middle of the trail, old enough for the rule.
    let (lost, listed_by) = (&digests[30], &digests[35]);
    let file = listed_by.document.log_files[0].s3_object.clone();
    trail.remove(&lost.key);
    trail.remove(&file);
    let run = verify(&trail, vec![rule("AWSLogs/")], &[]);
    assert_eq!((run.code, run.count("digest", "missing"), run.count("log_file", "deleted")), (1, 1, 1));
    let gap = run.of("gap").into_iter().find(|gap| gap["cause"] == "digests_missing").cloned();
    assert!(gap.is_some(), "{}", run.stdout);
    for record in run.of("digest").into_iter().chain(run.of("log_file")) {
        if record["status"] == "missing" || record["status"] == "deleted" {
            let detail = record["detail"].as_str().unwrap();
            assert!(detail.contains("'tidy up'") && detail.contains("older"), "{detail}");
        }
    }
}

#[test]
fn what_a_rule_does_not_reach_yet_is_missing() {
    let mut trail = five_days();
    let horizon = horizon();
    // Somebody removed ten hours more than the rule did.
    expire(&mut trail, horizon + SignedDuration::from_hours(10));
    let run = verify(&trail, vec![rule("AWSLogs/")], &[]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    let gaps: Vec<_> = run.of("gap").into_iter().filter(|gap| gap["cause"] != "not_yet_delivered").collect();
    let causes: Vec<_> = gaps.iter().map(|gap| gap["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["expired", "digests_missing"], "{}", run.stdout);
    assert_eq!((&gaps[0]["to"], &gaps[1]["from"]), (&json!(horizon.to_string()), &json!(horizon.to_string())));
}

#[test]
fn rules_for_other_prefixes_or_tags_explain_nothing() {
    let mut trail = five_days();
    expire(&mut trail, horizon());
    let tagged = Lifecycle { tagged: true, ..rule("AWSLogs/") };
    for (rules, hint) in [(vec![rule("other/")], false), (vec![tagged], true), (Vec::new(), false)] {
        let run = verify(&trail, rules, &[]);
        assert_eq!((run.code, run.gaps().contains(&"expired")), (1, false), "{}", run.stdout);
        let missing = run.of("digest").into_iter().find(|digest| digest["status"] == "missing").unwrap().clone();
        assert_eq!(missing["detail"].as_str().unwrap().contains("'tidy up'"), hint, "{missing}");
    }
}

#[test]
fn rules_that_may_not_be_read_leave_the_oldest_losses_open() {
    let mut trail = five_days();
    expire(&mut trail, horizon());
    let verify = |trail: &ForgedTrail| {
        let denied_operations = ["GetBucketLifecycleConfiguration".to_owned()].into();
        let server = Server::start(trail, ServerOptions { denied_operations, ..ServerOptions::default() });
        let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "100h"]));
        assert_eq!(server.calls("GetBucketLifecycleConfiguration"), 1);
        run
    };
    let run = verify(&trail);
    assert_eq!((run.code, run.count("digest", "missing")), (3, 0), "{}", run.stdout);
    let gap = run.of("gap").into_iter().find(|gap| gap["cause"] == "digests_unverified").unwrap().clone();
    assert!(gap["detail"].as_str().unwrap().contains("s3:GetLifecycleConfiguration"), "{gap}");
    // No rule explains a loss that older digests outlived.
    let middle = trail.chains[0].digests[trail.chains[0].digests.len() - 9].key.clone();
    trail.remove(&middle);
    assert_eq!(verify(&trail).code, 1);
}

/// Issue: "a lifecycle rule written after the deletion, though everything else that it should have
/// removed is there".
#[test]
fn a_rule_that_was_written_after_the_deletion_explains_nothing() {
    // Nine days, and a rule that should have removed all but the last two.
    let start = Timestamp::now() - SignedDuration::from_hours(9 * 24);
    let mut trail = TrailSpec { start, hours: 9 * 24 - 2, busy_percent: 100, ..TrailSpec::default() }.forge();
    let remove_until = |trail: &mut ForgedTrail, hours: i64| {
        let until = start + SignedDuration::from_hours(hours);
        trail.objects.retain(|_, stored| stored.last_modified >= until);
    };
    let verify = |trail: &ForgedTrail| {
        let server = Server::start(trail, ServerOptions { lifecycle: vec![rule("")], ..ServerOptions::default() });
        records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "215h"]))
    };
    // A day was removed by hand, and four days that the rule should have removed two days ago or
    // more are there.
    remove_until(&mut trail, 24);
    let run = verify(&trail);
    assert_eq!((run.code, run.count("digest", "missing")), (1, 1), "{}", run.stdout);
    let missing = run.of("digest").into_iter().find(|digest| digest["status"] == "missing").unwrap().clone();
    assert!(missing["detail"].as_str().unwrap().contains("most of what it should have removed"), "{missing}");
    // Less than half of it is there: the cause stays open.
    remove_until(&mut trail, 84);
    let run = verify(&trail);
    assert_eq!((run.code, run.gaps().contains(&"digests_unverified")), (3, true), "{}", run.stdout);
}

#[test]
fn older_digests_of_the_chain_are_found_behind_those_of_others() {
    let mut trail = five_days();
    // The digests of a day in the middle are gone, and the range begins there.
    let keys: Vec<String> = trail.chains[0].digests[30..50].iter().map(|digest| digest.key.clone()).collect();
    for key in &keys {
        trail.remove(key);
    }
    // Folders that look like days, and hold nothing of the chain.
    let junk = trail.objects.values().next().unwrap().clone();
    let region = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1";
    for day in 0..40 {
        let key = format!(
            "{region}/2026/01/{day:02}/111122223333_CloudTrail-Digest_us-east-1_other-trail_us-east-1_20260101T000000Z.json.gz"
        );
        trail.objects.insert((trail.spec.bucket.clone(), key), junk.clone());
    }
    let rules = vec![rule("AWSLogs/")];
    let server = Server::start(&trail, ServerOptions { lifecycle: rules, ..ServerOptions::default() });
    let start = trail.chains[0].digests[40].document.digest_start_time.clone();
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", &start]));
    assert_eq!((run.code, run.gaps().contains(&"expired")), (1, false), "{}", run.stdout);
}

#[test]
fn a_digest_that_came_late_and_is_still_there_accuses_nobody() {
    let mut trail = five_days();
    let mut whole = trail.clone();
    let horizon = horizon();
    expire(&mut trail, horizon);
    // A digest of an hour before the horizon that was stored after it.
    let long_before = horizon - SignedDuration::from_hours(5);
    let late = whole.chains[0].digests.iter().rfind(|digest| digest.delivered() < long_before).unwrap().key.clone();
    let mut stored = whole.remove(&late);
    stored.last_modified = horizon + SignedDuration::from_mins(30);
    trail.objects.insert((trail.spec.bucket.clone(), late), stored);
    let run = verify(&trail, vec![rule("AWSLogs/")], &[]);
    assert_eq!(
        (run.code, run.count("digest", "missing"), run.count("log_file", "deleted")),
        (3, 0, 0),
        "{}",
        run.stdout
    );
}

#[test]
fn a_log_folder_that_can_not_be_listed_is_no_evidence_against_what_expired() {
    let mut trail = five_days();
    let horizon = horizon();
    trail.objects.retain(|(_, key), stored| key.contains("CloudTrail-Digest") || stored.last_modified >= horizon);
    let denied_prefixes = vec!["AWSLogs/111122223333/CloudTrail/us-east-1/".to_owned()];
    let options = ServerOptions { lifecycle: vec![rule("")], denied_prefixes, ..ServerOptions::default() };
    let server = Server::start(&trail, options);
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "100h"]));
    assert_eq!((run.code, run.count("log_file", "deleted")), (3, 0), "{}", run.stdout);
}

#[test]
fn the_rules_of_a_replica_explain_nothing() {
    let mut trail = five_days();
    expire(&mut trail, horizon());
    let bucket = trail.spec.bucket.clone();
    let objects = std::mem::take(&mut trail.objects).into_iter();
    trail.objects = objects.map(|((_, key), stored)| (("replica".to_owned(), key), stored)).collect();
    let flags = ["--bucket", "replica", "--recorded-bucket", &bucket];
    let run = verify(&trail, vec![rule("AWSLogs/")], &flags);
    assert_eq!((run.code, run.gaps().contains(&"expired")), (1, false), "{}", run.stdout);
}

#[test]
fn a_single_file_that_expired_is_not_called_deleted_nor_is_its_neighbour_accused() {
    // The start is chosen so that the horizon, which is a midnight, splits an hour of the chain,
    // whatever the time is now.
    let hour = Timestamp::now().as_second() / 3600 * 3600;
    let start = Timestamp::from_second(hour).unwrap() - SignedDuration::from_mins(5 * 24 * 60 + 30);
    let spec = TrailSpec { start, hours: 5 * 24, busy_percent: 100, log_files: 12, ..TrailSpec::default() };
    // With nearly every seed, one of that hour's log files was made before the horizon: take one.
    let (trail, digests, first, gone) = (1..50)
        .find_map(|seed| {
            let mut trail = TrailSpec { seed, ..spec.clone() }.forge();
            let digests = trail.chains[0].digests.clone();
            expire(&mut trail, horizon());
            let is_there = |key: &str| trail.objects.contains_key(&(trail.spec.bucket.clone(), key.to_owned()));
            let first = digests.iter().position(|digest| is_there(&digest.key))?;
            let listed = &digests[first].document.log_files;
            let gone = listed.iter().find(|file| !is_there(&file.s3_object))?.s3_object.clone();
            Some((trail, digests, first, gone))
        })
        .unwrap();
    let server = Server::start(&trail, ServerOptions { lifecycle: vec![rule("")], ..ServerOptions::default() });
    let name = format!("s3://{}/{}", trail.spec.bucket, digests[first + 2].document.log_files[0].s3_object);
    let run = records(ctverify_at(&server).args(["file", &name]));
    assert_eq!((run.code, run.count("log_file", "intact")), (0, 1), "{}", run.stdout);
    let name = format!("s3://{}/{gone}", trail.spec.bucket);
    let run = records(ctverify_at(&server).args(["file", &name]));
    assert_eq!(
        (run.code, run.count("log_file", "unverified"), run.count("digest", "missing")),
        (3, 1, 0),
        "{}",
        run.stdout
    );
}
