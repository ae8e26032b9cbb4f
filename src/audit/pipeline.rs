//! The run of an audit: from the chains that are found to the records that are emitted.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ahash::RandomState;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp, Unit};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::discovery::chains::{Discovery, ListedChain, discover, list_chain};
use super::discovery::discovered::{ChainList, Discovered, DiscoveredChain, DiscoveredFacts};
use super::discovery::{expected, statuses};
use super::emit::chain_records::ChainRecords;
use super::emit::not_read::NotRead;
use super::emit::step::Step;
use super::error::AuditError;
use super::event_history::EventHistory;
use super::examine::examine_chain;
use super::inputs::{Audit, Outcome};
use super::io::body_memory::BodyMemory;
use super::io::lookahead::{CHAINS_AHEAD, Lookahead};
use super::io::ordered_tasks;
use super::io::read_object::ObjectReader;
use super::io::throttle::Throttle;
use super::log_files::judge;
use super::log_folder::beside_regions::{self, FoundBeside};
use super::log_folder::unexplained;
use super::logging_events::{LoggingEvents, explain};
use super::next_checkpoint::builder::CheckpointBuilder;
use super::observer::Observer;
use super::request::SampleRequest;
use super::shared::context::{Context, ExaminedChains, Statuses};
use super::shared::key_cache::KeyCache;
use super::shared::neighbours::Neighbours;
use super::shared::proven_content::{Consumed, Consumption};
use super::single_files;
use super::sink::RecordSink;
use crate::model::{ChainId, LogFileStatus, Period, TimeRange, WarningCode, earlier, exit_code, later};
use crate::records::{Record, RunRecord, Sample, Schema, SummaryRecord, Tally, WarningRecord};
use crate::sync::lock;

/// The number of digests that the chains examined ahead may hold together; a single chain may have
/// more.
const DIGESTS_AHEAD: usize = 1500;
/// The shortest time after the known digests for which keys are requested.
const KEY_MARGIN: SignedDuration = SignedDuration::from_hours(3);
/// The shortest time before the known digests for which keys are requested: whole days are searched
/// for the digests that list a file, and a scheduled run examines the two days before its range.
const KEYS_BEFORE: SignedDuration = SignedDuration::from_hours(3 * 24 + 3);
/// The start of the month in which CloudTrail was introduced: 2013-11-01. No key is older.
pub(super) const CLOUDTRAIL_BEGAN: Timestamp = Timestamp::constant(1_383_264_000, 0);

