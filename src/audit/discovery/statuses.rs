//! CloudTrail's statements about the delivery of the trail's own digests, requested region by
//! region.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use jiff::SignedDuration;

use crate::audit::request::AuditRequest;
use crate::audit::shared::context::Statuses;
use crate::model::{Region, WarningCode};
use crate::records::WarningRecord;
use crate::trail::{StatusSource, TrailStatus};

/// Requests the status in each region in which the trail's own account may have digests. Must be
/// called before digests are listed: one that is delivered in between must not look missing.
pub(crate) async fn ask(
    source: Option<&dyn StatusSource>,
    request: &AuditRequest,
    regions: &BTreeSet<&Region>,
) -> Statuses {
    let (Some(source), Some(arn)) = (source, &request.trail) else { return Statuses::new() };
    if !request.wants_account(&arn.account) {
        return Statuses::new();
    }
    let asked = regions.iter().filter(|region| region.partition() == arn.partition);
    let known = stream::iter(asked.copied().cloned()).map(|region| async move {
        let status = source.status(&region).await;
        (region, status)
    });
    let mut statuses: Statuses = known.buffer_unordered(request.concurrency).collect().await;
    statuses.extend(probe(source, request, &statuses).await);
    statuses
}

/// The shortest time between two probes of the regions that may be enabled, if a checkpoint is
/// kept.
const PROBED_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Returns whether this run probes the regions in which the trail may have digests: once a day, if
/// a checkpoint is kept.
pub(crate) fn probes(request: &AuditRequest) -> bool {
    let last = request.checkpoint.as_ref().and_then(|checkpoint| checkpoint.regions_asked);
    !request.expected.maybe_own_regions.is_empty()
        && last.is_none_or(|last| request.now.duration_since(last) >= PROBED_EVERY)
}

/// Probes the regions in which the trail may have digests, if it is unknown which are enabled.
/// Omits those that are not enabled or give no answer; if none gives an answer, returns one error.
async fn probe(source: &dyn StatusSource, request: &AuditRequest, known: &Statuses) -> Statuses {
    if !probes(request) {
        return Statuses::new();
    }
    let regions = request.expected.maybe_own_regions.iter().filter(|region| !known.contains_key(region));
    let regions: Vec<Region> = regions.cloned().collect();
    let answers: Vec<(Region, Result<Option<TrailStatus>, String>)> = stream::iter(regions)
        .map(|region| async move {
            let answer = source.probe(&region).await;
            (region, answer)
        })
        .buffer_unordered(request.concurrency)
        .collect()
        .await;
    let all_failed = !answers.is_empty() && answers.iter().all(|(_, answer)| answer.is_err());
    let known = answers.into_iter().filter_map(|(region, answer)| match answer {
        Ok(Some(status)) => Some((region, Ok(status))),
        Ok(None) => None,
        Err(reason) => all_failed.then_some((region, Err(reason))),
    });
    let mut known: Statuses = known.collect();
    if all_failed {
        // One error represents all of them.
        let first = known.pop_first();
        known = first.into_iter().collect();
    }
    known
}

/// Returns the warnings for regions whose status is unknown.
pub(crate) fn warnings(statuses: &Statuses) -> impl Iterator<Item = WarningRecord> {
    statuses.iter().filter_map(|(region, status)| {
        let reason = status.as_ref().err()?;
        let detail = format!("whether the newest digests of {region} were removed can't be told: {reason}");
        Some(WarningRecord { code: WarningCode::StatusUnavailable, bucket: None, key: None, detail })
    })
}
