//! The domain types: the parts of CloudTrail, of its digest files and of a verification.
//!
//! Plain data with its own rules of form (an account ID has twelve digits, an object name is read
//! from both ends) and nothing else: no file, network, clock or cryptography. Every other layer
//! uses these types.

mod activity;
mod chain;
mod checkpoint;
mod coverage;
mod estimate;
mod finding;
mod finding_id;
mod hash;
mod ids;
mod names;
mod object;
mod packed_names;
mod period;
mod printable;
mod range;
mod requests;
mod sample;
mod spreadsheet;
mod text;
mod text_form;
mod time;
mod time_argument;
mod trail_arn;
mod verified_files;

pub use activity::{Activity, Level, PackedActivity};
pub use chain::ChainId;
pub use checkpoint::{
    Acknowledgement, ChainCheckpoint, Checkpoint, CountedFindings, LastRun, MAX_KEPT_VIOLATIONS, MAX_READ_AGAIN, Open,
    OpenPoint, RangeStart, VerifiedDigest, VerifiedRun,
};
pub use coverage::Coverage;
pub use estimate::{Estimate, Prices};
pub use finding::{
    BagStatus, ChainFault, Depth, DigestKind, DigestStatus, Fault, GapCause, KeysFrom, LogFileStatus, SignatureFrom,
    TamperingOutcome, Verdict, WarningCode, exit_code,
};
pub use finding_id::{FindingId, FindingIdError};
pub(crate) use hash::decode_hex;
pub use hash::{HashParseError, Sha256Hash};
pub use ids::{AccountId, IdError, OrganizationId, Region, TrailName};
pub use names::{
    AWS_LOGS, AWS_LOGS_FOLDER, DIGEST_FOLDER, DigestName, LOG_FOLDER, LogFileKey, LogFileName, LogRoot,
    is_copy_artefact, log_folder_of, parse_compact_time, parse_day,
};
pub use object::{ObjectRef, is_bucket_name};
pub(crate) use packed_names::{NameCoder, PackedNames, read_number, write_number};
pub use period::Period;
pub use printable::printable;
pub use range::TimeRange;
pub use requests::Requests;
pub use sample::SampleResult;
pub use spreadsheet::spreadsheet_cell;
pub(crate) use text::json_text;
pub use time::{DAY, begin_of_day, earlier, later};
pub use time_argument::{TimeArgument, parse_age, parse_time};
pub use trail_arn::{ArnError, TrailArn};
pub use verified_files::{VerifiedDay, VerifiedFiles};
