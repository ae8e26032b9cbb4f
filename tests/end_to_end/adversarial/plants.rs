//! Random objects planted into random trails: whatever they are, they improve no verdict, hide
//! nothing and cost little.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, Stored, TrailSpec, gzip};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::support::{Mirror, Run, ctverify_at, range_of, records};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Nothing,
    LogFileDeleted,
    LogFileEdited,
    DigestDeleted,
}

/// An object that somebody puts into the bucket.
#[derive(Debug, Clone)]
enum Plant {
    /// A log file, whose folder and name need not be ones that CloudTrail uses.
    LogFile { folder: usize, name: usize, minute: i64 },
    /// A digest that replaces no other, so many minutes after the beginning of the trail.
    Digest { minute: i64, kind: usize, pointer: usize, signature: bool },
}

const FOLDERS: [&str; 8] = [
    "CloudTrail/us-east-1/2026/03/01/",
    "CloudTrail/us-east-1/2026/02/28/",
    "CloudTrail/us-east-1/2026/03/",
    "CloudTrail/us-east-1/",
    "CloudTrail/",
    "CloudTrail/US-EAST-1/2026/03/01/",
    "CloudTrail/us-east-1/2026/3/1/",
    "CloudTrail/eu-west-9/2026/03/01/",
];

fn plant() -> impl Strategy<Value = Plant> {
    prop_oneof![
        (0..FOLDERS.len(), 0..5_usize, -200_i64..700).prop_map(|(folder, name, minute)| Plant::LogFile {
            folder,
            name,
            minute
        }),
        (-300_i64..900, 0..4_usize, 0..4_usize, any::<bool>())
            .prop_map(|(minute, kind, pointer, signature)| Plant::Digest { minute, kind, pointer, signature }),
    ]
}

/// Puts the objects into the trail, each only if there is none under its key.
fn put(trail: &mut ForgedTrail, plants: &[Plant]) {
    let digests = trail.chains[0].digests.clone();
    let begin: Timestamp = digests[0].document.digest_start_time.parse().unwrap();
    for (index, plant) in plants.iter().enumerate() {
        let (key, body, signature) = match plant {
            Plant::LogFile { folder, name, minute } => {
                let time = begin + SignedDuration::from_mins(*minute);
                let name = match name {
                    0 => format!("x{index}.json.gz"),
                    1 => format!("111122223333_CloudTrail_us-east-1_20990101T0000Z_{index:016}.json.gz"),
                    2 => format!("##[stop-commands]{index}\u{1b}[2J"),
                    3 => String::new(),
                    _ => format!(
                        "111122223333_CloudTrail_us-east-1_{}_{index:016}.json.gz",
                        time.strftime("%Y%m%dT%H%MZ")
                    ),
                };
                let body = if name.is_empty() { Vec::new() } else { gzip(b"{\"Records\":[]}") };
                (format!("AWSLogs/111122223333/{}{name}", FOLDERS[*folder]), body, false)
            }
            Plant::Digest { minute, kind, pointer, signature } => {
                let like = &digests[index % digests.len()];
                let end = begin + SignedDuration::from_mins(*minute) + SignedDuration::from_secs(1);
                let mut document = like.document.clone();
                let old: Timestamp = document.digest_end_time.parse().unwrap();
                let compact = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
                let day = |time: Timestamp| time.strftime("/%Y/%m/%d/").to_string();
                let mut key = like.key.replace(&compact(old), &compact(end)).replace(&day(old), &day(end));
                if *kind == 3 {
                    key = key.replace(".json.gz", "_backfill.json.gz");
                }
                document.digest_s3_object = key.clone();
                document.digest_end_time = end.to_string();
                document.digest_start_time = (end - SignedDuration::from_hours(1)).to_string();
                match pointer {
                    0 => document.previous_digest_s3_object = None,
                    1 => document.previous_digest_s3_object = Some(key.clone()),
                    2 => document.previous_digest_s3_bucket = Some("another-bucket".to_owned()),
                    _ => document.previous_digest_s3_object = Some(digests[(index + 3) % digests.len()].key.clone()),
                }
                let body = match kind {
                    0 => b"junk".to_vec(),
                    // A genuine digest in the place of another.
                    1 => gzip(&like.document.to_json()),
                    _ => gzip(&document.to_json()),
                };
                (key, body, *signature)
            }
        };
        let metadata = if signature { [("signature".to_owned(), "ab".repeat(256))].into() } else { Default::default() };
        let last_modified = begin + SignedDuration::from_hours(3);
        let place = (trail.spec.bucket.clone(), key);
        trail.objects.entry(place).or_insert(Stored { body: body.into(), metadata, last_modified });
    }
}

fn rank(run: &Run) -> usize {
    ["verified", "inconclusive", "violated"].iter().position(|verdict| *verdict == run.verdict()).unwrap()
}

/// Returns the objects that are called changed or removed.
fn violations(run: &Run) -> BTreeSet<(String, String)> {
    let bad = |record: &&serde_json::Value| {
        matches!(record["status"].as_str(), Some("modified" | "deleted" | "invalid" | "missing"))
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    run.records.iter().filter(bad).map(|record| (text(&record["key"]), text(&record["status"]))).collect()
}

fn tampered(seed: u64, deed: Deed) -> ForgedTrail {
    let mut trail = TrailSpec { hours: 8, seed, busy_percent: 100, ..TrailSpec::default() }.forge();
    let digest = trail.chains[0].digests[4].clone();
    let file = digest.document.log_files[0].s3_object.clone();
    match deed {
        Deed::Nothing => {}
        Deed::LogFileDeleted => drop(trail.remove(&file)),
        Deed::LogFileEdited => trail.replace(&file, gzip(b"{}")),
        Deed::DigestDeleted => drop(trail.remove(&digest.key)),
    }
    trail
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planted_objects_make_no_verdict_better_and_hide_nothing(
        seed in 0..1000_u64,
        deed in prop_oneof![Just(Deed::Nothing), Just(Deed::LogFileDeleted), Just(Deed::LogFileEdited), Just(Deed::DigestDeleted)],
        plants in prop::collection::vec(plant(), 1..12),
    ) {
        let trail = tampered(seed, deed);
        let mut planted = trail.clone();
        put(&mut planted, &plants);
        let from_folder = |trail: &ForgedTrail| {
            // A folder holds no file whose name ends with a slash.
            let mut trail = trail.clone();
            trail.objects.retain(|(_, key), _| !key.ends_with('/'));
            records(&mut Mirror::new(&trail, Layout::Keys, true).command())
        };
        let from_s3 = |trail: &ForgedTrail| {
            let server = Server::start(trail, ServerOptions::default());
            records(ctverify_at(&server).args(range_of(trail)))
        };
        let only_log_files = plants.iter().all(|plant| matches!(plant, Plant::LogFile { .. }));
        for verify in [&from_folder as &dyn Fn(&ForgedTrail) -> Run, &from_s3] {
            let without = verify(&trail);
            let begun = Instant::now();
            let with = verify(&planted);
            prop_assert!(begun.elapsed() < Duration::from_secs(20));
            prop_assert!(rank(&without) <= rank(&with), "{deed:?} {plants:?} {}", with.stdout);
            prop_assert!(violations(&without).is_subset(&violations(&with)), "{deed:?} {plants:?} {}", with.stdout);
            if only_log_files && deed == Deed::Nothing {
                prop_assert!(with.verdict() != "violated", "{plants:?} {}", with.stdout);
            }
        }
    }
}
