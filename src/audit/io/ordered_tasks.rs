//! Concurrent work on many objects, on all threads, with results in order.
//!
//! Real objects are a few KB, so a task for each would cost more than reading it. A task therefore
//! takes a batch, and if the store is remote, it waits for all reads of the batch at once.

use std::future::Future;

use futures::stream::{self, FuturesOrdered, Stream, StreamExt, TryStreamExt};

use crate::audit::error::AuditError;

/// The number of objects that a task takes from a local store.
const LOCAL_BATCH: usize = 32;
/// The number of objects that a task takes from a remote store.
const REMOTE_BATCH: usize = 16;

/// The limits on concurrent tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskLimits {
    /// The number of objects that are read at once.
    pub concurrency: usize,
    /// True if the store answers over a network.
    pub is_remote: bool,
}

/// Runs `work` on each item, and yields the results in the order of the items. `work` itself limits
/// how many objects are read at once, through the context's permits.
pub(crate) fn in_order<I, T, W, F>(
    limits: TaskLimits,
    items: impl Stream<Item = Result<I, AuditError>>,
    work: W,
) -> impl Stream<Item = Result<T, AuditError>>
where
    I: Send + 'static,
    T: Send + 'static,
    W: Fn(I) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, AuditError>> + Send,
{
    let TaskLimits { concurrency, is_remote } = limits;
    let (batch, at_once, batches) = if is_remote {
        // Enough batches to keep every permit busy while one object has to be requested several
        // times.
        (REMOTE_BATCH, REMOTE_BATCH, (8 * concurrency).div_ceil(REMOTE_BATCH))
    } else {
        (LOCAL_BATCH, 1, 2 * concurrency)
    };
    items
        .ready_chunks(batch)
        .map(move |items| {
            let work = work.clone();
            let task = tokio::spawn(async move {
                let mut done = Vec::with_capacity(items.len());
                let mut working = FuturesOrdered::new();
                for item in items {
                    let work = work.clone();
                    working.push_back(async move { work(item?).await });
                    if working.len() >= at_once {
                        done.extend(working.next().await);
                    }
                }
                done.extend(working.collect::<Vec<_>>().await);
                done
            });
            async move { task.await.map_err(|error| AuditError::Task(error.to_string())) }
        })
        .buffered(batches)
        .map_ok(stream::iter)
        .try_flatten()
}
