//! Notices of what a run found: `--notify`.

use std::process::Command;

use ctverify_testkit::{ACCESS_KEY, ForgedTrail, Layout, Received, SECRET_KEY, Server, ServerOptions, TrailSpec, gzip};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::support::{Mirror, Run, ctverify_at, range_of, run};

const SECRET: &str = "a secret that nobody else has";
const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:alerts";

fn trail() -> ForgedTrail {
    TrailSpec { hours: 10, ..TrailSpec::default() }.forge()
}

fn broken() -> ForgedTrail {
    let mut trail = trail();
    let file = trail.chains[0].digests[4].document.log_files[0].s3_object.clone();
    trail.replace(&file, gzip(b"{}"));
    trail
}

/// Verifies a copy and notifies `server` by a webhook.
fn verify(mirror: &Mirror, server: &Server, more: &[&str]) -> Run {
    let mut command = ctverify_at(server);
    command.arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys());
    command.args(["--notify", &format!("webhook:{}/hooks/me", server.url())]).env("CTVERIFY_WEBHOOK_SECRET", SECRET);
    run(command.args(more))
}

fn server(trail: &ForgedTrail, options: ServerOptions) -> Server {
    Server::start(trail, options)
}

/// Returns the content of a notice, after checking that it was signed with the secret.
fn signed(received: &Received) -> Value {
    let headers: HeaderMap = received
        .headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap()))
        .collect();
    // This is the library that receivers of webhooks use.
    Webhook::from_bytes(SECRET.into()).unwrap().verify(received.body.as_bytes(), &headers).unwrap();
    assert!(
        Webhook::from_bytes(b"another secret, as long as it".into())
            .unwrap()
            .verify(received.body.as_bytes(), &headers)
            .is_err()
    );
    serde_json::from_str(&received.body).unwrap()
}

