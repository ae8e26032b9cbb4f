//! Judging log files by what the valid digests of their chain recorded.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt, HashSet};

use crate::audit::coverage::examined_chain::JudgedChain;
use crate::audit::coverage::expiry::{ExpiryExplainer, Explanation};
use crate::audit::digests::claims::ClaimBudget;
use crate::audit::digests::digest_spool::{DigestSpool, SpooledDigest};
use crate::audit::digests::entry::{ChainEntry, LoadedEntry};
use crate::audit::error::AuditError;
use crate::audit::io::fingerprints::Fingerprints;
use crate::audit::log_files::content::{Judgement, compare, is_intact};
use crate::audit::log_files::versions;
use crate::audit::log_folder::examine::LogFolder;
use crate::audit::log_folder::past_days::AgainFile;
use crate::audit::resume::standing;
use crate::audit::shared::context::Context;
use crate::audit::shared::kept_content::KeptContent;
use crate::audit::shared::proven_content::{Consumed, Consumption, Copied};
use crate::model::{ChainId, Depth, Fault, LogFileStatus, ObjectRef};
use crate::records::{History, LogFileRecord, Record};
use crate::store::StoreError;
use crate::verify::{Content, ExpectedHash, LogFileEntry};

/// A log file to be judged.
#[derive(Debug)]
pub(crate) struct Task {
    pub object: ObjectRef,
    /// The key of the first digest that lists it.
    pub digest: Arc<str>,
    pub listing: Listing,
    /// True if a sample may omit it: the listing shows it, and a valid digest lists it.
    pub is_candidate: bool,
    /// The explanation for a listing that does not show it: a lifecycle rule, or a partial copy.
    pub expiry: Explanation,
}

/// The way in which digests list a log file.
#[derive(Debug)]
pub(crate) enum Listing {
    /// The hashes that valid digests expect, each once, in the order of the listings.
    Expected(Vec<ExpectedHash>),
    /// It is listed only by digests that are not valid.
    Claimed,
}

/// The log files of a chain's digests: one task per object, at the first valid digest that lists
/// it, otherwise at the first that claims it. The tasks of a digest are created when it is emitted,
/// because a chain may list millions.
#[derive(Default)]
pub(crate) struct Tasks {
    /// The objects that valid digests list, as hashes; empty if they are not needed.
    listed: Fingerprints,
    /// The objects that are listed more than once, with every hash that is expected of them; the
    /// hashes are empty once a task was created.
    repeated: HashMap<ObjectRef, Vec<ExpectedHash>>,
    /// The claims of which a task was created, by [`Context::fingerprint`].
    claimed: HashSet<u64>,
    /// The claims that valid digests of other trails list.
    claimed_elsewhere: HashSet<u64>,
    /// The log files that earlier runs found modified or deleted.
    standing: HashSet<ObjectRef>,
    budget: ClaimBudget,
}

impl Tasks {
    /// Looks through the digests whose log files are to be judged. `log_folder` has what their log
    /// folder shows, if it was examined.
    pub(crate) fn new(
        chain: &JudgedChain,
        log_folder: Option<&LogFolder>,
        context: &Context,
        reads: impl Fn(&ChainEntry) -> Result<bool, AuditError>,
    ) -> Result<Self, AuditError> {
        // The hashes are compared only with log files that are claimed or were left open.
        let names = context.standing(&chain.id).filter_map(standing::name_of);
        let standing: HashSet<ObjectRef> =
            names.filter(|(_, is_digest)| !is_digest).map(|(object, _)| object).collect();
        let is_asked =
            context.resume.is_some() || !standing.is_empty() || chain.entries.iter().any(|entry| entry.claims() > 0);
        let claimed_elsewhere = log_folder.map(|folder| folder.claimed_elsewhere.clone()).unwrap_or_default();
        if log_folder.is_some_and(|folder| folder.lists_each_once) && !is_asked {
            return Ok(Self { claimed_elsewhere, ..Self::default() });
        }
        let mut hashes = Vec::with_capacity(chain.entries.iter().filter_map(ChainEntry::valid).map(count).sum());
        each_entry(chain, &reads, |log_file| hashes.push(context.hasher.hash_one(&log_file.object)))?;
        let (listed, twice) = Fingerprints::of(hashes);
        let listed = if is_asked { listed } else { Fingerprints::default() };
        let mut repeated: HashMap<ObjectRef, Vec<ExpectedHash>> = HashMap::new();
        if !twice.is_empty() {
            each_entry(chain, &reads, |log_file| {
                if twice.contains(context.hasher.hash_one(&log_file.object)) {
                    let hashes = repeated.entry(log_file.object).or_default();
                    if !hashes.contains(&log_file.expected) {
                        hashes.push(log_file.expected);
                    }
                }
            })?;
        }
        Ok(Self { listed, repeated, claimed_elsewhere, standing, ..Self::default() })
    }

    /// Returns whether a valid digest lists a log file, so that it gets a task.
    pub(crate) fn lists(&self, object: &ObjectRef, context: &Context) -> bool {
        self.listed.contains(context.hasher.hash_one(object))
    }

