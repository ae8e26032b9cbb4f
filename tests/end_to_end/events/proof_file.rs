//! `ctverify event ID --output FILE.zip`: a proof that stands alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, defects, gunzip, gzip};
use serde_json::{Value, json};

use super::copy_of;
use crate::support::{Mirror, Run, ctverify, ctverify_at, has_jq, range_of, run};

/// A trail, an event of it, and a folder for proofs.
struct Bench {
    trail: ForgedTrail,
    /// The index of the digest that lists the event's log file.
    digest: usize,
    event: Value,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(trail: ForgedTrail, digest: usize) -> Self {
        let key = trail.chains[0].digests[digest].document.log_files[0].s3_object.clone();
        let content = gunzip(&trail.objects[&(trail.spec.bucket.clone(), key)].body).unwrap();
        let event = serde_json::from_slice::<Value>(&content).unwrap()["Records"][1].clone();
        Self { trail, digest, event, folder: tempfile::tempdir().unwrap() }
    }

    fn id(&self) -> &str {
        self.event["eventID"].as_str().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the proof of the event with this command, which names the source.
    fn write(&self, command: &mut Command, range: &[String], name: &str) -> PathBuf {
        let path = self.path(name);
        let written = run(command.args(["event", self.id(), "--output"]).arg(&path).args(range));
        assert_eq!(written.code, 0, "{}", written.stderr);
        assert!(written.stdout.starts_with("PROVEN"), "{}", written.stdout);
        path
    }

    /// Writes the proof from S3. Without the server, nothing but the file is left to prove the event.
    fn write_from_s3(&self) -> PathBuf {
        let server = Server::start(&self.trail, ServerOptions::default());
        self.write(&mut ctverify_at(&server), &range_of(&self.trail), "proof.zip")
    }

    fn prove(&self, from: &Path, arguments: &[&str]) -> Run {
        run(ctverify().args(["event", self.id(), "--from"]).arg(from).args(arguments))
    }

    fn unpack(&self, zip: &Path) -> PathBuf {
        let to = self.path("unpacked");
        let python = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
        assert!(Command::new("python3").args(["-c", python]).arg(zip).arg(&to).status().unwrap().success());
        to.join("event-proof")
    }
}

/// The names of the files below a folder, in order.
fn files_below(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir(root);
    names.sort();
    names
}

fn walkdir(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true => names.extend(walkdir(&path).into_iter().map(|inside| format!("{name}/{inside}"))),
            false => names.push(name),
        }
    }
    names
}

/// Runs the shell commands of the text in a proof of an event, which need nothing of this program.
fn check_by_hand(proof: &Path, id: &str) {
    let readme = std::fs::read_to_string(proof.join("README.txt")).unwrap();
    let (_, script) = readme.split_once("with openssl, jq and perl:\n\n").expect(&readme);
    let script: Vec<&str> = script.lines().take_while(|line| !line.is_empty()).collect();
    if !has_jq() {
        return;
    }
    let shell = Command::new("bash").args(["-ec", &script.join("\n")]).current_dir(proof).output().unwrap();
    let said = String::from_utf8_lossy(&shell.stdout).into_owned();
    assert!(shell.status.success(), "{said}{}\n{}", String::from_utf8_lossy(&shell.stderr), script.join("\n"));
    assert!(said.starts_with("Verified OK\nlisted\n") && said.contains(id), "{said}");
}

#[test]
fn a_proof_stands_alone() {
    let bench = Bench::new(defects::small_trail(), 3);
    let proof = bench.write_from_s3();
    let found = bench.prove(&proof, &["--format", "jsonl"]);
    let line: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((found.code, &line["event"], &line["proof"]["keys"]), (0, &bench.event, &json!("bag")));
    let text = bench.prove(&proof, &[]).stdout;
    assert!(text.contains("with a key that comes from the bag itself"), "{text}");
    // It has the objects that prove the event, and no other.
    let unpacked = bench.unpack(&proof);
    let digests = &bench.trail.chains[0].digests;
    let [before, digest, after] = [-1, 0, 1].map(|step| &digests[bench.digest.strict_add_signed(step)]);
    let with_metadata = |key: &str| [key.to_owned(), format!("{key}.metadata.json")];
    let mut expected = vec![digest.document.log_files[0].s3_object.clone()];
    expected.extend([before, digest, after].iter().flat_map(|digest| with_metadata(&digest.key)));
    expected.sort();
    let objects = unpacked.join("data/objects").join(&bench.trail.spec.bucket);
    assert_eq!(files_below(&objects), expected);
    for key in [&before.key, &digest.key, &after.key, &digest.document.log_files[0].s3_object] {
        let stored = &bench.trail.objects[&(bench.trail.spec.bucket.clone(), key.clone())].body;
        assert_eq!(std::fs::read(objects.join(key)).unwrap(), stored.to_vec(), "{key}");
    }
    let said: Value = serde_json::from_slice(&std::fs::read(unpacked.join("data/event.json")).unwrap()).unwrap();
    assert_eq!((&said["event"], &said["proof"]["digest"]), (&bench.event, &json!(digest.key)));
    check_by_hand(&unpacked, bench.id());
    // The other commands verify the log file of the event.
    let whole = run(ctverify().args(["--format", "json", "--from"]).arg(&proof));
    let report: Value = serde_json::from_str(&whole.stdout).unwrap();
    assert_eq!((whole.code, &report["summary"]["verdict"]), (0, &json!("verified")), "{}", whole.stdout);
    assert_eq!(report["log_files"].as_array().unwrap().len(), 1);
    assert_eq!(report["bag"]["status"], "intact", "{}", report["bag"]);
    let events = run(ctverify().args(["events", "--format", "raw", "--from"]).arg(&proof));
    assert!(events.code == 0 && events.stdout.contains(bench.id()), "{}", events.stderr);
}

