//! One file per command.

mod demo;
mod file;
mod report;
mod verify;
mod verify_report;

pub use demo::demo;
pub use file::file;
pub use report::report;
pub use verify::verify;
pub use verify_report::verify_report;
