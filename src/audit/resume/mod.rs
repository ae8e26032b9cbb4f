//! The selection of what a run needs that continues from a checkpoint, and the marks by which late
//! digests are recognized.

pub(crate) mod late_arrivals;
pub(crate) mod selection;
