//! Side by side with `aws cloudtrail validate-logs` on the same trails over the same server. Where
//! the two should agree, digest by digest and log by log, they must.
//!
//! `tests/run` installs the official client and names it in `CTVERIFY_TEST_AWS`; without that,
//! there is nothing to compare with.

use std::collections::BTreeMap;
use std::process::Command;

use ctverify_testkit::{ACCESS_KEY, ForgedTrail, SECRET_KEY, Server, ServerOptions, TrailSpec, defects};

use crate::support::{Run, ctverify_at, range_of, records};

/// Objects by URL: true if the object is as it should be.
type Judgements = BTreeMap<String, bool>;

/// Returns the exit code and the output of the official client, or `None` if it is not installed.
pub(crate) fn official_output(server: &Server, trail: &ForgedTrail, more: &[&str]) -> Option<(i32, String)> {
    let Some(aws) = std::env::var_os("CTVERIFY_TEST_AWS") else {
        assert!(std::env::var_os("CTVERIFY_TEST_ALL").is_none(), "CTVERIFY_TEST_AWS has to name the official client");
        eprintln!("skipped: CTVERIFY_TEST_AWS names no official client; tests/run installs it");
        return None;
    };
    let mut range = range_of(trail);
    // The official client knows the long names alone.
    range.iter_mut().for_each(|argument| match argument.as_str() {
        "--start" => *argument = "--start-time".into(),
        "--end" => *argument = "--end-time".into(),
        _ => {}
    });
    let output = Command::new(aws)
        .env("AWS_ENDPOINT_URL", server.url())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(["cloudtrail", "validate-logs", "--verbose", "--region", &trail.spec.home_region])
        .args(range)
        .args(more)
        .output()
        .unwrap();
    // The official client reports invalid objects on standard error.
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    Some((output.status.code().unwrap(), text))
}

/// Returns the exit code of the official client, and its judgement of each object.
fn official(server: &Server, trail: &ForgedTrail, more: &[&str]) -> Option<(i32, Judgements)> {
    let (code, text) = official_output(server, trail, more)?;
    let mut judgements = Judgements::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        if let (Some("Digest file" | "Log file"), Some(url), Some(verdict)) = (parts.next(), parts.next(), parts.next())
        {
            judgements.insert(url.to_owned(), verdict == "valid");
        }
    }
    assert!(!judgements.is_empty(), "{text}");
    Some((code, judgements))
}

/// Returns ctverify's judgement of each object that the official client judges, too: that one
/// passes over log files that only an invalid digest lists or that no digest covers.
fn ours(run: &Run) -> Judgements {
    let objects = run.of("digest").into_iter().chain(run.of("log_file"));
    let judged =
        objects.filter(|record| !matches!(record["fault"].as_str(), Some("listed_by_invalid_digest" | "not_covered")));
    judged
        .map(|record| {
            let text = |field: &str| record[field].as_str().unwrap().to_owned();
            let good = matches!(text("status").as_str(), "valid" | "intact");
            (format!("s3://{}/{}", text("bucket"), text("key")), good)
        })
        .collect()
}

fn agree(trail: &ForgedTrail, more: &[&str], exit: i32, bad: usize) {
    let server = Server::start(trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(range_of(trail)).args(more));
    assert_eq!(run.code, exit, "{}{}", run.stdout, run.stderr);
    let ours = ours(&run);
    assert_eq!(ours.values().filter(|good| !**good).count(), bad, "{ours:#?}");
    if let Some((code, theirs)) = official(&server, trail, more) {
        let differing: Vec<_> = theirs
            .keys()
            .chain(ours.keys())
            .filter(|url| theirs.get(*url) != ours.get(*url))
            .map(|url| format!("{url}: theirs {:?}, ours {:?}", theirs.get(url), ours.get(url)))
            .collect();
        assert!(code == exit && differing.is_empty(), "exit {code}, not {exit}: {differing:#?}");
    }
}

fn broken(name: &str) -> ForgedTrail {
    let mut trail = defects::small_trail();
    (defects::ALL.iter().find(|defect| defect.name == name).unwrap().apply)(&mut trail);
    trail
}

#[test]
fn on_a_clean_trail_both_find_all_valid() {
    agree(&broken("clean"), &[], 0, 0);
    agree(&broken("log-recompressed"), &[], 0, 0);
}

#[test]
fn on_log_files_modified_deleted_or_cut_short_both_find_the_same() {
    for name in ["log-modified", "log-deleted", "log-cut-short", "log-not-gzip", "log-empty"] {
        agree(&broken(name), &[], 1, 1);
    }
}

#[test]
fn on_digests_edited_or_deleted_both_find_the_same() {
    for name in ["digest-edited", "newest-digest-edited", "digest-deleted", "digest-malformed", "digest-not-gzip"] {
        agree(&broken(name), &[], 1, 1);
    }
}

#[test]
fn on_digests_signed_with_a_wrong_key_both_find_the_same() {
    for name in ["digest-foreign-key", "newest-digest-foreign-key", "newest-digest-borrowed-fingerprint"] {
        agree(&broken(name), &[], 1, 1);
    }
}

#[test]
fn under_a_prefix_and_in_an_organization_both_find_the_same() {
    agree(&TrailSpec { prefix: "some/prefix".to_owned(), ..TrailSpec::default() }.forge(), &[], 0, 0);
    let organization = TrailSpec {
        organization: Some("o-exampleorgid".to_owned()),
        prefix: "org".to_owned(),
        accounts: vec!["444455556666".to_owned()],
        ..TrailSpec::default()
    };
    let mut trail = organization.forge();
    agree(&trail, &["--account-id", "444455556666"], 0, 0);
    let log_file = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
    trail.remove(&log_file);
    agree(&trail, &["--account-id", "444455556666"], 1, 1);
}

/// Defects that ctverify finds and the official client does not: if one of these fails, README's
/// comparison is out of date.
#[test]
fn what_the_official_client_is_blind_to_is_found() {
    for (name, bad) in [("digest-reissued", 1), ("two-digests-deleted", 1)] {
        let trail = broken(name);
        let server = Server::start(&trail, ServerOptions::default());
        let run = records(ctverify_at(&server).args(range_of(&trail)));
        assert_eq!((run.code, ours(&run).values().filter(|good| !**good).count()), (1, bad));
        if let Some((code, theirs)) = official(&server, &trail, &[]) {
            let found = theirs.values().filter(|good| !**good).count();
            match name {
                // It never compares a digest with what its successor recorded of it.
                "digest-reissued" => assert_eq!((code, found), (0, 0)),
                // It reports one of two; so does the record of ctverify, whose gap has room for
                // both.
                _ => assert_eq!((code, found, run.of("gap")[0]["missing_digests"].as_u64()), (1, 1, Some(2))),
            }
        }
    }
}
