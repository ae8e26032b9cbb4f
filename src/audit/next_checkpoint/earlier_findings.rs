//! The findings that earlier runs reported and left open, by which those of a run are recognized.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::audit::next_checkpoint::chain_snapshot::ChainSnapshot;
use crate::audit::resume::standing;
use crate::model::{Acknowledgement, ChainFault, ChainId, Checkpoint, FindingId, GapCause, ObjectRef, Open, OpenPoint};
use crate::records::{ChainRecord, GapRecord, History};

/// The statements of earlier runs about a finding.
#[derive(Debug, Clone)]
struct Known {
    since: Timestamp,
    acknowledged: Option<Acknowledgement>,
}

/// A gap that an earlier run reported.
#[derive(Debug)]
struct KnownGap {
    chain: ChainId,
    cause: GapCause,
    from: Timestamp,
    to: Timestamp,
    id: FindingId,
    known: Known,
}

/// The findings that earlier runs left open.
#[derive(Debug, Default)]
pub(super) struct EarlierFindings {
    known: HashMap<FindingId, Known>,
    gaps: Vec<KnownGap>,
    /// The verified digests that contradicted their chain.
    contradicted: HashMap<(ChainId, ObjectRef), Known>,
    /// The violations about objects; the second part of the name is true for a digest.
    pub standing: HashMap<(ObjectRef, bool), OpenPoint>,
    /// The unlisted files that have no record in this run yet, with their chains.
    pub unlisted: BTreeMap<ObjectRef, (ChainId, OpenPoint)>,
}

impl EarlierFindings {
    /// The findings in a checkpoint.
    pub(super) fn new(checkpoint: &Checkpoint) -> Self {
        let mut found = Self::default();
        for (chain, kept) in &checkpoint.chains {
            kept.open.iter().for_each(|point| found.add(chain, point));
        }
        found
    }

    fn add(&mut self, chain: &ChainId, point: &OpenPoint) {
        let Some(since) = point.since else { return };
        let known = Known { since, acknowledged: point.acknowledged.clone() };
        if let Some(name) = standing::name_of(point).filter(|_| point.is_standing()) {
            self.standing.insert(name, point.clone());
        }
        match &point.what {
            Open::Gap { cause, from, to } => {
                let (chain, cause, from, to, id) = (chain.clone(), *cause, *from, *to, point.id);
                self.gaps.push(KnownGap { chain, cause, from, to, id, known });
            }
            Open::Contradicted { object, .. } => {
                self.contradicted.insert((chain.clone(), object.clone()), known);
            }
            Open::Unlisted { object } => {
                self.unlisted.insert(object.clone(), (chain.clone(), point.clone()));
                self.known.insert(point.id, known);
            }
            Open::Digest { .. } | Open::LogFile { .. } | Open::TailCut => {
                self.known.insert(point.id, known);
            }
        }
    }

    /// Takes the unlisted files of a chain that had no record in this run.
    pub(super) fn take_unlisted(&mut self, chain: &ChainId) -> Vec<OpenPoint> {
        let of_chain = self.unlisted.extract_if(.., |_, (id, _)| id == chain);
        of_chain.map(|(_, (_, point))| point).collect()
    }

    /// Returns the statements about a finding.
    pub(super) fn history(&self, id: Option<FindingId>) -> History {
        let known = id.and_then(|id| self.known.get(&id)).cloned();
        known.map(|known| History::known(known.since, known.acknowledged)).unwrap_or_default()
    }

    /// Completes a gap with the identifier and the statements of the gap of the same cause that it
    /// overlaps. If a chain does not exist at all, its range moves on, so overlap is not required.
    pub(super) fn complete_gap(&self, gap: &mut GapRecord) {
        let is_same = |known: &&KnownGap| known.cause == gap.cause && known.chain == *gap.chain;
        let overlaps =
            |known: &&KnownGap| gap.cause == GapCause::NoDigests || (known.from <= gap.to && gap.from <= known.to);
        let Some(known) = self.gaps.iter().filter(is_same).find(overlaps) else { return };
        // An acknowledgement of fewer digests that are gone does not concern the others.
        let is_inside = known.from <= gap.from && gap.to <= known.to;
        let acknowledged = known.known.acknowledged.clone().filter(|_| is_inside || !gap.cause.is_violation());
        gap.history = History::known(known.known.since, acknowledged);
        gap.id = Some(known.id);
    }

