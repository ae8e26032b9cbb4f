//! Runs that are divided into units of work and merged.

mod distributed;
mod same_as_one_machine;
