//! A limit on the memory of the bodies that are received at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::audit::io::limit::{Limit, Permit};

/// The least and the most memory for all bodies, in bytes.
const MEMORY: (usize, usize) = (4 << 20, 16 << 20);
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
/// The longest time that a body which was opened waits for memory. The store has begun to send it, and gives
/// up a connection from which nothing is read for long: such a body is received all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The memory for bodies. Hundreds of small log files are read at once to make up for the time that each
/// answer takes. As many large ones hardly come faster than a few do, where the processor is the limit, and
/// their buffers would be most of the memory of a run.
///
/// Log files are requested in a number that follows the lengths of those before, which resemble each other.
/// If large ones come all the same, as after many small ones, few of them are received at once.
pub(crate) struct BodyMemory {
    memory: usize,
    requests: Limit,
    /// The most requests at once.
    most: usize,
    /// The expected length of the next log file, in bytes.
    expected: AtomicUsize,
    units: Semaphore,
    longest_wait: Duration,
}

impl BodyMemory {
    /// Creates a limit for at most this number of requests at once, on this number of processor cores: each
    /// is to have two large bodies.
    pub(crate) fn new(most: usize, cores: usize) -> Self {
        let memory = (2 * cores * LARGEST_BUFFER).clamp(MEMORY.0, MEMORY.1);
        Self {
            memory,
            requests: Limit::new(most.min(memory / FIRST_EXPECTED)),
            most,
            expected: AtomicUsize::new(FIRST_EXPECTED),
            units: Semaphore::new(memory / UNIT),
            longest_wait: LONGEST_WAIT,
        }
    }

    /// Waits until another log file may be requested. The result is held until it was read.
    pub(crate) async fn request(&self) -> Permit<'_> {
        self.requests.permit().await
    }

    /// Takes note of the length of a log file, in bytes.
    pub(crate) fn note(&self, length: u64) {
        let length = buffer(length);
        let follow = |expected: usize| Some((expected * (FOLLOWS - 1) + length) / FOLLOWS);
        let before = self.expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, follow).unwrap_or_default();
        let expected = follow(before).unwrap_or_default();
        let limit = if expected <= ONE_PIECE { self.most } else { self.most.min(self.memory / expected) };
        if limit != self.requests.get() {
            self.requests.set(limit);
        }
    }

    /// Waits until there is memory for a body of this length, in bytes, though not for ever. The result is held
    /// until the body was read.
    pub(crate) async fn reserve(&self, length: Option<u64>) -> Option<SemaphorePermit<'_>> {
        let bytes = buffer(length?);
        if bytes <= ONE_PIECE {
            return None;
        }
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        tokio::time::timeout(self.longest_wait, self.units.acquire_many(units)).await.ok()?.ok()
    }
}

/// The memory that a body of this length takes.
fn buffer(length: u64) -> usize {
    usize::try_from(length).unwrap_or(LARGEST_BUFFER).min(LARGEST_BUFFER)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::join_all;
    use tokio::task::unconstrained;

    use super::*;

    const MOST: usize = 192;

    /// The number of log files that are requested at once, after some of a length.
    fn at_once(memory: &BodyMemory, length: u64) -> usize {
        for _ in 0..50 {
            memory.note(length);
        }
        let held: Vec<_> = (0..2 * MOST).map_while(|_| unconstrained(memory.request()).now_or_never()).collect();
        held.len()
    }

    #[test]
    fn large_log_files_wait_for_one_another_and_small_ones_do_not() {
        for (cores, length, least, most) in [
            (1, 0, MOST, MOST),
            (1, 10 << 10, MOST, MOST),
            (1, 64 << 10, 63, 66),
            (1, 512 << 10, 8, 8),
            (1, 5 << 30, 8, 8),
            (8, 5 << 30, 16, 16),
            (192, 5 << 30, 32, 32),
        ] {
            let found = at_once(&BodyMemory::new(MOST, cores), length);
            assert!((least..=most).contains(&found), "{found} of {length} bytes, {cores} cores");
        }
        let memory = BodyMemory::new(MOST, 1);
        let first: Vec<_> = (0..MOST).map_while(|_| unconstrained(memory.request()).now_or_never()).collect();
        assert_eq!(first.len(), 32, "nothing was received yet");
        drop(first);
        assert_eq!([1 << 30, 2 << 10, 1 << 30].map(|length| at_once(&memory, length)), [8, MOST, 8]);
    }

    /// Found by an attack: tasks that waited kept to the number of the time at which they began to wait.
    #[tokio::test]
    async fn those_that_wait_go_on_as_soon_as_log_files_turn_out_to_be_small() {
        let memory = BodyMemory::new(MOST, 1);
        let mut all = Box::pin(unconstrained(join_all((0..MOST).map(|_| memory.request()))));
        assert!((&mut all).now_or_never().is_none());
        for _ in 0..20 {
            memory.note(2 << 10);
        }
        assert_eq!(all.now_or_never().map(|held| held.len()), Some(MOST));
    }

    #[tokio::test]
    async fn few_large_bodies_are_received_at_once_and_none_waits_for_ever() {
        let memory = BodyMemory { longest_wait: Duration::from_millis(50), ..BodyMemory::new(MOST, 1) };
        assert!(memory.reserve(None).await.is_none() && memory.reserve(Some(ONE_PIECE as u64)).await.is_none());
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(memory.reserve(Some(1 << 20)).await.unwrap());
        }
        assert!(memory.reserve(Some(1 << 20)).now_or_never().is_none());
        held.pop();
        held.push(memory.reserve(Some(1 << 20)).await.unwrap());
        assert!(memory.reserve(Some(1 << 20)).await.is_none(), "it is received without memory of the limit");
    }
}
