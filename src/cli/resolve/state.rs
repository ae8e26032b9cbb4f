//! The checkpoint of a scheduled audit, as `--state` names it.

use crate::checkpoint::{Kept, Name, Place};
use crate::cli::args::VerifyArgs;
use crate::cli::aws::connect;
use crate::cli::exit::Failure;
use crate::cli::resolve::Settings;
use crate::store::S3;

/// Opens the checkpoint of a scheduled audit.
pub(super) async fn open_checkpoint(args: &VerifyArgs, name: &Name, settings: &Settings) -> Result<Kept, Failure> {
    let place = match name {
        Name::File(path) => Place::File(path.clone()),
        Name::Object(object) => {
            if args.source.from.is_some() {
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
            let home = args.trail_arn.as_ref().map_or("us-east-1", |arn| arn.home_region.as_str());
            let config = connect(&args.source, home).await?;
            Place::Object(Box::new(S3::new(config, object.to_string())), object.clone())
        }
    };
    let request = &settings.request;
    let source = settings.store.source();
    Ok(Kept::open(place, request.trail.as_ref(), &source, request.depth).await?)
}
