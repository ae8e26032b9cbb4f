//! The walk: which chains there are, which digests they have, what those say of each other and of the log files.
//!
//! An [`Audit`] runs in four steps that overlap. It **discovers** chains by listing folders; it **examines** each chain: reads its
//! digests, follows pointers that no listing showed, and lets [`crate::verify::settle()`] judge them together; it **accounts** for
//! the range: what is covered, and why the rest is not; and it **judges** the log files that valid digests list. Log files are
//! found through digests, never by listing.
//!
//! What it finds goes to an [`Observer`], one [`Record`] at a time, in an order that does not depend on how many things run at
//! once. The audit knows stores and key sources by their traits and no report at all.

mod context;
mod discover;
mod element;
mod error;
mod examine;
mod fetch;
mod gaps;
mod listing;
mod log_files;
mod log_folder;
mod observer;
mod plan;
mod read;
mod region_keys;
mod request;
mod tail;
mod walk;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp, Unit};
use tokio::sync::Semaphore;

pub use error::AuditError;
pub use observer::{Observer, Progress};
pub use request::AuditRequest;

use context::Context;
use discover::{Discovery, discover};
use examine::examine_chain;
use plan::{Step, steps};
use region_keys::RegionKeys;

use crate::keys::KeySource;
use crate::model::{Depth, Record, RunRecord, SummaryRecord, Tally, TimeRange, WarningCode, WarningRecord};
use crate::store::Store;
use crate::trail::StatusSource;

/// How many chains are examined ahead of the one that is being reported.
const CHAINS_AHEAD: usize = 8;
/// The shortest time for which keys are asked around what is known, on either side.
const KEY_MARGIN: SignedDuration = SignedDuration::from_hours(3);

/// The verification of a trail.
pub struct Audit {
    /// Where the bytes are.
    pub store: Arc<dyn Store>,
    /// Where public keys come from.
    pub keys: Arc<dyn KeySource>,
    /// What CloudTrail says of the trail's delivery, where it speaks of the place that is read.
    pub status: Option<Arc<dyn StatusSource>>,
    /// What is asked.
    pub request: AuditRequest,
    /// How far it is.
    pub progress: Arc<Progress>,
}

impl Audit {
    /// Runs the audit, and ends early when `stop` does: what was found until then is `inconclusive`.
    ///
    /// Must run within a tokio runtime.
    pub async fn run(
        self,
        observer: &mut dyn Observer,
        stop: impl Future<Output = ()>,
    ) -> Result<SummaryRecord, AuditError> {
        let Self { store, keys, status, request, .. } = &self;
        let range = request.bounded_range(store.is_live());
        let mut tally = Tally::default();
        observer.record(&Record::Run(RunRecord {
            version: env!("CARGO_PKG_VERSION"),
            started: request.now,
            trail_arn: request.trail.clone(),
            range: request.range,
            source: store.source(),
            depth: request.depth,
        }))?;
        let mut stop = std::pin::pin!(stop);
        let not_read = AtomicU64::new(0);
        let mut tell = |record: Record| {
            tally.count(&record);
            observer.record(&record)
        };
        let interrupted = tokio::select! {
            biased;
            () = &mut stop => true,
            outcome = self.walk(range, &not_read, &mut tell) => {
                outcome?;
                false
            }
        };
        let verdict = tally.verdict(&request.allowed, interrupted);
        let mut requests = store.requests();
        requests.other += keys.requests() + request.requests_before;
        requests.other += status.as_ref().map_or(0, |status| status.requests());
        let summary = SummaryRecord {
            verdict,
            exit_code: if interrupted { INTERRUPTED } else { verdict.exit_code() },
            tally,
            depth: request.depth,
            not_read: not_read.into_inner(),
            interrupted,
            requests,
            finished: Timestamp::now().round(Unit::Second).unwrap_or(request.now),
        };
        observer.record(&Record::Summary(summary.clone()))?;
        Ok(summary)
    }
}

/// The exit code of an interrupted run: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

