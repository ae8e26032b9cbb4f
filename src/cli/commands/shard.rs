//! The command that verifies units of a plan.

use std::io::{self, BufRead as _, BufWriter, Write};
use std::sync::Arc;

use super::verify::{interruption, runtime, shut_down};
use crate::cli::args::{AwsArgs, ShardArgs};
use crate::cli::aws::connect;
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::cli::plan_place::{OpenPlan, PlanPlace};
use crate::cli::resolve::S3_CONCURRENCY;
use crate::cli::result_place::ResultPlace;
use crate::cli::unit_tables::{UnitTable, UnitTables};
use crate::model::Depth;
use crate::shard::{EventsOfUnit, Extraction, Manifest, Unit, UnitError, UnitResult, UnitSummary, run_unit};
use crate::store::{Replica, S3, Store};

/// The variables in which array jobs find their index: of AWS Batch, Kubernetes and Slurm.
const INDEXES: [&str; 3] = ["AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID"];

/// Verifies the units that the arguments name.
pub(crate) fn shard(args: &ShardArgs) -> Result<u8, Failure> {
    if args.unit.is_empty() && !args.stdin && !args.index_from_env {
        let what = "name the units: --unit N, --stdin for lines of units.jsonl, or --index-from-env in an array job";
        return Err(Failure::Usage(what.to_owned()));
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let place = PlanPlace::of(&args.plan, &args.aws).await?;
        let plan = place.open().await?;
        let results = match &args.output {
            Some(output) => Some(ResultPlace::of(output, &args.aws).await?),
            None => None,
        };
        if let Some(results) = &results {
            results.check_apart(&plan.manifest.question)?;
        }
        let question = &plan.manifest.question;
        if args.events_parquet.is_some() && question.depth != Depth::Content {
            return Err(Failure::Usage(format!(
                "events stand in log files, and a plan of --depth {} has none read: leave out --events-parquet, or \
                 make a plan of --depth content",
                question.depth
            )));
        }
        let tables = match &args.events_parquet {
            Some(name) => Some(UnitTables::of(name, question, &args.aws).await?),
            None => None,
        };
        let store = open_store(&plan.manifest, &args.aws).await?;
        for unit in units(args, &plan)? {
            verify_unit(args, &plan.manifest, &unit, &store, results.as_ref(), tables.as_ref()).await?;
        }
        Ok(0)
    });
    shut_down(runtime);
    outcome
}

/// Opens the store that the plan is about.
pub(crate) async fn open_store(manifest: &Manifest, aws: &AwsArgs) -> Result<Arc<dyn Store>, Failure> {
    let question = &manifest.question;
    let home = question.trail_arn.as_ref().map_or("us-east-1", |arn| arn.home_region.as_str());
    let s3 = S3::new(connect(aws, home).await?, question.source.clone());
    let recorded = question.locations.first().map(|location| location.bucket.clone());
    Ok(match (&question.read_bucket, recorded) {
        (Some(read), Some(recorded)) => Arc::new(Replica::new(s3, read.clone(), recorded)),
        _ => Arc::new(s3),
    })
}

/// The units to verify, in the order in which they are named.
fn units(args: &ShardArgs, plan: &OpenPlan) -> Result<Vec<Unit>, Failure> {
    let mut whole: Vec<Unit> = Vec::new();
    let mut numbers = args.unit.clone();
    // A manifest may state any number of units: those of an index are found by reading.
    let mut in_index = 0..0;
    if args.stdin {
        for (index, line) in io::stdin().lock().lines().enumerate() {
            let wrong = |reason: String| Failure::Usage(format!("line {} of standard input {reason}", index + 1));
            let line = line.map_err(|error| wrong(format!("can't be read: {error}")))?;
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            match line.parse() {
                Ok(number) => numbers.push(number),
                Err(_) => {
                    let unit = serde_json::from_str(line);
                    whole.push(unit.map_err(|error| wrong(format!("is no line of units.jsonl: {error}")))?);
                }
            }
        }
    }
    if args.index_from_env {
        let index = index_from_env()?;
        let first = index.saturating_mul(args.units_per_index);
        let last = first.saturating_add(args.units_per_index).min(plan.manifest.units);
        if first >= plan.manifest.units {
            return Err(plan.no_unit(first));
        }
        in_index = first..last;
    }
    for number in whole.iter().map(|unit| unit.unit).chain(numbers.iter().copied()) {
        if number >= plan.manifest.units {
            return Err(plan.no_unit(number));
        }
    }
    let mut found: Vec<Option<Unit>> = whole.into_iter().map(Some).collect();
    if !numbers.is_empty() || !in_index.is_empty() {
        let begin = found.len();
        found.resize_with(begin + numbers.len(), || None);
        plan.files.each_unit(&plan.manifest, |unit| {
            if in_index.contains(&unit.unit) {
                found.push(Some(unit.clone()));
            }
            for (place, _) in numbers.iter().enumerate().filter(|(_, number)| **number == unit.unit) {
                found[begin + place] = Some(unit.clone());
            }
        })?;
    }
    Ok(found.into_iter().flatten().collect())
}

