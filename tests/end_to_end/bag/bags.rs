//! Evidence bags: collected from S3, checked by others, moved, tampered with, handed over.

use std::path::{Path, PathBuf};
use std::process::Command;

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, TrailSpec};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Mirror, Run, ctverify, ctverify_at, outside, outside_agrees, range_of, records, run};

/// A trail of two regions with a modified, a deleted and an unlisted log file and a deleted digest.
fn damaged() -> ForgedTrail {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    let mut trail = TrailSpec { hours: 12, regions, busy_percent: 100, ..TrailSpec::default() }.forge();
    let digests = trail.chains[1].digests.clone();
    let (changed, removed) = (&digests[3].document.log_files[0].s3_object, &digests[6].document.log_files[0].s3_object);
    let planted = digests[8].document.log_files[0].s3_object.replace(".json.gz", "0.json.gz");
    let stored = trail.object_mut(changed).clone();
    trail.objects.insert((trail.spec.bucket.clone(), planted), stored);
    trail.edit_content(changed, |_| b"{}".to_vec());
    trail.remove(removed);
    trail.remove(&trail.chains[0].digests[5].key.clone());
    trail
}

struct Bench {
    trail: ForgedTrail,
    server: Server,
    folder: TempDir,
}

impl Bench {
    fn new(trail: ForgedTrail) -> Self {
        let server = Server::start(&trail, ServerOptions::default());
        Self { trail, server, folder: tempfile::tempdir().unwrap() }
    }

    fn bag(&self) -> PathBuf {
        self.folder.path().join("bag")
    }

    fn collect(&self, more: &[&str]) -> Run {
        let mut command = ctverify_at(&self.server);
        command.arg("collect").args(range_of(&self.trail)).arg("--output").arg(self.bag()).args(more);
        records(&mut command)
    }

    /// Verifies the bag, without any network, in the range in which it was collected.
    fn verify(&self, bag: &Path) -> Run {
        let range = range_of(&self.trail);
        records(ctverify().arg("--from").arg(bag).args(&range))
    }

    /// Verifies the bag, and adds a line on that to its custody log.
    fn verify_logged(&self) -> Run {
        records(ctverify().arg("--from").arg(self.bag()).args(range_of(&self.trail)).arg("--log-custody"))
    }
}

/// Returns the records about the trail, without their texts, which mention S3 in one run and a copy
/// in the other.
fn findings(run: &Run) -> Vec<Value> {
    let mut found = run.findings();
    found.iter_mut().for_each(|record| record["detail"] = Value::Null);
    found
}

