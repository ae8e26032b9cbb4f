//! The verification of a trail: which chains there are, which digests they have, and what those say of each other and of the
//! log files.
//!
//! An [`Audit`] runs in four steps that overlap. It **discovers** chains by listing folders; it **examines** each chain: reads its
//! digests, follows pointers that no listing showed, and lets [`crate::verify::verify_chain()`] judge them together; it **accounts** for
//! the range: what is covered, and why the rest is not; and it **judges** the log files that valid digests list. Log files are
//! found through digests, never by listing. A chain has to be judged as a whole, and may be long: what its digests say waits on a
//! spool, which is a file where it is much.
//!
//! Its findings go to an [`Observer`], one [`Record`] at a time, in an order that does not depend on how many things run at
//! once. The audit knows stores and key sources by their traits and no report at all.
//!
//! Each folder uses those before it in this order: `io`, `digests`, `listing`, `resume`, `shared`, `discovery`, `chain`,
//! `log_folder`, `coverage`, `log_files`, `next_checkpoint`, `emit`.

mod chain;
mod coverage;
mod digests;
mod discovery;
mod emit;
mod error;
mod estimate;
mod examine;
mod inputs;
mod io;
mod listing;
mod log_files;
mod log_folder;
mod next_checkpoint;
mod observer;
mod pipeline;
mod request;
mod resume;
mod shared;
mod single_files;
mod sink;

pub use error::AuditError;
pub use inputs::{Audit, Outcome};
pub use observer::{Observer, Progress};
pub use request::{AuditRequest, Expected, Recheck, SampleRequest, SampleSize};
