//! Coverage: the beginning and the end of chains, chains that should exist, and lifecycle rules.

pub(crate) mod beginning;
pub(crate) mod completeness;
mod event_history;
pub(crate) mod explained;
mod lifecycle;
mod silence;
pub(crate) mod tail;
