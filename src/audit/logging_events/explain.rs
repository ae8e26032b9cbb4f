//! The explanation of a gap by the events around it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{LoggingEffect, LoggingEvent, LoggingEvents, Looked};
use crate::audit::error::AuditError;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::shared::context::Context;
use crate::model::{AccountId, ChainId, Coverage, GapCause, Period, earlier, later};
use crate::records::{EventSummary, GapRecord, format_time as time};

/// The time before a gap in which the event that stopped the logging is looked for. CloudTrail delivers a
/// last digest when logging stops, but none when validation does: the event is then in the log files of
/// up to two hours before.
const BEFORE: SignedDuration = SignedDuration::from_hours(2);
/// The time from the begin of a gap on in which it is looked for.
const AFTER_BEGIN: SignedDuration = SignedDuration::from_mins(15);
/// The time before the end of a gap in which the event that started the logging is looked for. A digest covers
/// the time from the end on: of the events after it, only those of its first minutes (`AFTER_BEGIN`) can have
/// ended the gap, and log files that are delivered late are read for them.
const AROUND_END: SignedDuration = SignedDuration::from_mins(75);

/// The time after the call that stopped the logging in which the last digest may still begin.
const LAST_DIGEST: SignedDuration = SignedDuration::from_mins(30);

/// Explains the gaps of a chain that begin where logging may have been stopped.
pub(crate) async fn explain(
    events: &LoggingEvents,
    context: &Context,
    folders: &[RegionFolder],
    gaps: impl Iterator<Item = &mut GapRecord>,
) -> Result<(), AuditError> {
    for gap in gaps.filter(|gap| is_asked(gap.cause)) {
        let Some(home) = home_of(&gap.chain, context) else { continue };
        let folders = home_folders(folders, &home);
        let before = Period::new(whole_hour(earlier(gap.from, BEFORE)), whole_hour_after(later(gap.from, AFTER_BEGIN)));
        let stop = events.look(context, &home, &folders, before).await?;
        let after = match gap.cause {
            GapCause::LoggingStopped => {
                let around = Period::new(earlier(gap.to, AROUND_END), later(gap.to, AROUND_END));
                let around = Period::new(whole_hour(around.start), whole_hour_after(around.end));
                Some(events.look(context, &home, &folders, around).await?)
            }
            _ => None,
        };
        tell(gap, &home, &stop, after.as_deref());
    }
    Ok(())
}

/// Returns whether logging that was stopped may be the cause of a gap of this kind.
pub(crate) fn is_asked(cause: GapCause) -> bool {
    matches!(cause, GapCause::LoggingStopped | GapCause::AfterLastDigest)
}

/// Returns the chain in which the trail's own calls are recorded; `None` if the account of an
/// organization's trail is not known.
pub(crate) fn home_of(chain: &ChainId, context: &Context) -> Option<ChainId> {
    let account: AccountId = match &chain.organization {
        None => chain.account.clone(),
        Some(_) => context.request.trail.as_ref()?.account.clone(),
    };
    Some(ChainId { account, region: chain.home_region.clone(), ..chain.clone() })
}

fn home_folders(folders: &[RegionFolder], home: &ChainId) -> Vec<RegionFolder> {
    let mut of_home: Vec<RegionFolder> = Vec::new();
    for folder in folders {
        let RegionFolder { location, organization, .. } = folder.clone();
        let folder =
            RegionFolder { location, organization, account: home.account.clone(), region: home.region.clone() };
        if !of_home.contains(&folder) {
            of_home.push(folder);
        }
    }
    of_home
}

/// Windows begin and end at whole hours: the gaps of all regions then ask for the same.
fn whole_hour(at: Timestamp) -> Timestamp {
    earlier(at, SignedDuration::from_secs(at.as_second().rem_euclid(3600)))
}

fn whole_hour_after(at: Timestamp) -> Timestamp {
    let begin = whole_hour(at);
    if begin == at { at } else { later(begin, SignedDuration::from_hours(1)) }
}

