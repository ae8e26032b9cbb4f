//! Random trails with random tampering, compared with a simple model that records the tampering.

use std::collections::{BTreeMap, BTreeSet};

use ctverify_testkit::{ForgedTrail, Layout, TrailSpec, gunzip, gzip};
use proptest::prelude::*;

use crate::support::{Mirror, Run, records};

/// The tampering with one digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DigestDeed {
    Nothing,
    /// Its JSON was changed, its signature left as it was.
    Edited,
    Deleted,
    /// Its metadata was taken off.
    Stripped,
}

/// The tampering with one log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileDeed {
    Nothing,
    Edited,
    Deleted,
    CutShort,
    /// Compressed anew, the content as it was.
    Recompressed,
}

#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    regions: usize,
    /// The tampering with each digest of each chain.
    digests: Vec<Vec<DigestDeed>>,
    /// The tampering with the log files of the trail, repeated from the start as often as
    /// necessary.
    files: Vec<FileDeed>,
}

fn digest_deed() -> impl Strategy<Value = DigestDeed> {
    prop_oneof![
        8 => Just(DigestDeed::Nothing),
        1 => Just(DigestDeed::Edited),
        1 => Just(DigestDeed::Deleted),
        1 => Just(DigestDeed::Stripped),
    ]
}

fn file_deed() -> impl Strategy<Value = FileDeed> {
    prop_oneof![
        8 => Just(FileDeed::Nothing),
        1 => Just(FileDeed::Edited),
        1 => Just(FileDeed::Deleted),
        1 => Just(FileDeed::CutShort),
        1 => Just(FileDeed::Recompressed),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (1..=2_usize, 3..=7_usize).prop_flat_map(|(regions, digests)| {
        let chain = proptest::collection::vec(digest_deed(), digests);
        let chains = proptest::collection::vec(chain, regions);
        (any::<u64>(), chains, proptest::collection::vec(file_deed(), 1..12))
            .prop_map(move |(seed, digests, files)| Case { seed, regions, digests, files })
    })
}

/// The statuses by key, and the verdict, that the model gives.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judgement {
    digests: BTreeMap<String, &'static str>,
    files: BTreeMap<String, &'static str>,
    verdict: &'static str,
}

impl Case {
    fn forge(&self) -> ForgedTrail {
        let regions = ["us-east-1", "eu-west-1"].iter().take(self.regions).map(ToString::to_string).collect();
        let hours = u32::try_from(self.digests[0].len()).unwrap() - 1;
        TrailSpec { seed: self.seed, regions, hours, log_files: 2, busy_percent: 60, ..TrailSpec::default() }.forge()
    }

    fn file_deed(&self, index: usize) -> FileDeed {
        self.files[index % self.files.len()]
    }

    fn tamper(&self, trail: &mut ForgedTrail) {
        let chains = trail.chains.clone();
        let files = chains.iter().flat_map(|chain| &chain.digests).flat_map(|digest| &digest.document.log_files);
        for (index, file) in files.enumerate() {
            let key = &file.s3_object;
            match self.file_deed(index) {
                FileDeed::Nothing => {}
                FileDeed::Edited => trail.edit_content(key, |mut content| {
                    content[0] ^= 1;
                    content
                }),
                FileDeed::Deleted => {
                    trail.remove(key);
                }
                FileDeed::CutShort => {
                    let body = trail.object_mut(key).body.clone();
                    trail.replace(key, body.slice(..body.len() - 9));
                }
                FileDeed::Recompressed => {
                    let content = gunzip(&trail.object_mut(key).body).unwrap();
                    trail.replace(key, gzip(&content));
                }
            }
        }
        for (chain, deeds) in chains.iter().zip(&self.digests) {
            for (digest, deed) in chain.digests.iter().zip(deeds) {
                match deed {
                    DigestDeed::Nothing => {}
                    DigestDeed::Edited => {
                        trail.edit_digest(digest, |document| {
                            document.newest_event_time = Some("2020-01-01T00:00:00Z".into())
                        });
                    }
                    DigestDeed::Deleted => {
                        trail.remove(&digest.key);
                    }
                    DigestDeed::Stripped => trail.object_mut(&digest.key).metadata.clear(),
                }
            }
        }
    }

    /// Returns the log files that deleted digests listed.
    fn files_of_deleted(&self, trail: &ForgedTrail) -> BTreeSet<String> {
        let digests = trail.chains.iter().zip(&self.digests).flat_map(|(chain, deeds)| chain.digests.iter().zip(deeds));
        let deleted = digests.filter(|(_, deed)| **deed == DigestDeed::Deleted);
        deleted.flat_map(|(digest, _)| digest.document.log_files.iter().map(|file| file.s3_object.clone())).collect()
    }

