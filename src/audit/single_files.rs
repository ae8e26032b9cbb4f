//! Verification of single log files: the digest that lists each, its links on both sides, and the
//! file's content.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::audit::chain::follow::{JudgedDigests, judge_digests};
use crate::audit::chain::oversized;
use crate::audit::coverage::examined_chain::JudgedChain;
use crate::audit::coverage::expiry::ExpiryExplainer;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState, LoadedEntry};
use crate::audit::digests::listed_digests::ListedDigests;
use crate::audit::emit::digest_records::digest_steps;
use crate::audit::emit::step::{Step, record_step};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::{Admission, CHAINS_AHEAD};
use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::log_files::judge::{Listing, Task, Tasks};
use crate::audit::log_files::versions;
use crate::audit::request::{EDGE, fresh_from};
use crate::audit::shared::context::Context;
use crate::model::{
    ChainId, Coverage, DigestKind, Fault, LogFileKey, LogFileStatus, ObjectRef, Period, TimeRange, TrailName, earlier,
    later,
};
use crate::records::{ChainRecord, History, LogFileRecord, Record};
use crate::store::{Location, StoreError};

/// The longest time before the time in a log file's name at which the hour of the digest that lists
/// it ends.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// The longest time after it. CloudTrail gives no bound; nearly every file is delivered within
/// minutes, and the rest within a day.
const AFTER: SignedDuration = SignedDuration::from_hours(26);

/// A log file that the request names.
#[derive(Debug, Clone)]
struct Wanted {
    object: ObjectRef,
    name: LogFileKey,
}

/// Files of one region whose digests lie together.
struct Cluster {
    folder: RegionFolder,
    range: TimeRange,
    files: Vec<Wanted>,
}

/// The result of examining a cluster.
struct Examined {
    parts: BTreeMap<Arc<ChainId>, Part>,
    /// The prefix that could not be listed, and the error.
    failure: Option<(String, StoreError)>,
}

/// The part of the report about one chain.
#[derive(Default)]
struct Part {
    /// The steps of each digest, sorted by end time, kind and key, as records are ordered.
    digests: BTreeMap<(Timestamp, DigestKind, ObjectRef), Vec<Step>>,
    unlisted: BTreeMap<ObjectRef, LogFileRecord>,
    asked: Coverage,
    covered: Coverage,
}

/// Returns the time in which digests may list these files; `None` if none of the names is a log
/// file's.
pub(crate) fn range(files: &[ObjectRef]) -> Option<TimeRange> {
    let wanted = wanted(files);
    let start = wanted.iter().map(|file| window(file).start).min()?;
    let end = wanted.iter().map(|file| window(file).end).max()?;
    Some(TimeRange { start: Some(start), end: Some(end) })
}

/// Returns the steps of a report on single files.
pub(crate) async fn steps(context: &Arc<Context>, files: &[ObjectRef]) -> Result<Vec<Step>, AuditError> {
    let examined: Vec<Examined> = stream::iter(clusters(wanted(files), context.request.now))
        .map(|cluster| examine(context, cluster))
        .buffered(context.request.concurrency.min(CHAINS_AHEAD))
        .try_collect()
        .await?;
    let hopeless = |error: &StoreError| matches!(error, StoreError::Credentials(_) | StoreError::NoSuchBucket(_));
    let failures = || examined.iter().filter_map(|cluster| cluster.failure.as_ref());
    if let Some((place, error)) = failures().find(|(_, error)| hopeless(error)).or_else(|| {
        // If nothing at all can be listed, the run fails.
        failures().next().filter(|_| failures().count() == examined.len())
    }) {
        return Err(AuditError::Listing { place: place.clone(), error: error.clone() });
    }
    let mut whole: BTreeMap<Arc<ChainId>, Part> = BTreeMap::new();
    for (id, part) in examined.into_iter().flat_map(|cluster| cluster.parts) {
        let into = whole.entry(id).or_default();
        for (position, steps) in part.digests {
            into.digests.entry(position).or_insert(steps);
        }
        into.unlisted.extend(part.unlisted);
        into.asked.extend(&part.asked);
        into.covered.extend(&part.covered);
    }
    let mut steps = Vec::new();
    for (chain, part) in whole {
        let now = context.request.now;
        let Period { start: from, end: to } = part.asked.bounds().unwrap_or(Period::new(now, now));
        let record = ChainRecord {
            id: None,
            chain,
            fault: None,
            detail: None,
            from,
            to,
            covered_seconds: part.covered.seconds(from, to),
            requested_seconds: part.asked.seconds(from, to),
            fresh_log_files: 0,
            edge_log_files: 0,
            history: History::default(),
        };
        steps.extend(part.digests.into_values().flatten());
        steps.extend(part.unlisted.into_values().map(|file| record_step(Record::LogFile(file))));
        steps.push(record_step(Record::Chain(record)));
    }
    for step in &steps {
        if let Step::LogFile(chain, _) = step {
            context.progress.found_log_files(chain, 1);
        }
    }
    Ok(steps)
}

