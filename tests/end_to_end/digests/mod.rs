//! Digests: their chains, signatures, names and places.

pub(crate) mod backfill;
pub(crate) mod every_byte;
pub(crate) mod handover;
pub(crate) mod model;
pub(crate) mod names;
pub(crate) mod ranges;
pub(crate) mod vectors;
pub(crate) mod versions;
