//! A limit on the digests held in memory, up to which chains are examined ahead of the one whose
//! records are emitted.
//!
//! Chains are admitted one after the other, in the order in which they are emitted, so the chain
//! that is emitted next never waits for a later one. A chain with more digests than the limit takes
//! all permits and is read nevertheless.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::audit::error::AuditError;

/// The number of chains that are examined ahead of the one whose records are emitted.
pub(crate) const CHAINS_AHEAD: usize = 32;

/// The limit that all chains share.
pub(crate) struct Lookahead {
    most: usize,
    permits: Arc<Semaphore>,
    turn: Arc<Mutex<()>>,
}

impl Lookahead {
    /// Creates a limit of `most` digests.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, permits: Arc::new(Semaphore::new(most)), turn: Arc::default() }
    }

    /// Waits until every earlier chain has all the permits that it needs.
    pub(crate) async fn turn(&self) -> Admission {
        let turn = self.turn.clone().lock_owned().await;
        Admission { most: self.most, permits: self.permits.clone(), held: None, turn: Some(turn) }
    }
}

/// The permits that one chain holds.
pub(crate) struct Admission {
    most: usize,
    permits: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    /// While this lock is held, no later chain takes any permits.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Admission {
    /// An admission for a chain that is examined by itself, which is unlimited and takes no
    /// permits.
    pub(crate) fn apart() -> Self {
        Self { most: 0, permits: Arc::new(Semaphore::new(0)), held: None, turn: None }
    }

    fn holds(&self) -> usize {
        self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Waits for a permit for one more digest. Once the chain holds all permits, returns at once.
    pub(crate) async fn take(&mut self) -> Result<(), AuditError> {
        if self.holds() < self.most {
            let permit = self.permits.clone().acquire_owned().await;
            let permit = permit.map_err(|error| AuditError::Task(error.to_string()))?;
            match &mut self.held {
                Some(held) => held.merge(permit),
                None => self.held = Some(permit),
            }
        }
        Ok(())
    }

    /// Ends the admission of this chain's digests: the next chain may take the remaining permits.
    pub(crate) fn close(&mut self) {
        self.turn = None;
    }

    /// Returns the permits that `waiting` remaining digests do not need.
    pub(crate) fn shrink_to(&mut self, waiting: usize) {
        let needless = self.holds().saturating_sub(waiting);
        drop(self.held.as_mut().and_then(|held| held.split(needless)));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_later_chain_takes_what_an_earlier_one_gives_back() {
        let room = Lookahead::new(3);
        let mut first = room.turn().await;
        for _ in 0..5 {
            first.take().await.unwrap();
        }
        assert!(room.turn().now_or_never().is_none());
        first.close();
        let mut second = room.turn().await;
        assert!(second.take().now_or_never().is_none());
        first.shrink_to(3);
        assert!(second.take().now_or_never().is_none());
        first.shrink_to(1);
        second.take().await.unwrap();
        second.take().await.unwrap();
        assert!(second.take().now_or_never().is_none());
        drop(first);
        second.take().await.unwrap();
        second.take().await.unwrap();
    }
}
