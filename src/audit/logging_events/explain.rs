//! The explanation of a gap by the events around it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{LoggingEffect, LoggingEvent, LoggingEvents, Looked};
use crate::audit::error::AuditError;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::shared::context::Context;
use crate::model::{AccountId, ChainId, Coverage, GapCause, Period, earlier, later};
use crate::records::{EventReference, GapRecord, format_time as time};

/// The time before a gap in which the event that stopped the logging is looked for. CloudTrail delivers a
/// last digest when logging stops, but none when validation does: the event is then in the log files of
/// up to two hours before.
const BEFORE: SignedDuration = SignedDuration::from_hours(2);
/// The time from the begin of a gap on in which it is looked for.
const AFTER_BEGIN: SignedDuration = SignedDuration::from_mins(15);
/// The time around the end of a gap in which the event that started the logging is looked for.
const AROUND_END: SignedDuration = SignedDuration::from_mins(75);

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
fn is_asked(cause: GapCause) -> bool {
    matches!(cause, GapCause::LoggingStopped | GapCause::AfterLastDigest)
}

/// Returns the chain in which the trail's own calls are recorded; `None` if the account of an
/// organization's trail is not known.
fn home_of(chain: &ChainId, context: &Context) -> Option<ChainId> {
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

/// Puts what the events tell into the record of a gap.
fn tell(gap: &mut GapRecord, home: &ChainId, stop: &Looked, start: Option<&Looked>) {
    let concerns = |event: &&LoggingEvent| is_about(event, home) && has_effect(event.effect, &gap.chain, home);
    let stops = |event: &&LoggingEvent| is_stop(event.effect);
    let before = || stop.events.iter().filter(concerns);
    let window = Period::new(earlier(gap.from, BEFORE), later(gap.from, AFTER_BEGIN));
    let is_inside = |event: &&LoggingEvent| window.start <= event.at && event.at <= window.end;
    let stopped = before().filter(stops).filter(is_inside).max_by_key(|event| event.at).filter(|stopped| {
        // Logging that was started again before the gap began was not off because of this call.
        !before().any(|event| !is_stop(event.effect) && stopped.at < event.at && event.at < gap.from)
    });
    let after_stop = |event: &&LoggingEvent| {
        let bounds = Period::new(earlier(gap.to, AROUND_END), later(gap.to, AROUND_END));
        let since = stopped.map_or(gap.from, |stopped| stopped.at);
        since < event.at && bounds.start <= event.at && event.at <= bounds.end
    };
    let starts = start.into_iter().flat_map(|looked| &looked.events).filter(concerns);
    let started = starts.filter(|event| !is_stop(event.effect)).filter(after_stop).min_by_key(|event| event.at);
    let mut detail = match (stopped, &stop.failure) {
        (Some(stopped), _) => format!("; explained by the proven event {}", in_words(&stopped.event)),
        (None, Some(failure)) => format!("; events that may explain it could not be looked for: {failure}"),
        (None, None) => {
            let part = part(&stop.coverage, Period::new(window.start, gap.from), stop.unproven);
            format!(
                "; unexplained: no proven event says that logging was stopped, in the log files of {} {} from {} to \
                 {}{part}",
                home.account,
                home.region,
                time(window.start),
                time(window.end)
            )
        }
    };
    if let Some(started) = started {
        detail += &format!("; ended by the proven event {}", in_words(&started.event));
    }
    gap.explained_by = stopped.map(|stopped| stopped.event.clone());
    gap.ended_by = started.map(|started| started.event.clone());
    gap.detail += &detail;
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
        1 => parts.push("1 log file of it is not proven".to_owned()),
        more => parts.push(format!("{more} log files of it are not proven")),
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn seconds(time: Period) -> u64 {
    (time.end.as_second() - time.start.as_second()).max(0).unsigned_abs()
}

/// Describes an event: its call, who made it, from where, when, and its identifier.
fn in_words(event: &EventReference) -> String {
    let EventReference { event_id, event_time, event_name, arn, source_ip, .. } = event;
    let by = arn.as_deref().map(|arn| format!(" by {arn}")).unwrap_or_default();
    let from = source_ip.as_deref().map(|address| format!(" from {address}")).unwrap_or_default();
    let at = event_time.map(|at| format!(" at {}", time(at))).unwrap_or_default();
    let id = event_id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
    format!("{event_name}{by}{from}{at}{id}")
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

fn is_stop(effect: LoggingEffect) -> bool {
    match effect {
        LoggingEffect::Stops | LoggingEffect::StopsOtherRegions | LoggingEffect::StopsOtherAccounts => true,
        LoggingEffect::Starts | LoggingEffect::StartsOtherRegions | LoggingEffect::StartsOtherAccounts => false,
    }
}

/// Returns whether a call of this effect changes the logging of a chain.
fn has_effect(effect: LoggingEffect, chain: &Arc<ChainId>, home: &ChainId) -> bool {
    match effect {
        LoggingEffect::Stops | LoggingEffect::Starts => true,
        LoggingEffect::StopsOtherRegions | LoggingEffect::StartsOtherRegions => chain.region != home.region,
        LoggingEffect::StopsOtherAccounts | LoggingEffect::StartsOtherAccounts => chain.account != home.account,
    }
}
