//! The format of a checkpoint: JSON, with its version first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::activity::WireActivity;
use crate::model::{
    Acknowledgement, ChainCheckpoint, ChainId, Checkpoint, CountedFindings, DigestStatus, Fault, FindingId, IdError,
    LastRun, LogFileStatus, ObjectRef, Open, OpenPoint, RangeStart, Region, Sha256Hash, VerifiedDay, VerifiedDigest,
    VerifiedFiles, VerifiedRun,
};

/// The version of the format that is written. Versions 1 and 2 can be read, too: the first had neither
/// verified runs nor log folders, and both had only the number of the violations that earlier runs
/// reported.
const VERSION: u32 = 3;

/// The maximum number of digests in one run: those of 31 days, one a minute.
const MAX_RUN: u32 = 31 * 24 * 60;

/// The word for the start of a range that was not given.
const FIRST_DIGEST: &str = "first_digest";

#[derive(Serialize, Deserialize)]
struct Wire {
    ctverify_checkpoint: u32,
    trail_arn: Option<String>,
    source: String,
    depth: String,
    /// Absent in versions 1 and 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    examined_from: Option<String>,
    last_run: Option<WireRun>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regions_asked: Option<Timestamp>,
    chains: Vec<WireChain>,
}

#[derive(Serialize, Deserialize)]
struct WireRun {
    started: Timestamp,
    verdict: String,
}

#[derive(Serialize, Deserialize)]
struct WireChain {
    organization: Option<String>,
    account: String,
    region: Option<String>,
    trail: String,
    home_region: String,
    begin: Option<Timestamp>,
    through: Option<WireDigest>,
    unlisted_from: Option<Timestamp>,
    seen: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recent: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    verified: Vec<WireVerified>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    log_folders: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verified_files: Option<WireFiles>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activity: Option<WireActivity>,
    /// The numbers of digests and log files that earlier runs reported, by status, as versions 1 and 2
    /// have them.
    #[serde(default, rename = "told", skip_serializing)]
    reported: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counted: Vec<WireCounted>,
    open: Vec<WirePoint>,
}

#[derive(Serialize, Deserialize)]
struct WireCounted {
    what: String,
    count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledgement>,
}

#[derive(Serialize, Deserialize)]
struct WireVerified {
    bucket: String,
    prefix: String,
    kind: String,
    first: Timestamp,
    step: i64,
    count: u32,
}

#[derive(Serialize, Deserialize)]
struct WireFiles {
    key: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    judged: Vec<String>,
    days: BTreeMap<String, WireDay>,
}

#[derive(Serialize, Deserialize)]
struct WireDay {
    count: u64,
    sum: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lost: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct WireDigest {
    bucket: String,
    key: String,
    sha256: String,
    signature: Option<String>,
    end: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct WirePoint {
    #[serde(flatten)]
    what: WireOpen,
    since: Option<Timestamp>,
    /// Absent in versions 1 and 2.
    #[serde(default)]
    id: Option<FindingId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledgement>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "open", rename_all = "snake_case")]
enum WireOpen {
    Digest {
        bucket: String,
        key: String,
        kind: String,
        end: Timestamp,
        status: String,
        is_named: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Sha256Hash>,
    },
    LogFile {
        bucket: String,
        key: String,
        digest: String,
        #[serde(default)]
        sha256: Option<Sha256Hash>,
        /// Absent in versions 1 and 2, which kept only log files that could not be judged.
        #[serde(default)]
        status: Option<LogFileStatus>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actual: Option<Sha256Hash>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    Unlisted {
        bucket: String,
        key: String,
    },
    Gap {
        cause: String,
        from: Timestamp,
        to: Timestamp,
    },
    CheckpointContradicted {
        bucket: String,
        key: String,
        sha256: Option<String>,
        end: Timestamp,
    },
    TailCut,
}

/// Writes a checkpoint as JSON.
///
/// # Errors
///
/// Does not fail for a checkpoint that a run made.
pub fn to_json(checkpoint: &Checkpoint) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec(&Wire::from(checkpoint))?;
    json.push(b'\n');
    Ok(json)
}

/// Reads a checkpoint.
///
/// # Errors
///
/// Returns what is wrong with the text: no JSON, another version, or a word that this version
/// doesn't know.
pub fn parse(json: &[u8]) -> Result<Checkpoint, String> {
    #[derive(Deserialize)]
    struct Version {
        ctverify_checkpoint: u32,
    }
    let version: Version = serde_json::from_slice(json)
        .map_err(|_| "it is no JSON object with the version of a checkpoint, ctverify_checkpoint".to_owned())?;
    if !(1..=VERSION).contains(&version.ctverify_checkpoint) {
        let other = version.ctverify_checkpoint;
        return Err(format!("its version is {other}, and this program reads versions 1 to {VERSION}"));
    }
    let wire: Wire = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    wire.read()
}

impl From<&Checkpoint> for Wire {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            ctverify_checkpoint: VERSION,
            trail_arn: checkpoint.trail.as_ref().map(ToString::to_string),
            source: checkpoint.source.clone(),
            depth: checkpoint.depth.to_string(),
            examined_from: checkpoint.examined_from.map(|start| match start {
                RangeStart::FirstDigest => FIRST_DIGEST.to_owned(),
                RangeStart::At(time) => time.to_string(),
            }),
            last_run: checkpoint.last_run.map(|run| WireRun { started: run.started, verdict: run.verdict.to_string() }),
            regions_asked: checkpoint.regions_asked,
            chains: checkpoint.chains.iter().map(WireChain::from).collect(),
        }
    }
}

