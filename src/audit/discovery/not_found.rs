//! Warnings about what a request names and the location does not hold, with what is there instead: a
//! slip in a filter or a prefix must not look like an empty trail.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::audit::discovery::folders::Seen;
use crate::audit::listing::folders::folders;
use crate::audit::request::AuditRequest;
use crate::model::{AWS_LOGS, TrailName, WarningCode};
use crate::records::WarningRecord;
use crate::store::{Location, Store};

/// The maximum number of names that a warning lists.
const SHOWN: usize = 20;
/// The maximum number of folders at the top of a bucket in which `AWSLogs/` is looked for.
const LOOKED_INTO: usize = 50;

/// Returns a warning for each region, account, organization and trail that the request names and that
/// is not there. `others` are the trails whose digests were listed and that the request does not ask
/// for; `has_digests` is true if digests that it asks for were found.
pub(crate) fn names(
    request: &AuditRequest,
    seen: &Seen,
    others: &BTreeSet<TrailName>,
    has_digests: bool,
) -> Vec<WarningRecord> {
    if seen.is_partial || request.locations.is_empty() {
        return Vec::new();
    }
    let place = places(&request.locations);
    let mut details = Vec::new();
    let missing = request.organization.iter().filter(|id| !seen.organizations.contains(id));
    details.extend(missing.map(|id| not_there("organization", id, &place, &seen.organizations)));
    let missing = request.accounts.iter().filter(|id| !seen.accounts.contains(id));
    details.extend(missing.map(|id| not_there("account", id, &place, &seen.accounts)));
    if details.is_empty() && !seen.accounts.is_empty() {
        let missing = request.regions.iter().filter(|region| !seen.regions.contains(region));
        details.extend(missing.map(|region| not_there("region", region, &place, &seen.regions)));
    }
    if let Some(arn) = request.trail.as_ref().filter(|_| !has_digests && details.is_empty() && !others.is_empty()) {
        let there: Vec<&str> = others.iter().take(SHOWN).map(TrailName::as_str).collect();
        let (name, there) = (&arn.name, there.join(", "));
        details.push(format!(
            "no digest of the trail {name} was found in the range under {place}; there are digests of: {there}"
        ));
    }
    details.into_iter().map(warning).collect()
}

/// Returns warnings about locations that hold nothing of any account or organization, with the prefixes
/// of the same bucket that do.
pub(crate) async fn prefixes(store: &dyn Store, request: &AuditRequest, seen: &Seen) -> Vec<WarningRecord> {
    let mut warnings = Vec::new();
    if seen.is_partial || !store.properties().is_live {
        return warnings;
    }
    for location in request.locations.iter().filter(|location| seen.empty.contains(*location)) {
        let searched = format!("nothing of any account is under s3://{}/{}", location.bucket, location.root.folder());
        let detail = match with_logs(store, location).await {
            Some(found) if found.is_empty() => {
                format!("{searched}, nor under another prefix of up to {LOOKED_INTO} in that bucket")
            }
            Some(found) => format!("{searched}; there is something {}", found.join(", ")),
            // The bucket's top can't be listed.
            None => searched,
        };
        warnings.push(warning(detail));
    }
    warnings
}

/// Returns the prefixes of a bucket below which `AWSLogs/` has something, in words; `None` if the bucket
/// can't be listed.
async fn with_logs(store: &dyn Store, location: &Location) -> Option<Vec<String>> {
    let bucket = &location.bucket;
    let top = folders(store, bucket, "").await.ok()?;
    let mut found = Vec::new();
    if top.iter().any(|name| name == AWS_LOGS) && !location.root.prefix.is_empty() {
        found.push(format!("under {AWS_LOGS}/, without a prefix"));
    }
    for name in top.iter().filter(|name| *name != AWS_LOGS).take(LOOKED_INTO) {
        let below = folders(store, bucket, &format!("{name}/{AWS_LOGS}/")).await.ok()?;
        if *name != location.root.prefix && !below.is_empty() {
            found.push(format!("under {name}/{AWS_LOGS}/, with the prefix {name}"));
        }
    }
    found.truncate(SHOWN);
    Some(found)
}

fn places(locations: &[Location]) -> String {
    let place = |location: &Location| format!("s3://{}/{}", location.bucket, location.root.folder());
    locations.iter().take(SHOWN).map(place).collect::<Vec<_>>().join(" and ")
}

fn not_there<T: Display>(what: &str, name: &T, place: &str, there: &BTreeSet<T>) -> String {
    let names: Vec<String> = there.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = there.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if names.is_empty() {
        return format!("no {what} {name} is under {place}");
    }
    format!("no {what} {name} is under {place}; there are: {}{more}", names.join(", "))
}

fn warning(detail: String) -> WarningRecord {
    WarningRecord { code: WarningCode::NothingFound, bucket: None, key: None, detail }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{AccountId, LogRoot, Region, TimeRange};

    fn set<T: std::str::FromStr + Ord>(names: &[&str]) -> BTreeSet<T>
    where
        T::Err: std::fmt::Debug,
    {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn each_name_that_is_not_there_is_told_with_those_that_are() {
        let location = Location { bucket: "b".to_owned(), root: LogRoot { prefix: "p".to_owned() } };
        let request = AuditRequest {
            locations: vec![location],
            ..AuditRequest::new(TimeRange::default(), Timestamp::UNIX_EPOCH)
        };
        let seen = Seen {
            accounts: set::<AccountId>(&["111122223333"]),
            regions: set::<Region>(&["eu-west-1", "us-east-1"]),
            ..Seen::default()
        };
        let cases = [
            (request.clone(), vec![]),
            (AuditRequest { regions: set(&["us-east-1"]), ..request.clone() }, vec![]),
            (
                AuditRequest { regions: set(&["us-east-1", "us-eats-1"]), ..request.clone() },
                vec!["no region us-eats-1 is under s3://b/p/AWSLogs/; there are: eu-west-1, us-east-1"],
            ),
            (
                AuditRequest { accounts: set(&["999999999999"]), regions: set(&["us-eats-1"]), ..request.clone() },
                vec!["no account 999999999999 is under s3://b/p/AWSLogs/; there are: 111122223333"],
            ),
            (
                AuditRequest { organization: Some("o-abcdefghij".parse().unwrap()), ..request.clone() },
                vec!["no organization o-abcdefghij is under s3://b/p/AWSLogs/"],
            ),
            (
                AuditRequest {
                    trail: Some("arn:aws:cloudtrail:us-east-1:111122223333:trail/other".parse().unwrap()),
                    ..request.clone()
                },
                vec![
                    "no digest of the trail other was found in the range under s3://b/p/AWSLogs/; there are digests of: mine",
                ],
            ),
        ];
        for (request, expected) in cases {
            let others = set::<TrailName>(&["mine"]);
            let found: Vec<String> = names(&request, &seen, &others, false).into_iter().map(|one| one.detail).collect();
            assert_eq!(found, expected);
            let partial = Seen { is_partial: true, ..seen.clone() };
            assert!(names(&request, &partial, &others, false).is_empty());
        }
    }
}
