//! The command line: errors, configuration, demo, estimate, and the documentation of it.

pub(crate) mod command_line;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod deploy;
mod docs;
pub(crate) mod estimate;
