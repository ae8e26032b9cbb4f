//! The verification of log files, and of the earlier versions of damaged objects.

pub(crate) mod content;
pub(crate) mod judge;
pub(crate) mod versions;
