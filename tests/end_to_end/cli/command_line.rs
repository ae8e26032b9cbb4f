//! Errors in a command line or a place: each is reported clearly, with exit 2 or 4, and never as a
//! verdict.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ctverify_testkit::{Layout, Server, ServerOptions, TrailSpec, defects};

use crate::support::{Mirror, Run, ctverify, ctverify_at, range_of, run, testdata};

const ARN: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/management-events";

/// Asserts that nothing was judged: the exit code is `code`, standard error contains `words`, and
/// standard output has no verdict.
fn refused(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "'{word}' is not in: {}", run.stderr);
    }
    for verdict in ["VERIFIED", "VIOLATED", "INCONCLUSIVE", "verdict"] {
        assert!(!run.stdout.contains(verdict), "{}", run.stdout);
    }
}

fn local(arguments: &[&str]) -> Run {
    let dir = testdata("clean");
    run(ctverify().arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).args(arguments))
}

fn without_credentials(command: &mut Command) -> &mut Command {
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY")
}

#[test]
fn wrong_arguments_are_named() {
    refused(&run(&mut ctverify()), 2, &["--trail-arn", "--from"]);
    refused(&run(ctverify().args(["--trail-arn", "my-trail"])), 2, &["my-trail", "arn:aws:cloudtrail:"]);
    refused(&run(ctverify().args(["--trail-arn", ARN, "--start", "yesterday"])), 2, &["yesterday", "2026-03-01"]);
    refused(&run(ctverify().args(["--from", "somewhere"])), 2, &["--keys"]);
    refused(&local(&["--start", "2026-03-02", "--end", "2026-03-01"]), 2, &["ends before it begins", "--start"]);
    refused(&local(&["--start", "2100-01-01"]), 2, &["--start", "nothing was delivered yet"]);
    refused(&local(&["--account-id", "12"]), 2, &["'12'", "twelve digits"]);
    refused(&local(&["--regions", "Frankfurt"]), 2, &["Frankfurt", "eu-central-1"]);
    refused(&local(&["--report", "pdf=x"]), 2, &["pdf", "jsonl"]);
    refused(&local(&["--allow", "gap:nonsense"]), 2, &["nonsense", "logging_stopped"]);
    refused(&local(&["--allow", "modified"]), 2, &["modified"]);
    refused(&local(&["--bucket", "b"]), 2, &["--from", "--bucket"]);
    refused(&local(&["--concurrency", "0"]), 2, &["--concurrency"]);
}

#[test]
fn what_is_about_aws_is_refused_where_aws_is_not_asked() {
    for flag in [["--profile", "p"], ["--region", "us-east-1"], ["--endpoint-url", "http://127.0.0.1:1"]] {
        refused(&local(&flag), 2, &[flag[0], "--check-keys"]);
    }
}

#[test]
fn wrong_files_are_named() {
    let dir = testdata("clean");
    let keys = dir.join("keys.json");
    let from = |dir: &str, keys: &std::path::Path| run(ctverify().args(["--from", dir]).arg("--keys").arg(keys));
    let here = dir.to_str().unwrap();
    refused(&from("/nonexistent/copy", &keys), 2, &["/nonexistent/copy"]);
    refused(&from(here, "/nonexistent/keys.json".as_ref()), 2, &["/nonexistent/keys.json"]);
    refused(&from(here, &dir.join("about.txt")), 2, &["about.txt", "list-public-keys"]);
    let empty = tempfile::tempdir().unwrap();
    refused(&from(empty.path().to_str().unwrap(), &keys), 2, &["no copy", "CloudTrail-Digest"]);
}

#[test]
fn a_report_that_can_not_be_written_stops_the_run_before_it_begins() {
    refused(
        &local(&["--report", "jsonl=/nonexistent/folder/records.jsonl"]),
        4,
        &["/nonexistent/folder/records.jsonl"],
    );
    let folder = tempfile::tempdir().unwrap();
    refused(&local(&["--report", &format!("json={}", folder.path().display())]), 4, &["folder"]);
}

