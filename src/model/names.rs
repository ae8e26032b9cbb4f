//! The names that CloudTrail gives to the objects it delivers.
//!
//! ```text
//! [prefix/]AWSLogs/[O-ID/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
//!     ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHMMSSZ[_backfill].json.gz
//! ```
//!
//! Source: CloudTrail user guide, "CloudTrail digest file structure"; the `_backfill` form from the
//! AWS CLI 1.46.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::time::later;
use super::{AccountId, ChainId, DigestKind, OrganizationId, Region};

/// The folder under which CloudTrail puts everything.
pub const AWS_LOGS: &str = "AWSLogs";
/// The same, as it stands in a key.
pub const AWS_LOGS_FOLDER: &str = "AWSLogs/";
/// The folder that holds an account's log files.
pub const LOG_FOLDER: &str = "CloudTrail";
/// The folder into which CloudTrail Lake exports query results: no log files.
const LAKE_FOLDER: &str = "CloudTrail-Lake";
/// The folder that holds an account's digest files.
pub const DIGEST_FOLDER: &str = "CloudTrail-Digest";

const SUFFIX: &str = ".json.gz";
/// The suffix of a log file that somebody decompressed in a copy.
const UNCOMPRESSED: &str = ".json";
const BACKFILL: &str = "_backfill";
const COMPACT: &str = "%Y%m%dT%H%M%SZ";

/// The parts of a digest's key. The time in it is the digest's end time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestName {
    /// The location of the key's `AWSLogs/` folder in the bucket.
    pub root: LogRoot,
    /// The chain it belongs to.
    pub chain: ChainId,
    /// Standard, or the series of backfill digests beside it.
    pub kind: DigestKind,
    /// The end of the hour that the digest covers.
    pub end: Timestamp,
}

impl DigestName {
    /// The suffix of every digest's name.
    pub const SUFFIX: &str = SUFFIX;

    /// Returns the key with this name, in the folder of its end's day.
    pub fn key(&self) -> String {
        let ChainId { organization, account, region, trail, home_region } = &self.chain;
        let regions = self.root.digest_regions(organization.as_ref(), account);
        let (day, time) = (self.end.strftime("%Y/%m/%d"), self.end.strftime(COMPACT));
        let backfill = if self.kind == DigestKind::Backfill { BACKFILL } else { "" };
        format!(
            "{regions}{region}/{day}/{account}_{DIGEST_FOLDER}_{region}_{trail}_{home_region}_{time}{backfill}{SUFFIX}"
        )
    }

    /// Reads a digest's key; `None` if it is not the name of a digest. A trail name may hold `_`,
    /// `-` and `.`, so the file name is read from both ends and has to agree with the folders.
    pub fn parse(key: &str) -> Option<Self> {
        let mut folders = key.rsplit('/');
        let file = folders.next()?;
        let (_day, _month, _year) = (folders.next()?, folders.next()?, folders.next()?);
        let region: Region = folders.next()?.parse().ok()?;
        if folders.next()? != DIGEST_FOLDER {
            return None;
        }
        let (account, organization, root) = above(folders)?;

        let stem = file.strip_suffix(SUFFIX)?;
        let (stem, kind) = match stem.strip_suffix(BACKFILL) {
            Some(stem) => (stem, DigestKind::Backfill),
            None => (stem, DigestKind::Standard),
        };
        let (stem, time) = stem.rsplit_once('_')?;
        let (stem, home_region) = stem.rsplit_once('_')?;
        let trail = stem.strip_prefix(&format!("{account}_{DIGEST_FOLDER}_{region}_"))?;
        Some(Self {
            root,
            end: parse_compact_time(time)?,
            kind,
            chain: ChainId {
                organization,
                account,
                region,
                trail: trail.parse().ok()?,
                home_region: home_region.parse().ok()?,
            },
        })
    }
}