impl Audit {
    /// Runs the audit, and ends early when `stop` does: then the verdict is `inconclusive` at best.
    ///
    /// Must run within a tokio runtime. The future is not [`Send`], because the observer need not
    /// be: run it with `block_on`.
    ///
    /// # Errors
    ///
    /// Fails if nothing of the trail could be listed, if a folder holds two files under one name, if
    /// the observer fails, or for lack of means of the machine: see [`AuditError`]. That nothing was
    /// found is no error.
    pub async fn run(self, observer: &mut dyn Observer, stop: impl Future<Output = ()>) -> Result<Outcome, AuditError> {
        let checkpoint = self.checkpoint_builder();
        let not_read = NotRead::default();
        let mut sink = RecordSink::new(observer, checkpoint.as_ref());
        let mut stop = std::pin::pin!(stop);
        let keys = OnceLock::new();
        let pipeline = Pipeline { audit: &self, not_read: &not_read, checkpoint: checkpoint.as_ref(), keys: &keys };
        let is_interrupted = tokio::select! {
            biased;
            () = &mut stop => true,
            outcome = pipeline.run(&mut sink) => {
                outcome?;
                false
            }
        };
        let (tally, has_begun) = sink.finish();
        if !has_begun {
            let sample = self.request.sample.map(|sample| Sample { files: 0, seed: sample.seed });
            observer.record(&pipeline.opening(sample))?;
        }
        let used = keys.get().map(|keys: &Arc<KeyCache>| keys.used()).unwrap_or_default();
        let summary = self.summary(tally, &not_read, checkpoint.as_ref(), is_interrupted);
        let summary = SummaryRecord { public_keys: used.fingerprints, key_validity: used.validity, ..summary };
        observer.record(&Record::Summary(summary.clone()))?;
        let checkpoint = checkpoint.filter(|_| !is_interrupted);
        let checkpoint = checkpoint.map(|builder| builder.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(Outcome { checkpoint: checkpoint.map(|builder| builder.finish(summary.verdict)), summary })
    }

    /// The builder of the next checkpoint, where the request has one.
    fn checkpoint_builder(&self) -> Option<Mutex<CheckpointBuilder>> {
        let request = &self.request;
        let previous = request.checkpoint.clone()?;
        Some(Mutex::new(CheckpointBuilder::new(previous, request, statuses::probes(request))))
    }

    /// The summary of a run whose other records were counted in `tally`.
    fn summary(
        &self,
        mut tally: Tally,
        not_read: &NotRead,
        checkpoint: Option<&Mutex<CheckpointBuilder>>,
        is_interrupted: bool,
    ) -> SummaryRecord {
        let request = &self.request;
        let sample = not_read.sample_result();
        tally.unsampled = sample.map_or(0, |sample| sample.total - sample.read);
        let since_checkpoint = checkpoint.map(|builder| lock(builder).since_checkpoint());
        if let Some(since) = &since_checkpoint {
            tally.take_counted(since);
        }
        let verdict = tally.verdict(&request.allowed, is_interrupted);
        let fails = request.fails_on_tampering && tally.tampering.succeeded > 0;
        SummaryRecord {
            verdict,
            exit_code: match verdict.exit_code() {
                _ if is_interrupted => exit_code::INTERRUPTED,
                _ if fails => exit_code::VIOLATED,
                code => code,
            },
            looked_for_tampering: self.examiner.is_some(),
            not_read: not_read.by_depth() + tally.unsampled,
            tally,
            depth: request.depth,
            sample,
            interrupted: is_interrupted,
            keys_of_bag: request.keys_of_bag,
            public_keys: BTreeMap::new(),
            key_validity: BTreeMap::new(),
            requests: self.requests(),
            since_checkpoint,
            finished: Timestamp::now().round(Unit::Second).unwrap_or(request.now),
        }
    }
}

/// One run of an audit.
pub(super) struct Pipeline<'a> {
    pub audit: &'a Audit,
    /// Counts the log files that the run does not read on purpose.
    pub not_read: &'a NotRead,
    pub checkpoint: Option<&'a Mutex<CheckpointBuilder>>,
    /// The public keys of the run, once they are asked for.
    pub keys: &'a OnceLock<Arc<KeyCache>>,
}

