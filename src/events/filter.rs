//! Conditions by which events are selected.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::value::RawValue;
use wildmatch::WildMatch;

use super::event::{Event, decoded};
use super::output::Proof;

/// The part of an event that a text condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TextField {
    /// `eventID`.
    EventId,
    /// `eventName`.
    EventName,
    /// `eventSource`.
    EventSource,
    /// The user's name, the role's, the name of the role's session, or `root`.
    UserName,
    /// `userIdentity.accessKeyId`.
    AccessKeyId,
    /// A resource's ARN, the last part of it, or a text anywhere in `requestParameters` or
    /// `responseElements`.
    ResourceName,
    /// The type of a resource.
    ResourceType,
    /// The ARN of the identity, or of the role behind it.
    Arn,
    /// `errorCode`.
    ErrorCode,
    /// `awsRegion`.
    EventRegion,
    /// `recipientAccountId`, or the account of the log file where the event names none.
    EventAccount,
    /// `eventCategory`, in any case.
    Category,
}

/// A text in which `*` stands for any characters, and `?` for one.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    glob: Option<WildMatch>,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        let glob = text.contains(['*', '?']).then(|| WildMatch::new(text));
        Self { text: text.to_owned(), glob }
    }

    /// Returns whether a text has this form.
    pub fn matches(&self, text: &str) -> bool {
        self.glob.as_ref().map_or_else(|| self.text == text, |glob| glob.matches(text))
    }

    /// The parts of the pattern that every text of this form contains.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.text.split(['*', '?'])
    }
}

/// A source of calls: a network or an address, or the name of an AWS service.
#[derive(Debug, Clone)]
pub enum AddressPattern {
    /// A network.
    Network(IpNet),
    /// A name such as `cloudformation.amazonaws.com` or `AWS Internal`.
    Name(Pattern),
}

impl FromStr for AddressPattern {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        if text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/')) || text.contains('/') {
            return Err(FilterError::Address(text.to_owned()));
        }
        Ok(Self::Name(Pattern::new(text)))
    }
}

/// The reason why a condition can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It looks like an address and is none.
    #[error(
        "'{0}' is neither an address nor a network: write 198.51.100.7, 198.51.100.0/24, 2001:db8::/32, or the name \
         of an AWS service"
    )]
    Address(String),
}

impl AddressPattern {
    fn matches(&self, source: &str) -> bool {
        match self {
            Self::Network(network) => source.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
            Self::Name(name) => name.matches(source),
        }
    }
}

/// Conditions that an event has to meet, all of them. An event without the field that a condition is
/// about does not meet it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EventFilter {
    /// For each field, patterns of which one has to match.
    pub texts: Vec<(TextField, Vec<Pattern>)>,
    /// The sources of the call, of which one has to match; none permits all.
    pub addresses: Vec<AddressPattern>,
    /// True for calls that only read, false for those that change something.
    pub read_only: Option<bool>,
    /// The earliest time of the event.
    pub after: Option<Timestamp>,
    /// The time before which the event has to be.
    pub before: Option<Timestamp>,
}

impl EventFilter {
    /// Adds a condition on a field, if it has patterns.
    #[must_use]
    pub fn with(mut self, field: TextField, patterns: Vec<Pattern>) -> Self {
        let patterns: Vec<Pattern> = match field {
            TextField::Category => patterns.iter().map(|pattern| Pattern::new(&pattern.text.to_lowercase())).collect(),
            _ => patterns,
        };
        if !patterns.is_empty() {
            self.texts.push((field, patterns));
        }
        self
    }

    /// True if every event meets it.
    pub fn is_empty(&self) -> bool {
        let Self { texts, addresses, read_only, after, before } = self;
        texts.is_empty() && addresses.is_empty() && read_only.is_none() && after.is_none() && before.is_none()
    }

    /// Returns whether an event meets all conditions.
    pub fn matches(&self, event: &Event<'_>, proof: &Proof<'_>) -> bool {
        self.is_in_time(event)
            && self.read_only.is_none_or(|wanted| event.text("readOnly").is_some_and(|is| *is == *wanted.to_string()))
            && self.is_from_address(event)
            && self.texts.iter().all(|(field, patterns)| {
                field.any_value(event, proof, &mut |value| patterns.iter().any(|pattern| pattern.matches(value)))
            })
    }

