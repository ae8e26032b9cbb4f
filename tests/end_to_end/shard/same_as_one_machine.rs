//! The records of a merged run are those of a run on one machine, whatever was done to the trail.

use base64::Engine as _;
use ctverify_testkit::{ForgedTrail, KeyFault, Server, ServerOptions, TestKey, TrailAnswer, TrailSpec, defects};
use jiff::{SignedDuration, Timestamp};

use super::distributed::{Distributed, assert_same};
use crate::coverage::explained::{LAST, NEXT, Stopped, call, gaps};
use crate::support::{Run, ctverify_at, organization_spec, range_of, records, run};

/// Several trails at one place, each in an account of its own.
pub(super) fn together(count: usize, mut forge: impl FnMut(usize, TrailSpec) -> ForgedTrail) -> ForgedTrail {
    let mut all: Option<ForgedTrail> = None;
    for index in 0..count {
        let account = format!("{:012}", 111_100_000_000_u64 + index as u64);
        let spec = TrailSpec { seed: 7 + index as u64, accounts: vec![account], ..TrailSpec::default() };
        let trail = forge(index, spec);
        match &mut all {
            Some(all) => all.merge(trail),
            None => all = Some(trail),
        }
    }
    all.unwrap()
}

/// A trail with a chain for each defect, each in an account of its own.
pub(super) fn every_defect() -> ForgedTrail {
    together(defects::ALL.len(), |index, spec| {
        let mut trail = spec.forge();
        (defects::ALL[index].apply)(&mut trail);
        trail
    })
}

/// Times at so many minutes after the begin of the forged range.
pub(super) fn minutes_from(trail: &ForgedTrail, minutes: &[i64]) -> Vec<Timestamp> {
    let begin: Timestamp = trail.chains[0].digests[0].document.digest_start_time.parse().unwrap();
    minutes.iter().map(|minutes| begin + SignedDuration::from_mins(*minutes)).collect()
}

#[test]
fn every_defect_is_judged_as_by_one_machine() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    let bucket = trail.spec.bucket.as_str();
    let [start, end] = minutes_from(&trail, &[-50, 430])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let open = vec!["--bucket", bucket, "--end", &end];
    let closed = vec!["--bucket", bucket, "--start", &start, "--end", &end];
    for (arguments, minutes, sizes) in
        [(&open, vec![70, 130, 190, 250, 310, 370], vec![5, 1, 9]), (&closed, vec![190], vec![7])]
    {
        let single = records(ctverify_at(&server).args(arguments));
        assert_eq!(single.code, 1);
        let plan = Distributed::plan(&server, arguments).recut(&minutes_from(&trail, &minutes), &sizes);
        assert_same(&plan.verdict(), &single);
    }
}

#[test]
fn an_organizations_trail_is_judged_as_by_one_machine_at_every_depth() {
    let spec = TrailSpec { hours: 9, stopped: vec![3], backfill: vec![5], busy_percent: 80, ..organization_spec() };
    let mut trail = spec.forge();
    let victim = trail.chains[1].digests[4].clone();
    trail.edit_digest(&victim, |document| document.log_files.clear());
    let lost = trail.chains[2].digests[5].document.log_files[0].s3_object.clone();
    trail.remove(&lost);
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let [start, end] = minutes_from(&trail, &[30, 560])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    for depth in ["chain", "presence", "content"] {
        let arguments = ["--trail-arn", &arn, "--start", &start, "--end", &end, "--depth", depth];
        let single = records(ctverify_at(&server).args(arguments));
        let plan = Distributed::plan(&server, &arguments).recut(&minutes_from(&trail, &[215, 300]), &[1, 2]);
        assert_same(&plan.verdict(), &single);
    }
}

#[test]
fn gaps_are_explained_as_by_one_machine_wherever_the_units_are_cut() {
    let mut stopped = Stopped::new();
    let (from, to) = (stopped.stopped_at(), stopped.started_at());
    let name = serde_json::json!({"name": "management-events"});
    stopped.put(LAST, &[call("StopLogging", from, name.clone())]);
    stopped.put(NEXT, &[call("StartLogging", to, name.clone())]);
    // Another call of the home region ends the chain of the other region alone.
    let spec = stopped.trail.spec.clone();
    let in_region = |region: &str| TrailSpec { regions: vec![region.to_owned()], ..spec.clone() };
    let mut trail = TrailSpec { stopped: Vec::new(), ..in_region("eu-west-1") }.forge();
    trail.merge(in_region("us-east-1").forge());
    let mut other_region = Stopped { trail, gaps: Vec::new() };
    let one_region = serde_json::json!({"name": "management-events", "isMultiRegionTrail": false});
    other_region.put(LAST, &[call("UpdateTrail", stopped.gaps[1].0 - SignedDuration::from_mins(2), one_region)]);
    for (trail, explained) in [(&stopped.trail, 2), (&other_region.trail, 1)] {
        let server = Server::start(trail, ServerOptions::default());
        let arn = trail.spec.arn();
        // Hours before the range are looked into, where it begins shortly before the gap.
        for (begin, cuts) in [(30, vec![245]), (30, vec![200, 300, 365, 420]), (200, vec![]), (200, vec![245, 300])] {
            let [start, end] = minutes_from(trail, &[begin, 560])[..] else { unreachable!() };
            let (start, end) = (start.to_string(), end.to_string());
            let arguments = ["--trail-arn", &arn, "--start", &start, "--end", &end];
            let single = records(ctverify_at(&server).args(arguments));
            let found = gaps(&single).iter().filter(|gap| gap["explained_by"] != serde_json::Value::Null).count();
            assert_eq!(found, explained, "{}", single.stdout);
            let plan = Distributed::plan(&server, &arguments).recut(&minutes_from(trail, &cuts), &[1]);
            assert_same(&plan.verdict(), &single);
        }
    }
    // Without the home region, no unit has its log files.
    let server = Server::start(&stopped.trail, ServerOptions::default());
    let arn = stopped.trail.spec.arn();
    let merged = Distributed::plan(&server, &["--trail-arn", &arn, "--regions", "us-east-1"]).verdict();
    let [gap] = &*gaps(&merged) else { panic!("{}", merged.stdout) };
    let detail = gap["detail"].as_str().unwrap();
    assert!(detail.contains("events that may explain it could not be looked for: no unit of the plan"), "{detail}");
}

