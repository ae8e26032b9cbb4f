//! Losses that a lifecycle rule of the bucket explains. A bucket whose old objects expire loses the
//! oldest ones and nothing else: if older objects are still there, somebody removed the lost one,
//! whatever the rules say.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::audit::chain::verify::is_before_first;
use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState};
use crate::audit::digests::listed_digests::ListedDigest;
use crate::audit::error::AuditError;
use crate::audit::listing::earlier_digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::listing::log_files::made;
use crate::audit::log_folder::examine::LogFolder;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, LogFileKey, ObjectRef, earlier};
use crate::store::LifecycleRule;

/// The longest time by which the creation of a log file precedes the time in its name.
const NAMED_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// The shortest time by which a log file must precede another to count as older: log files of one
/// moment are created in no particular order.
const DISORDER: SignedDuration = SignedDuration::from_mins(15);
/// The time that S3 is given to remove an expired object. It does so gradually and in no promised
/// order, so an object counts as spared only if it should have been gone for this long.
const REMOVAL: SignedDuration = SignedDuration::from_hours(48);

/// The lifecycle rules of a chain's buckets, and the facts that decide which of its losses they
/// explain.
#[derive(Debug, Default)]
pub(crate) struct ExpiryExplainer {
    now: Option<Timestamp>,
    rules: BTreeMap<String, Result<Vec<LifecycleRule>, String>>,
    /// The time at which the oldest existing digest was created.
    oldest_digest: Option<Timestamp>,
    /// The time at which the oldest existing log file was created.
    oldest_log_file: Option<Timestamp>,
    /// The counts of the chain's objects that each rule should have removed long ago.
    counts: BTreeMap<Counted, Removed>,
}

/// The objects of one kind that one rule applies to. Digests and log files are counted separately,
/// because it is unknown how many log files the lost digests listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Counted {
    bucket: String,
    /// The index of the rule among those of its bucket.
    rule: usize,
    digests: bool,
}

/// The counts of existing and lost objects that a rule should have removed long ago: valid digests,
/// and log files that valid digests list.
#[derive(Debug, Clone, Copy, Default)]
struct Removed {
    there: u64,
    gone: u64,
}

impl Removed {
    /// Returns how far the rule explains a loss.
    fn standing(self) -> Standing {
        match self {
            Self { there: 0, .. } => Standing::Explains,
            Self { there, gone } if there > gone => Standing::ExplainsNothing,
            Self { .. } => Standing::Open,
        }
    }
}

/// The extent to which a rule explains a loss that it applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Explains,
    /// Some of what it should have removed still exists: the rule may have been written after the
    /// loss, or it may be slow.
    Open,
    /// Most of what it should have removed still exists, so the rule removes nothing.
    ExplainsNothing,
}

/// The explanation of one loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Explanation {
    /// No rule applies to it.
    None,
    /// A fact worth reporting, which does not explain the loss.
    Hint(String),
    /// It is unknown whether a rule removed it.
    Open(String),
    /// This rule removed it.
    Rule(String),
    /// The copy holds no log file of its day.
    NotCopied,
}

impl ExpiryExplainer {
    /// Requests the rules if the chain lost anything. `lost_log_files` is true if log files may be
    /// among the losses.
    pub(crate) async fn examine(
        context: &Context,
        id: &ChainId,
        folders: &[RegionFolder],
        entries: &[ChainEntry],
        spool: &DigestSpool,
        log_folder: Option<&LogFolder>,
        lost_log_files: bool,
    ) -> Result<Self, AuditError> {
        let lost_digests = entries.iter().any(|entry| entry.absence() == Some(Absence::Missing));
        if !context.store.properties().has_lifecycle_rules || !(lost_digests || lost_log_files) {
            return Ok(Self::default());
        }
        let mut expiry = Self { now: Some(context.request.now), ..Self::default() };
        for folder in folders {
            let bucket = &folder.location.bucket;
            if !expiry.rules.contains_key(bucket) {
                expiry.rules.insert(bucket.clone(), context.lifecycle_rules(bucket).await);
            }
        }
        if expiry.rules.values().all(|rules| rules.as_ref().is_ok_and(Vec::is_empty)) {
            return Ok(expiry);
        }
        expiry.count(entries, spool, log_folder, context)?;
        let present = entries.iter().filter(|entry| entry.absence().is_none());
        expiry.oldest_digest = present.map(|entry| made(entry.end(), entry.last_modified)).min();
        for folder in folders {
            // A failed listing is no evidence that older objects exist.
            if lost_digests && let Some(start) = context.range.start {
                let first = earlier_digests::first_before(context.store.as_ref(), folder, id, start).await;
                let first = first.ok().flatten().map(|digest| made(digest.end, digest.last_modified));
                expiry.oldest_digest = [expiry.oldest_digest, first].into_iter().flatten().min();
            }
            if lost_log_files {
                let first = context.log_files().oldest(folder).await.ok().flatten();
                expiry.oldest_log_file = [expiry.oldest_log_file, first].into_iter().flatten().min();
            }
        }
        Ok(expiry)
    }

