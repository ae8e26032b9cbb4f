//! `verify-report` on records and envelopes, and reports of bags that rest on the bag's own keys.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctverify_testkit::{Server, ServerOptions, TrailSpec};
use serde_json::{Value, json};

use crate::reports::evidence::{key, verify_report};
use crate::support::{ctverify, ctverify_at, range_of, records, run, testdata};

fn verified(dir: &Path, reports: &[String], more: &[&str]) {
    let sample = testdata("clean");
    let mut command = ctverify();
    command.arg("--from").arg(&sample).arg("--keys").arg(sample.join("keys.json")).args(more).current_dir(dir);
    for report in reports {
        command.arg("--report").arg(report);
    }
    let verified = run(&mut command);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
}

#[test]
fn records_are_compared_with_other_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    verified(folder.path(), &["jsonl=one".to_owned()], &[]);
    verified(folder.path(), &["jsonl=other".to_owned()], &["--depth", "chain"]);
    std::fs::copy(path("one"), path("copy")).unwrap();
    // Without a signature the check stays open, whatever the records say.
    for (with, code, said) in [("copy", 3, "the same records"), ("other", 1, "other records than those")] {
        let checked = verify_report(&path("one"), &["--records".as_ref(), path(with).as_ref()]);
        assert!(checked.code == code && checked.stdout.contains(said), "{with} {} {}", checked.code, checked.stdout);
    }
}

#[test]
fn an_envelope_is_checked_with_the_key_that_signed_it() {
    let keys = tempfile::tempdir().unwrap();
    let stranger = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "ecdsa"] {
        let private = key(keys.path(), kind, "");
        let (public, foreign) = (private.with_extension("pub"), key(stranger.path(), kind, "").with_extension("pub"));
        let path = keys.path().join(format!("{kind}.intoto"));
        verified(keys.path(), &[format!("intoto={}", path.display())], &["--sign-key", private.to_str().unwrap()]);
        let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let check = |envelope: &Value, signer: Option<&Path>| {
            let changed = keys.path().join("changed.intoto");
            std::fs::write(&changed, envelope.to_string()).unwrap();
            let signer = signer.map_or_else(Vec::new, |signer| vec!["--signer".as_ref(), signer.as_os_str()]);
            let checked = verify_report(&changed, &signer);
            (checked.code, checked.stdout)
        };
        let (code, said) = check(&whole, Some(&public));
        assert!(code == 0 && said.contains("signed by"), "{kind} {said}");
        let (code, said) = check(&whole, None);
        assert!(code == 3 && said.contains("--signer checks that"), "{kind} {said}");
        assert_eq!(check(&whole, Some(&foreign)).0, 1, "{kind}");

        let mut statement: Value =
            serde_json::from_slice(&STANDARD.decode(whole["payload"].as_str().unwrap()).unwrap()).unwrap();
        statement["predicate"] = json!({ "verdict": "violated" });
        let mut payload = whole.clone();
        payload["payload"] = json!(STANDARD.encode(statement.to_string()));
        let mut kind_of = whole.clone();
        kind_of["payloadType"] = json!("text/plain");
        let mut signature = whole.clone();
        signature["signatures"][0]["sig"] = json!(STANDARD.encode([7; 64]));
        let mut unsigned = whole.clone();
        unsigned["signatures"] = json!([]);
        for (what, changed, code) in
            [("payload", payload, 1), ("type", kind_of, 1), ("signature", signature, 1), ("none", unsigned, 3)]
        {
            let (found, said) = check(&changed, Some(&public));
            assert_eq!(found, code, "{kind} {what} {said}");
        }
    }
}

#[test]
fn a_verdict_that_rests_on_the_keys_of_the_bag_says_so() {
    let trail = TrailSpec { hours: 5, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    let collected = run(ctverify_at(&server).arg("collect").args(range_of(&trail)).arg("--output").arg(&bag));
    assert_eq!(collected.code, 0, "{}", collected.stderr);
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, serde_json::to_vec(&trail.keys_by_region()).unwrap()).unwrap();
    let said = "keys that the bag itself holds";
    let with = |more: &[&std::ffi::OsStr]| {
        let page = folder.path().join("page.html");
        let mut command = ctverify_at(&server);
        command.arg("--from").arg(&bag).args(range_of(&trail)).args(more);
        let text = run(command.arg("--report").arg(format!("html={}", page.display())));
        let mut again = ctverify_at(&server);
        let machine = records(again.arg("--from").arg(&bag).args(range_of(&trail)).args(more));
        let summary = machine.of("summary")[0].clone();
        let page = std::fs::read_to_string(page).unwrap();
        assert_eq!(text.stdout.contains(said), page.contains(said), "{}", text.stdout);
        (text.code, text.stdout.contains(said), summary["keys_of_bag"] == true)
    };
    assert_eq!(with(&[]), (0, true, true));
    assert_eq!(with(&["--keys".as_ref(), keys.as_ref()]), (0, false, false));
    assert_eq!(with(&["--check-keys".as_ref()]), (0, false, false));
}
