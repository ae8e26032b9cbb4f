//! The selection of what a run needs that continues from a checkpoint, and the marks by which late
//! digests are recognized.

pub(crate) mod contradictions;
pub(crate) mod late_arrivals;
pub(crate) mod listing_range;
pub(crate) mod selection;
pub(crate) mod standing;
pub(crate) mod state;
