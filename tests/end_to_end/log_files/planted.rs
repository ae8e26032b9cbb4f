//! Objects that somebody planted: log files by name and place, digests in great number, pointers to
//! other places.

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, Stored, TrailSpec, defects, gunzip, gzip};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Mirror, Run, ctverify_at, range_of, records, verify_folder, verify_s3};

const ROOT: &str = "AWSLogs/111122223333";

fn put(trail: &mut ForgedTrail, bucket: &str, key: &str) -> String {
    let stored = Stored {
        body: gzip(b"{\"Records\":[]}").into(),
        metadata: Default::default(),
        last_modified: "2026-03-01T03:00:00Z".parse().unwrap(),
    };
    trail.objects.insert((bucket.to_owned(), key.to_owned()), stored);
    key.to_owned()
}

/// Returns the keys of the log files with this status.
fn found<'a>(run: &'a Run, status: &str) -> Vec<&'a str> {
    let files = run.of("log_file").into_iter().filter(|file| file["status"] == status);
    files.map(|file| file["key"].as_str().unwrap()).collect()
}

/// Issue: "Planted log files by name": only the time in a file's name counted, wherever it lay.
#[test]
fn planted_log_files_are_found_whatever_their_names_and_folders_tell() {
    let bucket = "example-trail-logs";
    let file = "111122223333_CloudTrail_us-east-1";
    for planted in [
        format!("{ROOT}/CloudTrail/us-east-1/2026/03/01/{file}_20990101T0000Z_PlantedPlanted01.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/2026/03/01/{file}_20100101T0000Z_PlantedPlanted01.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/2026/03/01/x.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/x.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/2026/x.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/2026/03/!x.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/2026/3/1/{file}_20260301T0300Z_PlantedPlanted01.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/2026/02/30/{file}_20260301T0300Z_PlantedPlanted01.json.gz"),
        format!("{ROOT}/CloudTrail/us-east-1/evil/2026/03/01/{file}_20260301T0300Z_PlantedPlanted01.json.gz"),
    ] {
        let mut trail = defects::small_trail();
        put(&mut trail, bucket, &planted);
        for run in [verify_folder(&trail), verify_s3(&trail)] {
            assert_eq!((run.code, found(&run, "unlisted")), (3, vec![planted.as_str()]), "{}", run.stdout);
            assert_eq!(run.of("log_file").last().unwrap()["region"], "us-east-1");
        }
    }
}

/// Issue: "Objects beside the regions pass".
#[test]
fn objects_in_no_regions_folder_stand_first_with_region_null() {
    let planted =
        [format!("{ROOT}/CloudTrail/US-EAST-1/2026/03/01/x.json.gz"), format!("{ROOT}/CloudTrail/evil.json.gz")];
    let mut trail = defects::small_trail();
    planted.iter().for_each(|key| drop(put(&mut trail, "example-trail-logs", key)));
    for run in [verify_folder(&trail), verify_s3(&trail)] {
        assert_eq!((run.code, found(&run, "unlisted")), (3, planted.iter().map(String::as_str).collect()));
        let first = run.records.iter().position(|record| record["record"] == "log_file").unwrap();
        assert!(run.records[first]["region"].is_null() && first < 3, "{}", run.stdout);
        assert_eq!(run.of("chain").len(), 1);
    }
    // They belong to no region that could be asked for.
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(range_of(&trail)).args(["--regions", "us-east-1"]));
    assert_eq!((run.code, found(&run, "unlisted").len()), (0, 0), "{}", run.stdout);
    // A scheduled run reports them as new once.
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let scheduled = || {
        let place = ["--bucket", "example-trail-logs", "--trail-arn", &trail.spec.arn(), "--end"];
        let end = &trail.chains[0].digests.last().unwrap().document.digest_end_time;
        records(ctverify_at(&server).args(place).arg(end).arg("--state").arg(&state))
    };
    let (first, second) = (scheduled(), scheduled());
    let new = |run: &Run| run.of("summary")[0]["checkpoint"]["new"].as_u64().unwrap();
    assert_eq!((new(&first), new(&second)), (2, 0), "{}", second.stdout);
    assert_eq!(second.of("log_file")[0]["since"], first.of("run")[0]["started"]);
}