    /// Counts the objects that each rule should have removed long ago, as far as this run has seen
    /// them. Planted objects are never counted.
    fn count(
        &mut self,
        entries: &[ChainEntry],
        spool: &DigestSpool,
        log_folder: Option<&LogFolder>,
        context: &Context,
    ) -> Result<(), AuditError> {
        let Some(now) = self.now else { return Ok(()) };
        let then = earlier(now, REMOVAL);
        let mut counts = BTreeMap::new();
        let mut add = |object: &ObjectRef, made: Timestamp, is_there: bool, many: u64| {
            let Some(Ok(rules)) = self.rules.get(&*object.bucket) else { return };
            for (place, rule) in rules.iter().enumerate() {
                if !rule.narrowed && rule.applies_to(&object.key) && rule.has_removed(made, then) {
                    let digests = LogFileKey::parse(&object.key).is_none();
                    let counted = Counted { bucket: object.bucket.to_string(), rule: place, digests };
                    let removed: &mut Removed = counts.entry(counted).or_default();
                    if is_there { removed.there += many } else { removed.gone += many }
                }
            }
        };
        let mut covered_to = context.range.start;
        for entry in entries {
            match &entry.state {
                EntryState::Valid(digest) => {
                    let digest = spool.valid(digest)?;
                    add(digest.object(), made(entry.end(), entry.last_modified), true, 1);
                    let Some(log_folder) = log_folder.filter(|folder| folder.failure.is_none()) else { continue };
                    for log_file in digest.log_files().iter() {
                        let Some(key) = LogFileKey::parse(&log_file.object.key) else { continue };
                        let is_there = log_folder.shows(&log_file.object, context);
                        let at = if is_there { made(key.time.to, None) } else { key.time.from };
                        add(&log_file.object, at, is_there, 1);
                    }
                }
                // One missing digest represents all digests of the hole before it.
                EntryState::Absent(object, Absence::Missing) => {
                    let hours = covered_to.map_or(1, |from| (entry.end().as_second() - from.as_second()) / 3600);
                    add(object, entry.end(), false, hours.max(1).unsigned_abs());
                }
                EntryState::Absent(..) | EntryState::Rejected(_) => continue,
            }
            covered_to = covered_to.max(Some(entry.end()));
        }
        self.counts = counts;
        Ok(())
    }

    /// Marks the missing digests that a rule explains.
    pub(crate) fn mark(&self, entries: &mut [ChainEntry], context: &Context) {
        for index in 0..entries.len() {
            let entry = &entries[index];
            let EntryState::Absent(object, Absence::Missing) = &entry.state else { continue };
            let is_unknown = self.rules.get(&*object.bucket).is_some_and(Result::is_err);
            let listed = ListedDigest {
                object: (**object).clone(),
                kind: entry.kind,
                end: entry.named_end,
                last_modified: None,
                size: None,
            };
            let marked = match self.of_digest(object, entry.named_end) {
                Explanation::Rule(_) => Absence::Expired,
                _ if is_unknown && is_before_first(context, entries, &listed) => Absence::BeforeFirst,
                Explanation::Open(_) => Absence::Unexplained,
                _ => continue,
            };
            if let EntryState::Absent(_, absence) = &mut entries[index].state {
                *absence = marked;
            }
        }
    }

