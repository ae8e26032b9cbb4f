//! Log files that no digest lists, and how deep an audit looks.

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, Stored, TrailAnswer, TrailSpec, defects, gzip};
use serde_json::json;

use crate::support::{Mirror, Run, ctverify_at, range_of, records, run, verify_folder, verify_s3};

/// Plants a log file in the log folder, named for this minute, and returns its key.
fn plant(trail: &mut ForgedTrail, minute: &str, unique: &str) -> String {
    let day = format!("{}/{}/{}", &minute[..4], &minute[4..6], &minute[6..8]);
    plant_at(trail, &format!("{day}/111122223333_CloudTrail_us-east-1_{minute}_{unique}.json.gz"))
}

fn plant_at(trail: &mut ForgedTrail, inside: &str) -> String {
    let key = format!("AWSLogs/111122223333/CloudTrail/us-east-1/{inside}");
    let stored = Stored {
        body: gzip(b"{\"Records\":[]}").into(),
        metadata: Default::default(),
        last_modified: "2026-03-01T03:00:00Z".parse().unwrap(),
    };
    trail.objects.insert((trail.spec.bucket.clone(), key.clone()), stored);
    key
}

fn unlisted(run: &Run) -> Vec<&str> {
    let files = run.of("log_file").into_iter().filter(|file| file["status"] == "unlisted");
    files.map(|file| file["key"].as_str().unwrap()).collect()
}

#[test]
fn a_file_that_no_digest_lists_is_found_in_the_folder_and_over_s3() {
    let mut trail = defects::small_trail();
    let planted = [
        plant(&mut trail, "20260301T0220Z", "PlantedPlanted01"),
        plant(&mut trail, "20260301T0400Z", "PlantedPlanted02"),
    ];
    for run in [verify_folder(&trail), verify_s3(&trail)] {
        assert_eq!((run.code, run.verdict()), (3, "inconclusive"), "{}", run.stdout);
        assert_eq!(unlisted(&run), planted.iter().map(String::as_str).collect::<Vec<_>>());
        let record = run.of("log_file").into_iter().find(|file| file["status"] == "unlisted").unwrap().clone();
        assert_eq!((&record["fault"], &record["digest"]), (&json!("not_listed"), &json!(null)));
        // Unlisted files come after the digests and their log files, and before the gaps and the
        // chain.
        let kinds: Vec<_> = run.records.iter().map(|record| record["record"].as_str().unwrap()).collect();
        assert_eq!(&kinds[kinds.len() - 5..], ["log_file", "log_file", "chain", "circumstances", "summary"]);
    }
}

#[test]
fn unlisted_files_can_be_allowed() {
    let mut trail = defects::small_trail();
    plant(&mut trail, "20260301T0220Z", "PlantedPlanted01");
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let allowed = records(mirror.command().args(["--allow", "unlisted"]));
    assert_eq!((allowed.code, unlisted(&allowed).len()), (0, 1));
}

#[test]
fn a_file_with_a_name_of_its_own_is_judged_by_its_folders_day() {
    let mut trail = TrailSpec { hours: 80, ..TrailSpec::default() }.forge();
    let odd = plant_at(&mut trail, "2026/03/02/report.json.gz");
    plant_at(&mut trail, "2026/03/09/report.json.gz");
    let deeper =
        plant_at(&mut trail, "2026/03/02/x/111122223333_CloudTrail_us-east-1_20260302T1005Z_PlantedPlanted01.json.gz");
    let run = verify_folder(&trail);
    assert_eq!((run.code, unlisted(&run)), (3, vec![odd.as_str(), deeper.as_str()]));
}

#[test]
fn files_at_the_edge_of_what_is_covered_are_left_alone() {
    let mut trail = defects::small_trail();
    // The chain covers 23:25:30 to 06:25:30.
    plant(&mut trail, "20260228T2340Z", "PlantedPlanted01");
    plant(&mut trail, "20260301T0615Z", "PlantedPlanted02");
    plant(&mut trail, "20260301T0700Z", "PlantedPlanted03");
    // In a copy, files named within two hours of the newest digest are too fresh to be judged; in
    // S3, files that were just written are.
    let late = plant(&mut trail, "20260301T0610Z", "PlantedPlanted04");
    let inside = plant(&mut trail, "20260301T0420Z", "PlantedPlanted05");
    let (copy, s3) = (verify_folder(&trail), verify_s3(&trail));
    assert_eq!((unlisted(&copy), unlisted(&s3)), (vec![inside.as_str()], vec![inside.as_str(), late.as_str()]));
    let counts = |run: &Run| {
        let chain = run.of("chain")[0];
        (chain["fresh_log_files"].as_u64().unwrap(), chain["edge_log_files"].as_u64().unwrap())
    };
    assert_eq!((counts(&copy), counts(&s3)), ((2, 1), (0, 2)), "{}", copy.stdout);
}

#[test]
fn files_in_a_gap_are_counted_in_its_detail() {
    let mut trail = TrailSpec { stopped: vec![3, 4], ..defects::small_trail().spec }.forge();
    // Logging was off from 02:25:30 to 04:25:30.
    plant(&mut trail, "20260301T0300Z", "PlantedPlanted01");
    plant(&mut trail, "20260301T0330Z", "PlantedPlanted02");
    let run = verify_folder(&trail);
    assert!(unlisted(&run).is_empty());
    let detail = run.of("gap")[0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("2 log files lie here"), "{detail}");
}

