//! CloudTrail's answers about gaps: the management events that the Event History of an account has
//! in them, and the call that stopped the logging where no proven event does. Nothing of that is
//! signed: whoever reads the report is told so with each answer, and no verdict rests on it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, OnceCell};

use super::logging_events::explain::{self, AROUND_END, StopAndStart};
use super::logging_events::{LoggingEvent, LoggingEventReader, Looked};
use super::shared::context::Context;
use crate::debug::opaque_debug;
use crate::model::{AccountId, ChainId, Period, Region, earlier, later};
use crate::records::{EventHistoryAnswer, GapRecord, HistoryOfGap, format_time as time};
use crate::trail::{HistoryFilter, HistorySource};

/// The time that AWS keeps in the Event History.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The number of pages that are asked for in one run: at two a second, they take 150 seconds.
const MAX_PAGES: u32 = 300;
/// The number of pages that are asked for in one gap.
const PAGES_OF_GAP: u32 = 20;
/// The number of pages that are asked for of one call by its name.
const PAGES_OF_NAME: u32 = 4;
/// The number of events that the record of a gap names.
const MAX_NAMED: usize = 50;
/// The calls that start or stop the logging of a trail.
const CALLS: [&str; 5] = ["StopLogging", "StartLogging", "DeleteTrail", "CreateTrail", "UpdateTrail"];

/// The answers of a run about its gaps.
pub(crate) struct EventHistory {
    source: Arc<dyn HistorySource>,
    reader: Arc<dyn LoggingEventReader>,
    /// The account whose events the source has; an error is the reason why it is unknown.
    account: OnceCell<Result<AccountId, String>>,
    /// The number of pages that may still be asked for.
    pages_left: Mutex<u32>,
}

opaque_debug!(EventHistory);

/// Events that were received.
#[derive(Default)]
struct Received {
    records: Vec<String>,
    is_complete: bool,
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

impl EventHistory {
    pub(crate) fn new(source: Arc<dyn HistorySource>, reader: Arc<dyn LoggingEventReader>) -> Self {
        Self { source, reader, account: OnceCell::new(), pages_left: Mutex::new(MAX_PAGES) }
    }

    /// Asks about the gaps of a chain, and adds the answers to their records. A failure is told with
    /// the gap, which is none the worse for it.
    pub(crate) async fn ask(&self, context: &Context, gaps: impl Iterator<Item = &mut GapRecord>) {
        for gap in gaps.filter(|gap| gap.cause.is_finding()) {
            let now = context.request.now;
            let own = self.calls_of(gap, now).await;
            let is_unexplained = explain::is_asked(gap.cause) && gap.explained_by.is_none();
            let home = explain::home_of(&gap.chain, context).filter(|_| is_unexplained);
            let stop = match &home {
                Some(home) => Some(self.stop_of(gap, home, now).await),
                None => None,
            };
            self.tell(gap, own, home.as_ref(), stop);
        }
    }

    /// Returns the management events of a gap in its own account and region, reads aside.
    async fn calls_of(&self, gap: &GapRecord, now: Timestamp) -> Result<HistoryOfGap, String> {
        let ChainId { account, region, .. } = &*gap.chain;
        let asked = self.time_of(account, Period::new(gap.from, gap.to), now).await?;
        let question = Question { region, time: asked, filter: HistoryFilter::Writes, pages: PAGES_OF_GAP };
        let Received { records, is_complete } = self.receive(question).await?;
        let newest = records.iter().filter_map(|record| Some(self.reader.read_record(record)?.0)).take(MAX_NAMED);
        Ok(HistoryOfGap {
            from: asked.start,
            to: asked.end,
            events: u64::try_from(records.len()).unwrap_or(u64::MAX),
            is_complete,
            newest: newest.collect(),
        })
    }

