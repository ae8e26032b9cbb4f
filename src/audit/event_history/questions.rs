//! Questions to the Event History, and their limits in number, size and time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::CallsOfTrails;
use crate::audit::logging_events::{LoggingEvent, LoggingEventReader, Looked};
use crate::model::{AccountId, ChainId, Period, Region, earlier};
use crate::records::{EventSummary, HistoryOfGap};
use crate::trail::{HistoryFilter, HistoryPage, HistorySource};

/// The time that AWS keeps in the Event History.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The number of pages that are asked for in one run: at two a second, they take 150 seconds.
const MAX_PAGES: u32 = 300;
/// The time in which a run asks, from the first question on.
const MAX_TIME: Duration = Duration::from_secs(300);
/// The number of pages that are asked for in one gap.
const PAGES_OF_GAP: u32 = 20;
/// The number of pages that are asked for of one call by its name.
const PAGES_OF_NAME: u32 = 4;
/// The number of events that the record of a gap names.
const MAX_NAMED: usize = 50;
/// The number of characters of a text of an event that are kept.
const MAX_TEXT: usize = 1024;
/// The calls that start or stop the logging of a trail.
const CALLS: [&str; 5] = ["StopLogging", "StartLogging", "DeleteTrail", "CreateTrail", "UpdateTrail"];

/// The questions of a run.
pub(super) struct Questions {
    source: Arc<dyn HistorySource>,
    reader: Arc<dyn LoggingEventReader>,
    /// The account whose events the source has; an error is the reason why it is unknown.
    account: OnceCell<Result<AccountId, String>>,
    state: Mutex<State>,
}

/// The questions that were asked.
struct State {
    pages_left: u32,
    /// The time after which nothing is asked; `None` before the first question.
    deadline: Option<Instant>,
    /// The reasons of failures, by region: it is not asked again.
    failed: HashMap<Region, String>,
}

/// A question about one region and time.
#[derive(Clone, Copy)]
struct Question<'a> {
    region: &'a Region,
    time: Period,
    filter: HistoryFilter,
    /// The number of pages that are asked for.
    pages: u32,
}

/// Events that were received.
#[derive(Default)]
struct Received {
    /// The number of events.
    events: u64,
    /// True if some have no record that can be read.
    has_unreadable: bool,
    /// The first events with a record.
    newest: Vec<EventSummary>,
    /// The events that start or stop the logging of a trail.
    logging: Vec<LoggingEvent>,
    is_complete: bool,
}

impl Questions {
    pub(super) fn new(source: Arc<dyn HistorySource>, reader: Arc<dyn LoggingEventReader>) -> Self {
        let state = State { pages_left: MAX_PAGES, deadline: None, failed: HashMap::new() };
        Self { source, reader, account: OnceCell::new(), state: Mutex::new(state) }
    }

    /// Returns the management events of a time, reads aside.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no answer.
    pub(super) async fn calls_of(
        &self,
        account: &AccountId,
        region: &Region,
        time: Period,
        now: Timestamp,
    ) -> Result<HistoryOfGap, String> {
        let time = self.time_of(account, time, now).await?;
        let question = Question { region, time, filter: HistoryFilter::Writes, pages: PAGES_OF_GAP };
        let Received { events, newest, is_complete, .. } = self.receive(question).await?;
        Ok(HistoryOfGap { from: time.start, to: time.end, events, is_complete, newest })
    }

    /// Returns the calls that start or stop the logging of trails in the account and region of a trail.
    /// All of the time from `from` on has to be known: the call that stopped the logging is there.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no answer, or not all of it.
    pub(super) async fn calls_of_trails(
        &self,
        home: &ChainId,
        from: Timestamp,
        time: Period,
        now: Timestamp,
    ) -> Result<CallsOfTrails, String> {
        let time = self.time_of(&home.account, time, now).await?;
        if time.start > from {
            return Err("it keeps 90 days, and the gap began before them or shortly after".to_owned());
        }
        let mut looked = Looked::default();
        for name in CALLS {
            let filter = HistoryFilter::Named(name);
            let received = self.receive(Question { region: &home.region, time, filter, pages: PAGES_OF_NAME }).await?;
            if !received.is_complete {
                return Err(format!(
                    "not all of its {name} calls were asked for: they take more than {PAGES_OF_NAME} pages, or more \
                     than are left of the {MAX_PAGES} that a run asks for"
                ));
            }
            if received.has_unreadable {
                return Err(format!("it has {name} calls without a record that can be read"));
            }
            looked.events.extend(received.logging);
        }
        looked.events.sort_by_key(|event| event.at);
        Ok(CallsOfTrails { time, looked })
    }

    /// Returns the part of a time of an account that can be asked about.
    async fn time_of(&self, account: &AccountId, time: Period, now: Timestamp) -> Result<Period, String> {
        let caller = self.account.get_or_init(|| self.source.account()).await.as_ref().map_err(Clone::clone)?;
        if caller != account {
            return Err(format!("these credentials are of the account {caller}"));
        }
        let kept_from = earlier(now, KEPT);
        if time.end <= kept_from {
            return Err("it keeps 90 days, and this is older".to_owned());
        }
        Ok(Period::new(time.start.max(kept_from), time.end.min(now)))
    }

    /// Asks for page after page.
    async fn receive(&self, question: Question<'_>) -> Result<Received, String> {
        let mut received = Received::default();
        let mut token = None;
        for _ in 0..question.pages {
            let page = match self.page(question, token).await {
                Ok(Some(page)) => page,
                // The limits of the run are reached.
                Ok(None) if received.events > 0 => return Ok(received),
                Ok(None) => {
                    let minutes = MAX_TIME.as_secs() / 60;
                    return Err(format!("a run asks for no more than {MAX_PAGES} pages, and for {minutes} minutes"));
                }
                Err(reason) => return Err(reason),
            };
            for record in page.records {
                received.events += 1;
                let read = record.as_deref().and_then(|record| self.reader.read_record(record));
                let Some((summary, logging)) = read else {
                    received.has_unreadable = true;
                    continue;
                };
                if received.newest.len() < MAX_NAMED {
                    received.newest.push(shortened(summary));
                }
                // No trail has such a long name.
                let logging = logging.filter(|event| event.trail.len() <= MAX_TEXT);
                received.logging.extend(logging.map(|event| LoggingEvent { event: shortened(event.event), ..event }));
            }
            token = page.next;
            if token.is_none() {
                return Ok(Received { is_complete: true, ..received });
            }
        }
        Ok(received)
    }

    /// Asks for a page; `None` if the limits of the run are reached.
    async fn page(&self, question: Question<'_>, token: Option<String>) -> Result<Option<HistoryPage>, String> {
        let Question { region, time, filter, .. } = question;
        let mut state = self.state.lock().await;
        if let Some(reason) = state.failed.get(region) {
            return Err(reason.clone());
        }
        let deadline = *state.deadline.get_or_insert_with(|| Instant::now() + MAX_TIME);
        if state.pages_left == 0 || Instant::now() >= deadline {
            return Ok(None);
        }
        state.pages_left -= 1;
        match self.source.page(region, time, filter, token).await {
            Ok(page) => Ok(Some(page)),
            Err(reason) => {
                state.failed.insert(region.clone(), reason.clone());
                Err(reason)
            }
        }
    }
}

/// Cuts the texts of an event: records of AWS have short ones.
fn shortened(event: EventSummary) -> EventSummary {
    let cut = |text: String| match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    EventSummary {
        event_id: event.event_id.map(cut),
        event_name: cut(event.event_name),
        arn: event.arn.map(cut),
        source_ip: event.source_ip.map(cut),
        ..event
    }
}
