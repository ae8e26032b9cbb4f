//! A network that is never kind: faults that pass change no record, and those that stay accuse nobody.

use ctverify_testkit::{ForgedTrail, Server, ServerOptions, TrailSpec};

use crate::support::{Run, ctverify_at, figure, records};

fn trail() -> ForgedTrail {
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    TrailSpec { hours: 8, regions, busy_percent: 100, ..TrailSpec::default() }.forge()
}

fn verify(trail: &ForgedTrail, options: ServerOptions) -> Run {
    let server = Server::start(trail, options);
    let range = ["--start", "2026-03-01T01:00:00Z", "--end", "2026-03-01T07:00:00Z", "--trail-arn", &trail.spec.arn()];
    records(ctverify_at(&server).args(range))
}

/// Two hundred runs, each with other faults in one request of ten: errors of the server, refusals, connections closed before the answer and
/// within the body, bodies cut short with and without an announced length.
#[test]
fn faults_that_pass_change_no_record() {
    const SEEDS: u64 = 200;
    let mut damaged = trail();
    let file = damaged.chains[0].digests[4].document.log_files[0].s3_object.clone();
    damaged.remove(&file);
    damaged.remove(&damaged.chains[1].digests[5].key.clone());
    for trail in [trail(), damaged] {
        let whole = verify(&trail, ServerOptions::default());
        let next = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if seed >= SEEDS / 2 {
                            return;
                        }
                        let faulty =
                            verify(&trail, ServerOptions { faults: Some((seed, 10)), ..ServerOptions::default() });
                        let (one, other) = (faulty.findings(), whole.findings());
                        let new: Vec<_> = one.iter().filter(|record| !other.contains(record)).collect();
                        assert!(new.is_empty(), "seed {seed}: {} {new:#?}", faulty.stderr);
                        assert_eq!((faulty.code, one.len()), (whole.code, other.len()), "seed {seed}");
                    }
                });
            }
        });
    }
    figure("faults", &format!("{SEEDS} seeds of passing faults survived"));
}

#[test]
fn faults_that_stay_accuse_nobody() {
    let trail = trail();
    let run = verify(&trail, ServerOptions { faults: Some((1, 100)), ..ServerOptions::default() });
    assert!(run.code == 4 || run.code == 3, "{} {}", run.code, run.stderr);
}
