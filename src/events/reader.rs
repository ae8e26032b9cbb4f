//! The consumer of proven log files that extracts their events.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use super::condition::JqCondition;
use super::count::CountBy;
use super::duplicates::Identifiers;
use super::event::{Event, readable};
use super::filter::EventFilter;
use super::log_file::{Form, each_record};
use super::output::{Format, Proof};
use super::prefilter::Prefilter;
use super::tampering::TamperingFinder;
use super::text_search::TextSearch;
use crate::audit::{ContentConsumer, ContentSearch, Extract, ProvenContent};
use crate::debug::opaque_debug;
use crate::model::{LogFileStatus, ObjectRef};
use crate::records::LogFileRecord;
use crate::sync::lock;

/// The maximum number of log files without the form of one that are named.
const MAX_NAMED: usize = 10;

/// Extracts the events of proven log files: selects them by a filter, and writes them in a format, or
/// counts them.
pub struct EventReader {
    filter: EventFilter,
    prefilter: Prefilter,
    condition: Option<JqCondition>,
    tampering: Option<TamperingFinder>,
    /// The form in which events are written; `None` if they are only counted.
    format: Option<Format>,
    found: Mutex<Found>,
}

opaque_debug!(EventReader);

/// The results so far.
struct Found {
    totals: EventTotals,
    identifiers: Identifiers,
    counts: Option<CountBy>,
    /// What was found in log files whose records are not emitted yet. Other log files of a run may come to
    /// be emitted before it ends, or never if it is interrupted.
    waiting: HashMap<ObjectRef, OfFile>,
}

/// The number of events of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventTotals {
    /// The number of events that met the filter.
    pub events: u64,
    /// The number of those that have the identifier of another one before them.
    pub duplicates: u64,
    /// The number of log files that were read.
    pub files: u64,
    /// The number of proven log files whose events can't be read: the content has not the form of a log
    /// file, or a record is too large. A log file that holds no text which the filter asks for is not
    /// looked at for its form.
    pub other_form: u64,
    /// The first of these, with the reasons.
    pub named: Vec<(ObjectRef, String)>,
    /// The number of events on which the condition in the language of jq fails: they count as not met.
    pub not_judged: u64,
    /// The message about the first of these in some order.
    pub why_not_judged: Option<String>,
}

impl EventReader {
    /// Creates a reader that writes the events which meet `filter` as `format` has them.
    pub fn new(filter: EventFilter, format: Format) -> Self {
        Self::with(filter, Some(format), None)
    }

    /// Creates a reader that counts the events which meet `filter`, and writes none.
    pub fn counting(filter: EventFilter, counts: CountBy) -> Self {
        Self::with(filter, None, Some(counts))
    }

    fn with(filter: EventFilter, format: Option<Format>, counts: Option<CountBy>) -> Self {
        let (totals, identifiers) = (EventTotals::default(), Identifiers::default());
        let found = Found { totals, identifiers, counts, waiting: HashMap::new() };
        Self {
            prefilter: Prefilter::of(&filter),
            filter,
            condition: None,
            tampering: None,
            format,
            found: Mutex::new(found),
        }
    }

    /// Reads only events that also meet a condition in the language of jq.
    #[must_use]
    pub fn with_condition(self, condition: Option<JqCondition>) -> Self {
        Self { condition, ..self }
    }

    /// Reads only events that also meet a rule of tampering.
    #[must_use]
    pub fn with_tampering(self, finder: TamperingFinder) -> Self {
        Self { tampering: Some(finder), ..self }
    }

    /// Returns false if no event in these bytes is read.
    fn may_match(&self, bytes: &[u8]) -> bool {
        self.prefilter.may_match(bytes) && self.tampering.as_ref().is_none_or(|finder| finder.may_match(bytes))
    }

