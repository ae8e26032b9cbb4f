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
use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::request::DELIVERY_TIME;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DigestKind, DigestStatus, Fault, GapCause, TimeRange, earlier, later};
use crate::records::GapRecord;
use crate::trail::TrailStatus;

/// The longest time between a delivery and the `LastModified` of the object that it delivered.
const SAME_DELIVERY: SignedDuration = SignedDuration::from_mins(15);

impl Context {
    /// Returns CloudTrail's statement about this chain, if it can make one.
    pub(crate) fn status_of(&self, chain: &ChainId) -> Option<&Result<TrailStatus, String>> {
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
        let has_later =
            || entries.iter().any(|entry| entry.absence().is_none() && self.range.is_after_end(entry.end()));
        (!self.range.is_after_end(delivery) || !has_later()).then_some(delivery)
    }
}

/// Describes how the tail of the chain was cut; `None` if nothing shows that it was. `lost_all` is
/// true if a chain without any digest is known to have had some.
pub(crate) fn cut(chain: &ChainId, entries: &[ChainEntry], lost_all: bool, context: &Context) -> Option<String> {
    let delivery = context.last_delivery(chain, entries)?;
    cut_before(delivery, entries, lost_all, context.request.now)
}

/// A digest, as far as the question depends on it whether the tail was cut.
trait TailDigest {
    /// The end of its period.
    fn end(&self) -> Timestamp;
    /// The time at which S3 last wrote it, if known.
    fn last_modified(&self) -> Option<Timestamp>;
    /// The time at which it can have been delivered at the earliest: the end of its hour, or the
    /// time at which a backfill digest was generated.
    fn ready_at(&self) -> Option<Timestamp>;
    /// Returns whether it is valid or could not be verified.
    fn may_be_genuine(&self) -> bool;
    /// Returns whether it may be one that CloudTrail delivered: see [`is_credible`].
    fn is_credible(&self) -> bool;
}

impl TailDigest for ChainEntry {
    fn end(&self) -> Timestamp {
        self.end()
    }

    fn last_modified(&self) -> Option<Timestamp> {
        self.last_modified
    }

    fn ready_at(&self) -> Option<Timestamp> {
        match self.kind {
            DigestKind::Standard => Some(self.end()),
            DigestKind::Backfill => self.remarks.as_ref().and_then(|remarks| remarks.generated),
        }
    }

    fn may_be_genuine(&self) -> bool {
        match &self.state {
            EntryState::Valid(_) => true,
            EntryState::Rejected(digest) => digest.rejection.status == DigestStatus::Unverified,
            EntryState::Absent(..) => false,
        }
    }

    fn is_credible(&self) -> bool {
        is_credible(self)
    }
}

/// Describes how a tail was cut of which CloudTrail says that it delivered a digest at `delivery`.
fn cut_before<D: TailDigest>(delivery: Timestamp, digests: &[D], lost_all: bool, now: Timestamp) -> Option<String> {
    let said = format!("CloudTrail says that it last delivered a digest at {delivery}");
    let counted = || digests.iter().filter(|digest| digest.is_credible() && digest.end() <= now);
    let Some(newest) = counted().map(TailDigest::end).max() else {
        return lost_all.then(|| format!("{said}, and no digest of it is there"));
    };
    // A digest that could not be verified may be the delivered one; it leaves the verdict open by
    // itself.
    if digests.iter().any(|digest| digest.may_be_genuine() && was_delivered_at(digest, delivery)) {
        return None;
    }
    let mut written = counted().filter_map(TailDigest::last_modified).peekable();
    let all_older = written.peek().is_some() && written.all(|at| later(at, SAME_DELIVERY) < delivery);
    let long_before = later(newest, DELIVERY_TIME) < delivery;
    (all_older || long_before).then(|| {
        format!(
            "{said}, and the newest one there speaks of the time up to {newest}: later ones were removed or exchanged"
        )
    })
}

/// Returns whether this digest may be the one that was delivered at this time.
fn was_delivered_at(digest: &impl TailDigest, delivery: Timestamp) -> bool {
    let Some(written) = digest.last_modified() else { return false };
    let earliest = earlier(delivery, DELIVERED_WITHIN);
    written.duration_since(delivery).abs() <= SAME_DELIVERY && digest.ready_at().is_some_and(|time| time >= earliest)
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
    if entries.iter().any(is_credible) {
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
        let folders = std::slice::from_ref(folder);
        let judged = judge_digests(&around, chain, folders, near.iter().collect(), &mut Admission::apart()).await?;
        if judged.entries.iter().any(|entry| entry.may_be_genuine() && was_delivered_at(entry, delivery)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether a digest may be one that CloudTrail delivered: a valid one, or one that could
/// not be verified though it bears a signature. Anyone may have put an object there without one.
fn is_credible(entry: &ChainEntry) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy)]
    struct Digest {
        end: Timestamp,
        last_modified: Option<Timestamp>,
        ready_at: Option<Timestamp>,
        may_be_genuine: bool,
        credible: bool,
    }

    impl TailDigest for Digest {
        fn end(&self) -> Timestamp {
            self.end
        }

        fn last_modified(&self) -> Option<Timestamp> {
            self.last_modified
        }

        fn ready_at(&self) -> Option<Timestamp> {
            self.ready_at
        }

        fn may_be_genuine(&self) -> bool {
            self.may_be_genuine
        }

        fn is_credible(&self) -> bool {
            self.credible
        }
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-03-{time}:00Z").parse().unwrap()
    }

    /// A valid digest that was written five minutes after its hour.
    fn digest(end: &str) -> Digest {
        let written = later(at(end), SignedDuration::from_mins(5));
        written_at(end, Some(written))
    }

    fn written_at(end: &str, last_modified: Option<Timestamp>) -> Digest {
        Digest { end: at(end), last_modified, ready_at: Some(at(end)), may_be_genuine: true, credible: true }
    }

    #[test]
    fn a_tail_is_cut_if_no_digest_accounts_for_the_last_delivery() {
        let delivery = at("02T12:05");
        let planted = |end| Digest { may_be_genuine: false, credible: false, ..digest(end) };
        let backfill = Digest { ready_at: Some(at("02T12:00")), ..written_at("01T05:00", Some(delivery)) };
        let open = Digest { credible: false, ..digest("02T12:00") };
        for (name, digests, lost_all, is_cut) in [
            ("the delivered one is there", vec![digest("02T11:00"), digest("02T12:00")], false, false),
            ("only older ones are", vec![digest("02T10:00"), digest("02T11:00")], false, true),
            ("a late one was delivered", vec![written_at("02T03:00", Some(delivery))], false, false),
            ("an old one was copied over itself", vec![written_at("01T03:00", Some(delivery))], false, true),
            ("a backfill digest was delivered", vec![digest("02T11:00"), backfill], false, false),
            ("one that can't be judged may be it", vec![digest("02T11:00"), open], false, false),
            ("a planted one accounts for nothing", vec![digest("02T11:00"), planted("02T12:00")], false, true),
            ("nobody knows when they were written", vec![written_at("02T11:30", None)], false, false),
            ("but the newest is far too old", vec![written_at("02T02:00", None)], false, true),
            ("none is there, and some were", vec![], true, true),
            ("none is there, and none was", vec![], false, false),
            ("only planted ones are there", vec![planted("02T12:00")], true, true),
            ("one speaks of the future", vec![digest("02T11:00"), digest("09T12:00")], false, true),
        ] {
            let cut = cut_before(delivery, &digests, lost_all, at("02T13:00"));
            assert_eq!(cut.is_some(), is_cut, "{name}: {cut:?}");
        }
    }
}