    /// Returns the result that a run on the tampered trail has to give.
    fn judge(&self, trail: &ForgedTrail) -> Judgement {
        let mut expected = Judgement::default();
        let mut index = 0;
        for (chain, deeds) in trail.chains.iter().zip(&self.digests) {
            let mut after: Option<&'static str> = None;
            let mut statuses = vec![None; deeds.len()];
            for (at, deed) in deeds.iter().enumerate().rev() {
                let successor_is_there = deeds.get(at + 1).is_some_and(|deed| *deed != DigestDeed::Deleted);
                statuses[at] = match deed {
                    DigestDeed::Nothing => Some("valid"),
                    DigestDeed::Edited => Some("invalid"),
                    // Its successor recorded the signature, whether the successor is proven or not.
                    DigestDeed::Stripped => Some(if successor_is_there { "valid" } else { "unverified" }),
                    // An invalid digest is no evidence that the one that it names existed.
                    DigestDeed::Deleted => (successor_is_there && after != Some("invalid")).then_some("missing"),
                };
                after = statuses[at];
            }
            let folder = format!("/CloudTrail/{}/", chain.region);
            let day = |key: &str| key.split_once(&folder).map(|(_, inside)| inside[..10].to_owned());
            let days: BTreeSet<String> = trail.objects.keys().filter_map(|(_, key)| day(key)).collect();
            let was_copied = |key: &str| {
                let bounds = days.first().zip(days.last());
                bounds.zip(day(key)).is_some_and(|((first, last), day)| *first <= day && day <= *last)
            };
            for ((digest, deed), status) in chain.digests.iter().zip(deeds).zip(statuses) {
                expected.digests.extend(status.map(|status| (digest.key.clone(), status)));
                for file in &digest.document.log_files {
                    let told = match (status, self.file_deed(index)) {
                        _ if *deed == DigestDeed::Deleted => None,
                        (Some("valid"), FileDeed::Nothing | FileDeed::Recompressed) => Some("intact"),
                        (Some("valid"), FileDeed::Edited | FileDeed::CutShort) => Some("modified"),
                        // A copy that has nothing of a day at its edge may never have had it.
                        (Some("valid"), FileDeed::Deleted) if !was_copied(&file.s3_object) => Some("unverified"),
                        (Some("valid"), FileDeed::Deleted) => Some("deleted"),
                        _ => Some("unverified"),
                    };
                    expected.files.extend(told.map(|told| (file.s3_object.clone(), told)));
                    index += 1;
                }
            }
        }
        let any =
            |words: &[&str]| expected.digests.values().chain(expected.files.values()).any(|word| words.contains(word));
        let violated = any(&["invalid", "missing", "modified", "deleted"]);
        let proven = expected.digests.values().any(|word| *word == "valid");
        expected.verdict = match (violated, any(&["unverified"])) {
            (true, _) => "violated",
            (false, false) if proven => "verified",
            _ => "inconclusive",
        };
        expected
    }
}

fn said(run: &Run) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let of = |kind: &str| {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        run.of(kind).into_iter().map(|record| (text(&record["key"]), text(&record["status"]))).collect()
    };
    (of("digest"), of("log_file"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_done_is_what_is_told(case in case()) {
        let mut trail = case.forge();
        case.tamper(&mut trail);
        // Every chain keeps a digest: without any, it is no chain in a copy.
        let left = |deeds: &Vec<DigestDeed>| deeds.iter().any(|deed| *deed != DigestDeed::Deleted);
        prop_assume!(case.digests.iter().all(left));
        let mirror = Mirror::new(&trail, Layout::Keys, true);
        // The range begins with the earliest digest, so that each chain's first digest is asked
        // about.
        let start = trail.chains.iter().map(|chain| chain.digests[0].document.digest_start_time.clone()).min().unwrap();
        let run = records(mirror.command().args(["--start", &start, "--allow", "gap,unlisted"]));
        let expected = case.judge(&trail);
        let (digests, mut files) = said(&run);
        // The log files of a deleted digest are named where its gap lies in the range.
        let uncovered: Vec<String> = files.extract_if(.., |_, word| word == "uncovered").map(|(key, _)| key).collect();
        let of_deleted = case.files_of_deleted(&trail);
        prop_assert!(uncovered.iter().all(|key| of_deleted.contains(key)), "{:?}", uncovered);
        let owned = |map: &BTreeMap<String, &str>| map.iter().map(|(key, word)| (key.clone(), (*word).to_owned())).collect::<BTreeMap<_, _>>();
        prop_assert_eq!(digests, owned(&expected.digests));
        prop_assert_eq!(files, owned(&expected.files));
        prop_assert_eq!(run.verdict(), expected.verdict, "{}", run.stdout);
    }
}
