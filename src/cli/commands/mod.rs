//! One file per command.

mod demo;
mod verify;

pub use demo::demo;
pub use verify::verify;
