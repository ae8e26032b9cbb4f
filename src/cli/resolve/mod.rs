//! The inputs of a run, from the arguments: a store, a source of keys, and a request.

mod filters;
mod keys;
mod local;
mod proof;
mod remote;
mod state;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::args::{FailOn, PlanArgs, SelectArgs, SourceArgs, VerifyArgs};
use super::exit::Failure;
use super::notifier::Notifier;
use super::plan_place::OpenPlan;
use crate::audit::{AuditRequest, ContentConsumer, ContentExaminer, Discovered, Expected, LoggingEventReader};
use crate::bag::UnpackedBag;
use crate::checkpoint::Kept;
use crate::events::TrailResources;
use crate::keys::KeySource;
use crate::model::{Depth, TimeArgument, TimeRange};
use crate::store::Store;
use crate::trail::{HistorySource, NeighbourSource, StatusSource};

pub(super) use filters::{allowances, max_log_file_bytes};
pub(super) use keys::{check_keys, keys_of_file};
pub(super) use local::{ShownAs, cores, open_folder};
pub(super) use proof::ProofOfBag;
pub(super) use remote::{Opened, open_s3};

use filters::{check_range, recheck, sample};
use local::{local, signer_without_bag};
use remote::remote;
use state::open_checkpoint;

/// The maximum time by which a digest may be late: a digest that is older is missing, not late.
const MAX_GRACE: SignedDuration = SignedDuration::from_hours(24);

/// The number of objects that are read at once from S3, where the time to the first byte dominates.
pub(super) const S3_CONCURRENCY: usize = 192;

/// A check whether the inputs of a run turned out to be unusable.
pub(super) type Trouble = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// The inputs of an audit.
pub(super) struct Settings {
    pub store: Arc<dyn Store>,
    pub keys: Arc<dyn KeySource>,
    pub status: Option<Arc<dyn StatusSource>>,
    pub neighbours: Option<Arc<dyn NeighbourSource>>,
    /// The source of management events in gaps, if they are asked for.
    pub event_history: Option<Arc<dyn HistorySource>>,
    pub request: AuditRequest,
    /// The identity under which AWS is asked, if a report is to name it.
    pub identity: Option<String>,
    /// The description of the trail by CloudTrail, if it was asked for.
    pub trail: Option<serde_json::Value>,
    /// The bucket that is read in place of the one that digests record, if they differ.
    pub read_bucket: Option<String>,
    /// The chains, if a plan has them.
    pub discovered: Option<Discovered>,
    /// Tells why the records are worth nothing, if they are: it is asked before the summary.
    pub trouble: Option<Trouble>,
    /// The ARN of the KMS key that the trail uses; `Some(None)` if it uses none, `None` if that is not known.
    pub trail_key: Option<Option<String>>,
    /// The examiner that knows the events of tampering, where the log files are not read by this run.
    pub known_tampering: Option<Arc<dyn ContentExaminer>>,
    /// The reader of the events that explain gaps, if it is not that of log files.
    pub logging_events: Option<Arc<dyn LoggingEventReader>>,
    /// The consumer of the content of log files that are found intact.
    pub consumer: Option<Arc<dyn ContentConsumer>>,
    /// The plan that the chains are read from.
    pub plan: Option<OpenPlan>,
    /// The evidence bag whose custody log gets a line on the verification.
    pub bag: Option<PathBuf>,
    /// The event of the bag that is examined, if it holds what proves one event and nothing else.
    pub event: Option<ProofOfBag>,
    /// True if the objects that the run reads are collected into a bag.
    pub collects: bool,
    /// The checkpoint, if one is kept.
    pub kept: Option<Kept>,
    /// The notifier, if notices are asked for.
    pub notifier: Option<Notifier>,
    /// The bag that was unpacked for the run.
    pub unpacked: Option<UnpackedBag>,
}

impl Settings {
    /// The buckets and keys that calls about the trail's protection concern.
    pub(super) fn trail_resources(&self) -> TrailResources {
        let locations = self.request.locations.iter().map(|location| location.bucket.clone());
        let files = self.request.files.iter().map(|file| file.bucket.to_string());
        TrailResources {
            buckets: locations.chain(files).chain(self.read_bucket.clone()).collect(),
            keys: self.trail_key.iter().flatten().cloned().collect(),
        }
    }

    /// Creates settings with this store, these keys and this request, and nothing else.
    pub(super) fn new(store: Arc<dyn Store>, keys: Arc<dyn KeySource>, request: AuditRequest) -> Self {
        Self {
            store,
            keys,
            status: None,
            neighbours: None,
            event_history: None,
            request,
            identity: None,
            trail: None,
            read_bucket: None,
            discovered: None,
            trouble: None,
            trail_key: None,
            known_tampering: None,
            logging_events: None,
            consumer: None,
            plan: None,
            bag: None,
            event: None,
            collects: false,
            kept: None,
            notifier: None,
            unpacked: None,
        }
    }
}

