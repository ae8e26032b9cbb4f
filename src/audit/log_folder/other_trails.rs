//! The search for log files listed by digests of other trails that deliver to the same location.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::audit::chain::follow::{JudgedDigests, judge_digests};
use crate::audit::chain::handover::Handover;
use crate::audit::digests::entry::{ChainEntry, EntryState};
use crate::audit::digests::listed_digests::{ListedDigest, ListedDigests};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::log_folder::listed_files::listed_by;
use crate::audit::log_folder::unlisted::StrayFiles;
use crate::audit::request::AuditRequest;
use crate::audit::shared::context::Context;
use crate::audit::shared::folder_answers::FolderStatements;
use crate::model::{ChainId, Coverage, DAY, DigestKind, DigestStatus, Period, TimeRange, begin_of_day, earlier, later};

/// The largest number of listed files that are remembered of one answer, at 8 bytes each.
const KEPT_FILES: usize = 500_000;

/// Adds the statements of a chain's digests to the answer of its folder.
fn add_statements(
    answer: &mut FolderStatements,
    context: &Context,
    chain: ChainId,
    judged: &JudgedDigests,
) -> Result<(), AuditError> {
    answer.listed.extend(listed_by(context, judged)?);
    let mut note = |times: Coverage, into: fn(&mut FolderStatements) -> &mut Vec<(ChainId, Coverage)>| {
        if times != Coverage::default() {
            into(answer).push((chain.clone(), times));
        }
    };
    note(unverified_digests(&judged.entries), |answer| &mut answer.unverified_digests);
    note(covered(judged), |answer| &mut answer.covered);
    Ok(())
}

/// The longest time before the time in a log file's name at which the hour of the digest that lists
/// it ends.
const LISTED_BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// The longest time after it. AWS gives no bound; nearly every log file is delivered within
/// minutes, and the rest within a day.
const LISTED_AFTER: SignedDuration = SignedDuration::from_hours(27);

/// The search for files that other digests list. Log files do not carry their trail's name, so a
/// file counts as listed if the digests of another trail that delivers to the same location list
/// it, or a late digest past the range.
pub(crate) struct OtherTrails<'a> {
    context: &'a Arc<Context>,
    chain: &'a ChainId,
    folders: &'a [RegionFolder],
    successor: Option<&'a Handover>,
    pub strays: StrayFiles,
    /// The times of digests that could not be verified of other trails.
    pub unverified_digests: Coverage,
    /// The time covered by valid digests of the chain that continues this one.
    pub by_successor: Coverage,
}

impl<'a> OtherTrails<'a> {
    /// Creates a search for these files, which no digest of this chain lists.
    pub(crate) fn new(
        context: &'a Arc<Context>,
        chain: &'a ChainId,
        folders: &'a [RegionFolder],
        strays: StrayFiles,
    ) -> Self {
        let (unverified_digests, by_successor) = (Coverage::default(), Coverage::default());
        Self { context, chain, folders, successor: None, strays, unverified_digests, by_successor }
    }

    /// Also searches the digests of the chain that continues this one.
    #[must_use]
    pub(crate) fn with_successor(self, successor: Option<&'a Handover>) -> Self {
        Self { successor, ..self }
    }