/// Found by an attack: the calls of a log file that could be read only once were lost, and nothing said so.
#[test]
fn a_unit_whose_log_file_can_be_read_only_once_has_no_result() {
    let mut trail = defects::small_trail();
    let digest = &trail.chains[0].digests[3].document;
    let (key, at) = (digest.log_files[0].s3_object.clone(), digest.digest_start_time.parse().unwrap());
    let stop = call("StopLogging", at, serde_json::json!({"name": "another"}));
    trail.redeliver(&key, serde_json::json!({"Records": [stop]}).to_string().as_bytes());
    let arguments = range_of(&trail);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let with = |fault: Option<KeyFault>| {
        let key_faults = fault.map(|fault| (key.clone(), fault)).into_iter().collect();
        Server::start(&trail, ServerOptions { key_faults, ..ServerOptions::default() })
    };
    let server = with(None);
    let single = records(ctverify_at(&server).args(&arguments));
    assert_same(&Distributed::plan(&server, &arguments).verdict(), &single);
    // Whoever runs the unit again gets its result.
    let server = with(Some(KeyFault::DeniedLater));
    let plan = Distributed::plan(&server, &arguments);
    let failed = plan.verify_all();
    let says = "a log file that may have calls which the unit looks for could not be read a second time";
    assert!(failed.code == 4 && failed.stderr.contains(says), "{} {}", failed.code, failed.stderr);
    assert!(!plan.results().join("unit-000000.jsonl.gz").exists());
    // A log file that is deleted in the meantime was intact when it was read.
    let server = with(Some(KeyFault::VanishesLater));
    let plan = Distributed::plan(&server, &arguments);
    assert_same(&plan.verdict(), &single);
}

#[test]
fn a_long_chain_is_cut_at_days_and_merged_without_a_trace() {
    let spec = TrailSpec { hours: 24 * 4, busy_percent: 40, ..TrailSpec::default() };
    let trail = spec.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let [start, end] = minutes_from(&trail, &[5, 24 * 4 * 60 - 30])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--trail-arn", &arn, "--start", &start, "--end", &end];
    let single = records(ctverify_at(&server).args(arguments));
    assert_eq!(single.verdict(), "verified", "{}", single.stdout);
    let plan = Distributed::plan(&server, &[&arguments[..], &["--unit-objects", "60"]].concat());
    let units = plan.units();
    let begins: Vec<String> = units.iter().map(|unit| unit.range.start.unwrap().to_string()).collect();
    let days = ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z"];
    assert_eq!(begins[1..], days);
    assert_same(&plan.verdict(), &single);
    // Each object of the range was read once. At an edge a unit reads the next digest, too, and where
    // that lists not all files of its last minutes, those of the two days around the edge.
    let merged = records(&mut plan.merge());
    let gets = |run: &Run| run.of("summary")[0]["requests"]["get"].as_u64().unwrap();
    let most = gets(&single) + 3 * 24 * units.len() as u64;
    assert!((gets(&single)..=most).contains(&gets(&merged)), "{} {}", gets(&single), gets(&merged));
}

