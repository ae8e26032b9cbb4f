//! Faults of the network and the server: transient ones change no record, and permanent ones accuse
//! nobody.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ctverify_testkit::{ForgedTrail, KeyFault, Server, ServerOptions, TrailSpec};
use serde_json::{Value, json};

use crate::support::{Run, ctverify_at, figure, records};

fn trail() -> ForgedTrail {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    TrailSpec { hours: 8, regions, busy_percent: 100, ..TrailSpec::default() }.forge()
}

fn verify(trail: &ForgedTrail, options: ServerOptions) -> Run {
    let server = Server::start(trail, options);
    let range = ["--start", "2026-03-01T01:00:00Z", "--end", "2026-03-01T07:00:00Z", "--trail-arn", &trail.spec.arn()];
    records(ctverify_at(&server).args(range))
}

/// Two hundred runs, each with other faults in one request of ten: errors of the server, refusals,
/// connections closed before the answer and within the body, bodies cut short with and without an
/// announced length.
#[test]
fn faults_that_pass_change_no_record() {
    const SEEDS: u64 = 200;
    let mut damaged = trail();
    let file = damaged.chains[0].digests[4].document.log_files[0].s3_object.clone();
    damaged.remove(&file);
    damaged.remove(&damaged.chains[1].digests[5].key.clone());
    for trail in [trail(), damaged] {
        let whole = verify(&trail, ServerOptions::default());
        let next = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if seed >= SEEDS / 2 {
                            return;
                        }
                        let faulty =
                            verify(&trail, ServerOptions { faults: Some((seed, 10)), ..ServerOptions::default() });
                        let (one, other) = (faulty.findings(), whole.findings());
                        let new: Vec<_> = one.iter().filter(|record| !other.contains(record)).collect();
                        assert!(new.is_empty(), "seed {seed}: {} {new:#?}", faulty.stderr);
                        assert_eq!((faulty.code, one.len()), (whole.code, other.len()), "seed {seed}");
                    }
                });
            }
        });
    }
    figure("faults", &format!("{SEEDS} seeds of passing faults survived"));
}

#[test]
fn faults_that_stay_accuse_nobody() {
    let trail = trail();
    let run = verify(&trail, ServerOptions { faults: Some((1, 100)), ..ServerOptions::default() });
    assert!(run.code == 4 || run.code == 3, "{} {}", run.code, run.stderr);
}

/// Returns the record of the log file under this key; there must be exactly one.
fn record_of(run: &Run, key: &str) -> Value {
    let files: Vec<_> = run.of("log_file").into_iter().filter(|file| file["key"] == key).collect();
    assert_eq!(files.len(), 1, "{}", run.stdout);
    files[0].clone()
}

fn a_log_file(trail: &ForgedTrail) -> String {
    trail.chains[0].digests[4].document.log_files[0].s3_object.clone()
}

#[test]
fn an_object_whose_kms_key_is_denied_is_unverified_and_the_permission_is_named() {
    let trail = trail();
    let key = a_log_file(&trail);
    let key_faults = HashMap::from([(key.clone(), KeyFault::KmsDenied)]);
    let run = verify(&trail, ServerOptions { key_faults, ..ServerOptions::default() });
    let file = record_of(&run, &key);
    assert_eq!((run.code, &file["status"], &file["fault"]), (3, &json!("unverified"), &json!("access_denied")));
    assert!(file["detail"].as_str().unwrap().contains("kms:Decrypt"), "{file}");
}

#[test]
fn an_object_that_vanishes_between_listing_and_reading_is_told_as_it_was_read_once() {
    let trail = trail();
    let key = a_log_file(&trail);
    let key_faults = HashMap::from([(key.clone(), KeyFault::Vanishes)]);
    let run = verify(&trail, ServerOptions { key_faults, ..ServerOptions::default() });
    let file = record_of(&run, &key);
    assert_eq!((run.code, &file["status"], &file["fault"]), (1, &json!("deleted"), &json!("not_found")));
}

