//! Backfill digests: a series beside the standard one, for log files that processing delay kept out
//! of their hour's digest.

use ctverify_testkit::{ForgedTrail, KeyAuthority, Layout, TrailSpec};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Mirror, Run, records, verify_folder, verify_s3};

fn trail() -> ForgedTrail {
    TrailSpec { hours: 8, backfill: vec![2, 3, 6], seed: 5, ..TrailSpec::default() }.forge()
}

fn both(trail: &ForgedTrail) -> [Run; 2] {
    [verify_folder(trail), verify_s3(trail)]
}

fn backfill(run: &Run) -> Vec<&Value> {
    run.of("digest").into_iter().filter(|digest| digest["kind"] == "backfill").collect()
}

#[test]
fn log_files_that_only_a_backfill_digest_lists_are_judged_by_it() {
    let trail = trail();
    for run in both(&trail) {
        assert_eq!((run.code, backfill(&run).len(), run.gaps().len()), (0, 3, 0), "{}", run.stdout);
        assert_eq!((run.of("digest").len(), run.of("log_file").len()), (trail.digest_count(), trail.log_file_count()));
        // Each backfill digest follows the standard digest of the same hour.
        let kinds: Vec<_> = run.of("digest").iter().map(|digest| digest["kind"].as_str().unwrap()).collect();
        assert_eq!(&kinds[2..6], ["standard", "backfill", "standard", "backfill"]);
    }
}

#[test]
fn an_edited_or_deleted_log_file_of_a_backfill_digest_is_found() {
    let mut trail = trail();
    let files = &trail.chains[0].backfill[1].document.log_files.clone();
    trail.edit_content(&files[0].s3_object, |_| b"{}".to_vec());
    for run in both(&trail) {
        assert_eq!((run.code, run.count("log_file", "modified")), (1, 1));
    }
    trail.remove(&files[0].s3_object);
    for run in both(&trail) {
        assert_eq!((run.code, run.count("log_file", "deleted")), (1, 1));
    }
}

#[test]
fn an_edited_backfill_digest_is_invalid_and_a_deleted_one_missing() {
    let digests = trail().chains[0].backfill.clone();
    let mut edited = trail();
    edited.edit_digest(&digests[2], |document| document.log_files.clear());
    for run in both(&edited) {
        assert_eq!((run.code, &backfill(&run)[2]["status"]), (1, &json!("invalid")));
    }
    let mut deleted = trail();
    deleted.remove(&digests[1].key);
    for run in both(&deleted) {
        assert_eq!((run.code, &backfill(&run)[1]["status"]), (1, &json!("missing")), "{}", run.stdout);
        // The standard digest of that hour still covers it.
        assert!(run.gaps().is_empty());
    }
}

#[test]
fn a_backfill_digest_covers_no_hour_whose_standard_digest_is_gone() {
    let mut trail = trail();
    let standard = trail.chains[0].digests[3].key.clone();
    trail.remove(&standard);
    for run in both(&trail) {
        assert_eq!((run.code, run.gaps()), (1, vec!["digests_missing"]));
    }
}

#[test]
fn a_signature_without_a_readable_generation_time_is_malformed() {
    for time in [None, Some("soon")] {
        let mut trail = trail();
        let key = trail.chains[0].backfill[1].key.clone();
        let metadata = &mut trail.object_mut(&key).metadata;
        metadata.remove("backfill-generation-timestamp");
        time.map(|time| metadata.insert("backfill-generation-timestamp".to_owned(), time.to_owned()));
        for run in both(&trail) {
            let digest = backfill(&run)[1];
            assert_eq!((run.code, &digest["status"], &digest["fault"]), (1, &json!("invalid"), &json!("malformed")));
        }
    }
}

#[test]
fn without_metadata_the_successor_proves_a_backfill_digest_too() {
    let mut trail = trail();
    trail.strip_metadata();
    let run = records(&mut Mirror::new(&trail, Layout::Keys, false).command());
    let statuses: Vec<_> = backfill(&run).iter().map(|digest| digest["status"].as_str().unwrap()).collect();
    assert_eq!((run.code, statuses), (3, vec!["valid", "valid", "unverified"]), "{}", run.stdout);
}

/// Returns a trail whose backfill digests are generated weeks later, when another key signs.
fn late_backfill() -> ForgedTrail {
    let keys = KeyAuthority { rotation: SignedDuration::from_hours(10 * 24) };
    TrailSpec { keys, backfill_delay: SignedDuration::from_hours(15 * 24), ..trail().spec }.forge()
}

#[test]
fn the_generation_time_decides_which_key_may_sign() {
    let trail = late_backfill();
    let chain = &trail.chains[0];
    let fingerprint = |digest: &ctverify_testkit::Digest| digest.document.digest_public_key_fingerprint.clone();
    assert_ne!(fingerprint(&chain.digests[2]), fingerprint(&chain.backfill[0]));
    let run = verify_s3(&trail);
    assert_eq!((run.code, run.count("digest", "valid")), (0, trail.digest_count()), "{}", run.stdout);
}

#[test]
fn a_key_is_asked_for_once_more_for_a_signature_that_the_successor_kept() {
    let mut trail = late_backfill();
    trail.strip_metadata();
    let run = verify_s3(&trail);
    assert_eq!((run.code, run.count("digest", "invalid")), (3, 0), "{}", run.stdout);
    let statuses: Vec<_> = backfill(&run).iter().map(|digest| digest["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["valid", "valid", "unverified"]);
}
