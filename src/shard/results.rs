//! The results of a plan's units: reading them whole before anything is merged, so that a missing,
//! foreign, cut or conflicting one ends the merge, and comparing neighbouring units.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use ahash::RandomState;
use async_trait::async_trait;
use flate2::bufread::MultiGzDecoder;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::edges::{Edge, UnitEdges};
use super::manifest::{Manifest, PlanError, PlanFiles};
use super::result_file::{LineKind, UnitResult, read_result};
use crate::debug::opaque_debug;
use crate::model::{ChainId, ObjectRef, Region, Requests, TimeRange, WarningCode};
use crate::records::WarningRecord;
use crate::store::{ListRequest, Store, StoreError};

/// The largest number of names that one error lists.
const SPELLED_OUT: usize = 10;
/// The largest number of units of a plan whose results are merged.
const MAX_UNITS: u64 = 1 << 24;
/// The number of results that are read at once.
const AT_ONCE: usize = 4;

/// The reason why results can't be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The plan can't be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The place of the results can't be listed, or a result can't be read.
    #[error("{place} can't be read: {reason}")]
    Unreadable {
        /// The file, folder or object.
        place: String,
        /// The reason.
        reason: String,
    },
    /// A result is of another plan.
    #[error(
        "{} of {place} are of another plan, and nothing was merged: {}. Merge each plan's results in a place of \
         their own", plural(names.len(), "result", "results"), shown(names)
    )]
    Foreign {
        /// The place of the results.
        place: String,
        /// The results.
        names: Vec<String>,
    },
    /// Two results of one unit differ.
    #[error(
        "the results of {} differ, and nothing was merged, because only one of each can be right: {}. Remove one of \
         each, or both and run the unit again", plural(units.len(), "unit", "units"), shown(units)
    )]
    Conflicting {
        /// The units, each with its results.
        units: Vec<String>,
    },
    /// Some units have no whole result.
    #[error(
        "{} of {all} without a whole result, and nothing was merged: {}{}. Run 'ctverify shard --plan … --unit {}'",
        plural(missing.len(), "unit", "units"), ranges(missing), not_whole(damaged), some(missing)
    )]
    Missing {
        /// The number of units in the plan.
        all: u64,
        /// The units without a result.
        missing: Vec<u64>,
        /// The results that are cut short or changed, each with the reason.
        damaged: Vec<String>,
    },
}

fn plural(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}

fn shown(names: &[String]) -> String {
    let more = names.len().saturating_sub(SPELLED_OUT);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.iter().take(SPELLED_OUT).cloned().collect::<Vec<_>>().join(", "))
}

fn not_whole(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; not whole: {}", shown(names)) }
}

/// The first numbers, as a flag takes them.
fn some(numbers: &[u64]) -> String {
    let more = if numbers.len() > SPELLED_OUT { ",…" } else { "" };
    let some: Vec<String> = numbers.iter().take(SPELLED_OUT).map(ToString::to_string).collect();
    format!("{}{more}", some.join(","))
}

/// Numbers with runs shortened: `3, 7-9`.
fn ranges(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let run = |(first, last): (u64, u64)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    shown(&runs.into_iter().map(run).collect::<Vec<_>>())
}

/// The place of results.
#[async_trait]
pub trait ResultSource: Send + Sync {
    /// The place, for people.
    fn place(&self) -> String;

    /// The names of the files or objects that may be results, sorted.
    ///
    /// # Errors
    ///
    /// The place can't be listed.
    async fn names(&self) -> Result<Vec<String>, ResultError>;

    /// Opens one of them. What is remote is copied into a temporary file first.
    ///
    /// # Errors
    ///
    /// It can't be read.
    async fn open(&self, name: &str) -> Result<File, ResultError>;
}

/// Returns whether a name may be that of a result.
fn is_result_name(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    !file.starts_with('.') && (file.ends_with(".jsonl") || file.ends_with(".jsonl.gz"))
}

/// Results in a folder.
#[derive(Debug, Clone)]
pub struct FolderOfResults(pub PathBuf);

