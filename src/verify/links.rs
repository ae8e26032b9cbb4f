//! The links between digests and their predecessors, and the order in which digests can be judged.

use std::cmp::Reverse;

use super::pending::{DigestSummary, NameHash, PendingDigest};

/// The links between the digests of a chain and the predecessors that they name.
pub(super) struct Links {
    /// The index of a digest that is named, and the index of one that names it; sorted.
    pairs: Vec<(usize, usize)>,
    count: usize,
}

impl Links {
    pub fn between<T>(waiting: &[(T, PendingDigest)]) -> Self {
        let mut names: Vec<(NameHash, usize)> =
            summaries(waiting).map(|(index, _, summary)| (summary.name(), index)).collect();
        names.sort_unstable();
        let mut pairs = Vec::with_capacity(names.len());
        for (index, _, summary) in summaries(waiting) {
            let Some(predecessor) = summary.predecessor() else { continue };
            let first = names.partition_point(|(name, _)| *name < predecessor);
            let named = names[first..].iter().take_while(|(name, _)| *name == predecessor);
            pairs.extend(named.map(|(_, named)| (*named, index)));
        }
        pairs.sort_unstable();
        Self { pairs, count: waiting.len() }
    }

    /// Returns the indexes of the digests that name this one.
    pub fn referrers(&self, index: usize) -> impl Iterator<Item = usize> {
        let first = self.pairs.partition_point(|(named, _)| *named < index);
        self.pairs[first..].iter().take_while(move |(named, _)| *named == index).map(|(_, by)| *by)
    }

    /// Returns an order in which every digest comes after those that name it as predecessor. A
    /// circle of names can only be forged; its digests come last, newest first.
    pub fn successors_first<T>(&self, waiting: &[(T, PendingDigest)]) -> Vec<usize> {
        let mut names: Vec<(usize, usize)> = self.pairs.iter().map(|(named, by)| (*by, *named)).collect();
        names.sort_unstable();
        let mut awaited = vec![0_usize; self.count];
        self.pairs.iter().for_each(|(named, _)| awaited[*named] += 1);
        let mut ready: Vec<usize> = (0..self.count).filter(|index| awaited[*index] == 0).collect();
        let mut order = Vec::with_capacity(self.count);
        while let Some(index) = ready.pop() {
            order.push(index);
            let first = names.partition_point(|(by, _)| *by < index);
            for (_, named) in names[first..].iter().take_while(|(by, _)| *by == index) {
                awaited[*named] -= 1;
                if awaited[*named] == 0 {
                    ready.push(*named);
                }
            }
        }
        let mut rest: Vec<usize> = (0..self.count).filter(|index| awaited[*index] > 0).collect();
        rest.sort_by_key(|index| Reverse(outline_of(&waiting[*index]).map(|(_, summary)| summary.period().end)));
        order.extend(rest);
        order
    }
}

fn outline_of<T>((handle, digest): &(T, PendingDigest)) -> Option<(&T, &DigestSummary)> {
    match digest {
        PendingDigest::Parsed(summary, _) => Some((handle, summary)),
        PendingDigest::Unparsed(_) => None,
    }
}

/// Returns the digests that were parsed, each with its index and handle.
pub(super) fn summaries<T>(waiting: &[(T, PendingDigest)]) -> impl Iterator<Item = (usize, &T, &DigestSummary)> {
    waiting.iter().enumerate().filter_map(|(index, digest)| {
        let (handle, summary) = outline_of(digest)?;
        Some((index, handle, summary))
    })
}