impl From<(&ChainId, &ChainCheckpoint)> for WireChain {
    fn from((id, chain): (&ChainId, &ChainCheckpoint)) -> Self {
        Self {
            organization: id.organization.as_ref().map(ToString::to_string),
            account: id.account.to_string(),
            region: id.region.known().map(str::to_owned),
            trail: id.trail.to_string(),
            home_region: id.home_region.to_string(),
            begin: chain.begin,
            through: chain.through.as_ref().map(|digest| WireDigest {
                bucket: digest.object.bucket.to_string(),
                key: digest.object.key.to_string(),
                sha256: digest.sha256.to_string(),
                signature: digest.signature.as_ref().map(hex::encode),
                end: digest.end,
            }),
            unlisted_from: chain.unlisted_from,
            seen: chain.seen,
            recent: chain.recent.iter().map(mark_text).collect(),
            verified: chain.verified.iter().map(WireVerified::from).collect(),
            log_folders: chain.log_folders.clone(),
            verified_files: chain.verified_files.as_ref().map(WireFiles::from),
            activity: WireActivity::of(&chain.activity),
            reported: BTreeMap::new(),
            counted: chain.counted.iter().map(WireCounted::from).collect(),
            open: chain.open.iter().map(WirePoint::from).collect(),
        }
    }
}

impl From<&CountedFindings> for WireCounted {
    fn from(counted: &CountedFindings) -> Self {
        let CountedFindings { what, count, acknowledged } = counted.clone();
        Self { what, count, acknowledged }
    }
}

impl WireCounted {
    fn read(self) -> CountedFindings {
        let Self { what, count, acknowledged } = self;
        CountedFindings { what, count, acknowledged }
    }
}

/// Returns the violations that earlier runs reported and of which an older checkpoint has only the
/// number: those that are no open points.
fn only_counted(reported: &BTreeMap<String, u64>, open: &[OpenPoint]) -> Vec<CountedFindings> {
    let is_invalid = |point: &&OpenPoint| matches!(&point.what, Open::Digest { status: DigestStatus::Invalid, .. });
    let known = open.iter().filter(is_invalid).count() as u64;
    let kinds = [
        ("modified", "modified log file", 0),
        ("deleted", "deleted log file", 0),
        ("invalid", "invalid digest", known),
    ];
    let counts = kinds.into_iter().filter_map(|(word, what, known)| {
        let count = reported.get(word)?.saturating_sub(known);
        (count > 0).then(|| CountedFindings { what: what.to_owned(), count, acknowledged: None })
    });
    counts.collect()
}

