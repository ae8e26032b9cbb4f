//! Regions that have log files and no digests, although a chain should exist.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use crate::audit::chain::follow::judge_digests;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::discovery::chains::Discovery;
use crate::audit::discovery::expected::guess_trail;
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::listing::log_files::LogRegion;
use crate::audit::log_folder::listed_files::without_listed;
use crate::audit::log_folder::unlisted::{Stray, StrayFiles};
use crate::audit::request::{AuditRequest, EDGE, fresh_from};
use crate::audit::shared::context::Context;
use crate::model::{ChainId, Coverage, LOG_FOLDER, LogFileName, Period, TrailName};

/// Adds the chains of regions that have log files which no trail's digests explain.
pub(crate) async fn add_chains(discovery: &mut Discovery, context: &Arc<Context>) -> Result<(), AuditError> {
    let request = &context.request;
    let has_chain = |folder: &RegionFolder| folder.entries_of(&discovery.chains).next().is_some();
    // An account's trail delivers nothing to an organization's folder, nor the other way round.
    let is_own = |folder: &RegionFolder| request.is_organization.is_none_or(|is| is == folder.organization.is_some());
    let candidates = discovery.folders.log_files.iter().filter(|folder| is_own(folder) && !has_chain(folder));
    let candidates: Vec<RegionFolder> = candidates.cloned().collect();
    let looked = stream::iter(candidates)
        .map(|folder| async move {
            // Files of a trail without digests need no other explanation.
            let unexplained =
                has_unexplained(context, &folder).await? && context.neighbours.of(&folder.region).await.is_empty();
            Ok::<_, AuditError>(unexplained.then_some(folder))
        })
        .buffered(request.concurrency);
    let found: Vec<Option<RegionFolder>> = looked.try_collect().await?;
    let trail = guess_trail(discovery.chains.keys(), request);
    for RegionFolder { organization, account, region, .. } in found.into_iter().flatten() {
        let (trail, home_region) = trail.clone().unwrap_or_else(|| (TrailName::unknown(), region.clone()));
        // No digest explains its log files, including those of the same region below another
        // folder.
        discovery.expect_exactly(ChainId { organization, account, region, trail, home_region });
    }
    Ok(())
}

/// Returns whether the folder has log files of the range that no trail's digests explain: those
/// that valid digests of other trails do not list although they cover their time, or any, if there
/// is no valid digest at all.
async fn has_unexplained(context: &Arc<Context>, folder: &RegionFolder) -> Result<bool, AuditError> {
    let range = &context.range;
    let fresh = fresh_from(&context.request);
    let (from, to) = (range.start.unwrap_or(Timestamp::UNIX_EPOCH), range.end.unwrap_or(context.request.now));
    // A failed listing is no reason to expect a chain.
    let Ok(files) = context.log_files().list(&LogRegion::of(folder, LOG_FOLDER), from, to).await else {
        return Ok(false);
    };
    let mut strays = StrayFiles::default();
    strays.add_listed(&files, |_| true);
    let end = if context.store.properties().is_live { to.min(fresh) } else { to };
    let inside = |stray: &Stray| stray.name.is_some_and(|name| from <= name.from && name.to < end);
    let mut strays = strays.filtered(inside);
    let any_trail = AuditRequest { trail: None, ..context.request.clone() };
    let listing = digests::digests(context.store.as_ref(), folder, range, &any_trail).await;
    if listing.failure.is_some() {
        return Ok(false);
    }
    let mut coverage = Coverage::default();
    for (other, digests) in listing.digests {
        let judged =
            judge_digests(context, &Arc::new(other), std::slice::from_ref(folder), digests, &mut Admission::apart())
                .await?;
        strays = without_listed(context, strays, &judged)?;
        for Period { start, end } in
            judged.entries.iter().filter_map(ChainEntry::valid).map(|digest| digest.summary().period())
        {
            coverage.add(start, end);
        }
    }
    let is_covered = |name: &LogFileName| {
        let edges = (name.from.saturating_sub(EDGE), name.to.saturating_add(EDGE));
        matches!(edges, (Ok(from), Ok(to)) if coverage.contains(from, to))
    };
    let names = strays.iter().filter_map(|stray| stray.name).collect::<Vec<_>>();
    Ok(names.iter().any(|name| coverage == Coverage::default() || is_covered(name)))
}
