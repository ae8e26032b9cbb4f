//! What the digests of a chain say, kept aside until it is asked for: a chain has to be judged as a whole, and may be long.

use std::fmt::Display;
use std::num::NonZero;
use std::sync::Mutex;

use crate::audit::error::AuditError;
use crate::audit::io::spool::{Spool, Ticket};
use crate::model::ObjectRef;
use crate::sync::lock;
use crate::verify::{Examined, HashKey, NameHash, OpenDigest, Outline, ProvenDigest, ValidDigest, WaitingDigest};

/// Keeps what the digests of a chain say.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    spool: Mutex<Spool>,
    key: HashKey,
}

/// Where a shelf keeps a digest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    ticket: Ticket,
    follows: Option<NonZero<u64>>,
}

impl Kept {
    /// The digest that this one names as its predecessor, by its fingerprint.
    pub fn follows(&self) -> Option<u64> {
        self.follows.map(NonZero::get)
    }
}

/// A valid digest, and where the whole of it is kept.
#[derive(Debug)]
pub(crate) struct Shelved {
    pub proven: ProvenDigest,
    pub kept: Kept,
}

impl Shelved {
    pub fn outline(&self) -> &Outline {
        self.proven.outline()
    }
}

impl Shelf {
    /// Keeps a digest that was examined. `fingerprint` is how its predecessor is known.
    pub fn keep(
        &self,
        examined: Examined,
        fingerprint: impl Fn(&ObjectRef) -> u64,
    ) -> Result<(WaitingDigest, Kept), AuditError> {
        let predecessor = match &examined {
            Examined::Open(open, _) => open.predecessor(),
            Examined::Closed(_) => None,
        };
        let follows = predecessor.and_then(|recorded| NonZero::new(fingerprint(&recorded.object)));
        let packed = lock(&self.spool).put(|out| WaitingDigest::pack(examined, &self.key, out));
        let (waiting, ticket) = packed.map_err(put_aside)?;
        Ok((waiting, Kept { ticket, follows }))
    }

    /// A digest that was kept.
    pub fn open(&self, kept: &Kept, outline: &Outline) -> Result<OpenDigest, AuditError> {
        lock(&self.spool)
            .get(kept.ticket, |packed| outline.unpack(packed, &self.key))
            .map_err(put_aside)?
            .map_err(put_aside)
    }

    /// A valid digest that was kept.
    pub fn valid(&self, Shelved { proven, kept }: &Shelved) -> Result<ValidDigest, AuditError> {
        lock(&self.spool)
            .get(kept.ticket, |packed| proven.unpack(packed, &self.key))
            .map_err(put_aside)?
            .map_err(put_aside)
    }

    /// The hash of a name, as outlines have it.
    pub fn name(&self, object: &ObjectRef) -> NameHash {
        self.key.name(object)
    }
}

fn put_aside(error: impl Display) -> AuditError {
    AuditError::PutAside(error.to_string())
}