/// Reads the part of a key up to an account's folder, from the inside out:
/// `[prefix/]AWSLogs/[O-ID/]ACCOUNT/`.
fn above<'a>(mut folders: impl Iterator<Item = &'a str>) -> Option<(AccountId, Option<OrganizationId>, LogRoot)> {
    let account = folders.next()?.parse().ok()?;
    let mut above = folders.next()?;
    let organization = above.parse::<OrganizationId>().ok();
    if organization.is_some() {
        above = folders.next()?;
    }
    if above != AWS_LOGS {
        return None;
    }
    let mut prefix: Vec<&str> = folders.collect();
    // A key that begins with a slash does not lie in the root: no root's folder is spelled like
    // that.
    if prefix == [""] {
        return None;
    }
    prefix.reverse();
    Some((account, organization, LogRoot { prefix: prefix.join("/") }))
}

/// The location of an `AWSLogs/` folder in a bucket: the prefix before it, without the slash
/// between them; empty if none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogRoot {
    /// The trail's key prefix.
    pub prefix: String,
}

impl LogRoot {
    /// `[prefix/]AWSLogs/`.
    pub fn folder(&self) -> String {
        if self.prefix.is_empty() { format!("{AWS_LOGS}/") } else { format!("{}/{AWS_LOGS}/", self.prefix) }
    }

    /// Returns whether a key lies below this folder.
    pub fn holds(&self, key: &str) -> bool {
        match self.prefix.as_str() {
            "" => key.starts_with(AWS_LOGS_FOLDER),
            prefix => {
                let inside = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
                inside.is_some_and(|inside| inside.starts_with(AWS_LOGS_FOLDER))
            }
        }
    }

    /// `[prefix/]AWSLogs/[O-ID/]`, which holds a folder an account.
    pub fn accounts(&self, organization: Option<&OrganizationId>) -> String {
        match organization {
            Some(organization) => format!("{}{organization}/", self.folder()),
            None => self.folder(),
        }
    }

    /// `[prefix/]AWSLogs/[O-ID/]ACCOUNT/CloudTrail-Digest/`, which holds a folder a region.
    pub fn digest_regions(&self, organization: Option<&OrganizationId>, account: &AccountId) -> String {
        format!("{}{account}/{DIGEST_FOLDER}/", self.accounts(organization))
    }

    /// `[prefix/]AWSLogs/[O-ID/]ACCOUNT/FOLDER/`, which holds a folder a region. FOLDER is
    /// [`LOG_FOLDER`], or another log folder beside it.
    pub fn log_regions(&self, organization: Option<&OrganizationId>, account: &AccountId, folder: &str) -> String {
        format!("{}{account}/{folder}/", self.accounts(organization))
    }
}

/// The name of the log folder that a log file's key lies in (`CloudTrail`, `CloudTrail-Insight` …);
/// `None` for a key that lies in none.
pub fn log_folder_of(key: &str) -> Option<&str> {
    let mut parts = key.rsplit('/');
    // FILE, DD, MM, YYYY and REGION lie below it.
    let folder = parts.nth(5)?;
    is_log_folder(folder).then_some(folder)
}

fn is_log_folder(name: &str) -> bool {
    name.starts_with(LOG_FOLDER) && name != DIGEST_FOLDER && name != LAKE_FOLDER
}

/// The time of a log file, as far as its key tells.
///
/// ```text
/// …/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHMMZ_UNIQUE16.json.gz
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFileName {
    /// The earliest time that the log file can be of.
    pub from: Timestamp,
    /// The latest time that it can be of: the same, unless the name is none that CloudTrail gives,
    /// or names another day than its folder. Then only the folder's day is known.
    pub to: Timestamp,
}