/// Returns whether the run says that the bag was changed.
pub(crate) fn is_altered(run: &Run) -> bool {
    run.of("bag").iter().any(|bag| bag["status"] == "altered")
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn is_valid_bag(bag: &Path) -> bool {
    let sums =
        Command::new("sha256sum").args(["-c", "--quiet", "manifest-sha256.txt"]).current_dir(bag).output().unwrap();
    let theirs = outside("bag.py", &[bag.as_os_str()]);
    let agree = theirs.is_none_or(|theirs| theirs.status.success() == sums.status.success());
    assert!(agree, "sha256sum and bagit disagree");
    sums.status.success()
}

#[test]
fn a_bag_holds_what_was_found_and_gives_the_same_records_elsewhere() {
    let bench = Bench::new(damaged());
    let zip = bench.folder.path().join("bag.zip");
    let collected = bench.collect(&["--zip", zip.to_str().unwrap(), "--case", "117", "--examiner", "J. Doe"]);
    assert_eq!(collected.code, 1, "{}", collected.stderr);
    // Every object is read once, for verification and collection alike.
    let digests_and_files = bench.trail.objects.len() as u64;
    assert_eq!(bench.server.calls("GetObject"), digests_and_files + 2, "two of them are gone");
    assert!(is_valid_bag(&bench.bag()));
    outside_agrees("bag.py", &[bench.bag().as_os_str()]);
    let info = std::fs::read_to_string(bench.bag().join("bag-info.txt")).unwrap();
    assert!(info.contains("External-Identifier: 117") && info.contains("Contact-Name: J. Doe"), "{info}");
    // The bag is moved to a folder that holds nothing else.
    let moved = tempfile::tempdir().unwrap();
    let there = moved.path().join("from a colleague");
    std::fs::rename(bench.bag(), &there).unwrap();
    let verified = bench.verify(&there);
    assert_eq!(findings(&verified), findings(&collected), "{}", verified.stderr);
    let unpacked = moved.path().join("unpacked");
    let python = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    assert!(Command::new("python3").args(["-c", python]).arg(&zip).arg(&unpacked).status().unwrap().success());
    assert!(is_valid_bag(&unpacked.join("bag")));
    // The bag holds the modified and the planted file, and lists the objects that are gone.
    let held = files(&there.join("data/objects")).len();
    assert_eq!(
        held,
        bench.trail.objects.len() + bench.trail.chains.iter().map(|chain| chain.digests.len()).sum::<usize>() - 1
    );
    let gone = files(&there.join("data/not-collected"));
    assert_eq!(std::fs::read_to_string(&gone[0]).unwrap().lines().count(), 2);
}

#[test]
fn tampering_with_a_bag_is_found_whatever_it_is() {
    let bench = Bench::new(TrailSpec { hours: 5, ..TrailSpec::default() }.forge());
    assert_eq!(bench.collect(&[]).code, 0);
    let clean = bench.verify(&bench.bag());
    assert_eq!((clean.code, clean.verdict()), (0, "verified"), "{}", clean.stdout);
    let whole = files(&bench.bag());
    for path in &whole {
        let before = std::fs::read(path).unwrap();
        let mut changed = before.clone();
        match changed.last_mut() {
            Some(last) => *last ^= 0x02,
            None => changed.push(b'x'),
        }
        std::fs::write(path, &changed).unwrap();
        let found = records(ctverify().arg("--from").arg(bench.bag()));
        assert!(matches!(found.code, 1 | 2), "{} changed: {} {}", path.display(), found.code, found.stdout);
        std::fs::write(path, before).unwrap();
    }
    for path in &whole {
        let before = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let found = records(ctverify().arg("--from").arg(bench.bag()));
        assert!(matches!(found.code, 1 | 2), "{} removed: {}", path.display(), found.stdout);
        std::fs::write(path, before).unwrap();
    }
    let planted = bench.bag().join("data/objects/extra");
    std::fs::write(&planted, "x").unwrap();
    let found = records(ctverify().arg("--from").arg(bench.bag()));
    assert!(found.code == 1 && is_altered(&found), "{}", found.stdout);
}

#[test]
fn what_is_changed_consistently_rests_on_the_keys_and_those_are_checked_with_aws() {
    let spec = TrailSpec { hours: 3, ..TrailSpec::default() };
    let bench = Bench::new(spec.clone().forge());
    assert_eq!(bench.collect(&[]).code, 0);
    let check = |server: &Server| records(ctverify_at(server).arg("--from").arg(bench.bag()).arg("--check-keys"));
    let genuine = check(&bench.server);
    assert_eq!((genuine.code, genuine.of("warning").len()), (0, 0), "{}", genuine.stdout);
    // An attacker's own trail, with keys of its own, and a bag of it in which everything fits.
    let mut other = spec;
    other.keys.rotation = jiff::SignedDuration::from_hours(31 * 24 * 7);
    other.seed = 99;
    let forged = Bench::new(other.forge());
    assert_eq!(forged.collect(&[]).code, 0);
    assert_eq!(records(ctverify().arg("--from").arg(forged.bag())).code, 0, "offline it rests on its own keys");
    let keys = std::fs::read_to_string(forged.bag().join("data/keys.json")).unwrap();
    assert!(is_valid_bag(&forged.bag()));
    let foreign = keys.replace("us-east-1", "eu-west-1");
    let path = forged.folder.path().join("keys.json");
    std::fs::write(&path, foreign).unwrap();
    let found = records(
        ctverify_at(&bench.server).arg("--from").arg(forged.bag()).arg("--keys").arg(&path).arg("--check-keys"),
    );
    assert_eq!(found.code, 1, "{}", found.stdout);
    let foreign = found.of("warning").iter().any(|warning| warning["code"] == "key_not_published");
    assert!(foreign && !is_altered(&found), "{}", found.stdout);
}

#[test]
fn a_bag_with_papers_that_contradict_it_is_altered() {
    let bench = Bench::new(TrailSpec { hours: 3, ..TrailSpec::default() }.forge());
    assert_eq!(bench.collect(&[]).code, 0);
    let bag = bench.bag();
    let is_altered = |what: &str| {
        let found = records(ctverify().arg("--from").arg(&bag));
        let warned = is_altered(&found);
        assert!(found.code == 1 && warned, "{what} {} {}", found.stdout, found.stderr);
    };
    let head = std::fs::read_to_string(bag.join("custody-head.txt")).unwrap();
    std::fs::write(bag.join("custody-head.txt"), format!("{head}1 {}\n", "0".repeat(64))).unwrap();
    is_altered("a second head");
    std::fs::write(bag.join("custody-head.txt"), head).unwrap();
    let tags = std::fs::read_to_string(bag.join("tagmanifest-sha256.txt")).unwrap();
    std::fs::write(bag.join("tagmanifest-sha256.txt"), "").unwrap();
    is_altered("an empty tag manifest");
    std::fs::write(bag.join("tagmanifest-sha256.txt"), tags).unwrap();
    for name in ["manifest-sha512.txt", "fetch.txt"] {
        std::fs::write(bag.join(name), "").unwrap();
        is_altered(name);
        std::fs::remove_file(bag.join(name)).unwrap();
    }
    assert_eq!(records(ctverify().arg("--from").arg(&bag)).code, 0);
    let aside = bench.folder.path().join("aside");
    std::fs::rename(bag.join("data"), &aside).unwrap();
    std::os::unix::fs::symlink(&aside, bag.join("data")).unwrap();
    is_altered("a link");
}

#[test]
fn a_collection_that_was_stopped_goes_on_and_fetches_what_is_missing_alone() {
    let bench = Bench::new(TrailSpec { hours: 10, busy_percent: 100, ..TrailSpec::default() }.forge());
    assert_eq!(bench.collect(&[]).code, 0);
    let gets = bench.server.calls("GetObject");
    let lost: Vec<PathBuf> = files(&bench.bag().join("data/objects"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "gz"))
        .collect();
    // One file is gone, and one was cut short when the run was stopped.
    std::fs::remove_file(&lost[2]).unwrap();
    let cut = std::fs::read(&lost[7]).unwrap();
    std::fs::write(&lost[7], &cut[..cut.len() / 2]).unwrap();
    for tag in ["manifest-sha256.txt", "tagmanifest-sha256.txt", "bagit.txt"] {
        std::fs::remove_file(bench.bag().join(tag)).unwrap();
    }
    let half = records(ctverify().arg("--from").arg(bench.bag()));
    assert!(half.code == 2 && half.stderr.contains("half a bag"), "{}", half.stderr);
    assert_eq!(bench.collect(&[]).code, 0);
    assert_eq!(bench.server.calls("GetObject"), gets + 2);
    assert!(is_valid_bag(&bench.bag()));
    // The half file is kept beside the one that was fetched again.
    assert_eq!(std::fs::read(&lost[7]).unwrap(), cut);
    let (objects, displaced) = (bench.bag().join("data/objects"), bench.bag().join("data/displaced"));
    let aside = format!("{}.1", displaced.join(lost[7].strip_prefix(objects).unwrap()).display());
    assert_eq!(std::fs::read(aside).unwrap(), &cut[..cut.len() / 2]);
}

#[test]
fn a_killed_collection_leaves_no_half_file_and_goes_on() {
    let trail = TrailSpec { hours: 20, busy_percent: 100, ..TrailSpec::default() }.forge();
    let slow = Server::start(
        &trail,
        ServerOptions { latency: std::time::Duration::from_millis(40), ..ServerOptions::default() },
    );
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    for round in 0..4 {
        let mut child = ctverify_at(&slow)
            .arg("collect")
            .args(range_of(&trail))
            .args(["--concurrency", "2", "--quiet", "--output"])
            .arg(&bag)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(400 + 150 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        for path in files(&bag) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.starts_with(bag.join("data/objects")) && name.ends_with(".gz") && !name.starts_with('.') {
                assert!(ctverify_testkit::gunzip(&std::fs::read(&path).unwrap()).is_ok(), "{}", path.display());
            }
        }
    }
    let quick = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&quick).arg("collect").args(range_of(&trail)).arg("--output").arg(&bag));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(is_valid_bag(&bag));
    assert_eq!(records(ctverify().arg("--from").arg(&bag).args(range_of(&trail))).code, 0);
}

