//! Counts of the requests that a run made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of requests that were made to the store and to AWS, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Objects read.
    pub get: u64,
    /// Pages listed.
    pub list: u64,
    /// Everything else.
    pub other: u64,
}
