//! Log files of verified hours that change later, as scheduled runs see them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ctverify_testkit::{ForgedTrail, KeyAuthority, Layout, Server, ServerOptions, Stored, TrailSpec, gzip};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::checkpoint::scheduled::{Job, of_kind};
use crate::support::{Mirror, Run, ctverify_at, records};

fn spec() -> TrailSpec {
    TrailSpec { hours: 60, ..TrailSpec::default() }
}

/// Returns a log file that the digest at this index, or the first one after it, lists.
fn listed(trail: &ForgedTrail, digest: usize) -> String {
    let files = trail.chains[0].digests[digest..].iter().flat_map(|digest| &digest.document.log_files);
    files.map(|file| file.s3_object.clone()).next().unwrap()
}

fn planted(at: &str) -> String {
    let time: Timestamp = at.parse().unwrap();
    let (day, name) = (time.strftime("%Y/%m/%d"), time.strftime("%Y%m%dT%H%MZ"));
    format!(
        "AWSLogs/111122223333/CloudTrail/us-east-1/{day}/111122223333_CloudTrail_us-east-1_{name}_PlantedPlanted01.json.gz"
    )
}

fn junk(at: &str) -> Stored {
    Stored { body: gzip(b"{\"Records\":[]}").into(), metadata: Default::default(), last_modified: at.parse().unwrap() }
}

fn put(job: &Job, key: &str, stored: Stored) {
    job.server.put(&job.trail.spec.bucket, key, stored);
}

fn delete(job: &Job, key: &str) {
    job.server.delete(&job.trail.spec.bucket, key, Timestamp::now());
}

/// Issue 22: log files of verified hours that are changed, planted or deleted later.
#[test]
fn a_log_file_of_a_verified_hour_that_vanishes_is_deleted_until_it_is_back() {
    let job = Job::new(spec().forge());
    assert_eq!(job.run_to(40).code, 0);
    // One file of the day before the last verified digest, and one of the same day.
    let gone = [listed(&job.trail, 15), listed(&job.trail, 30)];
    let stored = gone.clone().map(|key| job.server.object(&job.trail.spec.bucket, &key).unwrap());
    gone.iter().for_each(|key| delete(&job, key));
    let run = job.run_to(42);
    let deleted: Vec<&str> =
        of_kind(&run, "log_file", "deleted").iter().map(|file| file["key"].as_str().unwrap()).collect();
    assert_eq!((run.code, deleted), (1, gone.iter().map(String::as_str).collect()), "{}", run.stdout);
    // They stay in the report, and another change on that day brings no second record of them.
    let other = listed(&job.trail, 32);
    delete(&job, &other);
    let run = job.run_to(43);
    let deleted = of_kind(&run, "log_file", "deleted");
    assert_eq!((run.code, deleted.len()), (1, 3), "{}", run.stdout);
    let new: Vec<&&Value> = deleted.iter().filter(|file| file.get("since").is_none()).collect();
    assert_eq!((new.len(), &new[0]["key"]), (1, &Value::from(&*other)));
    assert_eq!(job.run_to(44).count("log_file", "deleted"), 3);
    // A file that is put back is judged again.
    let [_, stored] = stored;
    put(&job, &gone[1], stored);
    let run = job.run_to(45);
    let back: Vec<&Value> =
        of_kind(&run, "log_file", "intact").into_iter().filter(|file| file["key"] == *gone[1]).collect();
    assert_eq!((run.code, back.len(), run.count("log_file", "deleted")), (1, 1, 2), "{}", run.stdout);
    assert_eq!(back[0]["mended"]["status"], "deleted");
    assert_eq!(run.of("summary")[0]["checkpoint"]["mended"], 1);
}