/// Checks the arguments as far as that needs nothing but the arguments, and returns the range.
pub(super) fn check(args: &VerifyArgs, now: Timestamp) -> Result<TimeRange, Failure> {
    if args.copy.from.is_some() && args.what.bucket.is_some() {
        let what = "--bucket names a bucket in S3, and --from a local copy that is read in place of one: leave one out";
        return Err(Failure::Usage(what.to_owned()));
    }
    if args.copy.from.is_some() && args.event_history {
        let what = "--event-history asks CloudTrail about gaps, and --from reads a local copy: leave one out";
        return Err(Failure::Usage(what.to_owned()));
    }
    let range = range(&args.what, now)?;
    if args.sample.is_some() && args.what.depth != Depth::Content {
        return Err(Failure::Usage(format!(
            "--sample is about log files that are read, and --depth {} reads none: leave one of them out",
            args.what.depth
        )));
    }
    check_grace(args.scheduled.grace)?;
    Ok(range)
}

/// Checks the range that is asked for, and returns it.
fn range(args: &SelectArgs, now: Timestamp) -> Result<TimeRange, Failure> {
    let time = |argument: Option<TimeArgument>| {
        argument.map(|argument| argument.resolve(now)).transpose().map_err(Failure::Usage)
    };
    let range = TimeRange { start: time(args.start)?, end: time(args.end)? };
    check_range(&range, now)?;
    Ok(range)
}

/// Checks how late a digest may be.
fn check_grace(grace: Option<SignedDuration>) -> Result<(), Failure> {
    if let Some(grace) = grace.filter(|grace| *grace > MAX_GRACE) {
        let hours = grace.as_secs() / 3600;
        return Err(Failure::Usage(format!(
            "--grace {hours}h is longer than a day: a digest that is so late is missing; give at most 24h"
        )));
    }
    Ok(())
}

/// The request for what `args` select.
fn request(args: &SelectArgs, source: &SourceArgs, range: TimeRange, now: Timestamp) -> AuditRequest {
    AuditRequest {
        trail: args.trail_arn.clone(),
        organization: args.organization_id.clone(),
        accounts: args.account_id.iter().cloned().collect(),
        regions: args.regions.iter().cloned().collect(),
        concurrency: source.concurrency.map_or(S3_CONCURRENCY, usize::from),
        depth: args.depth,
        expected: Expected {
            accounts: args.expect_account.iter().cloned().collect(),
            regions: args.expect_region.iter().cloned().collect(),
            ..Expected::default()
        },
        max_log_file_bytes: max_log_file_bytes(source),
        ..AuditRequest::new(range, now)
    }
}

/// Resolves the arguments of a plan.
pub(super) async fn resolve_plan(args: &PlanArgs, now: Timestamp) -> Result<Settings, Failure> {
    let range = range(&args.what, now)?;
    check_grace(args.grace)?;
    let mut request = request(&args.what, &args.source, range, now);
    request.grace = args.grace.unwrap_or(request.grace);
    request.statement.settings = args.settings.clone();
    remote(&args.what, &args.source, false, request).await
}

/// Resolves the arguments. Asks AWS where the trail delivers to, if the arguments do not say.
pub(super) async fn resolve(args: &VerifyArgs, now: Timestamp) -> Result<Settings, Failure> {
    let range = check(args, now)?;
    let request = request(&args.what, &args.source, range, now);
    let mut request = AuditRequest {
        sample: sample(args)?,
        allowed: allowances(&args.allow),
        fails_on_tampering: args.fail.fail_on.contains(&FailOn::Tampering),
        grace: args.scheduled.grace.unwrap_or(request.grace),
        recheck: args.scheduled.recheck.map(recheck).transpose()?,
        ..request
    };
    request.statement.settings = args.reports.settings.clone();
    let mut settings = match &args.copy.from {
        // An SNS topic needs AWS credentials, wherever the logs are read from.
        Some(dir) => {
            let asks_aws = args.notices.notify.iter().any(|target| target.starts_with("sns:"));
            local(args, dir, asks_aws, request).await?
        }
        None if args.signer.is_some() => return Err(signer_without_bag("a trail in S3")),
        None => remote(&args.what, &args.source, args.reports.is_evidence(), request).await?,
    };
    settings.event_history = settings.event_history.filter(|_| args.event_history);
    settings.notifier = Notifier::new(args).await?;
    if let Some(name) = &args.scheduled.state {
        let kept = open_checkpoint(args, name, &settings).await?;
        state::check_range(&settings.request, kept.base(), name)?;
        settings.request.checkpoint = Some(Arc::new(kept.base().clone()));
        settings.kept = Some(kept);
    }
    Ok(settings)
}
