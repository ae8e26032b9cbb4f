//! Verification of single log files: the digest that lists each, its links on both sides, and the
//! file's content.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::audit::chain::follow::{JudgedDigests, judge_digests};
use crate::audit::chain::oversized;
use crate::audit::coverage::examined_chain::ExaminedChain;
use crate::audit::coverage::expiry::Expiry;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState, LoadedEntry};
use crate::audit::emit::chain_records::{self, Step};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::{Admission, CHAINS_AHEAD};
use crate::audit::listing::digests::{self, RegionFolder};
use crate::audit::log_files::judge::{Listing, Task, Tasks};
use crate::audit::log_files::versions;
use crate::audit::log_folder::examine::LogFolder;
use crate::audit::request::{EDGE, fresh_from};
use crate::audit::resume::late_arrivals::Deliveries;
use crate::audit::shared::context::Context;
use crate::model::{
    ChainId, Coverage, DigestKind, Fault, LogFileKey, LogFileStatus, ObjectRef, Period, TimeRange, TrailName, earlier,
    later,
};
use crate::records::{ChainRecord, LogFileRecord, Record};
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
        for (place, steps) in part.digests {
            into.digests.entry(place).or_insert(steps);
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
            chain,
            fault: None,
            detail: None,
            from,
            to,
            covered_seconds: part.covered.seconds(from, to),
            requested_seconds: part.asked.seconds(from, to),
            fresh_log_files: 0,
            edge_log_files: 0,
            since: None,
        };
        steps.extend(part.digests.into_values().flatten());
        steps.extend(part.unlisted.into_values().map(|file| chain_records::record_step(Record::LogFile(file))));
        steps.push(chain_records::record_step(Record::Chain(record)));
    }
    context.progress.found_log_files(files.len());
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

async fn examine(context: &Arc<Context>, cluster: Cluster) -> Result<Examined, AuditError> {
    let Cluster { folder, range, files } = cluster;
    let context = Arc::new(context.with_range(range));
    let listing = digests::digests(context.store.as_ref(), &folder, &range, &context.request).await;
    let mut chains = Vec::new();
    // No lifecycle rule has removed a file that is younger than a day.
    let yesterday = earlier(context.request.now, SignedDuration::from_hours(24));
    let may_be_gone = files.iter().any(|file| file.name.time.from < yesterday);
    for (id, digests) in listing.digests {
        let id = Arc::new(id);
        let JudgedDigests { mut entries, spool, .. } =
            judge_digests(&context, &id, std::slice::from_ref(&folder), digests, &mut Admission::apart()).await?;
        oversized::judge(&context, &mut entries, &spool).await?;
        let folders = std::slice::from_ref(&folder);
        let expiry = Expiry::examine(&context, &id, folders, &entries, &spool, None, may_be_gone).await?;
        expiry.mark(&mut entries, &context);
        versions::of_digests(&context, &id, &mut entries, &spool).await?;
        chains.push(ExaminedChain {
            id,
            entries,
            spool,
            listing_failure: None,
            own_listing_failed: false,
            goes_on_from: None,
            goes_on_as: None,
            lost_all: false,
            has_earlier: true,
            delivery_accounted: true,
            log_folder: LogFolder::default(),
            expiry,
            deliveries: Deliveries::default(),
            contradictions: Vec::new(),
        });
    }
    let mut wholes = Vec::new();
    let mut listings: Vec<HashMap<ObjectRef, (usize, Task)>> = Vec::new();
    for chain in &chains {
        let digests: Vec<LoadedEntry<'_>> =
            chain.entries.iter().map(|entry| entry.whole(&chain.spool)).collect::<Result<_, _>>()?;
        listings.push(self::listings(&context, chain, &digests)?);
        wholes.push(digests);
    }
    let mut parts: BTreeMap<Arc<ChainId>, Part> = BTreeMap::new();
    for file in files {
        let name = context.identity(&file.object).into_owned();
        // A file that a valid digest lists counts as listed, whatever other digests claim.
        let is_expected = |(_, task): &(usize, Task)| matches!(task.listing, Listing::Expected(_));
        let at = listings.iter().position(|all| all.get(&name).is_some_and(is_expected));
        let at = at.or_else(|| listings.iter().position(|all| all.contains_key(&name)));
        let listed = at.and_then(|at| Some((&chains[at], &wholes[at], listings[at].remove(&name)?)));
        match listed {
            Some((chain, digests, task)) => {
                parts.entry(chain.id.clone()).or_default().add(chain, digests, task, &context);
            }
            None => {
                for (chain, digests) in chains.iter().zip(&wholes) {
                    let damaged = digests.iter().filter(|digest| may_have_listed(digest.entry, &file));
                    for digest in damaged {
                        parts.entry(chain.id.clone()).or_default().add_digest(chain, digest, &context);
                    }
                }
                let record = unlisted_record(&context, &folder, &chains, file, listing.failure.as_ref()).await;
                let part = parts.entry(record.chain.clone()).or_default();
                part.unlisted.insert(record.object.clone(), record);
            }
        }
    }
    let place = format!("s3://{}/{}", folder.location.bucket, folder.prefix());
    Ok(Examined { parts, failure: listing.failure.map(|error| (place, error)) })
}

