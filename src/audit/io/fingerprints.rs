//! Sets of very many objects.

/// A set of fingerprints, as [`crate::audit::shared::context::Context`] makes them: eight bytes each. Made once, and asked then.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    /// In ascending order, each once.
    sorted: Vec<u64>,
}

impl Fingerprints {
    /// The set, and those that came more than once.
    pub fn of(mut fingerprints: Vec<u64>) -> (Self, Self) {
        fingerprints.sort_unstable();
        let mut twice: Vec<u64> =
            fingerprints.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        fingerprints.dedup();
        (Self { sorted: fingerprints }, Self { sorted: twice })
    }

    /// Adds those of another set.
    pub fn extend(&mut self, other: Self) {
        if self.sorted.is_empty() {
            *self = other;
        } else if !other.sorted.is_empty() {
            self.sorted.extend(other.sorted);
            self.sorted.sort_unstable();
            self.sorted.dedup();
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether this one is among them.
    pub fn contains(&self, fingerprint: u64) -> bool {
        self.place(fingerprint).is_some()
    }

    fn place(&self, fingerprint: u64) -> Option<usize> {
        self.sorted.binary_search(&fingerprint).ok()
    }
}

/// Which of a set were met.
#[derive(Debug, Clone)]
pub(crate) struct Met<'a> {
    of: &'a Fingerprints,
    met: Vec<bool>,
}

impl<'a> Met<'a> {
    /// None yet.
    pub fn none(of: &'a Fingerprints) -> Self {
        Self { of, met: vec![false; of.sorted.len()] }
    }

    /// Meets one, and says whether it is of the set.
    pub fn meet(&mut self, fingerprint: u64) -> bool {
        let place = self.of.place(fingerprint);
        if let Some(place) = place {
            self.met[place] = true;
        }
        place.is_some()
    }

    /// Returns whether one is of the set, without meeting it.
    pub fn knows(&self, fingerprint: u64) -> bool {
        self.of.contains(fingerprint)
    }

    /// Those that were not met.
    pub fn others(&self) -> Fingerprints {
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
