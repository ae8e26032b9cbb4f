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
    pub(super) fn between<T>(pending: &[(T, PendingDigest)]) -> Self {
        let mut names: Vec<(NameHash, usize)> =
            summaries(pending).map(|(index, _, summary)| (summary.name(), index)).collect();
        names.sort_unstable();
        let mut pairs = Vec::with_capacity(names.len());
        for (index, _, summary) in summaries(pending) {
            let Some(predecessor) = summary.predecessor() else { continue };
            let first = names.partition_point(|(name, _)| *name < predecessor);
            let named = names[first..].iter().take_while(|(name, _)| *name == predecessor);
            pairs.extend(named.map(|(_, named)| (*named, index)));
        }
        pairs.sort_unstable();
        Self { pairs, count: pending.len() }
    }

    /// Returns the indexes of the digests that name this one.
    pub(super) fn referrers(&self, index: usize) -> impl Iterator<Item = usize> {
        let first = self.pairs.partition_point(|(named, _)| *named < index);
        self.pairs[first..].iter().take_while(move |(named, _)| *named == index).map(|(_, by)| *by)
    }

    /// Returns an order in which every digest comes after those that name it as predecessor. A
    /// circle of names can only be forged; its digests come last, newest first.
    pub(super) fn successors_first<T>(&self, pending: &[(T, PendingDigest)]) -> Vec<usize> {
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
        rest.sort_by_key(|index| Reverse(summary_of(&pending[*index]).map(|(_, summary)| summary.period().end)));
        order.extend(rest);
        order
    }
}

fn summary_of<T>((handle, digest): &(T, PendingDigest)) -> Option<(&T, &DigestSummary)> {
    match digest {
        PendingDigest::Parsed(summary, _) => Some((handle, summary)),
        PendingDigest::Unparsed(_) => None,
    }
}

/// Returns the digests that were parsed, each with its index and handle.
pub(super) fn summaries<T>(pending: &[(T, PendingDigest)]) -> impl Iterator<Item = (usize, &T, &DigestSummary)> {
    pending.iter().enumerate().filter_map(|(index, digest)| {
        let (handle, summary) = summary_of(digest)?;
        Some((index, handle, summary))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fault, ObjectRef};
    use crate::verify::{Rejection, UnparsedDigest};

    /// Links between `count` digests; each pair is a digest and one that names it.
    fn links(count: usize, pairs: &[(usize, usize)]) -> Links {
        let mut pairs = pairs.to_vec();
        pairs.sort_unstable();
        Links { pairs, count }
    }

    fn order(count: usize, pairs: &[(usize, usize)]) -> Vec<usize> {
        let unread = |index| {
            let object = ObjectRef::new("logs", format!("{index}"));
            let rejection = Rejection::invalid(Fault::Malformed, "is no digest");
            ((), PendingDigest::Unparsed(Box::new(UnparsedDigest { object, sha256: None, rejection })))
        };
        links(count, pairs).successors_first(&(0..count).map(unread).collect::<Vec<_>>())
    }

    #[test]
    fn a_digest_comes_after_all_that_name_it() {
        for (count, pairs) in [
            (1, vec![]),
            (4, vec![(0, 1), (1, 2), (2, 3)]),
            (4, vec![(3, 2), (2, 1), (1, 0)]),
            // Two digests name the same one, and one digest is named by nobody.
            (5, vec![(0, 1), (0, 2), (1, 3), (2, 3)]),
        ] {
            let order = order(count, &pairs);
            let position = |index| order.iter().position(|other| *other == index).unwrap();
            assert_eq!(order.len(), count, "{pairs:?}");
            assert!(pairs.iter().all(|(named, by)| position(*by) < position(*named)), "{pairs:?} {order:?}");
        }
    }

    #[test]
    fn names_that_go_in_a_circle_come_last_and_each_once() {
        let order = order(5, &[(0, 1), (1, 2), (2, 0), (3, 4), (2, 4)]);
        assert_eq!(order[..2], [4, 3]);
        let mut circle = order[2..].to_vec();
        circle.sort_unstable();
        assert_eq!(circle, [0, 1, 2]);
    }

    #[test]
    fn the_referrers_of_a_digest_are_all_that_name_it() {
        let links = links(4, &[(1, 3), (1, 0), (2, 1)]);
        let referrers = |index| links.referrers(index).collect::<Vec<_>>();
        assert_eq!([referrers(0), referrers(1), referrers(2), referrers(3)], [vec![], vec![0, 3], vec![1], vec![]]);
    }
}
