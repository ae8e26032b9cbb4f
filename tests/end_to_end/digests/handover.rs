//! Chains that go on from each other, and chains that begin anew.

use ctverify_testkit::{DigestDocument, ForgedTrail, Layout, Server, ServerOptions, Stored, TrailSpec, gzip};
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::{Mirror, Run, ctverify_at, range_of, records, verify_folder, verify_s3};

const ORGANIZATION: &str = "o-exampleorgid";

/// A trail of six hours that became its organization's: the account's folder holds its digests
/// until then, the organization's those since.
fn converted() -> ForgedTrail {
    let account = TrailSpec { hours: 6, ..TrailSpec::default() };
    let start = account.start + SignedDuration::from_hours(7);
    let mut trail = TrailSpec { organization: Some(ORGANIZATION.to_owned()), start, ..account.clone() }.forge();
    let before = account.forge();
    let last = before.chains[0].digests.last().unwrap().clone();
    trail.continue_from(&last);
    let spec = trail.spec.clone();
    trail.merge(before);
    trail.spec = spec;
    trail
}

/// The end of the organization's chain.
fn end_of(trail: &ForgedTrail) -> String {
    trail.chains[0].digests.last().unwrap().document.digest_end_time.clone()
}

/// The end of the account's chain.
fn handover_of(trail: &ForgedTrail) -> String {
    trail.chains[1].digests.last().unwrap().document.digest_end_time.clone()
}

fn over_s3(trail: &ForgedTrail, more: &[&str]) -> Run {
    let server = Server::start(trail, ServerOptions::default());
    records(ctverify_at(&server).args(["--bucket", "example-trail-logs", "--end", &end_of(trail)]).args(more))
}

fn in_folder(trail: &ForgedTrail, more: &[&str]) -> Run {
    let mirror = Mirror::new(trail, Layout::Keys, true);
    records(mirror.command().args(["--end", &end_of(trail)]).args(more))
}

/// Issue: "an account's trail that became the organization's (`digests_missing`)".
#[test]
fn of_an_organizations_chain_alone_the_time_before_it_is_not_covered() {
    let trail = converted();
    let only = ["--organization-id", ORGANIZATION, "--start"];
    for start in ["2026-03-01T00:00:00Z", "2026-03-01T06:00:00Z"] {
        let run = over_s3(&trail, &[&only[..], &[start]].concat());
        assert_eq!((run.code, run.gaps()), (3, vec!["before_first_digest"]), "{}", run.stdout);
    }
    // If the digest that the organization's chain names as its predecessor is gone, that is a
    // missing digest.
    let mut gone = trail.clone();
    let last = gone.chains[1].digests.last().unwrap().key.clone();
    gone.remove(&last);
    let run = over_s3(&gone, &[&only[..], &["2026-03-01T00:00:00Z"]].concat());
    assert_eq!((run.code, run.gaps()), (1, vec!["digests_missing"]), "{}", run.stdout);
}

/// Issue 27: the chain that another one continues has no gap after it, and the other none before
/// it.
#[test]
fn a_trail_that_became_its_organizations_lacks_nothing_on_either_side() {
    let trail = converted();
    for start in [&[][..], &["--start", "2026-03-01T00:00:00Z"], &["--start", "2026-03-01T09:00:00Z"]] {
        for run in [over_s3(&trail, start), in_folder(&trail, start)] {
            assert_eq!((run.code, run.gaps().len()), (0, 0), "{}", run.stdout);
            for chain in run.of("chain") {
                assert_eq!(chain["covered_seconds"], chain["requested_seconds"], "{}", run.stdout);
            }
        }
    }
}

