//! The consumer of proven log files that extracts their events.

use std::io;
use std::sync::Mutex;

use super::condition::JqCondition;
use super::count::CountBy;
use super::duplicates::Identifiers;
use super::event::Event;
use super::filter::EventFilter;
use super::log_file::{Form, each_record};
use super::output::{Format, Proof};
use super::prefilter::Prefilter;
use crate::audit::{ContentConsumer, Extract, ProvenContent};
use crate::debug::opaque_debug;
use crate::model::ObjectRef;
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
    /// The form in which events are written; `None` if they are only counted.
    format: Option<Format>,
    found: Mutex<Found>,
}

opaque_debug!(EventReader);

/// What was found so far.
struct Found {
    totals: EventTotals,
    identifiers: Identifiers,
    counts: Option<CountBy>,
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
    /// The number of proven log files whose content has not the form of one: their events are left out.
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
        let found = Found { totals: EventTotals::default(), identifiers: Identifiers::default(), counts };
        Self { prefilter: Prefilter::of(&filter), filter, condition: None, format, found: Mutex::new(found) }
    }

    /// Reads only events that also meet a condition in the language of jq.
    #[must_use]
    pub fn with_condition(self, condition: Option<JqCondition>) -> Self {
        Self { condition, ..self }
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
    identifiers: Vec<u128>,
    counts: Option<CountBy>,
    not_judged: u64,
    why_not_judged: Option<String>,
}

impl ContentConsumer for EventReader {
    fn consume(&self, file: &LogFileRecord, content: ProvenContent, extract: &mut Extract) -> io::Result<()> {
        // An intact log file has both.
        let Some(mut proof) = Proof::of(file) else { return Ok(()) };
        if content.in_memory().is_some_and(|bytes| !self.prefilter.may_match(bytes)) {
            lock(&self.found).totals.files += 1;
            return Ok(());
        }
        let counts = lock(&self.found).counts.as_ref().map(CountBy::without_groups);
        let mut of_file = OfFile { events: 0, identifiers: Vec::new(), counts, not_judged: 0, why_not_judged: None };
        let hashes = lock(&self.found).identifiers.hasher();
        let form = each_record(content, |index, record| {
            if !self.prefilter.may_match(record.as_bytes()) {
                return Ok(());
            }
            proof.index = index;
            // A record with a name that is no Unicode text has no fields.
            let event = Event::parse(record).unwrap_or_default();
            if !self.filter.matches(&event, &proof) {
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
            of_file.identifiers.extend(event.id().map(|id| hashes.hash(&id)));
            if let Some(counts) = &mut of_file.counts {
                counts.add(&event, &proof);
            }
            self.format.map_or(Ok(()), |format| format.write(&event, record, &proof, extract))
        })?;
        let mut found = lock(&self.found);
        found.totals.files += 1;
        match form {
            Form::Records(_) => {
                found.totals.events += of_file.events;
                found.totals.not_judged += of_file.not_judged;
                if found.totals.why_not_judged.is_none() {
                    found.totals.why_not_judged = of_file.why_not_judged;
                }
                found.identifiers.add(&of_file.identifiers)?;
                if let (Some(all), Some(counts)) = (&mut found.counts, of_file.counts) {
                    all.merge(counts)?;
                }
            }
            Form::Other(reason) => {
                extract.clear();
                found.totals.other_form += 1;
                if found.totals.named.len() < MAX_NAMED {
                    found.totals.named.push((file.object.clone(), reason));
                }
            }
        }
        Ok(())
    }
}
