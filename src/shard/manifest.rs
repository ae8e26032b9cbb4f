//! The stored form of a plan: `manifest.json`, `units.jsonl` and `chains.jsonl` in one folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::known::{PlannedKeys, PlannedNeighbours};
use super::question::Question;
use crate::audit::{ChainList, DiscoveredChain, DiscoveredFacts};
use crate::model::{AccountId, Period, Region, Requests, TimeRange};
use crate::store::{LifecycleRule, StoreError};

/// The name of the schema of plans.
const SCHEMA: &str = "ctverify/plan/2";
/// The largest manifest that is read, in bytes: a region has some hundred keys at most, and a plan
/// names the objects that lie in no region's folder.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// The longest line of a plan that is read, in bytes.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The reason why a plan can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A file of it can't be read.
    #[error("the plan's file {} can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of reading it.
        error: io::Error,
    },
    /// A file is not one of a plan.
    #[error("{} is not what 'ctverify plan' wrote: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault of its content.
        reason: String,
    },
    /// The plan was made by another version of this program.
    #[error(
        "the plan {} was made by ctverify {made_by}, and this is {}: plan, shards and merge have to be of one version",
        path.display(), env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The version that made the plan.
        made_by: String,
    },
    /// The plan has no unit of this number.
    #[error("the plan has the units 0 to {last}, and no unit {unit}")]
    NoUnit {
        /// The number that was asked for.
        unit: u64,
        /// The largest number.
        last: u64,
    },
    /// The plan could not be made.
    #[error("{0}")]
    Failed(String),
}

/// The number of objects that a unit reads, as far as listings tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitEstimate {
    /// Digests.
    pub digests: u64,
    /// Log files.
    pub log_files: u64,
}

impl UnitEstimate {
    /// The number of objects of both kinds.
    pub fn objects(&self) -> u64 {
        self.digests.saturating_add(self.log_files)
    }
}

impl Add for UnitEstimate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            digests: self.digests.saturating_add(other.digests),
            log_files: self.log_files.saturating_add(other.log_files),
        }
    }
}

impl AddAssign for UnitEstimate {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for UnitEstimate {
    fn sum<I: Iterator<Item = Self>>(estimates: I) -> Self {
        estimates.fold(Self::default(), Self::add)
    }
}

/// One unit of work: a part of the range of some chains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// Its number, counted from 0.
    pub unit: u64,
    /// The part of the range.
    #[serde(flatten)]
    pub range: TimeRange,
    /// The time that its listings and reads reach over, around the part: digests and log files on
    /// both sides of its edges, with which its neighbours are joined.
    pub overlap: TimeRange,
    /// The time for which its digests' keys are needed; null where the range has no start.
    pub keys: Option<Period>,
    /// The number of objects that it reads, as far as listings told.
    pub estimate: UnitEstimate,
    /// The chains, in the order of their identities.
    pub chains: Vec<DiscoveredChain>,
}

impl Unit {
    /// Returns whether a digest that ends at `end` belongs to this unit. The units of a chain cut `whole`,
    /// the range of their plan, and two of them verify a digest in whose hour it is cut.
    pub fn owns_digest(&self, end: Timestamp, whole: TimeRange) -> bool {
        let TimeRange { start: begin, end: last } = self.range;
        let is_behind = begin == whole.start || begin.is_none_or(|begin| begin < end);
        let is_before = last == whole.end || last.is_none_or(|last| end <= last);
        is_behind && is_before
    }

    /// The SHA-256 of the unit's description, in hex, which its result states.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// A chain of a plan, with the units that verify it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedChain {
    /// The chain.
    #[serde(flatten)]
    pub chain: DiscoveredChain,
    /// The numbers of its units, by time.
    pub units: Vec<u64>,
}

