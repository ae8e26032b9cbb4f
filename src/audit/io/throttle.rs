//! An adaptive limit on concurrent reads: it falls while the store asks to slow down, and rises
//! again when it no longer does.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::audit::io::limit::{Limit, Permit};
use crate::sync::lock;

/// The interval at which the limit is adjusted.
const WINDOW: Duration = Duration::from_millis(200);
/// The divisor of the requested concurrency that gives the lowest limit.
const LEAST_PART: usize = 16;
/// The divisor of the requested concurrency that gives the increase after each window without
/// refusals.
const STEP_PART: usize = 16;

/// The permits to read objects.
pub(crate) struct Throttle {
    limit: Limit,
    most: usize,
    window: Mutex<Window>,
}

struct Window {
    begun: Instant,
    reads: u64,
    refusals: u64,
}

impl Throttle {
    /// Creates a throttle that permits at most `most` reads at once.
    pub(crate) fn new(most: usize) -> Self {
        let window = Window { begun: Instant::now(), reads: 0, refusals: 0 };
        Self { limit: Limit::new(most), most, window: Mutex::new(window) }
    }

    /// Waits for a permit to read one object.
    pub(crate) async fn permit(&self) -> Permit<'_> {
        self.limit.permit().await
    }

    /// Takes a permit back after a read. `refusals` is the number of times that the store has asked
    /// to slow down so far.
    pub(crate) fn done(&self, permit: Permit<'_>, refusals: u64) {
        drop(permit);
        let mut window = lock(&self.window);
        window.reads += 1;
        if window.begun.elapsed() >= WINDOW {
            let refused = refusals.saturating_sub(window.refusals);
            let limit = next_limit(self.limit.get(), self.most, window.reads, refused);
            *window = Window { begun: Instant::now(), reads: 0, refusals };
            self.limit.set(limit);
        }
    }
}

/// Returns the next limit: it falls by half the share of requests that were refused, and rises step
/// by step without refusals.
fn next_limit(limit: usize, most: usize, reads: u64, refused: u64) -> usize {
    let least = most.div_ceil(LEAST_PART);
    if refused == 0 {
        return (limit + most.div_ceil(STEP_PART)).min(most);
    }
    let (limit, asked) = (limit as u64, reads + refused);
    let kept = limit * (asked + reads) / (2 * asked);
    usize::try_from(kept.min(limit - 1)).unwrap_or(most).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_way_by_the_share_of_refusals_and_comes_back() {
        assert_eq!(next_limit(64, 64, 100, 0), 64);
        assert_eq!(next_limit(64, 64, 95, 5), 62);
        assert_eq!(next_limit(64, 64, 50, 50), 48);
        assert_eq!(next_limit(8, 64, 0, 50), 4);
        assert_eq!(next_limit(4, 64, 0, 50), 4);
        assert_eq!(next_limit(4, 64, 50, 0), 8);
        assert_eq!(next_limit(1, 1, 1, 1), 1);
    }
}
