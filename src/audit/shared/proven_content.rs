//! The content of log files that were found intact, for a consumer beside the records.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use async_trait::async_trait;

use super::kept_content::KeptContent;
pub use super::kept_content::ProvenContent;
use crate::debug::opaque_debug;
use crate::disk::spill::{SpillBuffer, SpillPool};
use crate::model::ChainId;
use crate::records::{LogFileRecord, Record};
use crate::store::StoreError;
use crate::verify::ContentCopy;

/// The memory for the content of log files that are being verified, in bytes.
const CONTENT_MEMORY: usize = 24 << 20;
/// The same where nobody consumes it: an examiner is done with a content at once.
const EXAMINED_MEMORY: usize = 8 << 20;
/// The part of it that the uncompressed bytes of one content may take, and the compressed ones. To decompress a
/// larger content once more takes no longer than to keep it uncompressed, for which new pages of memory are needed.
const ONE_CONTENT: usize = 1 << 20;
/// The memory for extracts that wait for their turn, in bytes.
const EXTRACT_MEMORY: usize = 12 << 20;
/// The part of it that one extract may take.
const ONE_EXTRACT: usize = 1 << 20;

/// A consumer of the content of log files that are proven: whose uncompressed bytes have the hash
/// that a valid digest of a verified chain recorded. It sees no other bytes.
pub trait ContentConsumer: Send + Sync {
    /// Takes the content of one log file. Called in any order, and several times at once. The bytes
    /// that it writes to `extract` go to [`Observer::extract`](crate::audit::Observer::extract) after
    /// the record of the log file, whose turn may come later.
    ///
    /// # Errors
    ///
    /// An error ends the audit, which returns it: what is wrong with the content is no error, but to
    /// be counted or reported by the consumer.
    fn consume(&self, file: &LogFileRecord, content: ProvenContent, extract: &mut Extract) -> io::Result<()>;

    /// Returns a search for what it reads; `None` if each log file is to be consumed. A log file in which the
    /// search found nothing is not consumed.
    fn search(&self) -> Option<Box<dyn ContentSearch>> {
        None
    }
}

/// An examiner of the content of log files that are proven, which makes records of it. It sees no other
/// bytes.
#[async_trait]
pub trait ContentExaminer: Send + Sync {
    /// Examines the content of one log file, and returns the records that follow the record of the file,
    /// in their order. Called in any order, and several times at once.
    ///
    /// # Errors
    ///
    /// An error ends the audit, which returns it: see [`ContentConsumer::consume`].
    fn examine(&self, file: &LogFileRecord, content: &ProvenContent) -> io::Result<Vec<Record>>;

    /// Returns whether it examines the log files of a chain.
    fn examines(&self, _chain: &ChainId) -> bool {
        true
    }

    /// Returns a search for what it examines; `None` if each log file is to be examined. A log file in which
    /// the search found nothing is not examined.
    fn search(&self) -> Option<Box<dyn ContentSearch>> {
        None
    }

    /// Returns whether a log file is kept while it is hashed and searched. Otherwise one in which something was
    /// found is read again, which takes less memory, unless it is kept for a consumer.
    fn keeps_content(&self) -> bool {
        true
    }

    /// Takes note of a log file that is to be examined, was found intact, and could not be read for that:
    /// because of the error, or because it is another file by now. Returns the records that say so.
    fn missed(&self, _file: &LogFileRecord, _error: Option<&StoreError>) -> Vec<Record> {
        Vec::new()
    }

    /// Returns the records of a log file that was found intact by a hash which the store knows, so that its
    /// content was not read: those that another run made of it. `None` if they are not known, and it is to be
    /// read and examined.
    async fn known(&self, _file: &LogFileRecord) -> Option<Vec<Record>> {
        Some(Vec::new())
    }
}

/// A search of a log file's uncompressed bytes while they are hashed, be they proven or not.
pub trait ContentSearch: Send {
    /// Looks at the next bytes.
    fn take(&mut self, bytes: &[u8]);

    /// Returns false if the bytes so far hold nothing to be consumed or examined.
    fn has_found(&self) -> bool;
}

/// Bytes that a [`ContentConsumer`] made of a log file.
#[derive(Debug)]
pub struct Extract(SpillBuffer);

impl Extract {
    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Drops what was written so far.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Reads the bytes.
    pub fn into_reader(self) -> impl BufRead {
        self.0.into_reader()
    }
}

impl Write for Extract {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The remains of a log file that was hashed.
pub(crate) struct Copied {
    /// Its content; `None` if it is to be read again where something is found, for an examiner alone.
    content: Option<KeptContent>,
    for_consumer: Option<Box<dyn ContentSearch>>,
    for_examiner: Option<Box<dyn ContentSearch>>,
}

impl Copied {
    /// Returns whether the file is to be read again.
    pub(crate) fn is_missing(&self) -> bool {
        self.content.is_none() && has_found(self.for_examiner.as_deref())
    }

