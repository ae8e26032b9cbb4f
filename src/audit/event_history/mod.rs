//! CloudTrail's answers about gaps: the management events that the Event History of an account has
//! in them, and the call that stopped the logging where no proven event does. Nothing of that is
//! signed: whoever reads the report is told so with each answer, and no verdict rests on it.

mod questions;

use std::sync::Arc;

use super::logging_events::explain::{self, StopAndStart};
use super::logging_events::{LoggingEventReader, Looked};
use super::shared::context::Context;
use crate::debug::opaque_debug;
use crate::model::{ChainId, Period, Region};
use crate::records::{EventHistoryAnswer, GapRecord, HistoryOfGap, HistoryOfLogging, format_time as time};
use crate::trail::HistorySource;

use questions::Questions;

/// The answers of a run about its gaps.
pub(crate) struct EventHistory {
    source: Arc<dyn HistorySource>,
    questions: Questions,
}

opaque_debug!(EventHistory);

/// The calls about trails that were received, and the time that was asked about.
struct CallsOfTrails {
    time: Period,
    looked: Looked,
}

impl EventHistory {
    pub(crate) fn new(source: Arc<dyn HistorySource>, reader: Arc<dyn LoggingEventReader>) -> Self {
        Self { questions: Questions::new(source.clone(), reader), source }
    }

    /// Asks about the gaps of a chain, and adds the answers to their records. A failure is told with
    /// the gap, which is none the worse for it. `is_proven` is true if any digest of the chain is valid.
    pub(crate) async fn ask(&self, context: &Context, is_proven: bool, gaps: impl Iterator<Item = &mut GapRecord>) {
        for gap in gaps.filter(|gap| gap.cause.is_finding()) {
            if !is_proven && !is_expected(&gap.chain, context) {
                gap.detail += "; the Event History was not asked about it, as no digest of the chain is valid";
                continue;
            }
            let now = context.request.now;
            let ChainId { account, region, .. } = &*gap.chain;
            let calls = self.questions.calls_of(account, region, Period::new(gap.from, gap.to), now).await;
            gap.detail += &match &calls {
                Ok(calls) => self.in_words(calls, &gap.chain),
                Err(reason) => format!("; the Event History of {account} in {region} gives no answer: {reason}"),
            };
            let is_unexplained = explain::is_asked(gap.cause) && gap.explained_by.is_none();
            let logging = if is_unexplained { self.ask_who_stopped(context, gap).await } else { None };
            let calls = calls.ok();
            if calls.is_some() || logging.is_some() {
                gap.event_history = Some(Box::new(EventHistoryAnswer { calls, logging }));
            }
        }
    }

    /// Asks for the calls that stopped and started the logging, and adds the answer to the detail of the
    /// gap.
    async fn ask_who_stopped(&self, context: &Context, gap: &mut GapRecord) -> Option<HistoryOfLogging> {
        let Some(home) = explain::home_of(&gap.chain, context) else {
            gap.detail += "; calls that stopped the logging were not asked for, as the account of the organization's \
                           trail is not known";
            return None;
        };
        let around = explain::time_around(gap);
        match self.questions.calls_of_trails(&home, explain::stop_window(gap).start, around, context.request.now).await
        {
            Ok(calls) => {
                let (words, answer) = self.who_stopped(gap, &home, &calls);
                gap.detail += &words;
                Some(answer)
            }
            Err(reason) => {
                let ChainId { account, region, .. } = &home;
                gap.detail += &format!(
                    "; the Event History of {account} in {region} gives no answer about calls that stopped the \
                     logging: {reason}"
                );
                None
            }
        }
    }

    /// Describes the management events of a gap.
    fn in_words(&self, calls: &HistoryOfGap, chain: &ChainId) -> String {
        let HistoryOfGap { from, to, events, is_complete, .. } = calls;
        let number = match (events, is_complete) {
            (1, true) => "1 management event".to_owned(),
            (events, true) => format!("{events} management events"),
            (events, false) => format!("at least {events} management events"),
        };
        let (account, region, source) = (&chain.account, &chain.region, self.source.name());
        format!(
            "; the answer of {source}, not signed: the Event History of {account} in {region} has {number} with \
             readOnly false, from {} to {}",
            time(*from),
            time(*to)
        )
    }

    /// Describes the calls that stopped and started the logging, and returns the same for the record.
    fn who_stopped(&self, gap: &GapRecord, home: &ChainId, calls: &CallsOfTrails) -> (String, HistoryOfLogging) {
        let found = StopAndStart::find(gap, home, &calls.looked, Some(&calls.looked));
        let stopped = found.stopped.filter(|_| found.resumed.is_none());
        let what = match (found.stopped, found.resumed) {
            (Some(stopped), None) => format!("the logging was stopped by {}", explain::in_words(stopped)),
            (Some(stopped), Some(resumed)) => format!(
                "the logging was stopped by {}, and was on again at {}, as a later call says",
                explain::in_words(stopped),
                time(resumed)
            ),
            (None, _) => format!(
                "the Event History of {} in {} has no call from {} to {} that explains the gap",
                home.account,
                home.region,
                time(calls.time.start),
                time(calls.time.end)
            ),
        };
        let end = found.started.map(|started| format!("; the gap was ended by {}", explain::in_words(started)));
        let words = format!("; the answer of {}, not signed: {what}{}", self.source.name(), end.unwrap_or_default());
        let answer = HistoryOfLogging {
            from: calls.time.start,
            to: calls.time.end,
            stopped_by: stopped.map(|event| event.event.clone()),
            started_by: found.started.map(|event| event.event.clone()),
        };
        (words, answer)
    }
}

/// Returns whether a chain without a valid digest is one that should be there: of the trail that the
/// request names, in a region that is known to be enabled. Anybody who can write to the bucket can plant
/// names of other ones, and each would take requests.
fn is_expected(chain: &ChainId, context: &Context) -> bool {
    let is_known =
        |region: &Region| *region == chain.home_region || context.request.expected.own_regions.contains(region);
    context.is_of_trail(chain) && is_known(&chain.region)
}
