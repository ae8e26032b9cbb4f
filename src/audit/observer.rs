//! The receiver of an audit's findings, and the progress of the audit.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::shared::proven_content::Extract;
use crate::model::ChainId;
use crate::records::{LogFileRecord, Record};
use crate::sync::lock;

/// A receiver of an audit's findings: one record at a time, in the order that
/// [`crate::records::Record`] promises.
pub trait Observer {
    /// Takes one record.
    ///
    /// # Errors
    ///
    /// An error ends the audit, which returns it.
    fn record(&mut self, record: &Record) -> io::Result<()>;

    /// Takes the extract that the audit's [`ContentConsumer`](super::ContentConsumer) made of a log file,
    /// after the record of the file. Nothing calls it for an empty extract.
    ///
    /// # Errors
    ///
    /// An error ends the audit, which returns it.
    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> io::Result<()> {
        let _ = (file, extract);
        Ok(())
    }
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
    bytes_read: AtomicU64,
    refusals: AtomicU64,
    /// The objects of each chain that is examined.
    chains: Mutex<HashMap<ChainId, Objects>>,
}

/// The number of objects of a chain.
#[derive(Debug, Clone, Copy, Default)]
struct Objects {
    found: u64,
    read: u64,
}

/// A chain that is being examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainProgress {
    /// The chain.
    pub chain: ChainId,
    /// The number of its objects that are to be read, as far as they are known.
    pub found: u64,
    /// The number of its objects that were read.
    pub read: u64,
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

    /// The number of bytes that were read, as they are stored.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The number of requests that the store refused because they were too many.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// The chain with the most objects that are known and not yet read; `None` unless several chains
    /// have such objects.
    pub fn chain_with_most_left(&self) -> Option<ChainProgress> {
        let chains = lock(&self.chains);
        let mut open = chains.iter().filter(|(_, objects)| objects.found > objects.read);
        let left = |objects: &Objects| objects.found.saturating_sub(objects.read);
        let first = open.next()?;
        let (mut most, mut others) = (first, 0);
        for other in open {
            others += 1;
            // Ties are broken by the chain, so that the line does not flicker.
            if (left(other.1), other.0) > (left(most.1), most.0) {
                most = other;
            }
        }
        let (chain, objects) = most;
        (others > 0).then(|| ChainProgress { chain: chain.clone(), found: objects.found, read: objects.read })
    }

    fn found_of_chain(&self, chain: &ChainId, count: usize) {
        let mut chains = lock(&self.chains);
        if let Some(objects) = chains.get_mut(chain) {
            objects.found += count as u64;
        } else {
            chains.entry(chain.clone()).or_default().found += count as u64;
        }
    }

    fn read_of_chain(&self, chain: &ChainId) {
        if let Some(objects) = lock(&self.chains).get_mut(chain) {
            objects.read += 1;
        }
    }

    /// Forgets a chain, of which no more objects will be found: there may be a million chains.
    pub(crate) fn end_chain(&self, chain: &ChainId) {
        lock(&self.chains).remove(chain);
    }

    pub(crate) fn read_bytes(&self, count: usize) {
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn note_refusals(&self, count: u64) {
        self.refusals.fetch_max(count, Ordering::Relaxed);
    }

    pub(crate) fn found_digests(&self, chain: &ChainId, count: usize) {
        self.found_of_chain(chain, count);
        self.digests_found.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn read_digest(&self, chain: &ChainId) {
        self.read_of_chain(chain);
        self.digests_read.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn proved_digest(&self) {
        self.digests_proven.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn found_log_files(&self, chain: &ChainId, count: usize) {
        self.found_of_chain(chain, count);
        self.log_files_found.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn read_log_file(&self, chain: &ChainId, is_intact: bool) {
        self.read_of_chain(chain);
        self.log_files_read.fetch_add(1, Ordering::Relaxed);
        self.log_files_intact.fetch_add(u64::from(is_intact), Ordering::Relaxed);
    }
}