    /// The time of an aggregated event is a window, of which a part has to be in the range.
    fn is_in_time(&self, event: &Event<'_>) -> bool {
        if self.after.is_none() && self.before.is_none() {
            return true;
        }
        let Some(time) = event.time() else { return false };
        // The end of a window is exclusive.
        let last = |after| if time.end > time.start { time.end > after } else { time.end >= after };
        self.after.is_none_or(last) && self.before.is_none_or(|before| time.start < before)
    }

    fn is_from_address(&self, event: &Event<'_>) -> bool {
        let source = || event.text("sourceIPAddress");
        self.addresses.is_empty()
            || source().is_some_and(|source| self.addresses.iter().any(|address| address.matches(&source)))
    }
}

impl TextField {
    /// Returns whether `matches` is true for one of the values that an event has of this field.
    fn any_value(self, event: &Event<'_>, proof: &Proof<'_>, matches: &mut dyn FnMut(&str) -> bool) -> bool {
        let identity = || event.object("userIdentity");
        match self {
            Self::EventId => event.id().is_some_and(|id| matches(&id)),
            Self::EventName => event.text("eventName").is_some_and(|name| matches(&name)),
            Self::EventSource => event.text("eventSource").is_some_and(|source| matches(&source)),
            Self::ErrorCode => event.text("errorCode").is_some_and(|code| matches(&code)),
            Self::EventRegion => event.text("awsRegion").is_some_and(|region| matches(&region)),
            Self::AccessKeyId => identity().text("accessKeyId").is_some_and(|key| matches(&key)),
            Self::EventAccount => matches(&event.account().unwrap_or(proof.account.into())),
            Self::UserName => event.user_names().iter().any(|name| matches(name)),
            Self::Category => event.category().is_some_and(|category| matches(&category.to_lowercase())),
            Self::Arn => {
                let issuer = || identity().object("sessionContext").object("sessionIssuer").text("arn");
                identity().text("arn").is_some_and(|arn| matches(&arn)) || issuer().is_some_and(|arn| matches(&arn))
            }
            Self::ResourceType => event.objects("resources").iter().any(|resource| {
                // Older records and Lake spell it in other ways.
                let kind = resource.text("type").or_else(|| resource.text("resourceType"));
                kind.is_some_and(|kind| matches(&kind))
            }),
            Self::ResourceName => {
                let by_arn = event.objects("resources").iter().any(|resource| {
                    let arn = resource.text("ARN").or_else(|| resource.text("arn"));
                    arn.is_some_and(|arn| matches(&arn) || matches(last_part(&arn)))
                });
                by_arn
                    || ["requestParameters", "responseElements"]
                        .iter()
                        .filter_map(|field| event.raw(field))
                        .any(|value| any_text(value, matches))
            }
        }
    }
}

/// Returns the name at the end of an ARN.
fn last_part(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or(arn)
}

