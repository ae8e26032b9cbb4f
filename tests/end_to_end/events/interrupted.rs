//! Runs of `ctverify events` that are ended by a signal.

use std::process::{Output, Stdio};
use std::time::Duration;

use ctverify_testkit::{Server, ServerOptions, defects};
use serde_json::{Value, json};

use crate::support::{ctverify_at, range_of};

/// Starts a command with more arguments, interrupts it when its first log files were read, and returns how it
/// ended. The server is so slow that it can't have ended by itself.
fn interrupted(arguments: &[&str]) -> Output {
    let trail = defects::small_trail();
    let options = ServerOptions { latency: Duration::from_millis(400), ..ServerOptions::default() };
    let server = Server::start(&trail, options);
    let mut command = ctverify_at(&server);
    command.arg("events").args(range_of(&trail)).args(["--concurrency", "1"]).args(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap()
}

#[test]
fn what_was_emitted_is_counted_and_no_file_is_left() {
    let ended = interrupted(&[]);
    let stdout = String::from_utf8(ended.stdout).unwrap();
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, events) = lines.split_last().unwrap();
    let summary = &summary["summary"];
    assert_eq!(
        (ended.status.code(), &summary["interrupted"], &summary["exit_code"], &summary["verdict"]),
        (Some(130), &json!(true), &json!(130), &json!("inconclusive"))
    );
    assert_eq!(summary["events"], json!(events.len()));

    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("events.jsonl");
    assert_eq!(interrupted(&["--output", output.to_str().unwrap()]).status.code(), Some(130));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a part of the events is no result");

    let table = folder.path().join("lake");
    assert_eq!(interrupted(&["--parquet", table.to_str().unwrap()]).status.code(), Some(130));
    let files = |folder: &std::path::Path| std::fs::read_dir(folder).map(Iterator::count).unwrap_or_default();
    assert_eq!(files(&table), 0, "a part of a table is no result");
}
