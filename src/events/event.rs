//! One event as its record has it: fields are found in the record's bytes, and decoded when they are
//! asked for.

use std::borrow::Cow;
#[cfg(feature = "parquet")]
use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use memchr::memchr;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of a JSON object, as they stand in its text.
#[derive(Debug, Clone, Default)]
pub struct Event<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// The time of an event: a moment, or the window of an aggregated one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    /// The moment, or the begin of the window.
    pub start: Timestamp,
    /// The same moment, or the end of the window.
    pub end: Timestamp,
}

impl<'a> Event<'a> {
    /// Reads the fields of a record.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a JSON object.
    pub fn parse(record: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(record)
    }

    /// Returns the text of a field. Of fields that are there twice, the last counts, as in jq. Null is
    /// no value.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let field = self.fields.iter().rev().find(|(field, _)| field == name);
        field.map(|(_, value)| value.get()).filter(|value| *value != "null")
    }

    /// Returns the text of a field, whose name may stand there in upper and lower case.
    pub(super) fn raw_of_any_case(&self, name: &str) -> Option<&'a str> {
        let field = self.fields.iter().rev().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.get()).filter(|value| *value != "null")
    }

    /// Returns each field once, with its text. Null is no value.
    #[cfg(feature = "parquet")]
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Option<&'a str>)> {
        let names = self.fields.iter().enumerate().map(|(index, (name, _))| (&**name, index));
        let last: HashMap<&str, usize> = names.collect();
        let fields = self.fields.iter().enumerate().filter(move |(index, (name, _))| last[&**name] == *index);
        fields.map(|(_, (name, value))| (&**name, Some(value.get()).filter(|value| *value != "null")))
    }

    /// Returns the names of all fields, each as often as it stands there.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| &**name)
    }

    /// Returns the text of each field of this name.
    pub(super) fn all(&self, name: &str) -> Vec<&'a str> {
        self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.get()).collect()
    }

    /// Returns the texts of all fields.
    pub(super) fn values(&self) -> impl Iterator<Item = &'a str> {
        self.fields.iter().map(|(_, value)| value.get())
    }

    /// Returns a field as text: a string's content, and the JSON text of any other value.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name).map(decoded)
    }

    /// Returns the fields of a field; without any if it is not an object.
    pub fn object(&self, name: &str) -> Self {
        self.raw(name).and_then(|value| Self::parse(value).ok()).unwrap_or_default()
    }

    /// Returns the elements of a field that is an array of objects.
    pub fn objects(&self, name: &str) -> Vec<Self> {
        let elements = self.raw(name).and_then(|value| serde_json::from_str::<Vec<&RawValue>>(value).ok());
        elements.into_iter().flatten().filter_map(|element| Self::parse(element.get()).ok()).collect()
    }

    /// Returns a field of nested objects as text, by its path, such as `userIdentity.arn`.
    pub fn at(&self, path: &str) -> Option<Cow<'a, str>> {
        match path.split_once('.') {
            None => self.text(path),
            Some((first, rest)) => self.object(first).at(rest),
        }
    }

    /// Returns the identifier: `eventID`, or `eventId` of an aggregated event.
    pub fn id(&self) -> Option<Cow<'a, str>> {
        self.text("eventID").or_else(|| self.text("eventId"))
    }

    /// Returns the time: `eventTime`, or the `timeWindow` of an aggregated event.
    pub fn time(&self) -> Option<EventTime> {
        let moment = |text: Cow<'_, str>| text.parse::<Timestamp>().ok();
        if let Some(time) = self.text("eventTime") {
            return moment(time).map(|at| EventTime { start: at, end: at });
        }
        let window = self.object("timeWindow");
        let start = window.text("windowStart").and_then(moment)?;
        let end = window.text("windowEnd").and_then(moment).unwrap_or(start);
        Some(EventTime { start, end })
    }

    /// Returns the text of the time: that of [`Self::time`], as it stands in the record.
    pub fn time_text(&self) -> Option<Cow<'a, str>> {
        self.text("eventTime").or_else(|| self.object("timeWindow").text("windowStart"))
    }

    /// Returns the account of the event, as the record tells it: the one that received it.
    pub fn account(&self) -> Option<Cow<'a, str>> {
        self.text("recipientAccountId").or_else(|| self.text("accountId"))
    }

    /// Returns the category. Records before version 1.08 have none, and those of 1.06 and 1.07 say whether
    /// it is a management event.
    pub fn category(&self) -> Option<Cow<'a, str>> {
        self.text("eventCategory").or_else(|| match self.raw("managementEvent") {
            Some("true") => Some(Cow::Borrowed("Management")),
            Some("false") => Some(Cow::Borrowed("Data")),
            _ => None,
        })
    }

    /// Returns the name of who acted, in one word or ARN: the ARN, else the user's name, else the AWS
    /// service or the type of identity.
    pub fn actor(&self) -> Option<Cow<'a, str>> {
        let identity = self.object("userIdentity");
        ["arn", "userName", "invokedBy", "principalId", "type"].iter().find_map(|field| identity.text(field))
    }

    /// Returns the names by which people know who acted: the user, the role, the role's session, and
    /// `root`.
    pub fn user_names(&self) -> Vec<Cow<'a, str>> {
        let identity = self.object("userIdentity");
        let issuer = identity.object("sessionContext").object("sessionIssuer");
        let session = identity.text("principalId").and_then(|principal| match principal {
            Cow::Borrowed(text) => text.split_once(':').map(|(_, session)| Cow::Borrowed(session)),
            Cow::Owned(text) => text.split_once(':').map(|(_, session)| Cow::Owned(session.to_owned())),
        });
        let root = identity.text("type").filter(|kind| kind == "Root").map(|_| Cow::Borrowed("root"));
        [identity.text("userName"), issuer.text("userName"), session, root].into_iter().flatten().collect()
    }
}

