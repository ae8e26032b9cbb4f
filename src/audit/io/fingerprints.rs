//! Compact sets of very many objects.

/// A set of fingerprints, as [`crate::audit::shared::context::Context`] computes them, at eight
/// bytes each. Built once, and then queried.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    /// The fingerprints in ascending order, without duplicates.
    sorted: Vec<u64>,
}

impl Fingerprints {
    /// Builds the set, and the set of the fingerprints that occurred more than once.
    pub(crate) fn of(mut fingerprints: Vec<u64>) -> (Self, Self) {
        fingerprints.sort_unstable();
        let mut twice: Vec<u64> =
            fingerprints.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        fingerprints.dedup();
        (Self { sorted: fingerprints }, Self { sorted: twice })
    }

    /// Adds the fingerprints of another set.
    pub(crate) fn extend(&mut self, other: Self) {
        if self.sorted.is_empty() {
            *self = other;
        } else if !other.sorted.is_empty() {
            self.sorted.extend(other.sorted);
            self.sorted.sort_unstable();
            self.sorted.dedup();
        }
    }

    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The number of fingerprints.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Returns whether the set contains this fingerprint.
    pub(crate) fn contains(&self, fingerprint: u64) -> bool {
        self.place(fingerprint).is_some()
    }

    fn place(&self, fingerprint: u64) -> Option<usize> {
        self.sorted.binary_search(&fingerprint).ok()
    }
}

/// The members of a set that were met so far.
#[derive(Debug, Clone)]
pub(crate) struct Met<'a> {
    of: &'a Fingerprints,
    met: Vec<bool>,
}

impl<'a> Met<'a> {
    /// Starts with no member met.
    pub(crate) fn none(of: &'a Fingerprints) -> Self {
        Self { of, met: vec![false; of.sorted.len()] }
    }

    /// Marks a fingerprint as met, and returns whether the set contains it.
    pub(crate) fn meet(&mut self, fingerprint: u64) -> bool {
        let place = self.of.place(fingerprint);
        if let Some(place) = place {
            self.met[place] = true;
        }
        place.is_some()
    }

    /// Returns whether the set contains a fingerprint, without marking it as met.
    pub(crate) fn knows(&self, fingerprint: u64) -> bool {
        self.of.contains(fingerprint)
    }

    /// Returns the members that were not met.
    pub(crate) fn others(&self) -> Fingerprints {
        let others = self.of.sorted.iter().zip(&self.met).filter(|(_, met)| !**met);
        Fingerprints { sorted: others.map(|(fingerprint, _)| *fingerprint).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_what_it_holds_what_came_twice_and_what_was_met() {
        let (set, twice) = Fingerprints::of(vec![9, 2, 9, 7, u64::MAX, 2, 9]);
        assert_eq!(
            (set.sorted.as_slice(), twice.sorted.as_slice()),
            ([2, 7, 9, u64::MAX].as_slice(), [2, 9].as_slice())
        );
        assert!(set.contains(7) && !set.contains(8) && !set.is_empty() && Fingerprints::default().is_empty());
        let mut met = Met::none(&set);
        assert_eq!([9, 3, 2, 9].map(|fingerprint| met.meet(fingerprint)), [true, false, true, true]);
        assert_eq!(met.others().sorted, [7, u64::MAX]);
    }
}
