//! The calls that start and stop the logging of trails.

use std::io;
use std::sync::LazyLock;

use async_trait::async_trait;

use super::event::{Event, readable};
use super::log_file::{Form, each_record_kept};
use super::tampering::{TamperingFinder, has_failed, summary};
use super::text_search::{TextSearch, Texts, has_escaped_letters};
use crate::audit::{LoggingEffect, LoggingEvent, LoggingEventReader, ProvenContent};
use crate::model::ObjectRef;
use crate::records::EventSummary;

/// Reads the calls that start and stop the logging of trails from proven log files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrailCalls;

/// The calls that start and stop logging.
pub(super) const CALLS: [&str; 5] = ["StopLogging", "StartLogging", "DeleteTrail", "CreateTrail", "UpdateTrail"];
/// A search for their names; `None` if it can't be made, which leaves every record to be looked at.
static NAMES: LazyLock<Option<Texts>> = LazyLock::new(|| Texts::new(CALLS));
/// The service that trails belong to.
const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

#[async_trait]
impl LoggingEventReader for TrailCalls {
    fn read(&self, object: &ObjectRef, content: &ProvenContent) -> io::Result<Vec<LoggingEvent>> {
        if !trail_calls(None).finds_in(content)? {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let form = each_record_kept(content, |_, record| {
            if may_hold(record.as_bytes()) {
                let text = readable(record);
                let event = Event::parse(&text).unwrap_or_default();
                found.extend(logging_event(&event, Some(object)));
            }
            Ok(())
        })?;
        match form {
            Form::Records(_) => Ok(found),
            Form::Other(reason) => Err(io::Error::other(reason)),
        }
    }

    fn read_record(&self, record: &str) -> Option<(EventSummary, Option<LoggingEvent>)> {
        let event = Event::parse(record).ok()?;
        Some((summary(&event), logging_event(&event, None)))
    }
}

/// Creates a search for the names of the calls that start and stop the logging of trails, and of those that the
/// rules of tampering are about if there is a finder for them.
pub(crate) fn trail_calls(tampering: Option<&TamperingFinder>) -> TextSearch {
    let names = std::iter::once(NAMES.clone()).chain(tampering.map(TamperingFinder::calls));
    TextSearch::any_of(names.collect())
}

/// Returns false if these bytes hold no such call.
fn may_hold(bytes: &[u8]) -> bool {
    NAMES.as_ref().is_none_or(|names| names.stand_in(bytes)) || has_escaped_letters(bytes, true)
}

/// Returns what a call changed in the logging of a trail; `None` if it failed, or changed nothing there.
fn logging_event(event: &Event<'_>, object: Option<&ObjectRef>) -> Option<LoggingEvent> {
    if event.text("eventSource").as_deref() != Some(CLOUDTRAIL) || has_failed(event) {
        return None;
    }
    let request = event.object("requestParameters");
    let effect = match &*event.text("eventName")? {
        "StopLogging" => LoggingEffect::Logging(false),
        "StartLogging" => LoggingEffect::Logging(true),
        "DeleteTrail" => LoggingEffect::Trail(false),
        "CreateTrail" => LoggingEffect::Trail(true),
        "UpdateTrail" => {
            // A call that sets several ends more than one that sets them back: it counts by what it ends.
            let set = |name: &str| request.raw_of_any_case(name).and_then(|value| value.parse::<bool>().ok());
            let effects = [
                set("enableLogFileValidation").map(LoggingEffect::Validation),
                set("isMultiRegionTrail").map(LoggingEffect::OtherRegions),
                set("isOrganizationTrail").map(LoggingEffect::OtherAccounts),
            ];
            let given = || effects.into_iter().flatten();
            let ends = |effect: &LoggingEffect| {
                use LoggingEffect::{OtherAccounts, OtherRegions, Validation};
                matches!(effect, Validation(false) | OtherRegions(false) | OtherAccounts(false))
            };
            given().find(ends).or_else(|| given().next())?
        }
        _ => return None,
    };
    Some(LoggingEvent {
        effect,
        trail: request.text("name")?.into_owned(),
        region: event.text("awsRegion")?.into_owned(),
        at: event.time()?.start,
        event: summary(event),
        object: object.cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(name: &str, parameters: &str, rest: &str) -> Option<LoggingEffect> {
        let record = format!(
            r#"{{"eventSource":"{CLOUDTRAIL}","eventName":"{name}","awsRegion":"us-east-1",
            "eventTime":"2026-03-01T00:00:00Z","requestParameters":{{"name":"t"{parameters}}}{rest}}}"#
        );
        logging_event(&Event::parse(&record).unwrap(), None).map(|event| event.effect)
    }

    #[test]
    fn a_call_has_its_effect_if_it_succeeded() {
        use LoggingEffect::{Logging, OtherAccounts, OtherRegions, Trail, Validation};
        for (name, parameters, expected) in [
            ("StopLogging", "", Some(Logging(false))),
            ("DeleteTrail", "", Some(Trail(false))),
            ("StartLogging", "", Some(Logging(true))),
            ("CreateTrail", r#","isMultiRegionTrail":false"#, Some(Trail(true))),
            ("UpdateTrail", r#","enableLogFileValidation":false"#, Some(Validation(false))),
            ("UpdateTrail", r#","enableLogFileValidation":true,"isMultiRegionTrail":false"#, Some(OtherRegions(false))),
            ("UpdateTrail", r#","isOrganizationTrail":false"#, Some(OtherAccounts(false))),
            ("UpdateTrail", r#","enableLogFileValidation":true,"isMultiRegionTrail":true"#, Some(Validation(true))),
            ("UpdateTrail", r#","snsTopicName":"t""#, None),
            ("GetTrail", "", None),
        ] {
            assert_eq!(effect(name, parameters, ""), expected, "{name} {parameters}");
            assert_eq!(effect(name, parameters, r#","errorCode":"AccessDenied""#), None);
        }
    }
}