/// Returns whether `matches` is true for one of the strings in a JSON value. Not by recursion: a value may
/// be nested to any depth.
fn any_text(value: &str, matches: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut values = vec![value];
    while let Some(value) = values.pop() {
        match value.as_bytes().first() {
            Some(b'"') if matches(&decoded(value)) => return true,
            Some(b'{') => values.extend(Event::parse(value).unwrap_or_default().values()),
            Some(b'[') => {
                let elements = serde_json::from_str::<Vec<&RawValue>>(value).unwrap_or_default();
                values.extend(elements.iter().map(|element| element.get()));
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"eventID":"e-1","eventTime":"2026-03-01T10:00:00Z","eventSource":"s3.amazonaws.com",
        "eventName":"PutBucketPolicy","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.7","errorCode":"AccessDenied",
        "userIdentity":{"type":"AssumedRole","principalId":"AROA:alice","arn":"arn:aws:sts::1:assumed-role/ops/alice",
        "accessKeyId":"ASIAX","sessionContext":{"sessionIssuer":{"userName":"ops","arn":"arn:aws:iam::1:role/ops"}}},
        "requestParameters":{"bucketName":"logs","items":[{"name":"in\u0064ex"}]},"readOnly":false,
        "resources":[{"ARN":"arn:aws:s3:::logs-2","type":"AWS::S3::Bucket"}],"eventCategory":"Management"}"#;

    fn matches(filter: &EventFilter, record: &str) -> bool {
        filter.matches(&Event::parse(record).unwrap(), &Proof::example())
    }

    #[test]
    fn each_field_has_its_values() {
        use TextField::{
            AccessKeyId, Arn, Category, ErrorCode, EventAccount, EventId, EventName, EventRegion, EventSource,
            ResourceName, ResourceType, UserName,
        };
        for (field, yes, no) in [
            (EventId, vec!["e-1", "e*"], vec!["e"]),
            (EventName, vec!["PutBucketPolicy", "Put*Policy", "?utBucketPolicy"], vec!["putbucketpolicy", "Put"]),
            (EventSource, vec!["s3.*"], vec!["s3"]),
            (UserName, vec!["alice", "ops"], vec!["AROA", "root"]),
            (AccessKeyId, vec!["ASIAX"], vec!["ASIA"]),
            (ResourceName, vec!["logs", "index", "logs-2", "arn:aws:s3:::logs-2"], vec!["bucketName", "log"]),
            (ResourceType, vec!["AWS::S3::Bucket", "AWS::S3::*"], vec!["Bucket"]),
            (Arn, vec!["arn:aws:iam::1:role/ops", "*/ops/alice"], vec!["ops"]),
            (ErrorCode, vec!["AccessDenied", "*"], vec!["Throttling"]),
            (EventRegion, vec!["eu-*"], vec!["us-east-1"]),
            (EventAccount, vec!["111122223333"], vec!["1"]),
            (Category, vec!["Management", "management", "MAN*"], vec!["Data"]),
        ] {
            let with = |text: &str| EventFilter::default().with(field, vec![Pattern::new("-"), Pattern::new(text)]);
            assert!(yes.iter().all(|text| matches(&with(text), RECORD)), "{field:?} {yes:?}");
            assert!(!no.iter().any(|text| matches(&with(text), RECORD)), "{field:?} {no:?}");
            assert_eq!(matches(&with("*"), "{}"), field == EventAccount, "{field:?} of a record without fields");
        }
    }

    #[test]
    fn several_conditions_all_hold() {
        let both = |name: &str, region: &str| {
            EventFilter::default()
                .with(TextField::EventName, vec![Pattern::new(name)])
                .with(TextField::EventRegion, vec![Pattern::new(region)])
        };
        assert!(matches(&both("PutBucketPolicy", "eu-west-1"), RECORD));
        assert!(!matches(&both("PutBucketPolicy", "us-east-1"), RECORD));
        assert!(!matches(&both("GetBucketPolicy", "eu-west-1"), RECORD));
    }

    #[test]
    fn sources_are_networks_addresses_or_names() {
        let from = |text: &str| EventFilter { addresses: vec![text.parse().unwrap()], ..EventFilter::default() };
        for text in ["198.51.100.0/24", "198.51.100.7", "0.0.0.0/0"] {
            assert!(matches(&from(text), RECORD), "{text}");
        }
        for text in ["198.51.101.0/24", "::/0", "2001:db8::1", "cloudtrail.amazonaws.com"] {
            assert!(!matches(&from(text), RECORD), "{text}");
        }
        assert!(matches(&from("AWS Internal"), r#"{"sourceIPAddress":"AWS Internal"}"#));
        assert!(matches(&from("*.amazonaws.com"), r#"{"sourceIPAddress":"ec2.amazonaws.com"}"#));
        for text in ["198.51.100", "198.51.100.0/33", "10.0.0.0/8/9", ":::", "fe80"] {
            assert!(matches!(text.parse::<AddressPattern>(), Err(FilterError::Address(_))), "{text}");
        }
    }

    #[test]
    fn times_are_a_range_without_its_end() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let range = |after, before| EventFilter { after, before, ..EventFilter::default() };
        assert!(matches(&range(at("2026-03-01T10:00:00Z"), None), RECORD));
        assert!(!matches(&range(at("2026-03-01T10:00:01Z"), None), RECORD));
        assert!(!matches(&range(None, at("2026-03-01T10:00:00Z")), RECORD));
        assert!(matches(&range(None, at("2026-03-01T10:00:01Z")), RECORD));
        let window = r#"{"timeWindow":{"windowStart":"2026-03-01T10:00:00Z","windowEnd":"2026-03-01T10:05:00Z"}}"#;
        assert!(matches(&range(at("2026-03-01T10:04:59Z"), None), window));
        assert!(!matches(&range(at("2026-03-01T10:05:00Z"), None), window));
        assert!(!matches(&range(at("2026-03-01T10:00:00Z"), None), "{}"));
    }

    #[test]
    fn reading_only_is_a_boolean_or_its_text() {
        let only = |wanted| EventFilter { read_only: Some(wanted), ..EventFilter::default() };
        assert!(matches(&only(false), RECORD) && !matches(&only(true), RECORD));
        assert!(matches(&only(true), r#"{"readOnly":"true"}"#) && !matches(&only(false), "{}"));
    }
}