/// The head of a plan: all that its units and their merge share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The name of this schema.
    pub schema: String,
    /// The version of the program that made the plan.
    pub version: String,
    /// The SHA-256 of the plan, in hex: of this document with an empty string in this place, which
    /// names the hashes of the other files.
    pub sha256: String,
    /// The number of units.
    pub units: u64,
    /// The number of chains.
    pub chains: u64,
    /// The number of objects of all units, as far as listings told.
    pub estimate: UnitEstimate,
    /// The SHA-256 of `units.jsonl`, in hex.
    pub units_sha256: String,
    /// The SHA-256 of `chains.jsonl`, in hex.
    pub chains_sha256: String,
    /// The seed with which the days were drawn whose log files were counted; null if all were.
    pub seed: Option<u64>,
    /// The question that all units answer together.
    pub question: Question,
    /// The accounts that have to be there, by the source that names them.
    pub expected_accounts: BTreeMap<String, Vec<AccountId>>,
    /// The regions that have to be there, by the source that names them.
    pub expected_regions: BTreeMap<String, Vec<Region>>,
    /// The facts that the discovery learned besides the chains: the trail's status as CloudTrail stated it
    /// before anything was listed, and warnings.
    pub facts: DiscoveredFacts,
    /// The public keys.
    pub keys: PlannedKeys,
    /// The lifecycle rules of each bucket of the question; an error is the reason why they are
    /// unknown.
    pub lifecycle_rules: BTreeMap<String, Result<Vec<LifecycleRule>, StoreError>>,
    /// The trails that deliver to the same place without digests.
    pub neighbours: PlannedNeighbours,
    /// The requests that the plan took.
    pub requests: Requests,
}

impl Manifest {
    /// Fills in the schema, the version and the hash.
    #[must_use]
    pub(super) fn sealed(mut self) -> Self {
        SCHEMA.clone_into(&mut self.schema);
        env!("CARGO_PKG_VERSION").clone_into(&mut self.version);
        self.sha256 = self.hash();
        self
    }

    /// The hash of the plan, whatever the document states.
    fn hash(&self) -> String {
        let unsealed = Self { sha256: String::new(), ..self.clone() };
        hex::encode(Sha256::digest(serde_json::to_vec(&unsealed).unwrap_or_default()))
    }

    /// The document.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Checks that a document can be read back.
    ///
    /// # Errors
    ///
    /// It is too large: very many objects lie in no region's folder, and each is named.
    pub fn check_size(json: &[u8]) -> Result<(), PlanError> {
        if json.len() as u64 <= MAX_MANIFEST_BYTES {
            return Ok(());
        }
        Err(PlanError::Failed(format!(
            "the plan's manifest has {} bytes, and no more than {MAX_MANIFEST_BYTES} are read: too many objects lie in \
             no region's folder. --regions leaves those out",
            json.len()
        )))
    }

    /// Reads a document. `path` names it in errors.
    ///
    /// # Errors
    ///
    /// Fails if it is no manifest, if its hash is not the one that it states, or if another version
    /// of the program made it.
    pub fn from_json(json: &[u8], path: &Path) -> Result<Self, PlanError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
            version: String,
        }
        let malformed = |reason: String| PlanError::Malformed { path: path.to_owned(), reason };
        let head: Head = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if head.schema != SCHEMA {
            return Err(malformed(format!("its schema is '{}', not '{SCHEMA}'", head.schema)));
        }
        if head.version != env!("CARGO_PKG_VERSION") {
            return Err(PlanError::Version { path: path.to_owned(), made_by: head.version });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if manifest.hash() != manifest.sha256 {
            return Err(malformed("it was changed: its SHA-256 is not the one that it states".to_owned()));
        }
        Ok(manifest)
    }

    /// The number of the last unit.
    pub fn last_unit(&self) -> u64 {
        self.units.saturating_sub(1)
    }
}

/// The files of a plan on disk.
#[derive(Debug, Clone)]
pub struct PlanFiles {
    /// The path of `manifest.json`.
    pub manifest: PathBuf,
}

impl PlanFiles {
    /// The name of the manifest in a plan's folder.
    pub const MANIFEST: &str = "manifest.json";
    /// The name of the file of units.
    pub const UNITS: &str = "units.jsonl";
    /// The name of the file of chains.
    pub const CHAINS: &str = "chains.jsonl";

    /// Names the files of a plan by its manifest or its folder.
    pub fn of(path: &Path) -> Self {
        let manifest = if path.is_dir() { path.join(Self::MANIFEST) } else { path.to_owned() };
        Self { manifest }
    }

