//! Names of every kind, and many chains at once.

use std::collections::BTreeMap;

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, TrailSpec, defects};
use serde_json::{Value, json};

use crate::support::{Mirror, Run, ctverify_at, records, verify_folder, verify_s3};

#[test]
fn trails_with_separators_in_their_names_are_told_apart() {
    let names = ["my_trail_us-east-1", "my_trail", "my.trail-us-east-1_x", "us-east-1_us-east-1"];
    let mut trail: Option<ForgedTrail> = None;
    for (seed, name) in names.iter().enumerate() {
        let made = TrailSpec { name: (*name).to_owned(), seed: seed as u64, ..TrailSpec::default() }.forge();
        match &mut trail {
            Some(trail) => trail.merge(made),
            None => trail = Some(made),
        }
    }
    let trail = trail.unwrap();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let all = records(&mut mirror.command());
    assert_eq!((all.code, all.of("chain").len()), (0, names.len()), "{}", all.stdout);
    for name in names {
        let arn = format!("arn:aws:cloudtrail:us-east-1:111122223333:trail/{name}");
        let run = records(mirror.command().args(["--trail-arn", &arn]));
        assert_eq!((run.code, run.of("digest").len()), (0, 7), "{name}");
        assert!(run.of("digest").iter().all(|digest| digest["trail"] == name));
    }
}

#[test]
fn every_partition_is_verified() {
    for (partition, region) in
        [("aws-cn", "cn-northwest-1"), ("aws-us-gov", "us-gov-west-1"), ("aws", "ap-southeast-4")]
    {
        let spec =
            TrailSpec { home_region: region.to_owned(), regions: vec![region.to_owned()], ..TrailSpec::default() };
        let trail = spec.forge();
        let arn = trail.spec.arn().replacen("arn:aws:", &format!("arn:{partition}:"), 1);
        let run = records(Mirror::new(&trail, Layout::Keys, true).command().args(["--trail-arn", &arn]));
        assert_eq!((run.code, run.count("digest", "valid")), (0, 7), "{partition} {}", run.stdout);
    }
}

/// A trail whose newest digest lists its first log file under another name, and has it there.
fn renamed(name: &str) -> (ForgedTrail, String) {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
    let old = digest.document.log_files[0].s3_object.clone();
    let new = old.replace("_CloudTrail_", name);
    trail.forge_digest(&digest, &key, |document| document.log_files[0].s3_object = new.clone());
    let stored = trail.remove(&old);
    trail.objects.insert((trail.spec.bucket.clone(), new.clone()), stored);
    (trail, new)
}

#[test]
fn keys_with_odd_characters_are_read_and_told_exactly() {
    for name in
        [" a b ", "+", "%20", "%2F", "&=?#", "ключ-鍵-é", "'\"`$(x)", "\u{7f}\u{1}", "..a..", "=cmd|' /C calc'!A0"]
    {
        let (trail, key) = renamed(name);
        for run in [verify_folder(&trail), verify_s3(&trail)] {
            assert_eq!(
                (run.code, run.count("log_file", "intact")),
                (0, trail.log_file_count()),
                "{name:?} {}",
                run.stdout
            );
            assert!(run.of("log_file").iter().any(|file| file["key"] == key), "{name:?}");
        }
    }
}

