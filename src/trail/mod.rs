//! What AWS says about a trail: where it delivers, and to whom it belongs.

mod location;

pub use location::{Trail, TrailError, TrailSettings};
