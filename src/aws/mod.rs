//! The settings that all clients of the AWS SDK have in common.

mod connection;
mod explain;
pub mod limits;
mod retry;

pub use connection::{Connection, ConnectionOptions, has_profile};
pub use explain::{explain, lacks_credentials};
pub use retry::RetryTooManyRequests;