/// Returns whether this digest is missing or not valid, and covers the time in which the file was
/// delivered.
fn may_have_listed(entry: &ChainEntry, file: &Wanted) -> bool {
    let delivered = later(file.name.time.to, SignedDuration::from_hours(1));
    let speaks = entry.end() > file.name.time.from && entry.start() < delivered;
    speaks && matches!(entry.state, EntryState::Absent(_, Absence::Missing) | EntryState::Rejected(_))
}

/// Returns the log files that a chain's digests list, as [`Context::identity`] names them, each
/// with the index of the first digest that does.
fn listings(
    context: &Context,
    chain: &ExaminedChain,
    digests: &[LoadedEntry<'_>],
) -> Result<HashMap<ObjectRef, (usize, Task)>, AuditError> {
    let mut tasks = Tasks::new(chain, context, |_| Ok(true))?;
    let mut found = HashMap::new();
    for (index, digest) in digests.iter().enumerate() {
        for task in tasks.of(digest, &chain.spool, context)? {
            found.insert(context.identity(&task.object).into_owned(), (index, task));
        }
    }
    Ok(found)
}

impl Part {
    /// Adds a file, the digest that lists it, and the ones before and after that.
    fn add(
        &mut self,
        chain: &ExaminedChain,
        digests: &[LoadedEntry<'_>],
        (index, mut task): (usize, Task),
        context: &Context,
    ) {
        task.expiry = chain.expiry.of_log_file(&task.object);
        let digest = &digests[index];
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
            self.add_digest(chain, digest, context);
        }
        if entry.valid().is_some() {
            self.covered.add(entry.start(), entry.end());
        }
        let place = (entry.end(), entry.kind, digest.object.clone().into_owned());
        self.digests.entry(place).or_default().push(Step::LogFile(chain.id.clone(), Box::new(task)));
    }
}

impl Part {
    fn add_digest(&mut self, chain: &ExaminedChain, digest: &LoadedEntry<'_>, context: &Context) {
        let LoadedEntry { entry, object, .. } = digest;
        let place = (entry.end(), entry.kind, object.clone().into_owned());
        self.digests.entry(place).or_insert_with(|| chain_records::digest_steps(chain, digest, context));
    }
}

/// Returns the record of a file that no digest lists.
async fn unlisted_record(
    context: &Context,
    folder: &RegionFolder,
    chains: &[ExaminedChain],
    file: Wanted,
    failure: Option<&StoreError>,
) -> LogFileRecord {
    let time = file.name.time;
    let from = earlier(time.from, EDGE);
    let to = later(time.to, EDGE);
    let covering = chains.iter().find(|chain| coverage(chain).contains(from, to));
    let fresh = fresh_from(&context.request);
    let (status, fault, detail) = match (context.store.get(&file.object, None).await, failure) {
        (Err(error), _) if error.is_absence() => {
            let detail = format!("{}, and no digest lists it", context.store.absence());
            (LogFileStatus::Unverified, Fault::NotFound, detail)
        }
        (_, Some(error)) => {
            (LogFileStatus::Unverified, error.fault(), format!("the digests of its time could not be listed: {error}"))
        }
        _ if time.from > later(context.request.now, EDGE) => {
            let detail = "its name tells a time that has not come, and no digest lists it";
            (LogFileStatus::Unverified, Fault::NotListed, detail.to_owned())
        }
        _ if context.store.is_live() && time.to > fresh => {
            let detail = "no digest lists it yet: those of the newest two hours may not have been delivered";
            (LogFileStatus::Unverified, Fault::NotListed, detail.to_owned())
        }
        _ if covering.is_some() => {
            let detail = "valid digests cover its time, and none of them lists it".to_owned();
            (LogFileStatus::Unlisted, Fault::NotListed, detail)
        }
        _ => {
            let detail = "no valid digest covers its time, so nothing can be said of it".to_owned();
            (LogFileStatus::Unverified, Fault::NotListed, detail)
        }
    };
    let chain = covering.or(chains.first()).map_or_else(
        || {
            let RegionFolder { organization, account, region, .. } = folder.clone();
            Arc::new(ChainId {
                organization,
                account,
                home_region: region.clone(),
                region,
                trail: TrailName::unknown(),
            })
        },
        |chain| chain.id.clone(),
    );
    LogFileRecord {
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
        since: None,
    }
}

fn coverage(chain: &ExaminedChain) -> Coverage {
    let mut coverage = Coverage::default();
    for entry in &chain.entries {
        if entry.valid().is_some() && entry.kind == DigestKind::Standard {
            coverage.add(entry.start(), entry.end());
        }
    }
    coverage
}