#[test]
fn a_copy_is_collected_as_a_bucket_is() {
    let trail = damaged();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    let collected = records(
        ctverify()
            .arg("collect")
            .arg("--from")
            .arg(mirror.dir())
            .arg("--keys")
            .arg(mirror.keys())
            .arg("--output")
            .arg(&bag),
    );
    assert_eq!(collected.code, 1, "{}", collected.stderr);
    assert!(is_valid_bag(&bag));
    let verified = records(ctverify().arg("--from").arg(&bag));
    assert_eq!(findings(&verified), findings(&collected));
    // Keys that are not known to be a region's own are not made so by the bag.
    mirror.write_keys(&trail.keys_flat());
    let flat = folder.path().join("flat");
    records(
        ctverify()
            .arg("collect")
            .arg("--from")
            .arg(mirror.dir())
            .arg("--keys")
            .arg(mirror.keys())
            .arg("--output")
            .arg(&flat),
    );
    let keys: Value = serde_json::from_slice(&std::fs::read(flat.join("data/keys.json")).unwrap()).unwrap();
    assert!(keys["PublicKeyList"].is_array());
}

/// Log files that no digest covers can't be verified; the bag holds them all the same.
#[test]
fn log_files_of_hours_without_any_digest_are_collected_from_a_copy() {
    let mut trail = TrailSpec { hours: 12, busy_percent: 100, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    digests[4..].iter().for_each(|digest| drop(trail.remove(&digest.key)));
    let left: Vec<&str> =
        digests[10].document.log_files.iter().map(|file| file.s3_object.rsplit('/').next().unwrap()).collect();
    assert!(!left.is_empty());
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    let mut collect = ctverify();
    collect.args(["collect", "--start", "2026-03-01T08:00:00Z", "--end", "2026-03-01T12:00:00Z", "--from"]);
    let collected = records(collect.arg(mirror.dir()).arg("--keys").arg(mirror.keys()).arg("--output").arg(&bag));
    assert_eq!(collected.code, 3, "{}", collected.stderr);
    let held = files(&bag.join("data/objects"));
    let holds = |name: &str| held.iter().any(|path| path.ends_with(name));
    assert!(left.iter().all(|name| holds(name)), "{held:?}");
}

#[test]
fn bad_folders_are_told_and_nothing_is_lost() {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    std::fs::create_dir(bench.bag()).unwrap();
    let own = bench.bag().join("thesis.txt");
    std::fs::write(&own, "years of work").unwrap();
    let refused = bench.collect(&[]);
    assert!(refused.code == 2 && refused.stderr.contains("is not empty"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "years of work");
    std::fs::remove_file(&own).unwrap();
    assert_eq!(bench.collect(&[]).code, 0);
    // Another trail's evidence does not go into this bag.
    let other = TrailSpec { name: "other-trail".into(), hours: 2, ..TrailSpec::default() }.forge();
    let server = Server::start(&other, ServerOptions::default());
    let refused = records(ctverify_at(&server).arg("collect").args(range_of(&other)).arg("--output").arg(bench.bag()));
    assert!(refused.code == 2 && refused.stderr.contains("is a bag of"), "{}", refused.stderr);
    let nothing = run(ctverify().args(["handover", "/nonexistent", "--to", "x", "--reason", "y"]));
    assert!(nothing.code == 2 && nothing.stderr.contains("is no bag"), "{}", nothing.stderr);
    let shallow = bench.collect(&["--depth", "chain"]);
    assert_eq!(shallow.code, 2, "{}", shallow.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_told_and_the_collection_goes_on_elsewhere_in_time() {
    let trail = TrailSpec { hours: 40, busy_percent: 100, events: 60, log_files: 4, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=400k", "tmpfs"]).arg(&disk).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let bag = disk.join("bag");
    let collect = || records(ctverify_at(&server).arg("collect").args(range_of(&trail)).arg("--output").arg(&bag));
    let full = collect();
    let said = full.code == 4 && full.stderr.contains("No space left") && full.stderr.contains("goes on with it");
    let larger = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk).status().unwrap().success();
    let done = collect();
    let valid = is_valid_bag(&bag);
    Command::new("umount").arg(&disk).status().unwrap();
    assert!(said, "{} {}", full.code, full.stderr);
    assert!(larger && done.code == 0 && valid, "{}", done.stderr);
}

#[test]
fn the_custody_log_tells_each_step_and_shows_what_was_taken_out() {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    bench.collect(&["--examiner", "J. Doe"]);
    assert_eq!(bench.verify_logged().code, 0);
    let handover = |to: &str| {
        run(ctverify().arg("handover").arg(bench.bag()).args(["--to", to, "--reason", "trial", "--examiner", "J. Doe"]))
    };
    assert_eq!(handover("the court").code, 0);
    assert_eq!(bench.verify_logged().code, 0);
    let log = bench.bag().join("custody.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let actions: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(actions, ["collect", "verify", "handover", "verify"]);
    for out in 0..4 {
        let kept: String =
            text.lines().enumerate().filter(|(at, _)| *at != out).map(|(_, line)| format!("{line}\n")).collect();
        std::fs::write(&log, kept).unwrap();
        let refused = handover("somebody");
        assert!(refused.code == 2 && refused.stderr.contains("tampered"), "{out} {}", refused.stderr);
    }
    std::fs::write(&log, text.replace("the court", "a friend")).unwrap();
    let found = bench.verify_logged();
    assert!(found.code == 1 && is_altered(&found), "{}", found.stdout);
}

#[test]
fn verifying_a_custody_log_that_was_changed_does_not_cover_that() {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    bench.collect(&[]);
    for _ in 0..2 {
        assert_eq!(bench.verify_logged().code, 0);
    }
    let (log, head) = (bench.bag().join("custody.jsonl"), bench.bag().join("custody-head.txt"));
    let (text, end) = (std::fs::read_to_string(&log).unwrap(), std::fs::read_to_string(&head).unwrap());
    let first = format!("{}\n", text.lines().next().unwrap());
    type Change<'a> = Box<dyn Fn() + 'a>;
    let changes: [(&str, Change); 5] = [
        ("the last lines are cut off", Box::new(|| std::fs::write(&log, &first).unwrap())),
        ("the head is gone", Box::new(|| std::fs::remove_file(&head).unwrap())),
        (
            "all but the first line and the head are gone",
            Box::new(|| {
                std::fs::write(&log, &first).unwrap();
                std::fs::remove_file(&head).unwrap();
            }),
        ),
        (
            "both are gone",
            Box::new(|| {
                std::fs::remove_file(&log).unwrap();
                std::fs::remove_file(&head).unwrap();
            }),
        ),
        (
            "a bag's log that never began",
            Box::new(|| {
                std::fs::remove_file(&log).unwrap();
                std::fs::write(&head, "0 -\n").unwrap();
            }),
        ),
    ];
    for (what, change) in changes {
        change();
        for _ in 0..2 {
            let found = bench.verify_logged();
            assert!(found.code == 1 && is_altered(&found), "{what}: {}", found.stdout);
        }
        std::fs::write(&log, &text).unwrap();
        std::fs::write(&head, &end).unwrap();
    }
    assert_eq!(bench.verify_logged().code, 0);
}

#[test]
fn two_that_verify_a_bag_at_once_do_not_break_its_log() {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    bench.collect(&[]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| assert_eq!(bench.verify_logged().code, 0)));
        }
    });
    assert_eq!(bench.verify_logged().code, 0);
    assert_eq!(std::fs::read_to_string(bench.bag().join("custody.jsonl")).unwrap().lines().count(), 22);
}

#[test]
fn a_check_of_keys_that_can_not_be_made_is_no_answer() {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    bench.collect(&[]);
    let denied = ["ListPublicKeys".to_owned()].into();
    let server = Server::start(&bench.trail, ServerOptions { denied_actions: denied, ..ServerOptions::default() });
    let refused = records(ctverify_at(&server).arg("--from").arg(bench.bag()).arg("--check-keys"));
    assert!(refused.code == 4 && refused.stderr.contains("--check-keys"), "{}", refused.stderr);
    let flat = bench.folder.path().join("flat.json");
    std::fs::write(&flat, bench.trail.keys_flat().to_string()).unwrap();
    let nobodys =
        records(ctverify_at(&bench.server).arg("--from").arg(bench.bag()).arg("--keys").arg(&flat).arg("--check-keys"));
    assert!(nobodys.code == 2 && nobodys.stderr.contains("whose keys"), "{}", nobodys.stderr);
    let nothing = records(ctverify_at(&bench.server).args(range_of(&bench.trail)).arg("--check-keys"));
    assert!(nothing.code == 2 && nothing.stderr.contains("--check-keys"), "{}", nothing.stderr);
}

#[test]
fn what_became_of_an_object_since_it_was_collected_is_found_out() {
    let bench = Bench::new(TrailSpec { hours: 6, busy_percent: 100, ..TrailSpec::default() }.forge());
    assert_eq!(bench.collect(&[]).code, 0);
    let digests = &bench.trail.chains[0].digests;
    let (gone, changed) = (&digests[1].document.log_files[0].s3_object, &digests[4].document.log_files[0].s3_object);
    let now = jiff::Timestamp::now();
    let mut other = bench.trail.objects[&(bench.trail.spec.bucket.clone(), changed.clone())].clone();
    (other.body, other.last_modified) = (ctverify_testkit::gzip(b"{}").into(), now);
    bench.server.delete(&bench.trail.spec.bucket, gone, now);
    bench.server.put(&bench.trail.spec.bucket, changed, other);
    let again = bench.collect(&[]);
    let counts = (again.code, again.count("log_file", "deleted"), again.count("log_file", "modified"));
    assert_eq!(counts, (1, 1, 1), "{} {}", again.stdout, again.stderr);
    // The objects that were collected first are kept: they are the evidence.
    let held = bench.bag().join("data/objects").join(&bench.trail.spec.bucket);
    let displaced = bench.bag().join("data/displaced").join(&bench.trail.spec.bucket);
    assert!(held.join(gone).is_file() && displaced.join(format!("{changed}.1")).is_file());
    assert!(is_valid_bag(&bench.bag()));
    // The first content counts as no object of the bucket.
    let verified = bench.verify(&bench.bag());
    assert_eq!((verified.count("log_file", "modified"), verified.count("log_file", "unlisted")), (1, 0));
}

#[test]
fn a_collection_that_fails_leaves_a_whole_bag_whole() {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    assert_eq!(bench.collect(&[]).code, 0);
    let missing = bench.folder.path().join("none.json");
    for wrong in [
        ["--case-file", missing.to_str().unwrap()],
        ["--sign-key", missing.to_str().unwrap()],
        ["--report", "html=/nonexistent/x"],
    ] {
        let failed = bench.collect(&wrong);
        assert!(matches!(failed.code, 2 | 4), "{wrong:?} {}", failed.stderr);
        assert_eq!(bench.verify(&bench.bag()).code, 0, "{wrong:?}");
    }
    // Signing a statement with a PEM key does not require that the bag's own records are signed.
    let pem = bench.folder.path().join("key.pem");
    assert!(
        Command::new("openssl")
            .args(["genpkey", "-algorithm", "ed25519", "-out"])
            .arg(&pem)
            .output()
            .unwrap()
            .status
            .success()
    );
    let statement = format!("intoto={}", bench.folder.path().join("statement").display());
    let signed = bench.collect(&["--report", &statement, "--sign-key", pem.to_str().unwrap()]);
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    // A collection into a bag that was changed does not write a manifest that covers the change.
    let object = files(&bench.bag().join("data/records"))[0].clone();
    std::fs::write(&object, "other").unwrap();
    let refused = bench.collect(&[]);
    assert!(refused.code == 2 && refused.stderr.contains("was changed since"), "{}", refused.stderr);
}

#[test]
fn a_bag_that_is_filled_in_parts_keeps_the_keys_of_all() {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    let bench = Bench::new(TrailSpec { hours: 3, regions, busy_percent: 100, ..TrailSpec::default() }.forge());
    for region in ["us-east-1", "eu-west-1"] {
        let part = bench.collect(&["--regions", region]);
        assert!(matches!(part.code, 0 | 3), "{}", part.stderr);
    }
    let verified = bench.verify(&bench.bag());
    assert_eq!(verified.of("chain").len(), 2, "{}", verified.stdout);
    assert_eq!(verified.count("digest", "valid"), verified.of("digest").len(), "{}", verified.stdout);
}

#[test]
fn a_copy_without_metadata_is_collected_twice_and_nothing_is_set_aside() {
    let trail = TrailSpec { hours: 4, ..TrailSpec::default() }.forge();
    let mirror = Mirror::new(&trail, Layout::Keys, false);
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("bag");
    let collect = || {
        records(
            ctverify()
                .arg("collect")
                .arg("--from")
                .arg(mirror.dir())
                .arg("--keys")
                .arg(mirror.keys())
                .arg("--output")
                .arg(&bag),
        )
    };
    let first = collect();
    let second = collect();
    assert_eq!(first.code, second.code, "{}", second.stderr);
    assert!(files(&bag).iter().all(|path| !path.display().to_string().contains("altered")));
    assert!(is_valid_bag(&bag));
}

#[cfg(unix)]
#[test]
fn a_collection_that_is_interrupted_before_it_changes_anything_leaves_a_whole_bag_whole() {
    let bench = Bench::new(TrailSpec { hours: 4, busy_percent: 100, ..TrailSpec::default() }.forge());
    assert_eq!(bench.collect(&[]).code, 0);
    let latency = std::time::Duration::from_millis(400);
    let slow = Server::start(&bench.trail, ServerOptions { latency, ..ServerOptions::default() });
    let mut child = ctverify_at(&slow)
        .arg("collect")
        .args(range_of(&bench.trail))
        .arg("--output")
        .arg(bench.bag())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2200));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(is_valid_bag(&bench.bag()));
    assert_eq!(bench.verify(&bench.bag()).code, 0);
}

