//! Everything that is tested from outside: the real binary on real files, a real S3 server, the
//! real official client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test that can't go on has failed"
)]

mod adversarial;
mod bag;
mod checkpoint;
mod cli;
mod coverage;
mod defects;
mod digests;
mod events;
mod log_files;
mod reports;
mod shard;
mod sources;
mod support;
