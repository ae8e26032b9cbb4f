//! Losses that a lifecycle rule of the bucket explains. A bucket that lets old objects expire loses the oldest ones, and nothing
//! else: a loss that older objects outlived was somebody's doing, whatever the rules say.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::element::{Absence, Element, State};
use super::judged::is_before_first;
use super::listed::ListedDigest;
use super::listing::{self, RegionFolder};
use super::log_folder::LogFolder;
use super::log_listing::{self, made};
use crate::model::{ChainId, LogFileKey, ObjectRef};
use crate::store::LifecycleRule;

/// A log file is made at most this long before the time in its name.
const NAMED_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Log files of one moment are made in no particular order.
const DISORDER: SignedDuration = SignedDuration::from_mins(15);
/// S3 removes what has expired by and by, in no promised order: only what should have been gone for this long was spared.
const REMOVAL: SignedDuration = SignedDuration::from_hours(48);

/// What the lifecycle rules of a chain's buckets say of its losses.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    now: Option<Timestamp>,
    rules: BTreeMap<String, Result<Vec<LifecycleRule>, String>>,
    /// When the oldest digest that is there was made.
    oldest_digest: Option<Timestamp>,
    /// When the oldest log file that is there was made.
    oldest_log_file: Option<Timestamp>,
}

/// What is said of one loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Explanation {
    /// No rule is about it.
    None,
    /// This is worth knowing, and explains nothing.
    Hint(String),
    /// This rule removed it.
    Rule(String),
    /// The copy holds nothing of its day.
    NotCopied,
}

impl Expiry {
    /// Asks for the rules where the chain lost anything. `lost_log_files`: whether log files may be among that.
    pub async fn examine(
        context: &Context,
        id: &ChainId,
        folders: &[RegionFolder],
        elements: &[Element],
        lost_log_files: bool,
    ) -> Self {
        let lost_digests = elements.iter().any(|element| element.absence() == Some(Absence::Missing));
        if !context.store.is_live() || !(lost_digests || lost_log_files) {
            return Self::default();
        }
        let mut expiry = Self { now: Some(context.request.now), ..Self::default() };
        for folder in folders {
            let bucket = &folder.location.bucket;
            if !expiry.rules.contains_key(bucket) {
                expiry.rules.insert(bucket.clone(), context.lifecycle_rules(bucket).await);
            }
        }
        if expiry.rules.values().all(|rules| rules.as_ref().is_ok_and(Vec::is_empty)) {
            return expiry;
        }
        let present = elements.iter().filter(|element| element.absence().is_none());
        expiry.oldest_digest = present.map(|element| made(element.end(), element.last_modified)).min();
        for folder in folders {
            // What can't be looked at is no evidence.
            if lost_digests && let Some(start) = context.range.start {
                let first = listing::first_before(context.store.as_ref(), folder, id, start).await;
                let first = first.ok().flatten().map(|digest| made(digest.end, digest.last_modified));
                expiry.oldest_digest = [expiry.oldest_digest, first].into_iter().flatten().min();
            }
            if lost_log_files {
                let first = log_listing::oldest(context, folder).await.ok().flatten();
                expiry.oldest_log_file = [expiry.oldest_log_file, first].into_iter().flatten().min();
            }
        }
        expiry
    }

    /// Marks the missing digests that a rule explains.
    pub fn mark(&self, elements: &mut [Element], context: &Context) {
        for index in 0..elements.len() {
            let element = &elements[index];
            let State::Absent(object, Absence::Missing) = &element.state else { continue };
            let is_unknown = self.rules.get(&*object.bucket).is_some_and(Result::is_err);
            let listed = ListedDigest {
                place: (**object).clone(),
                kind: element.kind,
                end: element.named_end,
                last_modified: None,
                size: None,
            };
            let marked = match self.of_digest(object, element.named_end) {
                Explanation::Rule(_) => Absence::Expired,
                _ if is_unknown && is_before_first(context, elements, &listed) => Absence::BeforeFirst,
                _ => continue,
            };
            if let State::Absent(_, absence) = &mut elements[index].state {
                *absence = marked;
            }
        }
    }

    /// What is said of a digest that is gone.
    pub fn of_digest(&self, object: &ObjectRef, end: Timestamp) -> Explanation {
        let older = self.oldest_digest.filter(|oldest| *oldest < end);
        self.explain(object, end, older, "digests")
    }

    /// What is said of a log file that is gone.
    pub fn of_log_file(&self, object: &ObjectRef) -> Explanation {
        let Some(LogFileKey { time: name, .. }) = LogFileKey::parse(&object.key) else { return Explanation::None };
        let earliest = name.from.saturating_sub(NAMED_AHEAD).unwrap_or(name.from);
        let before = name.from.saturating_sub(DISORDER).unwrap_or(name.from);
        let older = self.oldest_log_file.filter(|oldest| *oldest < before);
        self.explain(object, earliest, older, "log files")
    }

    /// Whether there are rules that may explain anything.
    pub fn knows_rules(&self) -> bool {
        self.rules.values().any(|rules| rules.as_ref().is_ok_and(|rules| !rules.is_empty()))
    }

    /// Before when everything like this digest was removed by a rule, if nothing older than the hole that begins at `from` was spared;
    /// and the rule.
    pub fn horizon(&self, object: &ObjectRef, from: Timestamp) -> Option<(Timestamp, String)> {
        let now = self.now?;
        let older = self.oldest_digest.filter(|oldest| *oldest <= from);
        let rules = self.rules.get(&*object.bucket)?.as_ref().ok()?;
        let about =
            rules.iter().filter(|rule| rule.applies_to(&object.key) && !rule.narrowed && !spared(rule, older, now));
        about.map(|rule| (rule.horizon(now), rule.to_string())).max()
    }

    fn explain(&self, object: &ObjectRef, made: Timestamp, older: Option<Timestamp>, others: &str) -> Explanation {
        let Some(now) = self.now else { return Explanation::None };
        let rules = match self.rules.get(&*object.bucket) {
            Some(Ok(rules)) => rules,
            Some(Err(_)) if older.is_some() => return Explanation::None,
            Some(Err(reason)) => {
                return Explanation::Hint(format!(
                    "whether a lifecycle rule of the bucket explains it can't be told: {reason}"
                ));
            }
            None => return Explanation::None,
        };
        let about = || rules.iter().filter(|rule| rule.applies_to(&object.key) && rule.has_removed(made, now));
        if let Some(rule) = about().find(|rule| !rule.narrowed && !spared(rule, older, now)) {
            return Explanation::Rule(format!("the bucket's {rule}"));
        }
        if let Some(rule) = about().find(|rule| !rule.narrowed) {
            return Explanation::Hint(format!(
                "the bucket's {rule}, but older {others} are still there, so that is not what removed it"
            ));
        }
        about().next().map_or(Explanation::None, |rule| {
            Explanation::Hint(format!("the bucket's {rule}, and nobody can say whether this was one of them"))
        })
    }
}

/// Whether this older object is still there though the rule should have removed it long ago.
fn spared(rule: &LifecycleRule, older: Option<Timestamp>, now: Timestamp) -> bool {
    let then = now.saturating_sub(REMOVAL).unwrap_or(now);
    older.is_some_and(|made| rule.has_removed(made, then))
}

/// Whether any log file may be gone that valid digests list.
pub(super) fn may_lack_log_files(log_folder: &LogFolder) -> bool {
    log_folder.failure.is_some() || !log_folder.absent.is_empty()
}
