//! The proven events that started and stopped the logging of a trail, which explain its gaps.
//!
//! A trail is started and stopped in its home region, with effect in all regions, so that the events
//! stand in the log files of the home region's chain. That chain may come later in the run, or not at
//! all: the hours around a gap are verified for themselves, once for all gaps that they are asked for.

pub(crate) mod explain;
mod lookup;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::audit::shared::proven_content::ProvenContent;
use crate::debug::opaque_debug;
use crate::disk::spill::SpillPool;
use crate::model::{ChainId, Period};
use crate::records::EventReference;

pub(crate) use lookup::Looked;

/// A reader of the events that start or stop the logging of a trail.
pub trait LoggingEventReader: Send + Sync {
    /// Returns such events of a log file that is proven, in any order: calls that succeeded, of any trail.
    /// `place` refers to the log file, and to no event yet.
    ///
    /// # Errors
    ///
    /// The content can't be read.
    fn read(&self, place: &EventReference, content: &ProvenContent) -> io::Result<Vec<LoggingEvent>>;
}

/// A call that started or stopped the logging of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub event: EventReference,
}

/// The effect of a call on the logging of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoggingEffect {
    /// No log files, or no digests, are delivered any more.
    Stops,
    /// The same in all regions but the home region.
    StopsOtherRegions,
    /// The same for all accounts of the organization but the trail's own.
    StopsOtherAccounts,
    /// Log files, or digests, are delivered.
    Starts,
    /// The same in the other regions, too.
    StartsOtherRegions,
    /// The same for the other accounts, too.
    StartsOtherAccounts,
}

/// The answers of a run about the logging of trails.
pub(crate) struct LoggingEvents {
    reader: Arc<dyn LoggingEventReader>,
    contents: Arc<SpillPool>,
    /// The answers by home chain and time.
    answers: Mutex<HashMap<(ChainId, Period), Answer>>,
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
