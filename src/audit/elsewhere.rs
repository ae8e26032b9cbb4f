//! The search for log files that digests of other trails list, which deliver to the same place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::element::{Element, State};
use super::error::AuditError;
use super::fingerprints::Fingerprints;
use super::handover::Handover;
use super::listed::{ListedDigest, ListedDigests};
use super::listing::{self, RegionFolder};
use super::log_folder::listed_by;
use super::request::AuditRequest;
use super::room::Seat;
use super::strays::StrayFiles;
use super::walk::{JudgedDigests, judge_digests};
use crate::model::{ChainId, Coverage, DigestKind, DigestStatus, TimeRange};

/// A day.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How many answers are kept: one for each trail, place and range that was asked about.
const KEPT_ANSWERS: usize = 100_000;
/// How many listed files are kept with them, at 8 bytes each.
const KEPT_FILES: usize = 500_000;

/// The answers of trails that were asked what they list. Whoever plants digests of very many trails would
/// have each of them judged for each other one.
#[derive(Default)]
pub(super) struct Answers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: HashMap<u64, Arc<Answer>>,
    files: usize,
}

/// The files that a trail's valid digests of some range list, the times of those that can't be read, and the
/// time that the valid ones cover.
struct Answer {
    listed: Fingerprints,
    unreadable: Coverage,
    covered: Coverage,
}

impl Answers {
    fn get(&self, question: u64) -> Option<Arc<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answers.get(&question).cloned()
    }

    fn keep(&self, question: u64, answer: &Arc<Answer>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let files = kept.files.saturating_add(answer.listed.len());
        if kept.answers.len() < KEPT_ANSWERS && files <= KEPT_FILES {
            kept.files = files;
            kept.answers.insert(question, Arc::clone(answer));
        }
    }
}

/// How long before the time in a log file's name the hour of the digest may end that lists it.
const LISTED_BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// How long after it. AWS gives no bound; nearly every log file is delivered within minutes, and the rest within a day.
const LISTED_AFTER: SignedDuration = SignedDuration::from_hours(27);

/// The search for files that other digests list: log files don't carry their trail's name, and what another
/// trail's digests list, which delivers to the same place, is listed. So is what a digest past the range
/// lists that came late.
pub(super) struct ListedElsewhere<'a> {
    context: &'a Arc<Context>,
    chain: &'a ChainId,
    folders: &'a [RegionFolder],
    successor: Option<&'a Handover>,
    pub strays: StrayFiles,
    /// The times of digests of other trails that can't be read.
    pub unreadable: Coverage,
    /// The time that valid digests of the chain cover which goes on from this one.
    pub by_successor: Coverage,
}

impl<'a> ListedElsewhere<'a> {
    /// A search for these files, which no digest of this chain lists.
    pub fn new(context: &'a Arc<Context>, chain: &'a ChainId, folders: &'a [RegionFolder], strays: StrayFiles) -> Self {
        let (unreadable, by_successor) = (Coverage::default(), Coverage::default());
        Self { context, chain, folders, successor: None, strays, unreadable, by_successor }
    }

    /// The same, with the digests of the chain that goes on from this one.
    #[must_use]
    pub fn with_successor(self, successor: Option<&'a Handover>) -> Self {
        Self { successor, ..self }
    }

    /// Removes the files that another digest lists.
    pub async fn remove(&mut self) -> Result<(), AuditError> {
        let context = self.context;
        let Some((first, last)) = self.strays.bounds() else { return Ok(()) };
        let start = first.saturating_sub(LISTED_BEFORE).unwrap_or(first);
        let end = last.saturating_add(LISTED_AFTER).unwrap_or(last).min(context.request.now).max(start);
        // Whole days, so that chains of the same days ask the same.
        let (start, end) = (day_of(start), day_of(end).saturating_add(DAY).unwrap_or(end).min(context.request.now));
        let end = end.max(start);
        let range = TimeRange { start: Some(start), end: Some(end) };
        let any_trail = AuditRequest { trail: None, ..context.request.clone() };
        let around = Arc::new(context.with_range(range));
        for folder in self.folders.iter().chain(self.successor.map(|successor| &successor.folder)) {
            let listing = listing::digests(context.store.as_ref(), folder, &range, &any_trail).await;
            if listing.failure.is_some() {
                self.unreadable.add(start, end);
            }
            for (id, digests) in listing.digests {
                let is_own = id == *self.chain;
                let is_successor = self.successor.is_some_and(|successor| successor.other == id);
                let digests = if is_own { self.later_own(&digests) } else { digests };
                if digests.is_empty() {
                    continue;
                }
                let place = std::slice::from_ref(folder);
                let question =
                    context.hasher.hash_one((&folder.location.bucket, &folder.location.root.prefix, &id, start, end));
                let known = if is_own { None } else { context.answers.get(question) };
                let answer = match known {
                    Some(answer) => answer,
                    None => {
                        let id = Arc::new(id);
                        let judged = judge_digests(&around, &id, place, digests, &mut Seat::apart()).await?;
                        let unreadable = if is_own { Coverage::default() } else { unreadable(&judged) };
                        let covered = covered(&judged);
                        let answer = Arc::new(Answer { listed: listed_by(context, &judged)?, unreadable, covered });
                        if !is_own {
                            context.answers.keep(question, &answer);
                        }
                        answer
                    }
                };
                let strays = std::mem::take(&mut self.strays);
                self.strays = strays.filtered(|stray| !answer.listed.contains(context.fingerprint(&stray.object)));
                self.unreadable.extend(&answer.unreadable);
                if is_successor {
                    self.by_successor.extend(&answer.covered);
                }
            }
        }
        Ok(())
    }

    /// The chain's own digests that were not read, because they lie past the range.
    fn later_own(&self, digests: &ListedDigests) -> ListedDigests {
        let later: Vec<ListedDigest> = digests.iter().filter(|digest| self.context.range.is_past(digest.end)).collect();
        later.iter().collect()
    }
}

/// The time that valid hourly digests cover.
pub(super) fn covered(judged: &JudgedDigests) -> Coverage {
    let mut covered = Coverage::default();
    let standard = judged.elements.iter().filter(|element| element.kind == DigestKind::Standard);
    for (start, end) in standard.filter_map(Element::valid).map(|digest| digest.outline().period()) {
        covered.add(start, end);
    }
    covered
}

/// The times of the digests that could not be judged: any of them may list a file.
pub(super) fn unreadable(judged: &JudgedDigests) -> Coverage {
    let mut times = Coverage::default();
    for element in &judged.elements {
        let State::Rejected(digest) = &element.state else { continue };
        if digest.rejection.status == DigestStatus::Unverified {
            // A log file is delivered after the time in its name, and stands in the digest of its delivery.
            let start = element.start().saturating_sub(LISTED_BEFORE).unwrap_or_else(|_| element.start());
            times.add(start, element.end());
        }
    }
    times
}

/// The begin of a time's day.
fn day_of(time: Timestamp) -> Timestamp {
    let second = time.as_second();
    Timestamp::from_second(second - second.rem_euclid(DAY.as_secs())).unwrap_or(time)
}
