//! Attacks on the places where two units meet: they are found as one machine finds them.

use ctverify_testkit::{ForgedTrail, KeyAuthority, Server, ServerOptions, TrailSpec, gzip};
use jiff::{SignedDuration, Timestamp};

use super::distributed::{Distributed, assert_same};
use super::same_as_one_machine::{minutes_from, together};
use crate::support::{ctverify_at, records, run};

/// The digest at whose period the units meet.
const AT: usize = 4;

/// An attack on the digest at the seam or on what lies beside it.
struct Attack {
    name: &'static str,
    apply: fn(&mut ForgedTrail),
}

fn key(trail: &ForgedTrail, index: usize) -> String {
    trail.chains[0].digests[index].key.clone()
}

fn log_file(trail: &ForgedTrail, index: usize) -> String {
    trail.chains[0].digests[index].document.log_files[0].s3_object.clone()
}

/// Copies a log file to a name of this many minutes after its own.
fn plant(trail: &mut ForgedTrail, index: usize, minutes: i64) {
    let own = log_file(trail, index);
    let stored = trail.object_mut(&own).clone();
    let at = own.rsplit('_').nth(1).unwrap();
    let time: Timestamp =
        format!("{}-{}-{}T{}:{}:00Z", &at[..4], &at[4..6], &at[6..8], &at[9..11], &at[11..13]).parse().unwrap();
    let planted = (time + SignedDuration::from_mins(minutes)).strftime("%Y%m%dT%H%MZ").to_string();
    let name = format!("{}XXXX.json.gz", &own[..own.len() - 12].replace(at, &planted));
    trail.objects.insert((trail.spec.bucket.clone(), name), stored);
}

const ATTACKS: &[Attack] = &[
    Attack { name: "nothing", apply: |_| {} },
    Attack {
        name: "the digest at the seam is deleted",
        apply: |trail| {
            let key = key(trail, AT);
            trail.remove(&key);
        },
    },
    Attack {
        name: "the digests on both sides are deleted",
        apply: |trail| {
            for index in [AT, AT + 1] {
                let key = key(trail, index);
                trail.remove(&key);
            }
        },
    },
    Attack {
        name: "the digest at the seam is replaced by one that CloudTrail signed",
        apply: |trail| {
            let digest = trail.chains[0].digests[AT].clone();
            let end = digest.document.digest_end_time.parse().unwrap();
            let own = KeyAuthority::default().signing_key(&trail.chains[0].region, end);
            trail.forge_digest(&digest, &own, |document| document.log_files.clear());
        },
    },
    Attack {
        name: "an older digest is replayed at the seam",
        apply: |trail| {
            let (old, new) = (key(trail, AT - 2), key(trail, AT));
            let stored = trail.object_mut(&old).clone();
            *trail.object_mut(&new) = stored;
        },
    },
    Attack {
        name: "the digest at the seam is edited",
        apply: |trail| {
            let digest = trail.chains[0].digests[AT].clone();
            trail.edit_digest(&digest, |document| document.log_files.clear());
        },
    },
    Attack {
        name: "the signature at the seam is gone",
        apply: |trail| {
            let key = key(trail, AT);
            trail.object_mut(&key).metadata.clear();
        },
    },
    Attack {
        name: "the signatures on both sides are gone",
        apply: |trail| {
            for index in [AT, AT + 1] {
                let key = key(trail, index);
                trail.object_mut(&key).metadata.clear();
            }
        },
    },
    Attack {
        name: "a log file is listed on both sides",
        apply: |trail| {
            let entry = trail.chains[0].digests[AT].document.log_files[0].clone();
            trail.reissue(|index, document| {
                if index == AT + 1 {
                    document.log_files.push(entry.clone());
                }
            });
        },
    },
    Attack {
        name: "a log file is listed on both sides with different hashes",
        apply: |trail| {
            let mut entry = trail.chains[0].digests[AT].document.log_files[0].clone();
            entry.hash_value = "0".repeat(64);
            trail.reissue(|index, document| {
                if index == AT + 1 {
                    document.log_files.push(entry.clone());
                }
            });
        },
    },
    Attack {
        name: "a log file is listed again far from its own digest",
        apply: |trail| {
            let entry = trail.chains[0].digests[1].document.log_files[0].clone();
            trail.reissue(|index, document| {
                if index == AT + 3 {
                    document.log_files.push(entry.clone());
                }
            });
        },
    },
    Attack {
        name: "a log file at the seam is deleted",
        apply: |trail| {
            let key = log_file(trail, AT);
            trail.remove(&key);
        },
    },
    Attack {
        name: "a log file at the seam is replaced",
        apply: |trail| {
            let key = log_file(trail, AT);
            trail.replace(&key, gzip(b"{\"Records\":[]}"));
        },
    },
    Attack { name: "a log file is planted before the seam", apply: |trail| plant(trail, AT, 0) },
    Attack { name: "a log file is planted after the seam", apply: |trail| plant(trail, AT, 45) },
    Attack {
        name: "log files are planted far from each other",
        apply: |trail| {
            plant(trail, 1, 20);
            plant(trail, AT + 3, 20);
        },
    },
];

