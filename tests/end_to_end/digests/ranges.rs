//! Ranges, gaps and coverage: the time that is asked about, the part that is covered, and the
//! reasons why the rest is not.

use ctverify_testkit::{ForgedTrail, Layout, TrailSpec, defects};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Mirror, Run, records};

fn between(trail: &ForgedTrail, start: Option<&str>, end: Option<&str>) -> Run {
    let mirror = Mirror::new(trail, Layout::Keys, true);
    let mut command = mirror.command();
    start.map(|start| command.args(["--start", start]));
    end.map(|end| command.args(["--end", end]));
    records(&mut command)
}

fn ends(run: &Run) -> Vec<&str> {
    run.of("digest").iter().map(|digest| digest["end"].as_str().unwrap()).collect()
}

fn covered(run: &Run) -> (u64, u64) {
    let chain = run.of("chain")[0].clone();
    (chain["covered_seconds"].as_u64().unwrap(), chain["requested_seconds"].as_u64().unwrap())
}

/// The small trail's digests end at 25 minutes and 30 seconds past, from 00:25:30 to 06:25:30.
#[test]
fn a_digest_belongs_to_the_range_when_it_ends_after_start_and_starts_before_end() {
    let trail = defects::small_trail();
    let run = between(&trail, Some("2026-03-01T02:25:30Z"), Some("2026-03-01T04:25:30Z"));
    assert_eq!(ends(&run), ["2026-03-01T03:25:30Z", "2026-03-01T04:25:30Z"]);
    assert_eq!((run.code, covered(&run)), (0, (7200, 7200)));
    let run = between(&trail, Some("2026-03-01T02:25:29Z"), Some("2026-03-01T04:25:31Z"));
    assert_eq!(ends(&run).len(), 4);
    assert_eq!((run.code, covered(&run)), (0, (7202, 7202)));
}

#[test]
fn the_range_may_reach_beyond_the_chain_and_says_by_how_much() {
    let trail = defects::small_trail();
    let run = between(&trail, Some("2026-02-28"), Some("2026-03-02"));
    assert_eq!((run.code, run.gaps()), (3, vec!["before_first_digest", "after_last_digest"]));
    assert_eq!(covered(&run), (7 * 3600, 2 * 86_400));
    let gaps = run.of("gap");
    assert_eq!((&gaps[0]["from"], &gaps[0]["to"]), (&json!("2026-02-28T00:00:00Z"), &json!("2026-02-28T23:25:30Z")));
    assert_eq!((&gaps[1]["from"], &gaps[1]["to"]), (&json!("2026-03-01T06:25:30Z"), &json!("2026-03-02T00:00:00Z")));
    assert_eq!((&gaps[0]["missing_digests"], &gaps[1]["missing_digests"]), (&json!(23), &json!(18)));
}

#[test]
fn gaps_can_be_allowed_by_cause_and_violations_can_not() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let code = |allow: &[&str]| {
        let range = ["--start", "2026-02-28", "--end", "2026-03-02"];
        let allow = allow.iter().flat_map(|allow| ["--allow", allow]);
        records(mirror.command().args(range).args(allow)).code
    };
    assert_eq!(code(&[]), 3);
    assert_eq!(code(&["gap:before_first_digest"]), 3);
    assert_eq!(code(&["gap:before_first_digest,gap:after_last_digest"]), 0);
    assert_eq!(code(&["gap"]), 0);
    let mut broken = defects::small_trail();
    let key = broken.chains[0].digests[3].key.clone();
    broken.remove(&key);
    let broken = Mirror::new(&broken, Layout::Keys, true);
    assert_eq!(records(broken.command().args(["--allow", "gap"])).code, 1);
}

#[test]
fn the_last_digests_of_the_range_are_missed_through_the_next_one_that_exists() {
    let mut trail = defects::small_trail();
    for index in [3, 4] {
        let key = trail.chains[0].digests[index].key.clone();
        trail.remove(&key);
    }
    // Both digests that cover the end of the range are gone; the next one ends an hour after it.
    let run = between(&trail, Some("2026-03-01T00:25:30Z"), Some("2026-03-01T04:25:30Z"));
    assert_eq!((run.code, run.gaps()), (1, vec!["digests_missing"]));
    assert_eq!(run.of("gap")[0]["missing_digests"], 2);
    assert_eq!(ends(&run), ["2026-03-01T01:25:30Z", "2026-03-01T02:25:30Z", "2026-03-01T04:25:30Z"]);
    // Deleted digests that lie wholly past the range are not asked about.
    let run = between(&trail, Some("2026-03-01T00:25:30Z"), Some("2026-03-01T02:25:30Z"));
    assert_eq!((run.code, run.gaps().len()), (0, 0));
}

