//! Files of a chain that are not unlisted in the range's own listing: those that only rejected
//! digests claim, those of earlier runs, and those in the hours of late digests.

use std::sync::Arc;

use ahash::HashSet;
use futures::stream::{self, StreamExt};

use crate::audit::chain::follow::JudgedDigests;
use crate::audit::digests::claims::ClaimBudget;
use crate::audit::error::AuditError;
use crate::audit::io::fingerprints::Fingerprints;
use crate::audit::listing::log_files::LogRegion;
use crate::audit::log_folder::other_trails::OtherTrails;
use crate::audit::log_folder::unlisted::{Stray, StrayFiles};
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DigestKind, LOG_FOLDER, LogFileName, ObjectRef};

/// Returns the log files claimed by digests of this chain that are not valid, and listed by valid
/// digests of other trails, which report them.
pub(super) async fn claimed_elsewhere(
    context: &Arc<Context>,
    chain: &ChainId,
    judged: &JudgedDigests,
) -> Result<HashSet<u64>, AuditError> {
    let (mut claimed, mut budget) = (Vec::new(), ClaimBudget::default());
    for entry in judged.entries.iter().filter(|entry| entry.claims() > 0) {
        claimed.extend(budget.take(entry, &judged.spool)?);
    }
    let (mut files, mut asked) = (StrayFiles::default(), Vec::new());
    for object in &claimed {
        // CloudTrail delivers nothing outside the folders of days.
        let Some((at, _)) = object.key.rmatch_indices('/').nth(3) else { continue };
        files.begin(object.bucket.clone(), Some(&object.key[..=at]));
        files.push(&object.key, None);
        asked.push(context.fingerprint(object));
    }
    if files.is_empty() {
        return Ok(HashSet::default());
    }
    let mut others = OtherTrails::new(context, chain, &judged.folders, files);
    others.remove().await?;
    let left: HashSet<u64> = others.strays.iter().map(|stray| context.fingerprint(&stray.object)).collect();
    Ok(asked.into_iter().filter(|fingerprint| !left.contains(fingerprint)).collect())
}

/// Returns the files that no digest listed in earlier runs, and that still exist and are still not
/// listed.
pub(super) async fn still_unlisted(context: &Context, listed: &Fingerprints) -> StrayFiles {
    let open = context.resume.iter().flat_map(|resume| resume.open_unlisted());
    let mut open: Vec<ObjectRef> =
        open.filter(|object| !listed.contains(context.fingerprint(object))).cloned().collect();
    open.sort_by(|one, other| (&one.key, &one.bucket).cmp(&(&other.key, &other.bucket)));
    let looked = stream::iter(open).map(|object| async move {
        let gone = context.store.get(&object, None).await.is_err_and(|error| error.is_absence());
        // A copy may list a name that cannot be opened: a link that leads nowhere, or a name that
        // is not UTF-8.
        let gone = gone && (!context.store.properties().is_copy || !context.log_files().shows(&object).await);
        (!gone).then_some(object)
    });
    let mut looked = std::pin::pin!(looked.buffered(context.request.concurrency));
    let mut found = StrayFiles::default();
    while let Some(object) = looked.next().await {
        if let Some(object) = object {
            let day = object.key.rmatch_indices('/').nth(3).map(|(at, _)| &object.key[..=at]);
            let day = day.filter(|prefix| LogFileName::parse(&object.key[prefix.len()..]).is_some());
            found.begin(object.bucket.clone(), day);
            found.push(&object.key, None);
        }
    }
    found
}

/// Returns the unlisted files in the hours of digests that came late: earlier runs could not judge
/// them.
pub(super) async fn in_late_hours(
    context: &Context,
    judged: &JudgedDigests,
    listed: &Fingerprints,
) -> Result<StrayFiles, AuditError> {
    let JudgedDigests { entries, spool, folders, .. } = judged;
    let mut found = StrayFiles::default();
    let Some(resume) = context.resume.as_ref().filter(|resume| resume.expects_late()) else { return Ok(found) };
    // A backfill digest has the hour of another one, whose files it does not list.
    let standard = entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
    for entry in standard {
        if !resume.came_late(&entry.whole(spool)?) {
            continue;
        }
        let (from, to) = (entry.start(), entry.end());
        for folder in folders {
            // A failed listing is skipped here; the log folder's own listing reports the failure.
            let Ok(files) = context.log_files().list(&LogRegion::of(folder, LOG_FOLDER), from, to).await else {
                continue;
            };
            let mut strays = StrayFiles::default();
            strays.add_listed(&files, |object| !listed.contains(context.fingerprint(object)));
            let inside = |stray: &Stray| stray.name.is_some_and(|name| from <= name.to && name.from < to);
            found.append(strays.filtered(inside));
        }
    }
    Ok(found)
}
