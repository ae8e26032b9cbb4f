//! The defects that have a folder in `testdata/`: each run gives what the promise demands, from the
//! folder and over S3.

use ctverify_testkit::defects;
use serde_json::Value;

use crate::support::{Run, ctverify, one_absence, records, testdata, verify_s3};

/// The result that is demanded for one defect: all that is not valid or intact, by status and
/// fault.
struct Demand {
    name: &'static str,
    exit: i32,
    digests: &'static [(&'static str, &'static str)],
    /// The log files that are neither intact nor uncovered.
    log_files: &'static [(&'static str, &'static str)],
    /// The number of log files in a gap that no valid digest lists.
    uncovered: usize,
    gaps: &'static [(&'static str, u64)],
    warnings: &'static [&'static str],
}

const NOTHING: Demand =
    Demand { name: "", exit: 0, digests: &[], log_files: &[], uncovered: 0, gaps: &[], warnings: &[] };
const CLAIMED: (&str, &str) = ("unverified", "listed_by_invalid_digest");

/// Written by hand from the promise, not from what the program says.
const DEMANDS: &[Demand] = &[
    Demand { name: "clean", ..NOTHING },
    Demand {
        name: "no-metadata",
        exit: 3,
        digests: &[("unverified", "signature_missing")],
        log_files: &[CLAIMED, CLAIMED],
        gaps: &[("digests_unverified", 0)],
        ..NOTHING
    },
    Demand { name: "log-modified", exit: 1, log_files: &[("modified", "hash_mismatch")], ..NOTHING },
    Demand { name: "log-deleted", exit: 1, log_files: &[("deleted", "not_found")], ..NOTHING },
    Demand { name: "log-cut-short", exit: 1, log_files: &[("modified", "truncated")], ..NOTHING },
    Demand { name: "log-not-gzip", exit: 1, log_files: &[("modified", "not_gzip")], ..NOTHING },
    Demand { name: "log-empty", exit: 1, log_files: &[("modified", "truncated")], ..NOTHING },
    Demand { name: "log-trailing-bytes", exit: 1, log_files: &[("modified", "trailing_data")], ..NOTHING },
    Demand { name: "log-second-member", exit: 1, log_files: &[("modified", "hash_mismatch")], ..NOTHING },
    Demand { name: "log-recompressed", ..NOTHING },
    Demand {
        name: "digest-edited",
        exit: 1,
        digests: &[("invalid", "predecessor_hash_mismatch")],
        log_files: &[CLAIMED],
        gaps: &[("digests_invalid", 0)],
        uncovered: 1,
        ..NOTHING
    },
    Demand {
        name: "newest-digest-edited",
        exit: 1,
        digests: &[("invalid", "signature_mismatch")],
        log_files: &[CLAIMED],
        gaps: &[("digests_invalid", 0)],
        ..NOTHING
    },
    Demand {
        name: "digest-malformed",
        exit: 1,
        digests: &[("invalid", "malformed")],
        gaps: &[("digests_invalid", 0)],
        uncovered: 2,
        ..NOTHING
    },
    Demand {
        name: "digest-not-gzip",
        exit: 1,
        digests: &[("invalid", "not_gzip")],
        gaps: &[("digests_invalid", 0)],
        uncovered: 2,
        ..NOTHING
    },
    Demand {
        name: "digest-trailing-bytes",
        exit: 1,
        digests: &[("invalid", "trailing_data")],
        gaps: &[("digests_invalid", 0)],
        uncovered: 2,
        ..NOTHING
    },
    Demand {
        name: "digest-deleted",
        exit: 1,
        digests: &[("missing", "not_found")],
        gaps: &[("digests_missing", 1)],
        uncovered: 2,
        ..NOTHING
    },
    Demand {
        name: "two-digests-deleted",
        exit: 1,
        digests: &[("missing", "not_found")],
        gaps: &[("digests_missing", 2)],
        uncovered: 4,
        ..NOTHING
    },
    Demand {
        name: "digest-replayed",
        exit: 1,
        digests: &[("invalid", "moved")],
        gaps: &[("digests_invalid", 0)],
        uncovered: 2,
        ..NOTHING
    },
    Demand {
        name: "digest-foreign-key",
        exit: 1,
        digests: &[("invalid", "predecessor_hash_mismatch")],
        log_files: &[CLAIMED],
        gaps: &[("digests_invalid", 0)],
        uncovered: 1,
        ..NOTHING
    },
    Demand {
        name: "newest-digest-foreign-key",
        exit: 1,
        digests: &[("invalid", "key_unknown")],
        log_files: &[CLAIMED],
        gaps: &[("digests_invalid", 0)],
        ..NOTHING
    },
    Demand {
        name: "newest-digest-borrowed-fingerprint",
        exit: 1,
        digests: &[("invalid", "signature_mismatch")],
        log_files: &[CLAIMED],
        gaps: &[("digests_invalid", 0)],
        ..NOTHING
    },
    Demand {
        name: "digest-reissued",
        exit: 1,
        digests: &[("invalid", "predecessor_hash_mismatch")],
        log_files: &[CLAIMED],
        gaps: &[("digests_invalid", 0)],
        uncovered: 1,
        ..NOTHING
    },
    Demand { name: "digest-signature-removed", warnings: &["object_touched"], ..NOTHING },
    Demand { name: "digest-signature-changed", warnings: &["object_touched"], ..NOTHING },
    Demand {
        name: "newest-signature-removed",
        exit: 3,
        digests: &[("unverified", "signature_missing")],
        log_files: &[CLAIMED, CLAIMED],
        gaps: &[("digests_unverified", 0)],
        ..NOTHING
    },
    Demand {
        name: "unknown-hash-algorithm",
        exit: 3,
        log_files: &[("unverified", "unknown_hash_algorithm")],
        ..NOTHING
    },
    Demand { name: "upper-case-hash", ..NOTHING },
    Demand { name: "logging-stopped", exit: 3, gaps: &[("logging_stopped", 2)], ..NOTHING },
];

