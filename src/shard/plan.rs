//! Making a plan: a survey of the trail, the answers that its units share, and the units.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::known::{PlannedKeys, PlannedNeighbours};
use super::manifest::{Manifest, PlannedChain, Unit, UnitEstimate};
use super::question::Question;
use super::tampering::TamperingQuestion;
use super::units::{DayCount, Piece, cut, group, interleave};
use crate::audit::{Audit, AuditError, DiscoveredChain, LogFileCount, Survey, SurveyedChain};
use crate::debug::opaque_debug;
use crate::model::{AccountId, ChainId, Depth, Period, Region, Requests, TimeRange, earlier, later};
use crate::records::KeysAsked;

/// The time before a unit's range that it reads: log files that digests at its begin list, and
/// digests that may list its first log files.
const OVERLAP_BEFORE: SignedDuration = SignedDuration::from_hours(26);
/// The time after a unit's range that it reads: the digests that may list its last log files, and
/// the next digest, which names the last one.
const OVERLAP_AFTER: SignedDuration = SignedDuration::from_hours(48);
/// The time before and after a unit's range for which keys are needed.
const KEYS_BEFORE: SignedDuration = SignedDuration::from_hours(75);
const KEYS_AFTER: SignedDuration = SignedDuration::from_hours(3);
/// The largest number of chains in one unit: each takes some listings, however quiet it is.
const MAX_CHAINS: usize = 1000;

/// The inputs of a plan.
pub struct PlanInputs {
    /// The audit that one machine would run.
    pub audit: Audit,
    /// The bucket that is read in place of the recorded one.
    pub read_bucket: Option<String>,
    /// The places by which units tell events of tampering; `None` if they are to look for none.
    pub tampering: Option<TamperingQuestion>,
    /// The source of the public keys, for the run record.
    pub asked: KeysAsked,
    /// The accounts that have to be there, by the source that names them.
    pub expected_accounts: BTreeMap<String, Vec<AccountId>>,
    /// The regions that have to be there, by the source that names them.
    pub expected_regions: BTreeMap<String, Vec<Region>>,
}

opaque_debug!(PlanInputs);

/// The choices in making a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// The number of objects that a unit should not exceed.
    pub unit_objects: u64,
    /// The way in which log files are counted.
    pub count: LogFileCount,
    /// True if units are ordered so that neighbours read below different prefixes.
    pub by_prefix: bool,
}

/// A plan, before it is written.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The head of the plan.
    pub manifest: Manifest,
    /// The content of `units.jsonl`.
    pub units: Vec<u8>,
    /// The content of `chains.jsonl`.
    pub chains: Vec<u8>,
}

/// Surveys the trail and cuts its verification into units. The same listings give the same units.
///
/// # Errors
///
/// Fails if nothing of the trail can be listed.
pub async fn make_plan(inputs: PlanInputs, options: PlanOptions) -> Result<Plan, AuditError> {
    let PlanInputs { audit, read_bucket, tampering, asked, expected_accounts, expected_regions } = inputs;
    let Survey { facts, chains, keys } = audit.survey(options.count).await?;
    let question = Question::of(&audit.request, audit.store.source(), read_bucket, tampering);
    let units = cut_all(&chains, &question, options);
    let regions: BTreeSet<Region> = chains
        .iter()
        .map(|surveyed| surveyed.chain.id.region.clone())
        .filter(|region| region.known().is_some())
        .collect();
    let keys = PlannedKeys::ask(audit.keys.as_ref(), asked, regions.iter().cloned(), keys.start, question.now).await;
    let neighbours = match &audit.neighbours {
        Some(source) if question.depth != Depth::Chain => {
            PlannedNeighbours::ask(source.as_ref(), regions.iter().cloned()).await
        }
        _ => PlannedNeighbours::default(),
    };
    let mut lifecycle_rules = BTreeMap::new();
    for location in &question.locations {
        let rules = audit.store.lifecycle_rules(&location.bucket).await;
        lifecycle_rules.insert(location.bucket.clone(), rules);
    }
    let manifest = Manifest {
        schema: String::new(),
        version: String::new(),
        sha256: String::new(),
        units: 0,
        chains: 0,
        estimate: UnitEstimate::default(),
        units_sha256: String::new(),
        chains_sha256: String::new(),
        seed: match options.count {
            LogFileCount::Listed => None,
            LogFileCount::Sampled { seed } => Some(seed),
        },
        question,
        expected_accounts,
        expected_regions,
        facts,
        keys,
        lifecycle_rules,
        neighbours,
        requests: requests(&audit),
    };
    Ok(Plan::of(manifest, &units))
}