    /// The path of another file of the plan.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.manifest.with_file_name(name)
    }

    /// Reads the manifest.
    ///
    /// # Errors
    ///
    /// It can't be read, or is none of this version.
    pub fn read_manifest(&self) -> Result<Manifest, PlanError> {
        let path = &self.manifest;
        let unreadable = |error| PlanError::Unreadable { path: path.clone(), error };
        let mut json = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut json).map_err(unreadable)?;
        if json.len() as u64 > MAX_MANIFEST_BYTES {
            let reason = format!("it has more than {MAX_MANIFEST_BYTES} bytes");
            return Err(PlanError::Malformed { path: path.clone(), reason });
        }
        Manifest::from_json(&json, path)
    }

    /// Reads the units and passes each to `take`, in the order of the file.
    ///
    /// # Errors
    ///
    /// The file can't be read, is none of a plan, or is not the one that the manifest names.
    pub fn each_unit(&self, manifest: &Manifest, mut take: impl FnMut(Unit)) -> Result<(), PlanError> {
        let path = self.beside(Self::UNITS);
        self.each_line(&path, &manifest.units_sha256, |line| {
            take(serde_json::from_slice(line).map_err(|error| error.to_string())?);
            Ok(())
        })
    }

    /// Reads the chains and passes each to `take`, in the order of their identities.
    ///
    /// # Errors
    ///
    /// The file can't be read, is none of a plan, or is not the one that the manifest names.
    pub fn each_chain(&self, manifest: &Manifest, mut take: impl FnMut(PlannedChain)) -> Result<(), PlanError> {
        let path = self.beside(Self::CHAINS);
        self.each_line(&path, &manifest.chains_sha256, |line| {
            take(serde_json::from_slice(line).map_err(|error| error.to_string())?);
            Ok(())
        })
    }

    fn each_line(
        &self,
        path: &Path,
        sha256: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), PlanError> {
        let unreadable = |error| PlanError::Unreadable { path: path.to_owned(), error };
        let malformed = |reason: String| PlanError::Malformed { path: path.to_owned(), reason };
        let mut hash = Sha256::new();
        let mut lines = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            hash.update(&line);
            take(&line).map_err(|reason| malformed(format!("line {number}: {reason}")))?;
        }
        if hex::encode(hash.finalize()) != sha256 {
            let reason = format!("its SHA-256 is not the one that {} names", self.manifest.display());
            return Err(malformed(reason));
        }
        Ok(())
    }
}

/// The chains of a plan, read from its file whenever they are iterated.
#[derive(Debug, Clone)]
pub struct PlannedChains {
    path: PathBuf,
}

impl PlannedChains {
    /// Names the chains of a plan.
    pub fn of(files: &PlanFiles) -> Self {
        Self { path: files.beside(PlanFiles::CHAINS) }
    }
}

impl ChainList for PlannedChains {
    fn chains(&self) -> Box<dyn Iterator<Item = io::Result<DiscoveredChain>> + Send + '_> {
        let lines = match File::open(&self.path) {
            Ok(file) => BufReader::new(file).split(b'\n'),
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        Box::new(lines.map(|line| {
            let chain: PlannedChain = serde_json::from_slice(&line?)?;
            Ok(chain.chain)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_digest_belongs_to_one_unit() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let range = |start: Option<i64>, end: Option<i64>| TimeRange { start: start.map(at), end: end.map(at) };
        let unit = |range: TimeRange| Unit {
            unit: 0,
            range,
            overlap: range,
            keys: None,
            estimate: UnitEstimate::default(),
            chains: Vec::new(),
        };
        for (start, end) in [(Some(10), Some(40)), (None, None), (None, Some(40)), (Some(10), None)] {
            let whole = range(start, end);
            let units =
                [(start, Some(20)), (Some(20), Some(30)), (Some(30), end)].map(|(start, end)| unit(range(start, end)));
            // Those of the hours that the range's edges cut, too.
            for hour in 10..=41 {
                let owners = units.iter().filter(|unit| unit.owns_digest(at(hour), whole)).count();
                assert_eq!(owners, 1, "{hour} in {start:?} to {end:?}");
            }
            assert!(unit(whole).owns_digest(at(5), whole));
        }
    }
}
