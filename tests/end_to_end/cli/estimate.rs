//! `--estimate`: the amount that a run would read, reported before it reads anything.

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, TrailSpec};
use serde_json::Value;

use crate::support::{ctverify_at, run};

fn trail() -> ForgedTrail {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    TrailSpec { hours: 300, regions, log_files: 6, ..TrailSpec::default() }.forge()
}

const RANGE: [&str; 4] = ["--start", "2026-03-01T01:00:00Z", "--end", "2026-03-13T10:00:00Z"];

fn estimate(trail: &ForgedTrail, more: &[&str]) -> (Value, Server) {
    let server = Server::start(trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let told =
        run(ctverify_at(&server).args(["--trail-arn", &arn, "--estimate", "--format", "json"]).args(RANGE).args(more));
    assert_eq!(told.code, 0, "{}", told.stderr);
    (serde_json::from_str(&told.stdout).unwrap(), server)
}

fn near(guess: &Value, truth: usize) {
    let (guess, truth) = (guess.as_f64().unwrap(), truth as f64);
    assert!((guess - truth).abs() < truth * 0.35, "{guess} for {truth}");
}

#[test]
fn it_lists_and_reads_a_few_digests_alone() {
    let trail = trail();
    let (told, server) = estimate(&trail, &[]);
    // The digests next to the range are listed, too.
    let digests = told["digests"].as_u64().unwrap() as usize;
    assert!((590..=trail.digest_count()).contains(&digests), "{told}");
    near(&told["log_files"], trail.log_file_count());
    let stored = |folder: &str| {
        let files = trail.objects.iter().filter(|((_, key), _)| key.contains(folder));
        files.map(|(_, stored)| stored.body.len()).sum::<usize>()
    };
    near(&told["digest_bytes"], stored("/CloudTrail-Digest/"));
    near(&told["log_file_bytes"], stored("/CloudTrail/"));
    let read = server.calls("GetObject");
    assert!(read > 0 && read <= 64, "{read}");
    assert_eq!(told["spent"]["get"].as_u64(), Some(read));
    assert_eq!(told["requests"]["get"].as_u64(), Some(digests as u64 + told["log_files"].as_u64().unwrap()));
}

#[test]
fn depth_and_sample_make_it_cheaper() {
    let trail = trail();
    let (whole, _server) = estimate(&trail, &[]);
    let (chain, _server) = estimate(&trail, &["--depth", "chain"]);
    assert_eq!(chain["requests"]["get"], chain["digests"]);
    let (sample, _server) = estimate(&trail, &["--sample", "10"]);
    assert_eq!(sample["requests"]["get"].as_u64().unwrap(), sample["digests"].as_u64().unwrap() + 10);
    assert!(chain["request_dollars"].as_f64() < whole["request_dollars"].as_f64());
}

#[test]
fn prices_can_be_other_ones() {
    let trail = trail();
    let (told, _server) = estimate(&trail, &["--prices", "get=1000,list=0,gb=0"]);
    assert_eq!(told["request_dollars"].as_f64(), told["requests"]["get"].as_f64());
    assert_eq!(told["transfer_dollars"].as_f64(), Some(0.0));
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let wrong = |flags: &[&str]| run(ctverify_at(&server).args(["--trail-arn", &arn]).args(flags)).code;
    assert_eq!(wrong(&["--estimate", "--prices", "put=1"]), 2);
    assert_eq!(wrong(&["--estimate", "--prices", "get=-1"]), 2);
    assert_eq!(wrong(&["--prices", "get=1"]), 2);
}

#[test]
fn people_get_it_in_words() {
    let trail = trail();
    let server = Server::start(&trail, ServerOptions::default());
    let told = run(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--estimate"]).args(RANGE));
    for part in ["What this run would read", "of 2 chains", "log files  about", "S3 charges about $"] {
        assert!(told.stdout.contains(part), "{}", told.stdout);
    }
}
