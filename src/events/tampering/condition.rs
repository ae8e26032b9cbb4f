//! The test of an event against the rules of tampering.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::rules::{RULES, Subject, TamperingRule, Test};
use crate::events::event::{Event, decoded};

/// The places that a trail relies on: calls about other buckets and keys are no tampering with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrailResources {
    /// The buckets that it delivers to.
    pub buckets: BTreeSet<String>,
    /// The ARNs of the KMS keys that it uses. Without any, calls about keys are not judged.
    pub keys: BTreeSet<String>,
}

/// A rule that an event meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Met {
    pub rule: &'static str,
    /// The resource that the call was about, if the record names it.
    pub subject: Option<String>,
    /// True if the record leaves out the parameters that decide.
    pub is_cut: bool,
}

/// Returns the rules that an event meets, in their order.
pub(super) fn rules_met<'r>(
    event: &'r Event<'_>,
    resources: &'r TrailResources,
) -> impl Iterator<Item = (&'static TamperingRule, Met)> + 'r {
    let (source, name) = (event.text("eventSource"), event.text("eventName"));
    let candidates = RULES.iter().filter(move |rule| {
        source.as_deref() == Some(rule.source) && name.as_deref().is_some_and(|name| rule.calls.contains(&name))
    });
    candidates.filter_map(|rule| meets(rule, event, resources).map(|met| (rule, met)))
}

fn meets(rule: &'static TamperingRule, event: &Event<'_>, resources: &TrailResources) -> Option<Met> {
    let request = event.object("requestParameters");
    // CloudTrail leaves out parameters that would make a record too large.
    let is_omitted = request.raw("omitted").is_some();
    let decides = rule.tests.iter().any(|test| *test != Test::Always);
    let is_cut = is_omitted && (decides || !matches!(rule.subject, Subject::Named(_)));
    if !is_omitted && !rule.tests.iter().any(|test| holds(*test, &request)) {
        return None;
    }
    let arns = || event.objects("resources").into_iter().filter_map(|resource| resource.text("ARN"));
    let subject = match rule.subject {
        Subject::Named(paths) => paths.iter().find_map(|path| at(&request, path)).map(Cow::into_owned),
        Subject::TrailBucket | Subject::TrailObjects => {
            let key = at(&request, "key").map(Cow::into_owned);
            if rule.subject == Subject::TrailObjects && key.as_deref().is_some_and(|key| !is_of_trail(key)) {
                return None;
            }
            // An access point has an ARN or an alias in place of the bucket's name.
            let named = at(&request, "bucketName").map(Cow::into_owned);
            let buckets: Vec<String> = named.into_iter().chain(arns().filter_map(|arn| bucket_of(&arn))).collect();
            match buckets.iter().find(|bucket| resources.buckets.contains(*bucket)) {
                Some(bucket) => {
                    let key = key.filter(|_| rule.subject == Subject::TrailObjects);
                    Some(key.map_or_else(|| bucket.clone(), |key| format!("s3://{bucket}/{key}")))
                }
                None if is_omitted && buckets.is_empty() => None,
                None => return None,
            }
        }
        Subject::TrailKey => {
            let is_key = |name: &str| {
                let id = |arn: &str| arn.rsplit('/').next().is_some_and(|id| id == name);
                resources.keys.iter().any(|arn| arn == name || id(arn))
            };
            let named = at(&request, "keyId").map(Cow::into_owned).into_iter();
            let named = named.chain(arns().map(Cow::into_owned)).find(|name| is_key(name));
            match named {
                Some(key) => Some(key),
                None if is_omitted && !resources.keys.is_empty() && arns().next().is_none() => None,
                None => return None,
            }
        }
    };
    Some(Met { rule: rule.name, subject, is_cut })
}

/// Returns whether an object's key may be that of a log file or digest.
fn is_of_trail(key: &str) -> bool {
    key.split_once("AWSLogs/").is_some_and(|(_, rest)| rest.contains("/CloudTrail"))
}

/// The bucket of an ARN, be it that of the bucket or of an object.
fn bucket_of(arn: &str) -> Option<String> {
    let (_, resource) = arn.split_once(":s3:::")?;
    resource.split('/').next().filter(|bucket| !bucket.is_empty()).map(ToOwned::to_owned)
}

/// Returns a parameter as text, by its path. Names count in any case: services differ.
fn at<'a>(request: &Event<'a>, path: &str) -> Option<Cow<'a, str>> {
    raw_at(request, path).map(decoded)
}