#[test]
fn a_webhook_tells_what_is_new_and_is_signed() {
    let trail = broken();
    let server = server(&trail, ServerOptions::default());
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let said = verify(&mirror, &server, &[]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let received = server.received();
    assert_eq!((received.len(), &*received[0].path), (1, "/hooks/me"));
    // The URL of a webhook is a secret: no report contains it.
    let told = verify(&mirror, &server, &["--format", "jsonl"]);
    assert!(told.stdout.contains("webhook:…") && !told.stdout.contains("hooks/me"), "{}", told.stdout);
    let notice = signed(&received[0]);
    assert_eq!((&notice["verdict"], &notice["previous_verdict"]), (&"violated".into(), &Value::Null));
    assert_eq!((&notice["new"][0]["rule"], notice["new"].as_array().unwrap().len()), (&"hash_mismatch".into(), 1));
    assert_eq!(notice["summary"]["exit_code"], 1);
    // A run without findings sends no notice.
    let whole = Mirror::new(&self::trail(), Layout::Keys, true);
    assert_eq!(verify(&whole, &server, &[]).code, 0);
    assert_eq!(server.received().len(), 2);
}

#[test]
fn with_a_checkpoint_only_a_change_is_told() {
    let made = TrailSpec { hours: 30, ..TrailSpec::default() }.forge();
    let mut cut = made.clone();
    cut.remove(&made.chains[0].digests[4].key.clone());
    let server = server(&made, ServerOptions::default());
    let mirror = Mirror::new(&cut, Layout::Keys, true);
    let state = mirror.dir().with_file_name("state");
    let step = |digest: usize, on: &str| {
        let end = &made.chains[0].digests[digest].document.digest_end_time;
        verify(&mirror, &server, &["--end", end, "--state", state.to_str().unwrap(), "--notify-on", on]).code
    };
    assert_eq!((step(3, "change"), server.received().len()), (0, 0));
    assert_eq!((step(8, "change"), server.received().len()), (1, 1));
    // The gap is still there, and no second notice is sent.
    assert_eq!((step(9, "change"), server.received().len()), (1, 1));
    assert_eq!((step(10, "violation"), server.received().len()), (1, 2));
    let notice = signed(&server.received()[1]);
    assert_eq!((notice["new"].as_array().unwrap().len(), notice["known"].as_array().unwrap().len()), (0, 2));
    // The gap is closed: a notice of that is sent, too.
    made.write(&mirror.dir(), Layout::Keys, true).unwrap();
    assert_eq!((step(11, "change"), server.received().len()), (0, 3));
    assert_eq!(signed(&server.received()[2])["previous_verdict"], "violated");
}

#[test]
fn a_webhook_is_sent_again_until_it_is_taken() {
    let trail = broken();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let passing = server(&trail, ServerOptions { webhook_fails: Some((2, 503)), ..ServerOptions::default() });
    assert_eq!(verify(&mirror, &passing, &[]).code, 1);
    let received = passing.received();
    assert_eq!(received.len(), 3);
    // The ID stays the same, so that the receiver recognises a notice that is sent again.
    assert!(received.iter().all(|notice| notice.headers["webhook-id"] == received[0].headers["webhook-id"]));
    let refusing = server(&trail, ServerOptions { webhook_fails: Some((usize::MAX, 403)), ..ServerOptions::default() });
    let report = mirror.dir().with_file_name("report.json");
    let state = mirror.dir().with_file_name("state");
    let reports = format!("json={}", report.display());
    let refused = verify(&mirror, &refusing, &["--report", &reports, "--state", state.to_str().unwrap()]);
    assert_eq!((refused.code, refusing.received().len()), (4, 1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("403") && refused.stderr.contains("the reports that were asked for are written"),
        "{}",
        refused.stderr
    );
    // The notice was refused: the report is written, but no checkpoint, so the next run finds the
    // same again.
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["summary"]["verdict"], "violated");
    assert!(!state.exists());
}

#[test]
fn a_topic_is_told_in_its_own_region() {
    let trail = broken();
    let told = server(&trail, ServerOptions::default());
    let place = ["--trail-arn", &trail.spec.arn(), "--bucket", &trail.spec.bucket, "--end", "2026-03-01T09:00:00Z"];
    let notify = format!("sns:{TOPIC}");
    let said = run(ctverify_at(&told).args(place).args(["--notify", &notify]));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let received = told.received();
    assert_eq!((received.len(), &*received[0].path), (1, "sns eu-west-1"));
    let body = &received[0].body;
    assert!(body.contains("Subject=CloudTrail%20logs%20VIOLATED%20management-events"), "{body}");
    assert!(body.contains("hash_mismatch") && body.contains("verdict"), "{body}");
    let denied = ServerOptions { denied_actions: ["Publish".to_owned()].into(), ..ServerOptions::default() };
    let denied = server(&trail, denied);
    let said = run(ctverify_at(&denied).args(place).args(["--notify", &notify]));
    assert_eq!(said.code, 4);
    assert!(said.stderr.contains("sns:Publish") && said.stderr.contains(TOPIC), "{}", said.stderr);
}

#[test]
fn what_is_wrong_with_a_notice_is_told_before_any_work() {
    let trail = trail();
    let server = server(&trail, ServerOptions::default());
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let hook = format!("webhook:{}/hooks/me", server.url());
    let refused = |command: &mut Command, why: &str| {
        let said = run(command);
        assert_eq!((said.code, &*said.stdout), (2, ""), "{}", said.stderr);
        assert!(said.stderr.contains(why), "{}", said.stderr);
    };
    refused(mirror.command().args(["--notify", &hook]), "--webhook-secret-file");
    refused(mirror.command().args(["--notify", &hook]).env("CTVERIFY_WEBHOOK_SECRET", "short"), "24 is the least");
    refused(mirror.command().args(["--notify", "webhook:http://example.com/"]), "https://");
    let secret = run(mirror.command().args(["--notify", "webhook:http://example.com/secret"]));
    assert!(!secret.stderr.contains("secret"), "{}", secret.stderr);
    refused(mirror.command().args(["--notify", &hook, "--webhook-secret-file", "/nonexistent"]), "/nonexistent");
    refused(mirror.command().args(["--notify", &hook, "--webhook-secret-file", "/dev/null"]), "0 bytes");
}

/// Issue 19: secrets in the environment were inherited by every process that the AWS SDK starts.
#[test]
fn a_credential_process_does_not_inherit_secrets() {
    let trail = broken();
    let server = server(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let (seen, config) = (folder.path().join("seen"), folder.path().join("config"));
    let credentials = folder.path().join("credentials.json");
    let key = json!({ "Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY });
    std::fs::write(&credentials, key.to_string()).unwrap();
    let script = folder.path().join("process.sh");
    std::fs::write(&script, format!("env > {}\ncat {}\n", seen.display(), credentials.display())).unwrap();
    std::fs::write(&config, format!("[default]\ncredential_process = sh {}\n", script.display())).unwrap();
    let mut command = ctverify_at(&server);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_CONFIG_FILE", &config);
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("CTVERIFY_SIGN_PASSPHRASE", "correct horse");
    command.args(["--notify", &format!("webhook:{}/hooks/me", server.url())]).env("CTVERIFY_WEBHOOK_SECRET", SECRET);
    let run = run(command.args(range_of(&trail)));
    assert_eq!((run.code, server.received().len()), (1, 1), "{}{}", run.stdout, run.stderr);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains(SECRET) && !seen.contains("correct horse"), "{seen}");
}
