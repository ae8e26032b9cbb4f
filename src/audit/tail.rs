//! The cut tail: whoever removes a chain's newest digests leaves no successor that names them. What CloudTrail itself says of its
//! last delivery tells.
//!
//! That a delivery's time lies within minutes of that digest's `LastModified` is an inference, not documented, so it takes
//! much to accuse: no digest may account for the delivery, and either every one is older than it, or the newest one
//! speaks of a time long before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::context::{Context, Statuses};
use super::element::{Element, State};
use super::error::AuditError;
use super::listed::{ListedDigest, ListedDigests};
use super::listing::{self, RegionFolder};
use super::log_listing::{Listing, LogRegion};
use super::request::{AuditRequest, DELIVERY_TIME};
use super::room::Seat;
use super::walk::judge_digests;
use crate::model::{
    ChainId, DigestKind, DigestStatus, Fault, GapCause, GapRecord, LOG_FOLDER, Region, TimeRange, WarningCode,
    WarningRecord,
};
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
pub(super) fn probes(request: &AuditRequest) -> bool {
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
    let told = answers.into_iter().filter_map(|(region, answer)| match answer {
        Ok(Some(status)) => Some((region, Ok(status))),
        Ok(None) => None,
        Err(reason) => all_failed.then_some((region, Err(reason))),
    });
    let mut told: Statuses = told.collect();
    if all_failed {
        // One stands for all.
        let first = told.pop_first();
        told = first.into_iter().collect();
    }
    told
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

/// How long before a delivery the digest's own hour may have ended, or a backfill digest been generated. An
/// older one that is copied over itself at the right moment accounts for nothing.
const DELIVERED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

impl Context {
    /// When CloudTrail last delivered a digest of this chain, where that speaks of the range and what was
    /// listed of it shows the chain's newest digest.
    fn last_delivery(&self, chain: &ChainId, elements: &[Element]) -> Option<Timestamp> {
        let status = self.status_of(chain)?.as_ref().ok()?;
        let delivery = status.latest_digest_delivery?;
        if self.range.start.is_some_and(|start| delivery <= start) {
            return None;
        }
        // The listing goes on past the range to the next digest: where one is there, newer ones may be.
        let has_later =
            || elements.iter().any(|element| element.absence().is_none() && self.range.is_past(element.end()));
        (!self.range.is_past(delivery) || !has_later()).then_some(delivery)
    }
}

/// Says how the tail of the chain was cut; `None` where nothing shows that it was. `lost_all`: whether a
/// chain of which no digest is there is known to have had some.
pub(super) fn cut(chain: &ChainId, elements: &[Element], lost_all: bool, context: &Context) -> Option<String> {
    let delivery = context.last_delivery(chain, elements)?;
    let said = format!("CloudTrail says that it last delivered a digest at {delivery}");
    let counted = || elements.iter().filter(|element| counts(element) && element.end() <= context.request.now);
    let Some(newest) = counted().map(Element::end).max() else {
        return lost_all.then(|| format!("{said}, and no digest of it is there"));
    };
    // One that nobody could judge may be the one that was delivered: it leaves the verdict open by itself.
    if elements.iter().any(|element| may_be_genuine(element) && accounts_for(element, delivery)) {
        return None;
    }
    let written: Vec<Timestamp> = counted().filter_map(|element| element.last_modified).collect();
    let all_older = written.iter().all(|at| at.saturating_add(SAME_DELIVERY).unwrap_or(*at) < delivery);
    let long_before = newest.saturating_add(DELIVERY_TIME).unwrap_or(newest) < delivery;
    let cut = (all_older && !written.is_empty()) || long_before;
    cut.then(|| format!("{said}, and the newest one there speaks of the time up to {newest}: later ones were removed"))
}

/// Returns whether a digest is valid, or nobody could judge it.
fn may_be_genuine(element: &Element) -> bool {
    match &element.state {
        State::Valid(_) => true,
        State::Rejected(digest) => digest.rejection.status == DigestStatus::Unverified,
        State::Absent(..) => false,
    }
}

/// Returns whether this digest may be the one of the delivery.
fn accounts_for(element: &Element, delivery: Timestamp) -> bool {
    let Some(written) = element.last_modified else { return false };
    let speaks_of = match element.kind {
        DigestKind::Standard => Some(element.end()),
        DigestKind::Backfill => element.remarks.as_ref().and_then(|remarks| remarks.generated),
    };
    let earliest = delivery.saturating_sub(DELIVERED_WITHIN).unwrap_or(delivery);
    written.duration_since(delivery).abs() <= SAME_DELIVERY && speaks_of.is_some_and(|time| time >= earliest)
}

/// Returns whether a chain without any digest had some: log files from long before the last delivery lie
/// there, or an earlier run has seen a digest, and no lifecycle rule explains that they are gone. To be asked
/// only where no digest is there.
pub(super) async fn lost_all(
    chain: &ChainId,
    elements: &[Element],
    folders: &[RegionFolder],
    context: &Context,
) -> bool {
    let Some(delivery) = context.last_delivery(chain, elements) else { return false };
    if elements.iter().any(counts) {
        return false;
    }
    let long_before = delivery.saturating_sub(DELIVERY_TIME).unwrap_or(delivery);
    let mut has_old_files = context.resume.is_some();
    for folder in folders {
        let rules = context.lifecycle_rules(&folder.location.bucket).await.unwrap_or_default();
        let prefix = folder.prefix();
        if rules.iter().any(|rule| rule.applies_to(&prefix) && rule.has_removed(delivery, context.request.now)) {
            return false;
        }
        let mut listing =
            Listing::new(&LogRegion::of(folder, LOG_FOLDER), Timestamp::UNIX_EPOCH, context.request.now, context);
        while !has_old_files && let Ok(Some(files)) = listing.next_page(context.store.as_ref()).await {
            has_old_files = files.iter().any(|file| file.name.to < long_before);
        }
    }
    has_old_files
}

/// Whether a digest from before the range accounts for the last delivery: a late one, or a backfill digest. To be asked only where
/// the tail looks cut: it lists the whole chain, and reads the digests that were written at the time of the delivery.
pub(super) async fn accounted_before_range(
    chain: &Arc<ChainId>,
    folders: &[RegionFolder],
    elements: &[Element],
    context: &Arc<Context>,
) -> Result<bool, AuditError> {
    let Some(delivery) = context.last_delivery(chain, elements) else { return Ok(false) };
    let whole = TimeRange { start: None, end: context.range.end };
    for folder in folders {
        let listing = listing::digests(context.store.as_ref(), folder, &whole, &context.request).await;
        // A listing that broke off could have shown it.
        if listing.failure.is_some() {
            return Ok(true);
        }
        let own = listing.digests.get(chain.as_ref()).into_iter().flat_map(ListedDigests::iter);
        let is_near = |digest: &ListedDigest| {
            digest.last_modified.is_some_and(|at| at.duration_since(delivery).abs() <= SAME_DELIVERY)
        };
        let near: Vec<ListedDigest> = own.filter(is_near).collect();
        if near.is_empty() {
            continue;
        }
        let around = Arc::new(context.with_range(whole));
        let place = std::slice::from_ref(folder);
        let judged = judge_digests(&around, chain, place, near.iter().collect(), &mut Seat::apart()).await?;
        if judged.elements.iter().any(|element| may_be_genuine(element) && accounts_for(element, delivery)) {
            return Ok(true);
        }
    }
    Ok(false)
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
