//! A year of hourly runs, on a trail with late deliveries and tampering: the findings, and the hour
//! of each.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use ctverify::audit::{Audit, AuditRequest, Outcome};
use ctverify::aws::Connection;
use ctverify::checkpoint::{Kept, Place};
use ctverify::keys::ListPublicKeys;
use ctverify::model::{Depth, DigestStatus, GapCause, LogFileStatus, LogRoot, TimeRange, TrailArn, Verdict};
use ctverify::records::Record;
use ctverify::store::{Location, S3, Store as _};
use ctverify::trail::GetTrailStatus;
use ctverify_testkit::{ACCESS_KEY, Digest, ForgedTrail, SECRET_KEY, Server, ServerOptions, Stored, TrailSpec, gzip};
use jiff::{SignedDuration, Timestamp};

use crate::support::figure;

const HOURS: usize = 365 * 24;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// The time from the end of a digest's hour to the run of the job.
const RUNS_AFTER: SignedDuration = SignedDuration::from_mins(31);

const LATE_IN_TIME: [usize; 3] = [500, 2345, 8000];
const LATE: [usize; 2] = [700, 3100];
const BACKFILL: [usize; 3] = [40, 1000, 6700];
const STOPPED: usize = 4000;
const MOVED: usize = 5000;

/// The hours in which somebody tampers, chosen at random: another `CTVERIFY_TEST_SEED` chooses
/// others.
#[derive(Debug, Clone, Copy)]
struct Tampered {
    /// A log file is changed before the job has read it.
    log_file: usize,
    /// A digest is removed after the job has verified it.
    removed: usize,
    /// A digest is changed before the job has read it.
    digest: usize,
}

impl Tampered {
    fn drawn() -> Self {
        let seed = std::env::var("CTVERIFY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_125);
        let mut taken = [&LATE_IN_TIME[..], &LATE, &BACKFILL, &[STOPPED, MOVED]].concat();
        let mut state: u64 = seed;
        let mut draw = || loop {
            // A linear congruential generator: nothing here has to be hard to foresee (Knuth's
            // constants for MMIX).
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let hour = usize::try_from(state >> 33).unwrap() % (HOURS - 100) + 50;
            // Two events in one day would be reported together.
            if taken.iter().all(|other| hour.abs_diff(*other) > 24) {
                taken.push(hour);
                return hour;
            }
        };
        Self { log_file: draw(), removed: draw(), digest: draw() }
    }
}

/// The findings of a run that no earlier run had reported.
type New = Vec<String>;

fn spec() -> TrailSpec {
    TrailSpec {
        start: "2025-04-01T00:00:00Z".parse().unwrap(),
        hours: u32::try_from(HOURS).unwrap(),
        stopped: vec![u32::try_from(STOPPED).unwrap()],
        backfill: BACKFILL.map(|hour| u32::try_from(hour).unwrap()).into(),
        log_files: 1,
        events: 1,
        ..TrailSpec::default()
    }
}

struct Year {
    trail: ForgedTrail,
    server: Server,
    config: Connection,
    tampered: Tampered,
    state: PathBuf,
    _folder: tempfile::TempDir,
}

/// Returns the digest of this hour, counted from the first one.
fn digest_of(trail: &ForgedTrail, hour: usize) -> &Digest {
    // One digest is missing because logging was off.
    &trail.chains[0].digests[if hour > STOPPED { hour - 1 } else { hour }]
}

fn end_of(digest: &Digest) -> Timestamp {
    digest.document.digest_end_time.parse().unwrap()
}

impl Year {
    fn new() -> Self {
        let tampered = Tampered::drawn();
        let mut trail = spec().forge();
        trail.house_before(MOVED, "old-bucket");
        let mut late_deliveries = HashMap::new();
        let mut late = |trail: &mut ForgedTrail, hour: usize, by: SignedDuration| {
            let digest = digest_of(trail, hour).clone();
            trail.object_mut(&digest.key).last_modified = end_of(&digest) + by;
            late_deliveries.insert(digest.key.clone(), end_of(&digest) + by);
        };
        LATE_IN_TIME.iter().for_each(|hour| late(&mut trail, *hour, SignedDuration::from_mins(100)));
        LATE.iter().for_each(|hour| late(&mut trail, *hour, SignedDuration::from_mins(5 * 60 + 10)));
        // The log files that a backfill digest lists came late themselves.
        for backfill in trail.chains[0].backfill.clone() {
            let generated = trail.object_mut(&backfill.key).last_modified;
            for file in &backfill.document.log_files {
                trail.object_mut(&file.s3_object).last_modified = generated;
            }
        }
        let server =
            Server::start(&trail, ServerOptions { slow_down_permille: 2, late_deliveries, ..ServerOptions::default() });
        let put = |bucket: &str, key: &str, content: &[u8], at: Timestamp| {
            let metadata = trail.objects[&(bucket.to_owned(), key.to_owned())].metadata.clone();
            server.put(bucket, key, Stored { body: gzip(content).into(), metadata, last_modified: at });
        };
        let at_once = SignedDuration::from_mins(27);
        let digest = digest_of(&trail, tampered.log_file);
        let file = &digest.document.log_files[0];
        put(&file.s3_bucket, &file.s3_object, b"{\"Records\":[]}", end_of(digest) + at_once);
        let digest = digest_of(&trail, tampered.removed);
        server.delete(&digest.document.digest_s3_bucket, &digest.key, end_of(digest) + SignedDuration::from_mins(50));
        let digest = digest_of(&trail, tampered.digest);
        let mut changed = digest.document.clone();
        changed.log_files.clear();
        put(&digest.document.digest_s3_bucket, &digest.key, &changed.to_json(), end_of(digest) + at_once);
        let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(server.url())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let config = Connection::from_sdk(config);
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        Self { trail, server, config, tampered, state, _folder: folder }
    }

