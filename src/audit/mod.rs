//! The walk: which chains there are, which digests they have, what those say of each other and of the log files.
//!
//! An [`Audit`] runs in four steps that overlap. It **discovers** chains by listing folders; it **examines** each chain: reads its
//! digests, follows pointers that no listing showed, and lets [`crate::verify::settle()`] judge them together; it **accounts** for
//! the range: what is covered, and why the rest is not; and it **judges** the log files that valid digests list. Log files are
//! found through digests, never by listing. A chain has to be judged as a whole, and may be long: what its digests say waits on a
//! shelf, which is a file where it is much.
//!
//! What it finds goes to an [`Observer`], one [`Record`] at a time, in an order that does not depend on how many things run at
//! once. The audit knows stores and key sources by their traits and no report at all.

mod beside;
mod content;
mod context;
mod day_check;
mod discover;
mod element;
mod elsewhere;
mod error;
mod estimate;
mod examine;
mod expected;
mod expiry;
mod fetch;
mod files;
mod fingerprints;
mod gaps;
mod handover;
mod identity;
mod judged;
mod keeper;
mod listed;
mod listing;
mod log_files;
mod log_folder;
mod log_listing;
mod neighbours;
mod observer;
mod outlook;
mod outside;
mod oversized;
mod pace;
mod past_days;
mod plan;
mod pool;
mod range;
mod read;
mod region_keys;
mod request;
mod resume;
mod room;
mod sample;
mod shelf;
mod sight;
mod spool;
mod strays;
mod tail;
mod unread;
mod versions;
mod walk;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use ahash::RandomState;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp, Unit};

pub use error::AuditError;
pub use observer::{Observer, Progress};
pub use request::{AuditRequest, Expected, Recheck, SampleRequest, SampleSize};

use beside::FoundBeside;
use context::{Context, Statuses};
use discover::{Discovery, ListedChain, discover};
use examine::examine_chain;
use keeper::Keeper;
use neighbours::Neighbours;
use pace::Pace;
use plan::{Plan, Step};
use region_keys::RegionKeys;
use room::Room;
use unread::Unread;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::keys::KeySource;
use crate::model::{
    ChainId, Checkpoint, LogFileStatus, Record, RunRecord, Sample, SummaryRecord, Tally, TimeRange, WarningCode,
    WarningRecord,
};
use crate::store::Store;
use crate::trail::{NeighbourSource, StatusSource};

/// How many chains are examined ahead of the one that is being reported.
const CHAINS_AHEAD: usize = 32;
/// How many digests of theirs may wait together; a single chain may have more.
const DIGESTS_AHEAD: usize = 1500;
/// The shortest time for which keys are asked after what is known.
const KEY_MARGIN: SignedDuration = SignedDuration::from_hours(3);
/// The shortest time for which keys are asked before it: whole days are looked at in search of the digests that
/// list a file, and a scheduled run looks at the two days before its range.
const KEYS_BEFORE: SignedDuration = SignedDuration::from_hours(3 * 24 + 3);

/// What came of an audit.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The last record.
    pub summary: SummaryRecord,
    /// What the next run goes on from, where the request had a checkpoint and the run came to its end.
    pub checkpoint: Option<Checkpoint>,
}

/// The verification of a trail.
pub struct Audit {
    /// Where the bytes are.
    pub store: Arc<dyn Store>,
    /// Where public keys come from.
    pub keys: Arc<dyn KeySource>,
    /// What CloudTrail says of the trail's delivery, where it speaks of the place that is read.
    pub status: Option<Arc<dyn StatusSource>>,
    /// Which trails deliver to the same place without digests, where that can be asked.
    pub neighbours: Option<Arc<dyn NeighbourSource>>,
    /// What is asked.
    pub request: AuditRequest,
    /// How far it is.
    pub progress: Arc<Progress>,
}