impl Plan {
    /// Makes the plan that divides a run into these units. Together they have to have every chain over
    /// all of the manifest's range, each time once: the merge takes what they leave out from the store.
    pub fn of(manifest: Manifest, units: &[Unit]) -> Self {
        let chains = planned_chains(units);
        let (unit_lines, chain_lines) = (lines(units), lines(&chains));
        let manifest = Manifest {
            units: units.len() as u64,
            chains: chains.len() as u64,
            estimate: units.iter().map(|unit| unit.estimate).sum(),
            units_sha256: hex::encode(Sha256::digest(&unit_lines)),
            chains_sha256: hex::encode(Sha256::digest(&chain_lines)),
            ..manifest
        };
        Self { manifest: manifest.sealed(), units: unit_lines, chains: chain_lines }
    }
}

/// The requests that were sent for the plan.
fn requests(audit: &Audit) -> Requests {
    let mut requests = audit.store.requests();
    requests.other += audit.keys.requests() + audit.request.requests_before;
    requests.other += audit.status.as_ref().map_or(0, |status| status.requests());
    requests.other += audit.neighbours.as_ref().map_or(0, |neighbours| neighbours.requests());
    requests
}

fn lines<T: Serialize>(values: &[T]) -> Vec<u8> {
    let line = |value| {
        let mut line = serde_json::to_vec(value).unwrap_or_default();
        line.push(b'\n');
        line
    };
    values.iter().flat_map(line).collect()
}

/// Cuts every chain, and groups the pieces into units.
fn cut_all(chains: &[SurveyedChain], question: &Question, options: PlanOptions) -> Vec<Unit> {
    let most = options.unit_objects.max(1);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut of_chain: Vec<&DiscoveredChain> = Vec::new();
    for surveyed in chains {
        for piece in cut(question.range, &day_counts(surveyed, question.depth), most) {
            pieces.push(piece);
            of_chain.push(&surveyed.chain);
        }
    }
    let groups = group(&pieces, most, MAX_CHAINS);
    let order = if options.by_prefix {
        let first =
            |group: &Vec<usize>| group.first().map(|index| (&of_chain[*index].id.account, &of_chain[*index].id.region));
        interleave(&groups.iter().map(first).collect::<Vec<_>>())
    } else {
        (0..groups.len()).collect()
    };
    let unit = |(number, group): (usize, usize)| {
        let members = &groups[group];
        let range = members.first().map_or(question.range, |index| pieces[*index].range);
        Unit {
            unit: number as u64,
            range,
            overlap: widened(range, OVERLAP_BEFORE, OVERLAP_AFTER, question.now),
            keys: keys_of(range, question.now),
            estimate: members.iter().map(|index| pieces[*index].estimate).sum(),
            chains: members.iter().map(|index| of_chain[*index].clone()).collect(),
        }
    };
    order.into_iter().enumerate().map(unit).collect()
}

/// The objects of a chain that a run of this depth reads, by day.
fn day_counts(surveyed: &SurveyedChain, depth: Depth) -> BTreeMap<Timestamp, DayCount> {
    let mut days: BTreeMap<Timestamp, DayCount> = BTreeMap::new();
    for (day, digests) in &surveyed.digests {
        days.entry(*day).or_default().digests += digests;
    }
    if depth == Depth::Content {
        for (day, log_files) in &surveyed.log_files {
            days.entry(*day).or_default().log_files += log_files;
        }
    }
    days
}

fn widened(range: TimeRange, before: SignedDuration, after: SignedDuration, now: Timestamp) -> TimeRange {
    TimeRange {
        start: range.start.map(|start| earlier(start, before)),
        end: range.end.map(|end| later(end, after).min(now)),
    }
}

fn keys_of(range: TimeRange, now: Timestamp) -> Option<Period> {
    let TimeRange { start, end } = widened(range, KEYS_BEFORE, KEYS_AFTER, now);
    Some(Period::new(start?, end.unwrap_or(now)))
}

/// The chains of all units in the order of their identities, each with its units by time.
fn planned_chains(units: &[Unit]) -> Vec<PlannedChain> {
    /// The begins of a chain's parts and their units.
    type Parts = Vec<(Option<Timestamp>, u64)>;
    let mut of_chain: BTreeMap<&ChainId, (&DiscoveredChain, Parts)> = BTreeMap::new();
    for unit in units {
        for chain in &unit.chains {
            let (_, parts) = of_chain.entry(&chain.id).or_insert_with(|| (chain, Vec::new()));
            parts.push((unit.range.start, unit.unit));
        }
    }
    let planned = |(chain, mut parts): (&DiscoveredChain, Parts)| {
        parts.sort_unstable();
        PlannedChain { chain: chain.clone(), units: parts.into_iter().map(|(_, unit)| unit).collect() }
    };
    of_chain.into_values().map(planned).collect()
}