#[test]
fn no_credentials_and_wrong_ones_are_told() {
    let server = Server::start(&defects::small_trail(), ServerOptions::default());
    let none = run(without_credentials(&mut ctverify_at(&server)).args(["--trail-arn", ARN]));
    refused(&none, 4, &["credentials", "--profile"]);
    let none = run(without_credentials(&mut ctverify_at(&server)).args(["--bucket", "example-trail-logs"]));
    refused(&none, 4, &["credentials", "--profile"]);
    let wrong = run(ctverify_at(&server).env("AWS_ACCESS_KEY_ID", "AKIAWRONG").args(["--trail-arn", ARN]));
    refused(&wrong, 4, &["credentials"]);
    let wrong =
        run(ctverify_at(&server).env("AWS_SECRET_ACCESS_KEY", "wrong").args(["--bucket", "example-trail-logs"]));
    refused(&wrong, 4, &["credentials"]);
}

#[test]
fn a_trail_or_bucket_that_does_not_exist_is_told() {
    let server = Server::start(&defects::small_trail(), ServerOptions::default());
    let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/none-such";
    refused(&run(ctverify_at(&server).args(["--trail-arn", arn])), 4, &["none-such", "--bucket"]);
    refused(&run(ctverify_at(&server).args(["--bucket", "none-such"])), 4, &["no bucket none-such"]);
}

#[test]
fn a_denied_bucket_names_the_permission() {
    let trail = defects::small_trail();
    let options = ServerOptions { denied_prefixes: vec![String::new()], ..ServerOptions::default() };
    let server = Server::start(&trail, options);
    refused(&run(ctverify_at(&server).args(range_of(&trail))), 4, &["s3:ListBucket", "example-trail-logs"]);
}

#[test]
fn a_trail_that_nobody_may_describe_names_the_permission_and_the_way_round() {
    let trail = defects::small_trail();
    let denied = ["GetTrail", "DescribeTrails"].map(str::to_owned).into();
    let server = Server::start(&trail, ServerOptions { denied_actions: denied, ..ServerOptions::default() });
    refused(&run(ctverify_at(&server).args(range_of(&trail))), 4, &["cloudtrail:GetTrail", "--bucket"]);
}

#[test]
fn a_server_that_can_not_be_reached_is_no_verdict() {
    let trail = defects::small_trail();
    let url = Server::start(&trail, ServerOptions::default()).url();
    let mut command = ctverify();
    let run = run(command
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "AKIA")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .args(["--bucket", "example-trail-logs"]));
    refused(&run, 4, &["s3://example-trail-logs"]);
}

#[test]
fn help_and_version_are_there() {
    let help = run(ctverify().arg("--help"));
    assert_eq!(help.code, 0);
    for word in ["--trail-arn", "--from", "Exit codes", "3 inconclusive", "demo"] {
        assert!(help.stdout.contains(word), "{word}");
    }
    assert!(run(ctverify().arg("--version")).stdout.starts_with("ctverify 0."));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_inconclusive_and_ends_with_130() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;
    use std::time::Duration;

    let trail = defects::small_trail();
    // Slow enough that it can't end by itself before the signal comes.
    let options = ServerOptions { latency: Duration::from_millis(400), ..ServerOptions::default() };
    let server = Server::start(&trail, options);
    for signal in ["-INT", "-TERM"] {
        let mut child = ctverify_at(&server)
            .args(range_of(&trail))
            .args(["--format", "jsonl", "--concurrency", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(2500));
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let last: serde_json::Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!((&last["verdict"], &last["exit_code"]), (&"inconclusive".into(), &130.into()));
    }
}

#[test]
fn a_copy_is_verified_in_place_and_never_written_to() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let before = listing(&mirror.dir());
    assert_eq!(run(&mut mirror.command()).code, 0);
    assert_eq!(listing(&mirror.dir()), before);
}

fn listing(dir: &std::path::Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.push((path.clone(), path.metadata().unwrap().modified().unwrap()));
        if path.is_dir() {
            found.extend(listing(&path));
        }
    }
    found.sort();
    found
}

/// An address on which nothing listens.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("127.0.0.1:{}", listener.local_addr().unwrap().port())
}

