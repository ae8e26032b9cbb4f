//! The files in `deploy/`: each is checked by the program that reads it.

use std::path::{Path, PathBuf};
use std::process::Command;

use ctverify_testkit::{Layout, TrailSpec};
use jiff::{SignedDuration, Timestamp};

use crate::support::{Mirror, ctverify, outside_agrees, run};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Returns whether a program is installed. If all tests are asked for, it has to be.
fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CTVERIFY_TEST_ALL").is_none(), "{program} has to be there");
    found
}

/// Returns the help texts, with the names of all flags that the program takes.
fn known_flags() -> String {
    let commands: [&[&str]; 4] = [&[], &["plan"], &["shard"], &["merge"]];
    commands.iter().map(|command| run(ctverify().args(*command).arg("--help")).stdout).collect()
}

#[test]
fn cluster_cloud_and_workflow_files_are_what_their_readers_take() {
    let Some(said) = outside_agrees("deploy.py", &[deploy("").as_os_str()]) else { return };
    let words: Vec<String> = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let known = known_flags();
    // Every flag and every variable that they name is one of the program's.
    for word in words.iter().flat_map(|words| words.split_whitespace()) {
        let flag = match word.strip_prefix("CTVERIFY_") {
            Some(name) => format!("--{}", name.to_ascii_lowercase().replace('_', "-")),
            // The others are cargo's.
            None if word.starts_with("--") && !["--locked", "--path"].contains(&word) => {
                word.split('=').next().unwrap().to_owned()
            }
            None => continue,
        };
        assert!(known.contains(&flag), "there is no flag {flag}");
    }
}

#[test]
fn the_script_for_batch_submits_its_steps_and_passes_the_verdict_on() {
    let Some(aws) = std::env::var_os("CTVERIFY_TEST_AWS") else { return };
    outside_agrees("batch.py", &[deploy("batch/run.sh").as_os_str(), &aws]);
}

#[test]
fn the_units_are_what_systemd_takes_and_their_command_runs() {
    let units = ["ctverify.service", "ctverify.timer", "ctverify-alert@.service"];
    let folder = tempfile::tempdir().unwrap();
    for unit in units {
        let text = std::fs::read_to_string(deploy("systemd").join(unit)).unwrap();
        // The units run the binary from the build.
        let text = text.replace("/usr/local/bin/ctverify", env!("CARGO_BIN_EXE_ctverify"));
        std::fs::write(folder.path().join(unit), text).unwrap();
    }
    if is_there("systemd-analyze") {
        let paths = units[..2].iter().map(|unit| folder.path().join(unit));
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(paths).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("ctverify"), "{said}");
        let calendar = Command::new("systemd-analyze").args(["calendar", "hourly"]).output().unwrap();
        assert!(calendar.status.success());
    }
    let service = std::fs::read_to_string(folder.path().join("ctverify.service")).unwrap();
    let command = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    std::fs::create_dir(folder.path().join("ctverify")).unwrap();
    let here = |text: &str| text.replace("%S", folder.path().to_str().unwrap());
    let command = here(command);
    let settings = service.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
    // The variables replace the environment file of the unit; a copy takes the trail's place.
    let start = Timestamp::now() - SignedDuration::from_hours(30);
    let trail = TrailSpec { start, hours: 20, ..TrailSpec::default() }.forge();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let mut words = command.split_whitespace();
    let mut job = Command::new(words.next().unwrap());
    job.args(words).env_clear().env("CTVERIFY_FROM", mirror.dir()).env("CTVERIFY_KEYS", mirror.keys());
    job.envs(settings.map(|(name, value)| (name, here(value))));
    let first = run(&mut job);
    assert_eq!((first.code, &*first.stdout, &*first.stderr), (0, "", ""));
    for name in ["checkpoint.json", "last.jsonl"] {
        assert!(folder.path().join("ctverify").join(name).is_file(), "{name}");
    }
    assert_eq!(run(&mut job).code, 0);
}

#[test]
fn the_container_has_one_binary_no_root_and_builds_what_there_is() {
    let text = std::fs::read_to_string(deploy("container/Dockerfile")).unwrap();
    let last = text.rsplit("\nFROM ").next().unwrap();
    assert!(last.starts_with("scratch\n") && last.contains("\nUSER 65532:65532\n") && !last.contains("\nRUN "));
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let rust = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    let minor = rust.rsplit_once('.').unwrap().0;
    assert!(text.contains(&format!("/rust:{minor}-")), "the image builds with another compiler than {rust}");
}

#[test]
fn shells_complete_and_man_shows_the_page() {
    for (shell, check) in
        [("bash", Some(["bash", "-n"])), ("zsh", None), ("fish", None), ("powershell", None), ("elvish", None)]
    {
        let script = run(ctverify().args(["completions", shell]));
        assert!(script.code == 0 && script.stdout.contains("recorded-bucket"), "{shell}");
        if let Some([program, flag]) = check {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("completions");
            std::fs::write(&path, &script.stdout).unwrap();
            assert!(Command::new(program).arg(flag).arg(&path).status().unwrap().success());
        }
    }
    let page = run(ctverify().arg("man")).stdout;
    assert!(page.contains(".TH ctverify 1") && page.contains("\\-\\-trail\\-arn"), "{page}");
    assert!(run(ctverify().args(["man", "collect"])).stdout.contains("ctverify\\-collect"));
    let unknown = run(ctverify().args(["man", "nothing"]));
    assert_eq!((unknown.code, unknown.stdout.len()), (2, 0));
}