impl Audit {
    /// Runs the audit, and ends early when `stop` does: what was found until then is `inconclusive`.
    ///
    /// Must run within a tokio runtime.
    pub async fn run(self, observer: &mut dyn Observer, stop: impl Future<Output = ()>) -> Result<Outcome, AuditError> {
        let Self { store, keys, status, request, .. } = &self;
        let keeper = request.checkpoint.clone();
        let keeper = keeper
            .map(|before| Mutex::new(Keeper::new(before, request.now, request.allowed.clone(), tail::probes(request))));
        let range = request.bounded_range(store.is_live());
        let mut tally = Tally::default();
        let mut stop = std::pin::pin!(stop);
        let unread = Unread::default();
        let mut has_begun = false;
        let mut tell = |mut record: Record| {
            if let Some(keeper) = &keeper {
                lock(keeper).told(&mut record);
            }
            has_begun |= matches!(record, Record::Run(_));
            tally.count(&record);
            observer.record(&record)
        };
        let interrupted = tokio::select! {
            biased;
            () = &mut stop => true,
            outcome = self.walk(range, &unread, keeper.as_ref(), &mut tell) => {
                outcome?;
                false
            }
        };
        if !has_begun {
            observer.record(&self.opening(request.sample.map(|sample| Sample { files: 0, seed: sample.seed })))?;
        }
        let sample = unread.sample_result();
        tally.unsampled = sample.map_or(0, |sample| sample.total - sample.read);
        let verdict = tally.verdict(&request.allowed, interrupted);
        let mut requests = store.requests();
        requests.other += keys.requests() + request.requests_before;
        requests.other += status.as_ref().map_or(0, |status| status.requests());
        requests.other += self.neighbours.as_ref().map_or(0, |neighbours| neighbours.requests());
        let summary = SummaryRecord {
            verdict,
            exit_code: if interrupted { INTERRUPTED } else { verdict.exit_code() },
            not_read: unread.by_depth.into_inner() + tally.unsampled,
            tally,
            depth: request.depth,
            sample,
            interrupted,
            keys_of_bag: request.keys_of_bag,
            requests,
            since_checkpoint: keeper.as_ref().map(|keeper| lock(keeper).since_checkpoint()),
            finished: Timestamp::now().round(Unit::Second).unwrap_or(request.now),
        };
        observer.record(&Record::Summary(summary.clone()))?;
        let keeper =
            keeper.filter(|_| !interrupted).map(|keeper| keeper.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(Outcome { checkpoint: keeper.map(|keeper| keeper.finish(verdict)), summary })
    }

    /// What the parts of this audit share. `ends` are the ends of the first and of the last digest that were listed.
    fn context(&self, range: TimeRange, statuses: Statuses, ends: Option<(Timestamp, Timestamp)>) -> Context {
        let Self { store, keys, request, progress, .. } = self;
        let (from, to) = key_range(&range, request.now, ends);
        Context {
            store: store.clone(),
            keys: Arc::new(RegionKeys::new(keys.clone(), from, to, request.now)),
            request: request.clone(),
            range,
            progress: progress.clone(),
            statuses,
            resume: None,
            written_after: None,
            examined: Arc::default(),
            ends,
            pace: Arc::new(Pace::new(request.concurrency)),
            large_digests: Arc::new(Semaphore::new(1)),
            oversized_bytes: Arc::default(),
            hasher: RandomState::new(),
            versions_denied: Arc::default(),
            versions_cut: Arc::default(),
            told_strays: Arc::default(),
            answers: Arc::default(),
            neighbours: Arc::new(Neighbours::new(self.neighbours.clone())),
            lifecycles: Arc::default(),
        }
    }

    fn opening(&self, sample: Option<Sample>) -> Record {
        let Self { store, request, .. } = self;
        Record::Run(RunRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: request.now,
            trail_arn: request.trail.clone(),
            range: request.range,
            source: store.source(),
            depth: request.depth,
            sample,
            grace_seconds: request.grace.as_secs(),
            files: request.files.len(),
        })
    }
}

/// The exit code of an interrupted run: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

