//! The records of an audit, each of which states one finding: their types and serialized form,
//! their JSON Schema, the reader of saved records, and the counts from which the verdict follows.

mod read;
mod schema;
mod tally;
mod time;
mod v2;
mod write;

pub use read::{ReadError, read_records};
pub use schema::schema;
pub use tally::{Allowances, Tally};
pub use time::format_time;
pub use v2::{
    CaseInfo, ChainRecord, CircumstancesRecord, DigestRecord, GapRecord, Line, LogFileRecord, Record, RunRecord,
    Sample, SampleLine, Schema, SinceCheckpoint, SummaryLine, SummaryRecord, Versions, WarningRecord,
};
pub use write::write_record;
