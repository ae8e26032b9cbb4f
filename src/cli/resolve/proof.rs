//! A bag that proves one event as the source of a run.

use crate::bag::EventOfBag;
use crate::cli::args::{SelectArgs, VerifyArgs};
use crate::cli::exit::Failure;
use crate::model::{Depth, LogFileKey, ObjectRef};

/// The event of a bag that holds what proves one event and nothing else.
pub(crate) struct ProofOfBag {
    /// The event, as `collect.json` names it.
    pub event: EventOfBag,
    /// The event and its proof, as `event.json` states them.
    pub text: Option<String>,
}

/// Returns the log file of a bag that proves one event, which a run over the bag verifies by itself.
///
/// # Errors
///
/// Fails if the run is to look at anything else, or the bag names no log file.
pub(super) fn file_of(event: &EventOfBag, args: &VerifyArgs, place: &str) -> Result<ObjectRef, Failure> {
    let SelectArgs { trail_arn, start, end, account_id, regions, depth, expect_account, expect_region, .. } =
        &args.what;
    for (flag, is_given) in [
        ("--trail-arn", trail_arn.is_some()),
        ("--start", start.is_some()),
        ("--end", end.is_some()),
        ("--account-id", !account_id.is_empty()),
        ("--regions", !regions.is_empty()),
        ("--depth", *depth != Depth::Content),
        ("--expect-account", !expect_account.is_empty()),
        ("--expect-region", !expect_region.is_empty()),
        ("--sample", args.sample.is_some()),
        ("--estimate", args.estimate),
        ("--state", args.scheduled.state.is_some()),
        ("--grace", args.scheduled.grace.is_some()),
        ("--organization-id", args.what.organization_id.is_some()),
        ("--recorded-bucket", args.source.recorded_bucket.is_some()),
    ] {
        if is_given {
            return Err(Failure::Usage(format!(
                "{place} holds the proof of one event, whose log file is verified: leave {flag} out"
            )));
        }
    }
    let file = ObjectRef::new(event.bucket.as_str(), event.key.as_str());
    match LogFileKey::parse(&file.key) {
        Some(_) => Ok(file),
        None => Err(Failure::Usage(format!("collect.json in {place} names no log file, but {file}"))),
    }
}
