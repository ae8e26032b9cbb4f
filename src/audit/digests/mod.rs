//! The digests of one chain while it is verified: as a listing shows them, as entries of the chain,
//! and their content on the spool.

pub(crate) mod claims;
pub(crate) mod digest_spool;
pub(crate) mod entry;
pub(crate) mod identity;
pub(crate) mod listed_digests;
