//! What the command line means: a store, a source of keys, and a request.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::{SignedDuration, Timestamp};

use super::args::{Allowance, MAX_SEED, SourceArgs, VerifyArgs};
use super::aws::{is_path_style, load_config};
use super::custody::{self, LogSignature};
use super::exit::Failure;
use super::notifier::Notifier;
use crate::audit::{AuditRequest, Expected, Recheck, SampleRequest};
use crate::bag::{Altered, Bag, CustodyLog};
use crate::checkpoint::{Kept, Name, Place};
use crate::keys::{KeyFile, KeySource, ListPublicKeys, ListedKey};
use crate::model::{Allowances, Depth, LogRoot, Region, TimeRange, TrailArn, WarningCode, WarningRecord};
use crate::sign::KnownSigners;
use crate::store::{Folder, Location, Replica, S3, Store};
use crate::trail::{
    DescribeTrails, GetTrailStatus, NeighbourSource, Reach, ReachSource, StatusSource, Trail, caller_identity,
    regions_of,
};
use crate::verify::limits;

/// The longest time for which a digest may be late: what is older is not on its way.
const MAX_GRACE: SignedDuration = SignedDuration::from_hours(24);

/// Objects read at once from S3: what counts is the time to the first byte.
pub const S3_CONCURRENCY: usize = 192;

/// Everything an audit needs.
pub struct Settings {
    pub store: Arc<dyn Store>,
    pub keys: Arc<dyn KeySource>,
    pub status: Option<Arc<dyn StatusSource>>,
    pub neighbours: Option<Arc<dyn NeighbourSource>>,
    pub request: AuditRequest,
    /// In whose name AWS is asked, where a report is to tell.
    pub identity: Option<String>,
    /// What CloudTrail says of the trail, where it was asked.
    pub trail: Option<serde_json::Value>,
    /// The evidence bag that is read, if it is one.
    pub bag: Option<PathBuf>,
    /// The checkpoint, where one is kept.
    pub kept: Option<Kept>,
    /// Who is told of what it finds.
    pub bell: Option<Notifier>,
}

impl Settings {
    /// For this store, with these keys, and nothing beside that.
    pub fn new(store: Arc<dyn Store>, keys: Arc<dyn KeySource>, request: AuditRequest) -> Self {
        Self {
            store,
            keys,
            status: None,
            neighbours: None,
            request,
            identity: None,
            trail: None,
            bag: None,
            kept: None,
            bell: None,
        }
    }
}

/// Works out what the command line asks for. Asks AWS where the trail delivers, if nothing else tells.
pub async fn resolve(args: &VerifyArgs, now: Timestamp) -> Result<Settings, Failure> {
    let time = |argument: Option<super::time_argument::TimeArgument>| {
        argument.map(|argument| argument.resolve(now)).transpose().map_err(Failure::Usage)
    };
    let range = TimeRange { start: time(args.start)?, end: time(args.end)? };
    check_range(&range, now)?;
    if args.sample.is_some() && args.depth != Depth::Content {
        return Err(Failure::Usage(format!(
            "--sample is about log files that are read, and --depth {} reads none: leave one of them out",
            args.depth
        )));
    }
    if let Some(grace) = args.scheduled.grace.filter(|grace| *grace > MAX_GRACE) {
        let hours = grace.as_secs() / 3600;
        return Err(Failure::Usage(format!(
            "--grace {hours}h is longer than a day: a digest that is so late is missing; give at most 24h"
        )));
    }
    let request = AuditRequest {
        trail: args.trail_arn.clone(),
        organization: args.organization_id.clone(),
        accounts: args.account_id.iter().cloned().collect(),
        regions: args.regions.iter().cloned().collect(),
        concurrency: args.source.concurrency.map_or(S3_CONCURRENCY, usize::from),
        depth: args.depth,
        expected: Expected {
            accounts: args.expect_account.iter().cloned().collect(),
            regions: args.expect_region.iter().cloned().collect(),
            ..Expected::default()
        },
        sample: sample(args)?,
        max_log_file_bytes: max_log_file_bytes(&args.source),
        allowed: allowances(&args.allow),
        grace: args.scheduled.grace.unwrap_or(AuditRequest::new(range, now).grace),
        recheck: args.scheduled.recheck.map(recheck).transpose()?,
        ..AuditRequest::new(range, now)
    };
    let mut settings = match &args.source.from {
        // A topic is reached with AWS's credentials, wherever the bytes come from.
        Some(dir) => {
            let asks_aws = args.notices.notify.iter().any(|target| target.starts_with("sns:"));
            local(args, dir, asks_aws, request).await?
        }
        None => remote(args, request).await?,
    };
    settings.bell = Notifier::new(args).await?;
    if let Some(name) = &args.scheduled.state {
        let kept = open_checkpoint(args, name, &settings).await?;
        settings.request.checkpoint = Some(Arc::new(kept.base().clone()));
        settings.kept = Some(kept);
    }
    Ok(settings)
}

