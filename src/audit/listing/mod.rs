//! Listings of digests and of log files: names, sizes and ages, without their content.

mod digest_names;
pub(crate) mod digests;
pub(crate) mod earlier_digests;
pub(crate) mod folders;
pub(crate) mod log_files;
pub(crate) mod pages;
