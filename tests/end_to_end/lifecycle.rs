//! Losses that a lifecycle rule of the bucket explains: the oldest ones, and no others.

use ctverify_testkit::{ForgedTrail, Lifecycle, Server, ServerOptions, TrailSpec};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{Run, ctverify_at, records};

const DAYS: i32 = 2;

/// A trail of the last five days.
fn five_days() -> ForgedTrail {
    let start = Timestamp::now() - SignedDuration::from_hours(5 * 24);
    TrailSpec { start, hours: 5 * 24, busy_percent: 100, ..TrailSpec::default() }.forge()
}

/// What was made before this has expired by now.
fn horizon() -> Timestamp {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).start_of_day().unwrap().timestamp();
    today - SignedDuration::from_hours(24 * i64::from(DAYS))
}

/// Removes what was made before `horizon`, as S3 does.
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
    // Digests alone: where log files have expired too, the digests of their last hour list what is gone.
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
        assert_eq!(file["fault"], "not_found");
        assert!(file["detail"].as_str().unwrap().contains("lifecycle rule 'tidy up'"), "{file}");
    }
}

#[test]
fn a_loss_that_older_objects_outlived_is_somebodys_doing() {
    let mut trail = five_days();
    let digests = trail.chains[0].digests.clone();
    // In the middle, and old enough for the rule.
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
    // Someone went ten hours further than the rule.
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
fn rules_that_may_not_be_read_are_said_to_be_unknown() {
    let mut trail = five_days();
    expire(&mut trail, horizon());
    let denied_operations = ["GetBucketLifecycleConfiguration".to_owned()].into();
    let server = Server::start(&trail, ServerOptions { denied_operations, ..ServerOptions::default() });
    let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "100h"]));
    let missing = run.of("digest").into_iter().find(|digest| digest["status"] == "missing").unwrap().clone();
    let detail = missing["detail"].as_str().unwrap();
    assert!(run.code == 1 && detail.contains("s3:GetLifecycleConfiguration"), "{detail}");
    assert_eq!(server.calls("GetBucketLifecycleConfiguration"), 1);
}