/// Opens the checkpoint of a scheduled audit.
async fn open_checkpoint(args: &VerifyArgs, name: &Name, settings: &Settings) -> Result<Kept, Failure> {
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
                    "--state {object} lies in the bucket that is examined, which ctverify never writes to: keep it in another one, \
                     out of reach of whoever can change the trail"
                );
                return Err(Failure::Usage(what));
            }
            let home = args.trail_arn.as_ref().map_or("us-east-1", |arn| arn.home_region.as_str());
            let config = load_config(&args.source, home).await;
            Place::Object(Box::new(S3::new(config.clone(), is_path_style(&config), object.to_string())), object.clone())
        }
    };
    let request = &settings.request;
    let source = settings.store.source();
    Ok(Kept::open(place, request.trail.as_ref(), &source, request.depth).await?)
}

fn check_range(range: &TimeRange, now: Timestamp) -> Result<(), Failure> {
    match (range.start, range.end) {
        (Some(start), Some(end)) if start >= end => {
            Err(Failure::Usage(format!("the range ends before it begins: --start is {start}, --end is {end}")))
        }
        (Some(start), _) if start >= now => {
            Err(Failure::Usage(format!("--start is {start}, and it is {now} now: nothing was delivered yet")))
        }
        _ => Ok(()),
    }
}

fn allowances(allow: &[Allowance]) -> Allowances {
    let gaps: BTreeSet<_> = allow
        .iter()
        .filter_map(|allowance| match allowance {
            Allowance::Gap(cause) => Some(*cause),
            Allowance::EveryGap | Allowance::Unlisted | Allowance::Sample => None,
        })
        .collect();
    let allowed = |allowance| allow.contains(&allowance);
    Allowances {
        every_gap: allowed(Allowance::EveryGap),
        gaps,
        unlisted: allowed(Allowance::Unlisted),
        sample: allowed(Allowance::Sample),
    }
}

fn sample(args: &VerifyArgs) -> Result<Option<SampleRequest>, Failure> {
    let Some(size) = args.sample else { return Ok(None) };
    let seed = match args.seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    Ok(Some(SampleRequest { size, seed }))
}

fn recheck(percent: f64) -> Result<Recheck, Failure> {
    Ok(Recheck { percent, seed: random_seed()? })
}

/// Whoever could foresee a sample would know which files to leave alone.
fn random_seed() -> Result<u64, Failure> {
    let mut random = [0; 8];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| Failure::CannotRun("the system gives no random numbers: choose a --seed".to_owned()))?;
    Ok(u64::from_be_bytes(random) & MAX_SEED)
}

/// The uncompressed size to which a log file is read.
pub fn max_log_file_bytes(args: &SourceArgs) -> u64 {
    args.max_log_file_size.map_or(limits::MAX_LOG_FILE_BYTES, |size| size.as_u64())
}

/// Opens a local copy and the public keys for it.
pub fn open_folder(args: &SourceArgs, dir: &Path, asks_aws: bool) -> Result<(Folder, Arc<dyn KeySource>), Failure> {
    let of_aws = [
        ("--profile", args.profile.is_some()),
        ("--region", args.region.is_some()),
        ("--endpoint-url", args.endpoint_url.is_some()),
    ];
    if let Some((flag, _)) = of_aws.iter().find(|(_, given)| *given && !asks_aws) {
        let what = format!("{flag} is about AWS, which --from does not ask: leave it out, or add --check-keys");
        return Err(Failure::Usage(what));
    }
    let Some(keys) = &args.keys else {
        return Err(Failure::Usage("--from needs --keys FILE: without public keys nothing can be verified".to_owned()));
    };
    let keys = KeyFile::open(keys)?;
    let folder = Folder::open(dir, args.recorded_bucket.clone()).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok((folder, Arc::new(keys)))
}

