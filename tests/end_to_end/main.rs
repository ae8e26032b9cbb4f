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

mod attacks;
mod backfill;
mod bags;
mod beginning;
mod bounds;
mod checked_reports;
mod command_line;
mod completeness;
mod config;
mod copies;
mod defects;
mod demo;
mod deploy;
mod estimate;
mod every_byte;
mod evidence;
mod faults;
mod handover;
mod hostile;
mod lifecycle;
mod local;
mod machines;
mod model;
mod names;
mod notices;
mod official_client;
mod planted;
mod plants;
mod ranges;
mod readme;
mod remote;
mod reports;
mod sample;
mod scheduled;
mod seams;
mod single_files;
mod support;
mod tail;
mod tamper_table;
mod testdata;
mod unlisted;
mod vectors;
mod verified_days;
mod versions;
mod year;
