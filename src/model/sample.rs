//! Statistics of a random sample: a bound on the bad files among those that it left out.

use libm::{exp, lgamma};

/// The result of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleResult {
    /// The number of log files that the sample was drawn from.
    pub total: u64,
    /// The number of log files that were read.
    pub read: u64,
    /// The number of log files read that are not intact: modified, deleted, or not readable.
    pub bad: u64,
}

/// The probability that the bound fails: one of twenty samples.
const DOUBT: f64 = 0.05;

impl SampleResult {
    /// Returns the largest number of log files, of all, that may not be intact, with 95 %
    /// confidence: the largest number with which a sample of this size shows so few of them in at
    /// least one of twenty draws (the exact bound of the hypergeometric distribution).
    pub fn at_most_bad(&self) -> u64 {
        let Self { total, read, bad } = *self;
        let bad = bad.min(read);
        let (mut low, mut high) = (bad, total.saturating_sub(read) + bad);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.chance_of_so_few(middle) >= DOUBT { low = middle } else { high = middle - 1 }
        }
        low
    }

    /// Returns the probability that a sample shows no more bad files than this one did, if there
    /// are `all_bad` in all.
    fn chance_of_so_few(&self, all_bad: u64) -> f64 {
        let Self { total, read, bad } = *self;
        let good = total - all_bad;
        let fewest = read.saturating_sub(good);
        let chance =
            |shown: u64| exp(ln_choose(all_bad, shown) + ln_choose(good, read - shown) - ln_choose(total, read));
        (fewest..=bad.min(all_bad)).map(chance).sum()
    }
}

/// The logarithm of the number of ways to choose `k` of `n`.
fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |x: u64| lgamma(x as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_most(total: u64, read: u64, bad: u64) -> u64 {
        SampleResult { total, read, bad }.at_most_bad()
    }

    #[test]
    fn small_cases_are_those_of_counting_by_hand() {
        // One of twenty files read: 19 bad ones would hide in 1 of 20 draws.
        assert_eq!(at_most(20, 1, 0), 19);
        // Of ten, five read: two bad hide in C(8,5)/C(10,5) = 56/252, three in 21/252 = 8.3 %, four
        // in 6/252 = 2.4 %.
        assert_eq!(at_most(10, 5, 0), 3);
        assert_eq!(at_most(10, 10, 2), 2);
        assert_eq!(at_most(10, 0, 0), 10);
        assert_eq!(at_most(0, 0, 0), 0);
    }

    #[test]
    fn large_samples_follow_the_rule_of_three() {
        // With none bad in n, at most about 3/n are.
        let share = at_most(10_000_000, 3_000, 0);
        assert!((9_900..10_000).contains(&share), "{share}");
        assert!(at_most(1_000_000, 2_000, 1) > at_most(1_000_000, 2_000, 0));
    }
}
