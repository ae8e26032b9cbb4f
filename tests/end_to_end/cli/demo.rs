//! The demo: the trail that the binary carries, and the ways to break it that it suggests.

use crate::support::{ctverify, run, testdata};

#[test]
fn the_sample_trail_verifies() {
    let dir = testdata("sample-trail");
    let run = run(ctverify().arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")));
    assert_eq!(run.code, 0, "{}", run.stdout);
    for part in ["VERIFIED", "us-east-1", "eu-west-1"] {
        assert!(run.stdout.contains(part), "{}", run.stdout);
    }
}

#[test]
fn the_demo_unpacks_verifies_and_its_advice_works() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || run(ctverify().current_dir(folder.path()).args(["demo", "trail"]));
    let first = demo();
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stdout.contains("VERIFIED"));
    // Each of these lines ends with a shell command; the damage that the command does is found.
    let mut tried = 0;
    for line in first.stdout.lines().filter(|line| line.contains("a log file is") || line.contains("a digest is")) {
        let command = line.split("  ").last().unwrap().trim();
        let done = std::process::Command::new("sh").current_dir(folder.path()).args(["-c", command]).status().unwrap();
        assert!(done.success(), "{command}");
        let again = demo();
        assert_eq!(again.code, 1, "after '{command}': {}", again.stdout);
        assert!(again.stdout.contains("VIOLATED"));
        tried += 1;
    }
    assert_eq!(tried, 3);
}

#[test]
fn the_demo_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "precious").unwrap();
    let run = run(ctverify().arg("demo").arg(folder.path()));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("name a new folder"), "{}", run.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
