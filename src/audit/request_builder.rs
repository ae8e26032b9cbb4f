//! The builder of an audit's request, for callers outside this crate: the request may get further
//! fields.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::request::{AuditRequest, Expected, Recheck, SampleRequest, SampleSize, Statement};
use crate::model::{AccountId, Checkpoint, Depth, ObjectRef, OrganizationId, Region, TimeRange, TrailArn};
use crate::records::Allowances;
use crate::store::Location;

/// The reason why a request can't be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no location to look for digests.
    #[error("the request has no location in which digests are looked for")]
    NoLocation,
    /// The range ends before it begins, or is empty.
    #[error("the range ends at {end}, which is not after its start, {start}")]
    Range {
        /// The start of the range.
        start: Timestamp,
        /// The end of the range.
        end: Timestamp,
    },
    /// No object could be read.
    #[error("the number of objects that are read at once is zero")]
    Concurrency,
    /// A sample of log files, at a depth that reads none.
    #[error("a sample is of log files that are read, and the depth {0} reads none")]
    Sample(Depth),
    /// A percentage is not one.
    #[error("{0} is not a percentage between 0 and 100")]
    Percent(f64),
}

/// A builder of an [`AuditRequest`], made by [`AuditRequest::builder`].
#[derive(Debug, Clone)]
pub struct AuditRequestBuilder {
    request: AuditRequest,
}

impl AuditRequest {
    /// Returns a builder of a request that is made at the time `now`.
    pub fn builder(now: Timestamp) -> AuditRequestBuilder {
        AuditRequestBuilder::new(now)
    }
}

impl AuditRequestBuilder {
    fn new(now: Timestamp) -> Self {
        Self { request: AuditRequest::new(TimeRange::default(), now) }
    }