impl Pipeline<'_> {
    /// Emits every record but the summary.
    pub(super) async fn run(&self, sink: &mut RecordSink<'_>) -> Result<(), AuditError> {
        let Audit { store, request, .. } = self.audit;
        let range = request.bounded_range(store.properties().is_live);
        if request.sample.is_none() {
            sink.emit(self.opening(None))?;
            sink.emit_all(self.records_before())?;
        }
        match single_files::range(&request.files) {
            Some(range) => self.single_files(range, sink).await,
            None => self.chains(range, sink).await,
        }
    }

    /// The first record. `sample` is known once the log files were counted.
    pub(super) fn opening(&self, sample: Option<Sample>) -> Record {
        let Audit { store, request, .. } = self.audit;
        Record::Run(RunRecord {
            schema: Schema,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: request.statement.started.unwrap_or(request.now),
            trail_arn: request.trail.clone(),
            range: request.bounded_range(store.properties().is_live),
            source: store.source(),
            depth: request.depth,
            sample,
            grace_seconds: request.grace.as_secs(),
            filters: request.filters(),
            allow: request.allowed.words(),
            fail_on: request.fails_on_tampering.then(|| "tampering".to_owned()).into_iter().collect(),
            endpoints: request.statement.endpoints.clone(),
            keys: request.statement.keys.clone(),
            settings: request.statement.settings.clone(),
            merged: request.statement.merged.clone(),
            files: request.files.len(),
        })
    }

    /// The records that follow the run record: what is known from before the audit.
    fn records_before(&self) -> impl Iterator<Item = Record> {
        let request = &self.audit.request;
        let bag = request.bag.clone().map(Record::Bag);
        bag.into_iter().chain(request.warnings_before.iter().cloned().map(Record::Warning))
    }

    /// Judges single log files, which the request names.
    async fn single_files(&self, range: TimeRange, sink: &mut RecordSink<'_>) -> Result<(), AuditError> {
        let context = Arc::new(self.audit.context(range, None));
        self.keys.get_or_init(|| context.keys.clone());
        let steps = single_files::steps(&context, &self.audit.request.files).await?;
        self.emit_steps(&context, stream::iter(steps.into_iter().map(Ok)), sink).await?;
        sink.emit_all(warnings_of_run(&context).map(Record::Warning))?;
        Ok(())
    }

    /// Finds and examines every chain of the request, and emits its records.
    async fn chains(&self, range: TimeRange, sink: &mut RecordSink<'_>) -> Result<(), AuditError> {
        let Found { chains, context, beside_regions, warnings } = match &self.audit.discovered {
            Some(discovered) => self.audit.found_before(range, discovered)?,
            None => self.audit.find(range).await?,
        };
        self.keys.get_or_init(|| context.keys.clone());
        let FoundBeside { files, warnings: about_beside } = beside_regions;
        let beside_regions =
            files.into_iter().map(Record::LogFile).chain(about_beside.into_iter().map(Record::Warning));
        let of_chains = self.of_chains(chains, &context);
        match &self.audit.request.sample {
            None => {
                sink.emit_all(beside_regions)?;
                let steps = of_chains.flat_map(|chain_records| match chain_records {
                    Ok(chain_records) => stream::iter(self.not_read.counting(chain_records)).left_stream(),
                    Err(error) => stream::iter([Err(error)]).right_stream(),
                });
                self.emit_steps(&context, steps, sink).await?;
            }
            Some(sample) => {
                let steps = self.sampled(sample, of_chains).await?;
                sink.emit(self.opening(self.not_read.sample()))?;
                sink.emit_all(self.records_before().chain(beside_regions))?;
                self.emit_steps(&context, stream::iter(steps.into_iter().map(Ok)), sink).await?;
            }
        }
        sink.emit_all(self.closing_warnings(&context, warnings).into_iter().map(Record::Warning))?;
        Ok(())
    }

    /// The records of each chain, in order. The builder of the next checkpoint sees each chain
    /// before its records.
    fn of_chains(
        &self,
        chains: Chains,
        context: &Arc<Context>,
    ) -> impl Stream<Item = Result<ChainRecords, AuditError>> {
        let shared = context.clone();
        examine_ahead(chains, context.clone())
            .then(|task| async move { task.await.map_err(|error| AuditError::Task(error.to_string()))? })
            .and_then(move |mut chain_records| {
                let context = shared.clone();
                async move {
                    // One chain after another, so that the same gaps are asked about in each run.
                    if let Some(history) = &context.event_history {
                        history.ask(&context, chain_records.is_proven, chain_records.gaps_mut()).await;
                    }
                    Ok(chain_records)
                }
            })
            .map_ok(|mut chain_records| {
                if let (Some(builder), Some(snapshot)) = (self.checkpoint, chain_records.take_snapshot()) {
                    lock(builder).on_chain(snapshot);
                }
                chain_records
            })
    }

    /// The steps of all chains, with the log files that the sample leaves out removed. The choice
    /// depends on how many there are, so all chains are examined first.
    async fn sampled(
        &self,
        sample: &SampleRequest,
        of_chains: impl Stream<Item = Result<ChainRecords, AuditError>>,
    ) -> Result<Vec<Step>, AuditError> {
        let mut steps = Vec::new();
        let mut of_chains = std::pin::pin!(of_chains);
        while let Some(chain_records) = of_chains.try_next().await? {
            for step in self.not_read.counting(chain_records) {
                steps.push(step?);
            }
        }
        let chosen = sample.choose(&mut steps);
        self.not_read.set_sample(chosen);
        Ok(steps)
    }

    /// Reads log files ahead, and emits the records in order.
    async fn emit_steps(
        &self,
        context: &Arc<Context>,
        steps: impl Stream<Item = Result<Step, AuditError>>,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), AuditError> {
        let shared = context.clone();
        let records = ordered_tasks::in_order(context.task_limits(), steps, move |step| {
            let context = shared.clone();
            async move { judge_step(&context, step).await }
        });
        let mut records = std::pin::pin!(records);
        while let Some(judged) = records.try_next().await? {
            if let Some(status) = judged.sampled {
                self.not_read.count_sampled(status);
            }
            sink.emit_with(judged.record, judged.consumed.extract)?;
            sink.emit_all(judged.consumed.records)?;
        }
        Ok(())
    }

    /// The warnings that follow the records of the chains.
    fn closing_warnings(&self, context: &Context, of_discovery: Vec<WarningRecord>) -> Vec<WarningRecord> {
        let unknown = &self.audit.request.expected.unknown;
        let reach = (!unknown.is_empty()).then(|| WarningRecord {
            code: WarningCode::ReachUnknown,
            bucket: None,
            key: None,
            detail: unknown.join("; "),
        });
        let neighbours = context.neighbours.warning(self.audit.request.depth);
        let statuses = statuses::warnings(&context.statuses);
        let closed = self.checkpoint.map(|builder| lock(builder).take_warnings()).unwrap_or_default();
        let found = closed.into_iter().chain(neighbours).chain(of_discovery).chain(statuses).chain(reach);
        found.chain(warnings_of_run(context)).collect()
    }
}