    /// Removes the files that another digest lists.
    pub(crate) async fn remove(&mut self) -> Result<(), AuditError> {
        let context = self.context;
        let Some(Period { start: first, end: last }) = self.strays.bounds() else { return Ok(()) };
        let start = earlier(first, LISTED_BEFORE);
        let end = later(last, LISTED_AFTER).min(context.request.now).max(start);
        // Use whole days, so that chains with strays of the same days share the same answer.
        let (start, end) = (begin_of_day(start), later(begin_of_day(end), DAY).min(context.request.now));
        let end = end.max(start);
        let range = TimeRange { start: Some(start), end: Some(end) };
        let any_trail = AuditRequest { trail: None, ..context.request.clone() };
        let around = Arc::new(context.with_range(range));
        for folder in self.folders.iter().chain(self.successor.map(|successor| &successor.folder)) {
            let RegionFolder { location, organization, account, region } = folder;
            let place = (&location.bucket, &location.root.prefix, organization, account, region);
            let slot = context.answers.slot(context.hasher.hash_one((place, start, end)));
            let mut slot = slot.lock().await;
            let mut answer = slot.take().unwrap_or_default();
            let is_whole = match answer.first.take() {
                None if answer.is_known => true,
                None => self.ask_all(&around, folder, &any_trail, &mut answer).await?,
                // The chain's own digests are skipped, because they do not list any of the strays.
                Some(first) if first.0 == *self.chain => {
                    answer.first = Some(first);
                    true
                }
                Some((first, digests)) => {
                    let judged = ask(&around, &first, folder, digests).await?;
                    add_statements(&mut answer, context, first, &judged)?;
                    true
                }
            };
            if !is_whole {
                self.unverified_digests.add(start, end);
            }
            let strays = std::mem::take(&mut self.strays);
            self.strays = strays.filtered(|stray| !answer.listed.contains(context.fingerprint(&stray.object)));
            let others = answer.unverified_digests.iter().filter(|(chain, _)| chain != self.chain);
            others.for_each(|(_, times)| self.unverified_digests.extend(times));
            if let Some(successor) = self.successor {
                let of_successor = answer.covered.iter().filter(|(chain, _)| *chain == successor.other);
                of_successor.for_each(|(_, times)| self.by_successor.extend(times));
            }
            if let Some((_, own)) = answer.first.as_ref().filter(|(chain, _)| chain == self.chain) {
                let later = self.later_own(own);
                if !later.is_empty() {
                    let listed = listed_by(context, &ask(&around, self.chain, folder, later).await?)?;
                    let strays = std::mem::take(&mut self.strays);
                    self.strays = strays.filtered(|stray| !listed.contains(context.fingerprint(&stray.object)));
                }
            }
            if is_whole && answer.listed.len() <= KEPT_FILES {
                answer.is_known = true;
                *slot = Some(answer);
            }
        }
        Ok(())
    }

    /// Examines every chain of a folder but this one. Returns whether the folder could be listed
    /// completely.
    async fn ask_all(
        &self,
        around: &Arc<Context>,
        folder: &RegionFolder,
        any_trail: &AuditRequest,
        answer: &mut FolderStatements,
    ) -> Result<bool, AuditError> {
        let listing = digests::digests(around.store.as_ref(), folder, &around.range, any_trail).await;
        for (id, digests) in listing.digests {
            if id == *self.chain {
                answer.first = Some((id, digests));
            } else if !digests.is_empty() {
                let judged = ask(around, &id, folder, digests).await?;
                add_statements(answer, self.context, id, &judged)?;
            }
        }
        Ok(listing.failure.is_none())
    }

    /// The chain's own digests that were not read, because they lie past the range.
    fn later_own(&self, digests: &ListedDigests) -> ListedDigests {
        let later: Vec<ListedDigest> =
            digests.iter().filter(|digest| self.context.range.is_after_end(digest.end)).collect();
        later.iter().collect()
    }
}

/// Judges the digests of a chain.
async fn ask(
    around: &Arc<Context>,
    chain: &ChainId,
    folder: &RegionFolder,
    digests: ListedDigests,
) -> Result<JudgedDigests, AuditError> {
    let id = Arc::new(chain.clone());
    judge_digests(around, &id, std::slice::from_ref(folder), digests, &mut Admission::apart()).await
}

/// Returns the time that valid hourly digests cover.
pub(crate) fn covered(judged: &JudgedDigests) -> Coverage {
    let mut covered = Coverage::default();
    let standard = judged.entries.iter().filter(|entry| entry.kind == DigestKind::Standard);
    for Period { start, end } in standard.filter_map(ChainEntry::valid).map(|digest| digest.summary().period()) {
        covered.add(start, end);
    }
    covered
}

/// Returns the times of the digests that could not be verified: any of them may list a file.
pub(crate) fn unverified_digests(entries: &[ChainEntry]) -> Coverage {
    let mut times = Coverage::default();
    for entry in entries {
        let EntryState::Rejected(digest) = &entry.state else { continue };
        if digest.rejection.status == DigestStatus::Unverified {
            // A log file is delivered after the time in its name, and listed in the digest of its
            // delivery.
            let start = earlier(entry.start(), LISTED_BEFORE);
            times.add(start, entry.end());
        }
    }
    times
}
