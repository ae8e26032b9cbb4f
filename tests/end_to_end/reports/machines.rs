//! Outputs for machines, each judged by a consumer of its own: promtool, the SARIF validator,
//! junitparser, a JSON Schema validator.

use std::path::{Path, PathBuf};
use std::process::Command;

use ctverify_testkit::defects;
use serde_json::Value;

use crate::support::{ctverify, outside_agrees, run, testdata};

/// Verifies a folder of testdata with one further report, and returns the exit code.
fn report(name: &str, kind: &str, path: &Path) -> i32 {
    let dir = testdata(name);
    let mut command = ctverify();
    command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json"));
    let run = run(command.arg("--report").arg(format!("{kind}={}", path.display())));
    assert!(matches!(run.code, 0 | 1 | 3), "{}", run.stderr);
    run.code
}

/// A program that `tests/run` installs; `None` where it is not there.
fn tool(variable: &str) -> Option<Command> {
    let Some(path) = std::env::var_os(variable) else {
        assert!(std::env::var_os("CTVERIFY_TEST_ALL").is_none(), "{variable} has to name the program");
        eprintln!("skipped: {variable} names no program; tests/run installs it");
        return None;
    };
    Some(Command::new(path))
}

#[test]
fn promtool_takes_the_metrics_and_the_last_success_outlives_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ctverify.prom");
    let metric = |name: &str| {
        let text = std::fs::read_to_string(&path).unwrap();
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        text.lines().find_map(|line| line.starts_with(name).then(|| value(line))?)
    };
    assert_eq!(report("log-modified", "prometheus", &path), 1);
    assert_eq!(metric("ctverify_last_success_timestamp_seconds"), None);
    assert_eq!(report("clean", "prometheus", &path), 0);
    let success = metric("ctverify_last_success_timestamp_seconds").unwrap();
    assert_eq!(metric("ctverify_verdict{verdict=\"verified\","), Some(1.0));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(report("log-modified", "prometheus", &path), 1);
    assert_eq!(metric("ctverify_last_success_timestamp_seconds"), Some(success));
    assert!(metric("ctverify_last_run_timestamp_seconds").unwrap() > success);
    assert_eq!(metric("ctverify_log_files{status=\"modified\","), Some(1.0));
    for defect in defects::ALL {
        report(defect.name, "prometheus", &path);
        let Some(mut promtool) = tool("CTVERIFY_TEST_PROMTOOL") else { return };
        let input = std::fs::File::open(&path).unwrap();
        let output = promtool.args(["check", "metrics"]).stdin(input).output().unwrap();
        assert!(output.status.success(), "{} {}", defect.name, String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn promtool_takes_the_alert_rules_of_the_docs() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scheduled-audits.md")).unwrap();
    let rules = readme.split_once("<!-- alert rules: checked by the tests -->\n```yaml\n").unwrap().1;
    let rules = rules.split_once("```").unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let (path, metrics) = (folder.path().join("rules.yml"), folder.path().join("metrics"));
    std::fs::write(&path, rules).unwrap();
    report("clean", "prometheus", &metrics);
    let metrics = std::fs::read_to_string(metrics).unwrap();
    for name in
        rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("ctverify_"))
    {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "there is no metric {name}");
    }
    let Some(mut promtool) = tool("CTVERIFY_TEST_PROMTOOL") else { return };
    let output = promtool.args(["check", "rules"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_sarif_validator_takes_the_findings() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["clean", "log-modified", "two-digests-deleted", "digest-signature-removed", "logging-stopped"] {
        let path = folder.path().join(format!("{name}.sarif"));
        report(name, "sarif", &path);
        let log: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.is_empty(), name == "clean", "{results:#?}");
        if name == "log-modified" {
            assert_eq!((&results[0]["ruleId"], &results[0]["level"]), (&"hash_mismatch".into(), &"error".into()));
        }
        let Some(mut validator) = tool("CTVERIFY_TEST_SARIF") else { continue };
        let output =
            validator.arg("validate").arg(&path).env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains(": error "), "{said}");
    }
}

#[test]
fn junit_counts_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    for (name, failures, errors) in [("clean", 0, 0), ("log-modified", 2, 0), ("logging-stopped", 0, 2)] {
        let path = folder.path().join(format!("{name}.xml"));
        report(name, "junit", &path);
        let Some(said) = outside_agrees("junit.py", &[path.as_os_str()]) else { return };
        let counts: Vec<u32> = said.split_whitespace().map(|count| count.parse().unwrap()).collect();
        assert_eq!(counts[1..], [failures, errors], "{name}");
    }
}

#[test]
fn every_record_fits_the_schema_that_the_program_prints() {
    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("schema.json");
    let printed = run(ctverify().arg("schema"));
    assert_eq!(printed.code, 0);
    std::fs::write(&schema, printed.stdout).unwrap();
    let mut arguments: Vec<PathBuf> = vec![schema];
    for defect in defects::ALL {
        let path = folder.path().join(format!("{}.jsonl", defect.name));
        report(defect.name, "jsonl", &path);
        arguments.push(path);
    }
    // The records of a second run, which mark the findings that the first one made.
    for name in ["two-digests-deleted", "log-modified", "clean"] {
        let (dir, state) = (testdata(name), folder.path().join(format!("{name}.state")));
        for pass in ["first", "second"] {
            let path = folder.path().join(format!("{name}-{pass}.jsonl"));
            let mut command = ctverify();
            command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).arg("--state").arg(&state);
            run(command.arg("--report").arg(format!("jsonl={}", path.display())));
            let known = std::fs::read_to_string(&path).unwrap().contains("\"since\"");
            assert_eq!(known, name != "clean" && pass == "second");
            arguments.push(path);
        }
    }
    let arguments: Vec<_> = arguments.iter().map(|path| path.as_os_str()).collect();
    outside_agrees("records.py", &arguments);
}

