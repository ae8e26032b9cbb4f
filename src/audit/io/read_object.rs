//! Reading an object to its end, restarting if its body breaks off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::audit::io::body_memory::BodyMemory;
use crate::audit::io::throttle::Throttle;
use crate::audit::observer::Progress;
use crate::model::ObjectRef;
use crate::store::{Object, Store, StoreError};
use crate::verify::{Content, ContentCopy, ContentHasher};

/// The maximum number of times that a body that broke off is read from its start.
const MAX_READS: u32 = 4;

/// The pause before a body that broke off is read again, doubled with each attempt. Failed requests
/// are sent again by the store itself.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Reads objects of a store, no more of them at once than its throttle permits, and of large log files no more
/// than there is memory for.
#[derive(Clone)]
pub(crate) struct ObjectReader {
    pub store: Arc<dyn Store>,
    pub throttle: Arc<Throttle>,
    pub body_memory: Arc<BodyMemory>,
    pub progress: Arc<Progress>,
}

impl ObjectReader {
    /// Reads the current version of an object, or an earlier one. `begin` creates the sink of the
    /// pieces, anew for each attempt; `feed` passes it a piece and returns whether to continue.
    pub(crate) async fn read<T>(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        begin: impl Fn(&Object) -> T,
        feed: impl Fn(&mut T, Bytes) -> bool,
    ) -> Result<(T, Object), StoreError> {
        let store = self.store.as_ref();
        let mut attempt = 1;
        loop {
            let permit = self.throttle.permit().await;
            let read = self.read_once(object, version, &begin, &feed).await;
            let refusals = store.refusals();
            self.progress.note_refusals(refusals);
            self.throttle.done(permit, refusals);
            match read {
                Err(error) if error.is_transient() && attempt < MAX_READS => {
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
                Err(StoreError::Broken(reason)) => {
                    return Err(StoreError::Failed(format!("{reason}, {MAX_READS} times in a row")));
                }
                other => return other,
            }
        }
    }

    /// Reads a log file to its end, as long as it has no more than `ceiling` uncompressed bytes,
    /// and hashes it.
    pub(crate) async fn read_content(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
    ) -> Result<Content, StoreError> {
        if let Some(known) = self.store.content(object, version, ceiling).await {
            return known;
        }
        self.hash(object, version, ceiling, || ()).await.map(|(content, ())| content)
    }

    /// Reads a log file as [`Self::read_content`] does, and copies its bytes into what `copy` returns, which is
    /// called anew for each attempt. The bytes may be no more than a part of the content, unless the result says
    /// that it is whole.
    pub(crate) async fn read_copy<C: ContentCopy>(
        &self,
        object: &ObjectRef,
        ceiling: u64,
        copy: impl Fn() -> C,
    ) -> Result<(Content, C), StoreError> {
        self.hash(object, None, ceiling, copy).await
    }

    async fn hash<C: ContentCopy>(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
        copy: impl Fn() -> C,
    ) -> Result<(Content, C), StoreError> {
        let read = self.read_unnoted(object, version, ceiling, copy).await;
        let content = read.as_ref().map(|(content, _)| *content).map_err(Clone::clone);
        self.store.note_content(object, version, ceiling, &content);
        read
    }

    /// Reads a log file as [`Self::read_copy`] does, without the store taking note of its content, as for a
    /// second reading.
    pub(crate) async fn read_unnoted<C: ContentCopy>(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
        copy: impl Fn() -> C,
    ) -> Result<(Content, C), StoreError> {
        let feed = |hasher: &mut ContentHasher<C>, piece| hasher.feed(piece);
        // Files are not received ahead.
        let is_remote = self.store.properties().is_remote;
        let _turn = if is_remote { Some(self.body_memory.request().await) } else { None };
        let begin = |opened: &Object| {
            if let Some(length) = opened.body.announced_length() {
                self.body_memory.note(length);
            }
            let hasher = ContentHasher::copying(ceiling, copy());
            if opened.is_uncompressed { hasher.of_uncompressed() } else { hasher }
        };
        self.read(object, version, begin, feed).await.map(|(hasher, _)| hasher.finish_copy())
    }

    async fn read_once<T>(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        begin: impl Fn(&Object) -> T,
        feed: impl Fn(&mut T, Bytes) -> bool,
    ) -> Result<(T, Object), StoreError> {
        let mut opened = self.store.get(object, version).await?;
        let _memory = self.body_memory.reserve(opened.body.announced_length()).await;
        let mut sink = begin(&opened);
        while let Some(piece) = opened.body.next().await? {
            self.progress.read_bytes(piece.len());
            if !feed(&mut sink, piece) {
                break;
            }
        }
        Ok((sink, opened))
    }
}
