//! Earlier versions, in a versioned bucket, of objects that are gone or changed.

use std::collections::BTreeMap;

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, Stored, defects, gzip};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Run, ctverify_at, range_of, records, run};

const BUCKET: &str = "example-trail-logs";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn junk(content: &[u8]) -> Stored {
    Stored { body: gzip(content).into(), metadata: BTreeMap::new(), last_modified: at("2026-03-05T00:00:00Z") }
}

fn log_file(trail: &ForgedTrail) -> String {
    trail.chains[0].digests[3].document.log_files[0].s3_object.clone()
}

fn verify(server: &Server, trail: &ForgedTrail) -> Run {
    records(ctverify_at(server).args(range_of(trail)))
}

fn record<'a>(run: &'a Run, kind: &str, key: &str) -> &'a Value {
    run.of(kind).into_iter().find(|record| record["key"] == key).unwrap()
}

#[test]
fn a_deleted_log_file_is_still_there_in_an_earlier_version() {
    let trail = defects::small_trail();
    let server = Server::start(&trail, ServerOptions::default());
    let key = log_file(&trail);
    server.delete(BUCKET, &key, at("2026-03-04T05:06:07Z"));
    let found = verify(&server, &trail);
    let written = trail.objects[&(BUCKET.to_owned(), key.clone())].last_modified;
    let file = record(&found, "log_file", &key);
    assert_eq!((found.code, &file["status"]), (1, &json!("deleted")));
    let expected = json!({
        "intact_version_id": "version-0",
        "intact_last_modified": written.to_string(),
        "deleted_at": "2026-03-04T05:06:07Z",
    });
    assert_eq!(file["versions"], expected);
    let text = run(ctverify_at(&server).args(range_of(&trail))).stdout;
    assert!(text.contains("deleted at       2026-03-04T05:06:07Z"), "{text}");
    assert!(text.contains("intact version   version-0, written"), "{text}");
}

#[test]
fn a_modified_log_file_is_traced_to_the_newest_version_that_is_intact() {
    let trail = defects::small_trail();
    let server = Server::start(&trail, ServerOptions { objects_a_page: Some(2), ..ServerOptions::default() });
    let key = log_file(&trail);
    // The file was written, copied over itself, and then replaced twice.
    let mut copy = trail.objects[&(BUCKET.to_owned(), key.clone())].clone();
    copy.last_modified = at("2026-03-02T00:00:00Z");
    server.put(BUCKET, &key, copy);
    server.put(BUCKET, &key, junk(b"{}"));
    server.put(BUCKET, &key, junk(b"{\"Records\":[]}"));
    let file = record(&verify(&server, &trail), "log_file", &key).clone();
    assert_eq!((&file["status"], &file["fault"]), (&json!("modified"), &json!("hash_mismatch")));
    let expected = json!({
        "intact_version_id": "version-1",
        "intact_last_modified": "2026-03-02T00:00:00Z",
        "deleted_at": null,
    });
    assert_eq!(file["versions"], expected);
}

#[test]
fn versions_that_are_all_changed_are_said_to_be_so() {
    let mut trail = defects::small_trail();
    let key = log_file(&trail);
    trail.replace(&key, gzip(b"{}"));
    let server = Server::start(&trail, ServerOptions::default());
    let unversioned = record(&verify(&server, &trail), "log_file", &key).clone();
    assert_eq!((&unversioned["status"], &unversioned["versions"]), (&json!("modified"), &json!(null)));
    server.put(BUCKET, &key, junk(b"[]"));
    let file = record(&verify(&server, &trail), "log_file", &key).clone();
    let none = json!({ "intact_version_id": null, "intact_last_modified": null, "deleted_at": null });
    assert_eq!(file["versions"], none);
}

#[test]
fn the_newest_earlier_version_of_a_digest_that_verifies_is_named() {
    let trail = defects::small_trail();
    let server = Server::start(&trail, ServerOptions::default());
    let (edited, deleted, newest) =
        (&trail.chains[0].digests[2], &trail.chains[0].digests[4], &trail.chains[0].digests[6]);
    server.put(BUCKET, &edited.key, junk(b"{}"));
    // The second version is a copy of an older digest: validly signed, and yet not this digest.
    let other = trail.objects[&(BUCKET.to_owned(), trail.chains[0].digests[1].key.clone())].clone();
    server.put(BUCKET, &deleted.key, other);
    server.delete(BUCKET, &deleted.key, at("2026-03-04T00:00:00Z"));
    server.put(BUCKET, &newest.key, junk(b"[]"));
    let run = verify(&server, &trail);
    for (digest, status, deleted_at) in [
        (edited, "invalid", json!(null)),
        (deleted, "missing", json!("2026-03-04T00:00:00Z")),
        (newest, "invalid", json!(null)),
    ] {
        let record = record(&run, "digest", &digest.key);
        assert_eq!(record["status"], status, "{record}");
        let expected = json!({
            "intact_version_id": "version-0",
            "intact_last_modified": digest.delivered().to_string(),
            "deleted_at": deleted_at,
        });
        assert_eq!(record["versions"], expected, "{record}");
    }
}

#[test]
fn a_digest_version_without_metadata_is_proven_by_its_successor() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[3].key.clone();
    trail.object_mut(&key).metadata.clear();
    let server = Server::start(&trail, ServerOptions::default());
    server.delete(BUCKET, &key, at("2026-03-04T00:00:00Z"));
    let run = verify(&server, &trail);
    let digest = record(&run, "digest", &key);
    assert_eq!(digest["versions"]["intact_version_id"], "version-0", "{digest}");
}

#[test]
fn who_may_not_see_versions_is_told_once() {
    for denied in ["ListObjectVersions", "GetObjectVersion"] {
        let trail = defects::small_trail();
        let denied_operations = [denied.to_owned()].into();
        let server = Server::start(&trail, ServerOptions { denied_operations, ..ServerOptions::default() });
        let files: Vec<String> =
            trail.chains[0].digests.iter().flat_map(|d| &d.document.log_files).map(|f| f.s3_object.clone()).collect();
        for key in &files {
            server.delete(BUCKET, key, at("2026-03-04T00:00:00Z"));
        }
        let run = verify(&server, &trail);
        assert_eq!((run.code, run.count("log_file", "deleted")), (1, files.len()), "{}", run.stdout);
        let warnings = run.of("warning");
        assert_eq!((warnings.len(), &warnings[0]["code"]), (1, &json!("versions_unavailable")), "{}", run.stdout);
        assert!(warnings[0]["detail"].as_str().unwrap().contains("s3:"), "{}", warnings[0]);
        // The versions that may be seen are reported for every file, however many are read at once.
        let told = run.of("log_file").into_iter().filter(|file| file["versions"]["deleted_at"].is_string()).count();
        assert_eq!(told, if denied == "GetObjectVersion" { files.len() } else { 0 });
    }
}

#[test]
fn an_untouched_trail_asks_for_no_versions() {
    let trail = defects::small_trail();
    let server = Server::start(&trail, ServerOptions::default());
    let run = verify(&server, &trail);
    assert_eq!((run.code, server.calls("ListObjectVersions")), (0, 0));
    assert_eq!(server.calls("GetBucketLifecycleConfiguration"), 0);
}
