//! One file per command.

mod collect;
mod config;
mod demo;
mod file;
mod handover;
mod help;
mod report;
mod schema;
mod verify;
mod verify_report;

pub use collect::collect;
pub use config::{config_check, verify_configured};
pub use demo::demo;
pub use file::file;
pub use handover::handover;
pub use help::{completions, man};
pub use report::report;
pub use schema::schema;
pub use verify::verify;
pub use verify_report::verify_report;