#[test]
fn the_same_listings_give_the_same_units() {
    let trail = TrailSpec { hours: 60, regions: vec!["us-east-1".into(), "eu-west-1".into()], ..TrailSpec::default() };
    let trail = trail.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let arguments = ["--trail-arn", &trail.spec.arn(), "--end", "2026-03-03T00:00:00Z", "--unit-objects", "40"];
    let plans: Vec<Distributed> = (0..2).map(|_| Distributed::plan(&server, &arguments)).collect();
    assert_eq!(plans[0].units(), plans[1].units());
    assert!(plans[0].units().len() > 2);
    // In another order they are the same parts, under other numbers.
    let ordered = Distributed::plan(&server, &[&arguments[..], &["--group-by-prefix-rate"]].concat());
    let parts = |plan: &Distributed| {
        let mut parts: Vec<_> = plan.units().into_iter().map(|unit| (unit.range.start, unit.chains)).collect();
        parts.sort_by_key(|(start, chains)| (*start, chains[0].id.clone()));
        parts
    };
    assert_eq!(parts(&ordered), parts(&plans[0]));
    let regions: Vec<String> = ordered.units().iter().map(|unit| unit.chains[0].id.region.to_string()).collect();
    assert!(regions.windows(2).take(2).all(|pair| pair[0] != pair[1]), "{regions:?}");
    // An estimate lists less, and has the same chains.
    let estimated = Distributed::plan(&server, &[&arguments[..], &["--estimate", "--seed", "4"]].concat());
    let manifest = estimated.manifest();
    assert_eq!((manifest.chains, manifest.seed), (2, Some(4)));
    assert!(manifest.estimate.log_files > 0);
    // The summary for scripts.
    let json = run(ctverify_at(&server)
        .args(["plan", "--format", "json", "--output"])
        .arg(plans[0].results())
        .args(arguments));
    let summary: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(summary["units"], plans[0].units().len());
}

#[test]
fn what_only_the_plan_asked_is_told_by_the_merge() {
    // Log files of another trail, without digests, lie in a region where this one has none.
    let mut trail = TrailSpec { hours: 4, busy_percent: 100, ..TrailSpec::default() }.forge();
    let silent_spec = TrailSpec {
        name: "silent-trail".to_owned(),
        regions: vec!["eu-west-1".to_owned()],
        hours: 4,
        busy_percent: 100,
        seed: 99,
        ..TrailSpec::default()
    };
    let silent = silent_spec.forge();
    trail.objects.extend(silent.objects.into_iter().filter(|((_, key), _)| !key.contains("Digest")));
    let other = TrailAnswer {
        arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/silent-trail".to_owned(),
        bucket: trail.spec.bucket.clone(),
        prefix: String::new(),
        organization: None,
        validated: false,
    };
    let server = Server::start(&trail, ServerOptions { other_trails: vec![other], ..ServerOptions::default() });
    let arn = trail.spec.arn();
    let arguments = ["--trail-arn", &arn, "--start", "2026-03-01T00:00:00Z", "--end", "2026-03-01T03:00:00Z"];
    let single = records(ctverify_at(&server).args(arguments));
    assert!(single.of("warning").iter().any(|warning| warning["code"] == "unlisted_not_judged"), "{}", single.stdout);
    assert_same(&Distributed::plan(&server, &arguments).verdict(), &single);

    // A public key that CloudTrail does not publish.
    let mut keys = trail.keys_by_region();
    let mut foreign = keys["us-east-1"]["PublicKeyList"][0].clone();
    let key = TestKey::number(11);
    foreign["Value"] = serde_json::json!(base64::engine::general_purpose::STANDARD.encode(&key.public_der));
    foreign["Fingerprint"] = serde_json::json!(key.fingerprint);
    keys["us-east-1"]["PublicKeyList"].as_array_mut().unwrap().push(foreign);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, keys.to_string()).unwrap();
    let checked = [&arguments[..], &["--keys", file.to_str().unwrap(), "--check-keys"]].concat();
    let single = records(ctverify_at(&server).args(&checked));
    assert_eq!(single.code, 1, "{}{}", single.stdout, single.stderr);
    assert_same(&Distributed::plan(&server, &checked).verdict(), &single);
}

#[test]
fn a_permission_that_units_lack_makes_no_difference() {
    let mut trail = TrailSpec { hours: 8, busy_percent: 100, ..organization_spec() }.forge();
    let lost: Vec<String> = trail
        .objects
        .keys()
        .map(|(_, key)| key.clone())
        .filter(|key| key.ends_with("7.json.gz") || key.contains("T0"))
        .step_by(3)
        .collect();
    lost.iter().for_each(|key| drop(trail.remove(key)));
    let denied =
        ServerOptions { denied_operations: ["ListObjectVersions".to_owned()].into(), ..ServerOptions::default() };
    let server = Server::start(&trail, denied);
    let arguments =
        ["--bucket", trail.spec.bucket.as_str(), "--prefix", &trail.spec.prefix, "--end", "2026-03-01T07:00:00Z"];
    let single = records(ctverify_at(&server).args(arguments));
    assert_eq!(single.code, 1, "{}", single.stdout);
    let plan = Distributed::plan(&server, &arguments).recut(&[], &[2]);
    assert_same(&plan.verdict(), &single);
    // The answer that there is no permission comes to whichever object is asked about first.
    let whole = std::fs::read(super::distributed::result_of(&plan.results(), 0)).unwrap();
    for _ in 0..3 {
        std::fs::remove_dir_all(plan.results()).unwrap();
        assert_eq!(plan.verify_all().code, 0);
        assert!(std::fs::read(super::distributed::result_of(&plan.results(), 0)).unwrap() == whole);
    }
}