#[test]
fn a_log_file_that_is_planted_in_a_verified_hour_is_unlisted() {
    let folder = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01";
    let keys = [planted("2026-03-01T09:00:00Z"), planted("2026-03-02T09:00:00Z"), format!("{folder}/x.json.gz")];
    for key in keys {
        let job = Job::new(spec().forge());
        assert_eq!(job.run_to(40).code, 0);
        put(&job, &key, junk("2026-03-01T09:01:00Z"));
        let run = job.run_to(42);
        let unlisted = of_kind(&run, "log_file", "unlisted");
        assert_eq!((run.code, unlisted.len()), (3, 1), "{key}: {}", run.stdout);
        assert_eq!(unlisted[0]["key"], *key);
        // The finding stays in the report, as known.
        let again = job.run_to(43);
        assert_eq!(of_kind(&again, "log_file", "unlisted")[0]["since"], run.of("run")[0]["started"]);
        delete(&job, &key);
        assert_eq!(job.run_to(44).code, 0);
    }
}

/// The keys that signed the digests of that day are valid no longer when the next run asks for
/// them.
#[test]
fn a_day_before_the_keys_were_exchanged_is_looked_at_again() {
    let keys = KeyAuthority { rotation: SignedDuration::from_hours(50) };
    let job = Job::new(TrailSpec { hours: 80, keys, ..spec() }.forge());
    assert_eq!(job.run_to(70).code, 0);
    put(&job, &planted("2026-03-02T09:00:00Z"), junk("2026-03-02T09:01:00Z"));
    let run = job.run_to(71);
    assert_eq!((run.code, run.count("log_file", "unlisted")), (3, 1), "{}", run.stdout);
    assert_eq!(run.count("digest", "unverified"), 0, "{}", run.stdout);
}

/// The folder holds as many files as before, but others.
#[test]
fn a_log_file_that_is_exchanged_for_a_planted_one_is_missed() {
    let job = Job::new(spec().forge());
    assert_eq!(job.run_to(40).code, 0);
    delete(&job, &listed(&job.trail, 30));
    put(&job, &planted("2026-03-02T05:00:00Z"), junk("2026-03-02T05:01:00Z"));
    let run = job.run_to(42);
    assert_eq!((run.code, run.count("log_file", "deleted"), run.count("log_file", "unlisted")), (1, 1, 1));
}

#[test]
fn a_log_file_that_is_written_after_the_run_that_verified_it_is_read_again() {
    let job = Job::new(spec().forge());
    assert_eq!(job.run_to(40).code, 0);
    let key = listed(&job.trail, 20);
    // The file is written later than all digests that the listing showed then.
    put(&job, &key, junk("2026-03-05T20:00:00Z"));
    let run = job.run_to(42);
    assert_eq!((run.code, of_kind(&run, "log_file", "modified").len()), (1, 1), "{}", run.stdout);
    assert_eq!(of_kind(&run, "log_file", "modified")[0]["key"], *key);
    for digest in [43, 44] {
        let later = job.run_to(digest);
        assert_eq!(of_kind(&later, "log_file", "modified")[0]["since"], run.of("run")[0]["started"]);
    }
    // Another content of the file is another finding.
    put(&job, &key, Stored { body: gzip(b"{\"Records\":[1]}").into(), ..junk("2026-03-06T20:00:00Z") });
    let again = job.run_to(45);
    assert_eq!(of_kind(&again, "log_file", "modified")[0].get("since"), None, "{}", again.stdout);
}

/// A log file that was written over before the first run that judged it.
#[test]
fn a_log_file_that_was_judged_as_it_is_now_is_not_judged_again() {
    for digest in [20, 41] {
        let job = Job::new(spec().forge());
        if digest > 40 {
            assert_eq!(job.run_to(40).code, 0);
        }
        put(&job, &listed(&job.trail, digest), junk("2026-03-05T20:00:00Z"));
        assert_eq!(job.run_to(44).count("log_file", "modified"), 1);
        let later = job.run_to(45);
        assert_eq!(later.of("summary")[0]["checkpoint"]["new"], 0, "{}", later.stdout);
    }
}

/// Runs of every hour over a trail that nobody touches raise no alarm and read no day again.
#[test]
fn an_untouched_trail_stays_verified_from_hour_to_hour() {
    let job = Job::new(TrailSpec { backfill: vec![5, 30], ..spec() }.forge());
    job.run_to(5);
    for digest in 6..60 {
        let run = job.run_to(digest);
        let gets = run.of("summary")[0]["requests"]["get"].as_u64().unwrap();
        assert_eq!(run.code, 0, "{digest}: {}", run.stdout);
        assert!(gets <= 14, "{digest}: {gets}");
    }
}

