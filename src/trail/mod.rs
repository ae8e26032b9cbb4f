//! AWS's information about a trail: the location to which it delivers, the time at which it last
//! did, and the accounts and regions that it has to reach.

#[cfg(feature = "aws")]
mod event_history;
#[cfg(feature = "aws")]
mod identity;
#[cfg(feature = "aws")]
mod location;
#[cfg(feature = "aws")]
mod neighbours;
#[cfg(feature = "aws")]
mod reach;
#[cfg(feature = "aws")]
mod regions;
mod sources;
#[cfg(feature = "aws")]
mod status;

#[cfg(feature = "aws")]
pub use event_history::LookupEvents;
#[cfg(feature = "aws")]
pub use identity::caller_identity;
#[cfg(feature = "aws")]
pub use location::{Trail, TrailError, TrailSettings};
#[cfg(feature = "aws")]
pub use neighbours::DescribeTrails;
#[cfg(feature = "aws")]
pub use reach::{Reach, ReachSource};
#[cfg(feature = "aws")]
pub use regions::regions_of;
pub use sources::{HistoryFilter, HistoryPage, HistorySource, NeighbourSource, StatusSource, TrailStatus};
#[cfg(feature = "aws")]
pub use status::GetTrailStatus;