#[test]
fn an_object_that_changes_between_listing_and_reading_is_told_as_it_was_read_once() {
    let trail = trail();
    let key = a_log_file(&trail);
    let latency = Duration::from_millis(150);
    let server = Server::start(&trail, ServerOptions { latency, ..ServerOptions::default() });
    let mut other = trail.clone().object_mut(&key).clone();
    other.body = ctverify_testkit::gzip(b"{}").into();
    let range = ["--start", "2026-03-01T01:00:00Z", "--end", "2026-03-01T07:00:00Z", "--trail-arn", &trail.spec.arn()];
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| records(ctverify_at(&server).args(range)));
        // The log folder is listed beside the digests, and log files are read after them.
        while server.calls("ListObjectsV2") < 5 {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.put(&trail.spec.bucket, &key, other);
        run.join().unwrap()
    });
    let file = record_of(&run, &key);
    assert_eq!((run.code, &file["status"], &file["fault"]), (1, &json!("modified"), &json!("hash_mismatch")));
}

#[test]
fn a_body_that_stalls_is_read_again() {
    let trail = trail();
    let key = a_log_file(&trail);
    let key_faults = HashMap::from([(key.clone(), KeyFault::StallsOnce)]);
    let begun = Instant::now();
    let run = verify(&trail, ServerOptions { key_faults, ..ServerOptions::default() });
    assert_eq!((run.code, &record_of(&run, &key)["status"]), (0, &json!("intact")), "{}", run.stdout);
    assert!(begun.elapsed() > Duration::from_secs(1), "it did not stall");
}

#[test]
fn credentials_that_expire_in_mid_run_leave_the_rest_unverified() {
    let trail = trail();
    let run =
        verify(&trail, ServerOptions { refuses_after: Some((30, 400, "ExpiredToken")), ..ServerOptions::default() });
    assert_eq!((run.code, run.verdict()), (3, "inconclusive"), "{} {}", run.stdout, run.stderr);
    assert_eq!((run.count("digest", "missing"), run.count("log_file", "deleted")), (0, 0));
    let open = run.records.iter().find(|record| record["status"] == "unverified").unwrap();
    assert!(open["detail"].as_str().unwrap().contains("renew them"), "{open}");
}

#[test]
fn a_clock_that_is_wrong_is_named_as_the_cause() {
    let trail = trail();
    let skewed = Some((0, 403, "RequestTimeTooSkewed"));
    let run = verify(&trail, ServerOptions { refuses_after: skewed, ..ServerOptions::default() });
    assert_eq!(run.code, 4, "{}", run.stdout);
    assert!(run.stderr.contains("clock of this machine is wrong"), "{}", run.stderr);
}

#[test]
fn a_wrong_region_is_told_by_a_bad_request_too() {
    let trail = trail();
    let bucket_regions = HashMap::from([("example-trail-logs".to_owned(), "eu-central-1".to_owned())]);
    let options = ServerOptions { bucket_regions, bad_request_redirects: true, ..ServerOptions::default() };
    let run = verify(&trail, options);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn buckets_that_send_a_request_in_circles_are_given_up() {
    let trail = trail();
    let server = Server::start(&trail, ServerOptions { wandering_buckets: true, ..ServerOptions::default() });
    let run = records(ctverify_at(&server).args(["--start", "2026-03-01", "--trail-arn", &trail.spec.arn()]));
    assert_eq!(run.code, 4, "{}", run.stdout);
    assert!(run.stderr.contains("refuses there too") && server.calls("Redirect") < 20, "{}", run.stderr);
}

#[test]
fn a_page_of_a_listing_that_fails_for_good_is_a_gap_and_no_accusation() {
    let trail = trail();
    let options = ServerOptions { later_pages_fail: true, objects_a_page: Some(5), ..ServerOptions::default() };
    let run = verify(&trail, options);
    assert_eq!((run.code, run.verdict()), (3, "inconclusive"), "{} {}", run.stdout, run.stderr);
    assert!(run.gaps().contains(&"listing_failed"), "{}", run.stdout);
    assert_eq!((run.count("digest", "missing"), run.count("log_file", "deleted")), (0, 0));
}