impl From<&VerifiedRun> for WireVerified {
    fn from(run: &VerifiedRun) -> Self {
        let VerifiedRun { bucket, prefix, kind, first, step, count } = run.clone();
        Self { bucket: bucket.to_string(), prefix, kind: kind.to_string(), first, step, count }
    }
}

impl WireVerified {
    fn read(self) -> Result<VerifiedRun, String> {
        let Self { bucket, prefix, kind, first, step, count } = self;
        if count > MAX_RUN || step < 0 {
            return Err(format!("it says that {count} digests follow each other in one series"));
        }
        Ok(VerifiedRun { bucket: bucket.into(), prefix, kind: kind.parse()?, first, step, count })
    }
}

impl From<&VerifiedFiles> for WireFiles {
    fn from(files: &VerifiedFiles) -> Self {
        let day = |day: &VerifiedDay| WireDay {
            count: day.count,
            sum: mark_text(&day.sum),
            lost: day.lost.iter().map(mark_text).collect(),
        };
        let days = files.days.iter().map(|(folder, files)| (folder.clone(), day(files))).collect();
        let judged = files.judged.iter().map(mark_text).collect();
        Self { key: hex::encode(files.key), judged, days }
    }
}

impl WireFiles {
    fn read(self) -> Result<VerifiedFiles, String> {
        let mut key = [0; 16];
        hex::decode_to_slice(&self.key, &mut key).map_err(|_| "the key of a chain's log files is no key".to_owned())?;
        let day = |(folder, WireDay { count, sum, lost }): (String, WireDay)| {
            let lost = lost.iter().map(|text| mark(text)).collect::<Result<_, _>>()?;
            Ok((folder, VerifiedDay { count, sum: mark(&sum)?, lost }))
        };
        let judged = self.judged.iter().map(|text| mark(text)).collect::<Result<_, _>>()?;
        Ok(VerifiedFiles { key, judged, days: self.days.into_iter().map(day).collect::<Result<_, String>>()? })
    }
}

/// Formats a short hash as text.
fn mark_text(mark: &u64) -> String {
    format!("{mark:016x}")
}

fn mark(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| format!("'{text}' is no short hash of a name"))
}

impl From<&OpenPoint> for WirePoint {
    fn from(point: &OpenPoint) -> Self {
        let names = |object: &ObjectRef| (object.bucket.to_string(), object.key.to_string());
        let what = match &point.what {
            Open::Digest { object, kind, end, status, is_named, fault, sha256 } => {
                let (bucket, key) = names(object);
                let (kind, status, end, is_named) = (kind.to_string(), status.to_string(), *end, *is_named);
                WireOpen::Digest { bucket, key, kind, end, status, is_named, fault: *fault, sha256: *sha256 }
            }
            Open::LogFile { object, digest, sha256, status, fault, actual, size } => {
                let (bucket, key) = names(object);
                WireOpen::LogFile {
                    bucket,
                    key,
                    digest: digest.to_string(),
                    sha256: *sha256,
                    status: Some(*status),
                    fault: *fault,
                    actual: *actual,
                    size: *size,
                }
            }
            Open::Unlisted { object } => {
                let (bucket, key) = names(object);
                WireOpen::Unlisted { bucket, key }
            }
            Open::Gap { cause, from, to } => WireOpen::Gap { cause: cause.to_string(), from: *from, to: *to },
            Open::Contradicted { object, sha256, end } => {
                let (bucket, key) = names(object);
                let sha256 = sha256.map(|hash| hash.to_string());
                WireOpen::CheckpointContradicted { bucket, key, sha256, end: *end }
            }
            Open::TailCut => WireOpen::TailCut,
        };
        Self { what, since: point.since, id: Some(point.id), acknowledged: point.acknowledged.clone() }
    }
}

impl Wire {
    fn read(self) -> Result<Checkpoint, String> {
        let mut chains = BTreeMap::new();
        for chain in self.chains {
            let (id, chain) = chain.read()?;
            if let Some(twice) = chains.insert(id.clone(), chain).map(|_| id) {
                return Err(format!("it has the chain {twice} twice"));
            }
        }
        Ok(Checkpoint {
            trail: self.trail_arn.map(|arn| arn.parse()).transpose().map_err(text)?,
            source: self.source,
            depth: self.depth.parse()?,
            examined_from: self.examined_from.as_deref().map(range_start).transpose()?,
            last_run: self.last_run.map(WireRun::read).transpose()?,
            regions_asked: self.regions_asked,
            chains,
        })
    }
}

