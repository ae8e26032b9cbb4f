//! The ARN that names a trail.

use std::fmt;
use std::str::FromStr;

use super::text_form::{serialize_as_text, string_schema};
use super::{AccountId, IdError, Region, TrailName};

/// `arn:PARTITION:cloudtrail:REGION:ACCOUNT:trail/NAME`, REGION being the trail's home region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailArn {
    /// `aws`, `aws-cn`, `aws-us-gov` or another partition.
    pub partition: String,
    /// The region the trail was made in.
    pub home_region: Region,
    /// The account that owns the trail (an organization trail's management account or delegated
    /// administrator).
    pub account: AccountId,
    /// The trail's name.
    pub name: TrailName,
}

serialize_as_text!(TrailArn);
string_schema!(TrailArn, {});

/// The reason why a text is not a trail's ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArnError {
    /// The parts are not those of a trail's ARN.
    #[error("'{0}' is not a trail's ARN: it looks like arn:aws:cloudtrail:us-east-1:111122223333:trail/my-trail")]
    Form(String),
    /// One of the parts breaks its own rule.
    #[error("in the trail ARN '{arn}', {part}")]
    Part {
        /// The whole text.
        arn: String,
        /// The part that breaks its rule, and the rule.
        part: IdError,
    },
}

impl FromStr for TrailArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "cloudtrail", region, account, resource] = parts[..] else {
            return Err(ArnError::Form(text.to_owned()));
        };
        let name = resource.strip_prefix("trail/").ok_or_else(|| ArnError::Form(text.to_owned()))?;
        if !partition.starts_with("aws") {
            return Err(ArnError::Form(text.to_owned()));
        }
        let wrong = |part| ArnError::Part { arn: text.to_owned(), part };
        Ok(Self {
            partition: partition.to_owned(),
            home_region: region.parse().map_err(wrong)?,
            account: account.parse().map_err(wrong)?,
            name: name.parse().map_err(wrong)?,
        })
    }
}

impl fmt::Display for TrailArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, home_region, account, name } = self;
        write!(f, "arn:{partition}:cloudtrail:{home_region}:{account}:trail/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_of_all_partitions_survive_a_round_trip() {
        for text in [
            "arn:aws:cloudtrail:us-east-1:111122223333:trail/management-events",
            "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/a_b.c-d",
            "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/t-1",
        ] {
            assert_eq!(text.parse::<TrailArn>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_trail_arn_is_refused_with_the_part_that_is_wrong() {
        assert!(matches!("my-trail".parse::<TrailArn>(), Err(ArnError::Form(_))));
        assert!(matches!("arn:aws:s3:::bucket".parse::<TrailArn>(), Err(ArnError::Form(_))));
        let error = "arn:aws:cloudtrail:us-east-1:1111:trail/my-trail".parse::<TrailArn>().unwrap_err();
        assert!(error.to_string().contains("account ID"), "{error}");
    }
}
