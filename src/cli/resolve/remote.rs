//! A run over a trail in S3.

use std::sync::Arc;

use crate::audit::AuditRequest;
use crate::aws::Connection;
use crate::cli::args::{SelectArgs, SourceArgs};
use crate::cli::aws::connect;
use crate::cli::exit::Failure;
use crate::cli::resolve::Settings;
use crate::cli::resolve::keys::{check_keys, keys_of_file};
use crate::keys::{KeyFile, KeySource, ListPublicKeys};
use crate::model::{KeysFrom, LogRoot, Region, TrailArn};
use crate::records::KeysAsked;
use crate::store::{Location, Replica, S3, Store};
use crate::trail::{
    DescribeTrails, GetTrailStatus, LookupEvents, NeighbourSource, Reach, ReachSource, StatusSource, Trail,
    caller_identity, regions_of,
};

/// Resolves a run over a trail in S3. Asks for the caller's identity if `names_caller` is true.
pub(super) async fn remote(
    what: &SelectArgs,
    source_args: &SourceArgs,
    names_caller: bool,
    mut request: AuditRequest,
) -> Result<Settings, Failure> {
    request.warnings_before.extend(check_keys(source_args).await?);
    let home = what.trail_arn.as_ref().map_or("us-east-1", |arn| arn.home_region.as_str());
    let config = connect(&source_args.aws, home).await?;
    request.statement.endpoints = Some(config.endpoints()).filter(|endpoints| !endpoints.is_empty());
    let identity = if names_caller { caller_identity(&config).await } else { None };
    request.requests_before += u64::from(names_caller);
    let mut status: Option<Arc<dyn StatusSource>> = None;
    let mut description = None;
    let mut neighbours: Option<Arc<dyn NeighbourSource>> = None;
    let mut trail_key = None;
    let location = match (&what.bucket, &what.trail_arn) {
        (Some(bucket), _) => Location {
            bucket: bucket.trim_start_matches("s3://").trim_end_matches('/').to_owned(),
            root: LogRoot { prefix: what.prefix.as_deref().unwrap_or_default().trim_matches('/').to_owned() },
        },
        (None, Some(arn)) => {
            let trail = Trail::new(arn.clone(), &config);
            let settings = trail.settings().await?;
            let reach = ReachSource::new(arn.clone(), config.clone());
            let until = request.range.end.unwrap_or(request.now);
            let Reach { own_regions, default_regions, accounts, organization, regions_unknown, unknown } =
                reach.reach(&settings, until).await;
            request.own_organization = organization;
            if regions_unknown {
                let wanted = |region: &Region| request.regions.is_empty() || request.regions.contains(region);
                request.expected.maybe_own_regions = regions_of(&arn.partition).filter(wanted).collect();
            }
            neighbours = Some(Arc::new(DescribeTrails::new(arn.clone(), settings.clone(), config.clone())));
            description = Some(serde_json::json!({
                "TrailARN": arn.to_string(),
                "S3BucketName": settings.bucket,
                "S3KeyPrefix": settings.prefix,
                "IsMultiRegionTrail": settings.is_multi_region,
                "IsOrganizationTrail": settings.is_organization,
                "KmsKeyId": settings.kms_key,
            }));
            trail_key = Some(settings.kms_key.clone());
            request.expected.accounts.extend(accounts);
            request.expected.own_regions = own_regions;
            if settings.is_organization {
                request.expected.regions.extend(default_regions);
            }
            request.expected.unknown = unknown;
            request.requests_before += trail.requests() + reach.requests();
            request.is_organization = Some(settings.is_organization);
            // The status describes the location that the trail delivers to now, which is the one
            // that is read.
            if what.organization_id.is_none() {
                status = Some(Arc::new(GetTrailStatus::new(arn.clone(), config.clone())));
            }
            Location { bucket: settings.bucket, root: LogRoot { prefix: settings.prefix } }
        }
        (None, None) => {
            let text = "name what to verify: --trail-arn ARN, or --bucket NAME, or --from DIR --keys FILE (see --help)";
            return Err(Failure::Usage(text.to_owned()));
        }
    };
    let source = match location.root.prefix.as_str() {
        "" => format!("s3://{}", location.bucket),
        prefix => format!("s3://{}/{prefix}", location.bucket),
    };
    let bucket = source_args.recorded_bucket.clone().unwrap_or_else(|| location.bucket.clone());
    let read_bucket = source_args.recorded_bucket.is_some().then(|| location.bucket.clone());
    let partition = partition_of(what.trail_arn.as_ref(), &config);
    let event_history = Arc::new(LookupEvents::new(config.clone(), partition.clone()));
    let Opened { store, keys, asked } = open_s3(source_args, config, source, &location.bucket, partition)?;
    request.statement.keys = asked;
    request.locations.push(Location { bucket, ..location });
    Ok(Settings {
        status,
        neighbours,
        event_history: Some(event_history),
        identity,
        trail: description,
        trail_key,
        read_bucket,
        ..Settings::new(store, keys, request)
    })
}

/// Returns the partition whose regions are asked for keys: that of the trail, or that of the
/// configured region.
fn partition_of(trail: Option<&TrailArn>, config: &Connection) -> String {
    let region = || config.region();
    match trail {
        Some(arn) => arn.partition.clone(),
        None => region().map_or("aws", |region| region.partition()).to_owned(),
    }
}

/// A store with the public keys for it.
pub(crate) struct Opened {
    pub store: Arc<dyn Store>,
    pub keys: Arc<dyn KeySource>,
    /// The source of the keys, for the run record.
    pub asked: KeysAsked,
}

/// Opens S3 and the public keys for it. `bucket` is the bucket that is read in place of
/// `--recorded-bucket`, if that is given.
pub(crate) fn open_s3(
    args: &SourceArgs,
    config: Connection,
    source: String,
    bucket: &str,
    partition: String,
) -> Result<Opened, Failure> {
    let (keys, asked): (Arc<dyn KeySource>, _) = match &args.keys {
        Some(path) => {
            let file = KeyFile::open(path)?;
            let asked = keys_of_file(&file, path, KeysFrom::File);
            (Arc::new(file), asked)
        }
        None => (Arc::new(ListPublicKeys::new(config.clone(), partition)), KeysAsked::default()),
    };
    let s3 = S3::new(config, source);
    let store: Arc<dyn Store> = match &args.recorded_bucket {
        Some(recorded) => Arc::new(Replica::new(s3, bucket.to_owned(), recorded.clone())),
        None => Arc::new(s3),
    };
    Ok(Opened { store, keys, asked })
}
