//! Seeds: each object of `testdata/` as it is and what it is made of, and inputs of every form that
//! the targets read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctverify::verify::sha256;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

/// An input from which the fuzzer begins.
pub struct Seed {
    /// The name of the target.
    pub target: &'static str,
    /// The input.
    pub content: Vec<u8>,
}

/// The first record of saved records.
const RUN: &str = r#"{"record":"run","schema":"ctverify/2","version":"0.1.0","started":"2026-03-02T00:00:00Z","trail_arn":null,"start":null,"end":null,"source":"copy","depth":"content","sample":null,"grace_seconds":7200}"#;

/// Returns the seeds that are made of the folders in `testdata`.
pub fn seeds(testdata: &Path) -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, content: Vec<u8>| seeds.push(Seed { target, content });
    let mut chains: BTreeMap<PathBuf, Vec<Vec<u8>>> = BTreeMap::new();
    for path in files(testdata) {
        let content = fs::read(&path).unwrap();
        let inside = path.strip_prefix(testdata).unwrap();
        let key: PathBuf = inside.components().skip(1).collect();
        add("object_names", key.to_str().unwrap().as_bytes().to_vec());
        let name = path.file_name().unwrap().to_str().unwrap();
        match name {
            "keys.json" => {
                for region in serde_json::from_slice::<BTreeMap<String, Value>>(&content).unwrap().values() {
                    add("key_file", region.to_string().into_bytes());
                    for key in region["PublicKeyList"].as_array().unwrap() {
                        add("key_der", STANDARD.decode(key["Value"].as_str().unwrap()).unwrap());
                    }
                }
                add("key_file", content);
            }
            "expected.jsonl" => saved_records(&content).into_iter().for_each(|records| add("saved_records", records)),
            _ if name.ends_with(".metadata.json") => add("metadata_file", content),
            _ if name.ends_with(".json.gz") => {
                add("gzip", [&[0xff], &content[..content.len().min(4096)]].concat());
                let mut json = Vec::new();
                let is_digest = inside.to_str().unwrap().contains("CloudTrail-Digest");
                match MultiGzDecoder::new(&*content).read_to_end(&mut json) {
                    Ok(_) if is_digest => {
                        chains.entry(path.parent().unwrap().to_owned()).or_default().push(json.clone());
                        add("digest_json", json);
                    }
                    Ok(_) => add("events", json),
                    Err(_) => {}
                }
            }
            _ => {}
        }
    }
    for digests in chains.values() {
        add("planted_chain", digests[..digests.len().min(16)].join(&[0xff][..]));
    }
    checkpoints().iter().for_each(|checkpoint| add("checkpoint", checkpoint.to_string().into_bytes()));
    add("bag", bag());
    for content in [
        r#" { "x" : {} , "Records" : [ {"a":"\/\u00fc\ud800","n":1e400} , { } ] } "#,
        r#"[{"eventId":"e","accountId":"1","timeWindow":{"windowStart":"2026-03-01T00:00:00Z"},"eventCategory":"Aggregated"}]"#,
        r#"{"Records":[{"userIdentity":{"principalId":"A:alice","arn":"arn:aws:iam::1:user/a"},"resources":[{"ARN":"b"}],
            "requestParameters":{"list":["=b",{"c":null}]}}]}"#,
        r#"{"Records":[{"a":1}],"Records":[7]}"#,
    ] {
        add("events", content.as_bytes().to_vec());
    }
    for text in ["2026-03-01T00:00:00Z", "2026-03-01", "20260301T000000Z", "24h", "7d", "2026-03-01T01:02:03+02:00"] {
        add("time_argument", text.as_bytes().to_vec());
    }
    seeds
}

/// Returns all files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let nested = entries.into_iter().map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    nested.flatten().collect()
}

