//! Reports that are evidence: the chain-of-custody report in a real browser, signatures that
//! ssh-keygen verifies, statements that in-toto's own tools take, and reports made again from saved
//! records.

use std::path::{Path, PathBuf};
use std::process::Command;

use ctverify_testkit::{Server, ServerOptions, TrailSpec, defects};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Run, ctverify, ctverify_at, outside_agrees, range_of, run, testdata};

/// A trail with three defects, verified with every report.
struct Case {
    folder: TempDir,
    run: Run,
}

impl Case {
    fn new(more: &[&str]) -> Self {
        let mut trail = TrailSpec { hours: 30, busy_percent: 100, ..TrailSpec::default() }.forge();
        let digests = trail.chains[0].digests.clone();
        trail.edit_content(&digests[4].document.log_files[0].s3_object, |_| b"{}".to_vec());
        trail.remove(&digests[9].document.log_files[0].s3_object);
        trail.remove(&digests[20].key);
        let server = Server::start(&trail, ServerOptions::default());
        let folder = tempfile::tempdir().unwrap();
        let report = |kind: &str| format!("{kind}={}", folder.path().join(format!("report.{kind}")).display());
        let mut command = ctverify_at(&server);
        command
            .args(range_of(&trail))
            .args(["--case", "2026-117", "--exhibit", "E-4", "--examiner", "J. Doe"])
            .args(more);
        for kind in ["jsonl", "html", "custody", "intoto"] {
            command.arg("--report").arg(report(kind));
        }
        let run = run(&mut command);
        Self { folder, run }
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.path().join(format!("report.{kind}"))
    }

    fn json(&self, kind: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(kind)).unwrap()).unwrap()
    }
}

fn ssh_keygen(arguments: &[&str], dir: &Path) -> bool {
    let ran = Command::new("ssh-keygen").args(arguments).current_dir(dir).output();
    let output = ran.expect("ssh-keygen is there: Debian's openssh-client");
    output.status.success()
}

/// Makes a key pair and returns the path of the private key.
pub(crate) fn key(dir: &Path, kind: &str, passphrase: &str) -> PathBuf {
    let name = format!("id_{kind}{}", passphrase.len());
    assert!(ssh_keygen(&["-q", "-t", kind, "-N", passphrase, "-C", "doe@example.org", "-f", &name], dir));
    dir.join(name)
}

pub(crate) fn verify_report(report: &Path, more: &[&std::ffi::OsStr]) -> Run {
    run(ctverify().arg("verify-report").arg(report).args(more))
}

#[test]
fn the_report_says_who_what_when_where_and_how() {
    let case = Case::new(&["--note", "disk received on 3 March"]);
    assert_eq!(case.run.code, 1, "{}", case.run.stderr);
    let facts = case.json("custody");
    assert_eq!(facts["verdict"]["word"], "violated");
    assert!(
        facts["verdict"]["sentence"].as_str().unwrap().contains("1 file changed and at least 2 files missing"),
        "{facts:#}"
    );
    assert_eq!(
        facts["case"],
        json!({ "case": "2026-117", "exhibit": "E-4", "examiner": "J. Doe", "notes": ["disk received on 3 March"] })
    );
    let examination = &facts["examination"];
    assert_eq!(examination["identity"], "arn:aws:iam::111122223333:user/tester");
    assert!(examination["keys"].as_str().unwrap().contains("ListPublicKeys"));
    let ahead = examination["clock_ahead_ms"].as_i64().unwrap();
    assert!(ahead.abs() < 5_000, "{ahead}");
    assert!(examination["command"].as_array().unwrap().iter().any(|word| word == "--trail-arn"));
    assert!(examination["host"].is_string() && examination["build"].as_str().unwrap().contains("linux"));
    let hash = Command::new("sha256sum").arg(case.path("jsonl")).output().unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    assert_eq!(facts["records"]["sha256"].as_str().unwrap(), hash.split(' ').next().unwrap());
    assert!(
        facts["findings"].as_array().unwrap().len() >= 3 && !facts["does_not_prove"].as_array().unwrap().is_empty()
    );
}

