//! The cut tail: the newest digests are gone, and only the status that CloudTrail reports shows it.

use std::collections::HashMap;

use ctverify_testkit::{Chain, ForgedTrail, Server, ServerOptions, TrailSpec};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Run, ctverify_at, records};

const CUT: &str = "tail_cut";

/// A trail of the last ten hours, whose newest digest was delivered more than half an hour ago.
fn living_trail() -> ForgedTrail {
    let start = Timestamp::now() - SignedDuration::from_hours(10);
    TrailSpec { start, hours: 8, regions: vec!["us-east-1".into(), "eu-west-1".into()], ..TrailSpec::default() }.forge()
}

fn verify(trail: &ForgedTrail, options: ServerOptions, more: &[&str]) -> Run {
    let server = Server::start(trail, options);
    records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "9h"]).args(more))
}

/// Returns the fault of the chain in each region.
fn faults(run: &Run) -> Vec<(&str, &Value)> {
    run.of("chain").into_iter().map(|chain| (chain["region"].as_str().unwrap(), &chain["fault"])).collect()
}

fn chain_of(trail: &ForgedTrail, region: &str) -> Chain {
    trail.chains.iter().find(|chain| chain.region == region).unwrap().clone()
}

/// Removes the newest digests of a region, as far as they are there.
fn cut(trail: &mut ForgedTrail, region: &str, count: usize) {
    for digest in chain_of(trail, region).digests.iter().rev().take(count) {
        trail.objects.remove(&(trail.spec.bucket.clone(), digest.key.clone()));
    }
}

#[test]
fn a_living_trail_is_not_accused() {
    let run = verify(&living_trail(), ServerOptions::default(), &[]);
    assert_eq!(faults(&run), [("eu-west-1", &Value::Null), ("us-east-1", &Value::Null)], "{}", run.stdout);
    assert_ne!(run.code, 1);
}

#[test]
fn removing_the_newest_digests_is_found_in_their_region() {
    for count in [1, 3] {
        let mut trail = living_trail();
        cut(&mut trail, "eu-west-1", count);
        let run = verify(&trail, ServerOptions::default(), &[]);
        assert_eq!(faults(&run), [("eu-west-1", &json!(CUT)), ("us-east-1", &Value::Null)], "{count}");
        assert_eq!((run.code, run.verdict()), (1, "violated"));
        assert!(run.of("chain")[0]["detail"].as_str().unwrap().contains("CloudTrail says"));
    }
}

#[test]
fn removing_every_digest_of_the_home_region_is_found() {
    let mut trail = living_trail();
    cut(&mut trail, "us-east-1", 10);
    let run = verify(&trail, ServerOptions::default(), &[]);
    assert_eq!(faults(&run), [("eu-west-1", &Value::Null), ("us-east-1", &json!(CUT))], "{}", run.stdout);
    assert_eq!((run.code, run.gaps().contains(&"no_digests")), (1, true));
}

#[test]
fn an_old_digest_copied_over_itself_does_not_hide_the_cut() {
    let mut trail = living_trail();
    cut(&mut trail, "eu-west-1", 4);
    let old = chain_of(&trail, "eu-west-1").digests[3].key.clone();
    trail.object_mut(&old).last_modified = Timestamp::now();
    let run = verify(&trail, ServerOptions::default(), &[]);
    assert_eq!((run.code, faults(&run)[0].1), (1, &json!(CUT)));
}

#[test]
fn a_digest_that_lands_after_the_status_was_read_is_no_alarm() {
    let trail = living_trail();
    let newest = chain_of(&trail, "eu-west-1").digests.last().unwrap().delivered();
    // The status reports a delivery before the newest one.
    let latest_deliveries = HashMap::from([("eu-west-1".to_owned(), newest - SignedDuration::from_mins(30))]);
    let run = verify(&trail, ServerOptions { latest_deliveries, ..ServerOptions::default() }, &[]);
    assert_eq!(faults(&run)[0].1, &Value::Null);
}

