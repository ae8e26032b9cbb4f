//! What AWS says about a trail: where it delivers, when it last did, and which accounts and regions it has to reach.

mod identity;
mod location;
mod neighbours;
mod reach;
mod regions;
mod status;

pub use identity::caller_identity;
pub use location::{Trail, TrailError, TrailSettings};
pub use neighbours::{DescribeTrails, NeighbourSource};
pub use reach::{Reach, ReachSource};
pub use regions::regions_of;
pub use status::{GetTrailStatus, StatusSource, TrailStatus};
