//! The steps of a report.

use std::sync::Arc;

use crate::audit::log_files::judge::Task;
use crate::model::ChainId;
use crate::records::Record;

/// One step of a report: a record, or a log file that becomes one once it is read.
pub(crate) enum Step {
    Record(Box<Record>),
    LogFile(Arc<ChainId>, Box<Task>),
}

/// Returns the step of a record.
pub(crate) fn record_step(record: Record) -> Step {
    Step::Record(Box::new(record))
}
