//! What an audit is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    AccountId, Allowances, ChainId, Checkpoint, Depth, ObjectRef, OrganizationId, Region, TimeRange, TrailArn,
    WarningRecord, earlier,
};
use crate::store::Location;
use crate::verify::limits;

/// Digests arrive about 26 minutes after the end of their hour, sometimes later: what is younger than this may still come.
pub(crate) const DELIVERY_TIME: SignedDuration = SignedDuration::from_hours(2);

/// How far from the edge of what is covered files are left alone: a log file is delivered some minutes after the time in
/// its name, and then stands in the digest of that time.
pub(crate) const EDGE: SignedDuration = SignedDuration::from_mins(15);

/// From when on a log file is too young to be missed in a digest.
pub(crate) fn fresh_from(request: &AuditRequest) -> Timestamp {
    earlier(request.now, request.grace.max(DELIVERY_TIME))
}

/// From when on the end of a digest's hour is so young that it may still come.
pub(crate) fn awaited_from(request: &AuditRequest) -> Timestamp {
    earlier(request.now, request.grace)
}

/// What an audit is asked.
#[derive(Debug, Clone)]
pub struct AuditRequest {
    /// The trail; `None` for every trail at the locations.
    pub trail: Option<TrailArn>,
    /// Where digests are looked for.
    pub locations: Vec<Location>,
    /// Whether the trail is an organization's, where CloudTrail told.
    pub is_organization: Option<bool>,
    /// The organization whose folder alone is looked into.
    pub organization: Option<OrganizationId>,
    /// The trail's own organization, where that is known: another one's trail of the same name may deliver to
    /// the same place.
    pub own_organization: Option<OrganizationId>,
    /// The part of history that is asked about.
    pub range: TimeRange,
    /// The accounts to look at; empty for all.
    pub accounts: BTreeSet<AccountId>,
    /// The regions to look at; empty for all.
    pub regions: BTreeSet<Region>,
    /// How many objects are read at once, and how many folders listed. At least one.
    pub concurrency: usize,
    /// How deep it looks.
    pub depth: Depth,
    /// The log files that alone are asked about; empty for all. Locations and range are then what their names tell.
    pub files: Vec<ObjectRef>,
    /// The accounts and regions in which there have to be chains.
    pub expected: Expected,
    /// The part of the log files that is read, if not all; at depth `content` alone.
    pub sample: Option<SampleRequest>,
    /// The uncompressed size to which a log file is read, in bytes. What is larger is unverified.
    pub max_log_file_bytes: u64,
    /// What is kept out of the verdict.
    pub allowed: Allowances,
    /// How long after its hour a digest may still come before its absence counts; two hours by itself.
    pub grace: SignedDuration,
    /// What earlier runs left, where a checkpoint is kept: chains that it has are gone on with.
    pub checkpoint: Option<Arc<Checkpoint>>,
    /// The part of what earlier runs proved that is read once more.
    pub recheck: Option<Recheck>,
    /// True if the public keys are those of the bag that is examined, compared with no others.
    pub keys_of_bag: bool,
    /// The present.
    pub now: Timestamp,
    /// How many requests were made of AWS before the audit began.
    pub requests_before: u64,
    /// What was found before it, and is told at its begin.
    pub warnings_before: Vec<WarningRecord>,
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
    /// Regions in which the trail's own account may have one: CloudTrail is asked of each whether it has ever
    /// delivered there.
    pub maybe_own_regions: BTreeSet<Region>,
    /// Why more can't be told, each reason once.
    pub unknown: Vec<String>,
}

/// How large a sample is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleSize {
    /// So many log files.
    Files(u64),
    /// So many of a hundred, rounded up.
    Percent(f64),
}

/// Which sample to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRequest {
    /// How many.
    pub size: SampleSize,
    /// What the choice is made with.
    pub seed: u64,
}

/// Which part of what earlier runs proved is read once more: so many of a hundred days of each chain, with their
/// digests and log files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recheck {
    /// How many of a hundred.
    pub percent: f64,
    /// What the choice is made with.
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

/// How many objects are read at once where nobody says.
const CONCURRENCY: usize = 16;

impl AuditRequest {
    /// Asks for a range of everything at no location yet, as of `now`.
    pub fn new(range: TimeRange, now: Timestamp) -> Self {
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
            grace: DELIVERY_TIME,
            checkpoint: None,
            recheck: None,
            keys_of_bag: false,
            now,
            requests_before: 0,
            warnings_before: Vec::new(),
        }
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

    /// The range with its end filled in: nothing can be asked of the future, and a live trail goes on to the present.
    pub(crate) fn bounded_range(&self, live: bool) -> TimeRange {
        let end = match self.range.end {
            Some(end) => Some(end.min(self.now)),
            None if live => Some(self.now),
            None => None,
        };
        TimeRange { start: self.range.start, end }
    }
}