#[test]
fn the_page_works_in_a_browser_and_on_paper() {
    let case = Case::new(&[]);
    let records = std::fs::read_to_string(case.path("jsonl")).unwrap();
    let files = records
        .lines()
        .filter(|line| line.contains("\"record\":\"digest\"") || line.contains("\"record\":\"log_file\""));
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let arguments = [
        case.path("html").into_os_string(),
        "VIOLATED".into(),
        files.count().to_string().into(),
        shots.into_os_string(),
    ];
    outside_agrees("page.py", &arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>());
}

/// The regions that every account has from the start.
const AWS_REGIONS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
];

/// Replaces the account and the region of a record.
fn moved_to(record: &Value, account: &str, region: &str) -> Value {
    let text = record.to_string().replace("111122223333", account);
    let text = text.replace("/us-east-1/", &format!("/{region}/")).replace("us-east-1_2026", &format!("{region}_2026"));
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["region"] = json!(region);
    record
}

/// Records of 300 accounts in 17 regions, with 66,300 files, of which some are modified or deleted.
fn records_of_an_organization() -> String {
    let mirror = crate::support::Mirror::new(
        &TrailSpec { hours: 11, busy_percent: 100, log_files: 1, ..TrailSpec::default() }.forge(),
        ctverify_testkit::Layout::Keys,
        true,
    );
    let found = crate::support::records(&mut mirror.command());
    let digests = found.of("digest");
    let files = found.of("log_file");
    assert!(digests.len() >= 11 && files.len() >= 2);
    let mut state = 1_u64;
    let mut random = || {
        // Steele, Lea and Flood, SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut lines = format!("{}\n", found.of("run")[0]);
    let (mut intact, mut modified, mut deleted) = (0, 0, 0);
    for account in 0..300_u64 {
        let account = (111_122_223_333 + account).to_string();
        for region in AWS_REGIONS {
            let mut hash = || (0..4).map(|_| format!("{:016x}", random())).collect::<String>();
            for digest in &digests[..11] {
                let mut digest = moved_to(digest, &account, region);
                digest["sha256"] = json!(hash());
                lines += &format!("{digest}\n");
            }
            for file in &files[..2] {
                let mut file = moved_to(file, &account, region);
                let key = file["key"].as_str().unwrap();
                file["key"] = json!(format!("{}{}.json.gz", &key[..key.len() - 24], &hash()[..16]));
                file["expected_sha256"] = json!(hash());
                file["actual_sha256"] = file["expected_sha256"].clone();
                match intact % 400 {
                    200 => {
                        (file["status"], file["fault"]) = (json!("modified"), json!("hash_mismatch"));
                        file["actual_sha256"] = json!(hash());
                        modified += 1;
                    }
                    300 => {
                        (file["status"], file["fault"], file["actual_sha256"]) =
                            (json!("deleted"), json!("not_found"), Value::Null);
                        deleted += 1;
                    }
                    _ => {}
                }
                intact += 1;
                lines += &format!("{file}\n");
            }
            lines += &format!("{}\n", moved_to(found.of("chain")[0], &account, region));
        }
    }
    let mut summary = found.of("summary")[0].clone();
    summary["digests"] = json!({ "valid": 56_100, "invalid": 0, "missing": 0, "unverified": 0 });
    let counts = json!({ "intact": intact - modified - deleted, "modified": modified, "deleted": deleted });
    summary["log_files"] = counts;
    (summary["verdict"], summary["exit_code"]) = (json!("violated"), json!(1));
    lines + &format!("{}\n{summary}\n", found.of("circumstances")[0])
}

/// Issue 17: with 5,100 chains and 66,300 files the page is small, opens fast, and shows findings first.
#[test]
fn the_page_of_an_organization_is_small_and_opens_fast() {
    let folder = tempfile::tempdir().unwrap();
    let (records, page) = (folder.path().join("records.jsonl"), folder.path().join("page.html"));
    std::fs::write(&records, records_of_an_organization()).unwrap();
    let made = run(ctverify().arg("report").arg(&records).arg("--report").arg(format!("html={}", page.display())));
    assert_eq!(made.code, 1, "{}", made.stderr);
    let size = std::fs::metadata(&page).unwrap().len();
    assert!(size <= 4_000_000, "{size}");
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots-organization");
    let arguments = [page.into_os_string(), "VIOLATED".into(), "66300".into(), shots.into_os_string()];
    outside_agrees("page.py", &arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>());
}

#[test]
fn script_in_a_name_does_not_run() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
    let old = digest.document.log_files[0].s3_object.clone();
    let evil = "_</script><script>window.pwned=1</script><img src=x \
        onerror=alert(1)>&quot;'\"@@NAMES@@@@HASHES@@{{ 7*7 }}\u{202e}_";
    let new = old.replace("_CloudTrail_", evil);
    trail.forge_digest(&digest, &key, |document| document.log_files[0].s3_object = new.clone());
    trail.remove(&old);
    let mirror = crate::support::Mirror::new(&trail, ctverify_testkit::Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let note = "<script>window.pwned=2</script>";
    let run = run(mirror
        .command()
        .arg("--report")
        .arg(format!("html={}", page.display()))
        .args(["--note", note, "--case", note]));
    assert_eq!(run.code, 1, "{}", run.stderr);
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(
        !text.contains("<script>window") && !text.contains("<img") && !text.contains('\u{202e}'),
        "the name is told, and does nothing"
    );
    assert!(text.contains("\\u{202e}") && text.contains("&lt;script&gt;"));
    let files = trail.digest_count() + trail.log_file_count();
    let shots = folder.path().join("shots");
    let arguments = [page.into_os_string(), "VIOLATED".into(), files.to_string().into(), shots.into_os_string()];
    outside_agrees("page.py", &arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>());
}

#[test]
fn a_hundred_thousand_files_do_not_freeze_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let small = testdata("clean");
    let records = folder.path().join("records.jsonl");
    let dir = run(ctverify()
        .arg("--from")
        .arg(&small)
        .arg("--keys")
        .arg(small.join("keys.json"))
        .args(["--format", "jsonl"]));
    let (mut lines, mut count) = (String::new(), 0_u64);
    for line in dir.stdout.lines() {
        let mut record: Value = serde_json::from_str(line).unwrap();
        match record["record"].as_str() {
            Some("log_file") if count == 0 => {
                for number in 0..100_000 {
                    record["actual_sha256"] = format!("{:064x}", 1_000_000 + number).into();
                    record["expected_sha256"] = record["actual_sha256"].clone();
                    record["key"] =
                        format!("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/{number:06}.json.gz").into();
                    lines += &format!("{record}\n");
                }
                count = 100_000;
            }
            Some("log_file") => {}
            Some("summary") => {
                record["log_files"]["intact"] = count.into();
                lines += &format!("{record}\n");
            }
            _ => lines += &format!("{line}\n"),
        }
    }
    std::fs::write(&records, lines).unwrap();
    let page = folder.path().join("page.html");
    let made = run(ctverify().arg("report").arg(&records).arg("--report").arg(format!("html={}", page.display())));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let digests = dir.of("digest").len() as u64;
    let shots = folder.path().join("shots");
    let arguments =
        [page.into_os_string(), "VERIFIED".into(), (count + digests).to_string().into(), shots.into_os_string()];
    outside_agrees("page.py", &arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>());
}

