//! The checkpoint that the next run continues from.

pub(crate) mod builder;
pub(crate) mod chain_part;
pub(crate) mod chain_snapshot;
mod earlier_findings;