/// A proof is made from a copy, from a bag and from a proof, with and without metadata, and of the first and
/// the last digest that are there, too.
#[test]
fn a_proof_is_made_of_every_source() {
    for (gone, has_metadata, beside) in [(0..0, true, 2), (0..0, false, 2), (0..3, true, 1), (4..usize::MAX, true, 1)] {
        let mut bench = Bench::new(defects::small_trail(), 3);
        let keys = bench.trail.chains[0].digests.iter().map(|digest| digest.key.clone());
        let gone: Vec<String> =
            keys.enumerate().filter(|(index, _)| gone.contains(index)).map(|(_, key)| key).collect();
        bench.trail.objects.retain(|(_, key), _| !gone.contains(key));
        let mirror = Mirror::new(&bench.trail, Layout::Buckets, has_metadata);
        let mut command = ctverify();
        command.env("CTVERIFY_FROM", mirror.dir()).env("CTVERIFY_KEYS", mirror.keys());
        let first = bench.write(&mut command, &[], "first.zip");
        let second = bench.write(ctverify().env("CTVERIFY_FROM", &first), &[], "second.zip");
        assert_eq!(bench.prove(&second, &[]).code, 0);
        let unpacked = bench.unpack(&second);
        let names = files_below(&unpacked.join("data/objects"));
        let digests = names.iter().filter(|name| name.contains("CloudTrail-Digest") && name.ends_with(".gz"));
        assert_eq!(digests.count(), 1 + beside, "{names:?}");
        check_by_hand(&unpacked, bench.id());
    }
}

#[test]
fn a_proof_that_was_altered_proves_nothing() {
    let bench = Bench::new(defects::small_trail(), 3);
    let proof = bench.unpack(&bench.write_from_s3());
    let objects = proof.join("data/objects").join(&bench.trail.spec.bucket);
    let digest = &bench.trail.chains[0].digests[bench.digest];
    let file = &digest.document.log_files[0].s3_object;
    let altered = |key: &str| {
        let content = gunzip(&std::fs::read(objects.join(key)).unwrap()).unwrap();
        gzip(String::from_utf8(content).unwrap().replace("us-east-1", "us-east-2").as_bytes())
    };
    for (key, content, says) in [
        (file, altered(file), "verdict on the logs: violated"),
        (&digest.key, altered(&digest.key), "verdict on the logs: violated"),
    ] {
        let path = objects.join(key);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, content).unwrap();
        let found = bench.prove(&proof, &[]);
        assert_eq!(found.code, 3, "{}", found.stdout);
        assert!(found.stdout.starts_with("NOT FOUND") && found.stdout.contains(says), "{}", found.stdout);
        std::fs::write(&path, before).unwrap();
    }
    // The proof does not need the text, and what was changed is told.
    std::fs::write(proof.join("README.txt"), "trust me").unwrap();
    let found = bench.prove(&proof, &[]);
    let says = "was altered, with 1 differences; the event is proven by the signature of its digest";
    assert!(found.code == 0 && found.stderr.contains(says), "{}", found.stderr);
}