#[test]
fn a_late_delivery_of_an_old_digest_is_no_alarm() {
    let mut trail = living_trail();
    let late = chain_of(&trail, "eu-west-1").digests[5].key.clone();
    let delivered = Timestamp::now() - SignedDuration::from_mins(1);
    trail.object_mut(&late).last_modified = delivered;
    let latest_deliveries = HashMap::from([("eu-west-1".to_owned(), delivered)]);
    let run = verify(&trail, ServerOptions { latest_deliveries, ..ServerOptions::default() }, &[]);
    assert_eq!(faults(&run)[0].1, &Value::Null);
}

#[test]
fn a_range_that_ended_before_the_delivery_is_about_it_where_no_later_digest_is_there() {
    let mut trail = living_trail();
    cut(&mut trail, "eu-west-1", 2);
    // Digests past the range are there: that some of the newest are gone does not concern the
    // range.
    let run = verify(&trail, ServerOptions::default(), &["--end", "6h"]);
    assert_eq!((run.code, faults(&run)[0].1), (0, &Value::Null), "{}", run.stdout);
    cut(&mut trail, "eu-west-1", 6);
    let run = verify(&trail, ServerOptions::default(), &["--end", "6h"]);
    assert_eq!((run.code, faults(&run)[0].1), (1, &json!(CUT)), "{}", run.stdout);
    cut(&mut trail, "eu-west-1", 9);
    let run = verify(&trail, ServerOptions::default(), &["--end", "6h"]);
    assert_eq!((run.code, faults(&run)[0].1), (1, &json!(CUT)), "{}", run.stdout);
}

#[test]
fn an_old_digest_copied_over_itself_at_the_moment_of_the_last_delivery_does_not_hide_the_cut() {
    let start = Timestamp::now() - SignedDuration::from_hours(40);
    let mut trail = TrailSpec { start, hours: 38, ..TrailSpec::default() }.forge();
    let delivery = trail.chains[0].digests.last().unwrap().delivered();
    cut(&mut trail, "us-east-1", 4);
    let old = trail.chains[0].digests[3].key.clone();
    trail.object_mut(&old).last_modified = delivery;
    let server = Server::start(&trail, ServerOptions::default());
    for start in ["39h", "20h"] {
        let run = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", start]));
        assert_eq!((run.code, faults(&run)), (1, vec![("us-east-1", &json!(CUT))]), "{}", run.stdout);
    }
}

#[test]
fn a_region_with_a_delivery_and_neither_digests_nor_log_files_is_a_gap() {
    let mut trail = living_trail();
    trail.objects.retain(|(_, key), _| !key.contains("/eu-west-1/"));
    let run = verify(&trail, ServerOptions::default(), &[]);
    assert_eq!((run.code, faults(&run)[0]), (3, ("eu-west-1", &Value::Null)), "{}", run.stdout);
    assert!(run.gaps().contains(&"no_digests"));
}

#[test]
fn a_place_named_by_flags_is_not_what_the_status_speaks_of() {
    let mut trail = living_trail();
    cut(&mut trail, "eu-west-1", 2);
    let server = Server::start(&trail, ServerOptions::default());
    let arguments = ["--trail-arn", &trail.spec.arn(), "--start", "9h", "--bucket", &trail.spec.bucket];
    let run = records(ctverify_at(&server).args(arguments));
    assert_eq!((faults(&run)[0].1, server.calls("GetTrailStatus")), (&Value::Null, 0));
}

#[test]
fn a_status_that_can_not_be_read_is_a_gap_with_the_reason() {
    let mut trail = living_trail();
    cut(&mut trail, "eu-west-1", 4);
    let denied = ["GetTrailStatus:eu-west-1".to_owned()].into();
    let run = verify(&trail, ServerOptions { denied_actions: denied, ..ServerOptions::default() }, &[]);
    assert_eq!((run.code, faults(&run)[0].1), (3, &Value::Null), "{}", run.stdout);
    let gap = run.of("gap").into_iter().find(|gap| gap["cause"] == "after_last_digest").unwrap().clone();
    assert!(gap["detail"].as_str().unwrap().contains("cloudtrail:GetTrailStatus"), "{gap}");
    assert!(run.of("warning").iter().any(|warning| warning["code"] == "status_unavailable"));
}

