//! Looking for events by their identifiers.

use std::collections::HashSet;
use std::io::{self, BufRead as _, Write as _};

use serde::{Deserialize, Serialize};

use super::event::{Event, readable};
use super::log_file::{Form, each_record};
use super::text_search::{TextSearch, Texts, has_escaped_letters};
use crate::audit::{ContentConsumer, ContentSearch, Extract, ProvenContent};
use crate::records::LogFileRecord;

/// The maximum number of identifiers that are searched for in bytes before records are read: a search
/// for more takes some hundred bytes of memory for each, and is not faster.
const MAX_SEARCHED: usize = 10_000;

/// Finds the proven events with certain identifiers.
#[derive(Debug)]
pub struct EventFinder {
    identifiers: HashSet<String>,
    /// A search for the identifiers, where they are few and stand in records as they are.
    search: Option<Texts>,
}

/// An event that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundEvent {
    /// The identifier.
    pub id: String,
    /// The position of the record in its log file, from zero on.
    pub index: u64,
    /// The record in its original bytes.
    pub record: String,
}

impl EventFinder {
    /// Creates a finder of the events with these identifiers.
    pub fn new(identifiers: HashSet<String>) -> Self {
        let is_plain = |id: &String| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !id.is_empty();
        let is_searched = identifiers.len() <= MAX_SEARCHED && identifiers.iter().all(is_plain);
        let search = is_searched.then(|| Texts::new(&identifiers)).flatten();
        Self { identifiers, search }
    }

    fn may_hold(&self, bytes: &[u8]) -> bool {
        self.search.as_ref().is_none_or(|search| search.stand_in(bytes)) || has_escaped_letters(bytes, true)
    }
}

/// A line that an [`EventFinder`] extracts of a log file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Searched {
    /// An event that is looked for.
    Found(FoundEvent),
    /// The events of the file can't be read; the text says why.
    Unreadable(String),
}

impl Searched {
    /// Reads what was extracted of a log file.
    pub fn read(extract: Extract) -> impl Iterator<Item = io::Result<Self>> {
        let lines = extract.into_reader().lines();
        lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::from))
    }
}

impl ContentConsumer for EventFinder {
    fn consume(&self, _: &LogFileRecord, content: ProvenContent, extract: &mut Extract) -> io::Result<()> {
        let form = each_record(content, |index, record| {
            if !self.may_hold(record.as_bytes()) {
                return Ok(());
            }
            let record_text = readable(record);
            let event = Event::parse(&record_text).unwrap_or_default();
            let Some(id) = event.id().filter(|id| self.identifiers.contains(&**id)) else { return Ok(()) };
            let found = FoundEvent { id: id.into_owned(), index, record: record.to_owned() };
            serde_json::to_writer(&mut *extract, &Searched::Found(found))?;
            extract.write_all(b"\n")
        })?;
        if let Form::Other(reason) = form {
            extract.clear();
            serde_json::to_writer(&mut *extract, &Searched::Unreadable(reason))?;
            extract.write_all(b"\n")?;
        }
        Ok(())
    }

    fn search(&self) -> Option<Box<dyn ContentSearch>> {
        let search = self.search.clone()?;
        Some(Box::new(TextSearch::any_of(vec![Some(search)])))
    }
}