/// The events that stopped and started the logging around a gap.
pub(crate) struct StopAndStart<'e> {
    /// The last call before the gap that ended the delivery of digests.
    pub stopped: Option<&'e LoggingEvent>,
    /// The time at which logging is known to have been on again, long before the end of the gap.
    pub resumed: Option<Timestamp>,
    /// The call that ended the gap.
    pub started: Option<&'e LoggingEvent>,
    /// True if a call ended the delivery of digests and another one undid that before the gap.
    pub is_undone: bool,
}

impl<'e> StopAndStart<'e> {
    /// Finds them among the events around the begin of a gap and those around its end. `home` is the
    /// chain in which the trail's own calls are recorded.
    pub(crate) fn find(gap: &GapRecord, home: &ChainId, stop: &'e Looked, start: Option<&'e Looked>) -> Self {
        let concerns = |event: &&LoggingEvent| is_about(event, home) && has_effect(event.effect, &gap.chain, home);
        let before = || stop.events.iter().filter(concerns);
        let window = stop_window(gap);
        let is_inside = |event: &&LoggingEvent| window.start <= event.at && event.at <= window.end;
        let is_undone = |stopped: &LoggingEvent, by: Timestamp| {
            before().any(|event| event.effect.undoes(stopped.effect) && stopped.at < event.at && event.at < by)
        };
        // Logging that was started again before the gap began was not off because of this call.
        let stops = || before().filter(|event| event.effect.stops()).filter(is_inside);
        let stopped = stops().filter(|stopped| !is_undone(stopped, gap.from)).max_by_key(|event| event.at);
        let starts = start.into_iter().flat_map(|looked| &looked.events).filter(concerns);
        let is_near_end =
            |event: &&LoggingEvent| earlier(gap.to, AROUND_END) <= event.at && event.at <= later(gap.to, AFTER_BEGIN);
        let started = starts.filter(is_near_end).filter(|event| match stopped {
            Some(stopped) => event.effect.undoes(stopped.effect) && stopped.at < event.at,
            None => !event.effect.stops() && gap.from < event.at,
        });
        let resumed = stopped.and_then(|stopped| resumed(stopped, stop, before(), gap.to));
        let started = started.min_by_key(|event| event.at);
        Self { stopped, resumed, started, is_undone: stops().next().is_some() }
    }
}

/// The time in which the event that stopped the logging is looked for.
pub(crate) fn stop_window(gap: &GapRecord) -> Period {
    Period::new(earlier(gap.from, BEFORE), later(gap.from, AFTER_BEGIN))
}

/// The time around a gap in which the calls that stopped and started the logging are looked for.
pub(crate) fn time_around(gap: &GapRecord) -> Period {
    let window = stop_window(gap);
    Period::new(window.start, later(gap.to, AROUND_END).max(window.end))
}

/// Puts what the events tell into the record of a gap.
fn tell(gap: &mut GapRecord, home: &ChainId, stop: &Looked, start: Option<&Looked>) {
    let StopAndStart { stopped, resumed, started, is_undone } = StopAndStart::find(gap, home, stop, start);
    let window = stop_window(gap);
    let mut detail = match (stopped, resumed, &stop.failure) {
        (Some(stopped), None, _) => format!("; explained by the proven event {}", in_words(stopped)),
        (Some(stopped), Some(resumed), _) => format!(
            "; unexplained from {} on: the proven event {} ended the delivery of digests, and that was on again then, \
             as a later call or digest of the home region says",
            time(resumed),
            in_words(stopped)
        ),
        (None, _, Some(failure)) => format!("; events that may explain it could not be looked for: {failure}"),
        (None, _, None) => {
            let part = part(&stop.coverage, Period::new(window.start, gap.from), stop.unproven);
            let what = match is_undone {
                false => "no proven event says that logging was stopped",
                true => "what proven events stopped was started again before the gap",
            };
            format!(
                "; unexplained: {what}, in the log files of {} {} from {} to {}{part}",
                home.account,
                home.region,
                time(window.start),
                time(window.end)
            )
        }
    };
    if let Some(started) = started {
        detail += &format!("; ended by the proven event {}", in_words(started));
    }
    gap.explained_by = stopped.filter(|_| resumed.is_none()).and_then(LoggingEvent::reference);
    gap.ended_by = started.and_then(LoggingEvent::reference);
    gap.detail += &detail;
}

