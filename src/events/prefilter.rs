//! A quick look at bytes, which tells that no event in them meets a filter.

use super::filter::{AddressPattern, EventFilter, Pattern, TextField};
use super::text_search::{Texts, has_escaped_letters, is_plain};

/// For each condition that permits it, the texts of which one has to occur.
#[derive(Debug, Default)]
pub(super) struct Prefilter {
    conditions: Vec<Texts>,
}

impl Prefilter {
    pub(super) fn of(filter: &EventFilter) -> Self {
        let texts = filter.texts.iter().filter(|(field, _)| stands_in_record(*field));
        let texts = texts.filter_map(|(field, patterns)| of_patterns(patterns.iter(), *field));
        let names = filter.addresses.iter().map(|address| match address {
            AddressPattern::Name(pattern) => Some(pattern),
            AddressPattern::Network(_) => None,
        });
        let names: Option<Vec<&Pattern>> = names.collect();
        let names = names.filter(|names| !names.is_empty());
        let names = names.and_then(|names| of_patterns(names.into_iter(), TextField::EventSource));
        Self { conditions: texts.chain(names).collect() }
    }

    /// The searches, each for the texts of a condition.
    pub(super) fn conditions(&self) -> &[Texts] {
        &self.conditions
    }

    /// Returns false if no event in these bytes meets the filter.
    pub(super) fn may_match(&self, bytes: &[u8]) -> bool {
        self.conditions.iter().all(|texts| texts.stand_in(bytes)) || has_escaped_letters(bytes, true)
    }
}

/// Returns whether the values of a field stand in the record as they are.
fn stands_in_record(field: TextField) -> bool {
    match field {
        // The account may be the log file's, and the category may follow from another field.
        TextField::EventAccount | TextField::Category => false,
        TextField::EventId
        | TextField::EventName
        | TextField::EventSource
        | TextField::UserName
        | TextField::AccessKeyId
        | TextField::ResourceName
        | TextField::ResourceType
        | TextField::Arn
        | TextField::ErrorCode
        | TextField::EventRegion => true,
    }
}

/// Returns a search for the longest text of each pattern; `None` if a pattern has none.
fn of_patterns<'p>(patterns: impl Iterator<Item = &'p Pattern>, field: TextField) -> Option<Texts> {
    let mut needles = Vec::new();
    for pattern in patterns {
        // The name of the root user follows from its type.
        if field == TextField::UserName && pattern.matches("root") {
            return None;
        }
        let runs = pattern.literals().flat_map(|text| text.split(|c: char| !is_plain(c)));
        needles.push(runs.max_by_key(|run| run.len()).filter(|run| !run.is_empty())?.to_owned());
    }
    Texts::new(needles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefilter(field: TextField, patterns: &[&str]) -> Prefilter {
        let patterns = patterns.iter().map(|pattern| Pattern::new(pattern)).collect();
        Prefilter::of(&EventFilter::default().with(field, patterns))
    }

    #[test]
    fn bytes_without_the_text_are_left_out() {
        let names = prefilter(TextField::EventName, &["ConsoleLogin", "Stop*"]);
        for (bytes, may) in [
            (r#"{"eventName":"ConsoleLogin"}"#, true),
            (r#"{"eventName":"StopLogging"}"#, true),
            (r#"{"eventName":"DescribeInstances"}"#, false),
            (r#"{"a":"\u003d\u0026\u00fc\u2028 a=b"}"#, false),
            (r#"{"eventName":"\u0043onsoleLogin"}"#, true),
            (r#"{"eventName":"Console\u004Cogin"}"#, true),
            ("", false),
        ] {
            assert_eq!(names.may_match(bytes.as_bytes()), may, "{bytes}");
        }
    }

    #[test]
    fn only_what_encoders_leave_as_it_is_is_searched_for() {
        let arn = prefilter(TextField::Arn, &["arn:aws:iam::1:role/a/verylongname=x"]);
        assert!(arn.may_match(br#"{"arn":"arn:aws:iam::1:role\/a\/verylongname\u003dx"}"#));
        assert!(!arn.may_match(b"{}"));
        for (field, pattern) in [
            (TextField::EventName, "*"),
            (TextField::EventName, "\u{fc}="),
            (TextField::UserName, "r*t"),
            (TextField::EventAccount, "111122223333"),
            (TextField::Category, "Management"),
        ] {
            assert!(prefilter(field, &["Stop", pattern]).may_match(b"{}"), "{field:?} {pattern}");
        }
    }

    #[test]
    fn all_conditions_count() {
        let name = |text: &str| vec![Pattern::new(text)];
        let filter = EventFilter::default()
            .with(TextField::EventName, name("StopLogging"))
            .with(TextField::EventRegion, name("eu-west-1"));
        let filter = EventFilter { addresses: vec!["AWS Internal".parse().unwrap()], ..filter };
        let prefilter = Prefilter::of(&filter);
        assert!(prefilter.may_match(b"StopLogging eu-west-1 AWS Internal"));
        for bytes in ["StopLogging eu-west-1", "StopLogging AWS Internal", "eu-west-1 AWS Internal"] {
            assert!(!prefilter.may_match(bytes.as_bytes()), "{bytes}");
        }
        let network = EventFilter { addresses: vec!["10.0.0.0/8".parse().unwrap()], ..EventFilter::default() };
        assert!(Prefilter::of(&network).may_match(b"{}"));
    }
}
