//! The command that cuts a run into units of work for many machines.

use std::collections::BTreeMap;
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::verify::{interruption, runtime, shut_down};
use crate::audit::{Audit, LogFileCount};
use crate::cli::args::{PlanArgs, PlanFormat};
use crate::cli::custody::now;
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::cli::plan_place::PlanPlace;
use crate::cli::resolve::{self, Settings};
use crate::model::{AccountId, Depth, Region};
use crate::report::{counted, quoted};
use crate::shard::{Manifest, PlanInputs, PlanOptions, TamperingQuestion, make_plan};

/// Makes the plan that the arguments ask for.
pub(crate) fn plan(args: &PlanArgs) -> Result<u8, Failure> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = make(args) => outcome,
            () = interruption() => Err(Failure::Interrupted),
        }
    });
    shut_down(runtime);
    print(args, &outcome?)?;
    Ok(0)
}

async fn make(args: &PlanArgs) -> Result<Manifest, Failure> {
    let place = PlanPlace::of(&args.output, &args.source.aws).await?;
    place.check_new().await?;
    if args.tampering && args.what.depth != Depth::Content {
        let what = format!("--tampering looks into log files, and --depth {} reads none", args.what.depth);
        return Err(Failure::Usage(format!("{what}: leave one of them out")));
    }
    let settings = resolve::resolve_plan(args, now()).await?;
    let tampering = args.tampering.then(|| TamperingQuestion {
        resources: settings.trail_resources(),
        is_key_known: settings.trail_key.is_some(),
    });
    let Settings { store, keys, status, neighbours, request, read_bucket, .. } = settings;
    place.check_apart(&request.locations, read_bucket.as_deref())?;
    let asked = request.statement.keys.clone();
    let expected = &request.expected;
    let given: Vec<AccountId> = args.what.expect_account.clone();
    let of_aws = expected.accounts.iter().filter(|account| !given.contains(account)).cloned().collect();
    let expected_accounts = by_source([("command line", given), ("organizations:ListAccounts", of_aws)]);
    let given: Vec<Region> = args.what.expect_region.clone();
    let enabled = expected.own_regions.iter().cloned().collect();
    let by_default = expected.regions.iter().filter(|region| !given.contains(region)).cloned().collect();
    let expected_regions = by_source([
        ("command line", given),
        ("account:ListRegions, enabled in the trail's account", enabled),
        ("account:ListRegions, enabled in every account", by_default),
        ("the table of this version", expected.maybe_own_regions.iter().cloned().collect()),
    ]);
    let options = PlanOptions {
        unit_objects: args.unit_objects,
        count: if args.estimate { LogFileCount::Sampled { seed: args.seed } } else { LogFileCount::Listed },
        by_prefix: args.group_by_prefix_rate,
    };
    let audit = Audit { status, neighbours, ..Audit::new(store, keys, request) };
    let inputs = PlanInputs { audit, read_bucket, tampering, asked, expected_accounts, expected_regions };
    let plan = make_plan(inputs, options).await?;
    place.write(&plan).await?;
    Ok(plan.manifest)
}

/// The names that have to be there, by the source that names them, without sources that name none.
fn by_source<T>(sources: impl IntoIterator<Item = (&'static str, Vec<T>)>) -> BTreeMap<String, Vec<T>> {
    let named = sources.into_iter().filter(|(_, names)| !names.is_empty());
    named.map(|(source, names)| (source.to_owned(), names)).collect()
}

/// The summary of a plan for scripts.
#[derive(Serialize)]
struct Summary<'a> {
    plan: &'a str,
    units: u64,
    chains: u64,
    digests: u64,
    log_files: u64,
    estimated: bool,
    now: Timestamp,
    output: &'a str,
}

fn print(args: &PlanArgs, manifest: &Manifest) -> Result<(), Failure> {
    let Manifest { units, chains, estimate, sha256, question, seed, .. } = manifest;
    let text = match args.format {
        PlanFormat::Json => {
            let summary = Summary {
                plan: sha256,
                units: *units,
                chains: *chains,
                digests: estimate.digests,
                log_files: estimate.log_files,
                estimated: seed.is_some(),
                now: question.now,
                output: &args.output,
            };
            format!("{}\n", serde_json::to_string(&summary).unwrap_or_default())
        }
        PlanFormat::Text => {
            let (output, in_shell) = (&args.output, quoted(&[&args.output]));
            let log_files = match (question.depth, seed) {
                (Depth::Content, None) => format!(" and {}", counted(estimate.log_files, "log file")),
                (Depth::Content, Some(_)) => format!(" and about {}", counted(estimate.log_files, "log file")),
                (Depth::Chain | Depth::Presence, _) => String::new(),
            };
            format!(
                "{} of work for {} with {}{log_files}, in {output}\n\
                 plan {sha256}, of {}\n\n\
                 Verify the units, on as many machines as there are:\n  \
                 ctverify shard --plan {in_shell} --unit N --output RESULTS\n\
                 and merge their results:\n  \
                 ctverify merge --plan {in_shell} --results RESULTS\n",
                counted(*units, "unit"),
                counted(*chains, "chain"),
                counted(estimate.digests, "digest"),
                question.now,
            )
        }
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| cannot_write_standard(&error))
}
