//! The request that an audit answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    AccountId, ChainId, Checkpoint, Depth, ObjectRef, OrganizationId, Region, TimeRange, TrailArn, earlier,
};
use crate::records::{Allowances, BagRecord, Filters, KeysAsked, Merged, Setting, WarningRecord};
use crate::store::Location;
use crate::verify::limits;

/// The time within which a digest is usually delivered. Digests arrive about 26 minutes after the
/// end of their hour, sometimes later, so a younger one may still come.
pub(crate) const DELIVERY_TIME: SignedDuration = SignedDuration::from_hours(2);

/// The distance from the edge of the covered time within which files are left alone: a log file is
/// delivered some minutes after the time in its name, and is then listed in the digest of that
/// later time.
pub(crate) const EDGE: SignedDuration = SignedDuration::from_mins(15);

/// Returns the time from which on a log file is too recent to be expected in a digest.
pub(crate) fn fresh_from(request: &AuditRequest) -> Timestamp {
    earlier(request.now, request.grace.max(DELIVERY_TIME))
}

/// Returns the time from which on the end of a digest's hour is so recent that the digest may still
/// come.
pub(crate) fn awaited_from(request: &AuditRequest) -> Timestamp {
    earlier(request.now, request.grace)
}

/// The request that an audit answers. Callers outside this crate make one with
/// [`AuditRequest::builder`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditRequest {
    /// The trail; `None` for every trail at the locations.
    pub trail: Option<TrailArn>,
    /// The locations where digests are looked for.
    pub locations: Vec<Location>,
    /// True if the trail is an organization's; `None` if CloudTrail's answer is not known.
    pub is_organization: Option<bool>,
    /// The only organization whose folder is examined.
    pub organization: Option<OrganizationId>,
    /// The trail's own organization, if it is known: a trail of the same name in another
    /// organization may deliver to the same location.
    pub own_organization: Option<OrganizationId>,
    /// The time range to verify.
    pub range: TimeRange,
    /// The accounts to examine; empty for all.
    pub accounts: BTreeSet<AccountId>,
    /// The regions to examine; empty for all.
    pub regions: BTreeSet<Region>,
    /// The number of objects that are read at once, and of folders that are listed at once. At
    /// least one.
    pub concurrency: usize,
    /// The depth of the verification.
    pub depth: Depth,
    /// The only log files to verify; empty for all. Locations and range are then derived from their
    /// names.
    pub files: Vec<ObjectRef>,
    /// The accounts and regions that must have chains.
    pub expected: Expected,
    /// The part of the log files that is read, if not all; at depth `content` alone.
    pub sample: Option<SampleRequest>,
    /// The uncompressed size up to which a log file is read, in bytes. A larger one is unverified.
    pub max_log_file_bytes: u64,
    /// The findings that do not count for the verdict.
    pub allowed: Allowances,
    /// True if a proven event of tampering makes the exit code 1, whatever the verdict is.
    pub fails_on_tampering: bool,
    /// The time after its hour at which the absence of a digest begins to count; two hours by
    /// default.
    pub grace: SignedDuration,
    /// The checkpoint of earlier runs, if one is kept: its chains are continued.
    pub checkpoint: Option<Arc<Checkpoint>>,
    /// The part of the earlier runs' results that is verified once more.
    pub recheck: Option<Recheck>,
    /// True if the public keys come from the bag that is examined, and were not compared with
    /// others.
    pub keys_of_bag: bool,
    /// The current time.
    pub now: Timestamp,
    /// The number of requests that were sent to AWS before the audit began.
    pub requests_before: u64,
    /// The statements of the run record about endpoints, keys and settings.
    pub statement: Statement,
    /// The state of the evidence bag that is examined.
    pub bag: Option<BagRecord>,
    /// The warnings from before the audit, which are emitted at its start.
    pub warnings_before: Vec<WarningRecord>,
}

