//! The command that merges the results of a plan's units into one verdict.

use std::io::Write as _;
use std::sync::Arc;

use super::shard::open_store;
use super::verify::{run, runtime, shut_down, tampering_flag};
use crate::audit::Discovered;
use crate::checkpoint::{Kept, Name, Place};
use crate::cli::args::{FailOn, MergeArgs};
use crate::cli::aws::connect;
use crate::cli::custody::now;
use crate::cli::exit::Failure;
use crate::cli::paths;
use crate::cli::plan_place::{OpenPlan, PlanPlace};
use crate::cli::resolve::{self, S3_CONCURRENCY, Settings};
use crate::cli::result_place::ResultPlace;
use crate::cli::uploads::Uploads;
use crate::model::Depth;
use crate::records::Merged;
use crate::shard::{MergedLoggingEvents, MergedTampering, PlannedChains, ResultStore, Results};
use crate::store::S3;

/// Merges the results that the arguments name, and returns the exit code for the verdict.
pub(crate) fn merge(args: &MergeArgs) -> Result<u8, Failure> {
    let runtime = runtime()?;
    let mut reports = args.reports.clone();
    let (plan, uploads) = runtime.block_on(async {
        let plan = PlanPlace::of(&args.plan, &args.aws).await?.open().await?;
        let uploads = Uploads::prepare(&mut reports, &args.aws, &plan.manifest.question.buckets()).await?;
        Ok::<_, Failure>((plan, uploads))
    })?;
    paths::check_merge(args, &reports)?;
    let code = run(&reports, settings(args, plan))?;
    runtime.block_on(uploads.finish())?;
    shut_down(runtime);
    Ok(code)
}

/// The inputs of the run that merges: an ordinary one, whose store answers from the results.
async fn settings(args: &MergeArgs, plan: OpenPlan) -> Result<Settings, Failure> {
    let fails_on_tampering = args.fail.fail_on.contains(&FailOn::Tampering);
    let tampering = plan.manifest.question.tampering.clone();
    if let (Some(flag), None) = (tampering_flag(&args.reports, fails_on_tampering), &tampering) {
        let what = "tells of events in log files, which the units of this plan did not look for";
        return Err(Failure::Usage(format!("{flag} {what}: 'ctverify plan --tampering' makes a plan whose units do")));
    }
    let source = ResultPlace::of(&args.results, &args.aws).await?.source();
    let results = Results::open(&plan.files, &plan.manifest, source).await?;
    for name in &results.ignored {
        // If standard error is closed, nobody reads this.
        let _ = writeln!(anstream::stderr(), "note: {name} is left aside: it is no whole result");
    }
    let manifest = &plan.manifest;
    let question = &manifest.question;
    let examined = question.buckets();
    let mut request = question.request(question.range, S3_CONCURRENCY);
    request.allowed = resolve::allowances(&args.allow);
    request.fails_on_tampering = fails_on_tampering;
    request.warnings_before = [question.warnings.clone(), results.warnings.clone()].concat();
    request.statement.endpoints.clone_from(&question.endpoints);
    request.statement.keys = manifest.keys.asked.clone();
    request.statement.settings = [question.settings.clone(), args.reports.settings.clone()].concat();
    request.statement.started = Some(now());
    request.statement.merged =
        Some(Merged { plan: manifest.sha256.clone(), units: manifest.units, planned: question.now });
    let live = open_store(manifest, &args.aws).await?;
    let store = Arc::new(ResultStore::new(manifest, results, live));
    let chains = Arc::new(PlannedChains::of(&plan.files));
    let watched = store.clone();
    let of_units = MergedLoggingEvents::new(store.clone());
    let known_tampering = tampering.as_ref().map(|question| MergedTampering::new(store.clone(), question));
    let mut settings = Settings::new(store, Arc::new(manifest.keys.clone()), request);
    settings.logging_events = (question.depth == Depth::Content).then(|| Arc::new(of_units) as _);
    settings.known_tampering = known_tampering.map(|examiner| Arc::new(examiner) as _);
    // Units compare calls with the key that the plan knows.
    settings.trail_key = tampering.filter(|question| question.is_key_known).map(|_| None);
    settings.neighbours = Some(Arc::new(manifest.neighbours.clone()));
    settings.discovered = Some(Discovered { chains, facts: manifest.facts.clone() });
    settings.trouble = Some(Arc::new(move || {
        let trouble = watched.trouble()?;
        Some(format!(
            "an answer that the merge needs is neither in the results nor to be had from S3, and nothing is proven \
             without it: {trouble}"
        ))
    }));
    settings.plan = Some(plan);
    if let Some(name) = &args.checkpoint {
        let kept = open_checkpoint(name, args, &settings, &examined).await?;
        settings.request.checkpoint = Some(Arc::new(kept.base().clone()));
        settings.kept = Some(kept);
    }
    Ok(settings)
}

/// Begins a checkpoint, which must not be there yet: what it holds would count as verified.
async fn open_checkpoint(
    name: &Name,
    args: &MergeArgs,
    settings: &Settings,
    examined: &[String],
) -> Result<Kept, Failure> {
    let place = match name {
        Name::File(path) => Place::File(path.clone()),
        Name::Object(object) => {
            if examined.contains(&object.bucket.to_string()) {
                return Err(Failure::Usage(format!(
                    "--checkpoint {object} lies in the bucket that is examined, which ctverify never writes to: keep it \
                     in another one, out of reach of whoever can change the trail"
                )));
            }
            let config = connect(&args.aws, "us-east-1").await?;
            Place::Object(Box::new(S3::new(config, object.to_string())), object.clone())
        }
    };
    let request = &settings.request;
    let kept = Kept::open(place, request.trail.as_ref(), &settings.store.source(), request.depth).await?;
    if kept.exists() {
        return Err(Failure::Usage(format!(
            "--checkpoint {name} is there already, and a merge begins a new one: give another name"
        )));
    }
    Ok(kept)
}
