//! One file per command.

mod demo;
mod file;
mod verify;

pub use demo::demo;
pub use file::file;
pub use verify::verify;