#[test]
fn a_stopped_hour_tells_what_cloudtrail_says_of_it() {
    let start = Timestamp::now() - SignedDuration::from_hours(10);
    let trail = TrailSpec { start, hours: 9, stopped: vec![4, 5], ..TrailSpec::default() }.forge();
    let logging_stopped = Some("2026-02-03T04:05:06Z".parse().unwrap());
    let run = verify(&trail, ServerOptions { logging_stopped, ..ServerOptions::default() }, &[]);
    let gap = run.of("gap").into_iter().find(|gap| gap["cause"] == "logging_stopped").unwrap().clone();
    assert!(gap["detail"].as_str().unwrap().contains("2026-02-03T04:05:06Z"), "{gap}");
}

/// CloudTrail's word on the trail as it is now is a warning, and no part of the verdict.
#[test]
fn a_trail_that_is_off_or_can_not_deliver_is_a_warning() {
    let trail = living_trail();
    let off = ServerOptions { is_off: true, ..ServerOptions::default() };
    let failing = ServerOptions { delivery_error: Some("NoSuchBucket".to_owned()), ..ServerOptions::default() };
    for (options, code, says) in [
        (off, "not_logging", "CloudTrail says that the trail is not logging, in "),
        (failing, "delivery_failed", "it could not deliver log files (NoSuchBucket), in "),
    ] {
        let run = verify(&trail, options, &[]);
        let warning = run.of("warning").into_iter().find(|warning| warning["code"] == code).unwrap().clone();
        assert!(warning["detail"].as_str().unwrap().contains(says), "{warning}");
        assert_eq!(run.verdict(), "verified", "{}", run.stdout);
    }
}

#[test]
fn a_listing_that_is_denied_is_no_evidence_of_a_cut() {
    let trail = living_trail();
    for denied in ["AWSLogs/111122223333/CloudTrail-Digest/us-east-1/", "AWSLogs/111122223333/CloudTrail-Digest/"] {
        let run =
            verify(&trail, ServerOptions { denied_prefixes: vec![denied.to_owned()], ..ServerOptions::default() }, &[]);
        assert_eq!((run.code, run.gaps().contains(&"listing_failed")), (3, true), "{denied} {}", run.stdout);
        assert!(faults(&run).iter().all(|(_, fault)| fault.is_null()), "{denied}");
    }
}

#[test]
fn a_backfill_digest_for_hours_before_the_range_accounts_for_the_delivery() {
    let start = Timestamp::now() - SignedDuration::from_hours(72);
    // The backfill digest was generated an hour or two ago.
    let backfill_delay = SignedDuration::from_hours(65);
    let mut trail = TrailSpec { start, hours: 70, backfill: vec![5], backfill_delay, ..TrailSpec::default() }.forge();
    let late = Timestamp::now() - SignedDuration::from_mins(5);
    let backfill = trail.chains[0].backfill[0].key.clone();
    trail.object_mut(&backfill).last_modified = late;
    let latest_deliveries = HashMap::from([("us-east-1".to_owned(), late)]);
    let run = verify(&trail, ServerOptions { latest_deliveries, ..ServerOptions::default() }, &[]);
    assert_eq!(faults(&run), [("us-east-1", &Value::Null)], "{}", run.stdout);
    // A backfill digest that was generated long ago and then written over itself does not account
    // for the delivery.
    let mut old = TrailSpec { backfill_delay: SignedDuration::from_hours(6), ..trail.spec.clone() }.forge();
    old.object_mut(&backfill).last_modified = late;
    let latest_deliveries = HashMap::from([("us-east-1".to_owned(), late)]);
    let run = verify(&old, ServerOptions { latest_deliveries, ..ServerOptions::default() }, &[]);
    assert_eq!((run.code, faults(&run)), (1, vec![("us-east-1", &json!(CUT))]), "{}", run.stdout);
}