#[test]
fn the_first_digests_of_the_range_are_missed_through_their_successor() {
    let mut trail = defects::small_trail();
    for index in [2, 3] {
        let key = trail.chains[0].digests[index].key.clone();
        trail.remove(&key);
    }
    let run = between(&trail, Some("2026-03-01T01:25:30Z"), None);
    assert_eq!((run.code, run.gaps()), (1, vec!["digests_missing"]));
    assert_eq!(run.of("gap")[0]["missing_digests"], 2);
    // Digests before the range are not asked about.
    let run = between(&trail, Some("2026-03-01T03:25:30Z"), None);
    assert_eq!((run.code, run.gaps().len()), (0, 0));
}

#[test]
fn a_starting_digest_in_the_range_tells_whether_the_chain_began_or_began_again() {
    let stopped = TrailSpec { hours: 10, stopped: vec![3, 4, 5], seed: 7, ..TrailSpec::default() }.forge();
    // The three hours end at 03:25:30, 04:25:30 and 05:25:30.
    let run = between(&stopped, Some("2026-03-01T03:00:00Z"), None);
    assert_eq!((run.code, run.gaps()), (3, vec!["logging_stopped"]));
    let run = between(&stopped, Some("2026-02-28T23:00:00Z"), None);
    assert_eq!(run.gaps(), ["before_first_digest", "logging_stopped"]);
    assert_eq!(run.of("gap")[1]["missing_digests"], 3);
    let run = between(&stopped, Some("2026-03-01T00:25:30Z"), Some("2026-03-01T04:30:00Z"));
    assert_eq!(run.gaps(), ["logging_stopped"]);
    assert_eq!(run.of("gap")[0]["to"], "2026-03-01T04:30:00Z");
}

#[test]
fn a_chain_that_ended_before_the_range_is_told_of() {
    let trail = defects::small_trail();
    let run = between(&trail, Some("2026-04-01"), Some("2026-04-02"));
    assert_eq!((run.code, run.gaps(), run.of("chain").len()), (3, vec!["after_last_digest"], 1));
    assert_eq!(covered(&run), (0, 86_400));
}

#[test]
fn a_linked_pair_leaves_no_gap_whatever_its_times() {
    let mut trail = defects::small_trail();
    let digest = trail.chains[0].digests.last().unwrap().clone();
    let key = trail.spec.keys.signing_key("us-east-1", digest.document.digest_end_time.parse().unwrap());
    trail.forge_digest(&digest, &key, |document| document.digest_start_time = "2026-03-01T05:55:30Z".to_owned());
    let run = between(&trail, None, None);
    assert_eq!((run.code, covered(&run)), (0, (7 * 3600, 7 * 3600)));
}

#[test]
fn a_deleted_and_an_invalid_digest_side_by_side_are_told_apart() {
    let mut trail = defects::small_trail();
    let digests = trail.chains[0].digests.clone();
    trail.remove(&digests[4].key);
    trail.edit_content(&digests[2].key, |_| b"{}".to_vec());
    let run = between(&trail, None, None);
    let gaps: Vec<(Value, Value)> =
        run.of("gap").iter().map(|gap| (gap["cause"].clone(), gap["missing_digests"].clone())).collect();
    assert_eq!(gaps, [(json!("digests_invalid"), json!(0)), (json!("digests_missing"), json!(1))]);
    assert_eq!(run.code, 1);
}

#[test]
fn ages_count_back_from_now() {
    let now = Timestamp::now();
    let start = now - SignedDuration::from_hours(9);
    let trail = TrailSpec { start, hours: 6, ..TrailSpec::default() }.forge();
    let run = between(&trail, Some("6h"), None);
    assert!((4..=5).contains(&run.of("digest").len()), "{}", run.stdout);
    assert_eq!(run.code, 0);
}

#[test]
fn forged_digests_past_the_range_do_not_hide_that_its_last_ones_are_missing() {
    let mut trail = TrailSpec { hours: 12, seed: 7, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    let end = digests[4].document.digest_end_time.clone();
    trail.remove(&digests[4].key);
    // The three digests right after the range are invalid and show nothing; the one after them
    // does.
    for digest in &digests[5..8] {
        trail.edit_content(&digest.key, |_| b"{}".to_vec());
    }
    let run = between(&trail, None, Some(&end));
    assert_eq!((run.code, run.gaps()), (1, vec!["digests_missing"]));
}