fn wanted(files: &[ObjectRef]) -> Vec<Wanted> {
    let files: BTreeSet<&ObjectRef> = files.iter().collect();
    files
        .into_iter()
        .filter_map(|file| Some(Wanted { object: file.clone(), name: LogFileKey::parse(&file.key)? }))
        .collect()
}

fn window(file: &Wanted) -> Period {
    let (from, to) = (file.name.time.from, file.name.time.to);
    Period::new(earlier(from, BEFORE), later(to, AFTER))
}

fn clusters(mut files: Vec<Wanted>, now: Timestamp) -> Vec<Cluster> {
    let folder = |file: &Wanted| {
        let LogFileKey { root, organization, account, region, .. } = file.name.clone();
        let location = Location { bucket: file.object.bucket.to_string(), root };
        RegionFolder { location, organization, account, region }
    };
    files.sort_by_key(|file| file.name.time.from);
    let mut clusters: Vec<Cluster> = Vec::new();
    for file in files {
        let (folder, Period { start, end }) = (folder(&file), window(&file));
        let end = end.min(now).max(start);
        let near = clusters.iter_mut().rev().find(|cluster| cluster.folder == folder);
        match near.filter(|cluster| cluster.range.end.is_some_and(|end| start <= end)) {
            Some(cluster) => {
                cluster.range.end = cluster.range.end.max(Some(end));
                cluster.files.push(file);
            }
            None => clusters.push(Cluster {
                folder,
                range: TimeRange { start: Some(start), end: Some(end) },
                files: vec![file],
            }),
        }
    }
    clusters
}

/// Examines the chains whose digests may list the files of a cluster.
async fn examine(context: &Arc<Context>, cluster: Cluster) -> Result<Examined, AuditError> {
    let Cluster { folder, range, files } = cluster;
    let context = Arc::new(context.with_range(range));
    let listing = digests::digests(context.store.as_ref(), &folder, &range, &context.request).await;
    // No lifecycle rule has removed a file that is younger than a day.
    let yesterday = earlier(context.request.now, SignedDuration::from_hours(24));
    let may_be_gone = files.iter().any(|file| file.name.time.from < yesterday);
    let mut chains = Vec::new();
    for (id, digests) in listing.digests {
        chains.push(judge_chain(&context, id, &folder, digests, may_be_gone).await?);
    }
    let mut searched: Vec<SearchedChain<'_>> =
        chains.iter().map(|chain| SearchedChain::new(&context, chain)).collect::<Result<_, _>>()?;
    let mut parts: BTreeMap<Arc<ChainId>, Part> = BTreeMap::new();
    for file in files {
        if let Some((chain, listed)) = take_listed(&context, &mut searched, &file) {
            parts.entry(chain.judged.id.clone()).or_default().add(chain, listed, &context);
            continue;
        }
        for chain in &searched {
            for digest in chain.digests.iter().filter(|digest| may_have_listed(digest.entry, &file)) {
                parts.entry(chain.judged.id.clone()).or_default().add_digest(chain.judged, digest, &context);
            }
        }
        let around = around(&file);
        let covering = chains.iter().position(|chain| coverage(chain).contains(around.start, around.end));
        let chain = covering.map(|index| &chains[index]).or(chains.first());
        let chain = chain.map_or_else(|| Arc::new(unknown_chain(&folder)), |chain| chain.id.clone());
        let record = unlisted_record(&context, chain, file, covering.is_some(), listing.failure.as_ref()).await;
        let part = parts.entry(record.chain.clone()).or_default();
        part.asked.add(around.start, around.end);
        if let Some(index) = covering {
            part.add_covering(&searched[index], around, &context);
        }
        part.unlisted.insert(record.object.clone(), record);
    }
    let prefix = format!("s3://{}/{}", folder.location.bucket, folder.prefix());
    Ok(Examined { parts, failure: listing.failure.map(|error| (prefix, error)) })
}

