//! Any partition of any trail into units, in any order, merges to the records of a run on one
//! machine.

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, TrailSpec};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::distributed::{Distributed, assert_same, result_of, with_input};
use super::same_as_one_machine::minutes_from;
use crate::support::{ctverify_at, figure, records};

/// A random trail, a random tampering, and a random partition.
#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    regions: usize,
    hours: u32,
    stopped: Option<u32>,
    backfill: Option<u32>,
    /// The object that each number, taken modulo their number, stands for is tampered with.
    deeds: Vec<(usize, Deed)>,
    /// The edges of the units, in minutes from the begin.
    edges: Vec<i64>,
    /// The numbers of chains of the units.
    sizes: Vec<usize>,
    /// The seed of the order in which units are run.
    order: u64,
    has_start: bool,
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Delete,
    Edit,
    Strip,
    /// Its bytes are put in the place of the next object.
    Replay,
}

fn case() -> impl Strategy<Value = Case> {
    let deed = prop_oneof![Just(Deed::Delete), Just(Deed::Edit), Just(Deed::Strip), Just(Deed::Replay)];
    let deeds = proptest::collection::vec((any::<usize>(), deed), 0..5);
    let edges = proptest::collection::vec(0..600_i64, 0..5);
    let partition = (edges, proptest::collection::vec(1..4_usize, 1..3), any::<u64>(), any::<bool>());
    let shape = (any::<u64>(), 1..=2_usize, 4..=8_u32, proptest::option::of(1..6_u32), proptest::option::of(1..4_u32));
    (shape, deeds, partition).prop_map(
        |((seed, regions, hours, stopped, backfill), deeds, (edges, sizes, order, has_start))| Case {
            seed,
            regions,
            hours,
            stopped,
            backfill,
            deeds,
            edges,
            sizes,
            order,
            has_start,
        },
    )
}

impl Case {
    fn forge(&self) -> ForgedTrail {
        let mut trail = TrailSpec {
            seed: self.seed,
            regions: ["us-east-1", "eu-west-1"].iter().take(self.regions).map(ToString::to_string).collect(),
            hours: self.hours,
            stopped: self.stopped.into_iter().collect(),
            backfill: self.backfill.into_iter().collect(),
            busy_percent: 60,
            ..TrailSpec::default()
        }
        .forge();
        for (object, deed) in &self.deeds {
            let keys: Vec<String> = trail.objects.keys().map(|(_, key)| key.clone()).collect();
            let key = &keys[object % keys.len()];
            match deed {
                Deed::Delete => drop(trail.remove(key)),
                Deed::Edit => {
                    let mut body = trail.object_mut(key).body.to_vec();
                    let middle = body.len() / 2;
                    body[middle] ^= 0x55;
                    trail.replace(key, body);
                }
                Deed::Strip => trail.object_mut(key).metadata.clear(),
                Deed::Replay => {
                    let next = &keys[(object + 1) % keys.len()];
                    let stored = trail.object_mut(key).clone();
                    *trail.object_mut(next) = stored;
                }
            }
        }
        trail
    }

    fn check(&self) {
        let trail = self.forge();
        let server = Server::start(&trail, ServerOptions::default());
        let end = minutes_from(&trail, &[i64::from(self.hours) * 60 + 20])[0].to_string();
        let start = minutes_from(&trail, &[40])[0].to_string();
        let mut arguments = vec!["--bucket", trail.spec.bucket.as_str(), "--end", &end];
        if self.has_start {
            arguments.extend(["--start", &start]);
        }
        let single = records(ctverify_at(&server).args(&arguments));
        let plan = Distributed::plan(&server, &arguments).recut(&minutes_from(&trail, &self.edges), &self.sizes);
        let mut numbers: Vec<u64> = (0..plan.units().len() as u64).collect();
        numbers.sort_by_key(|number| number.wrapping_add(1).wrapping_mul(self.order | 1).rotate_left(17));
        let lines: String = numbers.iter().map(|number| format!("{number}\n")).collect();
        let verified = with_input(plan.shard().args(["--stdin", "--quiet"]), lines.as_bytes());
        assert_eq!(verified.code, 0, "{}", verified.stderr);
        // A duplicate.
        std::fs::copy(result_of(&plan.results(), numbers[0]), plan.results().join("again.jsonl.gz")).unwrap();
        assert_same(&records(&mut plan.merge()), &single);
    }
}

#[test]
fn any_partition_of_any_trail_merges_to_the_same_records() {
    let cases = if std::env::var_os("CTVERIFY_TEST_SOAK").is_some() { 400 } else { 20 };
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&case(), |case| {
            case.check();
            Ok(())
        })
        .unwrap();
    figure("partitions", &format!("{cases} random partitions of random trails were merged"));
}
