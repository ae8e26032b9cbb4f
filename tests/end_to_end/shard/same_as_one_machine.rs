//! The records of a merged run are those of a run on one machine, whatever was done to the trail.

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, TrailSpec, defects};
use jiff::{SignedDuration, Timestamp};

use super::distributed::{Distributed, assert_same};
use crate::support::{ctverify_at, records};

/// A trail with a chain for each defect, each in an account of its own.
pub(super) fn every_defect() -> ForgedTrail {
    let mut trails = defects::ALL.iter().enumerate().map(|(index, defect)| {
        let account = format!("{:012}", 111_100_000_000_u64 + index as u64);
        let spec = TrailSpec { seed: 7 + index as u64, accounts: vec![account], ..TrailSpec::default() };
        let mut trail = spec.forge();
        (defect.apply)(&mut trail);
        trail
    });
    let mut all = trails.next().unwrap();
    trails.for_each(|trail| all.merge(trail));
    all
}

/// The begin of the forged range, and hours from there on.
pub(super) fn hours_from(trail: &ForgedTrail, hours: &[i64]) -> Vec<Timestamp> {
    let begin: Timestamp = trail.chains[0].digests[0].document.digest_start_time.parse().unwrap();
    hours.iter().map(|hour| begin + SignedDuration::from_mins(*hour * 60 + 10)).collect()
}

#[test]
fn every_defect_is_judged_as_by_one_machine() {
    let trail = every_defect();
    let server = Server::start(&trail, ServerOptions::default());
    let bucket = trail.spec.bucket.as_str();
    let end = hours_from(&trail, &[7])[0].to_string();
    let start = hours_from(&trail, &[-1])[0].to_string();
    for arguments in [
        vec!["--bucket", bucket, "--end", &end],
        vec!["--bucket", bucket, "--start", &start, "--end", &end],
    ] {
        let single = records(ctverify_at(&server).args(&arguments));
        assert_eq!(single.code, 1);
        for (hours, sizes) in [(vec![], vec![100]), (vec![3], vec![7]), (vec![1, 2, 3, 4, 5, 6], vec![5, 1, 9])] {
            let plan = Distributed::plan(&server, &arguments).recut(&hours_from(&trail, &hours), &sizes);
            assert_same(&plan.verdict(), &single);
        }
    }
}