impl Audit {
    async fn walk(
        &self,
        range: TimeRange,
        not_read: &AtomicU64,
        tell: &mut impl FnMut(Record) -> std::io::Result<()>,
    ) -> Result<(), AuditError> {
        let Self { store, keys, status, request, progress } = self;
        let Discovery { chains, statuses, warnings } =
            discover(store.as_ref(), status.as_deref(), request, &range).await?;
        let ends = chains.values().flat_map(|chain| &chain.digests).map(|digest| digest.end);
        let (from, to) = key_range(&range, request.now, ends);
        let context = Arc::new(Context {
            store: store.clone(),
            keys: RegionKeys::new(keys.clone(), from, to, request.now),
            request: request.clone(),
            range,
            progress: progress.clone(),
            statuses,
            permits: Semaphore::new(request.concurrency),
        });
        let examined = stream::iter(chains)
            .map(|(id, listed)| examine_chain(context.clone(), Arc::new(id), listed))
            .buffered(CHAINS_AHEAD);
        let mut seen = HashSet::new();
        let planned = examined.flat_map(|examined| match examined {
            Ok(chain) => {
                let planned = steps(&chain, &context, &mut seen);
                not_read.fetch_add(planned.not_read, Ordering::Relaxed);
                stream::iter(planned.steps.into_iter().map(Ok).collect::<Vec<_>>())
            }
            Err(error) => stream::iter(vec![Err(error)]),
        });
        let records = planned
            .map(|step| {
                let task = match step {
                    Ok(Step::Record(record)) => Ok(Err(*record)),
                    Ok(Step::LogFile(chain, task)) => {
                        let context = context.clone();
                        Ok(Ok(tokio::spawn(async move { log_files::judge(&context, chain, *task).await })))
                    }
                    Err(error) => Err(error),
                };
                async move {
                    match task? {
                        Err(record) => Ok(record),
                        Ok(task) => {
                            task.await.map(Record::LogFile).map_err(|error| AuditError::Task(error.to_string()))
                        }
                    }
                }
            })
            .buffered(2 * request.concurrency);
        let mut records = std::pin::pin!(records);
        while let Some(record) = records.next().await {
            tell(record?)?;
        }
        if let Some(warning) = unjudged(request) {
            tell(Record::Warning(warning))?;
        }
        let unknown: Vec<WarningRecord> = tail::warnings(&context.statuses).collect();
        for warning in warnings.into_iter().chain(unknown).chain(context.keys.warnings()) {
            tell(Record::Warning(warning))?;
        }
        Ok(())
    }
}

/// Files that no digest lists may be those of a trail that delivers here without digests.
fn unjudged(request: &AuditRequest) -> Option<WarningRecord> {
    if request.without_digests.is_empty() || request.depth == Depth::Chain {
        return None;
    }
    let detail = format!(
        "log files that no digest lists were not looked for: {} delivers to the same place without digests",
        request.without_digests.join(", ")
    );
    Some(WarningRecord { code: WarningCode::UnlistedNotJudged, bucket: None, key: None, detail })
}

/// The time for which public keys are asked: the range, what was listed for it, and a margin.
fn key_range(range: &TimeRange, now: Timestamp, ends: impl Iterator<Item = Timestamp>) -> (Timestamp, Timestamp) {
    let (first, last) = ends.fold((None, None), |(first, last): (Option<Timestamp>, Option<Timestamp>), end| {
        (Some(first.map_or(end, |first| first.min(end))), last.max(Some(end)))
    });
    let from = [range.start, first].into_iter().flatten().min().unwrap_or(now);
    // Names can tell any time, and nothing was signed in the future.
    let to = [range.end, last].into_iter().flatten().max().unwrap_or(now).min(now);
    // CloudTrail began in November 2013.
    let from = from.min(to).max(Timestamp::constant(1_383_264_000, 0));
    (from.saturating_sub(KEY_MARGIN).unwrap_or(from), to.saturating_add(KEY_MARGIN).unwrap_or(to))
}