/// The chains of a run, before they are examined.
pub(super) struct Found {
    pub chains: Chains,
    pub context: Arc<Context>,
    /// The objects that lie in no region's folder and that no digest lists.
    pub beside_regions: FoundBeside,
    /// The warnings about the discovery.
    pub warnings: Vec<WarningRecord>,
}

/// The chains that a run examines, in the order of their identities.
pub(super) enum Chains {
    /// Their digests are listed.
    Listed(BTreeMap<ChainId, ListedChain>),
    /// Another run has found them, and their digests are not listed yet.
    Unlisted(Arc<dyn ChainList>),
}

impl Audit {
    /// Finds every chain of the request, and those that should be there.
    pub(super) async fn find(&self, range: TimeRange) -> Result<Found, AuditError> {
        let Self { store, status, request, .. } = self;
        let mut discovery = discover(store, status.as_deref(), request, &range).await?;
        expected::add(&mut discovery, request, &range);
        let ends = || discovery.chains.values().flat_map(|chain| chain.digests.ends());
        let ends = ends().min().zip(ends().max()).map(|(first, last)| Period::new(first, last));
        let mut context = self.context(range, ends);
        context.statuses = std::mem::take(&mut discovery.statuses);
        let mut examined = ExaminedChains::default();
        discovery.chains.keys().for_each(|chain| examined.insert(chain));
        context.examined = Arc::new(examined);
        let context = Arc::new(context);
        unexplained::add_chains(&mut discovery, &context).await?;
        let Discovery { chains, warnings, mut folders, .. } = discovery;
        let beside_regions = beside_regions::find(&context, &mut folders, chains.keys()).await?;
        Ok(Found { chains: Chains::Listed(chains), context, beside_regions, warnings })
    }

    /// Takes the chains that another run has found.
    fn found_before(&self, range: TimeRange, discovered: &Discovered) -> Result<Found, AuditError> {
        let Discovered { chains, facts } = discovered;
        let DiscoveredFacts { statuses, warnings, beside_regions, beside_warnings, neighbours, ends } = facts.clone();
        let beside_regions = FoundBeside { files: beside_regions, warnings: beside_warnings };
        let mut context = self.context(range, ends);
        context.statuses = statuses;
        context.neighbours = Arc::new(Neighbours::new(self.neighbours.clone()).with_known(&neighbours));
        let mut examined = ExaminedChains::default();
        for chain in chains.chains() {
            examined.insert(&chain.map_err(AuditError::ChainList)?.id);
        }
        context.examined = Arc::new(examined);
        let chains = Chains::Unlisted(chains.clone());
        Ok(Found { chains, context: Arc::new(context), beside_regions, warnings })
    }

    /// The context of a run over `range`. `ends` are the ends of the first and of the last digest
    /// that were listed.
    pub(super) fn context(&self, range: TimeRange, ends: Option<Period>) -> Context {
        let Self { store, keys, request, progress, .. } = self;
        let period = key_range(&range, request.now, ends);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Context {
            store: store.clone(),
            keys: Arc::new(KeyCache::new(keys.clone(), period, request.now)),
            request: request.clone(),
            range,
            progress: progress.clone(),
            statuses: Statuses::new(),
            resume: None,
            written_after: None,
            examined: Arc::default(),
            ends,
            reader: ObjectReader {
                store: store.clone(),
                throttle: Arc::new(Throttle::new(request.concurrency)),
                body_memory: Arc::new(BodyMemory::new(request.concurrency, cores)),
                progress: progress.clone(),
            },
            large_digests: Arc::new(Semaphore::new(1)),
            oversized_bytes: Arc::default(),
            hasher: RandomState::new(),
            versions_denied: Arc::default(),
            versions_cut: Arc::default(),
            emitted_strays: Arc::default(),
            answers: Arc::default(),
            neighbours: Arc::new(Neighbours::new(self.neighbours.clone())),
            lifecycles: Arc::default(),
            logging_events: self.logging_events.clone().map(|reader| Arc::new(LoggingEvents::new(reader))),
            event_history: self
                .event_history
                .clone()
                .map(|(source, reader)| Arc::new(EventHistory::new(source, reader))),
            consumption: Consumption::new(self.consumer.clone(), self.examiner.clone()),
        }
    }
}