/// A server that answers every request with a page, as a proxy does.
fn proxy() -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 65536]);
            let body = "<html>who are you?</html>";
            let _ = write!(
                stream,
                "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

/// Every kind of error of the AWS SDK is told in words, of CloudTrail and of S3.
#[test]
fn errors_of_the_sdk_are_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("config");
    std::fs::write(&broken, "[profile one\nregion = \"").unwrap();
    let (port, proxy) = (closed_port(), proxy());
    let keys = [("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST"), ("AWS_SECRET_ACCESS_KEY", "test/secret/key")];
    let arn = ["--trail-arn", "arn:aws:cloudtrail:us-east-1:111122223333:trail/my-trail", "--start", "2026-03-01"];
    let profile = |name: &str| vec![("AWS_PROFILE", name.to_owned())];
    let endpoint = |url: String| vec!["--endpoint-url".to_owned(), url];
    let nope = || vec!["--profile".to_owned(), "nope".to_owned()];
    let configured = vec![("AWS_CONFIG_FILE", broken.display().to_string())];
    // Each case: the fault, the arguments, the environment, and the words of the message. With an
    // endpoint, there are credentials.
    let cases = [
        ("no credentials", vec![], vec![], "no AWS credentials were found"),
        ("unknown profile", nope(), vec![], "there is no AWS profile 'nope'"),
        ("unknown profile", vec![], profile("nope"), "there is no AWS profile 'nope'"),
        ("broken configuration", vec![], configured, "credentials can't be loaded"),
        ("closed port", endpoint(format!("http://{port}")), vec![], "Connection refused"),
        ("no such host", endpoint("http://no-such-host.invalid".into()), vec![], "no-such-host.invalid could not be"),
        ("no TLS", endpoint(format!("https://{proxy}")), vec![], "could not be reached"),
        ("no scheme", endpoint("nowhere".into()), vec![], "at nowhere could not be reached"),
        ("not AWS", endpoint(format!("http://{proxy}")), vec![], "gave an answer with status 407"),
    ];
    for (what, arguments, environment, expected) in cases {
        for bucket in [&[][..], &["--bucket", "my-bucket"]] {
            let mut command = ctverify();
            command.args(arn).args(bucket).args(&arguments).envs(environment.iter().map(|(name, value)| (name, value)));
            if !arguments.is_empty() && arguments[0] == "--endpoint-url" {
                command.envs(keys);
            }
            let failed = run(&mut command);
            let text = &failed.stderr;
            assert!(failed.code == 4 && text.contains(expected), "{what} {bucket:?}: {} {text}", failed.code);
            // Neither the debug output of a type, nor an escaped line break, nor a dump of a request.
            for debris in ["{ ", "Failure(", "\\u{a}", "SdkBody", "extensions", "kind:"] {
                assert!(!text.contains(debris), "{what} {bucket:?}: {text}");
            }
            assert_eq!(text.trim_end().lines().count(), 1, "{what}: {text}");
        }
    }
    let config = folder.path().join("ctverify.toml");
    std::fs::write(&config, "keys = 3\n[[trail]\n").unwrap();
    let refused = run(ctverify().arg("--config").arg(&config));
    assert!(refused.code == 2 && refused.stderr.contains("line 2: "), "{}", refused.stderr);
    assert!(!refused.stderr.contains("\\u{a}"), "{}", refused.stderr);
}

/// Habits of other tools, and slips, get an answer that helps.
#[test]
fn slips_are_answered_with_what_to_write() {
    let dir = testdata("clean");
    let keys = dir.join("keys.json");
    let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/my-trail";
    let (from, keys) = (dir.to_str().unwrap(), keys.to_str().unwrap());
    let empty = tempfile::tempdir().unwrap();
    let no_keys = empty.path().join("keys.json");
    std::fs::write(&no_keys, "{\"PublicKeyList\": []}").unwrap();
    let nothing = empty.path().join("ctverify.toml");
    std::fs::write(&nothing, "depth = \"chain\"\n").unwrap();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec![arn, "--start", "7d"], "--trail-arn arn:aws:cloudtrail"),
        (vec!["validate-logs", "--trail-arn", arn], "belongs to the AWS CLI"),
        (vec!["--from", "s3://my-bucket/prefix", "--keys", keys], "--bucket NAME"),
        (vec!["--from", from, "--keys", keys, "--start", "-7d"], "write 7d"),
        (vec!["--from", from, "--keys", keys, "--sample", "-5"], "a number of log files"),
        (vec!["--from", from, "--keys", no_keys.to_str().unwrap()], "it holds no keys"),
        (vec!["config", "check", nothing.to_str().unwrap()], "names nothing to verify"),
    ];
    for (arguments, expected) in cases {
        let refused = run(ctverify().args(&arguments));
        assert!(
            refused.code == 2 && refused.stderr.contains(expected),
            "{arguments:?}: {} {}",
            refused.code,
            refused.stderr
        );
    }
}

