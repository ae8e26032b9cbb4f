//! README shows what the program really prints.

use crate::support::{ctverify, run};

/// The outputs that README shows, each from the line that begins with `from` on.
fn shown(from: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut blocks = readme.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.find(|block| block.starts_with(from)).unwrap()
}

/// What a run prints for a folder of testdata, without its last line, which tells how long it took.
fn printed(name: &str) -> String {
    let dir = format!("testdata/{name}");
    let mut command = ctverify();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["--from", &dir, "--keys", &format!("{dir}/keys.json")]);
    let text = run(&mut command).stdout;
    let lines: Vec<&str> = text.lines().collect();
    lines[..lines.len() - 1].iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_sample_is_shown_as_it_is_printed() {
    assert_eq!(shown("CloudTrail log file integrity"), printed("sample-trail"));
}

#[test]
fn a_tampering_is_shown_as_it_is_printed() {
    assert!(printed("log-modified").ends_with(&shown("What is wrong")));
}
