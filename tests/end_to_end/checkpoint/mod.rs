//! Scheduled audits: runs that continue from a checkpoint.

pub(crate) mod scheduled;
pub(crate) mod seams;
pub(crate) mod verified_days;
pub(crate) mod year;