#[test]
fn a_region_of_api_calls_is_said_to_limit_nothing() {
    let trail = defects::small_trail();
    let server = Server::start(&trail, ServerOptions::default());
    let noted = run(ctverify_at(&server).args(range_of(&trail)).args(["--region", "us-east-1"]));
    assert_eq!(noted.stderr.matches("limits nothing").count(), 1, "{}", noted.stderr);
    let limited =
        run(ctverify_at(&server).args(range_of(&trail)).args(["--region", "us-east-1", "--regions", "us-east-1"]));
    assert!(limited.code == 0 && !limited.stderr.contains("limits nothing"), "{}", limited.stderr);
}

fn sample() -> Vec<std::ffi::OsString> {
    let dir = testdata("sample-trail");
    vec!["--from".into(), dir.clone().into(), "--keys".into(), dir.join("keys.json").into()]
}

/// Issue 16, point 18: a reader such as `head` that closes standard output ends a run quietly.
#[test]
fn a_closed_standard_output_ends_the_run_without_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let report = format!("html={}", page.display());
    let closed_early = |words: &[&str]| {
        let mut command = ctverify();
        command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !words.contains(&"schema") {
            command.args(sample());
        }
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for words in [&["--verbose"][..], &["--format", "jsonl"], &["--format", "json"], &["schema"]] {
        assert_eq!(closed_early(words), (Some(4), String::new()), "{words:?}");
    }
    // Reports in files are written to their end, and the verdict is theirs.
    assert_eq!(closed_early(&["--verbose", "--report", &report]), (Some(0), String::new()));
    assert!(std::fs::read_to_string(page).unwrap().trim_end().ends_with("</html>"));
}

