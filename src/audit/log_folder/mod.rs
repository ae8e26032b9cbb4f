//! The content of a chain's log folder: log files that no digest lists, and the days that earlier
//! runs verified.

pub(crate) mod beside_regions;
mod comparison;
pub(crate) mod day_check;
mod earlier_strays;
pub(crate) mod examine;
pub(crate) mod listed_files;
pub(crate) mod other_trails;
pub(crate) mod outside_days;
pub(crate) mod past_days;
pub(crate) mod unexplained;
pub(crate) mod unlisted;