#[test]
fn what_another_trails_digests_list_is_listed() {
    let mut trail = defects::small_trail();
    trail.merge(TrailSpec { name: "second-trail".to_owned(), seed: 9, ..TrailSpec::default() }.forge());
    let planted = plant(&mut trail, "20260301T0220Z", "PlantedPlanted01");
    let run = verify_s3(&trail);
    assert_eq!((run.of("chain").len(), unlisted(&run)), (1, vec![planted.as_str()]), "{}", run.stdout);
    // If both trails are asked for, the file is reported once.
    let run = records(&mut Mirror::new(&trail, Layout::Keys, true).command());
    assert_eq!((run.of("chain").len(), unlisted(&run)), (2, vec![planted.as_str()]));
}

#[test]
fn beside_a_trail_without_digests_unlisted_files_can_not_be_judged() {
    let mut trail = defects::small_trail();
    plant(&mut trail, "20260301T0220Z", "PlantedPlanted01");
    let silent = TrailAnswer {
        arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/silent-trail".to_owned(),
        bucket: trail.spec.bucket.clone(),
        prefix: String::new(),
        organization: None,
        validated: false,
    };
    let run_beside = |other: TrailAnswer| {
        let server = Server::start(&trail, ServerOptions { other_trails: vec![other], ..ServerOptions::default() });
        records(ctverify_at(&server).args(range_of(&trail)))
    };
    let run = run_beside(silent.clone());
    assert_eq!((run.code, unlisted(&run).len()), (3, 0), "{}", run.stdout);
    let warning = run.of("warning")[0].clone();
    assert_eq!(warning["code"], "unlisted_not_judged");
    assert!(warning["detail"].as_str().unwrap().contains("silent-trail"));
    for harmless in
        [TrailAnswer { validated: true, ..silent.clone() }, TrailAnswer { bucket: "other".into(), ..silent }]
    {
        assert_eq!(unlisted(&run_beside(harmless)).len(), 1);
    }
}

#[test]
fn a_log_folder_that_can_not_be_listed_leaves_the_verdict_open() {
    let trail = defects::small_trail();
    let denied = vec!["AWSLogs/111122223333/CloudTrail/".to_owned()];
    let server = Server::start(&trail, ServerOptions { denied_prefixes: denied, ..ServerOptions::default() });
    for (allow, code) in [(&[][..], 3), (&["--allow", "unlisted"], 0)] {
        let run = records(ctverify_at(&server).args(range_of(&trail)).args(allow));
        assert_eq!((run.code, &run.of("warning")[0]["code"]), (code, &json!("unlisted_not_judged")), "{}", run.stdout);
    }
}

#[test]
fn depth_chain_reads_digests_alone() {
    let mut trail = defects::small_trail();
    let log_file = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    trail.remove(&log_file);
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(range_of(&trail)).args(["--depth", "chain"]));
    assert_eq!((run.code, run.of("log_file").len()), (0, 0), "{}", run.stdout);
    assert_eq!(server.calls("GetObject"), trail.digest_count() as u64);
    let (first, summary) = (run.of("run")[0], run.of("summary")[0]);
    assert_eq!((&first["depth"], &summary["depth"]), (&json!("chain"), &json!("chain")));
    assert_eq!(summary["log_files"]["unverified"], trail.log_file_count());
    assert_eq!(summary["log_files"]["not_read"], trail.log_file_count());
}

#[test]
fn depth_presence_finds_what_is_gone_by_listing() {
    let mut trail = TrailSpec { hours: 30, ..TrailSpec::default() }.forge();
    let modified = trail.chains[0].digests[3].document.log_files[0].s3_object.clone();
    let deleted = trail.chains[0].digests[20].document.log_files[0].s3_object.clone();
    trail.replace(&modified, &b"tampered"[..]);
    let server = Server::start(&trail, ServerOptions::default());
    let presence = || records(ctverify_at(&server).args(range_of(&trail)).args(["--depth", "presence"]));
    let run = presence();
    assert_eq!((run.code, run.of("log_file").len()), (0, 0), "{}", run.stdout);
    // Files that are there are counted in the summary only, since their content was not read.
    assert_eq!(run.of("summary")[0]["log_files"]["unverified"], trail.log_file_count());
    assert_eq!(server.calls("GetObject"), trail.digest_count() as u64);
    server.delete("example-trail-logs", &deleted, jiff::Timestamp::now());
    let run = presence();
    let found = run.of("log_file");
    assert_eq!(
        (run.code, found.len(), &found[0]["status"], &found[0]["key"]),
        (1, 1, &json!("deleted"), &json!(deleted))
    );
    // The same holds for a copy, however it is laid out.
    trail.remove(&deleted);
    for layout in [Layout::Keys, Layout::AwsLogs] {
        let local = records(Mirror::new(&trail, layout, true).command().args(["--depth", "presence"]));
        assert_eq!((local.code, local.of("log_file").len()), (1, 1), "{}", local.stdout);
    }
}

#[test]
fn the_text_report_says_how_deep_it_looked() {
    let mirror = Mirror::new(&defects::small_trail(), Layout::Keys, true);
    for (depth, words) in [("chain", "were not looked at"), ("presence", "what is in them was not read")] {
        let text = run(mirror.command().args(["--depth", depth])).stdout;
        assert!(text.contains(words) && text.contains(&format!("depth   {depth}")), "{text}");
    }
}