#[test]
fn a_signed_report_is_taken_by_ssh_keygen_and_one_that_was_changed_is_not() {
    let keys = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = key(keys.path(), kind, "");
        let public = key.with_extension("pub");
        // An RSA key signs no envelope; that is said before anything is done.
        let case = if kind == "rsa" { Case::new(&[]) } else { Case::new(&["--sign-key", key.to_str().unwrap()]) };
        if kind == "rsa" {
            let remade = keys.path().join("remade.html");
            let signed = run(ctverify()
                .arg("report")
                .arg(case.path("jsonl"))
                .arg("--sign-key")
                .arg(&key)
                .arg("--report")
                .arg(format!("html={}", remade.display())));
            assert_eq!(signed.code, 1, "{}", signed.stderr);
            std::fs::rename(&remade, case.path("html")).unwrap();
            std::fs::rename(keys.path().join("remade.html.sig"), case.path("html.sig")).unwrap();
        }
        let allowed = keys.path().join("allowed");
        std::fs::write(
            &allowed,
            format!("doe namespaces=\"git,ctverify\" {}", std::fs::read_to_string(&public).unwrap()),
        )
        .unwrap();
        let report = case.path("html");
        let keygen = |report: &Path| {
            let mut check = Command::new("ssh-keygen");
            check
                .args(["-Y", "verify", "-n", "ctverify", "-I", "doe"])
                .arg("-f")
                .arg(&allowed)
                .arg("-s")
                .arg(case.path("html.sig"));
            check.stdin(std::fs::File::open(report).unwrap()).output().unwrap().status.success()
        };
        assert!(keygen(&report), "{kind}");
        for signer in [&public, &allowed] {
            let good = verify_report(&report, &["--signer".as_ref(), signer.as_ref()]);
            assert_eq!(good.code, 0, "{kind} {} {}", good.stdout, good.stderr);
        }
        let unknown = verify_report(&report, &[]);
        assert!(unknown.code == 3 && unknown.stdout.contains("whose key that is"), "{}", unknown.stdout);
        let mut changed = std::fs::read(&report).unwrap();
        let at = changed.windows(8).position(|word| word == b"VIOLATED").unwrap();
        changed.splice(at..at + 8, *b"VERIFIED");
        std::fs::write(&report, changed).unwrap();
        assert!(!keygen(&report), "{kind}");
        let bad = verify_report(&report, &["--signer".as_ref(), public.as_ref()]);
        assert!(bad.code == 1 && bad.stdout.contains("was changed"), "{}", bad.stdout);
    }
}

