//! The order in which the records of a run are emitted.

pub(crate) mod chain_records;
pub(crate) mod digest_records;
pub(crate) mod not_read;
pub(crate) mod sample;
pub(crate) mod step;
mod stray_classes;