/// Returns the time at which logging is known to have been on again, if that is long before the end of
/// the gap: a call that undid the stop, or a valid digest of the home region that starts its chain anew or
/// begins long after the call. The last digest before a stop may begin shortly after the call.
fn resumed<'e>(
    stopped: &LoggingEvent,
    looked: &Looked,
    events: impl Iterator<Item = &'e LoggingEvent>,
    end: Timestamp,
) -> Option<Timestamp> {
    let undone = events.filter(|event| event.effect.undoes(stopped.effect)).map(|event| event.at);
    // Of other regions and accounts, the home region's digests tell nothing.
    let is_of_home = matches!(stopped.effect, LoggingEffect::Logging(_) | LoggingEffect::Trail(_));
    let is_later = |begin: Timestamp, is_start: bool| is_start || begin > later(stopped.at, LAST_DIGEST);
    let begins = looked.begins.iter().filter(|(begin, is_start)| is_of_home && is_later(*begin, *is_start));
    let on_again = undone.chain(begins.map(|(begin, _)| *begin)).filter(|at| *at > stopped.at).min()?;
    (later(on_again, AROUND_END) < end).then_some(on_again)
}

/// Describes which part of a time could not be looked into.
fn part(coverage: &Coverage, time: Period, unproven: usize) -> String {
    let minutes = |seconds: u64| seconds / 60;
    let (covered, whole) = (coverage.seconds(time.start, time.end), seconds(time));
    let mut parts = Vec::new();
    if covered < whole {
        parts.push(format!("valid digests cover {} of its {} min before the gap", minutes(covered), minutes(whole)));
    }
    match unproven {
        0 => {}
        1 => parts.push("1 log file of it is not proven, or can't be read".to_owned()),
        more => parts.push(format!("{more} log files of it are not proven, or can't be read")),
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn seconds(time: Period) -> u64 {
    (time.end.as_second() - time.start.as_second()).max(0).unsigned_abs()
}

/// Describes an event: its call, who made it, from where, when, and its identifier.
pub(crate) fn in_words(event: &LoggingEvent) -> String {
    let set = event.effect.in_words();
    let EventSummary { event_id, event_time, event_name, arn, source_ip } = &event.event;
    let by = arn.as_deref().map(|arn| format!(" by {arn}")).unwrap_or_default();
    let from = source_ip.as_deref().map(|address| format!(" from {address}")).unwrap_or_default();
    let at = event_time.map(|at| format!(" at {}", time(at))).unwrap_or_default();
    let id = event_id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
    format!("{event_name}{set}{by}{from}{at}{id}")
}

/// Returns whether a call was about the trail of a chain: it names the trail's ARN, or its name in the
/// home region.
fn is_about(event: &LoggingEvent, home: &ChainId) -> bool {
    match event.trail.split_once(":trail/") {
        None => event.trail == home.trail.as_str() && event.region == home.home_region.as_str(),
        Some((service, name)) => {
            let place = format!(":{}:{}", home.home_region, home.account);
            name == home.trail.as_str() && service.ends_with(&place)
        }
    }
}

/// Returns whether a call of this effect changes the logging of a chain.
fn has_effect(effect: LoggingEffect, chain: &Arc<ChainId>, home: &ChainId) -> bool {
    match effect {
        LoggingEffect::Logging(_) | LoggingEffect::Validation(_) | LoggingEffect::Trail(_) => true,
        LoggingEffect::OtherRegions(_) => chain.region != home.region,
        LoggingEffect::OtherAccounts(_) => chain.account != home.account,
    }
}