#[test]
fn a_chain_that_only_a_forged_digest_continues_ends_without_an_explanation() {
    let mut trail = converted();
    let first = trail.chains[0].digests[0].key.clone();
    let (handover, at_end) = (handover_of(&trail), end_of(&trail));
    let mut forged = trail.chains[0].digests[0].document.clone();
    forged.log_files.clear();
    trail.object_mut(&first).body = gzip(&forged.to_json()).into();
    let run = over_s3(&trail, &["--start", "2026-03-01T00:00:00Z"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    let after = run.of("gap").into_iter().find(|gap| gap["cause"] == "after_last_digest").unwrap();
    assert_eq!((&after["from"], &after["to"]), (&Value::from(handover), &Value::from(at_end)));
}

/// In the folder that the trail has left, nothing is delivered any more.
#[test]
fn a_log_file_planted_in_the_account_that_the_trail_has_left_is_unlisted() {
    let mut trail = converted();
    let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/\
               111122223333_CloudTrail_us-east-1_20260301T1000Z_PlantedPlanted01.json.gz";
    let stored = Stored {
        body: gzip(b"{\"Records\":[]}").into(),
        metadata: Default::default(),
        last_modified: "2026-03-01T10:01:00Z".parse().unwrap(),
    };
    trail.objects.insert(("example-trail-logs".to_owned(), key.to_owned()), stored);
    let start = ["--start", "2026-03-01T00:00:00Z"];
    for run in [over_s3(&trail, &start), in_folder(&trail, &start)] {
        assert_eq!((run.code, run.count("log_file", "unlisted")), (3, 1), "{}", run.stdout);
    }
}

#[test]
fn scheduled_runs_go_on_over_the_handover() {
    let trail = converted();
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let digests = trail.chains[0].digests.iter().map(|digest| &digest.document.digest_end_time);
    for end in [&handover_of(&trail)].into_iter().chain(digests) {
        let place = ["--bucket", "example-trail-logs", "--end", end];
        let run = records(ctverify_at(&server).args(place).arg("--state").arg(folder.path().join("state")));
        assert_eq!((run.code, run.gaps().len()), (0, 0), "{end}: {}", run.stdout);
    }
}

/// Issue: "Two organizations' trails of one name at one place".
#[test]
fn of_two_organizations_trails_the_callers_alone_is_asked_about_where_it_is_known() {
    let forge = |organization: &str, account: &str| {
        let accounts = vec!["111122223333".to_owned(), account.to_owned()];
        TrailSpec { organization: Some(organization.to_owned()), accounts, ..TrailSpec::default() }.forge()
    };
    let mut trail = forge(ORGANIZATION, "222233334444");
    let spec = trail.spec.clone();
    trail.merge(forge("o-otherorgid", "333344445555"));
    trail.spec = spec;
    let verify = |denied: &[&str]| {
        let denied_actions = denied.iter().map(|name| (*name).to_owned()).collect();
        let server = Server::start(&trail, ServerOptions { denied_actions, ..ServerOptions::default() });
        records(ctverify_at(&server).args(range_of(&trail)))
    };
    let of = |run: &Run, organization: &str| {
        run.of("chain").iter().filter(|chain| chain["organization"] == organization).count()
    };
    let warned = |run: &Run| run.of("warning").iter().filter(|one| one["code"] == "several_organizations").count();
    let known = verify(&[]);
    assert_eq!(
        (of(&known, ORGANIZATION), of(&known, "o-otherorgid"), warned(&known)),
        (2, 0, 0),
        "{}{}",
        known.stdout,
        known.stderr
    );
    let unknown = verify(&["ListAccounts"]);
    assert_eq!((of(&unknown, ORGANIZATION), of(&unknown, "o-otherorgid"), warned(&unknown)), (2, 2, 1));
}

/// Issue: a starting digest that begins right after the digest before it.
#[test]
fn a_chain_that_begins_anew_without_a_hole_is_warned_of() {
    let trail = TrailSpec::default().forge();
    let restarted = |is_restart: bool| {
        let mut trail = trail.clone();
        trail.reissue(|index, document: &mut DigestDocument| {
            if is_restart && index == 3 {
                document.previous_digest_s3_bucket = None;
                document.previous_digest_s3_object = None;
                document.previous_digest_hash_value = None;
                document.previous_digest_hash_algorithm = None;
                document.previous_digest_signature = None;
            }
        });
        trail
    };
    for (is_restart, warnings) in [(true, vec![restarted(true).chains[0].digests[3].key.clone()]), (false, vec![])] {
        let trail = restarted(is_restart);
        for run in [verify_folder(&trail), verify_s3(&trail)] {
            let warned = run.of("warning").into_iter().filter(|warning| warning["code"] == "chain_restarted");
            let warned: Vec<&str> = warned.map(|warning| warning["key"].as_str().unwrap()).collect();
            assert_eq!((run.code, warned), (0, warnings.iter().map(String::as_str).collect()), "{}", run.stdout);
        }
    }
}
