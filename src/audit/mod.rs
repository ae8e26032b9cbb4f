//! The verification of a trail: discovering its chains, reading their digests, and checking these
//! against each other and against the log files.
//!
//! An [`Audit`] runs in four steps that overlap. It **discovers** chains by listing folders; it
//! **examines** each chain: it reads its digests, follows pointers that no listing showed, and lets
//! [`crate::verify::verify_chain()`] judge them together; it **accounts** for the range: the part
//! that is covered, and the causes of the gaps; and it **judges** the log files that valid digests
//! list. Those log files are found through digests; listings of log folders show only which files
//! exist, and those that no digest lists. A chain must be judged as a whole and may be long, so the
//! content of its digests is kept on a spool, which is a file if there is much of it.
//!
//! The run begins in `pipeline.rs`, with `Audit::run`: it discovers chains, calls `examine.rs` for
//! each, `emit::chain_records` for its records, and hands those to `sink.rs`. Gaps are explained in
//! `coverage`, called from `emit::chain_records`. `inputs.rs` holds [`Audit`] and [`Outcome`].
//!
//! Its findings go to an [`Observer`], one [`Record`](crate::records::Record) at a time, in an order
//! that does not depend on how many things run at once. The audit knows stores and key sources by
//! their traits, and no report at all.
//!
//! The folders depend on each other in this order, each only on those before it: `io`, `digests`,
//! `listing`, `resume`, `shared`, `discovery`, `chain`, `log_folder`, `coverage`, `activity`,
//! `log_files`, `logging_events`, `event_history`, `next_checkpoint`, `emit`.

mod activity;
mod chain;
mod coverage;
mod digests;
mod discovery;
mod emit;
mod error;
mod estimate;
mod event_history;
mod examine;
mod inputs;
mod io;
mod listing;
mod log_files;
mod log_folder;
mod logging_events;
mod next_checkpoint;
mod observer;
mod pipeline;
mod request;
mod request_builder;
mod resume;
mod shared;
mod single_files;
mod sink;
mod survey;

pub use discovery::discovered::{ChainList, Discovered, DiscoveredChain, DiscoveredFacts};
pub use error::AuditError;
pub use inputs::{Audit, Outcome};
pub use logging_events::{KnownEvents, LoggingEffect, LoggingEvent, LoggingEventReader};
pub use observer::{ChainProgress, Observer, Progress};
pub use request::{AuditRequest, Expected, Recheck, SampleRequest, SampleSize, Statement};
pub use request_builder::{AuditRequestBuilder, RequestError};
pub use shared::proven_content::{ContentConsumer, ContentExaminer, ContentSearch, Extract, ProvenContent};
pub use survey::{LogFileCount, Survey, SurveyedChain};
