//! Events that weaken logging or the protection of the logs.

mod condition;
mod rules;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::event::{Event, readable};
use super::log_file::{Form, each_record_kept};
use super::text_search::{TextSearch, Texts, has_escaped_letters};
use crate::audit::{ContentExaminer, ContentSearch, ProvenContent};
use crate::debug::opaque_debug;
use crate::model::{ObjectRef, TamperingOutcome, WarningCode};
use crate::records::{EventReference, EventSummary, LogFileRecord, Record, TamperingRecord, WarningRecord};

pub use condition::TrailResources;
use condition::{Met, rules_met};
pub use rules::{RULES, TamperingRule};

/// Finds the events of proven log files that meet a rule of tampering.
pub struct TamperingFinder {
    resources: TrailResources,
    /// A search for the names of the calls.
    calls: Option<Texts>,
}

opaque_debug!(TamperingFinder);

impl TamperingFinder {
    /// Creates a finder of events about a trail that relies on these resources. Calls about trails count
    /// whatever trail they are about.
    pub fn new(resources: TrailResources) -> Self {
        let calls: BTreeSet<&str> = RULES.iter().flat_map(|rule| rule.calls).copied().collect();
        Self { resources, calls: Texts::new(calls) }
    }

    /// The search for the names of the calls; `None` if it could not be made.
    pub(super) fn calls(&self) -> Option<Texts> {
        self.calls.clone()
    }

    /// Returns false if no event in these bytes meets a rule.
    pub(super) fn may_match(&self, bytes: &[u8]) -> bool {
        self.calls.as_ref().is_none_or(|calls| calls.stand_in(bytes)) || has_escaped_letters(bytes, true)
    }

    /// Returns the names of the rules that an event meets.
    pub(super) fn rules_met(&self, event: &Event<'_>) -> Vec<&'static str> {
        rules_met(event, &self.resources).map(|(rule, _)| rule.name).collect()
    }
}

impl ContentExaminer for TamperingFinder {
    fn examine(&self, file: &LogFileRecord, content: &ProvenContent) -> io::Result<Vec<Record>> {
        // Not every content that comes here was searched for these names alone, and the warning about its form is
        // not to depend on that.
        if !TextSearch::any_of(vec![self.calls()]).finds_in(content)? {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let form = each_record_kept(content, |index, record| {
            if self.may_match(record.as_bytes()) {
                let text = readable(record);
                let event = Event::parse(&text).unwrap_or_default();
                for (rule, met) in rules_met(&event, &self.resources) {
                    found.push(Record::Tampering(record_of(file, index, &event, rule, met)));
                }
            }
            Ok(())
        })?;
        if let Form::Other(reason) = form {
            // Events behind the place that can't be read are not known.
            found.push(Record::Warning(not_all(&file.object, &reason)));
        }
        Ok(found)
    }

    fn search(&self) -> Option<Box<dyn ContentSearch>> {
        Some(Box::new(TextSearch::any_of(vec![self.calls()])))
    }
}

/// The warning about a log file of which not all events were looked at.
pub(crate) fn not_all(object: &ObjectRef, reason: &str) -> WarningRecord {
    WarningRecord {
        code: WarningCode::EventsUnreadable,
        bucket: Some(object.bucket.clone()),
        key: Some(object.key.clone()),
        detail: format!("not all events of this intact log file could be looked at for tampering: {reason}"),
    }
}

fn record_of(file: &LogFileRecord, index: u64, event: &Event<'_>, rule: &TamperingRule, met: Met) -> TamperingRecord {
    let error = event.text("errorCode").or_else(|| event.text("errorMessage"));
    let has_failed = has_failed(event);
    let summary = summary(event);
    let of = met.subject.as_deref().map(|subject| format!(" of {subject}")).unwrap_or_default();
    let by = summary.arn.as_deref().map(|arn| format!(" by {arn}")).unwrap_or_default();
    let from = summary.source_ip.as_deref().map(|address| format!(" from {address}")).unwrap_or_default();
    let failed = match &error {
        Some(error) => format!(", which failed ({error})"),
        None if has_failed => ", which failed".to_owned(),
        None => String::new(),
    };
    let cut = if met.is_cut { "; the record leaves out its parameters, which decide whether it does" } else { "" };
    TamperingRecord {
        id: None,
        rule: met.rule.to_owned(),
        outcome: if has_failed { TamperingOutcome::Attempted } else { TamperingOutcome::Succeeded },
        chain: Arc::clone(&file.chain),
        index,
        error_code: error.map(std::borrow::Cow::into_owned),
        subject: met.subject,
        attack: rule.attack.iter().map(|&technique| technique.to_owned()).collect(),
        detail: format!("{}{of}{by}{from}{failed}: the call {}{cut}", summary.event_name, rule.why),
        event: EventReference::new(summary, &file.object),
    }
}

/// Returns whether a call failed: its record has an error, or its answer names what it did not do.
pub(super) fn has_failed(event: &Event<'_>) -> bool {
    let response = event.object("responseElements");
    let left =
        |response: &Event<'_>| response.raw("unsuccessful").is_some_and(|left| !matches!(left, "\"\"" | "{}" | "[]"));
    let nested = || event.object("responseElements").object("DeleteFlowLogsResponse");
    event.raw("errorCode").is_some() || event.raw("errorMessage").is_some() || left(&response) || left(&nested())
}

/// Returns the facts about an event that reports name.
pub(super) fn summary(event: &Event<'_>) -> EventSummary {
    let text = |value: Option<std::borrow::Cow<'_, str>>| value.map(std::borrow::Cow::into_owned);
    EventSummary {
        event_id: text(event.id()),
        event_time: event.time().map(|time| time.start),
        event_name: text(event.text("eventName")).unwrap_or_default(),
        arn: text(event.actor()),
        source_ip: text(event.text("sourceIPAddress")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    /// A line of the fixtures: an event that meets a rule and no other one, and a similar event that meets
    /// none.
    #[derive(Deserialize)]
    struct Fixture<'a> {
        rule: &'a str,
        #[serde(borrow)]
        event: &'a RawValue,
        #[serde(borrow, default)]
        not: Option<&'a RawValue>,
    }

    fn resources() -> TrailResources {
        let key = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555";
        TrailResources { buckets: BTreeSet::from(["logs".to_owned()]), keys: BTreeSet::from([key.to_owned()]) }
    }

    fn met(record: &str) -> Vec<Met> {
        let event = Event::parse(record).unwrap();
        rules_met(&event, &resources()).map(|(_, met)| met).collect()
    }

    fn names(record: &str) -> Vec<&'static str> {
        met(record).into_iter().map(|met| met.rule).collect()
    }

    #[test]
    fn every_rule_has_its_event_and_no_other() {
        let lines = include_str!("fixtures.jsonl");
        let fixtures: Vec<Fixture<'_>> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for Fixture { rule, event, not } in &fixtures {
            assert_eq!(names(event.get()), [*rule], "{}", event.get());
            let other = not.map(|not| names(not.get())).unwrap_or_default();
            assert!(other.is_empty(), "{rule}: {other:?}");
        }
        let of_fixtures: BTreeSet<&str> = fixtures.iter().map(|fixture| fixture.rule).collect();
        let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(of_fixtures, rules);
        assert_eq!(rules.len(), RULES.len(), "names are unique");
        assert!(RULES.iter().all(|rule| !rule.attack.is_empty() && !rule.calls.is_empty()));
    }

