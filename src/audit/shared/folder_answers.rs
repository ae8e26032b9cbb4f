//! The statements of the digests in other trails' folders, kept for the next chain that asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Mutex as AsyncMutex;

use crate::audit::digests::listed_digests::ListedDigests;
use crate::audit::io::fingerprints::Fingerprints;
use crate::model::{ChainId, Coverage};
use crate::sync::lock;

/// How many folders are remembered, each with a range of days.
const KEPT_FOLDERS: usize = 100_000;

/// The answers of folders that were asked what their digests list. Whoever plants digests of very many trails
/// would have the folder listed, and each of them judged, for each other one.
#[derive(Default)]
pub(crate) struct Answers(Mutex<HashMap<u64, Slot>>);

/// The answer of a folder, once somebody has asked for it.
pub(crate) type Slot = Arc<AsyncMutex<Option<Answer>>>;

/// The statements of a folder's digests that lie in some range of days.
#[derive(Default)]
pub(crate) struct Answer {
    /// The files that valid digests list.
    pub listed: Fingerprints,
    /// The times of the digests that can't be read, by chain.
    pub unreadable: Vec<(ChainId, Coverage)>,
    /// The time that valid digests cover, by chain.
    pub covered: Vec<(ChainId, Coverage)>,
    /// The chain that asked first, and its digests: it has read them itself.
    pub first: Option<(ChainId, ListedDigests)>,
    /// True once every chain of the folder but that one was asked.
    pub is_known: bool,
}

impl Answers {
    /// The answer to a question, shared by all who ask it.
    pub fn slot(&self, question: u64) -> Slot {
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
