//! An adaptive limit on concurrent reads: it falls while the store asks to slow down, and rises
//! again when it no longer does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::audit::error::AuditError;
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
    semaphore: Semaphore,
    most: usize,
    /// The number of permits that there should be now.
    limit: AtomicUsize,
    /// The number of permits above the limit that could not be taken back yet, because they are in
    /// use.
    owed: AtomicUsize,
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
        Self {
            semaphore: Semaphore::new(most),
            most,
            limit: AtomicUsize::new(most),
            owed: AtomicUsize::new(0),
            window: Mutex::new(window),
        }
    }

    /// Waits for a permit to read one object.
    pub(crate) async fn permit(&self) -> Result<SemaphorePermit<'_>, AuditError> {
        self.semaphore.acquire().await.map_err(|error| AuditError::Task(error.to_string()))
    }

    /// Takes a permit back after a read. `refusals` is the number of times that the store has asked
    /// to slow down so far.
    pub(crate) fn done(&self, permit: SemaphorePermit<'_>, refusals: u64) {
        let owes = |owed: usize| owed.checked_sub(1);
        if self.owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, owes).is_ok() {
            permit.forget();
        } else {
            drop(permit);
        }
        let mut window = lock(&self.window);
        window.reads += 1;
        if window.begun.elapsed() >= WINDOW {
            let refused = refusals.saturating_sub(window.refusals);
            let limit = next_limit(self.limit.load(Ordering::Relaxed), self.most, window.reads, refused);
            *window = Window { begun: Instant::now(), reads: 0, refusals };
            self.set(limit);
        }
    }

    fn set(&self, limit: usize) {
        let before = self.limit.swap(limit, Ordering::Relaxed);
        if limit < before {
            let fewer = before - limit;
            let taken = self.semaphore.forget_permits(fewer);
            self.owed.fetch_add(fewer - taken, Ordering::Relaxed);
        } else {
            let mut more = limit - before;
            // Permits that are still owed need not be added.
            let forgive = |owed: usize| Some(owed.saturating_sub(more));
            let owed = self.owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, forgive).unwrap_or_default();
            more -= owed.min(more);
            self.semaphore.add_permits(more);
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

    #[tokio::test]
    async fn as_many_permits_are_out_as_the_limit_says() {
        let throttle = Throttle::new(8);
        let held =
            [throttle.permit().await.unwrap(), throttle.permit().await.unwrap(), throttle.permit().await.unwrap()];
        throttle.set(2);
        assert_eq!(throttle.semaphore.available_permits(), 0);
        for permit in held {
            throttle.done(permit, 0);
        }
        assert_eq!((throttle.semaphore.available_permits(), throttle.owed.load(Ordering::Relaxed)), (2, 0));
        let held = throttle.permit().await.unwrap();
        throttle.set(1);
        throttle.set(8);
        throttle.done(held, 0);
        assert_eq!((throttle.semaphore.available_permits(), throttle.owed.load(Ordering::Relaxed)), (8, 0));
    }
}
