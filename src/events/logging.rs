//! The calls that start and stop the logging of trails.

use std::io::{self, BufRead as _};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use async_trait::async_trait;

use super::event::{Event, readable};
use super::log_file::{Form, each_record_kept};
use super::prefilter::has_escaped_letters;
use super::tampering::{has_failed, summary};
use crate::audit::{ContentSearch, LoggingEffect, LoggingEvent, LoggingEventReader, ProvenContent};
use crate::model::ObjectRef;
use crate::records::EventSummary;

/// Reads the calls that start and stop the logging of trails from proven log files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrailCalls;

/// The calls that start and stop logging.
const CALLS: [&str; 5] = ["StopLogging", "StartLogging", "DeleteTrail", "CreateTrail", "UpdateTrail"];
/// A search for their names; `None` if it can't be made, which leaves every record to be looked at.
static NAMES: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(CALLS).ok());
/// The service that trails belong to.
const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

#[async_trait]
impl LoggingEventReader for TrailCalls {
    fn read(&self, object: &ObjectRef, content: &ProvenContent) -> io::Result<Vec<LoggingEvent>> {
        if !CallSearch::of_trail_calls().finds_in(content)? {
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

/// Returns false if these bytes hold no such call.
fn may_hold(bytes: &[u8]) -> bool {
    NAMES.as_ref().is_none_or(|names| names.is_match(bytes)) || has_escaped_letters(bytes, true)
}

/// The number of bytes of a piece that are looked at again with the next one: a name or an escape may stand
/// in both, and none is longer.
const OVERLAP: usize = 64;

/// A search for the names of calls in bytes that come piece by piece.
#[derive(Debug)]
pub(crate) struct CallSearch {
    /// The searches for names; `None` for one that could not be made, which finds something everywhere.
    names: Vec<Option<AhoCorasick>>,
    has_found: bool,
    /// The last bytes of the pieces so far.
    end: Vec<u8>,
}

impl CallSearch {
    /// Creates a search for the calls that start and stop the logging of trails.
    pub(crate) fn of_trail_calls() -> Self {
        Self::of(NAMES.clone())
    }

    /// Creates a search for these names.
    pub(super) fn of(names: Option<AhoCorasick>) -> Self {
        Self { names: vec![names], has_found: false, end: Vec::new() }
    }

    /// Returns whether a content may have a call of these names.
    pub(super) fn finds_in(mut self, content: &ProvenContent) -> io::Result<bool> {
        let mut reader = content.reader();
        while !self.has_found {
            let piece = reader.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            self.take(piece);
            let length = piece.len();
            reader.consume(length);
        }
        Ok(self.has_found)
    }

    /// Searches for other names, too.
    pub(super) fn and(mut self, names: Option<AhoCorasick>) -> Self {
        self.names.push(names);
        self
    }

    /// Returns false if these bytes hold none of the names. An escape that their end cuts is not looked at: it
    /// stands whole where the pieces overlap.
    fn may_match(&self, bytes: &[u8]) -> bool {
        let is_match = |names: &Option<AhoCorasick>| names.as_ref().is_none_or(|names| names.is_match(bytes));
        self.names.iter().any(is_match) || has_escaped_letters(bytes, false)
    }
}

impl ContentSearch for CallSearch {
    fn take(&mut self, bytes: &[u8]) {
        if self.has_found {
            return;
        }
        let ends = self.end.len();
        self.end.extend_from_slice(&bytes[..bytes.len().min(OVERLAP)]);
        self.has_found = self.may_match(bytes) || (ends > 0 && self.may_match(&self.end));
        if bytes.len() >= OVERLAP {
            self.end.clear();
            self.end.extend_from_slice(&bytes[bytes.len() - OVERLAP..]);
        } else {
            let whole = self.end.len();
            self.end.drain(..whole.saturating_sub(OVERLAP));
        }
    }

    fn has_found(&self) -> bool {
        self.has_found
    }
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
    use crate::events::tampering::{RULES, TamperingFinder};

    fn effect(name: &str, parameters: &str, rest: &str) -> Option<LoggingEffect> {
        let record = format!(
            r#"{{"eventSource":"{CLOUDTRAIL}","eventName":"{name}","awsRegion":"us-east-1",
            "eventTime":"2026-03-01T00:00:00Z","requestParameters":{{"name":"t"{parameters}}}{rest}}}"#
        );
        logging_event(&Event::parse(&record).unwrap(), None).map(|event| event.effect)
    }

    /// Returns whether a search finds something in a text that comes in pieces of this length.
    fn finds(text: &str, piece: usize) -> bool {
        let mut search = CallSearch::of_trail_calls().and(TamperingFinder::new(Default::default()).calls());
        for bytes in text.as_bytes().chunks(piece) {
            search.take(bytes);
        }
        search.has_found()
    }

    #[test]
    fn a_call_is_found_wherever_the_pieces_are_cut() {
        let fill = "x".repeat(100);
        let of_rules = RULES.iter().flat_map(|rule| rule.calls).copied();
        let calls: Vec<&str> = CALLS.into_iter().chain(of_rules).collect();
        assert!(calls.iter().all(|call| call.len() < OVERLAP));
        for piece in 1..150 {
            for call in &calls {
                assert!(finds(&format!("{fill}{call}{fill}"), piece), "{call} {piece}");
            }
            assert!(finds(&format!("{fill}\\u0053topLogging{fill}"), piece), "{piece}");
            assert!(!finds(&format!("{fill}DescribeTrails{fill}"), piece), "{piece}");
            assert!(!finds(&format!("StopLog{fill}ging"), piece), "{piece}");
            assert!(!finds(&format!("{fill}a\\u003db{fill}\\u0026{fill}"), piece), "{piece}");
        }
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
