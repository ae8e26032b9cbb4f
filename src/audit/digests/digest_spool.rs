//! Spill-to-disk storage for the content of a chain's digests: a chain must be verified as a whole,
//! and may be long.

use std::fmt::Display;
use std::num::NonZero;
use std::sync::Mutex;

use crate::audit::error::AuditError;
use crate::audit::io::spool::{Spool, Ticket};
use crate::model::ObjectRef;
use crate::sync::lock;
use crate::verify::{
    CheckedDigest, DigestSummary, HashKey, NameHash, ParsedDigest, PendingDigest, ProvenDigest, ValidDigest,
};

/// Stores the content of a chain's digests.
#[derive(Debug, Default)]
pub(crate) struct DigestSpool {
    spool: Mutex<Spool>,
    key: HashKey,
}

/// The position of a digest in a [`DigestSpool`], and the fingerprint of its predecessor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpoolKey {
    ticket: Ticket,
    predecessor: Option<NonZero<u64>>,
}

impl SpoolKey {
    /// The fingerprint of the digest that this one names as its predecessor.
    pub(crate) fn predecessor_fingerprint(&self) -> Option<u64> {
        self.predecessor.map(NonZero::get)
    }
}

/// A valid digest, and the key of its full content on the spool.
#[derive(Debug)]
pub(crate) struct SpooledDigest {
    pub proven: ProvenDigest,
    pub spool_key: SpoolKey,
}

impl SpooledDigest {
    pub(crate) fn summary(&self) -> &DigestSummary {
        self.proven.summary()
    }
}

impl DigestSpool {
    /// Stores an examined digest. `fingerprint` computes the fingerprint of its predecessor.
    pub(crate) fn keep(
        &self,
        examined: CheckedDigest,
        fingerprint: impl Fn(&ObjectRef) -> u64,
    ) -> Result<(PendingDigest, SpoolKey), AuditError> {
        let predecessor = match &examined {
            CheckedDigest::Parsed(parsed, _) => parsed.predecessor(),
            CheckedDigest::Unparsed(_) => None,
        };
        let follows = predecessor.and_then(|recorded| NonZero::new(fingerprint(&recorded.object)));
        let packed = lock(&self.spool).put(|out| PendingDigest::pack(examined, &self.key, out));
        let (pending, ticket) = packed.map_err(put_aside)?;
        Ok((pending, SpoolKey { ticket, predecessor: follows }))
    }

    /// Reads a stored digest back.
    pub(crate) fn open(&self, spool_key: &SpoolKey, summary: &DigestSummary) -> Result<ParsedDigest, AuditError> {
        lock(&self.spool)
            .get(spool_key.ticket, |packed| summary.unpack(packed, &self.key))
            .map_err(put_aside)?
            .map_err(put_aside)
    }

    /// Reads a stored valid digest back.
    pub(crate) fn valid(&self, SpooledDigest { proven, spool_key }: &SpooledDigest) -> Result<ValidDigest, AuditError> {
        lock(&self.spool)
            .get(spool_key.ticket, |packed| proven.unpack(packed, &self.key))
            .map_err(put_aside)?
            .map_err(put_aside)
    }

    /// The hash of a name, as a [`DigestSummary`] holds it.
    pub(crate) fn name(&self, object: &ObjectRef) -> NameHash {
        self.key.name(object)
    }
}

fn put_aside(error: impl Display) -> AuditError {
    AuditError::PutAside(error.to_string())
}