/// Reads and judges the listed digests of a chain, and looks for explanations of those that are
/// gone.
pub(crate) async fn judge_chain(
    context: &Arc<Context>,
    id: ChainId,
    folder: &RegionFolder,
    digests: ListedDigests,
    may_be_gone: bool,
) -> Result<JudgedChain, AuditError> {
    let (id, folders) = (Arc::new(id), std::slice::from_ref(folder));
    let judged = judge_digests(context, &id, folders, digests, &mut Admission::apart()).await?;
    let JudgedDigests { mut entries, spool, .. } = judged;
    oversized::judge(context, &mut entries, &spool).await?;
    let expiry = ExpiryExplainer::examine(context, &id, folders, &entries, &spool, None, may_be_gone).await?;
    expiry.mark(&mut entries, context);
    versions::of_digests(context, &id, &mut entries, &spool).await?;
    Ok(JudgedChain { id, entries, spool, expiry })
}

/// A log file that a digest lists.
struct ListedFile {
    /// The index of the digest.
    digest: usize,
    task: Task,
}

/// A chain in which files are looked up.
struct SearchedChain<'a> {
    judged: &'a JudgedChain,
    digests: Vec<LoadedEntry<'a>>,
    /// The log files that its digests list, as [`Context::identity`] names them, each by the last
    /// digest that does.
    files: HashMap<ObjectRef, ListedFile>,
}

impl<'a> SearchedChain<'a> {
    fn new(context: &Context, judged: &'a JudgedChain) -> Result<Self, AuditError> {
        let digests: Vec<LoadedEntry<'a>> =
            judged.entries.iter().map(|entry| entry.whole(&judged.spool)).collect::<Result<_, _>>()?;
        let mut tasks = Tasks::new(judged, None, context, |_| Ok(true))?;
        let mut files = HashMap::new();
        for (index, digest) in digests.iter().enumerate() {
            for task in tasks.of(digest, &judged.spool, context)? {
                files.insert(context.identity(&task.object).into_owned(), ListedFile { digest: index, task });
            }
        }
        Ok(Self { judged, digests, files })
    }
}

/// Takes a file from the chain that lists it. A file that a valid digest lists counts as listed by
/// that one, whatever other digests claim.
fn take_listed<'s, 'a>(
    context: &Context,
    searched: &'s mut [SearchedChain<'a>],
    file: &Wanted,
) -> Option<(&'s SearchedChain<'a>, ListedFile)> {
    let name = context.identity(&file.object).into_owned();
    let is_expected = |listed: &ListedFile| matches!(listed.task.listing, Listing::Expected(_));
    let expected = searched.iter().position(|chain| chain.files.get(&name).is_some_and(is_expected));
    let index = expected.or_else(|| searched.iter().position(|chain| chain.files.contains_key(&name)))?;
    let chain = &mut searched[index];
    let listed = chain.files.remove(&name)?;
    Some((chain, listed))
}

/// Returns whether this digest is missing or not valid, and covers the time in which the file was
/// delivered.
fn may_have_listed(entry: &ChainEntry, file: &Wanted) -> bool {
    let delivered = later(file.name.time.to, SignedDuration::from_hours(1));
    let speaks = entry.end() > file.name.time.from && entry.start() < delivered;
    speaks && matches!(entry.state, EntryState::Absent(_, Absence::Missing) | EntryState::Rejected(_))
}

impl Part {
    /// Adds a file, the digest that lists it, and the ones before and after that.
    fn add(&mut self, chain: &SearchedChain<'_>, listed: ListedFile, context: &Context) {
        let SearchedChain { judged, digests, .. } = chain;
        let ListedFile { digest, mut task } = listed;
        task.expiry = judged.expiry.of_log_file(&task.object);
        let digest = &digests[digest];
        let entry = digest.entry;
        self.asked.add(entry.start(), entry.end());
        let named = |digest: &LoadedEntry<'_>| digest.predecessor().map(|recorded| recorded.object.clone());
        let before = named(digest);
        let mut near: Vec<&LoadedEntry<'_>> = digests
            .iter()
            .filter(|other| before.as_ref() == Some(&*other.object) || named(other).as_ref() == Some(&*digest.object))
            .collect();
        // A successor that is gone is known only from the digest after it.
        let after = digests.iter().filter(|other| other.entry.kind == entry.kind && other.entry.end() > entry.end());
        let gone = after.min_by_key(|other| other.entry.end());
        near.extend(gone.filter(|other| other.entry.absence() == Some(Absence::Missing)));
        near.push(digest);
        for digest in near {
            self.add_digest(judged, digest, context);
        }
        if entry.valid().is_some() {
            self.covered.add(entry.start(), entry.end());
        }
        let position = (entry.end(), entry.kind, digest.object.clone().into_owned());
        self.digests.entry(position).or_default().push(Step::LogFile(judged.id.clone(), Box::new(task)));
    }