/// Returns saved records made of findings: without a summary, and with one of each verdict.
fn saved_records(findings: &[u8]) -> Vec<Vec<u8>> {
    let lines = std::str::from_utf8(findings).unwrap().lines();
    let records: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |kind: &str| records.iter().filter(|record| record["record"] == kind).count();
    let by_status = |kind: &str, words: &[&str]| {
        let of =
            |word: &str| records.iter().filter(|record| record["record"] == kind && record["status"] == word).count();
        words.iter().map(|word| ((*word).to_owned(), json!(of(word)))).collect::<serde_json::Map<_, _>>()
    };
    let begin = [RUN.as_bytes(), b"\n", findings].concat();
    let mut saved = vec![begin.clone()];
    for (verdict, exit_code) in [("violated", 1), ("verified", 0), ("inconclusive", 3)] {
        let summary = json!({
            "record": "summary", "verdict": verdict, "exit_code": exit_code, "depth": "content",
            "digests": by_status("digest", &["valid", "invalid", "missing", "unverified"]),
            "log_files": by_status(
                "log_file",
                &["intact", "modified", "deleted", "unverified", "unlisted", "uncovered"],
            ),
            "gaps": count("gap"), "warnings": count("warning"),
            "requests": {"get": 1, "list": 1, "other": 0}, "finished": "2026-03-02T00:00:01Z",
        });
        saved.push([&*begin, summary.to_string().as_bytes(), b"\n"].concat());
    }
    saved
}

/// Returns checkpoints with every kind of open point, of both versions.
fn checkpoints() -> Vec<Value> {
    let time = "2026-03-01T00:00:00Z";
    let (bucket, key) = ("logs", "AWSLogs/111122223333/CloudTrail-Digest/x.json.gz");
    let open = json!([
        {"open": "digest", "bucket": bucket, "key": key, "kind": "backfill", "end": time, "status": "missing",
         "is_named": true, "since": time},
        {"open": "log_file", "bucket": bucket, "key": key, "digest": "d", "sha256": "00".repeat(32), "since": time},
        {"open": "unlisted", "bucket": bucket, "key": key, "since": time},
        {"open": "gap", "cause": "digests_missing", "from": time, "to": time, "since": time},
        {"open": "checkpoint_contradicted", "bucket": bucket, "key": key, "sha256": "ff".repeat(32), "end": time,
         "since": time},
        {"open": "tail_cut", "since": time},
    ]);
    let through = json!({"bucket": bucket, "key": key, "sha256": "01".repeat(32), "signature": "abcd", "end": time});
    let chain = json!({
        "organization": "o-exampleorgid", "account": "111122223333", "region": "us-east-1", "trail": "trail",
        "home_region": "us-east-1", "begin": time, "through": through, "unlisted_from": time, "seen": time,
        "recent": ["0123456789abcdef"], "told": {"valid": 7}, "open": open,
    });
    let with = |value: &Value, changes: Value| {
        let mut value = value.clone();
        for (name, change) in changes.as_object().unwrap() {
            value[name] = change.clone();
        }
        value
    };
    let empty = with(
        &chain,
        json!({"organization": null, "begin": null, "through": null, "unlisted_from": null, "seen": null, "open": []}),
    );
    let whole = json!({
        "ctverify_checkpoint": 1, "trail_arn": "arn:aws:cloudtrail:us-east-1:111122223333:trail/trail",
        "source": "s3://logs", "depth": "content", "last_run": {"started": time, "verdict": "verified"},
        "chains": [chain],
    });
    let verified =
        json!({"bucket": bucket, "prefix": "", "kind": "standard", "first": time, "step": 3600, "count": 700});
    let newer = with(&chain, json!({"verified": [verified], "log_folders": ["CloudTrail-Insight"]}));
    vec![
        whole.clone(),
        with(&whole, json!({"trail_arn": null, "last_run": null, "chains": []})),
        with(&whole, json!({"chains": [chain, empty]})),
        with(&whole, json!({"ctverify_checkpoint": 2, "chains": [newer]})),
    ]
}

/// Returns the manifest, the custody log and its head of a bag, as the target reads them.
fn bag() -> Vec<u8> {
    let entry = r#"{"number":1,"time":"2026-03-01T00:00:00Z","action":"collect","by":"J. Doe","to":null,"reason":null,"host":null,"tool":"ctverify","result":null,"manifest_sha256":null,"previous_sha256":null}"#;
    let manifest = format!("{}  data/file\n", sha256(b"content"));
    let head = format!("1 {}\n", sha256(entry.as_bytes()));
    [manifest, format!("{entry}\n"), head].map(String::into_bytes).join(&[0xff][..])
}