#[test]
fn collections_that_begin_in_the_same_second_keep_the_records_of_each() {
    let bench = Bench::new(TrailSpec { hours: 1, ..TrailSpec::default() }.forge());
    for count in 1..=4 {
        assert_eq!(bench.collect(&[]).code, 0);
        assert_eq!(files(&bench.bag().join("data/records")).len(), count);
        assert_eq!(files(&bench.bag().join("data/not-collected")).len(), count);
    }
    assert!(is_valid_bag(&bench.bag()));
}

/// Issue 17: cutting the custody log's last lines and rewriting the head passed.
#[test]
fn a_custody_log_that_is_signed_can_not_be_written_anew() {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    let keygen = |name: &str| {
        let key = bench.folder.path().join(name);
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&key).output();
        assert!(made.unwrap().status.success());
        (key.to_str().unwrap().to_owned(), format!("{}.pub", key.display()))
    };
    let ((key, public), (other_key, other)) = (keygen("examiner"), keygen("other"));
    assert_eq!(bench.collect(&["--sign-key", &key]).code, 0);
    let handover = |more: &[&str]| {
        let mut command = ctverify();
        command.arg("handover").arg(bench.bag()).args(["--to", "R. Roe", "--reason", "court"]).args(more);
        assert_eq!(run(&mut command).code, 0);
    };
    handover(&["--sign-key", &key]);
    let range = range_of(&bench.trail);
    // Each verification gets a copy of the bag, since it adds a line to the custody log itself.
    let copy = |change: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        let bag = folder.path().join("bag");
        assert!(Command::new("cp").arg("-r").arg(bench.bag()).arg(&bag).status().unwrap().success());
        change(&bag);
        (folder, bag)
    };
    let verify = |change: &dyn Fn(&Path), more: &[&str]| {
        let (_folder, bag) = copy(change);
        let run = records(ctverify().arg("--from").arg(&bag).args(&range).args(more));
        let warnings = run.of("warning");
        let mut told: Vec<String> =
            warnings.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect();
        told.extend(is_altered(&run).then(|| "bag_altered".to_owned()));
        (run.code, told)
    };
    type Told = (i32, Vec<String>);
    let fine: Told = (0, vec![]);
    let altered: Told = (1, vec!["bag_altered".to_owned()]);
    let nothing = |_: &Path| {};
    assert_eq!(verify(&nothing, &["--signer", &public]), fine);
    assert_eq!(verify(&nothing, &[]), fine);
    assert_eq!(verify(&nothing, &["--signer", &other]), altered);
    // ssh-keygen accepts the signature, too.
    let head = std::fs::File::open(bench.bag().join("custody-head.txt")).unwrap();
    let mut check = Command::new("ssh-keygen");
    check.args(["-Y", "check-novalidate", "-n", "ctverify", "-s"]).arg(bench.bag().join("custody-head.txt.sig"));
    assert!(check.stdin(head).output().unwrap().status.success());
    // The last line is cut off, and the head written anew.
    let cut = |bag: &Path| {
        let log = std::fs::read_to_string(bag.join("custody.jsonl")).unwrap();
        let first = log.lines().next().unwrap();
        let hash = Command::new("sh").args(["-c", "printf %s \"$0\" | sha256sum", first]).output().unwrap();
        let hash = String::from_utf8(hash.stdout).unwrap()[..64].to_owned();
        std::fs::write(bag.join("custody.jsonl"), format!("{first}\n")).unwrap();
        std::fs::write(bag.join("custody-head.txt"), format!("1 {hash}\n")).unwrap();
    };
    assert_eq!(verify(&cut, &["--signer", &public]), altered);
    assert_eq!(verify(&cut, &[]), altered);
    let unsigned = |bag: &Path| std::fs::remove_file(bag.join("custody-head.txt.sig")).unwrap();
    assert_eq!(verify(&unsigned, &["--signer", &public]), altered);
    let broken = |bag: &Path| std::fs::write(bag.join("custody-head.txt.sig"), "no signature\n").unwrap();
    assert_eq!(verify(&broken, &[]), altered);
    // A line that somebody adds without the key, and one with another key.
    handover(&[]);
    assert_eq!(verify(&nothing, &["--signer", &public]), (0, vec!["custody_not_signed".to_owned()]));
    assert_eq!(verify(&nothing, &[]), fine);
    handover(&["--sign-key", &other_key]);
    assert_eq!(verify(&nothing, &["--signer", &public]), altered);
    assert_eq!(verify(&nothing, &["--signer", &other]), fine);
    // Without a bag there is no custody log whose signature could be made or checked.
    let mirror = Mirror::new(&bench.trail, Layout::Keys, true);
    let refused = run(mirror.command().args(["--signer", &public]));
    assert!(refused.code == 2 && refused.stderr.contains("custody log of a bag"), "{}", refused.stderr);
    let refused = run(mirror.command().args(["--sign-key", &key]));
    assert!(refused.code == 2 && refused.stderr.contains("--report KIND=PATH"), "{}", refused.stderr);
}

