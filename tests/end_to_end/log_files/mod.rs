//! Log files: what digests list, what none lists, and single ones.

pub(crate) mod planted;
pub(crate) mod sample;
pub(crate) mod single_files;
pub(crate) mod unlisted;
