//! Detection of a cut tail. Someone who removes a chain's newest digests leaves no successor that
//! names them, but CloudTrail itself states the time of its last delivery.
//!
//! That a delivery's time lies within minutes of that digest's `LastModified` is an inference, not
//! documented, so the bar for an accusation is high: no digest may account for the delivery, and
//! either every one is older than it, or the newest one covers a time long before it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::audit::chain::follow::judge_digests;
use crate::audit::digests::entry::{ChainEntry, EntryState};
use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::listing::digests::{self, RegionFolder};
use crate::audit::request::DELIVERY_TIME;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DigestKind, DigestStatus, Fault, GapCause, GapRecord, TimeRange, earlier, later};
use crate::trail::TrailStatus;

/// The longest time between a delivery and the `LastModified` of the object that it delivered.
const SAME_DELIVERY: SignedDuration = SignedDuration::from_mins(15);

impl Context {
    /// Returns CloudTrail's statement about this chain, if it can make one.
    pub fn status_of(&self, chain: &ChainId) -> Option<&Result<TrailStatus, String>> {
        let own = self.request.trail.as_ref().is_some_and(|arn| arn.account == chain.account && chain.belongs_to(arn))
            // The status concerns the folder that the trail delivers to now.
            && self.request.is_organization.is_none_or(|is| is == chain.organization.is_some());
        self.statuses.get(&chain.region).filter(|_| own)
    }
}

/// The longest time before a delivery at which the digest's own hour may have ended, or a backfill
/// digest been generated. An older digest that is copied over itself at the right moment accounts
/// for no delivery.
const DELIVERED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

impl Context {
    /// Returns the time at which CloudTrail last delivered a digest of this chain, if that concerns
    /// the range and the listing shows the chain's newest digest.
    fn last_delivery(&self, chain: &ChainId, entries: &[ChainEntry]) -> Option<Timestamp> {
        let status = self.status_of(chain)?.as_ref().ok()?;
        let delivery = status.latest_digest_delivery?;
        if self.range.start.is_some_and(|start| delivery <= start) {
            return None;
        }
        // The listing continues past the range to the next digest: if one is there, newer ones may
        // exist.
        let has_later = || entries.iter().any(|entry| entry.absence().is_none() && self.range.is_past(entry.end()));
        (!self.range.is_past(delivery) || !has_later()).then_some(delivery)
    }
}

/// Describes how the tail of the chain was cut; `None` if nothing shows that it was. `lost_all` is
/// true if a chain without any digest is known to have had some.
pub(crate) fn cut(chain: &ChainId, entries: &[ChainEntry], lost_all: bool, context: &Context) -> Option<String> {
    let delivery = context.last_delivery(chain, entries)?;
    let said = format!("CloudTrail says that it last delivered a digest at {delivery}");
    let counted = || entries.iter().filter(|entry| counts(entry) && entry.end() <= context.request.now);
    let Some(newest) = counted().map(ChainEntry::end).max() else {
        return lost_all.then(|| format!("{said}, and no digest of it is there"));
    };
    // A digest that could not be verified may be the delivered one; it leaves the verdict open by
    // itself.
    if entries.iter().any(|entry| may_be_genuine(entry) && accounts_for(entry, delivery)) {
        return None;
    }
    let written: Vec<Timestamp> = counted().filter_map(|entry| entry.last_modified).collect();
    let all_older = written.iter().all(|at| later(*at, SAME_DELIVERY) < delivery);
    let long_before = later(newest, DELIVERY_TIME) < delivery;
    let cut = (all_older && !written.is_empty()) || long_before;
    cut.then(|| format!("{said}, and the newest one there speaks of the time up to {newest}: later ones were removed"))
}

/// Returns whether a digest is valid or could not be verified.
fn may_be_genuine(entry: &ChainEntry) -> bool {
    match &entry.state {
        EntryState::Valid(_) => true,
        EntryState::Rejected(digest) => digest.rejection.status == DigestStatus::Unverified,
        EntryState::Absent(..) => false,
    }
}

/// Returns whether this digest may be the one that was delivered at this time.
fn accounts_for(entry: &ChainEntry, delivery: Timestamp) -> bool {
    let Some(written) = entry.last_modified else { return false };
    let speaks_of = match entry.kind {
        DigestKind::Standard => Some(entry.end()),
        DigestKind::Backfill => entry.remarks.as_ref().and_then(|remarks| remarks.generated),
    };
    let earliest = earlier(delivery, DELIVERED_WITHIN);
    written.duration_since(delivery).abs() <= SAME_DELIVERY && speaks_of.is_some_and(|time| time >= earliest)
}

/// Returns whether a chain without any digest had some: log files from long before the last
/// delivery exist, or an earlier run has seen a digest, and no lifecycle rule explains the loss. To
/// be called only if no digest exists.
pub(crate) async fn lost_all(
    chain: &ChainId,
    entries: &[ChainEntry],
    folders: &[RegionFolder],
    context: &Context,
) -> bool {
    let Some(delivery) = context.last_delivery(chain, entries) else { return false };
    if entries.iter().any(counts) {
        return false;
    }
    let long_before = earlier(delivery, DELIVERY_TIME);
    let mut has_old_files = context.resume.is_some();
    for folder in folders {
        let rules = context.lifecycle_rules(&folder.location.bucket).await.unwrap_or_default();
        let prefix = folder.prefix();
        if rules.iter().any(|rule| rule.applies_to(&prefix) && rule.has_removed(delivery, context.request.now)) {
            return false;
        }
        let mut listing = context.log_files().begin_whole(folder);
        while !has_old_files && let Ok(Some(files)) = listing.next_page(context.store.as_ref()).await {
            has_old_files = files.iter().any(|file| file.name.to < long_before);
        }
    }
    has_old_files
}

/// Returns whether a digest from before the range accounts for the last delivery: a late one, or a
/// backfill digest. To be called only if the tail looks cut: it lists the whole chain, and reads
/// the digests that were written at the time of the delivery.
pub(crate) async fn accounted_before_range(
    chain: &Arc<ChainId>,
    folders: &[RegionFolder],
    entries: &[ChainEntry],
    context: &Arc<Context>,
) -> Result<bool, AuditError> {
    let Some(delivery) = context.last_delivery(chain, entries) else { return Ok(false) };
    let whole = TimeRange { start: None, end: context.range.end };
    for folder in folders {
        let listing = digests::digests(context.store.as_ref(), folder, &whole, &context.request).await;
        // An incomplete listing may have omitted it.
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
        let judged = judge_digests(&around, chain, place, near.iter().collect(), &mut Admission::apart()).await?;
        if judged.entries.iter().any(|entry| may_be_genuine(entry) && accounts_for(entry, delivery)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether a digest may account for a delivery: a valid one, or one that could not be
/// verified. An object without a signature of CloudTrail's, which anyone may have put there,
/// accounts for nothing.
fn counts(entry: &ChainEntry) -> bool {
    match &entry.state {
        EntryState::Valid(_) => true,
        EntryState::Rejected(digest) => {
            let unsigned = matches!(
                digest.rejection.fault,
                Fault::SignatureMissing | Fault::SignatureMismatch | Fault::UnknownSignatureAlgorithm
            );
            digest.rejection.status == DigestStatus::Unverified && !unsigned
        }
        EntryState::Absent(..) => false,
    }
}

/// Adds CloudTrail's statements to the detail of a gap.
pub(crate) fn describe_gap(gap: &mut GapRecord, context: &Context) {
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