/// A bag that was collected and handed over with a key, and the key.
fn signed_bag() -> (Bench, String, String) {
    let bench = Bench::new(TrailSpec { hours: 2, ..TrailSpec::default() }.forge());
    let key = bench.folder.path().join("examiner");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).output();
    assert!(made.unwrap().status.success());
    let (key, public) = (key.to_str().unwrap().to_owned(), format!("{}.pub", key.display()));
    assert_eq!(bench.collect(&["--sign-key", &key]).code, 0);
    (bench, key, public)
}

fn handover(bench: &Bench, more: &[&str]) -> Run {
    let mut command = ctverify();
    run(command.arg("handover").arg(bench.bag()).args(["--to", "R. Roe", "--reason", "court"]).args(more))
}

/// The SHA-256 of a text, by another program.
pub(crate) fn sha256_of(text: &[u8]) -> String {
    use std::io::Write as _;
    let mut child = Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()[..64].to_owned()
}

/// Found by an attack: the next line with a key signed what the old signature contradicted.
#[test]
fn a_signature_that_does_not_fit_is_not_written_over() {
    let (bench, key, public) = signed_bag();
    let (log, head) = (bench.bag().join("custody.jsonl"), bench.bag().join("custody-head.txt"));
    let forged = std::fs::read_to_string(&log).unwrap().replace("\"by\":null", "\"by\":\"Mallory\"");
    let line = forged.trim_end();
    assert!(line.contains("Mallory"));
    std::fs::write(&log, &forged).unwrap();
    std::fs::write(&head, format!("1 {}\n", sha256_of(line.as_bytes()))).unwrap();
    for more in [&[][..], &["--sign-key", &key]] {
        let refused = handover(&bench, more);
        assert!(refused.code == 2 && refused.stderr.contains("does not fit its signature"), "{}", refused.stderr);
    }
    assert_eq!(bench.collect(&["--sign-key", &key]).code, 2);
    for _ in 0..2 {
        let range = range_of(&bench.trail);
        let mut command = ctverify();
        command.arg("--from").arg(bench.bag()).args(&range).args([
            "--log-custody",
            "--signer",
            &public,
            "--sign-key",
            &key,
        ]);
        assert_eq!(records(&mut command).code, 1);
    }
}

