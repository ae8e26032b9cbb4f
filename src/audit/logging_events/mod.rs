//! The proven events that started and stopped the logging of a trail, which explain its gaps.
//!
//! A trail is started and stopped in its home region, with effect in all regions, so that the events
//! stand in the log files of the home region's chain. That chain may come later in the run, or not at
//! all: the hours around a gap are verified for themselves, once for all gaps that they are asked for.

pub(crate) mod explain;
mod lookup;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::audit::shared::proven_content::ProvenContent;
use crate::debug::opaque_debug;
use crate::disk::spill::SpillPool;
use crate::model::{ChainId, ObjectRef, Period};
use crate::records::{EventReference, EventSummary};
use crate::store::Store;

pub(crate) use lookup::Looked;

/// A reader of the events that start or stop the logging of a trail.
#[async_trait]
pub trait LoggingEventReader: Send + Sync {
    /// Returns such events of a log file that is proven, in any order: calls that succeeded, of any
    /// trail.
    ///
    /// # Errors
    ///
    /// The content can't be read.
    fn read(&self, object: &ObjectRef, content: &ProvenContent) -> io::Result<Vec<LoggingEvent>>;

    /// Returns the facts about the event of one record in JSON, and the same as an event that starts
    /// or stops logging, if it is one; `None` if it is no record.
    fn read_record(&self, record: &str) -> Option<(EventSummary, Option<LoggingEvent>)>;

    /// Returns such events of a log file whose content another run has read, or may have read.
    async fn known(&self, _object: &ObjectRef) -> KnownEvents {
        KnownEvents::ToRead
    }

    /// Returns the store in which digests and log files are looked up, if it is not that of the run.
    fn store(&self) -> Option<Arc<dyn Store>> {
        None
    }
}

/// The knowledge of the events of a log file before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KnownEvents {
    /// The log file has to be read.
    ToRead,
    /// The log file can't be read in this run, and no other one has read it.
    Unknown,
    /// The events, if the log file is intact.
    Known(Vec<LoggingEvent>),
}

/// A call that started or stopped the logging of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggingEvent {
    /// The effect on the trail.
    pub effect: LoggingEffect,
    /// The trail, as the call names it: its name or its ARN.
    pub trail: String,
    /// The region in which the call was made.
    pub region: String,
    /// The time of the event.
    pub at: Timestamp,
    /// The event.
    pub event: EventSummary,
    /// The log file that has it; `None` for an event that no log file proves. It is not serialized:
    /// events are kept with their log file.
    #[serde(skip)]
    pub object: Option<ObjectRef>,
}

impl LoggingEvent {
    /// Returns a reference to the event in its log file; `None` for one that no log file proves.
    fn reference(&self) -> Option<EventReference> {
        Some(EventReference::new(self.event.clone(), self.object.as_ref()?))
    }
}

/// The effect of a call on the logging of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LoggingEffect {
    /// Logging is on or off.
    Logging(bool),
    /// Log file validation is on or off: without it, no digests are delivered.
    Validation(bool),
    /// The regions other than the home region are logged or not.
    OtherRegions(bool),
    /// The accounts of the organization other than the trail's own are logged or not.
    OtherAccounts(bool),
    /// There is a trail of this name, or none any more.
    Trail(bool),
}

impl LoggingEffect {
    /// Returns whether a call ends the delivery of digests.
    fn stops(self) -> bool {
        let (Self::Logging(on)
        | Self::Validation(on)
        | Self::OtherRegions(on)
        | Self::OtherAccounts(on)
        | Self::Trail(on)) = self;
        !on
    }

    /// Returns whether a call undoes one of the effect `stop`.
    fn undoes(self, stop: Self) -> bool {
        match (stop, self) {
            (Self::Logging(false), Self::Logging(true))
            | (Self::Validation(false), Self::Validation(true))
            | (Self::OtherRegions(false), Self::OtherRegions(true))
            | (Self::OtherAccounts(false), Self::OtherAccounts(true)) => true,
            // A trail that is made anew logs once that is started.
            (Self::Trail(false), started) => matches!(started, Self::Trail(true) | Self::Logging(true)),
            _ => false,
        }
    }

    /// Describes what a call that has several effects set.
    fn in_words(self) -> &'static str {
        match self {
            Self::Logging(_) | Self::Trail(_) => "",
            Self::Validation(true) => " (validation on)",
            Self::Validation(false) => " (validation off)",
            Self::OtherRegions(true) => " (all regions)",
            Self::OtherRegions(false) => " (one region)",
            Self::OtherAccounts(true) => " (all accounts)",
            Self::OtherAccounts(false) => " (one account)",
        }
    }
}

/// The answers of a run about the logging of trails.
pub(crate) struct LoggingEvents {
    reader: Arc<dyn LoggingEventReader>,
    contents: Arc<SpillPool>,
    answers: Mutex<Answers>,
}

/// The newest answers, by home chain and time. Chains of one trail ask for the same hours, soon after
/// one another.
#[derive(Default)]
struct Answers {
    by_question: HashMap<(ChainId, Period), Answer>,
    /// The questions, the oldest first.
    order: VecDeque<(ChainId, Period)>,
}

/// The number of answers that are kept: a run may have gaps in a million chains.
const MAX_ANSWERS: usize = 1024;

impl Answers {
    /// Returns the place of an answer.
    fn of(&mut self, chain: &ChainId, time: Period) -> Answer {
        let question = (chain.clone(), time);
        if let Some(answer) = self.by_question.get(&question) {
            return answer.clone();
        }
        if self.order.len() >= MAX_ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_question.remove(&oldest);
        }
        self.order.push_back(question.clone());
        self.by_question.entry(question).or_default().clone()
    }
}

/// An answer, once it was asked for.
type Answer = Arc<OnceCell<Arc<Looked>>>;

opaque_debug!(LoggingEvents);

/// The memory for the content of log files that are read, in bytes.
const CONTENT_MEMORY: usize = 8 << 20;

impl LoggingEvents {
    pub(crate) fn new(reader: Arc<dyn LoggingEventReader>) -> Self {
        let contents = SpillPool::new(CONTENT_MEMORY, CONTENT_MEMORY);
        Self { reader, contents, answers: Mutex::default() }
    }
}
