//! Configuration files and logs.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Run, ctverify, run, testdata};

/// A file with these settings.
fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("ctverify.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Returns the settings that name a folder of testdata.
fn of(name: &str) -> String {
    let dir = testdata(name);
    format!("from = {:?}\nkeys = {:?}\n", dir.display().to_string(), dir.join("keys.json").display().to_string())
}

fn with(config: &Path) -> Command {
    let mut command = ctverify();
    command.arg("--config").arg(config);
    command
}

#[test]
fn several_trails_are_verified_in_one_run_and_the_gravest_result_counts() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("broken.jsonl");
    let text = format!(
        "format = \"jsonl\"\nallow = [\"unlisted\"]\n[[trail]]\nname = \"broken\"\n{}report = [\"jsonl={}\"]\n\
         [[trail]]\nname = \"whole\"\ndepth = \"chain\"\n{}\n[[trail]]\nname = \"stopped\"\n{}",
        of("log-modified"),
        report.display(),
        of("clean"),
        of("logging-stopped")
    );
    let config = file(folder.path(), &text);
    let said = run(&mut with(&config));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let verdicts: Vec<&Value> = said.of("summary").iter().map(|summary| &summary["verdict"]).collect();
    assert_eq!(verdicts, ["violated", "verified", "inconclusive"]);
    assert_eq!(said.of("run")[1]["depth"], "chain");
    assert!(report.is_file());
    // A trail that can't be run does not keep the others from being verified, and its error does
    // not hide a violation.
    std::fs::remove_file(&report).unwrap();
    std::fs::create_dir(&report).unwrap();
    let said = run(&mut with(&config));
    assert_eq!((said.code, said.of("summary").len()), (4, 2), "{}", said.stderr);
}

#[test]
fn the_command_line_counts_more_than_the_environment_and_that_more_than_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("depth = \"chain\"\nformat = \"jsonl\"\n[[trail]]\n{}", of("clean"));
    let config = file(folder.path(), &text);
    let depth = |said: &Run| said.of("run")[0]["depth"].as_str().unwrap().to_owned();
    assert_eq!(depth(&run(&mut with(&config))), "chain");
    assert_eq!(depth(&run(with(&config).env("CTVERIFY_DEPTH", "presence"))), "presence");
    assert_eq!(depth(&run(with(&config).env("CTVERIFY_DEPTH", "presence").args(["--depth", "content"]))), "content");
    // A setting of one trail overrides the same setting above all trails.
    let text = format!("depth = \"chain\"\nformat = \"jsonl\"\n[[trail]]\ndepth = \"presence\"\n{}", of("clean"));
    assert_eq!(depth(&run(&mut with(&file(folder.path(), &text)))), "presence");
    // The file itself can be named in the environment; without tables it has one trail.
    let config = file(folder.path(), &format!("format = \"jsonl\"\ndepth = \"chain\"\nquiet = true\n{}", of("clean")));
    assert_eq!(depth(&run(ctverify().env("CTVERIFY_CONFIG", config))), "chain");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let clean = of("clean");
    let cases = [
        ("depth = ", "ctverify.toml"),
        ("deepness = 3", "there is no setting 'deepness'"),
        ("depth = \"bottom\"", "choose chain, presence or content"),
        ("quiet = \"yes\"", "'quiet' is true or false"),
        ("depth = true", "'depth' takes a text"),
        ("config = \"other\"", "there is no setting 'config'"),
        ("trail = 3", "[[trail]]"),
        ("[[trail]]\nname = \"a\"\nseed = 3", "'a':"),
        ("[[trail]]\nname = \"a\"\nstate = \"s\"\n[[trail]]\nname = \"b\"\nstate = \"s\"", "'a' and 'b' both write to"),
        ("format = \"json\"\n[[trail]]\n[[trail]]", "json is one document"),
        ("start = \"1d\"\nstart-time = \"2d\"", "is there twice"),
        ("prefix = \"x\"", "--bucket"),
    ];
    for (text, why) in cases {
        let config = file(folder.path(), text);
        for mut command in [with(&config), {
            let mut check = ctverify();
            check.args(["config", "check"]).arg(&config);
            check
        }] {
            let said = run(&mut command);
            assert_eq!((said.code, &*said.stdout), (2, ""), "{text}: {}", said.stderr);
            assert!(said.stderr.contains(why) && said.stderr.contains("ctverify.toml"), "{text}: {}", said.stderr);
        }
    }
    assert_eq!(run(&mut with(Path::new("/nonexistent/ctverify.toml"))).code, 2);
    let right = file(folder.path(), &format!("[[trail]]\nname = \"the clean one\"\nquiet = true\n{clean}"));
    let said = run(ctverify().args(["config", "check"]).arg(&right).env("CTVERIFY_KEYS", "elsewhere"));
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.starts_with("the clean one\n") && said.stdout.contains("  --quiet\n"), "{}", said.stdout);
    assert!(
        said.stdout.contains("(the environment says otherwise)") && said.stdout.contains("1 trail"),
        "{}",
        said.stdout
    );
}

