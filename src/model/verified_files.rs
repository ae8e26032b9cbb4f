//! A short form of the log files of the last verified days, which a checkpoint keeps.

use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of log files of a day that are remembered as reported gone by an earlier run.
const MAX_LOST: usize = 10_000;

/// The log files that verified digests list, by day folder: their number, and the sum of their
/// names' hashes.
///
/// The hashes have a key of their own, which appears in no report: an attacker who could compute
/// them could plant files whose hashes sum to those of the files that he removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFiles {
    /// The key of the hashes.
    pub key: [u8; 16],
    /// The hashes, with the time of writing, of log files that were judged and had been written
    /// after the newest digest: by that time alone, they would count as written later.
    pub judged: BTreeSet<u64>,
    /// The days, by the part of the keys that precedes the file's name, without its last slash.
    pub days: BTreeMap<String, VerifiedDay>,
}

/// The log files of one day folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifiedDay {
    /// The number of log files that verified digests list, without those that are known to be gone.
    pub count: u64,
    /// The sum of the hashes of their names, modulo 2^64.
    pub sum: u64,
    /// The hashes of the log files that verified digests list and that are known to be gone.
    pub lost: BTreeSet<u64>,
}

impl VerifiedDay {
    /// Adds a file.
    pub fn add(&mut self, hash: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Notes that a file is gone.
    pub fn lose(&mut self, hash: u64) {
        if self.lost.len() < MAX_LOST && self.lost.insert(hash) {
            self.count = self.count.wrapping_sub(1);
            self.sum = self.sum.wrapping_sub(hash);
        }
    }

    /// Notes that a file is back.
    pub fn find_again(&mut self, hash: u64) {
        if self.lost.remove(&hash) {
            self.add(hash);
        }
    }

    /// Returns whether a listing shows just these files: so many, with hashes of this sum.
    pub fn is(&self, count: u64, sum: u64) -> bool {
        (self.count, self.sum) == (count, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_what_was_added_and_not_lost_in_any_order() {
        let [one, two, three] = [u64::MAX, 1 << 63, 5];
        let (mut day, mut other) = (VerifiedDay::default(), VerifiedDay::default());
        [one, two, three].into_iter().for_each(|hash| day.add(hash));
        [three, one].into_iter().for_each(|hash| other.add(hash));
        assert!(!day.is(other.count, other.sum));
        day.lose(two);
        day.lose(two);
        assert!(day.is(other.count, other.sum));
        day.find_again(two);
        day.find_again(two);
        other.add(two);
        assert!(day.is(3, other.sum) && day.lost.is_empty());
    }
}