    /// Adds the content, which was read again.
    pub(crate) fn with(self, content: KeptContent) -> Self {
        Self { content: Some(content), ..self }
    }
}

/// Returns false if a search found nothing.
fn has_found(search: Option<&dyn ContentSearch>) -> bool {
    search.is_none_or(ContentSearch::has_found)
}

impl ContentCopy for Copied {
    fn take_compressed(&mut self, bytes: &[u8]) {
        if let Some(content) = &mut self.content {
            content.take_compressed(bytes);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if let Some(content) = &mut self.content {
            content.take(bytes);
        }
        for search in [&mut self.for_consumer, &mut self.for_examiner].into_iter().flatten() {
            search.take(bytes);
        }
    }
}

/// The consumer and the examiner of proven content, with the buffers of a run.
#[derive(Clone)]
pub(crate) struct Consumption {
    consumer: Option<Arc<dyn ContentConsumer>>,
    examiner: Option<Arc<dyn ContentExaminer>>,
    contents: Arc<SpillPool>,
    extracts: Arc<SpillPool>,
}

opaque_debug!(Consumption);

/// The result of looking at the content of a log file.
#[derive(Default)]
pub(crate) struct Consumed {
    /// The extract of the consumer.
    pub extract: Option<Extract>,
    /// The records of the examiner.
    pub records: Vec<Record>,
}

impl Consumption {
    /// Returns `None` if nobody looks at content.
    pub(crate) fn new(
        consumer: Option<Arc<dyn ContentConsumer>>,
        examiner: Option<Arc<dyn ContentExaminer>>,
    ) -> Option<Self> {
        if consumer.is_none() && examiner.is_none() {
            return None;
        }
        let memory = if consumer.is_some() { CONTENT_MEMORY } else { EXAMINED_MEMORY };
        let contents = SpillPool::new(memory, ONE_CONTENT);
        let extracts = SpillPool::new(EXTRACT_MEMORY, ONE_EXTRACT);
        Some(Self { consumer, examiner, contents, extracts })
    }

    /// Returns whether anybody looks at the log files of a chain.
    pub(crate) fn looks_at(&self, chain: &ChainId) -> bool {
        self.consumer.is_some() || self.examiner.as_ref().is_some_and(|examiner| examiner.examines(chain))
    }

    fn examiner_of(&self, chain: &ChainId) -> Option<&Arc<dyn ContentExaminer>> {
        self.examiner.as_ref().filter(|examiner| examiner.examines(chain))
    }

    /// Returns an empty copy, to be filled while a log file of a chain is hashed, which may have `ceiling` bytes.
    pub(crate) fn copy(&self, chain: &ChainId, ceiling: u64) -> Copied {
        let (consumer, examiner) = (self.consumer.as_ref(), self.examiner_of(chain));
        let for_consumer = consumer.and_then(|consumer| consumer.search());
        let for_examiner = examiner.and_then(|examiner| examiner.search());
        let reads_again = for_examiner.is_some() && examiner.is_some_and(|examiner| !examiner.keeps_content());
        let content = (consumer.is_some() || !reads_again).then(|| self.content(ceiling));
        Copied { content, for_consumer, for_examiner }
    }

    /// Returns an empty copy of a content that may have `ceiling` bytes.
    pub(crate) fn content(&self, ceiling: u64) -> KeptContent {
        KeptContent::new(&self.contents, ceiling)
    }

    /// Tells the examiner of a log file that could not be read again, and returns its records about that.
    pub(crate) fn missed(&self, file: &LogFileRecord, error: Option<&StoreError>) -> Vec<Record> {
        self.examiner.as_ref().map(|examiner| examiner.missed(file, error)).unwrap_or_default()
    }

    /// Returns the records that are known of a log file that was found intact, and whose content was not read;
    /// `None` if it is to be read and examined.
    pub(crate) async fn known(&self, file: &LogFileRecord) -> Option<Vec<Record>> {
        match &self.examiner {
            Some(examiner) => examiner.known(file).await,
            None => Some(Vec::new()),
        }
    }

    /// Hands the content of a log file, which was read for the examiner alone, to it.
    ///
    /// # Errors
    ///
    /// Fails if the copy could not be kept, for lack of disk space as a rule, or the examiner fails.
    pub(crate) fn examine(&self, file: &LogFileRecord, kept: KeptContent) -> io::Result<Vec<Record>> {
        let content = kept.finish()?;
        self.examiner.as_ref().map_or_else(|| Ok(Vec::new()), |examiner| examiner.examine(file, &content))
    }

    /// Hands the content of a log file that was found intact to the examiner and to the consumer, unless they
    /// have a search and it found nothing.
    ///
    /// # Errors
    ///
    /// Fails if the copy could not be kept, for lack of disk space as a rule, or one of them fails.
    pub(crate) fn consume(&self, file: &LogFileRecord, copied: Copied) -> io::Result<Consumed> {
        let Copied { content, for_consumer, for_examiner } = copied;
        let examiner = self.examiner_of(&file.chain).filter(|_| has_found(for_examiner.as_deref()));
        let consumer = self.consumer.as_ref().filter(|_| has_found(for_consumer.as_deref()));
        let is_read = examiner.is_some() || consumer.is_some();
        let Some(content) = content.filter(|_| is_read) else { return Ok(Consumed::default()) };
        let content = content.finish()?;
        let records = examiner.map_or_else(|| Ok(Vec::new()), |examiner| examiner.examine(file, &content))?;
        let Some(consumer) = consumer else { return Ok(Consumed { extract: None, records }) };
        let mut extract = Extract(self.extracts.buffer());
        consumer.consume(file, content, &mut extract)?;
        extract.0.settle()?;
        Ok(Consumed { extract: (!extract.is_empty()).then_some(extract), records })
    }
}