/// The parts of a log file's key.
///
/// ```text
/// [prefix/]AWSLogs/[O-ID/]ACCOUNT/CloudTrail…/REGION/YYYY/MM/DD/FILE
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileKey {
    /// The location of the key's `AWSLogs/` folder in the bucket.
    pub root: LogRoot,
    /// The organization in whose folder it lies.
    pub organization: Option<OrganizationId>,
    /// The account whose events were logged.
    pub account: AccountId,
    /// The region whose events were logged.
    pub region: Region,
    /// The time of the log file.
    pub time: LogFileName,
}

impl LogFileKey {
    /// Reads a log file's key; `None` if it is not the name of a log file.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.rsplitn(6, '/');
        let (file, day, month, year) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let region = parts.next()?.parse().ok()?;
        let mut folders = parts.next()?.rsplit('/');
        // Insights and network activity events lie in folders of their own, beside CloudTrail/.
        let folder = folders.next()?;
        if !is_log_folder(folder) {
            return None;
        }
        let (account, organization, root) = above(folders)?;
        let time = LogFileName::parse(&format!("{year}/{month}/{day}/{file}"))?;
        Some(Self { root, organization, account, region, time })
    }
}

impl LogFileName {
    /// Reads the part of a key that follows the region's folder; `None` if it does not lie in a
    /// day's folder.
    pub fn parse(inside: &str) -> Option<Self> {
        // A file in a folder below the day's counts as one of that day: whoever reads the day reads
        // it, too.
        let day = inside.match_indices('/').nth(2).and_then(|(end, _)| inside.get(..end))?;
        let file = inside.rsplit('/').next()?;
        let day = parse_day(day)?;
        let next_day = later(day, SignedDuration::from_hours(24));
        // The name of a decompressed file gives the same time as that of the original.
        let stem = file.strip_suffix(SUFFIX).or_else(|| file.strip_suffix(UNCOMPRESSED));
        let named = stem.and_then(|stem| stem.rsplit('_').nth(1)).and_then(|minute| {
            parse_compact_time(&format!("{}00Z", minute.strip_suffix('Z').filter(|rest| rest.len() == 13)?))
        });
        Some(match named.filter(|time| day <= *time && *time < next_day) {
            Some(time) => Self { from: time, to: time },
            None => Self { from: day, to: next_day },
        })
    }

    /// Returns whether the name gives no time of its folder's day, which no name that CloudTrail
    /// gives does.
    pub fn is_odd(&self) -> bool {
        self.to > self.from
    }
}