/// Contract: zero-byte keys that end in a slash are folder markers; so are metadata and hidden
/// files in a copy.
#[test]
fn folder_markers_and_artefacts_of_a_copy_are_left_alone() {
    let mut trail = defects::small_trail();
    let marker = Stored { body: Vec::new().into(), metadata: Default::default(), last_modified: Timestamp::UNIX_EPOCH };
    for key in
        ["CloudTrail/", "CloudTrail/us-east-1/", "CloudTrail/us-east-1/2026/03/01/", "CloudTrail/us-east-1/2026/"]
    {
        trail.objects.insert(("example-trail-logs".to_owned(), format!("{ROOT}/{key}")), marker.clone());
    }
    let run = verify_s3(&trail);
    assert_eq!((run.code, found(&run, "unlisted").len()), (0, 0), "{}", run.stdout);
    let mut trail = defects::small_trail();
    let listed = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
    put(&mut trail, "example-trail-logs", &format!("{ROOT}/CloudTrail/us-east-1/2026/03/01/.DS_Store"));
    put(&mut trail, "example-trail-logs", &format!("{ROOT}/CloudTrail/us-east-1/.DS_Store"));
    put(&mut trail, "example-trail-logs", &format!("{listed}.metadata.json"));
    put(&mut trail, "example-trail-logs", listed.strip_suffix(".gz").unwrap());
    let run = verify_folder(&trail);
    assert_eq!((run.code, found(&run, "unlisted").len()), (0, 0), "{}", run.stdout);
}

/// Issue: "A digest lists `ct-other/K`; `ct-evidence/K` is planted".
#[test]
fn a_file_planted_under_another_buckets_name_is_not_the_one_that_is_listed() {
    let mut trail = TrailSpec { hours: 8, ..TrailSpec::default() }.forge();
    trail.house_before(4, "ct-other");
    let listed = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
    put(&mut trail, "example-trail-logs", &listed);
    let run = records(&mut Mirror::new(&trail, Layout::Buckets, true).command());
    assert_eq!((run.code, found(&run, "unlisted")), (3, vec![listed.as_str()]), "{}", run.stdout);
    assert_eq!(run.of("log_file").last().unwrap()["bucket"], "example-trail-logs");
}

/// Issue: "Every log file in the range is named".
#[test]
fn a_log_file_whose_digest_was_deleted_is_named() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests[2].clone();
    let file = digest.document.log_files[0].s3_object.clone();
    trail.replace(&file, gzip(b"{}"));
    trail.remove(&digest.key);
    for run in [verify_folder(&trail), verify_s3(&trail)] {
        assert_eq!((run.code, found(&run, "uncovered")), (1, vec![file.as_str()]), "{}", run.stdout);
        let record = run.of("log_file").into_iter().find(|record| record["status"] == "uncovered").unwrap().clone();
        assert_eq!((&record["fault"], &record["digest"]), (&json!("not_covered"), &Value::Null));
        assert_eq!(run.of("gap")[0]["uncovered_log_files"], 1);
        assert_eq!(run.of("summary")[0]["log_files"]["uncovered"], 1);
    }
}