#[test]
fn attacks_at_a_seam_are_found_as_by_one_machine() {
    let trail = together(ATTACKS.len(), |index, spec| {
        let mut trail = TrailSpec { hours: 9, busy_percent: 100, ..spec }.forge();
        (ATTACKS[index].apply)(&mut trail);
        trail
    });
    let server = Server::start(&trail, ServerOptions::default());
    let [start, end] = minutes_from(&trail, &[-50, 550])[..] else { unreachable!() };
    let (start, end) = (start.to_string(), end.to_string());
    let arguments = ["--bucket", trail.spec.bucket.as_str(), "--start", &start, "--end", &end];
    let single = records(ctverify_at(&server).args(arguments));
    assert_eq!(single.code, 1);
    for (index, attack) in ATTACKS.iter().enumerate().skip(1) {
        let account = format!("{:012}", 111_100_000_000_u64 + index as u64);
        // The range begins before the chains.
        let is_found = |record: &&serde_json::Value| {
            record["account"] == account && !record["id"].is_null() && record["cause"] != "before_first_digest"
        };
        let expected = !attack.name.contains("listed") || attack.name.contains("different");
        let mends = attack.name.starts_with("the signature");
        let found: Vec<_> = single.records.iter().filter(is_found).collect();
        assert_eq!(!found.is_empty(), expected && !mends, "{}: {found:?}", attack.name);
    }
    // Each chain has its own minute of the hour, so that every cut meets digests at another place.
    let digest = &trail.chains[0].digests[AT].document;
    let (begin, end): (Timestamp, Timestamp) =
        (digest.digest_start_time.parse().unwrap(), digest.digest_end_time.parse().unwrap());
    for edges in
        [vec![begin], vec![end], vec![begin + SignedDuration::from_mins(30), end + SignedDuration::from_mins(1)]]
    {
        let plan = Distributed::plan(&server, &arguments).recut(&edges, &[3, 4]);
        assert_same(&plan.verdict(), &single);
    }
}

#[test]
fn a_tail_cut_in_the_last_unit_is_found() {
    let start = Timestamp::now() - SignedDuration::from_hours(12);
    let spec =
        TrailSpec { start, hours: 9, regions: vec!["us-east-1".into(), "eu-west-1".into()], ..TrailSpec::default() };
    let mut trail = spec.forge();
    let newest: Vec<String> = trail.chains[0].digests.iter().rev().take(3).map(|digest| digest.key.clone()).collect();
    newest.iter().for_each(|key| drop(trail.remove(key)));
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let (from, to) =
        ((start - SignedDuration::from_mins(5)).to_string(), (start + SignedDuration::from_hours(9)).to_string());
    let arguments = ["--trail-arn", &arn, "--start", &from, "--end", &to];
    let single = records(ctverify_at(&server).args(arguments));
    assert!(single.of("chain").iter().any(|chain| chain["fault"] == "tail_cut"), "{}", single.stdout);
    let edges = [start + SignedDuration::from_hours(3), start + SignedDuration::from_hours(7)];
    let plan = Distributed::plan(&server, &arguments).recut(&edges, &[1]);
    assert_same(&plan.verdict(), &single);
}

#[test]
fn a_chain_that_vanishes_between_plan_and_run_is_missed() {
    let start = Timestamp::now() - SignedDuration::from_hours(12);
    let spec =
        TrailSpec { start, hours: 9, regions: vec!["us-east-1".into(), "eu-west-1".into()], ..TrailSpec::default() };
    let trail = spec.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let arn = trail.spec.arn();
    let (from, to) =
        ((start - SignedDuration::from_mins(5)).to_string(), (start + SignedDuration::from_hours(9)).to_string());
    let arguments = ["--trail-arn", &arn, "--start", &from, "--end", &to];
    let edges = [start + SignedDuration::from_hours(3), start + SignedDuration::from_hours(7)];
    let plan = Distributed::plan(&server, &arguments).recut(&edges, &[1]);
    for digest in &trail.chains[0].digests {
        server.delete(&trail.spec.bucket, &digest.key, Timestamp::now());
    }
    let single = records(ctverify_at(&server).args(arguments));
    assert!(single.of("chain").iter().any(|chain| chain["fault"] == "tail_cut"), "{}", single.stdout);
    assert_same(&plan.verdict(), &single);
}

#[test]
fn a_digest_that_is_replaced_while_the_units_run_is_told() {
    let trail = TrailSpec { hours: 9, busy_percent: 100, ..TrailSpec::default() }.forge();
    let server = Server::start(&trail, ServerOptions::default());
    let [start, end] = minutes_from(&trail, &[-50, 550])[..] else { unreachable!() };
    let arguments = ["--bucket", &trail.spec.bucket, "--start", &start.to_string(), "--end", &end.to_string()];
    let digest = trail.chains[0].digests[AT].clone();
    let edge: Timestamp = digest.document.digest_start_time.parse().unwrap();
    let plan = Distributed::plan(&server, &arguments).recut(&[edge + SignedDuration::from_secs(1)], &[1]);
    let first = run(plan.shard().args(["--unit", "0"]));
    assert_eq!(first.code, 0, "{}", first.stderr);
    let mut changed = trail.clone();
    changed.edit_digest(&digest, |document| document.log_files.clear());
    let stored = changed.object_mut(&digest.key).clone();
    server.put(&trail.spec.bucket, &digest.key, stored);
    let second = run(plan.shard().args(["--unit", "1"]));
    assert_eq!(second.code, 0, "{}", second.stderr);
    let merged = records(&mut plan.merge());
    assert_eq!(merged.code, 1);
    let warnings = merged.of("warning");
    let told = warnings.iter().find(|warning| warning["code"] == "object_touched").unwrap();
    assert_eq!(told["key"], digest.key.as_str());
    assert!(told["detail"].as_str().unwrap().contains("replaced while they ran"), "{told}");
}
