//! Texts that people read, held by snapshots: the report on a terminal, the help, and the HTML
//! report. `INSTA_UPDATE=always cargo test --test end_to_end -- snapshots::` writes them anew; read
//! the difference before you commit it.

use std::path::PathBuf;

use serde_json::json;

use crate::support::{ctverify, records, run, testdata};

/// Compares a text with its snapshot. What differs from run to run is filtered out.
fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r" in \d+ s: ", " in [SECONDS] s: ");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The names of the folders of test data that have keys.
fn folders() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(testdata(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("keys.json").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn the_report_on_a_terminal() {
    for name in folders() {
        let keys = PathBuf::from(&name).join("keys.json");
        let mut command = ctverify();
        command.current_dir(testdata("")).args(["--from", &name, "--keys"]).arg(&keys);
        assert_snapshot(&format!("text-{name}"), &run(&mut command).stdout);
    }
}

#[test]
fn the_report_of_intact_files_one_by_one() {
    let mut command = ctverify();
    command.current_dir(testdata("")).args(["--from", "clean", "--keys", "clean/keys.json", "--verbose"]);
    assert_snapshot("text-verbose", &run(&mut command).stdout);
}

#[test]
fn the_help() {
    let commands = [
        "file",
        "collect",
        "handover",
        "ack",
        "report",
        "verify-report",
        "demo",
        "config",
        "events",
        "event",
        "schema",
        "completions",
        "man",
    ];
    assert_snapshot("help", &run(ctverify().arg("--help")).stdout);
    assert_snapshot("help-short", &run(ctverify().arg("-h")).stdout);
    for command in commands {
        assert_snapshot(&format!("help-{command}"), &run(ctverify().args([command, "--help"])).stdout);
    }
}

/// The HTML report is made of saved records, in which the facts of the machine are replaced.
#[test]
fn the_html_report() {
    for name in ["clean", "log-modified", "two-digests-deleted", "logging-stopped"] {
        let folder = tempfile::tempdir().unwrap();
        let keys = PathBuf::from(name).join("keys.json");
        let mut command = ctverify();
        command.current_dir(testdata("")).args(["--from", name, "--case", "2026-17", "--keys"]).arg(&keys);
        let mut saved = records(&mut command).records;
        for record in &mut saved {
            match record["record"].as_str() {
                Some("run") => record["started"] = json!("2026-03-10T08:00:00Z"),
                Some("circumstances") => {
                    record["build"] = json!("x86_64-linux, release");
                    record["host"] = json!("examiner-1");
                    record["command"] = json!(["ctverify", "--from", name]);
                }
                Some("summary") => record["finished"] = json!("2026-03-10T08:00:05Z"),
                _ => {}
            }
        }
        let lines: String = saved.iter().map(|record| format!("{record}\n")).collect();
        std::fs::write(folder.path().join("records.jsonl"), lines).unwrap();
        let made =
            run(ctverify().current_dir(folder.path()).args(["report", "records.jsonl", "--report", "html=r.html"]));
        assert_eq!(&*made.stderr, "", "{name}");
        let page = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
        let (_, body) = page.split_once("<body>").unwrap();
        assert_snapshot(&format!("html-{name}"), body);
    }
}
