//! The chains of a report: the map of accounts and regions, and the chains with findings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::calendar::Picture;
use super::facts::{ChainFacts, ChainRow};
use super::numbered::Findings;
use crate::model::{ChainId, DigestStatus, LogFileStatus, Verdict};
use crate::records::Allowances;

/// The number of chains up to which each has a line. Beyond that, those without findings are only
/// cells of the map.
const LINES: usize = 60;
/// The maximum number of chains that have a section of their own.
const SECTIONS: usize = 200;
/// The maximum number of numbers of findings that a section lists.
const NUMBERS: usize = 40;

/// A chain with findings, for a template.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    /// The index of the chain, which makes its link target.
    pub index: usize,
    pub picture: Option<Picture>,
    /// The numbers of its findings.
    pub numbers: Vec<usize>,
    pub further: usize,
}

/// The line of a chain, for a template.
#[derive(Debug, Serialize)]
pub(super) struct ChainLine {
    pub index: usize,
    pub verdict: &'static str,
    pub has_section: bool,
    pub row: ChainRow,
}

/// The chains of one trail, by account and region.
#[derive(Debug, Serialize)]
pub(super) struct Map {
    pub trail: String,
    pub home_region: String,
    pub organization: Option<String>,
    pub regions: Vec<String>,
    pub rows: Vec<MapRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct MapRow {
    pub account: String,
    /// The cell of each region; null where there is no chain.
    pub cells: Vec<Option<Cell>>,
    pub digests: u64,
    pub log_files: u64,
}

/// The cell of one chain.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cell {
    pub verdict: &'static str,
    /// The index of the chain's section, if it has one.
    pub section: Option<usize>,
    pub digests: u64,
    pub log_files: u64,
}

/// The chains of a run, as a page shows them.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    pub maps: Vec<Map>,
    pub lines: Vec<ChainLine>,
    /// The number of chains that have no line.
    pub without_line: usize,
    pub sections: Vec<Section>,
    pub accounts: usize,
    pub regions: usize,
    /// The number of chains of each verdict.
    pub verified: usize,
    pub violated: usize,
    pub inconclusive: usize,
}

impl Overview {
    /// Lays out the chains with their numbered findings.
    pub(super) fn of(chains: &[ChainFacts], findings: &Findings) -> Self {
        let indexes: HashMap<&ChainId, usize> =
            chains.iter().enumerate().map(|(index, facts)| (&*facts.chain, index)).collect();
        let mut numbers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (_, entry) in findings.entries() {
            if let Some(index) = entry.chain.as_ref().and_then(|chain| indexes.get(&**chain)) {
                numbers.entry(*index).or_default().push(entry.number);
            }
        }
        let with_findings = |index: &usize| numbers.contains_key(index) || !chains[*index].is_clean();
        let mut sections: Vec<usize> = (0..chains.len()).filter(with_findings).collect();
        // If there are too many, those with the gravest findings are shown.
        let first =
            |index: &usize| numbers.get(index).and_then(|numbers| numbers.first()).copied().unwrap_or(usize::MAX);
        sections.sort_by_key(first);
        sections.truncate(SECTIONS);
        sections.sort_unstable();
        let shown: BTreeSet<usize> = sections.iter().copied().collect();
        let lines: Vec<ChainLine> = (0..chains.len())
            .filter(|index| chains.len() <= LINES || shown.contains(index))
            .map(|index| ChainLine {
                index,
                verdict: chains[index].verdict().as_str(),
                has_section: shown.contains(&index),
                row: ChainRow::of(&chains[index]),
            })
            .collect();
        let section = |index: usize| {
            let mut of_chain = numbers.get(&index).cloned().unwrap_or_default();
            let further = of_chain.len().saturating_sub(NUMBERS);
            of_chain.truncate(NUMBERS);
            let picture = chains[index].calendar.as_ref().and_then(super::calendar::Calendar::picture);
            Section { index, picture, numbers: of_chain, further }
        };
        let of_verdict = |verdict| chains.iter().filter(|facts| facts.verdict() == verdict).count();
        Self {
            maps: maps(chains, &shown),
            without_line: chains.len() - lines.len(),
            lines,
            sections: sections.into_iter().map(section).collect(),
            accounts: chains.iter().map(|facts| &facts.chain.account).collect::<BTreeSet<_>>().len(),
            regions: chains.iter().map(|facts| &facts.chain.region).collect::<BTreeSet<_>>().len(),
            verified: of_verdict(Verdict::Verified),
            violated: of_verdict(Verdict::Violated),
            inconclusive: of_verdict(Verdict::Inconclusive),
        }
    }
}

/// Makes a map for each trail.
fn maps(chains: &[ChainFacts], sections: &BTreeSet<usize>) -> Vec<Map> {
    let mut trails: BTreeMap<(Option<String>, String, String), Vec<usize>> = BTreeMap::new();
    for (index, facts) in chains.iter().enumerate() {
        let ChainId { organization, trail, home_region, .. } = &*facts.chain;
        let organization = organization.as_ref().map(ToString::to_string);
        trails.entry((organization, trail.to_string(), home_region.to_string())).or_default().push(index);
    }
    let map = |((organization, trail, home_region), indexes): (_, Vec<usize>)| {
        let regions: BTreeSet<String> = indexes.iter().map(|index| chains[*index].chain.region.to_string()).collect();
        let columns: HashMap<&String, usize> = regions.iter().enumerate().map(|(at, region)| (region, at)).collect();
        let mut rows: BTreeMap<String, MapRow> = BTreeMap::new();
        for index in indexes {
            let facts = &chains[index];
            let account = facts.chain.account.to_string();
            let row = rows.entry(account.clone()).or_insert_with(|| MapRow {
                account,
                cells: vec![None; regions.len()],
                digests: 0,
                log_files: 0,
            });
            let cell = Cell {
                verdict: facts.verdict().as_str(),
                section: sections.contains(&index).then_some(index),
                digests: DigestStatus::ALL.iter().map(|status| facts.tally.digests(*status)).sum(),
                log_files: LogFileStatus::ALL.iter().map(|status| facts.tally.log_files(*status)).sum(),
            };
            row.digests += cell.digests;
            row.log_files += cell.log_files;
            let column = columns.get(&facts.chain.region.to_string()).copied();
            if let Some(place) = column.and_then(|column| row.cells.get_mut(column)) {
                *place = Some(cell);
            }
        }
        Map {
            trail,
            home_region,
            organization,
            regions: regions.iter().cloned().collect(),
            rows: rows.into_values().collect(),
        }
    };
    trails.into_iter().map(map).collect()
}

impl ChainFacts {
    /// Returns the verdict on the chain alone, with nothing allowed.
    pub(super) fn verdict(&self) -> Verdict {
        self.tally.verdict(&Allowances::default(), false)
    }

    /// Returns whether the chain has nothing that a reader has to look at.
    pub(super) fn is_clean(&self) -> bool {
        self.verdict() == Verdict::Verified && self.tally.acknowledged == 0
    }
}