    #[test]
    fn the_calls_of_another_service_are_no_tampering() {
        assert_eq!(names(r#"{"eventSource":"x.amazonaws.com","eventName":"StopLogging"}"#), [""; 0]);
        assert_eq!(names(r#"{"eventName":"StopLogging"}"#), [""; 0]);
        assert_eq!(names("{}"), [""; 0]);
    }

    #[test]
    fn one_call_may_meet_several_rules() {
        let record = r#"{"eventSource":"cloudtrail.amazonaws.com","eventName":"UpdateTrail","requestParameters":
            {"name":"t","isMultiRegionTrail":false,"enableLogFileValidation":false}}"#;
        assert_eq!(names(record), ["validation_off", "multi_region_off"]);
    }

    /// CloudTrail leaves out parameters that would make a record too large, and says so.
    #[test]
    fn parameters_that_were_left_out_do_not_hide_a_call() {
        let omitted = r#""requestParameters":{"omitted":true,"originalSize":102401,"reason":"too large"}"#;
        let of = |source: &str, name: &str, rest: &str| {
            met(&format!(r#"{{"eventSource":"{source}","eventName":"{name}",{omitted}{rest}}}"#))
        };
        let found = of("cloudtrail.amazonaws.com", "PutEventSelectors", "");
        assert_eq!(
            found.iter().map(|met| met.rule).collect::<Vec<_>>(),
            ["management_events_off", "management_events_excluded"]
        );
        assert!(found.iter().all(|met| met.is_cut));
        let policy = |rest: &str| of("s3.amazonaws.com", "PutBucketPolicy", rest);
        let named = policy(r#","resources":[{"ARN":"arn:aws:s3:::logs","type":"AWS::S3::Bucket"}]"#);
        assert_eq!(named[0].subject.as_deref(), Some("logs"));
        assert_eq!(policy(r#","resources":[{"ARN":"arn:aws:s3:::another"}]"#), []);
        assert_eq!((policy("").len(), &policy("")[0].subject), (1, &None));
        let key = |rest: &str| of("kms.amazonaws.com", "PutKeyPolicy", rest).len();
        assert_eq!((key(""), key(r#","resources":[{"ARN":"arn:aws:kms:us-east-1:111122223333:key/9"}]"#)), (1, 0));
    }

    #[test]
    fn without_a_known_key_calls_about_keys_are_not_judged() {
        let record =
            r#"{"eventSource":"kms.amazonaws.com","eventName":"DisableKey","requestParameters":{"keyId":"k"}}"#;
        let event = Event::parse(record).unwrap();
        assert_eq!(rules_met(&event, &TrailResources::default()).count(), 0);
    }
}