/// Log files of two trails in one folder: a file's name does not tell which trail lists it.
#[test]
fn the_files_of_another_trail_in_the_same_folder_are_no_alarm() {
    let mut trail = TrailSpec { busy_percent: 100, ..spec() }.forge();
    let other = TrailSpec { name: "other".to_owned(), seed: 9, ..spec() }.forge();
    let spec = trail.spec.clone();
    trail.merge(other);
    trail.spec = spec;
    let job = Job::new(trail);
    job.run_to(40);
    for digest in [41, 42, 45] {
        let run = job.run_to(digest);
        assert_eq!(run.code, 0, "{digest}: {}", run.stdout);
    }
    delete(&job, &listed(&job.trail, 30));
    assert_eq!(job.run_to(46).count("log_file", "deleted"), 1);
}

#[test]
fn in_a_copy_vanished_and_planted_files_of_verified_hours_are_found() {
    let made = spec().forge();
    let mirror = Mirror::new(&made, Layout::Keys, true);
    let folder = tempfile::tempdir().unwrap();
    let run_to = |digest: usize| {
        let end = &made.chains[0].digests[digest].document.digest_end_time;
        records(mirror.command().args(["--end", end]).arg("--state").arg(folder.path().join("state")))
    };
    assert_eq!(run_to(40).code, 0);
    assert_eq!(run_to(41).code, 0);
    // A file that somebody decompressed is still there.
    let plain = mirror.dir().join(listed(&made, 25));
    let content = ctverify_testkit::gunzip(&std::fs::read(&plain).unwrap()).unwrap();
    std::fs::write(plain.with_extension(""), content).unwrap();
    std::fs::remove_file(&plain).unwrap();
    let run = run_to(42);
    assert_eq!(run.code, 0, "{}", run.stdout);
    std::fs::remove_file(mirror.dir().join(listed(&made, 30))).unwrap();
    std::fs::write(mirror.dir().join(planted("2026-03-02T05:00:00Z")), gzip(b"{}")).unwrap();
    let run = run_to(43);
    assert_eq!(
        (run.code, run.count("log_file", "deleted"), run.count("log_file", "unlisted")),
        (1, 1, 1),
        "{}",
        run.stdout
    );
}

/// `--recheck` draws days: all their digests and log files are read, and unlisted ones looked for.
#[test]
fn a_recheck_reads_whole_days_and_looks_for_planted_files() {
    let job = Job::new(TrailSpec { hours: 480, ..TrailSpec::default() }.forge());
    assert_eq!(job.run_to(470).code, 0);
    let key = planted("2026-03-05T09:00:00Z");
    put(&job, &key, junk("2026-03-05T09:01:00Z"));
    let recheck = |percent: &str| records(job.command().args(["--end", &job.end(471), "--recheck", percent]));
    assert_eq!(job.run_to(471).code, 0);
    let some = recheck("40%");
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for digest in some.of("digest") {
        let end = digest["end"].as_str().unwrap();
        *days.entry(end[..10].to_owned()).or_default() += 1;
    }
    // The last verified digest is always among them.
    let whole = days.iter().filter(|(_, digests)| **digests == 24).count();
    assert!(days.len() <= whole + 2 && whole < 19, "{days:?}");
    let all = recheck("100%");
    let unlisted = of_kind(&all, "log_file", "unlisted");
    assert_eq!((all.code, unlisted.len()), (3, 1), "{:?}", unlisted);
    assert_eq!(unlisted[0]["key"], *key);
}