    /// Runs the audit at `now`, and returns its outcome and the findings that it reported for the
    /// first time.
    async fn run(&self, store: &Arc<S3>, now: Timestamp) -> (Outcome, New) {
        self.server.set_now(now);
        let arn: TrailArn = self.trail.spec.arn().parse().unwrap();
        let moved = now >= digest_of(&self.trail, MOVED).delivered();
        let bucket = if moved { &*self.trail.spec.bucket } else { "old-bucket" };
        let kept = Kept::open(Place::File(self.state.clone()), Some(&arn), "s3://any", Depth::Content).await.unwrap();
        let request = AuditRequest::builder(now)
            .trail(arn.clone())
            .locations([Location { bucket: bucket.to_owned(), root: LogRoot { prefix: String::new() } }])
            .is_organization(false)
            .range(TimeRange { start: self.trail.spec.start.into(), end: None })
            .checkpoint(Arc::new(kept.base().clone()))
            .build()
            .unwrap();
        let keys = ListPublicKeys::new(self.config.clone(), "aws".to_owned());
        let mut audit = Audit::new(store.clone(), Arc::new(keys), request);
        audit.status = Some(Arc::new(GetTrailStatus::new(arn, self.config.clone())));
        let mut new = Vec::new();
        let mut observer = |record: &Record| {
            new.extend(finding(record));
            Ok(())
        };
        let outcome = audit.run(&mut observer, std::future::pending()).await.unwrap();
        kept.save(outcome.checkpoint.clone().unwrap()).await.unwrap();
        (outcome, new)
    }
}

/// Returns the finding that a record is, if no earlier run reported it.
fn finding(record: &Record) -> Option<String> {
    match record {
        Record::Digest(digest) if digest.status != DigestStatus::Valid && digest.history.since.is_none() => {
            Some(format!("{} {}", digest.status, digest.object.key))
        }
        // A file that no digest covers counts through its gap.
        Record::LogFile(file) if file.status == LogFileStatus::Uncovered => None,
        Record::LogFile(file) if file.status != LogFileStatus::Intact && file.history.since.is_none() => {
            Some(format!("{} {}", file.status, file.object.key))
        }
        Record::Gap(gap) if gap.cause != GapCause::NotYetDelivered && gap.history.since.is_none() => {
            Some(format!("{} {}", gap.cause, gap.from))
        }
        Record::Chain(chain) if chain.history.since.is_none() => chain.fault.map(|fault| fault.to_string()),
        Record::Warning(warning) => Some(format!("{} {}", warning.code, warning.detail)),
        _ => None,
    }
}

/// Returns the hours of the year in which the job runs: each one in a soak test, else those around
/// each event, and one a day.
fn runs(tampered: Tampered) -> impl Iterator<Item = usize> {
    let every_one = std::env::var_os("CTVERIFY_TEST_SOAK").is_some();
    let happens =
        [&LATE_IN_TIME[..], &LATE, &BACKFILL, &[STOPPED, MOVED, tampered.log_file, tampered.removed, tampered.digest]]
            .concat();
    (1..=HOURS).filter(move |hour| {
        every_one || hour % 24 == 0 || happens.iter().any(|event| (hour.saturating_sub(12)..hour + 3).contains(event))
    })
}

/// Returns the findings that have to be reported, by the hour of the run.
fn expected(trail: &ForgedTrail, tampered: Tampered) -> BTreeMap<usize, New> {
    let key = |hour: usize| digest_of(trail, hour).key.clone();
    let begin = |hour: usize| end_of(digest_of(trail, hour)) - HOUR;
    let mut expected: BTreeMap<usize, New> = BTreeMap::new();
    for hour in LATE {
        // The first run more than two hours after its end.
        expected.insert(hour + 2, vec![format!("missing {}", key(hour)), format!("digests_missing {}", begin(hour))]);
    }
    let Tampered { log_file, removed, digest } = tampered;
    let file = &digest_of(trail, log_file).document.log_files[0].s3_object;
    expected.insert(log_file, vec![format!("modified {file}")]);
    expected.insert(STOPPED + 1, vec![format!("logging_stopped {}", end_of(digest_of(trail, STOPPED - 1)))]);
    // The run of its own hour has verified it.
    expected.insert(removed + 1, vec![format!("missing {}", key(removed)), "checkpoint_contradicted".to_owned()]);
    // It is the newest one then, so that the delivered one is gone from the tail.
    let fault = if removed < digest { "checkpoint_contradicted" } else { "tail_cut" };
    let invalid = [format!("invalid {}", key(digest)), format!("digests_invalid {}", begin(digest)), fault.to_owned()];
    expected.insert(digest, invalid.into());
    expected
}

#[test]
fn a_year_of_hourly_runs_reports_each_thing_once_and_nothing_else() {
    let began = Instant::now();
    let year = Year::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = end_of(digest_of(&year.trail, 0));
    let store = Arc::new(S3::new(year.config.clone(), "s3://any".to_owned()));
    let (mut reported, mut largest) = (BTreeMap::new(), 0);
    let mut verdicts = BTreeMap::new();
    runtime.block_on(async {
        for hour in runs(year.tampered) {
            let now = first + HOUR * i32::try_from(hour).unwrap() + RUNS_AFTER;
            let (outcome, new) = year.run(&store, now).await;
            if !new.is_empty() {
                reported.insert(hour, new);
            }
            verdicts.insert(hour, outcome.summary.verdict);
            largest = largest.max(std::fs::metadata(&year.state).unwrap().len());
        }
    });
    assert_eq!(reported, expected(&year.trail, year.tampered));
    assert!(largest < 64 << 10, "the checkpoint grew to {largest} bytes");
    // A violation stays in every later report, and keeps the verdict. What is mended, such as a digest
    // that comes late, does not.
    let is = |hour: usize, verdict| assert_eq!(verdicts[&hour], verdict, "hour {hour}");
    let Tampered { log_file, removed, digest } = year.tampered;
    let tampered = [log_file, removed + 1, digest].into_iter().min().unwrap();
    let before = |hour: usize, verdict| {
        if hour < tampered {
            is(hour, verdict);
        }
    };
    for hour in LATE {
        [hour + 2, hour + 4].iter().for_each(|hour| is(*hour, Verdict::Violated));
        [hour + 1, hour + 5, hour + 6].iter().for_each(|hour| before(*hour, Verdict::Verified));
    }
    before(STOPPED + 1, Verdict::Inconclusive);
    before(STOPPED + 2, Verdict::Verified);
    let in_time = LATE_IN_TIME.iter().flat_map(|hour| *hour..=hour + 2);
    in_time.filter(|hour| verdicts.contains_key(hour)).for_each(|hour| before(hour, Verdict::Verified));
    verdicts.range(tampered..).for_each(|(hour, _)| is(*hour, Verdict::Violated));
    let (seconds, gets) = (began.elapsed().as_secs(), store.requests().get);
    figure(
        "year",
        &format!(
            "{} of a year's {HOURS} hourly runs: {gets} objects read, the checkpoint at most {largest} bytes, \
             in {seconds} s",
            verdicts.len()
        ),
    );
}
