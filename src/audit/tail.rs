//! The cut tail: whoever removes a chain's newest digests leaves no successor that names them. What CloudTrail itself says of its
//! last delivery tells.
//!
//! That a delivery's time lies within minutes of that digest's `LastModified` is an inference, not documented, so it takes
//! much to accuse: no digest may account for the delivery, and either every one is older than it, or the newest one
//! speaks of a time long before it.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::context::{Context, Statuses};
use super::element::{Element, State};
use super::listed::ListedDigests;
use super::listing::{self, RegionFolder};
use super::request::{AuditRequest, DELIVERY_TIME};
use crate::model::{ChainId, DigestStatus, Fault, GapCause, GapRecord, Region, TimeRange, WarningCode, WarningRecord};
use crate::trail::{StatusSource, TrailStatus};

/// How far apart the time of a delivery and the time of the object may lie.
const SAME_DELIVERY: SignedDuration = SignedDuration::from_mins(15);

/// Asks in each region in which the trail's own account may have digests. To be read before digests are listed: what is
/// delivered in between must not look as if it was missing.
pub(super) async fn ask(
    source: Option<&dyn StatusSource>,
    request: &AuditRequest,
    regions: &BTreeSet<&Region>,
) -> Statuses {
    let (Some(source), Some(arn)) = (source, &request.trail) else { return Statuses::new() };
    if !request.wants_account(&arn.account) {
        return Statuses::new();
    }
    stream::iter(regions.iter().copied().cloned())
        .map(|region| async move {
            let status = source.status(&region).await;
            (region, status)
        })
        .buffer_unordered(request.concurrency)
        .collect()
        .await
}

/// The warnings for regions of which nothing is known.
pub(super) fn warnings(statuses: &Statuses) -> impl Iterator<Item = WarningRecord> {
    statuses.iter().filter_map(|(region, status)| {
        let reason = status.as_ref().err()?;
        let detail = format!("whether the newest digests of {region} were removed can't be told: {reason}");
        Some(WarningRecord { code: WarningCode::StatusUnavailable, bucket: None, key: None, detail })
    })
}

impl Context {
    /// What CloudTrail says of this chain, if it can say anything of it.
    pub fn status_of(&self, chain: &ChainId) -> Option<&Result<TrailStatus, String>> {
        let own = self.request.trail.as_ref().is_some_and(|arn| arn.account == chain.account && chain.belongs_to(arn))
            // It speaks of the folder that the trail delivers to now.
            && self.request.is_organization.is_none_or(|is| is == chain.organization.is_some());
        self.statuses.get(&chain.region).filter(|_| own)
    }
}

/// Says how the tail of the chain was cut; `None` where nothing shows that it was.
pub(super) fn cut(chain: &ChainId, elements: &[Element], context: &Context) -> Option<String> {
    let status = context.status_of(chain)?.as_ref().ok()?;
    let delivery = status.latest_digest_delivery?;
    let asked = context.range.start.is_none_or(|start| start < delivery) && !context.range.is_past(delivery);
    if !asked {
        return None;
    }
    let said = format!("CloudTrail says that it last delivered a digest at {delivery}");
    let counted = || elements.iter().filter(|element| counts(element) && element.end() <= context.request.now);
    let written: Vec<Timestamp> = counted().filter_map(|element| element.last_modified).collect();
    let Some(newest) = counted().map(Element::end).max() else {
        return Some(format!("{said}, and no digest of it is there"));
    };
    if written.iter().any(|at| at.duration_since(delivery).abs() <= SAME_DELIVERY) {
        return None;
    }
    let all_older = written.iter().all(|at| *at < delivery);
    let long_before = newest.saturating_add(DELIVERY_TIME).unwrap_or(newest) < delivery;
    let cut = (all_older && !written.is_empty()) || long_before;
    cut.then(|| format!("{said}, and the newest one there speaks of the time up to {newest}: later ones were removed"))
}

/// Whether a digest from before the range accounts for the last delivery: a late one, or a backfill digest. To be asked only where
/// the tail looks cut: it lists the whole chain.
pub(super) async fn accounted_before_range(chain: &ChainId, folders: &[RegionFolder], context: &Context) -> bool {
    let status = context.status_of(chain).and_then(|status| status.as_ref().ok());
    let Some(delivery) = status.and_then(|status| status.latest_digest_delivery) else { return false };
    let whole = TimeRange { start: None, end: context.range.end };
    for folder in folders {
        let listing = listing::digests(context.store.as_ref(), folder, &whole, &context.request).await;
        let own = listing.digests.get(chain).into_iter().flat_map(ListedDigests::iter);
        let mut written = own.filter_map(|digest| digest.last_modified);
        // A listing that broke off could have shown it.
        if listing.failure.is_some() || written.any(|at| at.duration_since(delivery).abs() <= SAME_DELIVERY) {
            return true;
        }
    }
    false
}

/// Whether a digest may account for a delivery: a valid one, or one that nobody could judge. What someone put there without a
/// signature of CloudTrail's accounts for nothing.
fn counts(element: &Element) -> bool {
    match &element.state {
        State::Valid(_) => true,
        State::Rejected(digest) => {
            let unsigned = matches!(
                digest.rejection.fault,
                Fault::SignatureMissing | Fault::SignatureMismatch | Fault::UnknownSignatureAlgorithm
            );
            digest.rejection.status == DigestStatus::Unverified && !unsigned
        }
        State::Absent(..) => false,
    }
}

/// Adds to a gap what CloudTrail says of it.
pub(super) fn tell_of_gap(gap: &mut GapRecord, context: &Context) {
    if !matches!(gap.cause, GapCause::LoggingStopped | GapCause::AfterLastDigest | GapCause::NoDigests) {
        return;
    }
    match context.status_of(&gap.chain) {
        Some(Ok(status)) => {
            if let Some(stopped) = status.logging_stopped {
                gap.detail += &format!("; CloudTrail says that logging was last stopped at {stopped}");
            }
            if let Some(started) = status.logging_started {
                gap.detail += &format!("; CloudTrail says that logging was last started at {started}");
            }
            if let Some(error) = &status.digest_delivery_error {
                gap.detail += &format!("; CloudTrail could not deliver the last digest: {error}");
            }
        }
        Some(Err(reason)) if gap.cause != GapCause::LoggingStopped => {
            gap.detail += &format!("; whether digests were removed here can't be told: {reason}");
        }
        _ => {}
    }
}
