//! One file per command.

mod ack;
mod collect;
mod config;
mod demo;
mod event;
mod events;
mod file;
mod handover;
mod help;
mod keys;
mod merge;
mod plan;
mod report;
mod schema;
mod shard;
mod verify;
mod verify_report;

pub(super) use ack::ack;
pub(super) use collect::collect;
pub(super) use config::{config_check, verify_configured};
pub(super) use demo::demo;
pub(super) use event::event;
pub(super) use events::events;
pub(super) use file::file;
pub(super) use handover::handover;
pub(super) use help::{completions, man};
pub(super) use keys::keys;
pub(super) use merge::merge;
pub(super) use plan::plan;
pub(super) use report::{is_standard_input, report};
pub(super) use schema::schema;
pub(super) use shard::shard;
pub(super) use verify::verify;
pub(super) use verify_report::verify_report;