async fn local(args: &VerifyArgs, dir: &Path, asks_aws: bool, mut request: AuditRequest) -> Result<Settings, Failure> {
    let VerifyArgs { source: args, signer, .. } = args;
    let bag = if Bag::is_one(dir) { Some(Bag::open(dir)?) } else { None };
    if let Some(bag) = &bag {
        request.warnings_before.extend(bag.altered()?.into_iter().map(|altered| altered_warning(dir, &altered)));
        let log = CustodyLog::open(dir)?;
        let known = signer.as_deref().map(KnownSigners::open).transpose()?;
        request.warnings_before.extend(match custody::check_signature(&log, known.as_ref()) {
            LogSignature::Fits => None,
            LogSignature::Wrong(what) => {
                Some(altered_warning(dir, &Altered { path: "custody.jsonl".to_owned(), what }))
            }
            // Whoever does not ask about it need not know who added the last lines.
            LogSignature::Partial(_) if known.is_none() => None,
            LogSignature::Partial(what) => {
                let detail = format!("custody.jsonl of the bag {} {what}", dir.display());
                Some(WarningRecord { code: WarningCode::CustodyNotSigned, bucket: None, key: None, detail })
            }
        });
    } else if signer.is_some() {
        return Err(signer_without_bag(&dir.display().to_string()));
    }
    let place = bag.as_ref().map(Bag::objects);
    request.keys_of_bag = bag.is_some() && args.keys.is_none() && !args.check_keys;
    let args = &SourceArgs { keys: args.keys.clone().or_else(|| bag.as_ref().and_then(Bag::keys)), ..args.clone() };
    let (folder, keys) = open_folder(args, place.as_deref().unwrap_or(dir), asks_aws || args.check_keys)?;
    request.warnings_before.extend(check_keys(args).await?);
    request.warnings_before.extend(folder.notes().iter().map(|note| WarningRecord {
        code: WarningCode::SecondCopy,
        bucket: None,
        key: None,
        detail: note.clone(),
    }));
    request.locations = folder.locations();
    if request.locations.is_empty() {
        return Err(Failure::Usage(format!(
            "{} holds no copy of a trail's digests or log files: --from takes the folder that 'aws s3 sync s3://BUCKET DIR' filled, \
             with …/AWSLogs/ACCOUNT/CloudTrail-Digest/ in it",
            dir.display()
        )));
    }
    if args.concurrency.is_none() {
        request.concurrency = cores();
    }
    let bag = bag.map(|_| dir.to_owned());
    Ok(Settings { bag, ..Settings::new(Arc::new(folder), keys, request) })
}

fn altered_warning(dir: &Path, altered: &Altered) -> WarningRecord {
    let Altered { path, what } = altered;
    let detail = format!("{} of the bag {} {what}", path, dir.display());
    WarningRecord { code: WarningCode::BagAltered, bucket: None, key: None, detail }
}

/// Compares a file of keys with what CloudTrail publishes. A key that it does not publish is nobody's.
pub async fn check_keys(args: &SourceArgs) -> Result<Vec<WarningRecord>, Failure> {
    if !args.check_keys {
        return Ok(Vec::new());
    }
    let Some(path) = &args.keys else {
        let what =
            "--check-keys compares the keys of a bag or of a file with CloudTrail's: give --from BAG or --keys FILE";
        return Err(Failure::Usage(what.to_owned()));
    };
    let file = KeyFile::open(path)?;
    let regions = file.regions();
    if regions.is_empty() {
        return Err(Failure::Usage(format!(
            "{} does not say whose keys it has, so they can't be compared with CloudTrail's: make it {{REGION: keys, …}}",
            path.display()
        )));
    }
    let partition = regions[0].partition().to_owned();
    let authority = ListPublicKeys::new(load_config(args, regions[0].as_str()).await, partition);
    let mut found = Vec::new();
    for region in regions {
        // Who asks for a check that can't be made must not take its silence for an answer.
        let failed = |error: crate::keys::KeySourceError| Failure::CannotRun(format!("--check-keys: {error}"));
        let (any, now) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        let held = file.keys(&region, any, now).await.map_err(failed)?.listed;
        let from = held.iter().map(|key| key.valid_from).min().unwrap_or(now);
        let to = held.iter().map(|key| key.valid_to).max().unwrap_or(now).min(now);
        let published = authority.keys(&region, from.min(to), to).await.map_err(failed)?;
        let known = |key: &ListedKey| published.listed.iter().any(|other| other.der == key.der);
        found.extend(held.iter().filter(|key| !known(key)).map(|key| {
            let detail = format!(
                "the public key {} of {region} in {} is none that CloudTrail publishes there: what rests on it proves nothing",
                key.fingerprint,
                path.display()
            );
            WarningRecord { code: WarningCode::BagAltered, bucket: None, key: None, detail }
        }));
    }
    Ok(found)
}