    /// Returns the tasks of log files that earlier runs left open and that no digest of this run
    /// lists, and of those in `again`, which are checked once more.
    pub(crate) fn left_open(&self, context: &Context, again: &[AgainFile]) -> Vec<Task> {
        let open = context.resume.iter().flat_map(|resume| resume.open_log_files());
        let open = open.map(|(object, digest, sha256)| (object, digest, ExpectedHash::Sha256(sha256)));
        let again = again.iter().map(|file| (&file.object, &file.digest, file.expected.clone()));
        let unlisted = open.chain(again).filter(|(object, ..)| !self.listed.contains(context.hasher.hash_one(*object)));
        let mut tasks: Vec<Task> = unlisted
            .map(|(object, digest, expected)| Task {
                object: object.clone(),
                digest: digest.clone(),
                listing: Listing::Expected(vec![expected]),
                is_candidate: false,
                expiry: Explanation::None,
            })
            .collect();
        tasks.sort_by(|one, other| one.object.key.cmp(&other.object.key));
        tasks.dedup_by(|one, other| one.object == other.object);
        tasks
    }

    /// Returns the tasks of the next digest. Digests must be passed in the order in which they are
    /// emitted.
    pub(crate) fn of(
        &mut self,
        digest: &LoadedEntry<'_>,
        spool: &DigestSpool,
        context: &Context,
    ) -> Result<Vec<Task>, AuditError> {
        let task = |object: &ObjectRef, listing| Task {
            object: object.clone(),
            digest: digest.object.key.clone(),
            listing,
            is_candidate: false,
            expiry: Explanation::None,
        };
        if let Some(digest) = &digest.valid {
            let expected = digest.log_files().iter().filter_map(|log_file| {
                let hashes = match self.repeated.get_mut(&log_file.object) {
                    Some(hashes) if hashes.is_empty() => return None,
                    Some(hashes) => std::mem::take(hashes),
                    None => vec![log_file.expected],
                };
                Some(task(&log_file.object, Listing::Expected(hashes)))
            });
            return Ok(expected.collect());
        }
        let claims = self.budget.take(digest.entry, spool)?;
        let elsewhere = |object: &ObjectRef| self.claimed_elsewhere.contains(&context.fingerprint(object));
        let unlisted =
            |object: &ObjectRef| !self.listed.contains(context.hasher.hash_one(object)) && !elsewhere(object);
        let mut is_new = |object: &ObjectRef| self.claimed.insert(context.fingerprint(object));
        let new = claims.iter().filter(|object| unlisted(object) && is_new(object));
        Ok(new.map(|object| task(object, Listing::Claimed)).collect())
    }

    /// Drops the tasks that the depth does not require, and returns the number of log files that this
    /// leaves unread. At depth `presence`, only those stay that the listing did not show, and those that
    /// an earlier run found deleted; they are read directly.
    pub(crate) fn drop_unread(&self, tasks: &mut Vec<Task>, folder: &LogFolder, context: &Context) -> u64 {
        let depth = context.request.depth;
        if depth == Depth::Content {
            return 0;
        }
        let before = tasks.len();
        tasks.retain(|task| {
            let listed = matches!(task.listing, Listing::Expected(_));
            let seen = depth == Depth::Chain || folder.shows(&task.object, context);
            !(listed && seen) || self.standing.contains(&task.object)
        });
        (before - tasks.len()) as u64
    }
}

/// Returns the number of log files that a digest lists.
fn count(digest: &SpooledDigest) -> usize {
    digest.summary().log_files()
}

/// Passes to `take` every log file entry of the valid digests for which `reads` returns true.
fn each_entry(
    chain: &JudgedChain,
    reads: impl Fn(&ChainEntry) -> Result<bool, AuditError>,
    mut take: impl FnMut(LogFileEntry),
) -> Result<(), AuditError> {
    for entry in &chain.entries {
        let Some(digest) = entry.valid().filter(|digest| count(digest) > 0) else { continue };
        if reads(entry)? {
            chain.spool.valid(digest)?.log_files().iter().for_each(&mut take);
        }
    }
    Ok(())
}

/// Notes for each log file whether the listing shows it and, if not, what may explain that.
pub(crate) fn note_listing(tasks: &mut [Task], folder: &LogFolder, expiry: &ExpiryExplainer, context: &Context) {
    for task in tasks.iter_mut().filter(|task| matches!(task.listing, Listing::Expected(_))) {
        let seen = folder.shows(&task.object, context);
        task.is_candidate = seen;
        if !seen {
            let copied = !folder.was_not_copied(&task.object);
            task.expiry = if copied { expiry.of_log_file(&task.object) } else { Explanation::NotCopied };
        }
    }
}

