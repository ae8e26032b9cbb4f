//! Identifiers with AWS's own rules of form.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text_form::{serialize_as_text, string_schema};

/// A text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {what}: {rule}")]
pub struct IdError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { text: text.to_owned(), what: $what, rule: $rule })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

identifier!(
    /// An AWS account ID: twelve decimal digits.
    AccountId,
    "an AWS account ID",
    "it has twelve digits, such as 111122223333",
    |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
);

serialize_as_text!(AccountId);
string_schema!(AccountId, { "pattern": "^[0-9]{12}$" });

identifier!(
    /// An AWS Organizations ID: `o-` and 10 to 32 lower-case letters or digits (Organizations API
    /// reference, `Organization`).
    OrganizationId,
    "an organization ID",
    "it is 'o-' followed by 10 to 32 lower-case letters or digits",
    |text| text.strip_prefix("o-").is_some_and(|rest| {
        (10..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
);

serialize_as_text!(OrganizationId);
string_schema!(OrganizationId, {});

identifier!(
    /// An AWS region code such as `eu-central-1`. Checked by form alone, so that regions opened
    /// tomorrow are accepted.
    Region,
    "an AWS region",
    "it looks like eu-central-1",
    |text| {
        let mut parts = text.split('-');
        let name = parts.next_back().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let words: Vec<&str> = parts.collect();
        name && words.len() >= 2 && words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()))
    }
);

identifier!(
    /// A trail's name: 3 to 128 ASCII letters, digits, `.`, `_` and `-` (CloudTrail user guide,
    /// "Naming requirements").
    TrailName,
    "a trail name",
    "it has 3 to 128 letters, digits, '.', '_' or '-'",
    |text| (3..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);

serialize_as_text!(TrailName);
string_schema!(TrailName, {});

/// Written as null for [`Region::none`].
impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.known().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map_or(Ok(Self::none()), |text| text.parse()).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Region {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "null"] })
    }
}

impl Region {
    /// The placeholder for a region that is not known.
    pub fn unknown() -> Self {
        Self("unknown-region-0".into())
    }

    /// The placeholder for an object that lies in no region's folder: records write it as null. It
    /// sorts before every region.
    pub fn none() -> Self {
        Self("".into())
    }

    /// The partition that the region's code belongs to (AWS General Reference, "Partitions").
    pub fn partition(&self) -> &'static str {
        const PREFIXES: [(&str, &str); 7] = [
            ("cn-", "aws-cn"),
            ("us-gov-", "aws-us-gov"),
            ("us-iso-", "aws-iso"),
            ("us-isob-", "aws-iso-b"),
            ("eu-isoe-", "aws-iso-e"),
            ("us-isof-", "aws-iso-f"),
            ("eusc-", "aws-eusc"),
        ];
        let found = PREFIXES.iter().find(|(prefix, _)| self.0.starts_with(prefix));
        found.map_or("aws", |(_, partition)| partition)
    }

    /// The region as text; `None` for [`Self::none`].
    pub fn known(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
    }
}

impl TrailName {
    /// The placeholder for a trail whose name is not known.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// A text that sorts before every name, and is none itself.
    pub(crate) fn least() -> Self {
        Self("".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_every_partition_are_accepted() {
        for region in ["us-east-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-12", "us-iso-east-1"] {
            assert!(region.parse::<Region>().is_ok(), "{region}");
        }
        for wrong in ["", "us", "us-east", "US-EAST-1", "us-east-1/", "1-us-east", "us--east-1"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn accounts_and_organizations_are_checked_by_form() {
        assert!("000000000001".parse::<AccountId>().is_ok());
        assert!("00000000001".parse::<AccountId>().is_err());
        assert!("o-exampleorgid".parse::<OrganizationId>().is_ok());
        assert!("o-short".parse::<OrganizationId>().is_err());
    }
}