/// Issue: "log files delivered late are `unlisted`".
#[test]
fn a_log_file_that_was_delivered_late_is_not_called_unlisted() {
    // A log file named five hours ago, and written ten minutes ago.
    let start = Timestamp::now() - SignedDuration::from_hours(10);
    let mut trail = TrailSpec { start, hours: 8, ..TrailSpec::default() }.forge();
    let named = Timestamp::now() - SignedDuration::from_hours(5);
    let late = format!(
        "{ROOT}/CloudTrail/us-east-1/{}/111122223333_CloudTrail_us-east-1_{}_LateLateLateLate.json.gz",
        named.strftime("%Y/%m/%d"),
        named.strftime("%Y%m%dT%H%MZ")
    );
    put(&mut trail, "example-trail-logs", &late);
    trail.object_mut(&late).last_modified = Timestamp::now() - SignedDuration::from_mins(10);
    let verify = |trail: &ForgedTrail| {
        let server = Server::start(trail, ServerOptions::default());
        records(ctverify_at(&server).args(["--trail-arn", &trail.spec.arn(), "--start", "9h"]))
    };
    let run = verify(&trail);
    assert_eq!((run.code, found(&run, "unlisted").len()), (0, 0), "{}", run.stdout);
    assert_eq!(run.of("chain")[0]["fresh_log_files"], 1);
    trail.object_mut(&late).last_modified = Timestamp::now() - SignedDuration::from_hours(3);
    assert_eq!(found(&verify(&trail), "unlisted"), [late.as_str()]);

    // A log file that is listed by a digest four hours past the end of the range.
    let mut trail = TrailSpec { hours: 12, ..TrailSpec::default() }.forge();
    let early = trail.chains[0].digests[2].document.clone();
    let late = early.log_files[0].clone();
    trail.reissue(|index, document| match index {
        2 => document.log_files.clear(),
        8 => document.log_files.push(late.clone()),
        _ => {}
    });
    let (start, end) = (&early.digest_start_time, trail.chains[0].digests[4].document.digest_end_time.clone());
    let server = Server::start(&trail, ServerOptions::default());
    let place = ["--bucket", "example-trail-logs", "--start", start, "--end", &end];
    let run = records(ctverify_at(&server).args(place));
    assert_eq!((run.code, found(&run, "unlisted").len()), (0, 0), "{}", run.stdout);
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let run = records(mirror.command().args(["--start", start, "--end", &end]));
    assert_eq!((run.code, found(&run, "unlisted").len()), (0, 0), "{}", run.stdout);
}

/// Issue: "so are those of another trail whose digest can't be read".
#[test]
fn a_file_that_an_unreadable_digest_of_another_trail_may_list_is_unverified() {
    let mut trail = defects::small_trail();
    trail.merge(TrailSpec { name: "second-trail".to_owned(), seed: 9, ..TrailSpec::default() }.forge());
    let denied = trail.chains[1].digests[3].key.clone();
    let files = trail.chains[1].digests[3].document.log_files.len();
    let server = Server::start(&trail, ServerOptions { denied_keys: [denied].into(), ..ServerOptions::default() });
    let run = records(ctverify_at(&server).args(range_of(&trail)));
    assert_eq!((run.code, found(&run, "unlisted").len()), (3, 0), "{}", run.stdout);
    assert_eq!(found(&run, "unverified").len(), files);
}

/// Contract: other log folders are looked into once a valid digest lists a file there.
#[test]
fn a_log_folder_of_other_events_is_looked_into_once_a_digest_lists_a_file_there() {
    for folder in ["CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"] {
        let mut trail = TrailSpec { hours: 8, ..TrailSpec::default() }.forge();
        let named = |name: &str| {
            format!("{ROOT}/{folder}/us-east-1/2026/03/01/111122223333_{folder}_us-east-1_20260301T0{name}.json.gz")
        };
        let planted = put(&mut trail, "example-trail-logs", &named("300Z_PlantedPlanted01"));
        assert_eq!(found(&verify_s3(&trail), "unlisted").len(), 0);
        let like = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
        let body = trail.object_mut(&like).body.clone();
        let listed = named("155Z_GenuineGenuine01");
        trail.deliver_beside(2, &like, &listed, &gunzip(&body).unwrap());
        for run in [verify_folder(&trail), verify_s3(&trail)] {
            assert_eq!((run.code, found(&run, "unlisted")), (3, vec![planted.as_str()]), "{}", run.stdout);
            assert!(found(&run, "intact").contains(&&*listed));
        }
        // CloudTrail Lake's folder is no log folder of the trail.
        put(&mut trail, "example-trail-logs", &planted.replace(folder, "CloudTrail-Lake"));
        assert_eq!(found(&verify_s3(&trail), "unlisted").len(), 1);
    }
}
