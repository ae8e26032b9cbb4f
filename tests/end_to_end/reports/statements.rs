//! Every sentence of a report follows from what the run did: filters, settings, keys, endpoints,
//! counts, and what the hashes are of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ctverify_testkit::{KeyAuthority, Layout, Server, ServerOptions, TrailSpec};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::bag::bags::sha256_of;
use crate::support::{Mirror, ctverify, ctverify_at, organization_spec, range_of, records, run, testdata};

/// The chain-of-custody report of a command, as JSON.
fn facts(command: &mut std::process::Command) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    command.arg("--report").arg(format!("custody={}", path.display()));
    run(command);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_filter_of_the_environment_is_in_the_record_and_in_the_scope_of_every_report() {
    let mirror = Mirror::new(&organization_spec().forge(), Layout::Keys, true);
    let command = || {
        let mut command = mirror.command();
        command
            .env("CTVERIFY_REGIONS", "eu-west-1")
            .env("CTVERIFY_ALLOW", "unlisted")
            .args(["--account-id", "111122223333"]);
        command
    };
    let run_record = records(&mut command()).of("run")[0].clone();
    assert_eq!(run_record["filters"], json!({"accounts": ["111122223333"], "regions": ["eu-west-1"]}));
    assert_eq!(run_record["allow"], json!(["unlisted"]));
    let setting = |name: &str| {
        let settings = run_record["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(setting("--regions"), json!({"name": "--regions", "value": "eu-west-1", "from": "CTVERIFY_REGIONS"}));
    assert_eq!(
        setting("--account-id"),
        json!({"name": "--account-id", "value": "111122223333", "from": "command line"})
    );
    let text = run(&mut command()).stdout;
    assert!(text.contains("filter  limited to account 111122223333 and region eu-west-1"), "{text}");
    let facts = facts(&mut command());
    let scope = facts["verdict"]["scope"].as_str().unwrap();
    assert!(scope.contains("limited to account 111122223333 and region eu-west-1"), "{scope}");
    assert!(scope.contains("Kept out of the verdict on request: unlisted"), "{scope}");
    // Without a filter, no report speaks of one.
    let text = run(&mut mirror.command()).stdout;
    assert!(!text.contains("filter"), "{text}");
    assert_eq!(records(&mut mirror.command()).of("run")[0]["filters"], json!({"accounts": null, "regions": null}));
}

#[test]
fn a_setting_of_a_configuration_file_names_the_file() {
    let mirror = Mirror::new(&TrailSpec { hours: 2, ..TrailSpec::default() }.forge(), Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ctverify.toml");
    let text = format!(
        "from = {:?}\nkeys = {:?}\nregions = [\"us-east-1\"]\n",
        mirror.dir().display().to_string(),
        mirror.keys().display().to_string()
    );
    std::fs::write(&config, text).unwrap();
    let found = records(ctverify().arg("--config").arg(&config).args(["--depth", "chain"]));
    let settings = found.of("run")[0]["settings"].as_array().unwrap().clone();
    let from = |name: &str| settings.iter().find(|setting| setting["name"] == name).unwrap()["from"].clone();
    assert_eq!(from("--regions"), json!(config.display().to_string()));
    assert_eq!(from("--depth"), "command line");
}

#[test]
fn the_source_of_keys_and_the_endpoint_are_those_that_were_asked() {
    let trail = TrailSpec { hours: 2, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let facts = facts(ctverify_at(&server).args(range_of(&trail)));
    let keys = facts["examination"]["keys"].as_str().unwrap();
    assert!(keys.contains(&server.url()) && keys.contains("without TLS"), "{keys}");
    let found = records(ctverify_at(&server).args(range_of(&trail)));
    let asked = found.of("run")[0];
    assert_eq!(
        asked["endpoints"]["CloudTrail"].as_str().unwrap().trim_end_matches('/'),
        server.url().trim_end_matches('/')
    );
    assert_eq!(asked["keys"], json!({"source": "ListPublicKeys", "path": null, "sha256": null, "regions": []}));
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let found = records(&mut mirror.command());
    let asked = found.of("run")[0];
    assert_eq!((&asked["endpoints"], &asked["keys"]["source"]), (&Value::Null, &json!("file")));
    let bytes = std::fs::read(mirror.keys()).unwrap();
    assert_eq!(asked["keys"]["sha256"], sha256_of(&bytes));
    assert_eq!(asked["keys"]["regions"], json!(["us-east-1"]));
}

#[test]
fn a_recompressed_file_is_not_called_equal_byte_for_byte() {
    let dir = testdata("log-recompressed");
    let command = || {
        let mut command = ctverify();
        command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json"));
        command
    };
    let facts = facts(&mut command()).to_string();
    assert!(!facts.contains("byte for byte") && facts.contains("have the content that"), "{facts}");
    let text = run(&mut command()).stdout;
    assert!(text.contains("have the content that CloudTrail delivered"), "{text}");
    // The hashes agree where bytes follow the content, and the report says where the difference is.
    let dir = testdata("log-trailing-bytes");
    let text = run(ctverify().arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json"))).stdout;
    assert!(text.contains("SHA-256 of the uncompressed content"), "{text}");
}

#[test]
fn digests_that_are_gone_in_a_row_are_counted_at_least() {
    let mut trail = TrailSpec { hours: 8, ..TrailSpec::default() }.forge();
    for hour in [3, 4, 5] {
        let key = trail.chains[0].digests[hour].key.clone();
        trail.remove(&key);
    }
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let found = records(&mut mirror.command());
    // The pointer names the last one alone.
    assert_eq!(found.count("digest", "missing"), 1);
    let text = run(&mut mirror.command()).stdout;
    assert!(text.contains("at least 3 digests missing") && text.contains("(at least 3 hourly digests)"), "{text}");
    let facts = facts(&mut mirror.command());
    let sentence = facts["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("at least 3 files missing"), "{sentence}");
}

#[test]
fn a_run_without_an_end_names_the_time_to_which_it_went() {
    let trail = TrailSpec { hours: 2, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let mut command = ctverify_at(&server);
    command.args(["--trail-arn", &trail.spec.arn(), "--start", &trail.chains[0].digests[0].document.digest_start_time]);
    let text = run(&mut command).stdout;
    assert!(!text.contains("the last digest"), "{text}");
    let found = records(&mut command);
    let asked = found.of("run")[0];
    assert_eq!(asked["end"], asked["started"]);
    // A copy ends where it was made.
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    assert_eq!(records(&mut mirror.command()).of("run")[0]["end"], Value::Null);
}

#[test]
fn what_the_depth_does_not_look_at_is_not_read_and_never_none() {
    let dir = testdata("clean");
    let text =
        run(ctverify().arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).args(["--depth", "chain"]))
            .stdout;
    let row = text.lines().find(|line| line.contains("111122223333")).unwrap();
    assert!(row.contains("not read") && !row.contains("none"), "{text}");
    assert!(text.contains("objects requested"), "{text}");
}

/// Lists every file below a folder with its content.
fn contents(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn verifying_a_bag_writes_nothing_into_it_unless_that_is_asked_for() {
    let trail = TrailSpec { hours: 2, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    assert_eq!(run(ctverify_at(&server).arg("collect").args(range_of(&trail)).arg("--output").arg(&bag)).code, 0);
    let before = contents(&bag);
    let command = || {
        let mut command = ctverify();
        command.arg("--from").arg(&bag).args(range_of(&trail));
        command
    };
    let said = facts(&mut command());
    assert!(said["method"].to_string().contains("Nothing was written to the place that was examined"), "{said}");
    assert_eq!(contents(&bag), before);
    let said = facts(command().arg("--log-custody"));
    assert!(said["method"].to_string().contains("A line on this verification was added"), "{said}");
    let changed: Vec<_> =
        contents(&bag).into_iter().filter(|file| !before.contains(file)).map(|(path, _)| path).collect();
    assert!(
        changed.iter().all(|path| path.file_name().unwrap().to_str().unwrap().starts_with("custody")),
        "{changed:?}"
    );
    // It is about bags.
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let refused = run(mirror.command().arg("--log-custody"));
    assert!(refused.code == 2 && refused.stderr.contains("custody log of a bag"), "{}", refused.stderr);
}

#[test]
fn nothing_is_overwritten_that_was_not_a_report() {
    let trail = TrailSpec { hours: 2, ..TrailSpec::default() }.forge();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let key = at("examiner");
    let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    std::fs::write(at("case.json"), "{}").unwrap();
    std::os::unix::fs::symlink(mirror.keys(), at("link")).unwrap();
    let (keys, inside) = (mirror.keys().display().to_string(), mirror.dir().join("report.html").display().to_string());
    let before = (contents(folder.path()), contents(mirror.dir().parent().unwrap()));
    let html = |path: &str| format!("html={path}");
    let cases: Vec<(Vec<String>, &str)> = vec![
        (vec!["--report".into(), html(&at("a")), "--report".into(), format!("csv={}", at("a"))], "both write to"),
        (vec!["--report".into(), html(&at("a")), "--state".into(), at("a")], "both write to"),
        (vec!["--report".into(), html(&keys)], "which --keys names"),
        (vec!["--report".into(), html(&at("link"))], "which --keys names"),
        (vec!["--state".into(), keys.clone()], "which --keys names"),
        (vec!["--report".into(), html(&key), "--sign-key".into(), key.clone()], "which --sign-key names"),
        (
            vec!["--report".into(), html(&at("case.json")), "--case-file".into(), at("case.json")],
            "which --case-file names",
        ),
        (vec!["--report".into(), html(&inside)], "into the folder of --from"),
        (vec!["--state".into(), mirror.dir().join("state").display().to_string()], "into the folder of --from"),
        (vec!["--report".into(), "jsonl=-".into()], "--format"),
        (
            vec![
                "--report".into(),
                html(&at("a")),
                "--report".into(),
                format!("csv={}.sig", at("a")),
                "--sign-key".into(),
                key.clone(),
            ],
            "both write to",
        ),
    ];
    for (arguments, expected) in cases {
        let refused = run(mirror.command().args(&arguments));
        assert!(
            refused.code == 2 && refused.stderr.contains(expected),
            "{arguments:?} {} {}",
            refused.code,
            refused.stderr
        );
    }
    assert_eq!((contents(folder.path()), contents(mirror.dir().parent().unwrap())), before);
    // Many reports may go to a device.
    let done = run(mirror.command().args(["--report", "html=/dev/null", "--report", "csv=/dev/null"]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let saved = at("records.jsonl");
    assert_eq!(run(mirror.command().args(["--report", &format!("jsonl={saved}")])).code, 0);
    let refused = run(ctverify().args(["report", &saved, "--report", &html(&saved)]));
    assert!(refused.code == 2 && refused.stderr.contains("the records"), "{}", refused.stderr);
}

#[test]
fn a_checkpoint_that_can_not_be_written_is_found_before_anything_is_read() {
    let trail = TrailSpec { hours: 2, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let refused = run(ctverify_at(&server).args(range_of(&trail)).args(["--state", "/nonexistent/folder/state"]));
    assert!(refused.code == 4 && refused.stderr.contains("--state"), "{} {}", refused.code, refused.stderr);
    assert_eq!((server.calls("GetTrail"), server.calls("ListObjectsV2")), (0, 0));
}

#[test]
fn a_changed_bag_stands_under_what_is_wrong_and_accuses_no_chain() {
    let trail = TrailSpec { hours: 2, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    assert_eq!(run(ctverify_at(&server).arg("collect").args(range_of(&trail)).arg("--output").arg(&bag)).code, 0);
    let command = || {
        let mut command = ctverify();
        command.arg("--from").arg(&bag).args(range_of(&trail));
        command
    };
    let whole = records(&mut command());
    let record = whole.of("bag")[0];
    assert_eq!(
        (&record["status"], &record["problems"], &record["custody_entries"]),
        (&json!("intact"), &json!([]), &json!(1))
    );
    assert_eq!(whole.records[1]["record"], "bag");
    std::fs::write(bag.join("data/extra"), "x").unwrap();
    std::fs::remove_file(bag.join("custody-head.txt")).unwrap();
    let found = records(&mut command());
    assert_eq!((found.code, found.verdict()), (1, "violated"));
    assert!(found.of("warning").is_empty(), "{}", found.stdout);
    let problems = found.of("bag")[0]["problems"].clone();
    assert_eq!(
        problems,
        json!([
            {"path": "data/extra", "problem": "is not in manifest-sha256.txt: it was added, or its line was removed"},
            {"path": "custody-head.txt", "problem": "is gone"},
        ])
    );
    let text = run(&mut command()).stdout;
    let (before, wrong) = text.split_once("Violations").unwrap();
    assert!(wrong.contains("altered bag") && wrong.contains("custody-head.txt: is gone"), "{text}");
    assert!(!text.contains("Warnings") && !before.contains('✗') && before.contains('✓'), "{text}");
    assert!(text.contains("2 problems of the evidence bag"), "{text}");
    let facts = facts(&mut command());
    assert_eq!(facts["findings"][0]["record"], "bag");
    assert!(facts["verdict"]["sentence"].as_str().unwrap().contains("The evidence bag that was examined"), "{facts}");
    let document: Value = serde_json::from_str(&run(command().args(["--format", "json"])).stdout).unwrap();
    assert_eq!(document["bag"]["status"], "altered");
    // Every report of findings has it, and the page spells it out.
    for kind in ["sarif", "ocsf", "asff", "junit", "csv", "html"] {
        let path = folder.path().join(kind);
        run(command().args(["--report", &format!("{kind}={}", path.display())]));
        let report = std::fs::read_to_string(path).unwrap();
        assert!(report.contains("altered"), "{kind}: {report}");
    }
}

/// Issue 16, point 1: every report tells an acknowledged finding apart from one that is open.
#[test]
fn every_report_says_what_is_acknowledged_and_what_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = TrailSpec { hours: 6, ..TrailSpec::default() }.forge();
    let mirror = Mirror::new(&made, Layout::Keys, true);
    let files: Vec<_> = made.chains[0].digests.iter().flat_map(|digest| &digest.document.log_files).collect();
    let [first, second] = [files[0], files[1]].map(|file| mirror.dir().join(&file.s3_object));
    let genuine = std::fs::read(&second).unwrap();
    [&first, &second].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let command = || {
        let mut command = mirror.command();
        command.arg("--state").arg(at("state"));
        command
    };
    let found = records(&mut command());
    assert_eq!(found.count("log_file", "deleted"), 2, "{}", found.stdout);
    let id = found.of("log_file").iter().find(|file| file["key"] == *files[0].s3_object).unwrap()["id"].clone();
    let mut ack = ctverify();
    ack.arg("ack").arg("--state").arg(at("state")).args([id.as_str().unwrap(), "--reason", "a <drill>", "--by", "Ada"]);
    assert_eq!(run(&mut ack).code, 0);
    std::fs::write(&second, genuine).unwrap();
    let kinds =
        ["jsonl", "json", "html", "custody", "csv", "sarif", "asff", "ocsf", "junit", "prometheus", "emf", "intoto"];
    let mut reported = command();
    for kind in kinds {
        reported.arg("--report").arg(format!("{kind}={}", at(kind).display()));
    }
    let text = run(&mut reported);
    assert_eq!(text.code, 0, "{}{}", text.stdout, text.stderr);
    for shown in [
        "Acknowledged, and kept out of the verdict\n  deleted log file",
        "acknowledged     by Ada at ",
        "Mended since an earlier run",
        "was              deleted, as the run of ",
        "VERIFIED  apart from 1 acknowledged finding, ",
        "1 mended.",
    ] {
        assert!(text.stdout.contains(shown), "{shown}: {}", text.stdout);
    }
    let read = |kind: &str| std::fs::read_to_string(at(kind)).unwrap();
    for (kind, shown) in [
        ("html", "Acknowledged findings"),
        ("html", "a &lt;drill&gt;"),
        ("html", "Mended since an earlier run"),
        ("html", "Apart from the acknowledged findings below, no file was found changed"),
        ("custody", "Apart from 1 finding that somebody has acknowledged, this holds: all "),
        ("csv", "by Ada at "),
        ("sarif", "\"status\":\"accepted\""),
        ("asff", "\"RecordState\":\"ARCHIVED\""),
        ("ocsf", "\"status\":\"Suppressed\""),
        ("junit", "<skipped"),
        ("prometheus", "ctverify_acknowledged_findings"),
        ("emf", "\"AcknowledgedFindings\":1"),
    ] {
        assert!(read(kind).contains(shown), "{kind}: {shown}: {}", read(kind));
    }
    // Saved records come to the same verdict.
    let again = run(ctverify().arg("report").arg(at("jsonl")));
    assert!(again.code == 0 && again.stdout.contains("apart from 1 acknowledged finding"), "{}", again.stderr);
}

/// Issue 16, point 3: the fingerprints of the keys that were used are in the record.
#[test]
fn the_keys_under_which_signatures_verified_are_named() {
    let keys = KeyAuthority { rotation: SignedDuration::from_hours(4) };
    let regions = vec!["us-east-1".to_owned(), "eu-west-1".to_owned()];
    let made = TrailSpec { hours: 9, regions, keys, ..TrailSpec::default() }.forge();
    let mut expected: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for chain in &made.chains {
        let used = chain.digests.iter().map(|digest| &*digest.document.digest_public_key_fingerprint);
        expected.entry(&chain.region).or_default().extend(used);
    }
    assert!(expected.len() == 2 && expected.values().any(|keys| keys.len() > 1), "{expected:?}");
    let mirror = Mirror::new(&made, Layout::Keys, true);
    let run = records(&mut mirror.command());
    assert_eq!(run.of("summary")[0]["public_keys"], json!(expected));
    let validity = run.of("summary")[0]["key_validity"].as_object().unwrap().clone();
    let fingerprints: BTreeSet<&str> = validity.keys().map(String::as_str).collect();
    assert_eq!(fingerprints, expected.values().flatten().copied().collect(), "{validity:?}");
    assert!(validity.values().all(|key| key["from"].as_str() < key["to"].as_str()), "{validity:?}");
    assert_eq!(facts(&mut mirror.command())["examination"]["public_keys"], json!(expected));
}

/// Issue 16, point 16: what was searched, and what is there instead.
#[test]
fn a_filter_or_prefix_that_finds_nothing_says_what_is_there() {
    let made = TrailSpec { hours: 3, prefix: "team-a".to_owned(), ..TrailSpec::default() }.forge();
    let server = Server::start(&made, ServerOptions::default());
    let plain = TrailSpec { hours: 3, ..TrailSpec::default() }.forge();
    let plain_server = Server::start(&plain, ServerOptions::default());
    let mirror = Mirror::new(&plain, Layout::Keys, true);
    let bucket = &*made.spec.bucket;
    let at = |server: &Server, words: &[&str]| {
        records(
            ctverify_at(server).args(["--bucket", bucket, "--start", "2026-03-01", "--end", "2026-03-02"]).args(words),
        )
    };
    let in_copy = |words: &[&str]| records(mirror.command().args(words));
    let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/other";
    let searched = format!("s3://{bucket}/AWSLogs/");
    for (run, expected) in [
        (
            at(&server, &[]),
            format!("nothing of any account is under {searched}; there is something under team-a/AWSLogs/"),
        ),
        (
            at(&plain_server, &["--prefix", "foo"]),
            format!(
                "nothing of any account is under s3://{bucket}/foo/AWSLogs/; there is something under AWSLogs/, without"
            ),
        ),
        (
            at(&plain_server, &["--regions", "us-eats-1"]),
            format!("no region us-eats-1 is under {searched}; there are: us-east-1"),
        ),
        (at(&plain_server, &["--account-id", "999999999999"]), "there are: 111122223333".to_owned()),
        (at(&plain_server, &["--trail-arn", arn]), "there are digests of: management-events".to_owned()),
        (in_copy(&["--regions", "us-eats-1"]), "there are: us-east-1".to_owned()),
        (in_copy(&["--organization-id", "o-abcdefghij"]), "no organization o-abcdefghij is under".to_owned()),
    ] {
        assert_eq!((run.code, run.verdict()), (3, "inconclusive"), "{}{}", run.stdout, run.stderr);
        let warnings: Vec<&Value> =
            run.of("warning").into_iter().filter(|one| one["code"] == "nothing_found").collect();
        assert_eq!(warnings.len(), 1, "{expected}: {}", run.stdout);
        assert!(warnings[0]["detail"].as_str().unwrap().contains(&expected), "{expected}: {}", warnings[0]);
    }
    let found = at(&plain_server, &["--regions", "us-east-1"]);
    assert!(found.count("digest", "valid") > 0 && !found.stdout.contains("nothing_found"), "{}", found.stdout);
}

/// Issue 16, point 17: what differs in nothing but the object is one item, with the command that helps.
#[test]
fn a_region_without_keys_is_one_item_with_the_command_that_gets_them() {
    let dir = testdata("sample-trail");
    let folder = tempfile::tempdir().unwrap();
    let (keys, html) = (folder.path().join("keys.json"), folder.path().join("report.html"));
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(dir.join("keys.json")).unwrap()).unwrap();
    std::fs::write(&keys, json!({ "us-east-1": whole["us-east-1"] }).to_string()).unwrap();
    let command = || {
        let mut command = ctverify();
        command.arg("--from").arg(&dir).arg("--keys").arg(&keys);
        command
    };
    let text = run(command().arg("--report").arg(format!("html={}", html.display()))).stdout;
    let page = std::fs::read_to_string(html).unwrap();
    assert_eq!(text.matches("  unverified digest  ").count(), 1, "{text}");
    assert_eq!(text.matches("  unverified log file  ").count(), 1, "{text}");
    assert!(text.contains("and 24 more of the same kind, the last one s3://"), "{text}");
    assert_eq!(text.matches("keys_unavailable").count(), 1, "{text}");
    assert!(text.contains("'aws cloudtrail list-public-keys --region eu-west-1 --start-time 2026-02-"), "{text}");
    assert_eq!(page.matches("<code>key_unknown</code>").count(), 1);
    assert!(page.contains("and 24 more of the same kind, "));
    let found = records(&mut command());
    assert_eq!((found.code, found.count("digest", "unverified")), (3, 25), "every record is there");
    // With --verbose, each is spelled out.
    let verbose = run(command().arg("--verbose")).stdout;
    assert_eq!(verbose.matches("  unverified digest  ").count(), 25, "{verbose}");
}