#[test]
fn what_is_no_question_about_the_proof_is_refused() {
    let bench = Bench::new(defects::small_trail(), 3);
    let proof = bench.write_from_s3();
    let from = proof.to_str().unwrap();
    let given = bench.path("given.jsonl");
    std::fs::write(&given, bench.event.to_string()).unwrap();
    let output = bench.path("bag");
    let only = format!("is the proof of event {}, as its collect.json says, and of no other", bench.id());
    let is_proof = "holds the proof of one event";
    for (arguments, says) in [
        (vec!["event", "another", "--from", from], only.as_str()),
        (vec!["event", bench.id(), "--from", from, "--start", "2026-03-01"], is_proof),
        (vec!["event", "--from", from, "--match", given.to_str().unwrap()], "holds one log file"),
        (vec!["--from", from, "--regions", "us-east-1"], is_proof),
        (vec!["--from", from, "--depth", "chain"], is_proof),
        (vec!["collect", "--from", from, "--output", output.to_str().unwrap()], "is a bag already"),
        (vec!["event", bench.id(), "--from", from, "--output", from], "would overwrite"),
        (vec!["event", "--match", given.to_str().unwrap(), "--output", "x.zip"], "cannot be used with"),
    ] {
        let refused = run(ctverify().args(&arguments));
        assert!(refused.code == 2 && refused.stderr.contains(says), "{arguments:?}: {}", refused.stderr);
    }
    assert!(!output.exists());
    // A place that can't be written to is told before anything is read.
    let mirror = copy_of(&bench.trail);
    let mut command = ctverify();
    command.args(["event", "no-event", "--from"]).arg(mirror.dir()).arg("--keys").arg(mirror.keys());
    let refused = run(command.arg("--output").arg(bench.path("nowhere/proof.zip")));
    assert!(refused.code == 4 && refused.stderr.contains("can't be written"), "{}", refused.stderr);
    // Of an event that is not found, no file is written.
    let target = bench.path("none.zip");
    let mut command = ctverify();
    command.args(["event", "no-event", "--from"]).arg(mirror.dir()).arg("--keys").arg(mirror.keys());
    assert_eq!(run(command.arg("--output").arg(&target)).code, 3);
    assert!(!target.exists());
}

/// CloudTrail's hashes may stand in capitals, which the recipe takes as well.
#[test]
fn a_proof_with_a_hash_in_capitals_is_checked_by_hand() {
    let mut trail = defects::small_trail();
    let defect = defects::ALL.iter().find(|defect| defect.name == "upper-case-hash").unwrap();
    (defect.apply)(&mut trail);
    let bench = Bench::new(trail, 3);
    let proof = bench.unpack(&bench.write_from_s3());
    check_by_hand(&proof, bench.id());
}

/// A copy that somebody decompressed has metadata beside the names of its files.
#[test]
fn a_proof_from_a_decompressed_copy_is_checked_by_hand() {
    let bench = Bench::new(defects::small_trail(), 3);
    let mirror = Mirror::new(&bench.trail, Layout::Buckets, true);
    for name in files_below(&mirror.dir()) {
        let path = mirror.dir().join(&name);
        if let Some(stem) = name.strip_suffix(".gz") {
            std::fs::write(mirror.dir().join(stem), gunzip(&std::fs::read(&path).unwrap()).unwrap()).unwrap();
            std::fs::remove_file(&path).unwrap();
        }
    }
    let mut command = ctverify();
    command.env("CTVERIFY_FROM", mirror.dir()).env("CTVERIFY_KEYS", mirror.keys());
    let proof = bench.write(&mut command, &[], "proof.zip");
    let unpacked = bench.unpack(&proof);
    let readme = std::fs::read_to_string(unpacked.join("README.txt")).unwrap();
    if readme.contains("with openssl, jq and perl") {
        check_by_hand(&unpacked, bench.id());
    }
}

/// Found by an attack: a whole bag was made a proof of one event, whose other objects nobody looked at;
/// and a changed event.json passed.
#[test]
fn a_bag_is_no_proof_because_it_says_so() {
    let bench = Bench::new(defects::small_trail(), 3);
    let server = Server::start(&bench.trail, ServerOptions::default());
    let bag = bench.path("bag");
    let mut collect = ctverify_at(&server);
    collect.arg("collect").args(range_of(&bench.trail)).arg("--output").arg(&bag);
    assert_eq!(run(&mut collect).code, 0);
    let path = bag.join("collect.json");
    let mut source: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let key = &bench.trail.chains[0].digests[3].document.log_files[0].s3_object;
    source["event"] = json!({"event_id": bench.id(), "bucket": bench.trail.spec.bucket, "key": key});
    std::fs::write(&path, source.to_string()).unwrap();
    let refused = run(ctverify().arg("--from").arg(&bag));
    let says = "collect.json calls it the proof of one event, and it holds ";
    assert!(refused.code == 2 && refused.stderr.contains(says), "{}", refused.stderr);
    let proof = bench.unpack(&bench.write_from_s3());
    let stated = proof.join("data/event.json");
    let text = std::fs::read_to_string(&stated).unwrap();
    std::fs::write(&stated, text.replacen("us-east-1", "us-east-2", 1)).unwrap();
    let found = bench.prove(&proof, &[]);
    assert!(
        found.code == 0 && found.stderr.contains("event.json of the proof does not have this event"),
        "{}",
        found.stderr
    );
    for flag in [["--grace", "3h"], ["--organization-id", "o-abcdefghij"], ["--recorded-bucket", "another"]] {
        let refused = run(ctverify().arg("--from").arg(&proof).args(flag));
        assert!(refused.code == 2 && refused.stderr.contains(flag[0]), "{flag:?}: {}", refused.stderr);
    }
}
