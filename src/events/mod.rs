//! CloudTrail events, read from log files that are proven and from no others.
//!
//! An [`EventReader`] is the [`ContentConsumer`](crate::audit::ContentConsumer) of an audit: it gets the
//! content of a log file once the file was found intact, splits it into records, selects among them
//! with an [`EventFilter`], and writes each in a [`Format`], in its original bytes. It runs in the tasks
//! that verify the log files, so that all cores take part; the audit brings the results into order.
//!
//! The form of records: CloudTrail user guide, "CloudTrail record contents". Records of other log
//! folders lack fields that those of management events have, and pass all the same.

mod compare;
mod condition;
mod count;
mod coverage;
mod duplicates;
mod event;
mod filter;
mod finder;
#[cfg(feature = "parquet")]
mod lake;
mod log_file;
mod logging;
mod output;
mod prefilter;
mod reader;
mod tampering;
mod text_search;

pub use compare::differences;
pub use condition::{JqCondition, JqError};
pub use count::{CountBy, CountField, Counted};
pub use coverage::{CoveredTimes, NotCovered};
pub use event::{Event, EventTime, readable};
pub use filter::{AddressPattern, EventFilter, FilterError, Pattern, TextField};
pub use finder::{EventFinder, FoundEvent, Searched};
#[cfg(feature = "parquet")]
pub use lake::{Lake, LakeFile};
pub use log_file::{Form, TakeRecord, each_record, each_record_of_bytes, each_record_of_reader};
pub use logging::TrailCalls;
pub(crate) use logging::trail_calls;
pub use output::{Format, Proof};
pub use reader::{EventReader, EventTotals};
pub(crate) use tampering::not_all as tampering_not_all;
pub use tampering::{RULES as TAMPERING_RULES, TamperingFinder, TamperingRule, TrailResources};