#[async_trait]
impl ResultSource for FolderOfResults {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    async fn names(&self) -> Result<Vec<String>, ResultError> {
        let unreadable = |error: io::Error| ResultError::Unreadable { place: self.place(), reason: error.to_string() };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
            if is_result_name(&name) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    async fn open(&self, name: &str) -> Result<File, ResultError> {
        let path = self.0.join(name);
        let unreadable =
            |error: io::Error| ResultError::Unreadable { place: path.display().to_string(), reason: error.to_string() };
        File::open(&path).map_err(unreadable)
    }
}

/// Results below a prefix of a bucket.
pub struct BucketOfResults {
    store: Arc<dyn Store>,
    bucket: String,
    prefix: String,
}

opaque_debug!(BucketOfResults);

impl BucketOfResults {
    /// Names the results below `prefix`, which ends with a slash or is empty.
    pub fn new(store: Arc<dyn Store>, bucket: String, prefix: String) -> Self {
        Self { store, bucket, prefix }
    }
}

#[async_trait]
impl ResultSource for BucketOfResults {
    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    async fn names(&self) -> Result<Vec<String>, ResultError> {
        // Not what lies in folders below it, as of a folder on disk.
        let request =
            ListRequest { bucket: self.bucket.clone(), prefix: self.prefix.clone(), start_after: None, folders: true };
        let unreadable = |error: StoreError| ResultError::Unreadable { place: self.place(), reason: error.to_string() };
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let page = self.store.list(&request, next.as_deref()).await.map_err(unreadable)?;
            names.extend(page.objects.into_iter().map(|object| object.key).filter(|key| is_result_name(key)));
            next = page.next;
            if next.is_none() {
                return Ok(names);
            }
        }
    }

    async fn open(&self, name: &str) -> Result<File, ResultError> {
        let place = || format!("s3://{}/{name}", self.bucket);
        let unreadable = |error: StoreError| ResultError::Unreadable { place: place(), reason: error.to_string() };
        let failed = |error: io::Error| ResultError::Unreadable { place: place(), reason: error.to_string() };
        let object = ObjectRef::new(self.bucket.as_str(), name);
        let mut file = tempfile::tempfile().map_err(failed)?;
        let mut opened = self.store.get(&object, None).await.map_err(unreadable)?;
        while let Some(piece) = opened.body.next().await.map_err(unreadable)? {
            file.write_all(&piece).map_err(failed)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(file)
    }
}

/// The place of one result: a file, and the number of the result in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    name: Arc<str>,
    index: usize,
}

/// The results of all units of a plan, each whole and of that plan.
pub struct Results {
    source: Arc<dyn ResultSource>,
    /// The place of the result of each unit.
    places: Vec<Place>,
    /// The range of each unit.
    pub(super) ranges: Vec<TimeRange>,
    /// The units that have a chain of an account and region, by the hash of both.
    of_region: HashMap<u64, Vec<u32>>,
    hasher: RandomState,
    /// The requests of all units.
    pub requests: Requests,
    /// The differences between what neighbouring units read.
    pub warnings: Vec<WarningRecord>,
    /// The results that are not whole although another one of the same unit is.
    pub ignored: Vec<String>,
}

opaque_debug!(Results);

/// The edges of a unit in one chain, as hashes: a large plan has millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct EdgeHashes {
    first: Option<EdgeHash>,
    last: Option<EdgeHash>,
    next: Option<EdgeHash>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EdgeHash {
    name: u64,
    content: u64,
}

/// The description of a unit as its result states it.
struct Described {
    sha256: String,
    is_part: bool,
}

