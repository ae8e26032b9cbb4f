//! The inputs, caches and limits that every part of a running audit shares.

pub(crate) mod context;
pub(crate) mod folder_answers;
pub(crate) mod kept_content;
pub(crate) mod key_cache;
pub(crate) mod neighbours;
pub(crate) mod proven_content;
pub(crate) mod range;
