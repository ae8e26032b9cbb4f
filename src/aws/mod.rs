//! How AWS is spoken to: what every client of the SDK has in common.

pub mod limits;
mod retry;

pub use retry::RetryTooManyRequests;