impl Results {
    /// Reads every result once, and checks that each unit of the plan has a whole one.
    ///
    /// # Errors
    ///
    /// Results are missing, not whole, conflicting or of another plan, or the plan or the results
    /// can't be read.
    pub async fn open(
        files: &PlanFiles,
        manifest: &Manifest,
        source: Arc<dyn ResultSource>,
    ) -> Result<Self, ResultError> {
        let mut described: Vec<Option<Described>> = Vec::new();
        let mut ranges: Vec<TimeRange> = Vec::new();
        let (hasher, mut of_region) = (RandomState::new(), HashMap::new());
        let mut wrong = None;
        files.each_unit(manifest, |unit| {
            let number = usize::try_from(unit.unit).ok().filter(|_| unit.unit < manifest.units.min(MAX_UNITS));
            let Some(index) = number else {
                wrong = Some(unit.unit);
                return;
            };
            if described.len() <= index {
                described.resize_with(index + 1, || None);
                ranges.resize(index + 1, TimeRange::default());
            }
            if described[index].is_some() {
                wrong = Some(unit.unit);
            }
            described[index] =
                Some(Described { sha256: unit.sha256(), is_part: unit.range != manifest.question.range });
            ranges[index] = unit.range;
            for chain in &unit.chains {
                let units: &mut Vec<u32> = of_region.entry(region_hash(&hasher, &chain.id)).or_default();
                let number = u32::try_from(unit.unit).unwrap_or(u32::MAX);
                if units.last() != Some(&number) {
                    units.push(number);
                }
            }
        })?;
        let count = described.len();
        if wrong.is_some() || described.iter().any(Option::is_none) || count as u64 != manifest.units {
            let reason = format!("its units are not 0 to {}, each once", manifest.last_unit());
            return Err(PlanError::Malformed { path: files.beside(PlanFiles::UNITS), reason }.into());
        }
        let found = read_all(source.as_ref(), &described, manifest, &hasher).await?;
        let Found { results, foreign, damaged, edges, requests } = found;
        if !foreign.is_empty() {
            return Err(ResultError::Foreign { place: source.place(), names: foreign });
        }
        let mut places = Vec::with_capacity(count);
        let (mut missing, mut conflicting) = (Vec::new(), Vec::new());
        for (unit, found) in results.into_iter().enumerate() {
            let is_same = found.windows(2).all(|pair| pair[0].1 == pair[1].1);
            if !is_same {
                let names: Vec<&str> = found.iter().map(|(place, _)| &*place.name).collect();
                conflicting.push(format!("unit {unit} ({})", names.join(" and ")));
            }
            match found.into_iter().next() {
                Some((place, _)) => places.push(place),
                None => missing.push(unit as u64),
            }
        }
        if !conflicting.is_empty() {
            return Err(ResultError::Conflicting { units: conflicting });
        }
        if !missing.is_empty() {
            return Err(ResultError::Missing { all: manifest.units, missing, damaged });
        }
        let mut results =
            Self { source, places, ranges, of_region, hasher, requests, warnings: Vec::new(), ignored: damaged };
        results.compare_neighbours(files, manifest, &edges).await?;
        Ok(results)
    }

    /// The units that have a chain of this account and region.
    pub(super) fn units_of(&self, account: &str, region: &str) -> &[u32] {
        self.of_region.get(&self.hasher.hash_one((account, region))).map_or(&[], Vec::as_slice)
    }