#[test]
fn a_signed_report_of_any_kind_is_checked_by_its_signature() {
    let keys = tempfile::tempdir().unwrap();
    let key = key(keys.path(), "ed25519", "");
    let public = key.with_extension("pub");
    let dir = testdata("clean");
    for kind in ["text", "csv", "json", "sarif", "junit", "prometheus"] {
        let report = keys.path().join(kind);
        let mut command = ctverify();
        command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).arg("--sign-key").arg(&key);
        assert_eq!(run(command.arg("--report").arg(format!("{kind}={}", report.display()))).code, 0);
        let good = verify_report(&report, &["--signer".as_ref(), public.as_ref()]);
        assert_eq!(good.code, 0, "{kind} {} {}", good.stdout, good.stderr);
        std::fs::write(&report, "other").unwrap();
        assert_eq!(verify_report(&report, &["--signer".as_ref(), public.as_ref()]).code, 1, "{kind}");
    }
}

#[test]
fn a_key_with_a_passphrase_signs_and_a_wrong_one_is_told() {
    let keys = tempfile::tempdir().unwrap();
    let key = key(keys.path(), "ed25519", "correct horse");
    let dir = testdata("clean");
    let report = keys.path().join("report.html");
    std::fs::write(&report, "the old one").unwrap();
    let sign = |passphrase: Option<&str>| {
        let mut command = ctverify();
        command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).arg("--sign-key").arg(&key);
        command.arg("--report").arg(format!("html={}", report.display())).stdin(std::process::Stdio::null());
        passphrase.map(|passphrase| command.env("CTVERIFY_SIGN_PASSPHRASE", passphrase));
        run(&mut command)
    };
    for (passphrase, word) in [(Some("wrong"), "does not open"), (None, "CTVERIFY_SIGN_PASSPHRASE")] {
        let refused = sign(passphrase);
        assert!(refused.code == 2 && refused.stderr.contains(word), "{}", refused.stderr);
        assert_eq!(std::fs::read_to_string(&report).unwrap(), "the old one");
    }
    assert_eq!(sign(Some("correct horse")).code, 0);
    let public = key.with_extension("pub");
    assert_eq!(verify_report(&report, &["--signer".as_ref(), public.as_ref()]).code, 0);
}

