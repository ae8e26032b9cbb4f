//! An estimate of what a run would read and cost.

use super::Requests;

/// The prices of S3, in US dollars.
///
/// The defaults are those of S3 Standard in us-east-1 (Amazon S3 pricing, "Requests & data
/// retrievals" and "Data transfer", 2026). Other regions and storage classes differ, and within a
/// region transfer costs nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// The price of a thousand GET requests.
    pub thousand_gets: f64,
    /// The price of a thousand LIST requests.
    pub thousand_lists: f64,
    /// The price of a GB (10^9 bytes) transferred out of the region.
    pub gigabyte_out: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self { thousand_gets: 0.0004, thousand_lists: 0.005, gigabyte_out: 0.09 }
    }
}

/// An estimate of what a run would read.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Chains found.
    pub chains: u64,
    /// Digests, as listed.
    pub digests: u64,
    /// Their size, in bytes as stored.
    pub digest_bytes: u64,
    /// The number of digests that were read to guess the log files.
    pub sampled_digests: u64,
    /// Log files: a guess.
    pub log_files: u64,
    /// Their size, in bytes as stored: a guess.
    pub log_file_bytes: u64,
    /// The requests that it would make: a guess.
    pub requests: Requests,
    /// The duration of the run, in seconds: a guess.
    pub seconds: f64,
    /// The requests that this estimate made.
    pub spent: Requests,
}

impl Estimate {
    /// Returns the price of the requests, in US dollars.
    pub fn request_dollars(&self, prices: &Prices) -> f64 {
        count(self.requests.get) / 1000.0 * prices.thousand_gets
            + count(self.requests.list) / 1000.0 * prices.thousand_lists
    }

    /// Returns the price of the transfer out of the bucket's region, in US dollars.
    pub fn transfer_dollars(&self, prices: &Prices) -> f64 {
        count(self.digest_bytes + self.log_file_bytes) / 1e9 * prices.gigabyte_out
    }
}

fn count(number: u64) -> f64 {
    // Exact up to 2^53, which is more requests or bytes than anyone could pay for.
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_gets_cost_forty_cents() {
        let estimate = Estimate {
            chains: 1,
            digests: 100_000,
            digest_bytes: 0,
            sampled_digests: 0,
            log_files: 900_000,
            log_file_bytes: 2_000_000_000,
            requests: Requests { get: 1_000_000, list: 2000, other: 3 },
            seconds: 1.0,
            spent: Requests::default(),
        };
        assert!((estimate.request_dollars(&Prices::default()) - 0.41).abs() < 1e-9);
        assert!((estimate.transfer_dollars(&Prices::default()) - 0.18).abs() < 1e-9);
    }
}