    /// Returns the statements about the fault of a chain. They concern it only if earlier runs knew each
    /// digest that contradicts it, and each fault that it has.
    pub(super) fn history_of_chain(&self, chain: &ChainRecord, snapshot: &ChainSnapshot) -> History {
        let Some(fault) = chain.fault else { return History::default() };
        let mut known: Vec<Option<&Known>> = Vec::new();
        if fault == ChainFault::CheckpointContradicted {
            let objects = snapshot.contradictions.iter().map(|contradiction| contradiction.object.clone());
            known.extend(objects.map(|object| self.contradicted.get(&((*chain.chain).clone(), object))));
        }
        if fault == ChainFault::TailCut || snapshot.is_cut {
            known.push(self.known.get(&Open::TailCut.id(&chain.chain)));
        }
        let Some(known) = known.into_iter().collect::<Option<Vec<&Known>>>() else { return History::default() };
        let acknowledged: Option<Vec<&Acknowledgement>> =
            known.iter().map(|known| known.acknowledged.as_ref()).collect();
        let newest = acknowledged.and_then(|all| all.into_iter().max_by_key(|one| one.at).cloned());
        match known.iter().map(|known| known.since).min() {
            Some(since) => History::known(since, newest),
            None => History::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::{ChainCheckpoint, Depth};

    fn id() -> ChainId {
        ChainId {
            organization: None,
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            trail: "trail".parse().unwrap(),
            home_region: "us-east-1".parse().unwrap(),
        }
    }

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    #[test]
    fn an_acknowledged_hole_that_grows_is_no_longer_acknowledged() {
        let cases = [
            // The gap that was acknowledged, the gap now, and whether it is known and acknowledged.
            (GapCause::DigestsMissing, (5, 8), (5, 8), true, true),
            (GapCause::DigestsMissing, (5, 8), (6, 7), true, true),
            (GapCause::DigestsMissing, (5, 8), (5, 9), true, false),
            (GapCause::DigestsMissing, (5, 8), (4, 8), true, false),
            (GapCause::DigestsMissing, (5, 8), (9, 11), false, false),
            // A chain without digests has a gap that grows with the time.
            (GapCause::NoDigests, (5, 8), (9, 11), true, true),
            (GapCause::AfterLastDigest, (5, 8), (5, 20), true, true),
        ];
        for (cause, (from, to), now, is_known, is_acknowledged) in cases {
            let what = Open::Gap { cause, from: at(from), to: at(to) };
            let acknowledged = Some(Acknowledgement { by: None, at: at(9), reason: "known".to_owned() });
            let point = OpenPoint { acknowledged, ..OpenPoint::new(what, Some(at(8)), &id()) };
            let first = point.id;
            let chain = ChainCheckpoint { open: vec![point], ..ChainCheckpoint::default() };
            let checkpoint = Checkpoint {
                chains: BTreeMap::from([(id(), chain)]),
                ..Checkpoint::new(None, "s3://b".to_owned(), Depth::Content)
            };
            let mut gap = GapRecord {
                id: None,
                cause,
                chain: Arc::new(id()),
                from: at(now.0),
                to: at(now.1),
                missing_digests: 0,
                uncovered_log_files: 0,
                explained_by: None,
                ended_by: None,
                event_history: None,
                detail: String::new(),
                history: History::default(),
            };
            EarlierFindings::new(&checkpoint).complete_gap(&mut gap);
            let context = format!("{cause} {now:?}");
            assert_eq!(gap.id.is_some_and(|id| id == first), is_known, "{context}");
            assert_eq!(gap.history.since, is_known.then_some(at(8)), "{context}");
            assert_eq!(gap.history.acknowledged.is_some(), is_acknowledged, "{context}");
        }
    }
}