#[test]
fn every_flag_can_be_set_in_the_environment_and_the_command_line_counts_more() {
    let dir = testdata("clean");
    let verify = |format: Option<&str>| {
        let mut command = ctverify();
        command.env("CTVERIFY_FROM", &dir).env("CTVERIFY_KEYS", dir.join("keys.json")).env("CTVERIFY_FORMAT", "json");
        command.env("CTVERIFY_DEPTH", "chain");
        command.args(format.map(|format| ["--format", format]).into_iter().flatten());
        run(&mut command)
    };
    let json: Value = serde_json::from_str(&verify(None).stdout).unwrap();
    assert_eq!(json["run"]["depth"], "chain");
    let lines = verify(Some("jsonl"));
    assert_eq!((lines.code, lines.of("run").len()), (0, 1));
    let wrong = run(ctverify().env("CTVERIFY_START", "yesterday").args(["--bucket", "b"]));
    assert!(wrong.code == 2 && wrong.stderr.contains("--start"), "{}", wrong.stderr);
}

/// Returns the number of findings that a script in `tests/outside` counts in a report, after it has
/// validated the report.
fn judged(kind: &str, path: &Path) -> Option<usize> {
    Some(outside_agrees(&format!("{kind}.py"), &[path.as_os_str()])?.trim().parse().unwrap())
}

#[test]
fn ocsf_and_security_hub_take_the_findings_of_every_defect() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["ocsf", "asff"] {
        let path = folder.path().join(kind);
        for defect in defects::ALL {
            let code = report(defect.name, kind, &path);
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.is_empty(), code == 0, "{kind} {}: {text}", defect.name);
            if judged(kind, &path).is_none() {
                break;
            }
        }
        report("log-modified", kind, &path);
        let text = std::fs::read_to_string(&path).unwrap();
        let finding: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let (id, object) = match kind {
            "ocsf" => (&finding["finding_info"]["uid"], &finding["resources"][0]["uid"]),
            _ => (&finding[0]["Id"], &finding[0]["Resources"][0]["Id"]),
        };
        assert!(object.as_str().unwrap().starts_with("arn:aws:s3:::example-trail-logs/AWSLogs/"), "{object}");
        // The same finding is the same from run to run.
        let id = id.clone();
        report("log-modified", kind, &path);
        assert!(std::fs::read_to_string(&path).unwrap().contains(id.as_str().unwrap()));
    }
}

#[test]
fn more_than_a_hundred_findings_are_parted_into_batches() {
    let mut trail = ctverify_testkit::TrailSpec { hours: 150, log_files: 1, ..Default::default() }.forge();
    for digest in trail.chains[0].digests.clone() {
        trail.replace(&digest.document.log_files[0].s3_object, ctverify_testkit::gzip(b"{}"));
    }
    let mirror = crate::support::Mirror::new(&trail, ctverify_testkit::Layout::Keys, true);
    let path = mirror.dir().with_file_name("asff");
    let arn = trail.spec.arn();
    run(mirror.command().args(["--trail-arn", &arn, "--report", &format!("asff={}", path.display())]));
    let text = std::fs::read_to_string(&path).unwrap();
    let batches: Vec<usize> =
        text.lines().map(|line| serde_json::from_str::<Vec<Value>>(line).unwrap().len()).collect();
    assert_eq!(batches, [100, 51]);
    assert!(judged("asff", &path).is_none_or(|count| count == 151));
}

#[test]
fn the_embedded_metrics_fit_their_specification() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emf");
    for name in ["clean", "log-modified", "logging-stopped"] {
        report(name, "emf", &path);
        let text = std::fs::read_to_string(&path).unwrap();
        let whole: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(whole["Violated"], u64::from(name == "log-modified"));
        assert_eq!(whole["ModifiedLogFiles"], u64::from(name == "log-modified"));
        let lines = text.lines().count();
        assert!(judged("emf", &path).is_none_or(|count| count == lines && lines > 1));
    }
}

#[test]
fn a_github_workflow_gets_annotations() {
    let verify = |name: &str| {
        let dir = testdata(name);
        let mut command = ctverify();
        command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).args(["--format", "jsonl"]);
        run(command.env("GITHUB_ACTIONS", "true"))
    };
    let clean = verify("clean");
    assert_eq!((clean.code, &*clean.stderr), (0, ""));
    let modified = verify("log-modified");
    let lines: Vec<&str> = modified.stderr.lines().collect();
    assert!(lines[0].starts_with("::error title=modified log file::s3://example-trail-logs/AWSLogs/"), "{lines:?}");
    assert_eq!(*lines.last().unwrap(), "::error title=ctverify::the CloudTrail logs are violated: 1 finding");
    assert_eq!(lines.len(), 2);
    let many = verify("logging-stopped");
    assert!(many.stderr.lines().all(|line| line.starts_with("::warning title=")), "{}", many.stderr);
}
