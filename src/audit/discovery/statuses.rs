//! CloudTrail's statements about the delivery of the trail's own digests, requested region by
//! region.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};
use jiff::SignedDuration;

use crate::audit::request::AuditRequest;
use crate::audit::shared::context::Statuses;
use crate::model::{Region, WarningCode};
use crate::records::{WarningRecord, format_time as time};
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

/// Returns the warnings for regions whose status is unknown, and for what CloudTrail says of the others:
/// that the trail is not logging, or that it could not deliver.
pub(crate) fn warnings(statuses: &Statuses) -> impl Iterator<Item = WarningRecord> {
    let warning = |code, detail| WarningRecord { code, bucket: None, key: None, detail };
    let unknown = statuses.iter().filter_map(move |(region, status)| {
        let reason = status.as_ref().err()?;
        let detail = format!("whether the newest digests of {region} were removed can't be told: {reason}");
        Some(warning(WarningCode::StatusUnavailable, detail))
    });
    let told = complaints(statuses).into_iter().map(move |((code, what, advice), regions)| {
        let regions: Vec<&str> = regions.into_iter().map(Region::as_str).collect();
        warning(code, format!("CloudTrail says that {what}, in {}: {advice}", regions.join(", ")))
    });
    unknown.chain(told)
}

/// A complaint of CloudTrail: its code, its words, and the advice.
type Complaint = (WarningCode, String, &'static str);

/// The complaints of CloudTrail about the trail's delivery, each with its regions.
fn complaints(statuses: &Statuses) -> BTreeMap<Complaint, Vec<&Region>> {
    let mut complaints: BTreeMap<Complaint, Vec<&Region>> = BTreeMap::new();
    for (region, status) in statuses {
        let Ok(status) = status else { continue };
        let mut add = |code, what: String, advice| complaints.entry((code, what, advice)).or_default().push(region);
        if status.is_logging == Some(false) {
            let since = status.logging_stopped.map(|at| format!(" since {}", time(at))).unwrap_or_default();
            let advice = "start it again with 'aws cloudtrail start-logging' in its home region, if it is to log";
            add(WarningCode::NotLogging, format!("the trail is not logging{since}"), advice);
            // Errors from before it was stopped are none of today's.
            continue;
        }
        for (error, what, advice) in [
            (&status.delivery_error, "log files", TO_BUCKET),
            (&status.digest_delivery_error, "digests", TO_BUCKET),
            (&status.log_group_error, "events to CloudWatch Logs", TO_LOG_GROUP),
        ] {
            if let Some(error) = error {
                add(WarningCode::DeliveryFailed, format!("it could not deliver {what} ({error})"), advice);
            }
        }
    }
    complaints
}

const TO_BUCKET: &str = "see whether the bucket exists, and whether its policy and its KMS key let CloudTrail write";
const TO_LOG_GROUP: &str = "see whether the log group exists, and whether the trail's role may write to it";

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(status: &TrailStatus, regions: &[&str]) -> Vec<(WarningCode, String)> {
        let statuses = regions.iter().map(|region| (region.parse().unwrap(), Ok(status.clone())));
        warnings(&statuses.collect()).map(|warning| (warning.code, warning.detail)).collect()
    }

    #[test]
    fn what_cloudtrail_complains_of_is_a_warning_for_all_its_regions() {
        let fine = TrailStatus { is_logging: Some(true), ..TrailStatus::default() };
        assert_eq!(warned(&fine, &["us-east-1"]), []);
        let stopped = "2026-03-01T00:00:00Z".parse().ok();
        let stopped = TrailStatus {
            is_logging: Some(false),
            logging_stopped: stopped,
            delivery_error: Some("NoSuchBucket".to_owned()),
            ..TrailStatus::default()
        };
        let found = warned(&stopped, &["eu-west-1", "us-east-1"]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, WarningCode::NotLogging);
        let says =
            "CloudTrail says that the trail is not logging since 2026-03-01T00:00:00Z, in eu-west-1, us-east-1: ";
        assert!(found[0].1.starts_with(says), "{}", found[0].1);
        let failing = TrailStatus {
            is_logging: Some(true),
            delivery_error: Some("AccessDenied".to_owned()),
            digest_delivery_error: Some("AccessDenied".to_owned()),
            log_group_error: Some("ResourceNotFoundException".to_owned()),
            ..TrailStatus::default()
        };
        let found = warned(&failing, &["us-east-1"]);
        assert!(found.iter().all(|(code, _)| *code == WarningCode::DeliveryFailed), "{found:?}");
        for says in
            ["log files (AccessDenied)", "digests (AccessDenied)", "CloudWatch Logs (ResourceNotFoundException)"]
        {
            assert!(found.iter().any(|(_, detail)| detail.contains(says)), "{says}: {found:?}");
        }
    }
}