    /// Returns the calls about trails around a gap, in the account and region of the trail.
    async fn stop_of(&self, gap: &GapRecord, home: &ChainId, now: Timestamp) -> Result<Looked, String> {
        let window = explain::stop_window(gap);
        let around = Period::new(window.start, later(gap.to, AROUND_END).max(window.end));
        let time = self.time_of(&home.account, around, now).await?;
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
            let calls = received.records.iter().filter_map(|record| self.reader.read_record(record)?.1);
            looked.events.extend(calls);
        }
        looked.events.sort_by_key(|event| event.at);
        Ok(looked)
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
        let Question { region, time, filter, pages } = question;
        let mut received = Received::default();
        let mut token = None;
        for _ in 0..pages {
            {
                let mut left = self.pages_left.lock().await;
                if *left == 0 {
                    return match received.records.is_empty() {
                        true => Err(format!("the run has asked for {MAX_PAGES} pages, and asks for no more")),
                        false => Ok(received),
                    };
                }
                *left -= 1;
            }
            let page = self.source.page(region, time, filter, token).await?;
            received.records.extend(page.records);
            token = page.next;
            if token.is_none() {
                return Ok(Received { is_complete: true, ..received });
            }
        }
        Ok(received)
    }

    /// Puts the answers into the record of a gap.
    fn tell(
        &self,
        gap: &mut GapRecord,
        own: Result<HistoryOfGap, String>,
        home: Option<&ChainId>,
        stop: Option<Result<Looked, String>>,
    ) {
        let source = self.source.name();
        let ChainId { account, region, .. } = &*gap.chain;
        let mut detail = match &own {
            Ok(calls) => format!("; the answer of {source}, not signed: {}", in_words(calls, account, region)),
            Err(reason) => format!("; the Event History of {account} in {region} gives no answer: {reason}"),
        };
        let (mut stopped_by, mut started_by) = (None, None);
        match stop.as_ref().zip(home) {
            Some((Ok(looked), home)) => {
                let found = StopAndStart::find(gap, home, looked, Some(looked));
                let stopped = found.stopped.filter(|_| found.resumed.is_none());
                detail +=
                    &format!("; the answer of {source}, not signed: {}", stop_in_words(stopped, found.started, home));
                stopped_by = stopped.map(|event| event.event.clone());
                started_by = found.started.map(|event| event.event.clone());
            }
            Some((Err(reason), home)) => {
                let ChainId { account, region, .. } = home;
                detail += &format!(
                    "; the Event History of {account} in {region} gives no answer about calls that stopped the \
                     logging: {reason}"
                );
            }
            None => {}
        }
        gap.detail += &detail;
        if own.is_ok() || stop.is_some_and(|stop| stop.is_ok()) {
            gap.event_history = Some(Box::new(EventHistoryAnswer { calls: own.ok(), stopped_by, started_by }));
        }
    }
}

/// Describes the management events of a gap.
fn in_words(calls: &HistoryOfGap, account: &AccountId, region: &Region) -> String {
    let HistoryOfGap { from, to, events, is_complete, .. } = calls;
    let number = match (events, is_complete) {
        (0, true) => "no management event but reads".to_owned(),
        (1, true) => "1 management event, reads aside".to_owned(),
        (events, true) => format!("{events} management events, reads aside"),
        (events, false) => format!("at least {events} management events, reads aside"),
    };
    format!("the Event History of {account} in {region} has {number}, from {} to {}", time(*from), time(*to))
}

/// Describes the calls that stopped and started the logging.
fn stop_in_words(stopped: Option<&LoggingEvent>, started: Option<&LoggingEvent>, home: &ChainId) -> String {
    let ChainId { account, region, .. } = home;
    let what = match stopped {
        Some(stopped) => format!("the logging was stopped by {}", explain::in_words(stopped)),
        None => format!("the Event History of {account} in {region} has no call that explains the gap"),
    };
    match started {
        Some(started) => format!("{what}, and started by {}", explain::in_words(started)),
        None => what,
    }
}