/// Returns the start of the day that a folder's path `YYYY/MM/DD` names; `None` if it is no such
/// path.
pub fn parse_day(path: &str) -> Option<Timestamp> {
    let is_day = path.len() == "2026/03/01".len()
        && path.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'/' } else { b.is_ascii_digit() });
    if !is_day {
        return None;
    }
    Some(Date::strptime("%Y/%m/%d", path).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Returns whether a file beside log files is an artefact of a copy and no object of the bucket:
/// metadata of an object, or a hidden file.
pub fn is_copy_artefact(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.starts_with('.') || name.ends_with(".metadata.json")
}

/// Reads `YYYYMMDDTHHMMSSZ`; `None` if it is anything else.
pub fn parse_compact_time(text: &str) -> Option<Timestamp> {
    let is_compact = text.len() == 16
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 => b == b'T',
            15 => b == b'Z',
            _ => b.is_ascii_digit(),
        });
    if !is_compact {
        return None;
    }
    DateTime::strptime(COMPACT, text).ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_name_is_read() {
        let key = "AWSLogs/327878933619/CloudTrail-Digest/ap-northeast-1/2023/10/15/\
                   327878933619_CloudTrail-Digest_ap-northeast-1_llm-guard-trail_us-west-2_20231015T230404Z.json.gz";
        let name = DigestName::parse(key).unwrap();
        assert_eq!(name.chain.trail.as_str(), "llm-guard-trail");
        assert_eq!(name.chain.home_region.as_str(), "us-west-2");
        assert_eq!(name.chain.region.as_str(), "ap-northeast-1");
        assert_eq!(name.end.to_string(), "2023-10-15T23:04:04Z");
        assert_eq!((name.kind, name.root.prefix.as_str()), (DigestKind::Standard, ""));
    }

    #[test]
    fn trail_names_with_separators_prefixes_and_organizations_are_read_from_both_ends() {
        let key = "a/AWSLogs/b/AWSLogs/o-exampleorgid/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/\
                   111122223333_CloudTrail-Digest_eu-west-1_my_trail_us-east-1_x.y_us-east-1_20260301T101112Z_backfill.json.gz";
        let name = DigestName::parse(key).unwrap();
        assert_eq!(name.chain.trail.as_str(), "my_trail_us-east-1_x.y");
        assert_eq!(name.chain.organization.as_ref().unwrap().as_str(), "o-exampleorgid");
        assert_eq!((name.kind, name.root.prefix.as_str()), (DigestKind::Backfill, "a/AWSLogs/b"));
        assert_eq!(name.key(), key);
    }

    #[test]
    fn a_log_files_time_is_its_names_or_its_days() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let named =
            LogFileName::parse("2026/03/01/111122223333_CloudTrail_eu-west-1_20260301T1005Z_AbCdEfGhIjKlMnOp.json.gz");
        assert_eq!(named, Some(LogFileName { from: time("2026-03-01T10:05:00Z"), to: time("2026-03-01T10:05:00Z") }));
        let other = LogFileName::parse("2026/03/01/planted.json.gz");
        assert_eq!(other, Some(LogFileName { from: time("2026-03-01T00:00:00Z"), to: time("2026-03-02T00:00:00Z") }));
        assert_eq!(LogFileName::parse("planted.json.gz"), None);
    }

    #[test]
    fn a_name_of_another_day_than_its_folder_tells_the_folders_day_alone() {
        for name in ["20990101T0000Z", "20100101T0000Z", "20260302T0000Z", "20260228T2355Z"] {
            let inside = format!("2026/03/01/111122223333_CloudTrail_eu-west-1_{name}_AbCdEfGhIjKlMnOp.json.gz");
            let found = LogFileName::parse(&inside).unwrap();
            assert!(found.is_odd(), "{name}");
            assert_eq!(found.from.to_string(), "2026-03-01T00:00:00Z");
        }
        assert_eq!(LogFileName::parse("2026/3/1/111122223333_CloudTrail_eu-west-1_20260301T1005Z_A.json.gz"), None);
    }

    #[test]
    fn log_folders_are_told_from_what_lies_beside_them() {
        let key = |folder: &str| format!("a/AWSLogs/111122223333/{folder}/eu-west-1/2026/03/01/x.json.gz");
        for folder in ["CloudTrail", "CloudTrail-Insight", "CloudTrail-NetworkActivity"] {
            assert_eq!(log_folder_of(&key(folder)), Some(folder));
        }
        for folder in ["CloudTrail-Digest", "CloudTrail-Lake", "Config"] {
            assert_eq!(log_folder_of(&key(folder)), None);
        }
    }

    #[test]
    fn a_key_that_begins_with_a_slash_is_not_taken_for_the_one_without() {
        let key = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/\
                   111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20260301T101112Z.json.gz";
        assert!(DigestName::parse(key).is_some());
        assert_eq!(DigestName::parse(&format!("/{key}")), None);
        assert_eq!(DigestName::parse(&format!("a//{key}")).unwrap().root.folder(), "a//AWSLogs/");
    }

    #[test]
    fn other_objects_are_not_digests() {
        let log = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/111122223333_CloudTrail_eu-west-1_20260301T1005Z_AbCdEfGhIjKlMnOp.json.gz";
        let other_account = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/444455556666_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20260301T101112Z.json.gz";
        let no_such_day = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/02/30/111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20260230T101112Z.json.gz";
        for key in [log, other_account, no_such_day, "", "///////"] {
            assert_eq!(DigestName::parse(key), None, "{key}");
        }
    }
}