/// The digests that earlier runs verified lie in a bucket that the trail has left.
#[test]
fn a_former_place_that_is_denied_or_gone_is_a_warning() {
    let old = TrailSpec { bucket: "old-trail-logs".to_owned(), ..spec() }.forge();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let end = &old.chains[0].digests[20].document.digest_end_time;
    let server = Server::start(&old, ServerOptions::default());
    let run = |server: &Server, bucket: &str, end: &str| {
        let place = ["--trail-arn", &old.spec.arn(), "--bucket", bucket, "--end", end];
        records(ctverify_at(server).args(place).arg("--state").arg(&state))
    };
    assert_eq!(run(&server, "old-trail-logs", end).code, 0);
    let kept = std::fs::read(&state).unwrap();
    // The trail goes on in another bucket.
    let start = old.spec.start + SignedDuration::from_hours(21);
    let mut new = TrailSpec { start, hours: 10, ..TrailSpec::default() }.forge();
    let last = old.chains[0].digests[20].clone();
    new.continue_from(&last);
    let end = new.chains[0].digests.last().unwrap().document.digest_end_time.clone();
    let mut both = new.clone();
    both.merge(old.clone());
    both.spec = new.spec.clone();
    let open = Server::start(&both, ServerOptions::default());
    let there = run(&open, "example-trail-logs", &end);
    assert_eq!((there.code, there.of("warning").len()), (0, 0), "{}{}", there.stdout, there.stderr);
    std::fs::write(&state, kept).unwrap();
    let gone = Server::start(&new, ServerOptions::default());
    let gone = run(&gone, "example-trail-logs", &end);
    let told = gone.of("warning").iter().filter(|warning| warning["bucket"] == "old-trail-logs").count();
    assert_eq!(told, 1, "{}{}", gone.stdout, gone.stderr);
}

/// A trail in a copy, with a checkpoint.
struct Copied {
    made: ForgedTrail,
    mirror: Mirror,
    folder: tempfile::TempDir,
}

impl Copied {
    fn new(hours: u32) -> Self {
        let made = TrailSpec { hours, busy_percent: 100, ..TrailSpec::default() }.forge();
        let mirror = Mirror::new(&made, Layout::Keys, true);
        Self { made, mirror, folder: tempfile::tempdir().unwrap() }
    }

    fn run_to(&self, digest: usize, more: &[&str]) -> Run {
        let end = &self.made.chains[0].digests[digest].document.digest_end_time;
        let state = self.folder.path().join("state");
        records(self.mirror.command().args(["--end", end]).arg("--state").arg(state).args(more))
    }

    fn path(&self, key: &str) -> PathBuf {
        self.mirror.dir().join(key)
    }

    fn digest(&self, digest: usize) -> PathBuf {
        self.path(&self.made.chains[0].digests[digest].key)
    }
}

