//! A limit on the memory of the log files that are received at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The least memory for all bodies, in bytes.
const LEAST_MEMORY: usize = 4 << 20;
/// The most memory that one body takes, in bytes: an HTTP client reads ahead, and its buffer grows with the
/// body up to this size.
const LARGEST_BUFFER: usize = 512 << 10;
/// The length up to which a body comes in one piece, as nearly all do, in bytes. It needs no memory of the limit.
const ONE_PIECE: usize = 16 << 10;
/// The length that is expected of a body before any was seen, in bytes.
const FIRST_EXPECTED: usize = 128 << 10;
/// The part of the difference to the length of a body by which the expected length follows it.
const FOLLOWS: usize = 8;
/// The length of the units in which memory is counted, in bytes.
const UNIT: usize = 1 << 10;

/// The memory for the bodies of log files. Hundreds of small ones are read at once to make up for the time
/// that each answer takes. As many large ones come no faster than a few do, and their buffers would be most
/// of the memory of a run. A request waits before it is sent, by the lengths of the bodies before it: those
/// of a trail resemble each other, and a connection whose body nobody reads would break off.
pub(crate) struct BodyMemory {
    units: Semaphore,
    /// The expected length of the next body, in bytes.
    expected: AtomicUsize,
}

impl BodyMemory {
    /// Creates a limit for this number of processor cores: each is to have two large bodies.
    pub(crate) fn new(cores: usize) -> Self {
        let memory = LEAST_MEMORY.max(2 * cores * LARGEST_BUFFER);
        Self { units: Semaphore::new(memory / UNIT), expected: AtomicUsize::new(FIRST_EXPECTED) }
    }

    /// Waits until there is memory for another body, which is held until the result is dropped.
    pub(crate) async fn reserve(&self) -> Option<SemaphorePermit<'_>> {
        let expected = self.expected.load(Ordering::Relaxed);
        if expected <= ONE_PIECE {
            return None;
        }
        let units = u32::try_from(expected.div_ceil(UNIT)).ok()?;
        // It is never closed.
        self.units.acquire_many(units).await.ok()
    }

    /// Takes note of the length of a body, in bytes.
    pub(crate) fn note(&self, length: u64) {
        let length = usize::try_from(length).unwrap_or(LARGEST_BUFFER).min(LARGEST_BUFFER);
        let follow = |expected: usize| Some((expected * (FOLLOWS - 1) + length) / FOLLOWS);
        // The function always returns a value.
        let _ = self.expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, follow);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::task::unconstrained;

    use super::*;

    /// The number of bodies that have memory at once, of 200, after bodies of a length.
    fn at_once(memory: &BodyMemory, length: u64) -> usize {
        for _ in 0..50 {
            memory.note(length);
        }
        let mut held = Vec::new();
        while held.len() < 200
            && let Some(reserved) = unconstrained(memory.reserve()).now_or_never()
        {
            held.push(reserved);
        }
        held.len()
    }

    #[test]
    fn large_bodies_wait_for_one_another_and_small_ones_do_not() {
        for (cores, length, least, most) in [
            (1, 0, 200, 200),
            (1, 10 << 10, 200, 200),
            (1, 64 << 10, 63, 66),
            (1, 512 << 10, 8, 8),
            (1, 5 << 30, 8, 8),
            (8, 5 << 30, 16, 16),
        ] {
            let found = at_once(&BodyMemory::new(cores), length);
            assert!((least..=most).contains(&found), "{found} of {length} bytes, {cores} cores");
        }
    }

    #[test]
    fn the_limit_follows_what_is_received_and_memory_is_free_again() {
        let memory = BodyMemory::new(1);
        let held: Vec<_> = (0..40).map_while(|_| unconstrained(memory.reserve()).now_or_never()).collect();
        assert_eq!(held.len(), LEAST_MEMORY / FIRST_EXPECTED, "nothing was received yet");
        drop(held);
        assert_eq!(at_once(&memory, 1 << 30), 8);
        assert_eq!(at_once(&memory, 2 << 10), 200);
        assert_eq!(at_once(&memory, 1 << 30), 8);
    }
}