    fn with(mut self, change: impl FnOnce(&mut AuditRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Adds locations where digests are looked for. At least one is needed.
    #[must_use]
    pub fn locations(self, locations: impl IntoIterator<Item = Location>) -> Self {
        self.with(|request| request.locations.extend(locations))
    }

    /// Sets the time range to verify. Without one, everything is verified.
    #[must_use]
    pub fn range(self, range: TimeRange) -> Self {
        self.with(|request| request.range = range)
    }

    /// Sets the only trail to verify. Without one, every trail at the locations is verified.
    #[must_use]
    pub fn trail(self, trail: TrailArn) -> Self {
        self.with(|request| request.trail = Some(trail))
    }

    /// States whether the trail is an organization's, if CloudTrail said so.
    #[must_use]
    pub fn is_organization(self, is_organization: bool) -> Self {
        self.with(|request| request.is_organization = Some(is_organization))
    }

    /// Sets the only organization whose folder is examined.
    #[must_use]
    pub fn organization(self, organization: OrganizationId) -> Self {
        self.with(|request| request.organization = Some(organization))
    }

    /// Adds accounts to which the audit is limited.
    #[must_use]
    pub fn accounts(self, accounts: impl IntoIterator<Item = AccountId>) -> Self {
        self.with(|request| request.accounts.extend(accounts))
    }

    /// Adds regions to which the audit is limited.
    #[must_use]
    pub fn regions(self, regions: impl IntoIterator<Item = Region>) -> Self {
        self.with(|request| request.regions.extend(regions))
    }

    /// Adds log files to which the audit is limited. Locations and range are then derived from
    /// their names.
    #[must_use]
    pub fn files(self, files: impl IntoIterator<Item = ObjectRef>) -> Self {
        self.with(|request| request.files.extend(files))
    }

    /// Sets the accounts and regions that must have chains.
    #[must_use]
    pub fn expected(self, expected: Expected) -> Self {
        self.with(|request| request.expected = expected)
    }

    /// Sets the depth of the verification; [`Depth::Content`] by default.
    #[must_use]
    pub fn depth(self, depth: Depth) -> Self {
        self.with(|request| request.depth = depth)
    }

    /// Sets the number of objects that are read at once.
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        self.with(|request| request.concurrency = concurrency)
    }

    /// Sets the part of the log files that is read, if not all.
    #[must_use]
    pub fn sample(self, sample: SampleRequest) -> Self {
        self.with(|request| request.sample = Some(sample))
    }

    /// Sets the uncompressed size up to which a log file is read, in bytes.
    #[must_use]
    pub fn max_log_file_bytes(self, bytes: u64) -> Self {
        self.with(|request| request.max_log_file_bytes = bytes)
    }

    /// Sets the findings that do not count for the verdict.
    #[must_use]
    pub fn allowed(self, allowed: Allowances) -> Self {
        self.with(|request| request.allowed = allowed)
    }

    /// Sets the time after its hour at which the absence of a digest begins to count; two hours by
    /// default.
    #[must_use]
    pub fn grace(self, grace: SignedDuration) -> Self {
        self.with(|request| request.grace = grace)
    }

    /// Sets the checkpoint of earlier runs, whose chains are continued.
    #[must_use]
    pub fn checkpoint(self, checkpoint: Arc<Checkpoint>) -> Self {
        self.with(|request| request.checkpoint = Some(checkpoint))
    }

    /// Sets the part of the earlier runs' results that is verified once more.
    #[must_use]
    pub fn recheck(self, recheck: Recheck) -> Self {
        self.with(|request| request.recheck = Some(recheck))
    }

    /// Sets the statements of the run record about endpoints, keys and settings.
    #[must_use]
    pub fn statement(self, statement: Statement) -> Self {
        self.with(|request| request.statement = statement)
    }

    /// Builds the request.
    ///
    /// # Errors
    ///
    /// Fails if nothing could be verified: see [`RequestError`].
    pub fn build(self) -> Result<AuditRequest, RequestError> {
        let request = self.request;
        if request.locations.is_empty() && request.files.is_empty() {
            return Err(RequestError::NoLocation);
        }
        if let TimeRange { start: Some(start), end: Some(end) } = request.range
            && end <= start
        {
            return Err(RequestError::Range { start, end });
        }
        if request.concurrency == 0 {
            return Err(RequestError::Concurrency);
        }
        if request.sample.is_some() && request.depth != Depth::Content {
            return Err(RequestError::Sample(request.depth));
        }
        let sampled = request.sample.and_then(|sample| match sample.size {
            SampleSize::Percent(percent) => Some(percent),
            SampleSize::Files(_) => None,
        });
        let rechecked = request.recheck.map(|recheck| recheck.percent);
        match [sampled, rechecked].into_iter().flatten().find(|percent| !(0.0..=100.0).contains(percent)) {
            Some(percent) => Err(RequestError::Percent(percent)),
            None => Ok(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_a_location() -> AuditRequestBuilder {
        let location = Location { bucket: "bucket".to_owned(), root: crate::model::LogRoot::default() };
        AuditRequest::builder(Timestamp::UNIX_EPOCH).locations([location])
    }

    #[test]
    fn a_request_by_which_nothing_could_be_verified_is_refused() {
        let (start, end) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let sample = |percent| SampleRequest { size: SampleSize::Percent(percent), seed: 1 };
        let recheck = |percent| Recheck { percent, seed: 1 };
        let range = TimeRange { start: Some(start), end: Some(end) };
        for (builder, expected) in [
            (AuditRequest::builder(Timestamp::UNIX_EPOCH), Some(RequestError::NoLocation)),
            (at_a_location(), None),
            (at_a_location().range(range), Some(RequestError::Range { start, end })),
            (at_a_location().concurrency(0), Some(RequestError::Concurrency)),
            (at_a_location().depth(Depth::Chain).sample(sample(1.0)), Some(RequestError::Sample(Depth::Chain))),
            (at_a_location().sample(sample(101.0)), Some(RequestError::Percent(101.0))),
            (at_a_location().recheck(recheck(-1.0)), Some(RequestError::Percent(-1.0))),
            (at_a_location().sample(sample(100.0)).recheck(recheck(0.0)), None),
        ] {
            assert_eq!(builder.build().err(), expected);
        }
        assert!(matches!(at_a_location().recheck(recheck(f64::NAN)).build(), Err(RequestError::Percent(_))));
    }
}