fn from_folder(name: &str) -> Run {
    let dir = testdata(name);
    records(ctverify().arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")))
}

fn from_s3(name: &str) -> Run {
    let defect = defects::ALL.iter().find(|defect| defect.name == name).unwrap();
    let mut trail = defects::small_trail();
    (defect.apply)(&mut trail);
    verify_s3(&trail)
}

fn faults(run: &Run, kind: &str, good: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let bad = run.of(kind).into_iter().filter(|record| record["status"] != good);
    bad.map(|record| (text(&record["status"]), text(&record["fault"]))).collect()
}

fn check(demand: &Demand, run: &Run) {
    let name = demand.name;
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(status, fault)| ((*status).to_owned(), (*fault).to_owned())).collect()
    };
    assert_eq!(run.code, demand.exit, "{name}: {}{}", run.stdout, run.stderr);
    assert_eq!(faults(run, "digest", "valid"), owned(demand.digests), "{name}");
    let mut files = faults(run, "log_file", "intact");
    files.retain(|(status, _)| status != "uncovered");
    assert_eq!(files, owned(demand.log_files), "{name}");
    let gaps: Vec<(String, u64)> = run
        .of("gap")
        .iter()
        .map(|gap| (gap["cause"].as_str().unwrap().to_owned(), gap["missing_digests"].as_u64().unwrap()))
        .collect();
    let demanded: Vec<(String, u64)> = demand.gaps.iter().map(|(cause, n)| ((*cause).to_owned(), *n)).collect();
    assert_eq!(gaps, demanded, "{name}");
    let verdict = ["verified", "violated", "", "inconclusive"][usize::try_from(demand.exit).unwrap()];
    assert_eq!((run.verdict(), &run.of("summary")[0]["exit_code"]), (verdict, &Value::from(demand.exit)), "{name}");
}

fn warnings(run: &Run) -> Vec<&str> {
    run.of("warning").iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

#[test]
fn every_defect_has_its_demand() {
    let demanded: Vec<&str> = DEMANDS.iter().map(|demand| demand.name).collect();
    let known: Vec<&str> = defects::ALL.iter().map(|defect| defect.name).collect();
    assert_eq!(demanded, known);
}

#[test]
fn from_the_folder_every_defect_is_what_the_promise_says() {
    for demand in DEMANDS {
        let run = from_folder(demand.name);
        check(demand, &run);
        assert_eq!(run.count("log_file", "uncovered"), demand.uncovered, "{}", demand.name);
        // A copy without metadata files says nothing of the objects in S3.
        assert_eq!(warnings(&run), demand.warnings, "{}", demand.name);
        let expected = std::fs::read_to_string(testdata(demand.name).join("expected.jsonl")).unwrap();
        let expected: Vec<Value> =
            expected.lines().map(|line| serde_json::from_str(&one_absence(line)).unwrap()).collect();
        assert_eq!(run.findings(), expected, "{}", demand.name);
    }
}

/// The defects with a log file that counts as uncovered only in S3. In a copy, a log file whose
/// name is within two hours of the newest digest is too fresh to be missed in one; in S3, only one
/// that was just written is.
const FRESH_IN_A_COPY: [&str; 3] =
    ["newest-digest-edited", "newest-digest-foreign-key", "newest-digest-borrowed-fingerprint"];

/// Returns the records of the digests and their log files, apart from files that no digest covers.
fn of_digests(run: &Run) -> Vec<Value> {
    let kinds = |record: &Value| matches!(record["record"].as_str(), Some("digest" | "log_file" | "warning"));
    run.findings().into_iter().filter(|record| kinds(record) && record["status"] != "uncovered").collect()
}

#[test]
fn over_s3_every_defect_is_what_the_promise_says() {
    for demand in DEMANDS {
        let run = from_s3(demand.name);
        check(demand, &run);
        if FRESH_IN_A_COPY.contains(&demand.name) {
            let folder = from_folder(demand.name);
            assert_eq!((run.count("log_file", "uncovered"), demand.uncovered), (1, 0), "{}", demand.name);
            assert_eq!(of_digests(&run), of_digests(&folder), "{}", demand.name);
            continue;
        }
        assert_eq!(run.count("log_file", "uncovered"), demand.uncovered, "{}", demand.name);
        // S3 keeps metadata: digests that lost theirs were touched.
        if demand.name == "no-metadata" {
            assert_eq!(warnings(&run), vec!["object_touched"; 7]);
        } else if demand.name == "newest-signature-removed" {
            assert_eq!(warnings(&run), ["object_touched"]);
        } else {
            assert_eq!(warnings(&run), demand.warnings, "{}", demand.name);
            assert_eq!(run.findings(), from_folder(demand.name).findings(), "{}", demand.name);
        }
    }
}
