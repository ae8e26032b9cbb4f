//! A semaphore whose number of permits can be changed while they are in use.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A limit on what is under way at once.
pub(crate) struct Limit {
    semaphore: Semaphore,
    /// The number of permits that there should be now.
    limit: AtomicUsize,
    /// The number of permits above the limit that could not be taken back yet, because they are in
    /// use.
    owed: AtomicUsize,
}

/// A permit, which is given back when it is dropped.
pub(crate) struct Permit<'l> {
    of: &'l Limit,
    /// Taken when it is given back.
    permit: Option<SemaphorePermit<'l>>,
}

impl Limit {
    pub(crate) fn new(limit: usize) -> Self {
        let (semaphore, owed) = (Semaphore::new(limit), AtomicUsize::new(0));
        Self { semaphore, limit: AtomicUsize::new(limit), owed }
    }

    /// Returns the number of permits that there should be now.
    pub(crate) fn get(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Waits for a permit.
    pub(crate) async fn permit(&self) -> Permit<'_> {
        // The semaphore is never closed.
        Permit { of: self, permit: self.semaphore.acquire().await.ok() }
    }

    /// Changes the number of permits. Those that wait get theirs as soon as there are more.
    pub(crate) fn set(&self, limit: usize) {
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

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let owes = |owed: usize| owed.checked_sub(1);
        let is_owed = self.of.owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, owes).is_ok();
        if let Some(permit) = self.permit.take().filter(|_| is_owed) {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn as_many_permits_are_out_as_the_limit_says() {
        let limit = Limit::new(8);
        let held = [limit.permit().await, limit.permit().await, limit.permit().await];
        limit.set(2);
        assert_eq!(limit.semaphore.available_permits(), 0);
        drop(held);
        assert_eq!((limit.semaphore.available_permits(), limit.owed.load(Ordering::Relaxed)), (2, 0));
        let held = limit.permit().await;
        limit.set(1);
        limit.set(8);
        drop(held);
        assert_eq!((limit.semaphore.available_permits(), limit.owed.load(Ordering::Relaxed)), (8, 0));
    }
}
