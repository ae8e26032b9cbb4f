//! What CloudTrail says about the delivery of the trail's own digests, asked region by region.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use jiff::SignedDuration;

use crate::audit::request::AuditRequest;
use crate::audit::shared::context::Statuses;
use crate::model::{Region, WarningCode, WarningRecord};
use crate::trail::{StatusSource, TrailStatus};

/// Asks in each region in which the trail's own account may have digests. To be read before digests are listed: what is
/// delivered in between must not look as if it was missing.
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

/// How long after a checkpoint's last probe the regions that may be there are asked again.
const PROBED_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Returns whether the regions in which the trail may have digests are asked in this run: where a checkpoint
/// is kept, once a day.
pub(crate) fn probes(request: &AuditRequest) -> bool {
    let last = request.checkpoint.as_ref().and_then(|checkpoint| checkpoint.regions_asked);
    !request.expected.maybe_own_regions.is_empty()
        && last.is_none_or(|last| request.now.duration_since(last) >= PROBED_EVERY)
}

/// Asks in the regions in which the trail may have digests, where nobody could say which are enabled. Those
/// that are not enabled, or give no answer, are left out; if none gives any, that is said.
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
        // One stands for all.
        let first = known.pop_first();
        known = first.into_iter().collect();
    }
    known
}

/// The warnings for regions of which nothing is known.
pub(crate) fn warnings(statuses: &Statuses) -> impl Iterator<Item = WarningRecord> {
    statuses.iter().filter_map(|(region, status)| {
        let reason = status.as_ref().err()?;
        let detail = format!("whether the newest digests of {region} were removed can't be told: {reason}");
        Some(WarningRecord { code: WarningCode::StatusUnavailable, bucket: None, key: None, detail })
    })
}