/// Returns a record in a form that can be read: half of a surrogate pair, which JSON permits as an escape
/// and which is no character, becomes U+FFFD. Services cut texts short in the middle of a pair.
pub fn readable(record: &str) -> Cow<'_, str> {
    let is_escape = |at: usize| {
        let digits = record.get(at + 2..at + 6).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        digits.filter(|_| record[at..].starts_with("\\u"))
    };
    let (mut lone, mut at) = (Vec::new(), 0);
    while let Some(found) = record.get(at..).and_then(|rest| rest.find('\\')) {
        let begin = at + found;
        at = match is_escape(begin) {
            Some(0xd800..=0xdbff) if matches!(is_escape(begin + 6), Some(0xdc00..=0xdfff)) => begin + 12,
            Some(0xd800..=0xdfff) => {
                lone.push(begin);
                begin + 6
            }
            // The character behind the backslash may be one itself.
            _ => begin + 2,
        };
    }
    if lone.is_empty() {
        return Cow::Borrowed(record);
    }
    let mut text = record.to_owned();
    lone.iter().for_each(|begin| text.replace_range(*begin..begin + 6, "\\ufffd"));
    Cow::Owned(text)
}

/// Returns a JSON value as text: the content of a string, or the value's own text.
pub(super) fn decoded(value: &str) -> Cow<'_, str> {
    let Some(content) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return Cow::Borrowed(value);
    };
    // The value was parsed as JSON already.
    if memchr(b'\\', content.as_bytes()).is_none() {
        return Cow::Borrowed(content);
    }
    serde_json::from_str::<Text<'_>>(value).map_or(Cow::Borrowed(value), |text| text.0)
}

/// A string that is borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Event<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Event<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(24);
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    fields.push((name.0, value));
                }
                Ok(Event { fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole",
        "principalId":"AROAEXAMPLE:ali\u0063e","arn":"arn:aws:sts::1:assumed-role/r\/alice","accountId":"1",
        "sessionContext":{"sessionIssuer":{"userName":"r"}}},"eventTime":"2026-03-01T00:00:01Z","readOnly":true,
        "n":9007199254740993,"errorCode":null,"resources":[{"ARN":"a"},{"ARN":"b"},7],"n":2.50}"#;

    #[test]
    fn fields_are_decoded_and_the_last_of_two_counts() {
        let event = Event::parse(RECORD).unwrap();
        assert_eq!(event.raw("n"), Some("2.50"));
        assert_eq!(event.raw("errorCode"), None);
        assert_eq!(event.raw("absent"), None);
        assert_eq!(event.text("readOnly").unwrap(), "true");
        assert_eq!(event.at("userIdentity.arn").unwrap(), "arn:aws:sts::1:assumed-role/r/alice");
        assert_eq!(event.at("userIdentity.sessionContext.sessionIssuer.userName").unwrap(), "r");
        assert_eq!(event.at("readOnly.x"), None);
        assert_eq!(event.user_names(), ["r", "alice"]);
        assert_eq!(event.objects("resources").len(), 2);
        assert_eq!(event.time().unwrap().start, "2026-03-01T00:00:01Z".parse().unwrap());
    }

    #[test]
    fn an_aggregated_event_has_a_window_and_other_names() {
        let record = r#"{"eventId":"e","accountId":"2","eventCategory":"Aggregated",
            "timeWindow":{"windowStart":"2026-03-01T00:00:00Z","windowEnd":"2026-03-01T00:05:00Z"}}"#;
        let event = Event::parse(record).unwrap();
        let at = |text: &str| text.parse().unwrap();
        let window = EventTime { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-01T00:05:00Z") };
        assert_eq!((event.id().unwrap(), event.account().unwrap()), ("e".into(), "2".into()));
        assert_eq!(event.time(), Some(window));
        assert_eq!((event.actor(), event.category().unwrap()), (None, "Aggregated".into()));
    }

    #[test]
    fn half_of_a_surrogate_pair_does_not_hide_a_record() {
        for (record, expected) in [
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (r#"{"a":"\\ud83d"}"#, r#"{"a":"\\ud83d"}"#),
            (r#"{"\ud83d":"\uDE00\ud83d\ud83d\ude00"}"#, r#"{"\ufffd":"\ufffd\ufffd\ud83d\ude00"}"#),
            (r#"{"a":"\ud83d\n"}"#, r#"{"a":"\ufffd\n"}"#),
        ] {
            assert_eq!(readable(record), expected);
            assert!(Event::parse(&readable(record)).is_ok(), "{record}");
        }
    }

    #[test]
    fn what_is_no_object_is_no_event() {
        for text in ["", "[]", "7", "{", "{\"a\":}", "{\"a\":1}x"] {
            assert!(Event::parse(text).is_err(), "{text}");
        }
    }
}