#[test]
fn names_are_harmless_in_a_spreadsheet_and_told_exactly() {
    let (trail, key) = renamed("=cmd|' /C calc'!A0,\"\n");
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table.csv");
    let run = records(mirror.command().arg("--report").arg(format!("csv={}", table.display())));
    assert_eq!(run.code, 0, "{}", run.stderr);
    // The table is read by an independent implementation.
    let script = "import csv, json, sys; print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline='')))))";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(&table).output().unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows.iter().any(|row| row["key"] == key), "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| row["record"] == "log_file").count(), trail.log_file_count());
    let cells = rows.iter().flat_map(|row| row.as_object().unwrap().values());
    assert!(cells.filter_map(Value::as_str).all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
}

#[test]
fn names_that_differ_by_case_or_unicode_form_alone_are_different_names() {
    for (listed, there) in [("_case_", "_CASE_"), ("_\u{e9}_", "_e\u{301}_")] {
        let (mut trail, key) = renamed(listed);
        let stored = trail.remove(&key);
        trail.objects.insert((trail.spec.bucket.clone(), key.replace(listed, there)), stored);
        let run = verify_s3(&trail);
        assert_eq!((run.code, run.count("log_file", "deleted")), (1, 1), "{listed}");
    }
}

#[test]
fn fields_that_aws_may_add_and_escapes_that_it_uses_are_no_fault() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
    // The same digest as text: slashes escaped, as a real one was seen, and a field of the future.
    let text = String::from_utf8(digest.document.to_json()).unwrap().replace('/', "\\/");
    let text = text.replacen('{', "{\"digestColour\":[1,{\"a\":null}],", 1);
    let stored = trail.object_mut(&digest.key);
    stored.body = ctverify_testkit::gzip(text.as_bytes()).into();
    let signature = digest.document.sign_text(&key, text.as_bytes());
    stored.metadata.insert("signature".to_owned(), signature);
    for run in [verify_folder(&trail), verify_s3(&trail)] {
        assert_eq!((run.code, run.count("digest", "valid")), (0, trail.digest_count()), "{}", run.stdout);
    }
}

/// Returns the findings of one chain.
fn of_chain(run: &Run, account: &str, region: &str) -> Vec<Value> {
    let mine = |record: &&Value| record["account"] == account && record["region"] == region;
    run.findings().iter().filter(mine).cloned().collect()
}

#[test]
fn each_of_many_chains_is_judged_as_if_it_had_been_alone() {
    let accounts: Vec<String> = (0..50).map(|number| format!("{:012}", 111_122_223_333_u64 + number)).collect();
    let regions = ["us-east-1", "eu-west-1", "ap-northeast-1", "us-west-2"].map(str::to_owned).to_vec();
    let spec = TrailSpec {
        organization: Some("o-exampleorgid".to_owned()),
        accounts: accounts.clone(),
        regions: regions.clone(),
        hours: 4,
        log_files: 1,
        events: 1,
        busy_percent: 100,
        ..TrailSpec::default()
    };
    let mut trail = spec.forge();
    // One chain is broken in each way.
    let chains = trail.chains.clone();
    let broken: BTreeMap<usize, &str> = BTreeMap::from([
        (3, "log deleted"),
        (40, "log modified"),
        (77, "digest deleted"),
        (120, "digest edited"),
        (199, "denied"),
    ]);
    let log_file = |chain: usize| chains[chain].digests[2].document.log_files[0].s3_object.clone();
    trail.remove(&log_file(3));
    trail.replace(&log_file(40), &b"x"[..]);
    trail.remove(&chains[77].digests[2].key);
    trail.edit_digest(&chains[120].digests[2], |document| document.log_files.clear());
    let options = ServerOptions { denied_keys: [log_file(199)].into(), ..ServerOptions::default() };
    let server = Server::start(&trail, options);
    let range = ["--start", "2026-03-01T00:00:00Z", "--end", "2026-03-01T04:00:00Z"];
    let together = records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn()]).args(range));
    assert_eq!((together.code, together.of("chain").len()), (1, 200), "{}", together.stderr);
    for (index, how) in &broken {
        let (account, region) = (&chains[*index].account, &chains[*index].region);
        let narrow = ["--trail-arn", &trail.spec.arn(), "--account-id", account, "--regions", region];
        let alone = records(ctverify_at(&server).args(narrow).args(range));
        let found = of_chain(&together, account, region);
        assert_eq!(found, of_chain(&alone, account, region), "{how}");
        let bad = |record: &&Value| !matches!(record["status"].as_str(), Some("valid" | "intact") | None);
        assert!(found.iter().any(|record| bad(&record)), "{how}");
    }
    let good =
        together.records.iter().filter(|record| record["status"] == "valid" || record["status"] == "intact").count();
    assert_eq!(json!(good), {
        let summary = &together.of("summary")[0];
        json!(summary["digests"]["valid"].as_u64().unwrap() + summary["log_files"]["intact"].as_u64().unwrap())
    });
    let objects = together.records.iter().filter(|r| r["record"] == "digest" || r["record"] == "log_file");
    // The log files of the deleted digest are named, too.
    let bad = objects.filter(|record| record["status"] != "uncovered").count() - good;
    assert_eq!((bad, together.count("log_file", "uncovered") > 0), (broken.len(), true));
}
