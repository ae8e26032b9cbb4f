//! The settings that all clients of the AWS SDK have in common.

pub mod limits;
mod retry;

pub use retry::RetryTooManyRequests;
