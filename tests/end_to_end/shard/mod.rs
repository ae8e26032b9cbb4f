//! Runs that are divided into units of work and merged.

mod array;
mod distributed;
mod events;
mod partitions;
mod places;
mod same_as_one_machine;
mod seams;
mod spark;
mod tampering;
