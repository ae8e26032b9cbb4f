//! Log files that a run leaves unread on purpose: because of its depth, or because a sample omits
//! them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::emit::chain_records::ChainRecords;
use crate::audit::emit::sample::Chosen;
use crate::audit::emit::step::Step;
use crate::audit::error::AuditError;
use crate::model::{LogFileStatus, SampleResult};
use crate::records::Sample;

/// The number of log files that are left unread, and the result of a sample.
#[derive(Debug, Default)]
pub(crate) struct NotRead {
    /// The number of log files that the depth does not require.
    by_depth: AtomicU64,
    sample: OnceLock<Chosen>,
    /// The number of log files of the sample that were read.
    read: AtomicU64,
    /// The number of read log files of the sample that are not intact.
    bad: AtomicU64,
}

impl NotRead {
    /// Returns the steps of a chain's report, and counts the log files that it leaves unread.
    pub(crate) fn counting(&self, mut chain_records: ChainRecords) -> impl Iterator<Item = Result<Step, AuditError>> {
        std::iter::from_fn(move || {
            let step = chain_records.next();
            self.by_depth.fetch_add(chain_records.take_not_read(), Ordering::Relaxed);
            step
        })
    }

    /// Stores the sample that was chosen.
    pub(crate) fn set_sample(&self, chosen: Chosen) {
        self.sample.get_or_init(|| chosen);
    }

    /// The sample, once it was drawn.
    pub(crate) fn sample(&self) -> Option<Sample> {
        self.sample.get().map(|chosen| chosen.sample)
    }

    /// Counts a log file of the sample that was read.
    pub(crate) fn count_sampled(&self, status: LogFileStatus) {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.bad.fetch_add(u64::from(status != LogFileStatus::Intact), Ordering::Relaxed);
    }

    /// The number of log files that the depth does not require.
    pub(crate) fn by_depth(&self) -> u64 {
        self.by_depth.load(Ordering::Relaxed)
    }

    /// The result of the sample, once it was drawn.
    pub(crate) fn sample_result(&self) -> Option<SampleResult> {
        let Chosen { sample, total } = *self.sample.get()?;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // An interrupted run has read less than it had drawn.
        Some(SampleResult { total, read: count(&self.read).min(sample.files), bad: count(&self.bad) })
    }
}