/// Issue 16, point 18.
#[test]
fn records_are_read_from_standard_input() {
    let saved = run(ctverify().args(sample()).args(["--format", "jsonl"])).stdout;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    std::fs::write(&file, &saved).unwrap();
    let of_file = run(ctverify().arg("report").arg(&file).args(["--format", "jsonl"]));
    let mut child = ctverify()
        .args(["report", "-", "--format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let given = saved.clone();
    let writer = std::thread::spawn(move || stdin.write_all(given.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap()), (Some(0), of_file.stdout));
}

/// Issue 16, point 18.
#[test]
fn shells_complete_the_values_of_flags() {
    let script = run(ctverify().args(["completions", "bash"])).stdout;
    for suggestion in
        ["\"chain presence content\"", "\"text= jsonl= json= ", "\"gap unlisted sample gap:logging_stopped "]
    {
        assert!(script.contains(&format!("compgen -W {suggestion}")), "{suggestion}");
    }
}

/// Issue 16, point 18.
#[test]
fn prices_without_an_estimate_are_refused() {
    let refused = run(ctverify().args(sample()).args(["--prices", "get=0.1"]));
    assert!(refused.code == 2 && refused.stderr.contains("--estimate"), "{}{}", refused.stdout, refused.stderr);
}

/// A file of the keys of every region, for runs that ask nothing of AWS.
#[test]
fn keys_are_written_for_runs_that_ask_nothing_of_aws() {
    let regions = vec!["us-east-1".to_owned(), "eu-west-1".to_owned()];
    let made = TrailSpec { hours: 6, regions, ..TrailSpec::default() }.forge();
    let denied_actions = ["ListPublicKeys:af-south-1".to_owned()].into_iter().collect();
    let server = Server::start(&made, ServerOptions { denied_actions, ..ServerOptions::default() });
    let mirror = Mirror::new(&made, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let keys = |name: &str, words: &[&str]| {
        let range = ["--start", "2026-02-01", "--end", "2026-03-10"];
        run(ctverify_at(&server).arg("keys").args(range).args(words).arg("--output").arg(at(name)))
    };
    let all = keys("all.json", &[]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    assert!(
        all.stdout.contains("of 33 regions") && all.stdout.contains("left out: the public keys of af-south-1"),
        "{}",
        all.stdout
    );
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(at("all.json")).unwrap()).unwrap();
    assert_eq!(written["eu-west-1"]["Asked"]["StartTime"], "2026-02-01T00:00:00Z");
    assert_eq!(written["eu-west-1"]["Asked"]["Endpoint"], server.url());
    let verified = run(ctverify().arg("--from").arg(mirror.dir()).arg("--keys").arg(at("all.json")));
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    let checked =
        run(ctverify_at(&server).arg("--from").arg(mirror.dir()).arg("--check-keys").arg("--keys").arg(at("all.json")));
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    // An existing file is not overwritten, and a region that was named has to answer.
    let before = std::fs::read(at("all.json")).unwrap();
    for (name, words, code, why) in [
        ("all.json", &[][..], 2, "is there already"),
        ("denied.json", &["--regions", "us-east-1,af-south-1"], 4, "the public keys of af-south-1"),
        ("order.json", &["--start", "2026-04-01"], 2, "is not before --end"),
        ("region.json", &["--regions", "nowhere"], 2, "nowhere"),
        ("no/such/folder.json", &["--regions", "us-east-1"], 4, "can't be written"),
    ] {
        let words: Vec<&str> = words.to_vec();
        let refused = if words.contains(&"--start") {
            let mut command = ctverify_at(&server);
            run(command.arg("keys").args(&words).args(["--end", "2026-03-10"]).arg("--output").arg(at(name)))
        } else {
            keys(name, &words)
        };
        assert!(refused.code == code && refused.stderr.contains(why), "{name}: {}{}", refused.stdout, refused.stderr);
        assert!(name == "all.json" || !at(name).exists(), "{name}");
    }
    assert_eq!(std::fs::read(at("all.json")).unwrap(), before);
}

/// Found by a trial: what a run must not do to folders, and what it must say in spite of --quiet.
#[test]
fn folders_of_others_are_left_alone_and_doubts_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let made = TrailSpec { hours: 6, ..TrailSpec::default() }.forge();
    let mirror = Mirror::new(&made, Layout::Keys, true);
    let inside = mirror.dir().join("AWSLogs/bag");
    let collected = run(ctverify()
        .arg("collect")
        .arg("--from")
        .arg(mirror.dir())
        .arg("--keys")
        .arg(mirror.keys())
        .arg("-o")
        .arg(&inside));
    refused(&collected, 2, &["--output", "is left as it is"]);
    assert!(!inside.exists());
    // A trail of the user's own is no demo.
    std::fs::copy(mirror.keys(), mirror.dir().join("keys.json")).unwrap();
    refused(&run(ctverify().arg("demo").arg(mirror.dir())), 2, &["is no demo"]);
    let quiet = run(mirror.command().args(["--quiet", "--regions", "us-east-1,us-eats-1"]));
    assert!(quiet.code == 0 && quiet.stdout.contains("no region us-eats-1"), "{}", quiet.stdout);
    // Keys under wrong fingerprints accuse nobody.
    let mut keys: serde_json::Value = serde_json::from_slice(&std::fs::read(mirror.keys()).unwrap()).unwrap();
    for key in keys["us-east-1"]["PublicKeyList"].as_array_mut().unwrap() {
        key["Fingerprint"] = "00000000000000000000000000000000".into();
    }
    let mixed = folder.path().join("mixed.json");
    std::fs::write(&mixed, keys.to_string()).unwrap();
    let mixed = run(ctverify().arg("--from").arg(mirror.dir()).arg("--keys").arg(mixed));
    assert!(mixed.code == 3 && mixed.stdout.contains("accuses nobody"), "{}", mixed.stdout);
}
