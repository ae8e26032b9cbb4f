//! Losses that a lifecycle rule of the bucket explains. A bucket that lets old objects expire loses the oldest ones, and nothing
//! else: a loss that older objects outlived was somebody's doing, whatever the rules say.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::element::{Element, State};
use super::listing::{self, RegionFolder};
use super::log_folder::{self, LogFolder};
use crate::model::{ChainId, DigestKind, LogFileKey, ObjectRef};
use crate::store::LifecycleRule;

/// A log file is made at most this long before the time in its name.
const NAMED_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Log files of one moment are made in no particular order.
const DISORDER: SignedDuration = SignedDuration::from_mins(15);

/// What the lifecycle rules of a chain's buckets say of its losses.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    now: Option<Timestamp>,
    rules: BTreeMap<String, Result<Vec<LifecycleRule>, String>>,
    /// The end of the oldest digest that is there.
    oldest_digest: Option<Timestamp>,
    /// The time of the oldest log file that is there.
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
}

impl Expiry {
    /// Asks for the rules where the chain lost anything.
    pub async fn examine(
        context: &Context,
        id: &ChainId,
        folders: &[RegionFolder],
        elements: &[Element],
        log_folder: &LogFolder,
    ) -> Self {
        let lost_digests = elements.iter().any(|element| matches!(element.state, State::Missing));
        let lost_log_files =
            log_folder.was_listed() && elements.iter().any(|element| lacks_log_files(element, log_folder, context));
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
        let explains =
            |rules: &Result<Vec<LifecycleRule>, String>| rules.as_ref().map_or(true, |rules| !rules.is_empty());
        if !expiry.rules.values().any(explains) {
            return expiry;
        }
        let present = elements.iter().filter(|element| matches!(element.state, State::Valid(_) | State::Rejected(_)));
        expiry.oldest_digest = present.filter(|element| element.kind == DigestKind::Standard).map(|e| e.end).min();
        expiry.oldest_log_file = log_folder.oldest;
        for folder in folders {
            if lost_digests && let Some(start) = context.range.start {
                let earlier = listing::earlier_chains(context.store.as_ref(), folder, start, &context.request).await;
                // What can't be looked at may be there.
                if earlier.map_or(true, |chains| chains.contains(id)) {
                    expiry.oldest_digest = Some(Timestamp::MIN);
                }
            }
            if lost_log_files {
                let oldest = log_folder::oldest(context, folder).await.unwrap_or(Some(Timestamp::MIN));
                expiry.oldest_log_file = [expiry.oldest_log_file, oldest].into_iter().flatten().min();
            }
        }
        expiry
    }

    /// What is said of a digest that is gone.
    pub fn of_digest(&self, object: &ObjectRef, end: Timestamp) -> Explanation {
        let outlived = self.oldest_digest.is_some_and(|oldest| oldest < end);
        self.explain(object, end, outlived, "digests")
    }

    /// What is said of a log file that is gone.
    pub fn of_log_file(&self, object: &ObjectRef) -> Explanation {
        let Some(LogFileKey { time: name, .. }) = LogFileKey::parse(&object.key) else { return Explanation::None };
        let made = name.from.saturating_sub(NAMED_AHEAD).unwrap_or(name.from);
        let before = name.from.saturating_sub(DISORDER).unwrap_or(name.from);
        let outlived = self.oldest_log_file.is_some_and(|oldest| oldest < before);
        self.explain(object, made, outlived, "log files")
    }

    /// Before when everything like this digest was removed by a rule, if the hole that begins at `from` is the chain's oldest;
    /// and the rule.
    pub fn horizon(&self, object: &ObjectRef, from: Timestamp) -> Option<(Timestamp, String)> {
        let now = self.now.filter(|_| self.oldest_digest.is_none_or(|oldest| oldest > from))?;
        let rules = self.rules.get(&*object.bucket)?.as_ref().ok()?;
        let about = rules.iter().filter(|rule| rule.applies_to(&object.key) && !rule.narrowed);
        about.map(|rule| (rule.horizon(now), rule.to_string())).max()
    }

    fn explain(&self, object: &ObjectRef, made: Timestamp, outlived: bool, others: &str) -> Explanation {
        let Some(now) = self.now else { return Explanation::None };
        let rules = match self.rules.get(&*object.bucket) {
            Some(Ok(rules)) => rules,
            Some(Err(_)) if outlived => return Explanation::None,
            Some(Err(reason)) => {
                return Explanation::Hint(format!(
                    "whether a lifecycle rule of the bucket explains it can't be told: {reason}"
                ));
            }
            None => return Explanation::None,
        };
        let about = |narrowed| {
            let about = move |rule: &&LifecycleRule| {
                rule.narrowed == narrowed && rule.applies_to(&object.key) && rule.has_removed(made, now)
            };
            rules.iter().find(about)
        };
        match (about(false), about(true)) {
            (Some(rule), _) if !outlived => Explanation::Rule(format!("the bucket's {rule}")),
            (Some(rule), _) => Explanation::Hint(format!(
                "the bucket's {rule}, but older {others} are still there, so that is not what removed it"
            )),
            (None, Some(rule)) => {
                Explanation::Hint(format!("the bucket's {rule}, and nobody can say whether this was one of them"))
            }
            (None, None) => Explanation::None,
        }
    }
}

fn lacks_log_files(element: &Element, log_folder: &LogFolder, context: &Context) -> bool {
    match &element.state {
        State::Valid(digest) => {
            digest.log_files().iter().any(|entry| !log_folder.present.contains(&context.identity(&entry.object)))
        }
        _ => false,
    }
}