    /// Adds the valid digests that cover a time.
    fn add_covering(&mut self, chain: &SearchedChain<'_>, time: Period, context: &Context) {
        self.covered.add(time.start, time.end);
        for digest in &chain.digests {
            let overlaps = digest.entry.start() < time.end && digest.entry.end() > time.start;
            if overlaps && digest.entry.valid().is_some() {
                self.add_digest(chain.judged, digest, context);
            }
        }
    }

    fn add_digest(&mut self, chain: &JudgedChain, digest: &LoadedEntry<'_>, context: &Context) {
        let LoadedEntry { entry, object, .. } = digest;
        let position = (entry.end(), entry.kind, object.clone().into_owned());
        self.digests.entry(position).or_insert_with(|| digest_steps(chain, digest, context));
    }
}

/// Returns the time that valid digests have to cover so that one of them would list a file.
fn around(file: &Wanted) -> Period {
    let time = file.name.time;
    Period::new(earlier(time.from, EDGE), later(time.to, EDGE))
}

/// Returns the record of a file that no digest lists.
async fn unlisted_record(
    context: &Context,
    chain: Arc<ChainId>,
    file: Wanted,
    is_covered: bool,
    failure: Option<&StoreError>,
) -> LogFileRecord {
    let read = context.store.get(&file.object, None).await.err();
    let (status, fault, detail) = unlisted_reason(context, &file, read.as_ref(), failure, is_covered);
    LogFileRecord {
        id: None,
        status,
        chain,
        object: file.object,
        digest: None,
        expected_sha256: None,
        actual_sha256: None,
        size: None,
        fault: Some(fault),
        detail: Some(detail),
        versions: None,
        history: History::default(),
    }
}

/// Returns the judgement on a file that no digest lists. `read` is the error of opening it, and
/// `listing` the one of listing the digests of its time.
fn unlisted_reason(
    context: &Context,
    file: &Wanted,
    read: Option<&StoreError>,
    listing: Option<&StoreError>,
    is_covered: bool,
) -> (LogFileStatus, Fault, String) {
    let time = file.name.time;
    let unverified = |fault, detail: String| (LogFileStatus::Unverified, fault, detail);
    if read.is_some_and(StoreError::is_absence) {
        return unverified(Fault::NotFound, format!("{}, and no digest lists it", context.store.absence()));
    }
    if let Some(error) = listing {
        return unverified(error.fault(), format!("the digests of its time could not be listed: {error}"));
    }
    if time.from > later(context.request.now, EDGE) {
        let detail = "its name tells a time that has not come, and no digest lists it";
        return unverified(Fault::NotListed, detail.to_owned());
    }
    if context.store.properties().is_live && time.to > fresh_from(&context.request) {
        let detail = "no digest lists it yet: those of the newest two hours may not have been delivered";
        return unverified(Fault::NotListed, detail.to_owned());
    }
    if !is_covered {
        let detail = "no valid digest covers its time, so nothing can be said of it";
        return unverified(Fault::NotListed, detail.to_owned());
    }
    let detail = "valid digests cover its time, and none of them lists it";
    (LogFileStatus::Unlisted, Fault::NotListed, detail.to_owned())
}

/// The chain of a file in whose folder no digest was found: its trail is not known.
fn unknown_chain(folder: &RegionFolder) -> ChainId {
    let RegionFolder { organization, account, region, .. } = folder.clone();
    ChainId { organization, account, home_region: region.clone(), region, trail: TrailName::unknown() }
}

fn coverage(chain: &JudgedChain) -> Coverage {
    let mut coverage = Coverage::default();
    for entry in &chain.entries {
        if entry.valid().is_some() && entry.kind == DigestKind::Standard {
            coverage.add(entry.start(), entry.end());
        }
    }
    coverage
}
