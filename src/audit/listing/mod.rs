//! Listings of digests and of log files: names, sizes and ages, without their content.

pub(crate) mod digests;
pub(crate) mod log_files;
