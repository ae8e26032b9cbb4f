//! AWS's information about a trail: the location to which it delivers, the time at which it last
//! did, and the accounts and regions that it has to reach.

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