/// The statements of a run record that the audit itself can't make: it does not know where its
/// inputs come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// The endpoints in place of AWS's own, by service.
    pub endpoints: Option<BTreeMap<String, String>>,
    /// The source of the public keys.
    pub keys: KeysAsked,
    /// The settings that were given.
    pub settings: Vec<Setting>,
    /// The time at which the run began, if that is not the time as of which the trail is judged.
    pub started: Option<Timestamp>,
    /// The plan whose units' results are merged, if the run merges any.
    pub merged: Option<Merged>,
}

/// The accounts and regions in which a trail has to have chains, besides those that are found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Accounts that have to be there.
    pub accounts: BTreeSet<AccountId>,
    /// Regions in which every account has to have a chain.
    pub regions: BTreeSet<Region>,
    /// Regions in which the trail's own account has to have one.
    pub own_regions: BTreeSet<Region>,
    /// Regions in which the trail's own account may have one: CloudTrail is asked for each whether
    /// it has ever delivered there.
    pub maybe_own_regions: BTreeSet<Region>,
    /// The reasons why more chains cannot be derived, each once.
    pub unknown: Vec<String>,
}

/// The size of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleSize {
    /// A number of log files.
    Files(u64),
    /// A percentage of the log files, rounded up to whole files.
    Percent(f64),
}

/// The sample to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRequest {
    /// The size of the sample.
    pub size: SampleSize,
    /// The seed of the random choice.
    pub seed: u64,
}

/// The part of the earlier runs' results that is verified once more: a percentage of the days of
/// each chain, with their digests and log files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recheck {
    /// The percentage of the days.
    pub percent: f64,
    /// The seed of the random choice.
    pub seed: u64,
}

impl SampleSize {
    pub(crate) fn of(self, total: u64) -> u64 {
        match self {
            Self::Files(files) => files.min(total),
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Self::Percent(percent) => ((total as f64 * percent / 100.0).ceil() as u64).min(total),
        }
    }
}

/// The number of objects that are read at once by default.
const CONCURRENCY: usize = 16;

impl AuditRequest {
    /// Creates a request for everything in a range, with no location yet, as of `now`.
    pub(crate) fn new(range: TimeRange, now: Timestamp) -> Self {
        Self {
            trail: None,
            locations: Vec::new(),
            is_organization: None,
            organization: None,
            own_organization: None,
            range,
            accounts: BTreeSet::new(),
            regions: BTreeSet::new(),
            concurrency: CONCURRENCY,
            depth: Depth::Content,
            files: Vec::new(),
            expected: Expected::default(),
            sample: None,
            max_log_file_bytes: limits::MAX_LOG_FILE_BYTES,
            allowed: Allowances::default(),
            fails_on_tampering: false,
            grace: DELIVERY_TIME,
            checkpoint: None,
            recheck: None,
            keys_of_bag: false,
            now,
            requests_before: 0,
            statement: Statement::default(),
            bag: None,
            warnings_before: Vec::new(),
        }
    }

    /// The filters as the run record states them.
    pub(crate) fn filters(&self) -> Filters {
        let accounts = (!self.accounts.is_empty()).then(|| self.accounts.iter().cloned().collect());
        let regions = (!self.regions.is_empty()).then(|| self.regions.iter().cloned().collect());
        Filters { accounts, regions }
    }

    pub(crate) fn wants_account(&self, account: &AccountId) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    pub(crate) fn wants_region(&self, region: &Region) -> bool {
        self.regions.is_empty() || self.regions.contains(region)
    }

    pub(crate) fn wants(&self, chain: &ChainId) -> bool {
        self.wants_account(&chain.account)
            && self.wants_region(&chain.region)
            && self.organization.as_ref().is_none_or(|wanted| chain.organization.as_ref() == Some(wanted))
            && self.trail.as_ref().is_none_or(|arn| chain.belongs_to(arn))
    }

    /// Returns the range with its end filled in: it never lies in the future, and the range of a
    /// live trail ends at the current time by default.
    pub(crate) fn bounded_range(&self, live: bool) -> TimeRange {
        let end = match self.range.end {
            Some(end) => Some(end.min(self.now)),
            None if live => Some(self.now),
            None => None,
        };
        TimeRange { start: self.range.start, end }
    }
}
