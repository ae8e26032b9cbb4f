//! The form of reports: the records as promised, the text for people, files that are complete or
//! absent.

use std::ffi::OsStr;
use std::process::Command;

use ctverify_testkit::{Layout, REGIONS, Server, ServerOptions, TrailSpec, defects};
use serde_json::{Value, json};

use crate::support::{Mirror, ctverify, ctverify_at, outside_agrees, records, run, testdata};

fn command(name: &str) -> std::process::Command {
    let dir = testdata(name);
    let mut command = ctverify();
    command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json"));
    command
}

fn fields(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_record_has_exactly_the_promised_fields() {
    const CHAIN: [&str; 5] = ["organization", "account", "region", "trail", "home_region"];
    let digest = [
        "record",
        "status",
        "kind",
        "bucket",
        "key",
        "start",
        "end",
        "sha256",
        "fault",
        "detail",
        "signature_from",
        "versions",
    ];
    let log_file = [
        "record",
        "status",
        "bucket",
        "key",
        "digest",
        "expected_sha256",
        "actual_sha256",
        "size",
        "fault",
        "detail",
        "versions",
    ];
    let promised: Vec<(&str, Vec<&str>, bool)> = vec![
        (
            "run",
            vec![
                "record",
                "schema",
                "version",
                "started",
                "trail_arn",
                "start",
                "end",
                "source",
                "depth",
                "sample",
                "grace_seconds",
                "filters",
                "allow",
                "endpoints",
                "keys",
                "settings",
            ],
            false,
        ),
        ("digest", digest.to_vec(), true),
        ("log_file", log_file.to_vec(), true),
        (
            "gap",
            vec!["record", "cause", "from", "to", "missing_digests", "uncovered_log_files", "explained_by", "detail"],
            true,
        ),
        ("warning", vec!["record", "code", "bucket", "key", "detail"], false),
        (
            "chain",
            vec![
                "record",
                "fault",
                "detail",
                "from",
                "to",
                "covered_seconds",
                "requested_seconds",
                "fresh_log_files",
                "edge_log_files",
            ],
            true,
        ),
        (
            "circumstances",
            vec![
                "record",
                "build",
                "command",
                "host",
                "identity",
                "keys",
                "clock_ahead_ms",
                "case",
                "exhibit",
                "examiner",
                "notes",
            ],
            false,
        ),
        (
            "summary",
            vec![
                "record",
                "verdict",
                "exit_code",
                "depth",
                "digests",
                "log_files",
                "gaps",
                "acknowledged",
                "warnings",
                "public_keys",
                "key_validity",
                "requests",
                "finished",
            ],
            false,
        ),
    ];
    for defect in defects::ALL {
        let run = records(&mut command(defect.name));
        for record in &run.records {
            let (_, names, chain) = promised.iter().find(|(kind, ..)| record["record"] == *kind).unwrap();
            let mut names = names.clone();
            names.extend(CHAIN.iter().filter(|_| *chain));
            // Only a finding has an identifier.
            let status = record["status"].as_str().unwrap_or("none");
            let is_finding = match record["record"].as_str().unwrap() {
                "digest" | "log_file" => !["valid", "intact", "uncovered"].contains(&status),
                "gap" => record["cause"] != "not_yet_delivered",
                "chain" => !record["fault"].is_null(),
                _ => false,
            };
            names.extend(is_finding.then_some("id"));
            names.sort_unstable();
            let mut found = fields(record);
            found.sort_unstable();
            assert_eq!(found, names, "{}", defect.name);
        }
    }
}

#[test]
fn the_kind_of_record_comes_first_on_every_line() {
    for line in records(&mut command("digest-edited")).stdout.lines() {
        assert!(line.starts_with("{\"record\":\""), "{line}");
    }
}

#[test]
fn json_is_one_document_with_the_same_records() {
    for name in ["clean", "two-digests-deleted", "digest-signature-removed"] {
        let lines = records(&mut command(name));
        let document: Value = serde_json::from_str(&run(command(name).args(["--format", "json"])).stdout).unwrap();
        let groups = [
            ("digests", "digest"),
            ("log_files", "log_file"),
            ("gaps", "gap"),
            ("warnings", "warning"),
            ("chains", "chain"),
        ];
        assert_eq!(fields(&document).len(), groups.len() + 3);
        for (group, kind) in groups {
            let of_kind: Vec<Value> = lines.of(kind).into_iter().cloned().collect();
            assert_eq!(document[group], json!(of_kind), "{name} {group}");
        }
        assert_eq!(document["run"]["schema"], "ctverify/2");
        assert_eq!(document["summary"]["verdict"], lines.verdict());
    }
}

#[test]
fn further_reports_are_written_in_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let report = |kind: &str, name: &str| format!("{kind}={}", path(name).display());
    std::fs::write(path("lines"), "an older report").unwrap();
    let reports =
        ["--report", &report("jsonl", "lines"), "--report", &report("json", "doc"), "--report", &report("text", "txt")];
    let run = run(command("log-modified").args(reports).args(["--color", "always"]));
    assert_eq!(run.code, 1);
    let lines = std::fs::read_to_string(path("lines")).unwrap();
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert!(serde_json::from_str::<Value>(&std::fs::read_to_string(path("doc")).unwrap()).is_ok());
    let text = std::fs::read_to_string(path("txt")).unwrap();
    assert!(run.stdout.contains("\x1b[") && !text.contains('\x1b'), "colour belongs on the terminal alone");
    assert!(text.contains("VIOLATED"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file stays");
}

#[test]
fn a_run_that_fails_leaves_the_old_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    std::fs::write(&path, "an older report").unwrap();
    // Reports are open by the time that the bucket turns out not to exist.
    let server = Server::start(&defects::small_trail(), ServerOptions::default());
    let report = format!("jsonl={}", path.display());
    let run = run(ctverify_at(&server).args(["--bucket", "none-such", "--report", &report]));
    assert_eq!(run.code, 4);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older report");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn text_spells_out_what_is_wrong_and_ends_with_the_verdict() {
    let run = run(&mut command("log-modified"));
    let text = &run.stdout;
    let log_file = &defects::small_trail().chains[0].digests[defects::VICTIM].document.log_files[0];
    for part in [
        "111122223333  us-east-1  7 valid",
        "9 intact, 1 modified",
        "100 %",
        "2026-02-28 23:25",
        &format!("s3://example-trail-logs/{}", log_file.s3_object),
        &log_file.hash_value,
        "[hash_mismatch]",
    ] {
        assert!(text.contains(part), "'{part}' is not in:\n{text}");
    }
    let place = |part: &str| text.find(part).unwrap();
    assert!(place("111122223333") < place("Violations") && place("Violations") < place("VIOLATED"));
    assert!(!text.contains('\x1b'), "a pipe gets no colour");
    assert!(run.stderr.is_empty(), "a pipe gets no progress: {}", run.stderr);
}

#[test]
fn quiet_says_nothing_when_all_is_well_and_all_when_it_is_not() {
    let quiet = |name: &str| run(command(name).args(["--quiet", "--verbose"]));
    assert_eq!((quiet("clean").code, quiet("clean").stdout.as_str(), quiet("clean").stderr.as_str()), (0, "", ""));
    assert!(quiet("log-deleted").stdout.contains("VIOLATED"));
}

#[test]
fn verbose_lists_what_is_intact_and_the_plain_report_does_not() {
    let intact = &defects::small_trail().chains[0].digests[0].document.log_files[0].s3_object;
    assert!(!run(&mut command("clean")).stdout.contains(intact.as_str()));
    assert!(run(command("clean").arg("--verbose")).stdout.contains(intact.as_str()));
}

#[test]
fn a_hundred_findings_do_not_scroll_past() {
    let mut trail = TrailSpec { hours: 40, log_files: 5, ..TrailSpec::default() }.forge();
    let log_files: Vec<String> = trail.chains[0]
        .digests
        .iter()
        .flat_map(|digest| digest.document.log_files.iter().map(|file| file.s3_object.clone()))
        .collect();
    // The others show that the copy has log files of those days.
    let log_files = &log_files[5..log_files.len() - 5];
    assert!(log_files.len() > 100);
    log_files.iter().for_each(|key| {
        trail.remove(key);
    });
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let text = run(&mut mirror.command()).stdout;
    assert!(text.lines().count() < 120, "{}", text.lines().count());
    assert!(text.contains(&format!("{} more deleted log files", log_files.len() - 5)), "{text}");
    let whole = run(mirror.command().arg("--verbose")).stdout;
    assert!(log_files.iter().all(|key| whole.contains(key.as_str())));
}

/// Runs a command in a terminal of a width, and returns the lines that it shows.
fn on_terminal(width: usize, verdict: &str, command: &Command) -> Option<String> {
    let width = width.to_string();
    let words = [OsStr::new(&width), OsStr::new(verdict), command.get_program()];
    let words: Vec<&OsStr> = words.into_iter().chain(command.get_args()).collect();
    outside_agrees("terminal.py", &words)
}

/// Issue 17: the text fits 80 columns and uses 130.
#[test]
fn the_text_fits_the_terminal() {
    let regions = vec!["us-east-1".to_owned(), "ap-northeast-1".to_owned(), "eu-west-1".to_owned()];
    let mut trail = TrailSpec { hours: 30, regions, busy_percent: 100, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    trail.edit_content(&digests[4].document.log_files[0].s3_object, |_| b"{}".to_vec());
    trail.remove(&digests[9].document.log_files[0].s3_object);
    trail.remove(&digests[20].key);
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let page = format!("html={}", folder.path().join("report.html").display());
    for width in [80, 130] {
        let mut command = mirror.command();
        let Some(text) = on_terminal(width, "VIOLATED", command.args(["--report", &page])) else { return };
        assert!(text.contains("1 modified") && text.contains("Violations"), "{text}");
        assert_eq!(text.contains("FROM"), width == 130, "the times have room only there: {text}");
    }
}

/// Issue 17: many chains are a line an account, and those with findings are listed.
#[test]
fn many_chains_are_a_line_an_account() {
    let accounts: Vec<String> = (0..6).map(|number| (111_122_223_333_u64 + number).to_string()).collect();
    let regions: Vec<String> = REGIONS[..4].iter().map(ToString::to_string).collect();
    let organization = Some("o-exampleorg1".to_owned());
    let mut trail = TrailSpec { hours: 5, accounts, regions, organization, ..TrailSpec::default() }.forge();
    let busy =
        trail.chains.iter().flat_map(|chain| &chain.digests).find(|digest| !digest.document.log_files.is_empty());
    let key = busy.unwrap().document.log_files[0].s3_object.clone();
    trail.edit_content(&key, |_| b"{}".to_vec());
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let text = run(&mut mirror.command()).stdout;
    let (head, _) = text.split_once("Violations").unwrap();
    assert_eq!(head.matches("4 verified").count(), 5, "{head}");
    assert_eq!(head.matches("3 verified, 1 violated").count(), 1, "{head}");
    assert!(head.contains("23 of 24 chains verified: --verbose lists them"), "{head}");
    assert_eq!(head.matches("1 modified").count(), 1, "the chain with the finding is listed: {head}");
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    assert!(last.iter().any(|line| line.starts_with("VIOLATED  ")), "{text}");
    let whole = run(mirror.command().arg("--verbose")).stdout;
    assert_eq!(whole.lines().filter(|line| line.starts_with(" ✓  ")).count(), 23, "{whole}");
    assert!(whole.contains("exit code 1: violated, at least one violation counts"), "{whole}");
}

#[test]
fn names_can_not_speak_to_the_terminal() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
    let name = "AWSLogs/\u{1b}[2J\u{202e}gz.json";
    trail.forge_digest(&digest, &key, |document| document.log_files[0].s3_object = name.to_owned());
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let text = run(&mut mirror.command()).stdout;
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    assert!(text.contains("AWSLogs/\\u{1b}[2J\\u{202e}gz.json"), "{text}");
    // Machines get the name as it is.
    let lines = records(&mut mirror.command());
    assert!(lines.of("log_file").iter().any(|file| file["key"] == name));
}

#[test]
fn a_full_disk_is_an_error_that_says_so() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let standard = command("clean").args(["--format", "jsonl"]).stdout(full).output().unwrap();
    let said = String::from_utf8(standard.stderr).unwrap();
    assert!(standard.status.code() == Some(4) && said.contains("No space left"), "{said}");
    let report = run(command("clean").args(["--report", "jsonl=/dev/full"]));
    assert!(report.code == 4 && report.stderr.contains("/dev/full"), "{}", report.stderr);
}

