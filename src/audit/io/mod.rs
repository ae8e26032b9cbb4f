//! Input and output of the audit: reading objects, running tasks in order, and the limits on both.

pub(crate) mod body_memory;
pub(crate) mod fingerprints;
pub(crate) mod limit;
pub(crate) mod lookahead;
pub(crate) mod ordered_tasks;
pub(crate) mod read_object;
pub(crate) mod spool;
pub(crate) mod throttle;
