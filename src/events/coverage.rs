//! The times that a verification covered: the absence of an event says something in those alone.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};

use crate::model::{LogFileKey, LogFileStatus, later};
use crate::records::{LogFileRecord, Record};

/// The time within which the log file of an event is delivered, as a rule: some 5 minutes on average
/// (CloudTrail user guide, "How CloudTrail works"), and the digest of the hour lists it.
const DELIVERED_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// The times that a verification covered, by account and region.
#[derive(Debug, Default)]
pub struct CoveredTimes {
    chains: Vec<Part>,
    gaps: Vec<Part>,
    /// The account and region of log files that are not proven, and the quarters of hours, counted from
    /// 1970 on, that their names tell. There may be a great many such files.
    unproven: BTreeSet<(String, String, i64)>,
}

/// The mark of a log file that may be of any time.
const ANY_TIME: i64 = i64::MIN;

/// The length of a quarter of an hour, in seconds.
const QUARTER: i64 = 15 * 60;

/// A time of an account and a region.
#[derive(Debug)]
struct Part {
    account: String,
    region: String,
    from: Timestamp,
    to: Timestamp,
}

impl Part {
    fn meets(&self, account: &str, region: &str, from: Timestamp, to: Timestamp) -> bool {
        self.account == account && self.region == region && self.from <= to && from <= self.to
    }
}

/// The reason why the absence of an event says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCovered {
    /// No chain of the account and region was verified.
    NoChain,
    /// This time is not in the range that was verified.
    OutsideRange,
    /// Valid digests do not cover it.
    Gap,
    /// The events of a log file of that time are not known.
    UnprovenLogFile,
}

/// The quarters of hours from one time to another.
fn quarters(from: Timestamp, to: Timestamp) -> RangeInclusive<i64> {
    from.as_second().div_euclid(QUARTER)..=to.as_second().div_euclid(QUARTER)
}

impl CoveredTimes {
    /// Takes the records of a verification.
    pub fn record(&mut self, record: &Record) {
        let part = |chain: &crate::model::ChainId, from, to| Part {
            account: chain.account.to_string(),
            region: chain.region.to_string(),
            from,
            to,
        };
        match record {
            Record::Chain(chain) => self.chains.push(part(&chain.chain, chain.from, chain.to)),
            Record::Gap(gap) => self.gaps.push(part(&gap.chain, gap.from, gap.to)),
            // No digest lists the others: if events of theirs are genuine, they are in a gap.
            Record::LogFile(file)
                if matches!(
                    file.status,
                    LogFileStatus::Modified | LogFileStatus::Deleted | LogFileStatus::Unverified
                ) =>
            {
                self.add_unproven(file);
            }
            _ => {}
        }
    }

    /// Takes note of a log file whose events are not known.
    pub fn add_unproven(&mut self, file: &LogFileRecord) {
        let (account, region) = (file.chain.account.to_string(), file.chain.region.to_string());
        let times = match LogFileKey::parse(&file.object.key) {
            Some(name) => quarters(name.time.from, name.time.to),
            // Without a time in its name, it may be of any.
            None => ANY_TIME..=ANY_TIME,
        };
        self.unproven.extend(times.map(|time| (account.clone(), region.clone(), time)));
    }

    /// Returns why the absence of an event says nothing; `None` if its time is covered: the time at which
    /// it happened and the quarter of an hour after it, in which its log file is delivered as a rule.
    pub fn why_not(&self, account: &str, region: &str, at: Timestamp) -> Option<NotCovered> {
        let until = later(at, DELIVERED_WITHIN);
        let has_unproven = || {
            let mut times = quarters(at, until).chain([ANY_TIME]);
            times.any(|time| self.unproven.contains(&(account.to_owned(), region.to_owned(), time)))
        };
        let meets = |parts: &[Part]| parts.iter().any(|part| part.meets(account, region, at, until));
        let is_inside = self
            .chains
            .iter()
            .any(|chain| chain.account == account && chain.region == region && chain.from <= at && until <= chain.to);
        let has_chain = self.chains.iter().any(|chain| chain.account == account && chain.region == region);
        match () {
            () if !has_chain => Some(NotCovered::NoChain),
            () if !is_inside => Some(NotCovered::OutsideRange),
            () if meets(&self.gaps) => Some(NotCovered::Gap),
            () if has_unproven() => Some(NotCovered::UnprovenLogFile),
            () => None,
        }
    }
}
