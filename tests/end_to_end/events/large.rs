//! A log file of a GiB: the memory that its events take, and temporary files that can't be written.

use std::process::Command;

use ctverify_testkit::{defects, gzip};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{copy_of, emitted, events_of};
use crate::support::{Mirror, ctverify, figure, run, watched};

/// The number of records in a block of about 1 MiB.
const RECORDS: usize = 64;

/// The length of the text that fills a record.
const FILL: usize = 16_500;

/// A copy of a trail of which one log file has this number of blocks of records, each record filled with this
/// text, and then a record that stopped the logging.
fn copy_with_a_large_file(blocks: usize, fill: &str) -> Mirror {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let record = |index: usize| {
        let event = json!({
            "eventID": format!("id-{index}"), "eventTime": "2026-03-01T03:10:00Z", "eventName": "PutObject",
            "eventSource": "s3.amazonaws.com", "requestParameters": { "key": fill },
        });
        format!("{event},")
    };
    let begin = b"{\"Records\":[".as_slice();
    let block: String = (0..RECORDS).map(record).collect();
    let last = br#"{"eventID":"last","eventTime":"2026-03-01T03:11:00Z","eventSource":"cloudtrail.amazonaws.com",
"eventName":"StopLogging","requestParameters":{"name":"management-events"}}]}"#;
    assert!(block.len() > 1 << 20);
    let mut hash = Sha256::new_with_prefix(begin);
    (0..blocks).for_each(|_| hash.update(&block));
    let hash = hex::encode(hash.chain_update(last).finalize());
    // Members of gzip may follow each other, so that the block is compressed once.
    let body = [gzip(begin), gzip(block.as_bytes()).repeat(blocks), gzip(last)].concat();
    trail.redeliver_compressed(&key, body, &hash);
    copy_of(&trail)
}

/// Issue: "with files of 1 GB (memory at most 96 MiB)".
#[test]
fn the_events_of_a_log_file_of_a_gib_take_little_memory() {
    let mirror = copy_with_a_large_file(1024, &"x".repeat(FILL));
    let all = RECORDS * 1024 + 1;
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let mut peaks = Vec::new();
    for (arguments, events) in [
        (vec!["--event-name", "StopLogging"], 1),
        (vec!["--tampering"], 1),
        (vec!["--event-name", "PutObject,StopLogging", "--count-by", "event-name"], all),
        (vec!["--event-source", "s3.amazonaws.com,cloudtrail.amazonaws.com", "--parquet", lake.to_str().unwrap()], all),
    ] {
        let (found, peak) = watched(events_of(&mirror).args(&arguments));
        let summary: serde_json::Value = serde_json::from_str(found.stdout.lines().last().unwrap()).unwrap();
        let summary = &summary["summary"];
        assert_eq!((found.code, &summary["verdict"], &summary["left_out"]), (0, &json!("verified"), &json!({})));
        let of_others = summary["events"].as_u64().unwrap() - events as u64;
        assert!(of_others < 100, "{arguments:?}: {summary}");
        // The file of the optimized program leaves more than 80 of the 96 MiB to its memory.
        assert!(peak.anonymous > 0 && peak.anonymous < 80 << 10, "{arguments:?}: {peak:?}");
        peaks.push(peak.anonymous.to_string());
    }
    let peaks = peaks.join(", ");
    figure(
        "large-log-file",
        &format!("events of a log file of 1 GiB, a filter, tampering, counts, a table: {peaks} KiB"),
    );
}

/// A content that can't be kept until it is proven has no events, and is no finding.
#[test]
fn without_room_for_temporary_files_the_run_fails_and_nothing_of_the_file_comes_out() {
    let mut random = fastrand::Rng::with_seed(3);
    let fill: String = (0..FILL).map(|_| random.alphanumeric()).collect();
    let mirror = copy_with_a_large_file(4, &fill);
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("absent");
    let check = |found: &crate::support::Run| {
        assert_eq!(found.code, 4, "{}", found.stderr);
        assert!(found.stderr.contains("TMPDIR"), "{}", found.stderr);
        assert!(!found.stdout.contains("\"id-0\""), "{}", found.stderr);
    };
    check(&run(events_of(&mirror).env("TMPDIR", &nowhere)));
    // A limit on the size of files stands for a disk that is full.
    let program = events_of(&mirror);
    let mut limited = Command::new("sh");
    limited.env_clear().env("TMPDIR", folder.path());
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$@\"", "sh"]).arg(program.get_program());
    check(&run(limited.args(program.get_args())));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "temporary files were left");
    let (all, _) = emitted(&run(events_of(&mirror).env("TMPDIR", folder.path())));
    assert!(all.len() > 4 * RECORDS);
    // Neither the verification alone needs room, nor a log file that holds nothing that is looked for.
    let verified =
        run(ctverify().arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys()).env("TMPDIR", &nowhere));
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    let (none, _) = emitted(&run(events_of(&mirror).args(["--event-name", "DeleteTrail"]).env("TMPDIR", &nowhere)));
    assert_eq!(none.len(), 0);
}

/// A large log file is kept compressed until it is proven, as it is stored.
#[test]
fn a_large_log_file_that_compresses_well_needs_no_temporary_files() {
    let mirror = copy_with_a_large_file(16, &"x".repeat(FILL));
    let nowhere = mirror.dir().join("absent");
    let (found, summary) =
        emitted(&run(events_of(&mirror).args(["--event-name", "StopLogging"]).env("TMPDIR", nowhere)));
    assert_eq!((found.len(), &summary["left_out"]), (1, &json!({})));
    assert!(found[0].0.contains("\"last\""), "{}", found[0].0);
}