    /// Reads the evidence of a unit, and passes each line to `take`.
    pub(super) async fn evidence(
        &self,
        unit: u32,
        mut take: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> Result<UnitResult, ResultError> {
        let place = &self.places[unit as usize];
        let file = self.source.open(&place.name).await?;
        let unreadable = |reason: String| ResultError::Unreadable { place: place.name.to_string(), reason };
        let index = place.index;
        let read = tokio::task::spawn_blocking(move || {
            let mut lines = decompressed(file)?;
            for _ in 0..index {
                read_result(&mut lines, |_, _| Ok(()))?;
            }
            read_result(&mut lines, |kind, line| if kind == LineKind::Evidence { take(line) } else { Ok(()) })
        });
        let read = read.await.map_err(|error| unreadable(error.to_string()))?;
        let result = read.map_err(|error| unreadable(error.to_string()))?;
        result.ok_or_else(|| unreadable("it is gone".to_owned()))
    }

    /// Compares the last digest of each unit, and the next one that it read, with the first digest
    /// of the unit that follows in the same chain.
    async fn compare_neighbours(
        &mut self,
        files: &PlanFiles,
        manifest: &Manifest,
        edges: &HashMap<(u64, u32), EdgeHashes>,
    ) -> Result<(), ResultError> {
        let mut different: Vec<(ChainId, u32, u32)> = Vec::new();
        files.each_chain(manifest, |planned| {
            let chain = self.hasher.hash_one(&planned.chain.id);
            let units: Vec<u32> = planned.units.iter().filter_map(|unit| u32::try_from(*unit).ok()).collect();
            let edge = |unit: u32| edges.get(&(chain, unit)).copied().unwrap_or_default();
            for (index, unit) in units.iter().enumerate() {
                let own = edge(*unit);
                let after = units[index + 1..].iter().find(|unit| edge(**unit).first.is_some());
                let Some((after, first)) = after.and_then(|after| Some((*after, edge(*after).first?))) else {
                    continue;
                };
                let is_same = own.next.is_none_or(|next| next == first);
                if !is_same {
                    different.push((planned.chain.id.clone(), *unit, after));
                }
            }
        })?;
        for (chain, unit, after) in different {
            let warning = self.describe_difference(&chain, unit, after).await?;
            self.warnings.push(warning);
        }
        Ok(())
    }

    async fn describe_difference(&self, chain: &ChainId, unit: u32, after: u32) -> Result<WarningRecord, ResultError> {
        let edges = |result: UnitResult| result.edges.into_iter().find(|edges| edges.chain == *chain);
        let next = edges(self.evidence(unit, |_| Ok(())).await?).and_then(|edges| edges.next);
        let first = edges(self.evidence(after, |_| Ok(())).await?).and_then(|edges| edges.first);
        Ok(difference(unit, next.as_ref(), after, first.as_ref()))
    }
}

/// Describes the difference between a digest as two units read it.
fn difference(unit: u32, next: Option<&Edge>, after: u32, first: Option<&Edge>) -> WarningRecord {
    let about = first.or(next).map(|edge| edge.object.clone());
    let hash = |edge: &Edge| edge.sha256.map_or("no readable content".to_owned(), |hash| format!("SHA-256 {hash}"));
    let detail = match (next, first) {
        (Some(next), Some(first)) if next.object == first.object && next.sha256 == first.sha256 => format!(
            "unit {unit} and unit {after} read it with different signatures in its metadata: it was touched while \
             they ran"
        ),
        (Some(next), Some(first)) if next.object == first.object => format!(
            "unit {unit} read it with {}, and unit {after} with {}: it was replaced while they ran",
            hash(next),
            hash(first)
        ),
        (Some(next), _) => format!(
            "it is the first digest of unit {after}, and unit {unit} read {} as the next one: a digest came or went \
             while they ran",
            next.object
        ),
        (None, _) => format!("unit {unit} and unit {after} differ in the digest between them"),
    };
    let (bucket, key) = about.map(|object| (object.bucket, object.key)).unzip();
    WarningRecord { code: WarningCode::ObjectTouched, bucket, key, detail }
}

fn region_hash(hasher: &RandomState, chain: &ChainId) -> u64 {
    let region: &Region = &chain.region;
    hasher.hash_one((chain.account.as_str(), region.as_str()))
}

/// Decompresses a file if it begins as gzip does.
fn decompressed(mut file: File) -> io::Result<Box<dyn BufRead + Send>> {
    let mut magic = [0; 2];
    let read = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let file = BufReader::with_capacity(1 << 18, file);
    if read == 2 && magic == [0x1f, 0x8b] {
        return Ok(Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

/// Reads a result's file, of which only the first result counts; `None` if it is empty.
///
/// # Errors
///
/// `InvalidData` says why it is no whole result; other errors are those of reading.
pub fn read_unit_result(file: File) -> io::Result<Option<UnitResult>> {
    read_result(&mut decompressed(file)?, |_, _| Ok(()))
}

/// Passes each record of a result's file to `take`, as a line with its line break.
///
/// # Errors
///
/// It is no whole result, can't be read, or `take` fails.
pub fn each_record(file: File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut lines = decompressed(file)?;
    read_result(&mut lines, |kind, line| if kind == LineKind::Record { take(line) } else { Ok(()) })?;
    Ok(())
}

/// All that reading every result once shows.
struct Found {
    /// The results of each unit, with their hashes.
    results: Vec<Vec<(Place, String)>>,
    foreign: Vec<String>,
    damaged: Vec<String>,
    /// The edges of units that are a part of the range, by the hash of the chain and the unit.
    edges: HashMap<(u64, u32), EdgeHashes>,
    requests: Requests,
}

async fn read_all(
    source: &dyn ResultSource,
    described: &[Option<Described>],
    manifest: &Manifest,
    hasher: &RandomState,
) -> Result<Found, ResultError> {
    let mut found = Found {
        results: vec![Vec::new(); described.len()],
        foreign: Vec::new(),
        damaged: Vec::new(),
        edges: HashMap::new(),
        requests: Requests::default(),
    };
    let names = source.names().await?;
    let mut reading = stream::iter(names)
        .map(|name| async move {
            let file = source.open(&name).await?;
            let read = tokio::task::spawn_blocking(move || read_heads(file)).await;
            let read =
                read.map_err(|error| ResultError::Unreadable { place: name.clone(), reason: error.to_string() })?;
            Ok::<_, ResultError>((name, read))
        })
        .buffered(AT_ONCE);
    while let Some((name, (results, failure))) = reading.try_next().await? {
        let shared: Arc<str> = name.as_str().into();
        for (index, result) in results.into_iter().enumerate() {
            let unit = usize::try_from(result.unit).ok();
            let own = unit.and_then(|unit| described.get(unit)).and_then(Option::as_ref);
            let own = own.filter(|own| result.plan == manifest.sha256 && own.sha256 == result.description);
            let (Some(unit), Some(own)) = (unit, own) else {
                found.foreign.push(name.clone());
                continue;
            };
            let is_first = found.results[unit].is_empty();
            found.results[unit].push((Place { name: shared.clone(), index }, result.sha256.clone()));
            if !is_first {
                continue;
            }
            found.requests.get += result.requests.get;
            found.requests.list += result.requests.list;
            found.requests.other += result.requests.other;
            let number = u32::try_from(unit).unwrap_or(u32::MAX);
            for edges in result.edges.iter().filter(|_| own.is_part) {
                found.edges.insert((hasher.hash_one(&edges.chain), number), hashes(edges, hasher));
            }
        }
        if let Some(reason) = failure {
            found.damaged.push(format!("{name} ({reason})"));
        }
    }
    Ok(found)
}

/// Reads every result of a file, and the reason why the rest of it is none.
fn read_heads(file: File) -> (Vec<UnitResult>, Option<String>) {
    let mut results = Vec::new();
    let mut lines = match decompressed(file) {
        Ok(lines) => lines,
        Err(error) => return (results, Some(error.to_string())),
    };
    loop {
        match read_result(&mut lines, |_, _| Ok(())) {
            Ok(Some(result)) => results.push(result),
            Ok(None) if results.is_empty() => return (results, Some("it is empty".to_owned())),
            Ok(None) => return (results, None),
            Err(error) => return (results, Some(error.to_string())),
        }
    }
}

fn hashes(edges: &UnitEdges, hasher: &RandomState) -> EdgeHashes {
    let hash = |edge: &Option<Edge>| {
        edge.as_ref().map(|edge| EdgeHash {
            name: hasher.hash_one(&edge.object),
            content: hasher.hash_one((edge.sha256, &edge.signature)),
        })
    };
    EdgeHashes { first: hash(&edges.first), last: hash(&edges.last), next: hash(&edges.next) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_shortened() {
        assert_eq!(ranges(&[3, 7, 8, 9, 11]), "3, 7-9, 11");
        assert_eq!(ranges(&[0]), "0");
        assert!(ranges(&(0..40).map(|number| number * 2).collect::<Vec<_>>()).ends_with(" and 30 more"));
    }

    #[test]
    fn only_files_of_lines_are_taken_for_results() {
        for (name, expected) in [
            ("unit-000001.jsonl.gz", true),
            ("run-7/unit-000001.jsonl", true),
            (".ctverify-abc.partial", false),
            (".unit.jsonl", false),
            ("part-00000.snappy.parquet", false),
            ("_SUCCESS", false),
        ] {
            assert_eq!(is_result_name(name), expected, "{name}");
        }
    }
}