/// Found by an attack: with the digest that lists them exchanged, log files were deleted and
/// planted unnoticed.
#[test]
fn a_digest_of_a_verified_day_that_is_exchanged_hides_no_deletion() {
    for plants in [false, true] {
        let copied = Copied::new(60);
        assert_eq!(copied.run_to(40, &[]).code, 0);
        let genuine = std::fs::read(copied.digest(30)).unwrap();
        let file = copied.path(&copied.made.chains[0].digests[30].document.log_files[0].s3_object);
        let content = std::fs::read(&file).unwrap();
        if plants {
            let end: Timestamp = copied.made.chains[0].digests[30].document.digest_end_time.parse().unwrap();
            let key = planted(&(end - SignedDuration::from_mins(30)).to_string());
            std::fs::write(copied.path(&key), gzip(b"{}")).unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        std::fs::write(copied.digest(30), gzip(b"{}")).unwrap();
        let run = copied.run_to(42, &[]);
        assert_eq!((run.code, run.count("digest", "invalid")), (1, 1), "{}", run.stdout);
        // The invalid digest stays in the report; when the genuine one is back, the file is reported,
        // too.
        let later = copied.run_to(43, &[]);
        assert_eq!((later.code, later.count("digest", "invalid")), (1, 1), "{}", later.stdout);
        assert_eq!(later.of("summary")[0]["checkpoint"]["new"], 0);
        std::fs::write(copied.digest(30), genuine).unwrap();
        let run = copied.run_to(45, &[]);
        let (status, code) = if plants { ("unlisted", 3) } else { ("deleted", 1) };
        assert_eq!((run.code, run.count("log_file", status)), (code, 1), "{}", run.stdout);
        std::fs::write(&file, content).unwrap();
    }
}

/// Found by an attack: names below the day that hold `AWSLogs/` were not counted.
#[test]
fn a_planted_file_is_counted_whatever_lies_below_its_day() {
    let day = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/02";
    for inside in
        ["AWSLogs/p.json.gz", "xAWSLogs/p.json.gz", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/02/p.json.gz"]
    {
        let copied = Copied::new(60);
        assert_eq!(copied.run_to(50, &[]).code, 0);
        let path = copied.path(&format!("{day}/{inside}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, gzip(b"{}")).unwrap();
        for digest in [51, 52] {
            let run = copied.run_to(digest, &[]);
            assert_eq!((run.code, run.count("log_file", "unlisted")), (3, 1), "{inside} {digest}: {}", run.stdout);
        }
    }
}

/// Found by an attack: a rechecked file of an older day counted as one that was not copied.
#[test]
fn a_recheck_says_that_a_file_of_an_older_day_is_deleted() {
    let copied = Copied::new(120);
    assert_eq!(copied.run_to(100, &[]).code, 0);
    let file = &copied.made.chains[0].digests[30].document.log_files[0].s3_object;
    std::fs::remove_file(copied.path(file)).unwrap();
    let run = copied.run_to(101, &["--recheck", "100%"]);
    assert_eq!((run.code, run.count("log_file", "deleted")), (1, 1), "{}", run.stdout);
}

/// Found by an attack: log files that a copy did not hold were reported once and then forgotten.
#[test]
fn a_log_file_that_was_not_copied_stays_open_until_it_is_there_or_deleted() {
    let copied = Copied::new(120);
    assert_eq!(copied.run_to(66, &[]).code, 0);
    let day = |day: &str| copied.path(&format!("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/{day}"));
    let aside = copied.folder.path().join("aside");
    std::fs::rename(day("05"), &aside).unwrap();
    std::fs::remove_dir_all(day("04")).unwrap();
    let run = copied.run_to(90, &[]);
    let open = run.count("log_file", "unverified");
    assert!(run.code == 3 && open > 0, "{}", run.stdout);
    std::fs::rename(&aside, day("05")).unwrap();
    // A later day is there now, so the day before it was deleted.
    let run = copied.run_to(98, &[]);
    let deleted = run.count("log_file", "deleted");
    assert!(run.code == 1 && deleted >= open && run.count("log_file", "unverified") == 0, "{}", run.stdout);
}

/// Found by an attack: the finding came and went from run to run.
#[cfg(unix)]
#[test]
fn an_unlisted_name_that_can_not_be_opened_stays_in_the_report() {
    use std::os::unix::ffi::OsStrExt as _;
    for link in [false, true] {
        let copied = Copied::new(60);
        assert_eq!(copied.run_to(50, &[]).code, 0);
        let day = copied.path("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/02");
        if link {
            std::os::unix::fs::symlink("nonexistent", day.join("evil.json.gz")).unwrap();
        } else {
            std::fs::write(day.join(std::ffi::OsStr::from_bytes(b"\xff.json.gz")), b"x").unwrap();
        }
        for digest in [51, 52, 53, 54] {
            let run = copied.run_to(digest, &[]);
            assert_eq!((run.code, run.count("log_file", "unlisted")), (3, 1), "{link} {digest}: {}", run.stdout);
        }
    }
}

/// Found by an attack: another content under the decompressed name passed.
#[test]
fn a_file_that_somebody_decompressed_since_is_judged_by_its_content() {
    let copied = Copied::new(60);
    assert_eq!(copied.run_to(40, &[]).code, 0);
    let path = copied.path(&copied.made.chains[0].digests[30].document.log_files[0].s3_object);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(path.with_extension(""), b"{\"Records\":[]}").unwrap();
    let run = copied.run_to(42, &[]);
    assert_eq!((run.code, run.count("log_file", "modified")), (1, 1), "{}", run.stdout);
}
