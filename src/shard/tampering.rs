//! The look at the content of log files in a unit: for calls about trails, which explain gaps, and for
//! events of tampering if the plan asks for them. A merge takes both from the evidence of units.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::logging_events::EventsOfFiles;
use super::result_store::ResultStore;
use crate::audit::{ContentExaminer, ContentSearch, LoggingEventReader as _, ProvenContent};
use crate::debug::opaque_debug;
use crate::events::{TamperingFinder, TrailResources, tampering_not_all, trail_calls};
use crate::model::ChainId;
use crate::records::{LogFileRecord, Record, TamperingRecord};
use crate::store::StoreError;

/// The part of a plan that makes its units look for events of tampering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TamperingQuestion {
    /// The places that the trail relies on.
    #[serde(flatten)]
    pub resources: TrailResources,
    /// True if the KMS key of the trail is known, or that it has none.
    pub is_key_known: bool,
}

/// An examiner of log files that keeps what it finds as evidence of a unit. Calls about trails are in the log
/// files of home regions, in which trails are started and stopped.
pub(super) struct UnitExaminer {
    events: Arc<EventsOfFiles>,
    tampering: Option<TamperingFinder>,
}

impl UnitExaminer {
    pub(super) fn new(events: Arc<EventsOfFiles>, tampering: Option<&TamperingQuestion>) -> Self {
        let finder = |question: &TamperingQuestion| TamperingFinder::new(question.resources.clone());
        Self { events, tampering: tampering.map(finder) }
    }
}

fn is_home(chain: &ChainId) -> bool {
    chain.region == chain.home_region
}

impl ContentExaminer for UnitExaminer {
    fn examine(&self, file: &LogFileRecord, content: &ProvenContent) -> io::Result<Vec<Record>> {
        if is_home(&file.chain) {
            // Events that can't be read are noted, and no reason to give up the unit.
            let _ = self.events.read(&file.object, content);
        }
        let Some(finder) = &self.tampering else { return Ok(Vec::new()) };
        let records = finder.examine(file, content)?;
        let (mut findings, mut warning) = (Vec::new(), None);
        for record in &records {
            match record {
                Record::Tampering(finding) => findings.push(finding.clone()),
                Record::Warning(found) => warning = Some(found),
                _ => {}
            }
        }
        self.events.recorder.keep_tampering(&file.object, &findings, warning);
        Ok(records)
    }

    fn examines(&self, chain: &ChainId) -> bool {
        is_home(chain) || self.tampering.is_some()
    }

    fn search(&self) -> Option<Box<dyn ContentSearch>> {
        Some(Box::new(trail_calls(self.tampering.as_ref())))
    }

    fn keeps_content(&self) -> bool {
        false
    }

    fn missed(&self, file: &LogFileRecord, error: Option<&StoreError>) -> Vec<Record> {
        // The unit is to be run again: what it read before may have had such calls.
        if let Some(error) = error {
            self.events.recorder.note_not_read_again(error);
            return Vec::new();
        }
        if is_home(&file.chain) {
            self.events.recorder.keep_logging_events(&file.object, None);
        }
        if self.tampering.is_none() {
            return Vec::new();
        }
        let warning = tampering_not_all(&file.object, GONE);
        self.events.recorder.keep_tampering(&file.object, &[], Some(&warning));
        vec![Record::Warning(warning)]
    }
}

/// The reason why a log file that was intact was not looked at.
const GONE: &str = "it was deleted or changed before it could be read a second time, for such events";

/// An examiner that takes the findings of tampering from the evidence of units, and looks itself into log files
/// that none of them has looked into.
pub struct MergedTampering {
    store: Arc<ResultStore>,
    finder: TamperingFinder,
}

opaque_debug!(MergedTampering);

impl MergedTampering {
    /// Creates an examiner that takes findings from these results, of a plan with this question.
    pub fn new(store: Arc<ResultStore>, question: &TamperingQuestion) -> Self {
        Self { store, finder: TamperingFinder::new(question.resources.clone()) }
    }
}

#[async_trait]
impl ContentExaminer for MergedTampering {
    fn examine(&self, file: &LogFileRecord, content: &ProvenContent) -> io::Result<Vec<Record>> {
        self.finder.examine(file, content)
    }

    /// No content that is read to be judged: the units have looked at it.
    fn examines(&self, _chain: &ChainId) -> bool {
        false
    }

    fn missed(&self, file: &LogFileRecord, error: Option<&StoreError>) -> Vec<Record> {
        let warning = match error {
            Some(error) => tampering_not_all(&file.object, &format!("it could not be read for such events: {error}")),
            None => tampering_not_all(&file.object, GONE),
        };
        vec![Record::Warning(warning)]
    }

    async fn known(&self, file: &LogFileRecord) -> Option<Vec<Record>> {
        let parts = match self.store.tampering(file).await {
            Ok(parts) => parts?,
            // The merge takes note of it, and is worth nothing.
            Err(_) => return Some(Vec::new()),
        };
        let (mut records, mut warning) = (Vec::new(), None);
        for part in parts {
            let of_chain = |finding| TamperingRecord { chain: Arc::clone(&file.chain), ..finding };
            records.extend(part.findings.into_iter().map(of_chain).map(Record::Tampering));
            warning = warning.or(part.warning);
        }
        records.extend(warning.map(Record::Warning));
        Some(records)
    }
}