fn index_from_env() -> Result<u64, Failure> {
    for name in INDEXES {
        if let Some(value) = std::env::var_os(name) {
            let value = value.to_string_lossy().into_owned();
            return value.parse().map_err(|_| {
                Failure::Usage(format!("the variable {name} is '{value}', and the index of an array job is a number"))
            });
        }
    }
    Err(Failure::Usage(format!("--index-from-env needs one of the variables {}, and none is set", INDEXES.join(", "))))
}

/// The work on one unit.
struct Work<'w> {
    manifest: &'w Manifest,
    unit: &'w Unit,
    store: &'w Arc<dyn Store>,
    concurrency: usize,
}

impl Work<'_> {
    /// Verifies the unit, and fills its table of events if there is one.
    async fn run<W: Write>(&self, table: Option<&mut UnitTable>, out: W) -> Result<(UnitResult, W), Failure> {
        let extraction = table.map(|table| Extraction { consumer: table.consumer(), observer: table });
        let store = self.store.clone();
        let ran = run_unit(self.manifest, self.unit, store, self.concurrency, extraction, out, interruption());
        ran.await.map_err(|error| self.failed(error))
    }

    /// Puts the events of the unit in their place.
    async fn put_events(
        &self,
        result: &UnitResult,
        tables: Option<&UnitTables>,
        table: Option<UnitTable>,
    ) -> Result<Option<EventsOfUnit>, Failure> {
        let Some((tables, table)) = tables.zip(table) else { return Ok(None) };
        tokio::select! {
            put = tables.finish(self.manifest, self.unit, result, table) => put.map(Some),
            () = interruption() => {
                let unit = self.unit.unit;
                Err(Failure::Stopped(format!("interrupted: the events of unit {unit} are not complete")))
            }
        }
    }

    fn failed(&self, error: UnitError) -> Failure {
        let unit = self.unit.unit;
        match error {
            UnitError::Interrupted => Failure::Stopped(format!("interrupted: unit {unit} has no result")),
            other => Failure::CannotRun(format!("unit {unit}: {other}")),
        }
    }
}

/// Verifies one unit, unless its result is there already, and its events if they are asked for.
async fn verify_unit(
    args: &ShardArgs,
    manifest: &Manifest,
    unit: &Unit,
    store: &Arc<dyn Store>,
    results: Option<&ResultPlace>,
    tables: Option<&UnitTables>,
) -> Result<(), Failure> {
    let work = Work { manifest, unit, store, concurrency: args.concurrency.map_or(S3_CONCURRENCY, usize::from) };
    let begin_table = || tables.map(|tables| tables.begin(manifest, unit)).transpose();
    let Some(results) = results else {
        let mut table = begin_table()?;
        let out = BufWriter::new(tempfile::tempfile().map_err(|error| work.failed(error.into()))?);
        let (result, out) = work.run(table.as_mut(), out).await?;
        work.put_events(&result, tables, table).await?;
        return copy_to_standard_output(out).map_err(|error| cannot_write_standard(&error));
    };
    let there = results.read(manifest, unit).await?;
    let is_kept = match (&there, tables) {
        (Some((result, _)), Some(tables)) => tables.has(manifest, unit, &result.sha256).await?,
        (there, _) => there.is_some(),
    };
    let (result, file, events) = match there {
        Some((result, file)) if is_kept => (result, file, None),
        _ => {
            let mut table = begin_table()?;
            let out = results.create(unit.unit)?;
            let (own, out) = work.run(table.as_mut(), out).await?;
            let sha256 = own.sha256.clone();
            let (result, file) = results.finish(manifest, unit, own, out).await?;
            if table.is_some() && result.sha256 != sha256 {
                return Err(Failure::Usage(format!(
                    "{} is another result of unit {} than the one that was made now, whose events are not written: \
                     remove it, and verify the unit again",
                    results.name(unit.unit),
                    unit.unit
                )));
            }
            let events = work.put_events(&result, tables, table).await?;
            (result, file, events)
        }
    };
    let mut summary = UnitSummary::of(&result, Some(results.name(unit.unit)), is_kept);
    summary.events = events;
    let mut out = BufWriter::new(io::stdout());
    let write = || -> io::Result<()> {
        if !args.quiet {
            crate::shard::each_record(file, |line| out.write_all(line))?;
        }
        serde_json::to_writer(&mut out, &summary)?;
        out.write_all(b"\n")?;
        out.flush()
    };
    write().map_err(|error| cannot_write_standard(&error))
}

fn copy_to_standard_output(out: BufWriter<std::fs::File>) -> io::Result<()> {
    use std::io::Seek as _;
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    io::copy(&mut file, &mut io::stdout())?;
    Ok(())
}
