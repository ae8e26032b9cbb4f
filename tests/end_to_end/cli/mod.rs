//! The command line: errors, configuration, demo, estimate, and what README shows of it.

pub(crate) mod command_line;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod estimate;
pub(crate) mod readme;
