//! The examination of one chain: its judged digests, and the content of its log folder.

use std::sync::Arc;

use crate::audit::chain::follow::{JudgedDigests, judge_digests};
use crate::audit::chain::handover::{self};
use crate::audit::chain::oversized;
use crate::audit::coverage::cut_tail;
use crate::audit::coverage::examined_chain::{ExaminedChain, JudgedChain};
use crate::audit::coverage::expiry::{self, ExpiryExplainer};
use crate::audit::digests::digest_spool::SpooledDigest;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::discovery::chains::ListedChain;
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::listing::earlier_digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::log_files::versions;
use crate::audit::log_folder::examine::{self, EarlyListings, LogFolder};
use crate::audit::log_folder::past_days;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, Depth, DigestKind};

/// Reads and judges the digests of one chain.
pub(crate) async fn examine_chain(
    context: Arc<Context>,
    id: Arc<ChainId>,
    listed: ListedChain,
    admission: &mut Admission,
) -> Result<ExaminedChain, AuditError> {
    let ListedChain { folders, other_folders, digests, failure, ended_before, deliveries, resume: _ } = listed;
    let in_log_folder = Arc::new(context.for_log_folder());
    let deep = context.request.depth != Depth::Chain;
    let has_digests = !digests.is_empty();
    let (judged, listed, _) = futures::join!(
        judge_digests(&context, &id, &folders, digests, admission),
        // If the range is known, the listing of the log folder need not wait for the digests.
        async {
            if deep {
                EarlyListings::list(&in_log_folder, &folders, has_digests).await
            } else {
                EarlyListings::default()
            }
        },
        // Nor does the request for the keys that the first digest will need.
        context.keys.for_range(&id.region),
    );
    let mut judged = judged?;
    oversized::judge(&context, &mut judged.entries, &judged.spool).await?;
    let goes_on_from = handover::predecessor(&context, &id, &judged.entries, &judged.spool).await?;
    let has_earlier =
        ended_before || context.resume.is_some() || has_earlier(&context, &id, &folders, &judged.entries).await;
    // In a copy, a range without an end requires no more than the digests that exist.
    let may_go_on = context.range.end.is_some() && (has_earlier || !judged.entries.is_empty());
    let others = if may_go_on { &*other_folders } else { &[] };
    let goes_on_as = handover::successor(&context, &id, &judged.entries, &judged.spool, others).await?;
    let lost_all = cut_tail::lost_all(&id, &judged.entries, &judged.folders, &context).await;
    let looks_cut = context.range.start.is_some() && cut_tail::cut(&id, &judged.entries, lost_all, &context).is_some();
    let delivery_accounted =
        looks_cut && cut_tail::accounted_before_range(&id, &judged.folders, &judged.entries, &context).await?;
    let mut log_folder = match context.request.depth {
        Depth::Chain => LogFolder::default(),
        Depth::Presence | Depth::Content => {
            examine::examine(&in_log_folder, &id, &judged, goes_on_as.as_ref(), listed).await?
        }
    };
    let JudgedDigests { mut entries, spool, failure: later, folders } = judged;
    let rejected = std::mem::take(&mut log_folder.past.rejected);
    past_days::add_rejected(&context, &mut entries, rejected, &spool)?;
    let left_open = context.resume.as_ref().is_some_and(|resume| resume.open_log_files().next().is_some());
    let lost_log_files = left_open || !log_folder.past.again.is_empty() || expiry::may_lack_log_files(&log_folder);
    let expiry =
        ExpiryExplainer::examine(&context, &id, &folders, &entries, &spool, Some(&log_folder), lost_log_files).await?;
    expiry.mark(&mut entries, &context);
    handover::mark_restarts(&mut entries);
    versions::of_digests(&context, &id, &mut entries, &spool).await?;
    let contradictions = match &context.resume {
        Some(resume) => resume.contradictions(&entries, &spool)?,
        None => Vec::new(),
    };
    Ok(ExaminedChain {
        judged: JudgedChain { id, entries, spool, expiry },
        folders,
        own_listing_failed: failure.is_some(),
        goes_on_from,
        goes_on_as,
        lost_all,
        listing_failure: failure.or(later),
        has_earlier,
        delivery_accounted,
        log_folder,
        deliveries,
        contradictions,
    })
}

/// Returns whether the chain has digests older than the range. Only such a look tells whether the
/// chain began or was restarted, if the range begins before the chain's first digest and that is a
/// starting one.
async fn has_earlier(context: &Context, id: &ChainId, folders: &[RegionFolder], entries: &[ChainEntry]) -> bool {
    let mut standard = entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
    let first = standard.find_map(ChainEntry::valid).map(SpooledDigest::summary);
    let (Some(first), Some(start)) = (first, context.range.start) else { return false };
    if first.period().start <= start || first.predecessor().is_some() {
        return false;
    }
    for folder in folders {
        // A failure leaves open which of two causes a gap has; both leave the verdict open.
        let earlier = earlier_digests::earlier_chains(context.store.as_ref(), folder, start, &context.request).await;
        if earlier.is_ok_and(|chains| chains.contains(id)) {
            return true;
        }
    }
    false
}