impl WireRun {
    fn read(self) -> Result<LastRun, String> {
        Ok(LastRun { started: self.started, verdict: self.verdict.parse()? })
    }
}

impl WireChain {
    fn read(self) -> Result<(ChainId, ChainCheckpoint), String> {
        let wrong = |error: IdError| error.to_string();
        let id = ChainId {
            organization: self.organization.map(|id| id.parse()).transpose().map_err(wrong)?,
            account: self.account.parse().map_err(wrong)?,
            region: self.region.map_or(Ok(Region::none()), |region| region.parse()).map_err(wrong)?,
            trail: self.trail.parse().map_err(wrong)?,
            home_region: self.home_region.parse().map_err(wrong)?,
        };
        let recent: Result<BTreeSet<u64>, String> = self.recent.iter().map(|text| mark(text)).collect();
        let verified: Result<Vec<VerifiedRun>, String> = self.verified.into_iter().map(WireVerified::read).collect();
        let open: Result<Vec<OpenPoint>, String> = self.open.into_iter().map(|point| point.read(&id)).collect();
        let open = open?;
        let earlier = only_counted(&self.reported, &open);
        let chain = ChainCheckpoint {
            begin: self.begin,
            through: self.through.map(WireDigest::read).transpose()?,
            unlisted_from: self.unlisted_from,
            seen: self.seen,
            recent: recent?,
            verified: verified?,
            log_folders: self.log_folders,
            verified_files: self.verified_files.map(WireFiles::read).transpose()?,
            activity: self.activity.map(WireActivity::read).transpose()?.unwrap_or_default(),
            open,
            counted: self.counted.into_iter().map(WireCounted::read).chain(earlier).collect(),
        };
        Ok((id, chain))
    }
}

impl WireDigest {
    fn read(self) -> Result<VerifiedDigest, String> {
        let signature = self.signature.map(hex::decode).transpose().map_err(text)?;
        Ok(VerifiedDigest {
            object: ObjectRef::new(self.bucket, self.key),
            sha256: hash(&self.sha256)?,
            signature: signature.map(Arc::from),
            end: self.end,
        })
    }
}

impl WirePoint {
    fn read(self, chain: &ChainId) -> Result<OpenPoint, String> {
        let what = match self.what {
            WireOpen::Digest { bucket, key, kind, end, status, is_named, fault, sha256 } => Open::Digest {
                object: ObjectRef::new(bucket, key),
                kind: kind.parse()?,
                end,
                status: status.parse()?,
                is_named,
                fault,
                sha256,
            },
            WireOpen::LogFile { bucket, key, digest, sha256, status, fault, actual, size } => Open::LogFile {
                object: ObjectRef::new(bucket, key),
                digest: digest.into(),
                sha256,
                status: status.unwrap_or(LogFileStatus::Unverified),
                fault,
                actual,
                size,
            },
            WireOpen::Unlisted { bucket, key } => Open::Unlisted { object: ObjectRef::new(bucket, key) },
            WireOpen::Gap { cause, from, to } => Open::Gap { cause: cause.parse()?, from, to },
            WireOpen::CheckpointContradicted { bucket, key, sha256, end } => {
                let sha256 = sha256.as_deref().map(hash).transpose()?;
                Open::Contradicted { object: ObjectRef::new(bucket, key), sha256, end }
            }
            WireOpen::TailCut => Open::TailCut,
        };
        let id = self.id.unwrap_or_else(|| what.id(chain));
        Ok(OpenPoint { what, since: self.since, id, acknowledged: self.acknowledged })
    }
}

fn range_start(word: &str) -> Result<RangeStart, String> {
    match word {
        FIRST_DIGEST => Ok(RangeStart::FirstDigest),
        time => time.parse().map(RangeStart::At).map_err(|_| format!("'{time}' is no start of a range")),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn hash(text: &str) -> Result<Sha256Hash, String> {
    text.parse::<Sha256Hash>().map_err(|error| error.to_string())
}
