//! The part of the range that valid digests cover, and the causes of its gaps.

pub(crate) mod causes;
pub(crate) mod cut_tail;
pub(crate) mod examined_chain;
pub(crate) mod expiry;
pub(crate) mod gaps;
