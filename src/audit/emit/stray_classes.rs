//! Sorting the files that no valid digest lists: unlisted, uncovered, or left alone.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::audit::coverage::examined_chain::ExaminedChain;
use crate::audit::coverage::gaps::ChainCoverage;
use crate::audit::digests::claims::ClaimBudget;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::error::AuditError;
use crate::audit::log_folder::unlisted::{Stray, StrayClass, StrayFiles, StrayJudge};
use crate::audit::request::{DELIVERY_TIME, fresh_from};
use crate::audit::shared::context::Context;
use crate::model::Period;

/// The files that no valid digest lists, by their class.
pub(super) struct Classified {
    pub unlisted: StrayFiles,
    pub unverified: HashSet<u64>,
    pub uncovered: StrayFiles,
    /// The earliest time in the name of a file that is left alone because it is fresh.
    pub earliest_fresh: Option<Timestamp>,
}

/// Sorts the files that no valid digest lists, and counts those that have no record of their own.
pub(super) fn classify(
    chain: &ExaminedChain,
    context: &Context,
    covered: &mut ChainCoverage,
) -> Result<Classified, AuditError> {
    let log_folder = &chain.log_folder;
    let ChainCoverage { coverage, gaps, record, .. } = covered;
    // Nothing is delivered any more to the folder of a chain that continues elsewhere, so the
    // successor's coverage counts.
    coverage.extend(&log_folder.covered_by_successor);
    let mut known_coverage = coverage.clone();
    if let Some(known) = context.resume.as_ref().and_then(|resume| resume.known_coverage()) {
        known_coverage.add(known.start, known.end);
    }
    let newest = chain.judged.entries.iter().filter(|entry| entry.valid().is_some()).map(ChainEntry::end).max();
    let around = |newest: Timestamp| {
        Some(Period::new(newest.checked_sub(DELIVERY_TIME).ok()?, newest.checked_add(DELIVERY_TIME).ok()?))
    };
    let copy_fresh = newest.and_then(around);
    let live =
        context.store.properties().is_live.then(|| Period::new(fresh_from(&context.request), context.request.now));
    let judge = StrayJudge {
        from: context.for_log_folder().range.start.unwrap_or(record.from),
        to: context.range.end.unwrap_or(record.to),
        coverage,
        known_coverage: &known_coverage,
        unverified_digests: &log_folder.unverified_digests,
        gaps,
        live,
        copy_fresh,
    };
    // A file that is claimed by a digest which is not valid is reported with that digest.
    let claimed = claimed(chain, context)?;
    let strays = log_folder.strays.filtered(|stray| !claimed.contains(&context.fingerprint(&stray.object)));
    let (mut uncovered, mut unverified, mut earliest_fresh) = (vec![0_u64; gaps.len()], HashSet::new(), None);
    let (mut fresh, mut edge) = (0, 0);
    for stray in strays.iter() {
        match judge.class(&stray) {
            StrayClass::Unverified => {
                unverified.insert(context.fingerprint(&stray.object));
            }
            StrayClass::Uncovered(gap) => uncovered[gap] += 1,
            StrayClass::Fresh => {
                fresh += 1;
                earliest_fresh = [earliest_fresh, stray.name.map(|name| name.from)].into_iter().flatten().min();
            }
            StrayClass::Edge => edge += 1,
            StrayClass::Unlisted | StrayClass::OutOfRange => {}
        }
    }
    // If another trail delivers here without digests, an unlisted file may belong to it.
    let judges_unlisted = log_folder.neighbours.is_empty();
    let mut unlisted = strays.filtered(|stray| match judge.class(stray) {
        StrayClass::Unlisted => judges_unlisted || stray.name.is_none(),
        StrayClass::Unverified => judges_unlisted,
        StrayClass::Uncovered(_) | StrayClass::Fresh | StrayClass::Edge | StrayClass::OutOfRange => false,
    });
    let in_gaps = strays.filtered(|stray| matches!(judge.class(stray), StrayClass::Uncovered(_)));
    // The hours of digests that came late lie before the range.
    let late = StrayJudge { from: Timestamp::MIN, ..judge };
    unlisted.append(log_folder.late_strays.filtered(|stray| late.class(stray) == StrayClass::Unlisted));
    let may_be_listed =
        |stray: &Stray| stray.name.is_some_and(|name| log_folder.unverified_digests.contains(name.from, name.from));
    let known = log_folder.known_strays.iter().filter(may_be_listed);
    unverified.extend(known.map(|stray| context.fingerprint(&stray.object)));
    unlisted.append(log_folder.known_strays.filtered(|_| true));
    let mut past_coverage = coverage.clone();
    past_coverage.extend(&log_folder.past.coverage);
    let past = StrayJudge { coverage: &past_coverage, known_coverage: &past_coverage, ..late };
    // Files in a gap were reported when the gap was found, and count as part of it.
    let is_of_past = |stray: &Stray| matches!(past.class(stray), StrayClass::Unlisted | StrayClass::Unverified);
    let past_strays = log_folder.past.strays.filtered(is_of_past);
    let may_be_listed = past_strays.iter().filter(|stray| past.class(stray) == StrayClass::Unverified);
    unverified.extend(may_be_listed.map(|stray| context.fingerprint(&stray.object)));
    if judges_unlisted {
        unlisted.append(past_strays);
    }
    (record.fresh_log_files, record.edge_log_files) = (fresh, edge);
    for (gap, files) in gaps.iter_mut().zip(uncovered).filter(|(_, files)| *files > 0) {
        gap.uncovered_log_files = files;
        let files = if files == 1 { "1 log file lies".to_owned() } else { format!("{files} log files lie") };
        gap.detail += &format!("; {files} here that no valid digest lists");
    }
    Ok(Classified { unlisted, unverified, uncovered: in_gaps, earliest_fresh })
}

/// The log files that are named with a digest which is not valid, by [`Context::fingerprint`].
fn claimed(chain: &ExaminedChain, context: &Context) -> Result<HashSet<u64>, AuditError> {
    let (mut claimed, mut budget) = (HashSet::new(), ClaimBudget::default());
    for entry in chain.judged.entries.iter().filter(|entry| entry.claims() > 0) {
        if context.reads(entry, &chain.judged.spool)? {
            let claims = budget.take(entry, &chain.judged.spool)?;
            claimed.extend(claims.iter().map(|object| context.fingerprint(object)));
        }
    }
    Ok(claimed)
}
