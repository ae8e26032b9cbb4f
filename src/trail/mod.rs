//! What AWS says about a trail: where it delivers, and when it last did.

mod location;
mod status;

pub use location::{Trail, TrailError, TrailSettings};
pub use status::{GetTrailStatus, StatusSource, TrailStatus};
