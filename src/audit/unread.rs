//! What a run leaves unread, on purpose: by its depth, or because a sample left it out.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::AuditError;
use super::plan::{Plan, Step};
use super::sample::Chosen;
use crate::model::SampleResult;

/// What was left unread, and what a sample showed.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Log files that the depth did not ask for.
    pub by_depth: AtomicU64,
    pub sample: OnceLock<Chosen>,
    /// Log files of the sample that were read.
    pub read: AtomicU64,
    /// Those of them that are not intact.
    pub bad: AtomicU64,
}

impl Unread {
    /// The steps of a plan, with what it leaves unread counted.
    pub fn counting(&self, mut plan: Plan) -> impl Iterator<Item = Result<Step, AuditError>> {
        std::iter::from_fn(move || {
            let step = plan.next();
            self.by_depth.fetch_add(plan.take_not_read(), Ordering::Relaxed);
            step
        })
    }

    pub fn sample_result(&self) -> Option<SampleResult> {
        let Chosen { sample, total } = *self.sample.get()?;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // An interrupted run has read less than it had drawn.
        Some(SampleResult { total, read: count(&self.read).min(sample.files), bad: count(&self.bad) })
    }
}