/// A record, and the status of a log file that belongs to the sample.
struct JudgedStep {
    record: Record,
    sampled: Option<LogFileStatus>,
    /// The results of the run's consumer and examiner of a log file.
    consumed: Consumed,
}

async fn judge_step(context: &Arc<Context>, step: Step) -> Result<JudgedStep, AuditError> {
    Ok(match step {
        Step::Record(record) => JudgedStep { record: *record, sampled: None, consumed: Consumed::default() },
        Step::LogFile(chain, task) => {
            let is_candidate = task.is_candidate;
            let (record, consumed) = judge::judge(context, chain, *task).await?;
            let sampled = is_candidate.then_some(record.status);
            JudgedStep { record: Record::LogFile(record), sampled, consumed }
        }
    })
}

/// The warnings about keys and versions.
fn warnings_of_run(context: &Context) -> impl Iterator<Item = WarningRecord> {
    context.keys.warnings().into_iter().chain(context.versions_warnings())
}

/// Examines chains in the order in which they are emitted, and ahead of that as far as the
/// look-ahead limit permits. A separate task starts them, since nobody polls this stream while the
/// records of one chain are emitted.
fn examine_ahead(
    chains: Chains,
    context: Arc<Context>,
) -> impl Stream<Item = JoinHandle<Result<ChainRecords, AuditError>>> {
    let (begun, mut tasks) = mpsc::channel(CHAINS_AHEAD);
    tokio::spawn(async move {
        let room = Lookahead::new(DIGESTS_AHEAD);
        let request = Arc::new(context.request.clone());
        let (listed, unlisted) = match chains {
            Chains::Listed(chains) => (chains, None),
            Chains::Unlisted(chains) => (BTreeMap::new(), Some(chains)),
        };
        let count = if unlisted.is_some() { context.examined.len() } else { listed.len() };
        let listed = listed.into_iter().map(|(id, listed)| Ok(ChainToExamine::Listed(id, Box::new(listed))));
        let unlisted = unlisted.iter().flat_map(|chains| chains.chains());
        let unlisted = unlisted.map(|chain| chain.map(ChainToExamine::Unlisted));
        for chain in listed.chain(unlisted) {
            let mut admission = room.turn().await;
            let (context, request) = (context.clone(), request.clone());
            let task = tokio::spawn(async move {
                let (id, listed) = match chain.map_err(AuditError::ChainList)? {
                    ChainToExamine::Listed(id, listed) => (id, *listed),
                    ChainToExamine::Unlisted(chain) => {
                        (chain.id.clone(), list_chain(&context.store, &request, &context.range, chain).await?)
                    }
                };
                let context = match (listed.resume.clone(), listed.deliveries.seen) {
                    (Some(resume), seen) => Arc::new(context.resumed(resume, seen)),
                    (None, Some(seen)) => Arc::new(Context { written_after: Some(seen), ..(*context).clone() }),
                    (None, None) => context,
                };
                let chain = examine_chain(context.clone(), Arc::new(id), listed, &mut admission).await?;
                let folders = chain.folders.clone();
                let mut records = ChainRecords::new(chain, context.clone(), admission, count)?;
                if let Some(events) = context.logging_events.as_ref().filter(|_| records.is_proven) {
                    explain::explain(events, &context, &folders, records.gaps_mut()).await?;
                }
                Ok(records)
            });
            if begun.send(task).await.is_err() {
                // The run has ended.
                break;
            }
        }
    });
    stream::poll_fn(move |context| tasks.poll_recv(context))
}

/// A chain that is examined next.
enum ChainToExamine {
    Listed(ChainId, Box<ListedChain>),
    Unlisted(DiscoveredChain),
}

/// Returns the time for which public keys are requested: the range, the digests that were listed
/// for it, and a margin. `ends` are the ends of the first and of the last digest that were listed.
pub(crate) fn key_range(range: &TimeRange, now: Timestamp, ends: Option<Period>) -> Period {
    let (first, last) = ends.map(|ends| (ends.start, ends.end)).unzip();
    let from = [range.start, first].into_iter().flatten().min().unwrap_or(now);
    // Names can state any time, but nothing was signed in the future.
    let to = [range.end, last].into_iter().flatten().max().unwrap_or(now).min(now);
    let from = from.min(to).max(CLOUDTRAIL_BEGAN);
    Period { start: earlier(from, KEYS_BEFORE), end: later(to, KEY_MARGIN) }
}