#[test]
fn what_is_violated_does_not_hide_behind_what_is_wrong_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let broken = of("log-modified");
    let lost = "from = \"/nonexistent\"\nkeys = \"/nonexistent\"\n";
    let config = file(folder.path(), &format!("[[trail]]\n{broken}[[trail]]\nname = \"the lost one\"\n{lost}"));
    let said = run(&mut with(&config));
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("the lost one: "), "{}", said.stderr);
    // Two names of one flag are one setting, and the trail's own counts.
    let text =
        format!("start = \"2026-03-01\"\nformat = \"jsonl\"\n[[trail]]\nstart-time = \"2026-03-02\"\n{}", of("clean"));
    let said = run(&mut with(&file(folder.path(), &text)));
    assert_eq!(said.of("run")[0]["start"], "2026-03-02T00:00:00Z", "{}", said.stderr);
    // The file can ask for logs.
    let text = format!("log-format = \"json\"\nquiet = true\n[[trail]]\n{}", of("clean"));
    let said = run(&mut with(&file(folder.path(), &text)));
    assert!(said.stderr.lines().next().unwrap().contains("the run begins"), "{}", said.stderr);
}

#[test]
fn a_variable_that_is_empty_counts_as_not_set_and_a_demo_heeds_none() {
    let dir = testdata("clean");
    let mut command = ctverify();
    command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json"));
    command.env("CTVERIFY_STATE", "").env("CTVERIFY_NOTIFY", "").env("CTVERIFY_QUIET", "1");
    let said = run(&mut command);
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (0, "", ""));
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("mine.jsonl");
    let mut demo = ctverify();
    demo.current_dir(folder.path()).arg("demo").env("CTVERIFY_REPORT", format!("jsonl={}", report.display()));
    demo.env("CTVERIFY_QUIET", "1").env("CTVERIFY_BUCKET", "mine").env("CTVERIFY_STATE", folder.path().join("state"));
    let said = run(&mut demo);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("VERIFIED") && !report.exists() && !folder.path().join("state").exists());
}

#[test]
fn logs_go_to_standard_error_as_json_lines() {
    let verify = |name: &str, more: &[&str]| {
        let dir = testdata(name);
        let mut command = ctverify();
        command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).args(more);
        run(&mut command)
    };
    let said = verify("log-modified", &["--log-format", "json", "--quiet"]);
    let lines: Vec<Value> = said.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages[0], "the run begins");
    assert_eq!(*messages.last().unwrap(), "the run ends");
    let found = lines.iter().find(|line| line["rule"] == "hash_mismatch").unwrap();
    assert_eq!(found["level"], "ERROR");
    assert!(found["object"].as_str().unwrap().starts_with("s3://"), "{found}");
    assert_eq!(lines.last().unwrap()["verdict"], "violated");
    let errors = verify("log-modified", &["--log-format", "text", "--log-level", "error"]);
    assert!(errors.stderr.contains("ERROR") && !errors.stderr.contains("the run begins"), "{}", errors.stderr);
    assert_eq!(verify("clean", &["--log-format", "text", "--log-level", "error", "--quiet"]).stderr, "");
    // An error that keeps a run from being made is logged like the rest.
    let said = verify("clean", &["--log-format", "json", "--report", "json=/nonexistent/report"]);
    let last: Value = serde_json::from_str(said.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((said.code, &last["exit_code"]), (4, &Value::from(4)));
}

#[test]
fn several_trails_are_named_and_have_one_verdict_over_all() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ctverify.toml");
    let trail = |name: &str| {
        let dir = crate::support::testdata(name);
        format!("[[trail]]\nname = \"{name}\"\nfrom = {:?}\nkeys = {:?}\n", dir, dir.join("keys.json"))
    };
    std::fs::write(&config, format!("{}{}", trail("clean"), trail("log-modified"))).unwrap();
    let done = run(ctverify().arg("--config").arg(&config));
    assert_eq!(done.code, 1, "{}", done.stderr);
    for expected in ["== clean\n", "== log-modified\n", "OVERALL VIOLATED  1 violated, 1 verified\n"] {
        assert!(done.stdout.contains(expected), "{expected:?} is not in {}", done.stdout);
    }
    // Machines read jsonl, and one trail needs no title.
    let lines = run(ctverify().arg("--config").arg(&config).args(["--format", "jsonl"])).stdout;
    assert!(lines.lines().all(|line| line.starts_with('{')), "{lines}");
    std::fs::write(&config, trail("clean")).unwrap();
    assert!(!run(ctverify().arg("--config").arg(&config)).stdout.contains("=="));
}

/// Found by a trial: the check called settings right with which every run fails.
#[test]
fn a_check_finds_what_every_run_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let dir = testdata("clean").display().to_string();
    let whole = of("clean");
    for (settings, why) in [
        (format!("from = {dir:?}\n"), "from needs keys"),
        (format!("{whole}notify = [\"foo\"]\n"), "--notify"),
        (format!("{whole}start = \"2026-03-02\"\nend = \"2026-03-01\"\n"), "ends before it begins"),
        (format!("{whole}sample = \"5%\"\ndepth = \"chain\"\n"), "--sample"),
        (format!("{whole}grace = \"30h\"\n"), "--grace"),
        (format!("{whole}report = [\"html={dir}/AWSLogs/x.html\"]\n"), "is left as it is"),
    ] {
        let config = file(folder.path(), &format!("[[trail]]\nname = \"mine\"\n{settings}"));
        let checked = run(ctverify().args(["config", "check"]).arg(&config));
        assert_eq!(checked.code, 2, "{settings}: {}", checked.stdout);
        assert!(checked.stderr.contains(why) && checked.stderr.contains("'mine'"), "{settings}: {}", checked.stderr);
    }
    let config = file(folder.path(), &format!("[[trail]]\nname = \"mine\"\n{whole}"));
    assert_eq!(run(ctverify().args(["config", "check"]).arg(&config)).code, 0);
}
