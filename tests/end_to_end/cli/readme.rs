//! README shows what the program really prints.

use ctverify_testkit::{ACCESS_KEY, SECRET_KEY, Server, ServerOptions, TrailSpec};

use crate::support::{ctverify, run};

/// Returns the output in README that begins with `from`.
fn shown(from: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut blocks = readme.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.find(|block| block.starts_with(from)).unwrap()
}

/// Returns the text that a run prints for a folder of testdata, without its last line, which says
/// how long it took.
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

/// The commands of "From incident to evidence", run as they stand there.
#[test]
fn from_incident_to_evidence_works_as_it_is_written() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let block = readme.split_once("<!-- from incident to evidence: run by the tests -->\n```sh\n").unwrap().1;
    let script = block.split_once("```").unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_ctverify")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // The last command is the one that checks the report.
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("signed by J. Doe") && said.contains("says what the records"), "{said}{errors}");
    assert_eq!(said.matches("VIOLATED").count(), 2, "{said}{errors}");
    for defect in ["1 log file modified", "1 log file deleted", "at least 1 digest missing"] {
        assert_eq!(said.matches(defect).count(), 2, "{defect}: {said}{errors}");
    }
    assert!(folder.path().join("bag.zip").is_file() && !said.contains("altered bag"), "{said}{errors}");
}

#[test]
fn the_configuration_is_one_that_the_program_takes() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let block = readme.split_once("<!-- configuration: checked by the tests -->\n```toml\n").unwrap().1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ctverify.toml");
    std::fs::write(&path, block.split_once("```").unwrap().0).unwrap();
    let said = run(ctverify().args(["config", "check"]).arg(&path));
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("2 trails"), "{}", said.stdout);
}

/// The commands of "A copy, offline", run as they stand there against a server.
#[test]
fn the_offline_recipe_ends_verified() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let block = readme.split_once("<!-- a copy, offline: run by the tests -->\n```sh\n").unwrap().1;
    let trail = TrailSpec { hours: 48, start: "2026-02-28T20:00:00Z".parse().unwrap(), ..TrailSpec::default() }.forge();
    let script = block.split_once("```").unwrap().0.replace("trail/my-trail", "trail/management-events");
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_ctverify")).parent().unwrap();
    let output = std::process::Command::new("bash")
        .args(["-e", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()))
        .envs([("AWS_ENDPOINT_URL", server.url()), ("AWS_REGION", "us-east-1".to_owned())])
        .envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)])
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("VERIFIED  "), "{said}{errors}");
}
