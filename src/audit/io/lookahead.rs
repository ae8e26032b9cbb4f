//! How many digests wait: chains are examined ahead of the one that is told of, as far as there is room.
//!
//! One chain after the other takes its room, in the order in which they are told of, so the chain that is told of next never
//! waits for a later one. A chain that needs more than there is takes what there is.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::audit::error::AuditError;

/// How many chains are examined ahead of the one whose records are emitted.
pub(crate) const CHAINS_AHEAD: usize = 32;

/// The room that all chains share.
pub(crate) struct Lookahead {
    most: usize,
    permits: Arc<Semaphore>,
    turn: Arc<Mutex<()>>,
}

impl Lookahead {
    /// Room for `most` digests.
    pub fn new(most: usize) -> Self {
        Self { most, permits: Arc::new(Semaphore::new(most)), turn: Arc::default() }
    }

    /// Waits until every chain that came before has what it needs.
    pub async fn turn(&self) -> Admission {
        let turn = self.turn.clone().lock_owned().await;
        Admission { most: self.most, permits: self.permits.clone(), held: None, turn: Some(turn) }
    }
}

/// The room that one chain takes.
pub(crate) struct Admission {
    most: usize,
    permits: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    /// As long as it is held, no later chain takes any.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Admission {
    /// A seat for a chain that is examined for itself, and limits nobody.
    pub fn apart() -> Self {
        Self { most: 0, permits: Arc::new(Semaphore::new(0)), held: None, turn: None }
    }

    fn holds(&self) -> usize {
        self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Waits until there is room for one more digest.
    pub async fn take(&mut self) -> Result<(), AuditError> {
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

    /// The chain needs no more: the next one may take what is left.
    pub fn close(&mut self) {
        self.turn = None;
    }

    /// Gives back what `waiting` digests don't need.
    pub fn shrink_to(&mut self, waiting: usize) {
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