/// Found by an attack: a signature by a key of an unsupported kind was reported as a changed
/// report.
#[test]
fn a_key_of_a_kind_that_is_not_supported_is_named() {
    let keys = tempfile::tempdir().unwrap();
    let private = keys.path().join("p521");
    assert!(ssh_keygen(&["-q", "-t", "ecdsa", "-b", "521", "-N", "", "-f", "p521"], keys.path()));
    let case = Case::new(&[]);
    let report = case.path("html");
    let mut command = ctverify();
    command.arg("report").arg(case.path("jsonl")).arg("--sign-key").arg(&private);
    let refused = run(command.arg("--report").arg(format!("csv={}", keys.path().join("csv").display())));
    assert!(refused.code == 2 && refused.stderr.contains("P-256 or P-384"), "{}", refused.stderr);
    let report_text = report.to_str().unwrap();
    assert!(ssh_keygen(&["-q", "-Y", "sign", "-n", "ctverify", "-f", "p521", report_text], keys.path()));
    let open = verify_report(&report, &[]);
    assert!(open.code == 2 && open.stderr.contains("ecdsa-sha2-nistp521"), "{} {}", open.stdout, open.stderr);
}

#[test]
fn a_statement_is_taken_by_in_totos_own_tools() {
    let keys = tempfile::tempdir().unwrap();
    let ssh = key(keys.path(), "ed25519", "");
    let p256 = key(keys.path(), "ecdsa", "");
    for key in [&ssh, &p256] {
        let case = Case::new(&["--sign-key", key.to_str().unwrap()]);
        let public = key.with_extension("pub");
        let id = Command::new("ssh-keygen").arg("-lf").arg(&public).output().unwrap();
        let id = String::from_utf8(id.stdout).unwrap().split(' ').nth(1).unwrap().to_owned();
        let arguments = [case.path("intoto").into_os_string(), public.into_os_string(), id.into()];
        let said = outside_agrees("statement.py", &arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        assert!(said.is_none_or(|said| said.contains("FAILED")));
    }
    // A PEM key signs statements, and nothing else.
    let pem = keys.path().join("key.pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&pem).output();
    assert!(made.expect("openssl is there").status.success());
    let dir = testdata("clean");
    let statement = keys.path().join("statement");
    let mut command = ctverify();
    command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).arg("--sign-key").arg(&pem);
    let html = run(command.arg("--report").arg(format!("html={}", keys.path().join("page").display())));
    assert!(html.code == 2 && html.stderr.contains("SSH key"), "{}", html.stderr);
    let mut command = ctverify();
    command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).arg("--sign-key").arg(&pem);
    let signed = run(command.arg("--report").arg(format!("intoto={}", statement.display())));
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    let public = keys.path().join("public.pem");
    assert!(
        Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(&pem)
            .arg("-out")
            .arg(&public)
            .status()
            .unwrap()
            .success()
    );
    let good = verify_report(&statement, &["--signer".as_ref(), public.as_ref()]);
    assert!(good.code == 0 && good.stdout.contains("public.pem"), "{} {}", good.stdout, good.stderr);
    let private = verify_report(&statement, &["--signer".as_ref(), pem.as_ref()]);
    assert!(private.code == 2 && private.stderr.contains("neither a public key"), "{}", private.stderr);
    let other = verify_report(&statement, &["--signer".as_ref(), p256.with_extension("pub").as_ref()]);
    assert_eq!(other.code, 1, "{}", other.stdout);
    let envelope: Value = serde_json::from_slice(&std::fs::read(&statement).unwrap()).unwrap();
    let id = envelope["signatures"][0]["keyid"].as_str().unwrap().to_owned();
    let arguments = [statement.into_os_string(), public.into_os_string(), id.into()];
    let said = outside_agrees("statement.py", &arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    assert!(said.is_none_or(|said| said.contains("PASSED")));
}

#[test]
fn reports_made_again_from_saved_records_are_the_same() {
    let case = Case::new(&[]);
    let again = tempfile::tempdir().unwrap();
    let mut command = ctverify();
    command.arg("report").arg(case.path("jsonl"));
    for kind in ["jsonl", "html", "custody", "intoto", "json", "text"] {
        command.arg("--report").arg(format!("{kind}={}", again.path().join(format!("report.{kind}")).display()));
    }
    assert_eq!(run(&mut command).code, 1);
    for kind in ["jsonl", "html", "custody", "intoto"] {
        let (one, other) = (
            std::fs::read(case.path(kind)).unwrap(),
            std::fs::read(again.path().join(format!("report.{kind}"))).unwrap(),
        );
        assert!(one == other, "{kind} differs");
        if kind != "jsonl" {
            let same = verify_report(&case.path(kind), &["--records".as_ref(), case.path("jsonl").as_ref()]);
            assert!(same.code == 3 && same.stdout.contains("says what the records"), "{}", same.stdout);
        }
    }
    // Another examiner's name, given later, is in the report, and the report still says what the
    // records say.
    let later = again.path().join("later.html");
    let mut command = ctverify();
    command.arg("report").arg(case.path("jsonl")).args(["--examiner", "R. Roe", "--note", "second opinion"]);
    assert_eq!(run(command.arg("--report").arg(format!("html={}", later.display()))).code, 1);
    assert!(std::fs::read_to_string(&later).unwrap().contains("R. Roe"));
    let same = verify_report(&later, &["--records".as_ref(), case.path("jsonl").as_ref()]);
    assert!(same.stdout.contains("says what the records"), "{}", same.stdout);
}

#[test]
fn records_that_were_changed_are_refused() {
    let case = Case::new(&[]);
    let records = std::fs::read_to_string(case.path("jsonl")).unwrap();
    let report = |text: &str| {
        let path = case.folder.path().join("changed.jsonl");
        std::fs::write(&path, text).unwrap();
        (run(ctverify().arg("report").arg(&path)), run(ctverify().arg("verify-report").arg(&path)))
    };
    // A line was taken out, one was softened, the end is missing, it is something else.
    let bad = records.lines().find(|line| line.contains("\"status\":\"modified\"")).unwrap();
    let without = records.replace(&format!("{bad}\n"), "");
    let softened = records.replace(bad, &bad.replace("\"modified\"", "\"intact\""));
    for (text, word) in [(without, "summary does not fit"), (softened, "summary does not fit")] {
        let (made, checked) = report(&text);
        assert!(made.code == 2 && made.stderr.contains(word), "{}", made.stderr);
        assert!(checked.code == 1 && checked.stdout.contains(word), "{}", checked.stdout);
    }
    for (old, new) in [
        ("\"verdict\":\"violated\",\"exit_code\":1", "\"verdict\":\"verified\",\"exit_code\":0"),
        ("\"exit_code\":1,", "\"exit_code\":77,"),
        ("\"exit_code\":1,", "\"exit_code\":130,"),
    ] {
        let (made, checked) = report(&records.replace(old, new));
        assert!(made.code == 2 && made.stderr.contains("no verdict that they can come to"), "{}", made.stderr);
        assert_eq!(checked.code, 1, "{}", checked.stdout);
    }
    let cut: String = records.lines().take(5).map(|line| format!("{line}\n")).collect();
    for (text, word) in [(cut.as_str(), "no summary"), ("", "no summary"), ("hello", "line 1"), ("{}", "line 1")] {
        let (made, checked) = report(text);
        assert!(made.code == 2 && made.stderr.contains(word), "{text} {}", made.stderr);
        assert_eq!(checked.code, 2, "{}", checked.stdout);
    }
}

#[test]
fn a_case_comes_from_a_file_too_and_a_broken_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.json");
    let dir = testdata("clean");
    let verify = || {
        let mut command = ctverify();
        command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).arg("--case-file").arg(&path);
        run(command.args(["--examiner", "R. Roe", "--format", "jsonl"]))
    };
    std::fs::write(&path, r#"{"case":"7","examiner":"J. Doe","notes":["a"]}"#).unwrap();
    let told = verify();
    let record = &told.of("circumstances")[0];
    assert_eq!(
        (&record["case"], &record["examiner"], &record["notes"]),
        (&json!("7"), &json!("R. Roe"), &json!(["a"]))
    );
    let mut command = ctverify();
    command.arg("--from").arg(&dir).arg("--keys").arg(dir.join("keys.json")).args(["--case-file", "/dev/zero"]);
    let endless = run(&mut command);
    assert!(endless.code == 2 && endless.stderr.contains("larger than"), "{}", endless.stderr);
    for wrong in ["[]", "{\"cases\":1}", "{"] {
        std::fs::write(&path, wrong).unwrap();
        let refused = verify();
        assert!(refused.code == 2 && refused.stderr.contains("case.json"), "{}", refused.stderr);
    }
}