    /// Returns the explanation of a lost digest.
    pub(crate) fn of_digest(&self, object: &ObjectRef, end: Timestamp) -> Explanation {
        let older = self.oldest_digest.filter(|oldest| *oldest < end);
        self.explain(object, end, older, "digests")
    }

    /// Returns the explanation of a lost log file.
    pub(crate) fn of_log_file(&self, object: &ObjectRef) -> Explanation {
        let Some(LogFileKey { time: name, .. }) = LogFileKey::parse(&object.key) else { return Explanation::None };
        let earliest = earlier(name.from, NAMED_AHEAD);
        let before = earlier(name.from, DISORDER);
        let older = self.oldest_log_file.filter(|oldest| *oldest < before);
        self.explain(object, earliest, older, "log files")
    }

    /// Returns whether there are rules that may explain anything.
    pub(crate) fn knows_rules(&self) -> bool {
        self.rules.values().any(|rules| rules.as_ref().is_ok_and(|rules| !rules.is_empty()))
    }

    /// Returns the time before which a rule removed every digest like this one, and the rule, if
    /// nothing older than the hole that starts at `from` was spared.
    pub(crate) fn horizon(&self, object: &ObjectRef, from: Timestamp) -> Option<(Timestamp, String)> {
        let now = self.now?;
        let older = self.oldest_digest.filter(|oldest| *oldest <= from);
        let rules = self.rules.get(&*object.bucket)?.as_ref().ok()?;
        let about = rules.iter().enumerate().filter(|(place, rule)| {
            rule.applies_to(&object.key)
                && !rule.narrowed
                && !spared(rule, older, now)
                && self.standing(object, *place) == Standing::Explains
        });
        about.map(|(_, rule)| (rule.horizon(now), rule.to_string())).max()
    }

    /// Returns how far the rule with this index explains the loss of an object like this one.
    fn standing(&self, object: &ObjectRef, rule: usize) -> Standing {
        let digests = LogFileKey::parse(&object.key).is_none();
        let counted = Counted { bucket: object.bucket.to_string(), rule, digests };
        self.counts.get(&counted).copied().unwrap_or_default().standing()
    }

    fn explain(&self, object: &ObjectRef, made: Timestamp, older: Option<Timestamp>, others: &str) -> Explanation {
        let Some(now) = self.now else { return Explanation::None };
        let rules = match self.rules.get(&*object.bucket) {
            Some(Ok(rules)) => rules,
            Some(Err(_)) if older.is_some() => return Explanation::None,
            Some(Err(reason)) => {
                return Explanation::Open(format!(
                    "whether a lifecycle rule of the bucket explains it can't be told: {reason}"
                ));
            }
            None => return Explanation::None,
        };
        let is_about = |rule: &LifecycleRule| rule.applies_to(&object.key) && rule.has_removed(made, now);
        let about = || rules.iter().enumerate().filter(|(_, rule)| is_about(rule));
        let mut oldest = about().filter(|(_, rule)| !rule.narrowed && !spared(rule, older, now));
        let best = oldest.clone().find(|(place, _)| self.standing(object, *place) == Standing::Explains);
        if let Some((_, rule)) = best {
            return Explanation::Rule(format!("the bucket's {rule}"));
        }
        if let Some((place, rule)) = oldest.next() {
            let what = "of what it should have removed two days ago or more";
            return match self.standing(object, place) {
                Standing::ExplainsNothing => Explanation::Hint(format!(
                    "the bucket's {rule}, but most {what} is still there, so that is not what removed it"
                )),
                _ => {
                    Explanation::Open(format!("the bucket's {rule}, but some {what} is still there, so nobody can say"))
                }
            };
        }
        if let Some((_, rule)) = about().find(|(_, rule)| !rule.narrowed) {
            return Explanation::Hint(format!(
                "the bucket's {rule}, but older {others} are still there, so that is not what removed it"
            ));
        }
        about().next().map_or(Explanation::None, |(_, rule)| {
            Explanation::Hint(format!("the bucket's {rule}, and nobody can say whether this was one of them"))
        })
    }
}

/// Returns whether this older object still exists although the rule should have removed it long
/// ago.
fn spared(rule: &LifecycleRule, older: Option<Timestamp>, now: Timestamp) -> bool {
    let then = earlier(now, REMOVAL);
    older.is_some_and(|made| rule.has_removed(made, then))
}

