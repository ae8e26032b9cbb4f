//! The path of each record from the audit to its observer.

use std::io;
use std::sync::Mutex;

use super::next_checkpoint::builder::CheckpointBuilder;
use super::observer::Observer;
use super::shared::proven_content::Extract;
use crate::records::{Record, Tally};
use crate::sync::lock;

/// Counts each record, completes it from the previous run, and hands it to the observer.
pub(super) struct RecordSink<'a> {
    observer: &'a mut dyn Observer,
    checkpoint: Option<&'a Mutex<CheckpointBuilder>>,
    tally: Tally,
    has_begun: bool,
}

impl<'a> RecordSink<'a> {
    /// A sink that hands its records to `observer` and, where there is one, to the builder of the
    /// next checkpoint.
    pub(super) fn new(observer: &'a mut dyn Observer, checkpoint: Option<&'a Mutex<CheckpointBuilder>>) -> Self {
        Self { observer, checkpoint, tally: Tally::default(), has_begun: false }
    }

    /// Emits one record. An error of the observer ends the run.
    pub(super) fn emit(&mut self, record: Record) -> io::Result<()> {
        self.emit_with(record, None)
    }

    /// Emits one record and, if it is a log file's, the extract of its content.
    pub(super) fn emit_with(&mut self, mut record: Record, extract: Option<Extract>) -> io::Result<()> {
        record.identify();
        if let Some(builder) = self.checkpoint {
            lock(builder).on_record(&mut record);
        }
        self.has_begun |= matches!(record, Record::Run(_));
        self.tally.count(&record);
        self.observer.record(&record)?;
        match (&record, extract) {
            (Record::LogFile(file), Some(extract)) => self.observer.extract(file, extract),
            _ => Ok(()),
        }
    }

    /// Emits records in their order.
    pub(super) fn emit_all(&mut self, records: impl IntoIterator<Item = Record>) -> io::Result<()> {
        records.into_iter().try_for_each(|record| self.emit(record))
    }

    /// The counts of all records, and whether the run record was among them.
    pub(super) fn finish(self) -> (Tally, bool) {
        (self.tally, self.has_begun)
    }
}