#[test]
fn a_run_that_is_killed_leaves_the_old_report() {
    use std::time::Duration;

    let trail = ctverify_testkit::defects::small_trail();
    let options = ctverify_testkit::ServerOptions { latency: Duration::from_millis(300), ..Default::default() };
    let server = ctverify_testkit::Server::start(&trail, options);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.jsonl");
    std::fs::write(&report, "the old one").unwrap();
    let mut child = crate::support::ctverify_at(&server)
        .args(crate::support::range_of(&trail))
        .arg("--report")
        .arg(format!("jsonl={}", report.display()))
        .args(["--concurrency", "1"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read_to_string(&report).unwrap(), "the old one");
    let left_behind = || -> Vec<_> {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "partial")).collect()
    };
    // The next run removes the file that was begun, once it is too old to be still in use.
    for partial in left_behind() {
        let old = std::time::SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().write(true).open(partial).unwrap().set_modified(old).unwrap();
    }
    // The same run, when it completes, replaces the report.
    let quick = ctverify_testkit::Server::start(&trail, ctverify_testkit::ServerOptions::default());
    let whole = run(crate::support::ctverify_at(&quick)
        .args(crate::support::range_of(&trail))
        .arg("--report")
        .arg(format!("jsonl={}", report.display())));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    assert!(std::fs::read_to_string(&report).unwrap().contains("\"verified\""));
    assert_eq!(left_behind(), Vec::<std::path::PathBuf>::new());
}