/// Found by an attack: an unsigned line of another collection vouched for another content.
#[test]
fn only_the_signed_part_of_a_custody_log_vouches_for_the_manifest() {
    let (bench, _, public) = signed_bag();
    let bag = bench.bag();
    let records_file = files(&bag.join("data/records"))[0].clone();
    let old = sha256_of(&std::fs::read(&records_file).unwrap());
    std::fs::write(&records_file, b"{}\n").unwrap();
    let manifest = bag.join("manifest-sha256.txt");
    let text = std::fs::read_to_string(&manifest).unwrap().replace(&old, &sha256_of(b"{}\n"));
    let before = sha256_of(&std::fs::read(&manifest).unwrap());
    std::fs::write(&manifest, &text).unwrap();
    let tags = bag.join("tagmanifest-sha256.txt");
    let tag_text = std::fs::read_to_string(&tags).unwrap().replace(&before, &sha256_of(text.as_bytes()));
    std::fs::write(&tags, &tag_text).unwrap();
    let log = bag.join("custody.jsonl");
    let first = std::fs::read_to_string(&log).unwrap();
    let mut entry: Value = serde_json::from_str(first.trim_end()).unwrap();
    entry["number"] = 2.into();
    entry["manifest_sha256"] = sha256_of(text.as_bytes()).into();
    entry["tag_manifest_sha256"] = sha256_of(tag_text.as_bytes()).into();
    entry["previous_sha256"] = sha256_of(first.trim_end().as_bytes()).into();
    let line = entry.to_string();
    std::fs::write(&log, format!("{first}{line}\n")).unwrap();
    std::fs::write(bag.join("custody-head.txt"), format!("2 {}\n", sha256_of(line.as_bytes()))).unwrap();
    let range = range_of(&bench.trail);
    let run = records(ctverify().arg("--from").arg(&bag).args(&range).args(["--signer", &public]));
    assert!(run.code == 1 && is_altered(&run), "{}", run.stdout);
}

