//! The work on one unit: an audit of its chains in its range, whose store records evidence.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use super::edges::edges;
use super::logging_events::EventsOfFiles;
use super::manifest::{Manifest, Unit};
use super::recorder::Recorder;
use super::result_file::{ResultWriter, UnitCounts, UnitResult};
use super::tampering::UnitExaminer;
use crate::audit::{Audit, AuditError, ContentConsumer, Discovered, DiscoveredFacts, Extract, Observer};
use crate::model::Depth;
use crate::records::{LogFileRecord, Record, write_record};
use crate::store::{Store, StoreError};

/// The reason why a unit has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The audit could not run.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store could not be reached: what was found until then says nothing about the trail.
    #[error("the store could not be reached, and the unit has no result: {0}")]
    Unreachable(StoreError),
    /// A log file was read and could not be read again for the calls in it.
    #[error(
        "a log file that may have calls which the unit looks for could not be read a second time, and the unit has \
        no result until it is verified again: {0}"
    )]
    NotReadAgain(StoreError),
    /// The result, or what it is made of, can't be written.
    #[error("its result can't be written: {0}")]
    Output(#[from] io::Error),
    /// The audit was interrupted.
    #[error("it was interrupted, and the unit has no result")]
    Interrupted,
}

/// A use of the content of log files that a unit's audit finds intact.
pub struct Extraction<'o> {
    /// The consumer of their content.
    pub consumer: Arc<dyn ContentConsumer>,
    /// An observer that gets the records of the audit, too, and what the consumer extracts.
    pub observer: &'o mut dyn Observer,
}

impl fmt::Debug for Extraction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extraction").finish_non_exhaustive()
    }
}

/// Verifies a unit and writes its result to `out`. The result does not depend on the time or the
/// machine: the same objects give the same bytes.
///
/// # Errors
///
/// Fails if the store can't be reached, if the audit can't run, or if `stop` completes: what was
/// written is then no whole result. Findings are no errors.
pub async fn run_unit<W: Write>(
    manifest: &Manifest,
    unit: &Unit,
    store: Arc<dyn Store>,
    concurrency: usize,
    extraction: Option<Extraction<'_>>,
    out: W,
    stop: impl Future<Output = ()>,
) -> Result<(UnitResult, W), UnitError> {
    let recorder = Arc::new(Recorder::new(store, manifest, unit.range)?);
    let facts = &manifest.facts;
    let mut audit = Audit::new(
        recorder.clone(),
        Arc::new(manifest.keys.clone()),
        manifest.question.request(unit.range, concurrency),
    );
    audit.neighbours = Some(Arc::new(manifest.neighbours.clone()));
    audit.discovered = Some(Discovered {
        chains: Arc::new(unit.chains.clone()),
        facts: DiscoveredFacts { statuses: facts.statuses.clone(), ends: facts.ends, ..DiscoveredFacts::default() },
    });
    // The merge reports on the run as a whole.
    audit.request.expected.unknown.clear();
    let writer = ResultWriter::begin(out, unit.unit, &manifest.sha256, &unit.sha256())?;
    let (consumer, beside) = extraction.map(|extraction| (extraction.consumer, extraction.observer)).unzip();
    audit.consumer = consumer;
    if manifest.question.depth == Depth::Content {
        let events = Arc::new(EventsOfFiles { recorder: recorder.clone() });
        let tampering = manifest.question.tampering.as_ref();
        audit.examiner = Some(Arc::new(UnitExaminer::new(events.clone(), tampering)));
        audit.logging_events = Some(events);
    }
    let mut observer = RecordsOfUnit { writer, line: Vec::new(), beside };
    let outcome = audit.run(&mut observer, stop).await?;
    if outcome.summary.interrupted {
        return Err(UnitError::Interrupted);
    }
    if let Some(outage) = recorder.outage() {
        return Err(UnitError::Unreachable(outage));
    }
    if let Some(error) = recorder.not_read_again() {
        return Err(UnitError::NotReadAgain(error));
    }
    let RecordsOfUnit { mut writer, .. } = observer;
    recorder.each_line(|line| writer.evidence(line))?;
    let edges = edges(unit, &recorder)?;
    let counts = UnitCounts::of(&outcome.summary.tally);
    Ok(writer.finish(edges, counts, recorder.requests_answered())?)
}

/// An observer that writes the records about chains into a unit's result.
struct RecordsOfUnit<'o, W> {
    writer: ResultWriter<W>,
    line: Vec<u8>,
    /// Another observer of the same audit.
    beside: Option<&'o mut dyn Observer>,
}

impl<W: Write> Observer for RecordsOfUnit<'_, W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if let Some(beside) = &mut self.beside {
            beside.record(record)?;
        }
        if matches!(record, Record::Run(_) | Record::Circumstances(_) | Record::Summary(_)) {
            return Ok(());
        }
        self.line.clear();
        write_record(record, &mut self.line)?;
        self.line.push(b'\n');
        self.writer.record(&self.line)
    }

    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> io::Result<()> {
        self.beside.as_mut().map_or(Ok(()), |beside| beside.extract(file, extract))
    }
}