/// Reads a log file and judges it. If it is intact, its content goes to the examiner and the consumer of
/// the run; what they made of it is returned.
pub(crate) async fn judge(
    context: &Context,
    chain: Arc<ChainId>,
    task: Task,
) -> Result<(LogFileRecord, Consumed), AuditError> {
    let expected: Vec<ExpectedHash> = match task.listing {
        Listing::Expected(hashes) => hashes,
        Listing::Claimed => Vec::new(),
    };
    let mut copied = None;
    let judgement = if expected.is_empty() {
        let detail = format!("only a digest that is not valid lists it: {}", task.digest);
        Judgement::not_read(LogFileStatus::Unverified, Fault::ListedByInvalidDigest, detail)
    } else {
        match read_content(context, &chain, &task.object, &mut copied).await {
            Ok(content) => compare(&content, &expected),
            Err(error) => judge_failure(&error, context.store.absence(), task.expiry),
        }
    };
    let versions = match judgement.status {
        LogFileStatus::Modified | LogFileStatus::Deleted => {
            versions::of_log_file(context, &task.object, &expected).await
        }
        _ => None,
    };
    context.progress.read_log_file(&chain, judgement.status == LogFileStatus::Intact);
    let record = LogFileRecord {
        id: None,
        status: judgement.status,
        chain,
        object: task.object,
        digest: Some(task.digest),
        expected_sha256: expected.iter().find_map(|hash| match hash {
            ExpectedHash::Sha256(hash) => Some(*hash),
            ExpectedHash::Unknown(_) => None,
        }),
        actual_sha256: judgement.actual,
        size: judgement.size,
        fault: judgement.fault,
        detail: judgement.detail,
        versions,
        history: History::default(),
    };
    let consumed = match (&context.consumption, copied) {
        _ if record.status != LogFileStatus::Intact => Consumed::default(),
        (Some(consumption), Some(copied)) => {
            let copied = if copied.is_missing() {
                read_again(context, consumption, &record, &expected).await.map(|content| copied.with(content))
            } else {
                Ok(copied)
            };
            match copied {
                Ok(copied) => consumption.consume(&record, copied).map_err(AuditError::Content)?,
                Err(records) => Consumed { extract: None, records },
            }
        }
        (Some(consumption), None) => {
            let records = match consumption.known(&record).await {
                Some(records) => records,
                None => match read_again(context, consumption, &record, &expected).await {
                    Ok(content) => consumption.examine(&record, content).map_err(AuditError::Content)?,
                    Err(records) => records,
                },
            };
            Consumed { extract: None, records }
        }
        (None, _) => Consumed::default(),
    };
    Ok((record, consumed))
}

/// Reads a log file that was found intact again, and keeps its content, if that is still what digests expect.
/// Else it returns the records that say so.
async fn read_again(
    context: &Context,
    consumption: &Consumption,
    file: &LogFileRecord,
    expected: &[ExpectedHash],
) -> Result<KeptContent, Vec<Record>> {
    let ceiling = context.request.max_log_file_bytes;
    match context.reader.read_unnoted(&file.object, None, ceiling, || consumption.content(ceiling)).await {
        Ok((content, copy)) if is_intact(&content, expected) => Ok(copy),
        Ok(_) | Err(StoreError::NotFound) => Err(consumption.missed(file, None)),
        Err(error) => Err(consumption.missed(file, Some(&error))),
    }
}

/// Reads and hashes a log file, and keeps and searches its content if the run looks at content.
async fn read_content(
    context: &Context,
    chain: &ChainId,
    object: &ObjectRef,
    copied: &mut Option<Copied>,
) -> Result<Content, StoreError> {
    let ceiling = context.request.max_log_file_bytes;
    let Some(consumption) = context.consumption.as_ref().filter(|consumption| consumption.looks_at(chain)) else {
        return context.reader.read_content(object, None, ceiling).await;
    };
    let (content, copy) = context.reader.read_copy(object, ceiling, || consumption.copy(chain, ceiling)).await?;
    *copied = Some(copy);
    Ok(content)
}

fn judge_failure(error: &StoreError, absence: &str, expiry: Explanation) -> Judgement {
    let deleted = |detail: String| Judgement::not_read(LogFileStatus::Deleted, Fault::NotFound, detail);
    match error {
        StoreError::NotFound => match expiry {
            Explanation::None => deleted(absence.to_owned()),
            Explanation::Hint(hint) => deleted(format!("{absence}; {hint}")),
            Explanation::Open(open) => {
                Judgement::not_read(LogFileStatus::Unverified, Fault::NotFound, format!("{absence}; {open}"))
            }
            Explanation::NotCopied => {
                let detail = format!("{absence}; --depth chain verifies the digests alone");
                Judgement::not_read(LogFileStatus::Unverified, Fault::NotFound, detail)
            }
            // It is unknown whether someone removed it before the rule did.
            Explanation::Rule(rule) => Judgement::not_read(
                LogFileStatus::Unverified,
                Fault::Expired,
                format!("{absence}, and {rule}: it is among the oldest, which that explains"),
            ),
        },
        StoreError::NoSuchBucket(_) => deleted(error.to_string()),
        _ => Judgement::not_read(LogFileStatus::Unverified, error.fault(), error.to_string()),
    }
}
