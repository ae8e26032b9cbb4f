//! The receiver of an audit's findings, and the progress of the audit.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::records::Record;

/// A receiver of an audit's findings: one record at a time, in the order that
/// [`crate::records::Record`] promises.
pub trait Observer {
    /// Takes one record.
    ///
    /// # Errors
    ///
    /// An error ends the audit, which returns it.
    fn record(&mut self, record: &Record) -> io::Result<()>;
}

impl<F: FnMut(&Record) -> io::Result<()>> Observer for F {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        self(record)
    }
}

/// The progress of an audit. It may be read from another thread at any time.
#[derive(Debug, Default)]
pub struct Progress {
    digests_found: AtomicU64,
    digests_read: AtomicU64,
    digests_proven: AtomicU64,
    log_files_found: AtomicU64,
    log_files_read: AtomicU64,
    log_files_intact: AtomicU64,
}

impl Progress {
    /// The number of digests to be read, as far as they were listed.
    pub fn digests_found(&self) -> u64 {
        self.digests_found.load(Ordering::Relaxed)
    }

    /// The number of digests that were read.
    pub fn digests_read(&self) -> u64 {
        self.digests_read.load(Ordering::Relaxed)
    }

    /// The number of digests whose own signature verified when they were read. Their validity is
    /// judged later, together with their chain.
    pub fn digests_proven(&self) -> u64 {
        self.digests_proven.load(Ordering::Relaxed)
    }

    /// The number of log files to be read, as far as digests were judged.
    pub fn log_files_found(&self) -> u64 {
        self.log_files_found.load(Ordering::Relaxed)
    }

    /// The number of log files that were read.
    pub fn log_files_read(&self) -> u64 {
        self.log_files_read.load(Ordering::Relaxed)
    }

    /// The number of log files that were found intact.
    pub fn log_files_intact(&self) -> u64 {
        self.log_files_intact.load(Ordering::Relaxed)
    }

    pub(crate) fn found_digests(&self, count: usize) {
        self.digests_found.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn read_digest(&self) {
        self.digests_read.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn proved_digest(&self) {
        self.digests_proven.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn found_log_files(&self, count: usize) {
        self.log_files_found.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn read_log_file(&self, is_intact: bool) {
        self.log_files_read.fetch_add(1, Ordering::Relaxed);
        self.log_files_intact.fetch_add(u64::from(is_intact), Ordering::Relaxed);
    }
}
