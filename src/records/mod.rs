//! The records of an audit, each of which states one finding: their types and serialized form,
//! their JSON Schema, the reader of saved records, and the counts from which the verdict follows.
//!
//! # Order
//!
//! The order of records is guaranteed, whatever runs at once:
//!
//! 1. the run, and the evidence bag if one is examined;
//! 2. log files that lie beside the folders of regions, which belong to no chain;
//! 3. chain by chain, in the order of [`ChainId`](crate::model::ChainId): the log files that earlier
//!    runs left open; its digests by end time, standard before backfill, then key, each followed by
//!    its log files, each of these followed by the events of tampering in it; the unlisted files, then
//!    the uncovered ones; its gaps by time; its chain record;
//! 4. the circumstances, where the caller adds them;
//! 5. the summary.
//!
//! A warning follows the record that it is about, and comes after the run if it is about none.

mod read;
mod schema;
mod tally;
mod tampering;
mod time;
mod v2;
mod write;

pub use read::{ReadError, read_records};
pub use schema::schema;
pub use tally::{Allowances, Tally};
pub use tampering::{
    EventHistoryAnswer, EventReference, EventSummary, HistoryOfGap, HistoryOfLogging, TamperingCounts, TamperingRecord,
};
pub use time::format_time;
pub use v2::{
    AcknowledgedCount, BagProblem, BagRecord, CaseInfo, ChainRecord, CircumstancesRecord, CustodyLine, DigestRecord,
    Filters, GapRecord, History, KeyValidity, KeysAsked, Line, LogFileRecord, Mended, Merged, Record, RunRecord,
    Sample, SampleLine, Schema, Setting, SinceCheckpoint, SummaryLine, SummaryRecord, Versions, WarningRecord,
};
pub use write::write_record;
