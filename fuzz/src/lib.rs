//! The fuzz targets as functions. The end-to-end tests replay the seeds with the same functions.

pub mod targets;