impl Audit {
    async fn walk(
        &self,
        range: TimeRange,
        unread: &Unread,
        keeper: Option<&Mutex<Keeper>>,
        tell: &mut impl FnMut(Record) -> std::io::Result<()>,
    ) -> Result<(), AuditError> {
        let Self { store, status, request, .. } = self;
        let before = &request.warnings_before;
        if request.sample.is_none() {
            tell(self.opening(None))?;
            before.iter().cloned().map(Record::Warning).try_for_each(&mut *tell)?;
        }
        if let Some(range) = files::range(&request.files) {
            let context = Arc::new(self.context(range, Statuses::new(), None));
            let steps = files::steps(&context, &request.files).await?;
            report(&context, stream::iter(steps.into_iter().map(Ok)), unread, tell).await?;
            let about_keys = context.keys.warnings().into_iter().chain(context.versions_warnings());
            return about_keys.map(Record::Warning).try_for_each(tell).map_err(AuditError::from);
        }
        let mut discovery = discover(store, status.as_deref(), request, &range).await?;
        expected::add(&mut discovery, request, &range);
        let ends = || discovery.chains.values().flat_map(|chain| chain.digests.ends());
        let ends = ends().min().zip(ends().max());
        let mut context = self.context(range, std::mem::take(&mut discovery.statuses), ends);
        context.examined = Arc::new(discovery.chains.keys().cloned().collect());
        let context = Arc::new(context);
        expected::add_unexplained(&mut discovery, &context).await?;
        let Discovery { chains, warnings, mut folders, .. } = discovery;
        let beside = beside::find(&context, &mut folders, chains.keys()).await?;
        let examined = self::ahead(chains, context.clone());
        let plans = examined
            .then(|task| async move { task.await.map_err(|error| AuditError::Task(error.to_string()))? })
            .map_ok(|mut plan| {
                if let (Some(keeper), Some(outlook)) = (keeper, plan.take_outlook()) {
                    lock(keeper).examined(outlook);
                }
                plan
            });
        let FoundBeside { files: beside, warnings: about_beside } = beside;
        let beside = beside.into_iter().map(Record::LogFile).chain(about_beside.into_iter().map(Record::Warning));
        match &request.sample {
            None => {
                beside.into_iter().try_for_each(&mut *tell)?;
                let steps = plans.flat_map(|plan| match plan {
                    Ok(plan) => stream::iter(unread.counting(plan)).left_stream(),
                    Err(error) => stream::iter([Err(error)]).right_stream(),
                });
                report(&context, steps, unread, tell).await?;
            }
            Some(sample) => {
                // Which files are read depends on how many there are.
                let mut steps = Vec::new();
                let mut plans = std::pin::pin!(plans);
                while let Some(plan) = plans.try_next().await? {
                    for step in unread.counting(plan) {
                        steps.push(step?);
                    }
                }
                let chosen = sample.choose(&mut steps);
                let chosen = *unread.sample.get_or_init(|| chosen);
                tell(self.opening(Some(chosen.sample)))?;
                before.iter().cloned().map(Record::Warning).chain(beside).try_for_each(&mut *tell)?;
                report(&context, stream::iter(steps.into_iter().map(Ok)), unread, tell).await?;
            }
        }
        if let Some(warning) = context.neighbours_warning() {
            tell(Record::Warning(warning))?;
        }
        let unknown: Vec<WarningRecord> = tail::warnings(&context.statuses).collect();
        let reach = Some(request.expected.unknown.join("; ")).filter(|unknown| !unknown.is_empty());
        let reach =
            reach.map(|detail| WarningRecord { code: WarningCode::ReachUnknown, bucket: None, key: None, detail });
        let about_keys = context.keys.warnings().into_iter().chain(context.versions_warnings());
        for warning in warnings.into_iter().chain(unknown).chain(reach).chain(about_keys) {
            tell(Record::Warning(warning))?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Examines chains in the order in which they are told of, ahead of that as far as there is room: by a task of its own, since whoever
/// tells of one chain asks for no other meanwhile.
fn ahead(
    chains: BTreeMap<ChainId, ListedChain>,
    context: Arc<Context>,
) -> impl Stream<Item = JoinHandle<Result<Plan, AuditError>>> {
    let (begun, mut tasks) = mpsc::channel(CHAINS_AHEAD);
    tokio::spawn(async move {
        let room = Room::new(DIGESTS_AHEAD);
        for (id, listed) in chains {
            let mut seat = room.turn().await;
            let context = match (listed.resume.clone(), listed.sight.seen) {
                (Some(resume), seen) => Arc::new(context.resumed(resume, seen)),
                (None, Some(seen)) => Arc::new(Context { written_after: Some(seen), ..(*context).clone() }),
                (None, None) => context.clone(),
            };
            let task = tokio::spawn(async move {
                let chain = examine_chain(context.clone(), Arc::new(id), listed, &mut seat).await?;
                Plan::new(chain, context, seat)
            });
            if begun.send(task).await.is_err() {
                // The run has ended.
                break;
            }
        }
    });
    stream::poll_fn(move |context| tasks.poll_recv(context))
}

/// Reads log files ahead, and tells each record in its turn.
async fn report(
    context: &Arc<Context>,
    steps: impl Stream<Item = Result<Step, AuditError>>,
    unread: &Unread,
    tell: &mut impl FnMut(Record) -> std::io::Result<()>,
) -> Result<(), AuditError> {
    let shared = context.clone();
    let records = pool::in_order(context, steps, move |step| {
        let context = shared.clone();
        async move {
            match step {
                Step::Record(record) => Ok((*record, None)),
                Step::LogFile(chain, task) => {
                    let is_candidate = task.is_candidate;
                    let record = log_files::judge(&context, chain, *task).await;
                    let sampled = is_candidate.then_some(record.status);
                    Ok((Record::LogFile(record), sampled))
                }
            }
        }
    });
    let mut records = std::pin::pin!(records);
    while let Some(told) = records.next().await {
        let (record, sampled) = told?;
        if let Some(status) = sampled {
            unread.read.fetch_add(1, Ordering::Relaxed);
            unread.bad.fetch_add(u64::from(status != LogFileStatus::Intact), Ordering::Relaxed);
        }
        tell(record)?;
    }
    Ok(())
}

/// The time for which public keys are asked: the range, what was listed for it, and a margin.
fn key_range(range: &TimeRange, now: Timestamp, ends: Option<(Timestamp, Timestamp)>) -> (Timestamp, Timestamp) {
    let (first, last) = ends.unzip();
    let from = [range.start, first].into_iter().flatten().min().unwrap_or(now);
    // Names can tell any time, and nothing was signed in the future.
    let to = [range.end, last].into_iter().flatten().max().unwrap_or(now).min(now);
    // CloudTrail began in November 2013.
    let from = from.min(to).max(Timestamp::constant(1_383_264_000, 0));
    (from.saturating_sub(KEYS_BEFORE).unwrap_or(from), to.saturating_add(KEY_MARGIN).unwrap_or(to))
}