fn raw_at<'a>(request: &Event<'a>, path: &str) -> Option<&'a str> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = request.raw_of_any_case(first)?;
    match rest {
        None => Some(value),
        Some(rest) => raw_at(&Event::parse(value).ok()?, rest),
    }
}

fn holds(test: Test, request: &Event<'_>) -> bool {
    match test {
        Test::Always => true,
        Test::Is(path, value) => at(request, path).is_some_and(|given| given.eq_ignore_ascii_case(value)),
        Test::Given(path) => raw_at(request, path).is_some(),
        Test::NotGiven(path) => raw_at(request, path).is_none(),
        Test::Empty(path) => raw_at(request, path).is_some_and(|list| elements(list).is_some_and(|all| all.is_empty())),
        Test::NoManagementEvents => logged_by_selectors(request) == Some(Logged::default()),
        Test::PartOfManagementEvents => logged_by_selectors(request)
            .is_some_and(|logged| logged != Logged::default() && !(logged.reads && logged.writes)),
    }
}

/// The management events that selectors log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Logged {
    /// All calls that read.
    reads: bool,
    /// All calls that change something.
    writes: bool,
    /// Some of them.
    some: bool,
}

/// Returns the management events that the event selectors of a request log, all together; `None` if it has
/// none that can be read.
fn logged_by_selectors(request: &Event<'_>) -> Option<Logged> {
    let list = |name| raw_at(request, name).and_then(objects).filter(|list| !list.is_empty());
    let each: Vec<Logged> = match list("advancedEventSelectors") {
        Some(selectors) => selectors.iter().map(advanced).collect(),
        None => list("eventSelectors")?.iter().map(basic).collect(),
    };
    each.into_iter().reduce(|one, other| Logged {
        reads: one.reads || other.reads,
        writes: one.writes || other.writes,
        some: one.some || other.some,
    })
}

/// A basic selector: management events are logged unless it says otherwise.
fn basic(selector: &Event<'_>) -> Logged {
    let is = |name: &str, value: &str| at(selector, name).is_some_and(|given| given.eq_ignore_ascii_case(value));
    let excludes = raw_at(selector, "excludeManagementEventSources").and_then(elements);
    if is("includeManagementEvents", "false") || is("readWriteType", "None") {
        Logged::default()
    } else if excludes.is_some_and(|sources| !sources.is_empty()) {
        Logged { some: true, ..Logged::default() }
    } else {
        Logged { reads: !is("readWriteType", "WriteOnly"), writes: !is("readWriteType", "ReadOnly"), some: false }
    }
}

/// An advanced selector: it logs the category that its fields ask for, limited by its other fields.
fn advanced(selector: &Event<'_>) -> Logged {
    let fields = raw_at(selector, "fieldSelectors").and_then(objects).unwrap_or_default();
    let names = |field: &Event<'_>, name: &str| at(field, "field").is_some_and(|given| given == name);
    let equals = |field: &Event<'_>, value: &str| {
        let values = raw_at(field, "equals").and_then(elements).unwrap_or_default();
        values.iter().any(|given| decoded(given.get()) == value)
    };
    if !fields.iter().any(|field| names(field, "eventCategory") && equals(field, "Management")) {
        return Logged::default();
    }
    let mut limits = fields.iter().filter(|field| !names(field, "eventCategory"));
    match (limits.next(), limits.next()) {
        (None, _) => Logged { reads: true, writes: true, some: false },
        (Some(limit), None) if names(limit, "readOnly") => {
            Logged { reads: equals(limit, "true"), writes: equals(limit, "false"), some: false }
        }
        _ => Logged { some: true, ..Logged::default() },
    }
}

fn elements(list: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(list).ok()
}

fn objects(list: &str) -> Option<Vec<Event<'_>>> {
    elements(list)?.into_iter().map(|element| Event::parse(element.get()).ok()).collect()
}
