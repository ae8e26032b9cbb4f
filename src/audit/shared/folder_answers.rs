//! The statements of the digests in other trails' folders, cached for the next chain that needs
//! them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Mutex as AsyncMutex;

use crate::audit::digests::listed_digests::ListedDigests;
use crate::audit::io::fingerprints::Fingerprints;
use crate::model::{ChainId, Coverage};
use crate::sync::lock;

/// The largest number of folders that are remembered, each with a range of days.
const KEPT_FOLDERS: usize = 100_000;

/// The cached statements of the digests of each folder. Without the cache, planted digests of very
/// many trails would cause the folder to be listed, and all of them judged, once for each chain.
#[derive(Default)]
pub(crate) struct Answers(Mutex<HashMap<u64, Slot>>);

/// The answer of a folder, once it was computed.
pub(crate) type Slot = Arc<AsyncMutex<Option<FolderStatements>>>;

/// The statements of a folder's digests that lie in some range of days.
#[derive(Default)]
pub(crate) struct FolderStatements {
    /// The files that valid digests list.
    pub listed: Fingerprints,
    /// The times of the digests that could not be verified, by chain.
    pub unverified_digests: Vec<(ChainId, Coverage)>,
    /// The time that valid digests cover, by chain.
    pub covered: Vec<(ChainId, Coverage)>,
    /// The chain that asked first, and its digests, which it has read itself.
    pub first: Option<(ChainId, ListedDigests)>,
    /// True once every other chain of the folder was examined.
    pub is_known: bool,
}

impl Answers {
    /// Returns the slot of the answer to a question, shared by all chains that need it.
    pub(crate) fn slot(&self, question: u64) -> Slot {
        let mut slots = lock(&self.0);
        match slots.get(&question) {
            Some(slot) => Arc::clone(slot),
            None => {
                let slot = Slot::default();
                if slots.len() < KEPT_FOLDERS {
                    slots.insert(question, Arc::clone(&slot));
                }
                slot
            }
        }
    }
}
