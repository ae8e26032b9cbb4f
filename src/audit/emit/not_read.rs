//! What a run leaves unread, on purpose: by its depth, or because a sample left it out.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::emit::chain_records::{ChainRecords, Step};
use crate::audit::emit::sample::Chosen;
use crate::audit::error::AuditError;
use crate::model::{LogFileStatus, Sample, SampleResult};

/// What was left unread, and what a sample showed.
#[derive(Debug, Default)]
pub(crate) struct NotRead {
    /// Log files that the depth did not ask for.
    by_depth: AtomicU64,
    sample: OnceLock<Chosen>,
    /// Log files of the sample that were read.
    read: AtomicU64,
    /// Those of them that are not intact.
    bad: AtomicU64,
}

impl NotRead {
    /// The steps of a plan, with what it leaves unread counted.
    pub fn counting(&self, mut chain_records: ChainRecords) -> impl Iterator<Item = Result<Step, AuditError>> {
        std::iter::from_fn(move || {
            let step = chain_records.next();
            self.by_depth.fetch_add(chain_records.take_not_read(), Ordering::Relaxed);
            step
        })
    }

    /// Keeps which log files the sample chose.
    pub fn set_sample(&self, chosen: Chosen) {
        self.sample.get_or_init(|| chosen);
    }

    /// The sample, once it was drawn.
    pub fn sample(&self) -> Option<Sample> {
        self.sample.get().map(|chosen| chosen.sample)
    }

    /// Counts a log file of the sample that was read.
    pub fn count_sampled(&self, status: LogFileStatus) {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.bad.fetch_add(u64::from(status != LogFileStatus::Intact), Ordering::Relaxed);
    }

    /// How many log files the depth did not ask for.
    pub fn by_depth(&self) -> u64 {
        self.by_depth.load(Ordering::Relaxed)
    }

    /// The result of the sample, once it was drawn.
    pub fn sample_result(&self) -> Option<SampleResult> {
        let Chosen { sample, total } = *self.sample.get()?;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // An interrupted run has read less than it had drawn.
        Some(SampleResult { total, read: count(&self.read).min(sample.files), bad: count(&self.bad) })
    }
}
