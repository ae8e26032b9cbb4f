//! The checkpoint of a scheduled audit, as `--state` names it.

use crate::audit::AuditRequest;
use crate::checkpoint::{Kept, Name, Place};
use crate::cli::args::VerifyArgs;
use crate::cli::aws::connect;
use crate::cli::exit::Failure;
use crate::cli::resolve::Settings;
use crate::model::{Checkpoint, RangeStart};
use crate::records::format_time;
use crate::store::S3;

/// Checks that the runs of a checkpoint have examined the time that a range asks about, from its start
/// on: this run goes on where they ended.
pub(super) fn check_range(request: &AuditRequest, kept: &Checkpoint, name: &Name) -> Result<(), Failure> {
    check_start(request, kept, name)?;
    let through = kept.chains.iter().filter(|(id, _)| request.wants(id)).filter_map(|(_, chain)| chain.end());
    if let (Some(end), Some(earliest)) = (request.range.end, through.min())
        && end < earliest
    {
        return Err(Failure::Usage(format!(
            "--end {} is before the time up to which the runs of --state {name} have verified, which is {} or later: \
             verify that range without --state",
            format_time(end),
            format_time(earliest),
        )));
    }
    Ok(())
}

fn check_start(request: &AuditRequest, kept: &Checkpoint, name: &Name) -> Result<(), Failure> {
    let begun = || kept.chains.iter().filter(|(id, _)| request.wants(id)).filter_map(|(_, chain)| chain.begin);
    // Older checkpoints do not tell what the first run was asked.
    let examined = match kept.examined_from {
        Some(RangeStart::FirstDigest) => None,
        Some(RangeStart::At(time)) => Some(time),
        None => begun().min(),
    };
    let (Some(start), Some(examined)) = (request.range.start, examined) else { return Ok(()) };
    if start >= examined {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--start {} is before the time that the runs of --state {name} have examined, which begins at {}: leave \
         --start out to go on where the last run ended, or begin another checkpoint",
        format_time(start),
        format_time(examined),
    )))
}

/// Opens the checkpoint of a scheduled audit.
pub(super) async fn open_checkpoint(args: &VerifyArgs, name: &Name, settings: &Settings) -> Result<Kept, Failure> {
    let place = match name {
        Name::File(path) => Place::File(path.clone()),
        Name::Object(object) => {
            if args.copy.from.is_some() {
                let what = format!("--state {object} is in S3, and --from asks nothing of AWS: keep it in a file");
                return Err(Failure::Usage(what));
            }
            let read = settings.store.source();
            let read = read.trim_start_matches("s3://").split('/').next().unwrap_or_default();
            if settings.request.locations.iter().any(|location| *location.bucket == *object.bucket)
                || read == &*object.bucket
            {
                let what = format!(
                    "--state {object} lies in the bucket that is examined, which ctverify never writes to: keep \
                     it in another one, \
                     out of reach of whoever can change the trail"
                );
                return Err(Failure::Usage(what));
            }
            let home = args.what.trail_arn.as_ref().map_or("us-east-1", |arn| arn.home_region.as_str());
            let config = connect(&args.source.aws, home).await?;
            Place::Object(Box::new(S3::new(config, object.to_string())), object.clone())
        }
    };
    let request = &settings.request;
    let source = settings.store.source();
    Ok(Kept::open(place, request.trail.as_ref(), &source, request.depth).await?)
}
