//! Listings, page by page.

use crate::store::{ListRequest, Page, Store, StoreError};

/// A listing that is read page by page: the one place that follows continuations.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub request: ListRequest,
    continuation: Option<String>,
    is_at_end: bool,
}

impl Pages {
    /// Begins a listing.
    pub(crate) fn new(request: ListRequest) -> Self {
        Self { request, continuation: None, is_at_end: false }
    }

    /// Begins a listing of all keys below a prefix that come after `start_after`.
    pub(crate) fn of_keys(bucket: &str, prefix: &str, start_after: Option<String>) -> Self {
        Self::new(ListRequest { bucket: bucket.to_owned(), prefix: prefix.to_owned(), start_after, folders: false })
    }

    /// Begins a listing of what lies directly below a prefix.
    pub(crate) fn of_folder(bucket: &str, prefix: &str) -> Self {
        Self::new(ListRequest {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            start_after: None,
            folders: true,
        })
    }

    /// Returns the next page; `None` after the last one, or after [`Self::stop`].
    ///
    /// # Errors
    ///
    /// Fails if the page can't be listed. The next call asks for the same page again.
    pub(crate) async fn next(&mut self, store: &dyn Store) -> Result<Option<Page>, StoreError> {
        if self.is_at_end {
            return Ok(None);
        }
        let mut page = store.list(&self.request, self.continuation.as_deref()).await?;
        self.continuation = page.next.take();
        self.is_at_end = self.continuation.is_none();
        Ok(Some(page))
    }

    /// Ends the listing: no further page is requested.
    pub(crate) fn stop(&mut self) {
        self.is_at_end = true;
    }
}
