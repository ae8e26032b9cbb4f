//! The settings that all clients of the AWS SDK have in common.

mod connection;
pub mod limits;
mod retry;

pub use connection::{Connection, ConnectionOptions};
pub use retry::RetryTooManyRequests;