/// Objects read at once from a folder where nobody says.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn signer_without_bag(place: &str) -> Failure {
    Failure::Usage(format!("--signer is about the custody log of a bag, and {place} is none: leave it out"))
}

async fn remote(args: &VerifyArgs, mut request: AuditRequest) -> Result<Settings, Failure> {
    if args.signer.is_some() {
        return Err(signer_without_bag("a trail in S3"));
    }
    request.warnings_before.extend(check_keys(&args.source).await?);
    let home = args.trail_arn.as_ref().map_or("us-east-1", |arn| arn.home_region.as_str());
    let config = load_config(&args.source, home).await;
    let identity = if args.reports.is_evidence() { caller_identity(&config).await } else { None };
    request.requests_before += u64::from(args.reports.is_evidence());
    let mut status: Option<Arc<dyn StatusSource>> = None;
    let mut description = None;
    let mut neighbours: Option<Arc<dyn NeighbourSource>> = None;
    let location = match (&args.bucket, &args.trail_arn) {
        (Some(bucket), _) => Location {
            bucket: bucket.trim_start_matches("s3://").trim_end_matches('/').to_owned(),
            root: LogRoot { prefix: args.prefix.as_deref().unwrap_or_default().trim_matches('/').to_owned() },
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
            }));
            request.expected.accounts.extend(accounts);
            request.expected.own_regions = own_regions;
            if settings.is_organization {
                request.expected.regions.extend(default_regions);
            }
            request.expected.unknown = unknown;
            request.requests_before += trail.requests() + reach.requests();
            request.is_organization = Some(settings.is_organization);
            // It speaks of the place that the trail delivers to now, which is the one that is read.
            if args.organization_id.is_none() {
                status = Some(Arc::new(GetTrailStatus::new(arn.clone(), config.clone())));
            }
            Location { bucket: settings.bucket, root: LogRoot { prefix: settings.prefix } }
        }
        (None, None) => {
            let what = "name what to verify: --trail-arn ARN, or --bucket NAME, or --from DIR --keys FILE (see --help)";
            return Err(Failure::Usage(what.to_owned()));
        }
    };
    let source = match location.root.prefix.as_str() {
        "" => format!("s3://{}", location.bucket),
        prefix => format!("s3://{}/{prefix}", location.bucket),
    };
    let bucket = args.source.recorded_bucket.clone().unwrap_or_else(|| location.bucket.clone());
    let partition = partition_of(args.trail_arn.as_ref(), &config);
    let (store, keys) = open_s3(&args.source, config, source, &location.bucket, partition)?;
    request.locations.push(Location { bucket, ..location });
    Ok(Settings { status, neighbours, identity, trail: description, ..Settings::new(store, keys, request) })
}

/// The partition whose regions are asked for keys: the trail's, or that of the region at hand.
fn partition_of(trail: Option<&TrailArn>, config: &SdkConfig) -> String {
    let region = || config.region().and_then(|region| region.as_ref().parse::<Region>().ok());
    match trail {
        Some(arn) => arn.partition.clone(),
        None => region().map_or("aws", |region| region.partition()).to_owned(),
    }
}

/// A store, and the public keys for it.
pub type Opened = (Arc<dyn Store>, Arc<dyn KeySource>);

/// S3, and the public keys for it. `bucket` is the one that stands for `--recorded-bucket`, if that is given.
pub fn open_s3(
    args: &SourceArgs,
    config: SdkConfig,
    source: String,
    bucket: &str,
    partition: String,
) -> Result<Opened, Failure> {
    let keys: Arc<dyn KeySource> = match &args.keys {
        Some(file) => Arc::new(KeyFile::open(file)?),
        None => Arc::new(ListPublicKeys::new(config.clone(), partition)),
    };
    let path_style = is_path_style(&config);
    let s3 = S3::new(config, path_style, source);
    let store: Arc<dyn Store> = match &args.recorded_bucket {
        Some(recorded) => Arc::new(Replica::new(s3, bucket.to_owned(), recorded.clone())),
        None => Arc::new(s3),
    };
    Ok((store, keys))
}