/// Found by an attack: nothing sealed `bag-info.txt`, in which a bag describes itself.
#[test]
fn what_a_bag_says_of_itself_is_sealed_by_the_custody_log() {
    let (bench, ..) = signed_bag();
    let (info, tags) = (bench.bag().join("bag-info.txt"), bench.bag().join("tagmanifest-sha256.txt"));
    let old = std::fs::read(&info).unwrap();
    let forged = [&old[..], b"External-Identifier: FORGED\n"].concat();
    let text = std::fs::read_to_string(&tags).unwrap().replace(&sha256_of(&old), &sha256_of(&forged));
    std::fs::write(&info, forged).unwrap();
    std::fs::write(&tags, text).unwrap();
    let run = bench.verify(&bench.bag());
    assert!(run.code == 1 && run.stdout.contains("tagmanifest-sha256.txt is not the one"), "{}", run.stdout);
}

/// Found by an attack: a bag without `bagit.txt` and `collect.json` was verified as a plain folder,
/// custody log or not.
#[test]
fn a_bag_without_its_declaration_is_a_bag_that_was_altered() {
    let (bench, ..) = signed_bag();
    for gone in ["bagit.txt", "collect.json"] {
        std::fs::remove_file(bench.bag().join(gone)).unwrap();
    }
    let run = bench.verify(&bench.bag());
    assert!(run.code == 1 && run.stdout.contains("bagit.txt"), "{} {}", run.code, run.stdout);
    std::fs::remove_file(bench.bag().join("manifest-sha256.txt")).unwrap();
    let run = bench.verify(&bench.bag());
    assert!(run.code == 2 && run.stdout.is_empty(), "{} {}", run.code, run.stderr);
}

/// Found by an attack: a line too long to be read again was written, and a log of very many lines
/// took gigabytes.
#[test]
fn a_custody_log_stays_readable_and_bounded() {
    let (bench, ..) = signed_bag();
    let long = "r".repeat(70_000);
    let mut command = ctverify();
    let refused = run(command.arg("handover").arg(bench.bag()).args(["--to", "R. Roe", "--reason", &long]));
    assert!(refused.code == 2 && refused.stderr.contains("shorten the texts"), "{}", refused.stderr);
    assert_eq!(bench.verify(&bench.bag()).code, 0);
    let log = bench.bag().join("custody.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.clone() + &"\n".repeat(100_000)).unwrap();
    let found = bench.verify(&bench.bag());
    assert!(found.code == 1 && found.of("warning").len() < 200, "{}", found.of("warning").len());
    std::fs::write(&log, text + &"\n".repeat(300_000)).unwrap();
    let refused = bench.verify(&bench.bag());
    assert!(refused.code == 2 && refused.stderr.contains("more than 200000 lines"), "{}", refused.stderr);
}

/// Packs files into a ZIP file with Python's library; each is a name and a content.
fn pack(target: &Path, entries: &[(String, Vec<u8>)], method: &str) {
    let folder = tempfile::tempdir().unwrap();
    let list: Vec<(String, PathBuf)> = entries
        .iter()
        .enumerate()
        .map(|(index, (name, content))| {
            let path = folder.path().join(index.to_string());
            std::fs::write(&path, content).unwrap();
            (name.clone(), path)
        })
        .collect();
    let script = format!(
        "import sys, json, zipfile\n\
         with zipfile.ZipFile(sys.argv[1], 'w', zipfile.{method}) as z:\n\
         \x20   for name, path in json.load(sys.stdin): z.write(path, name)"
    );
    let mut python = Command::new("python3");
    python.args(["-W", "ignore", "-c", &script]).arg(target).stdin(std::process::Stdio::piped());
    let mut child = python.spawn().unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &list).unwrap();
    assert!(child.wait().unwrap().success());
}

