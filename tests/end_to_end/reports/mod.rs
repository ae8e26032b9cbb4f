//! Reports and notices, each taken by a program that reads it.

pub(crate) mod evidence;
pub(crate) mod form;
pub(crate) mod machines;
pub(crate) mod notices;
pub(crate) mod snapshots;
pub(crate) mod statements;