    /// The form in which events are written; `None` if they are only counted.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// Counts the events of a log file, whose record the audit emits now: those of other log files that
    /// were read ahead are none of the run's result if it is interrupted.
    ///
    /// # Errors
    ///
    /// There are too many groups to be counted, or identifiers can't be moved to a temporary file.
    pub fn emitted(&self, file: &LogFileRecord) -> io::Result<()> {
        if file.status != LogFileStatus::Intact {
            return Ok(());
        }
        let mut found = lock(&self.found);
        found.totals.files += 1;
        let Some(of_file) = found.waiting.remove(&file.object) else { return Ok(()) };
        if let Some(reason) = of_file.other_form {
            found.totals.other_form += 1;
            if found.totals.named.len() < MAX_NAMED {
                found.totals.named.push((file.object.clone(), reason));
            }
            return Ok(());
        }
        found.totals.events += of_file.events;
        found.totals.not_judged += of_file.not_judged;
        if found.totals.why_not_judged.is_none() {
            found.totals.why_not_judged = of_file.why_not_judged;
        }
        found.identifiers.absorb(of_file.identifiers)?;
        match (&mut found.counts, of_file.counts) {
            (Some(all), Some(counts)) => all.merge(counts),
            _ => Ok(()),
        }
    }

    /// Forgets the events of a log file, which are not used.
    pub fn passed_over(&self, file: &LogFileRecord) {
        lock(&self.found).waiting.remove(&file.object);
    }

    /// Ends the reading, and returns the number of events, and the counts if they were asked for.
    ///
    /// # Errors
    ///
    /// Fails if identifiers that were moved to temporary files can't be read.
    pub fn finish(&self) -> io::Result<(EventTotals, Option<CountBy>)> {
        let mut found = lock(&self.found);
        let mut totals = found.totals.clone();
        totals.duplicates = std::mem::take(&mut found.identifiers).duplicates()?;
        Ok((totals, found.counts.take()))
    }
}

/// The events of one log file.
struct OfFile {
    events: u64,
    identifiers: Identifiers,
    counts: Option<CountBy>,
    not_judged: u64,
    why_not_judged: Option<String>,
    /// The reason why its events can't be read.
    other_form: Option<String>,
}

impl ContentConsumer for EventReader {
    fn consume(&self, file: &LogFileRecord, content: ProvenContent, extract: &mut Extract) -> io::Result<()> {
        // An intact log file has both.
        let Some(mut proof) = Proof::of(file) else { return Ok(()) };
        let mut of_file = {
            let found = lock(&self.found);
            OfFile {
                events: 0,
                identifiers: found.identifiers.of_file(),
                counts: found.counts.as_ref().map(CountBy::without_groups),
                not_judged: 0,
                why_not_judged: None,
                other_form: None,
            }
        };
        let form = each_record(content, |index, record| {
            if !self.may_match(record.as_bytes()) {
                return Ok(());
            }
            proof.index = index;
            let text = readable(record);
            let event = Event::parse(&text).unwrap_or_default();
            let rules = self.tampering.as_ref().map(|finder| finder.rules_met(&event));
            if rules.as_ref().is_some_and(Vec::is_empty) || !self.filter.matches(&event, &proof) {
                return Ok(());
            }
            match self.condition.as_ref().map_or(Ok(true), |condition| condition.holds(record)) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(reason) => {
                    of_file.not_judged += 1;
                    of_file.why_not_judged.get_or_insert(reason);
                    return Ok(());
                }
            }
            of_file.events += 1;
            if let Some(id) = event.id() {
                of_file.identifiers.add(&id)?;
            }
            if let Some(counts) = &mut of_file.counts {
                counts.add(&event, &proof)?;
            }
            self.format.map_or(Ok(()), |format| {
                format.write(&event, record, &proof, rules.as_deref().unwrap_or_default(), extract)
            })
        })?;
        if let Form::Other(reason) = form {
            extract.clear();
            of_file.other_form = Some(reason);
        }
        lock(&self.found).waiting.insert(file.object.clone(), of_file);
        Ok(())
    }

    fn search(&self) -> Option<Box<dyn ContentSearch>> {
        let conditions = self.prefilter.conditions().iter().cloned().map(Some);
        let searches: Vec<_> = conditions.chain(self.tampering.as_ref().map(TamperingFinder::calls)).collect();
        (!searches.is_empty()).then(|| Box::new(TextSearch::all_of(searches)) as _)
    }
}