fn contents(dir: &Path, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let name = |path: &Path| format!("{prefix}{}", path.strip_prefix(dir).unwrap().display());
    files(dir).iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// Issue 16, point 8: a bag in a ZIP file is verified as the bag is.
#[test]
fn a_packed_bag_is_verified_as_it_is() {
    let bench = Bench::new(damaged());
    let zip = bench.folder.path().join("bag.zip");
    bench.collect(&["--zip", zip.to_str().unwrap()]);
    let (deflated, bare) = (bench.folder.path().join("deflated.zip"), bench.folder.path().join("bare.zip"));
    pack(&deflated, &contents(&bench.bag(), "evidence/"), "ZIP_DEFLATED");
    pack(&bare, &contents(&bench.bag(), ""), "ZIP_STORED");
    let unpacked = bench.verify(&bench.bag());
    let temporary = tempfile::tempdir().unwrap();
    for packed in [&zip, &deflated, &bare] {
        let before = std::fs::read(packed).unwrap();
        let mut command = ctverify();
        command.env("TMPDIR", temporary.path()).arg("--from").arg(packed).args(range_of(&bench.trail));
        let run = records(&mut command);
        assert_eq!((run.code, findings(&run)), (unpacked.code, findings(&unpacked)), "{}{}", run.stdout, run.stderr);
        // Nothing names the folder into which it was unpacked, which is gone.
        let shown = packed.display().to_string();
        assert_eq!(run.of("bag")[0]["path"], shown);
        assert_eq!(run.of("run")[0]["source"], format!("{shown}/data/objects"));
        assert_eq!(run.of("run")[0]["keys"]["path"], format!("{shown}/data/keys.json"));
        assert!(!run.stdout.contains(temporary.path().to_str().unwrap()), "{}", run.stdout);
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
        assert_eq!(std::fs::read(packed).unwrap(), before);
    }
    // A bag that was changed before it was packed is altered.
    let mut changed = contents(&bench.bag(), "bag/");
    changed.retain(|(name, _)| !name.ends_with("custody.jsonl"));
    pack(&bare, &changed, "ZIP_STORED");
    let altered = bench.verify(&bare);
    assert!(altered.code == 1 && is_altered(&altered), "{}", altered.stdout);
}

/// Issue 16, point 8.
#[test]
fn a_file_that_is_no_packed_bag_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let entry = |name: &str| (name.to_owned(), b"x".to_vec());
    std::fs::write(at("no.zip"), b"PK but no archive").unwrap();
    pack(&at("empty.zip"), &[], "ZIP_STORED");
    pack(&at("other.zip"), &[entry("a/b"), entry("c")], "ZIP_STORED");
    pack(&at("outside.zip"), &[entry("bag/bagit.txt"), entry("../outside")], "ZIP_STORED");
    pack(&at("bomb.zip"), &[("bag/bagit.txt".to_owned(), vec![0; 80 << 20])], "ZIP_DEFLATED");
    for (name, why) in [
        ("no.zip", "can't be read as a bag in a ZIP file"),
        ("empty.zip", "there is no bag in it"),
        ("other.zip", "there is no bag in it"),
        ("outside.zip", "would lie outside the folder"),
        ("bomb.zip", "unpacks to more than 100 times its size"),
    ] {
        let refused = run(ctverify().arg("--from").arg(at(name)));
        assert!(refused.code == 2 && refused.stderr.contains(why), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains(name), "{name}: {}", refused.stderr);
    }
    let logged = run(ctverify().arg("--from").arg(at("other.zip")).arg("--log-custody"));
    assert!(logged.code == 2 && logged.stderr.contains("unpack it"), "{}", logged.stderr);
    let single =
        run(ctverify().args(["file", "x"]).arg("--from").arg(at("other.zip")).arg("--keys").arg(at("other.zip")));
    assert!(single.code == 2 && single.stderr.contains("unpack it"), "{}", single.stderr);
    let report = format!("jsonl={}", at("other.zip").display());
    let over = run(ctverify().arg("--from").arg(at("other.zip")).args(["--report", &report]));
    assert!(over.code == 2 && over.stderr.contains("would overwrite"), "{}", over.stderr);
}

/// A bag of six hours holds the digests on both sides, and not the log files that those list: they were
/// called deleted when the bag was verified without its range.
#[test]
fn a_bag_is_verified_in_the_range_in_which_it_was_collected() {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    let trail = TrailSpec { hours: 24, regions, busy_percent: 100, ..TrailSpec::default() }.forge();
    let bench = Bench::new(trail);
    let arn = bench.trail.spec.arn();
    let collect = |start: &str, end: &str| {
        let mut command = ctverify_at(&bench.server);
        command.args(["collect", "--trail-arn", &arn, "--start", start, "--end", end]);
        run(command.arg("--output").arg(bench.bag()))
    };
    assert_eq!(collect("2026-03-01T06:00:00Z", "2026-03-01T12:00:00Z").code, 0);
    let verify = |range: &[&str]| records(ctverify().arg("--from").arg(bench.bag()).args(range));
    for range in [&[][..], &["--start", "2026-03-01T06:00:00Z"], &["--end", "2026-03-01T09:00:00Z"]] {
        let found = verify(range);
        assert_eq!((found.code, found.verdict()), (0, "verified"), "{range:?} {}{}", found.stdout, found.stderr);
    }
    let whole = verify(&[]);
    assert_eq!(whole.of("run")[0]["start"], "2026-03-01T06:00:00Z");
    assert_eq!(whole.of("run")[0]["end"], "2026-03-01T12:00:00Z");
    // The report says which side of the range the bag's records name.
    let text = |range: &[&str]| run(ctverify().arg("--from").arg(bench.bag()).args(range)).stdout;
    let of_bag = "(as the bag's records name it)";
    assert_eq!(text(&[]).matches(of_bag).count(), 2);
    let given = text(&["--start", "2026-03-01T06:00:00Z"]);
    assert!(given.contains(&format!("06:00:00Z to 2026-03-01T12:00:00Z {of_bag}")), "{given}");
    assert_eq!(given.matches(of_bag).count(), 1, "{given}");
    // More than was collected is refused, with what was.
    let more = verify(&["--start", "2026-03-01T05:00:00Z"]);
    assert_eq!(more.code, 2, "{}", more.stdout);
    assert!(more.stderr.contains("2026-03-01T06:00:00Z to 2026-03-01T12:00:00Z"), "{}", more.stderr);
    // A second collection that continues the first makes one range of both.
    assert_eq!(collect("2026-03-01T12:00:00Z", "2026-03-01T15:00:00Z").code, 0);
    let both = verify(&[]);
    assert_eq!(
        (both.code, &both.of("run")[0]["end"]),
        (0, &serde_json::json!("2026-03-01T15:00:00Z")),
        "{}",
        both.stderr
    );
}