/// Returns whether any log file that valid digests list may be gone.
pub(crate) fn may_lack_log_files(log_folder: &LogFolder) -> bool {
    log_folder.failure.is_some() || !log_folder.absent.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_explains_only_where_nothing_that_it_should_have_removed_is_there() {
        let standing = |there, gone| Removed { there, gone }.standing();
        assert_eq!(standing(0, 0), Standing::Explains);
        assert_eq!(standing(0, 9), Standing::Explains);
        assert_eq!(standing(1, 9), Standing::Open);
        assert_eq!(standing(5, 5), Standing::Open);
        assert_eq!(standing(6, 5), Standing::ExplainsNothing);
    }

    /// The lifecycle rules of the bucket `logs`, seen from 20 March.
    fn expiry(rules: Result<Vec<LifecycleRule>, String>, oldest_digest: Option<&str>) -> ExpiryExplainer {
        let rules = [("logs".to_owned(), rules)].into_iter().collect();
        let oldest_digest = oldest_digest.map(day);
        ExpiryExplainer { now: Some(day("20")), rules, oldest_digest, ..ExpiryExplainer::default() }
    }

    fn day(day: &str) -> Timestamp {
        format!("2026-03-{day}T00:00:00Z").parse().unwrap()
    }

    fn rule(days: i32) -> LifecycleRule {
        let expiry = crate::store::Expiry::Days(days);
        LifecycleRule { id: "old".to_owned(), prefix: "AWSLogs/".to_owned(), expiry, narrowed: false }
    }

    #[test]
    fn a_rule_explains_the_oldest_losses_alone() {
        let lost = ObjectRef::new("logs", "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/lost.json.gz");
        let narrowed = LifecycleRule { narrowed: true, ..rule(7) };
        let other = LifecycleRule { prefix: "other/".to_owned(), ..rule(7) };
        for (rules, oldest, gone, explanation) in [
            (vec![rule(7)], None, "05", "Rule"),
            (vec![rule(7)], Some("12"), "05", "Rule"),
            // It has not removed what is younger.
            (vec![rule(7)], None, "19", "None"),
            (vec![other], None, "05", "None"),
            (vec![], None, "05", "None"),
            // An older digest that should have been removed long ago is there.
            (vec![rule(7)], Some("02"), "05", "Hint"),
            // Nobody knows whether the lost one had the tags that the rule is for.
            (vec![narrowed.clone()], None, "05", "Hint"),
            (vec![narrowed, rule(10)], None, "05", "Rule"),
        ] {
            let shown = format!("{rules:?} {oldest:?} {gone}");
            let found = format!("{:?}", expiry(Ok(rules), oldest).of_digest(&lost, day(gone)));
            assert!(found.starts_with(explanation), "{shown}: {found}");
        }
    }

    #[test]
    fn rules_that_can_not_be_read_leave_a_loss_open_unless_older_objects_are_there() {
        let lost = ObjectRef::new("logs", "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/lost.json.gz");
        let denied = || Err("access denied".to_owned());
        let open = expiry(denied(), None).of_digest(&lost, day("05"));
        assert!(matches!(open, Explanation::Open(why) if why.contains("access denied")));
        assert_eq!(expiry(denied(), Some("02")).of_digest(&lost, day("05")), Explanation::None);
        let elsewhere = ObjectRef::new("another", &*lost.key);
        assert_eq!(expiry(denied(), None).of_digest(&elsewhere, day("05")), Explanation::None);
    }

    #[test]
    fn a_rule_that_spared_most_of_what_it_is_for_explains_nothing() {
        let lost = ObjectRef::new("logs", "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/lost.json.gz");
        let counted = Counted { bucket: "logs".to_owned(), rule: 0, digests: true };
        for (there, gone, explanation) in [(0, 3, "Rule"), (1, 3, "Open"), (4, 3, "Hint")] {
            let mut expiry = expiry(Ok(vec![rule(7)]), None);
            expiry.counts.insert(counted.clone(), Removed { there, gone });
            let found = format!("{:?}", expiry.of_digest(&lost, day("05")));
            assert!(found.starts_with(explanation), "{there} {gone}: {found}");
        }
    }
}
