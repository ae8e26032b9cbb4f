//! The verification of one chain of digests: reading it, following its pointers, and comparing its
//! digests with each other.

pub(crate) mod follow;
pub(crate) mod handover;
pub(crate) mod oversized;
pub(crate) mod read;
pub(crate) mod verify;
