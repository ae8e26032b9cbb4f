//! Arguments of the commands that divide a run over many machines.

use clap::builder::FalseyValueParser;
use clap::{Args as ClapArgs, ValueEnum};
use jiff::SignedDuration;

use super::reports::{LogArgs, ReportArgs};
use super::values::{Allowance, Suggested, allowance_suggestions, parse_allowance};
use super::verify::{AwsArgs, FailArgs, SelectArgs, SourceArgs};
use crate::checkpoint::Name;
use crate::model::parse_age;
use crate::records::Setting;

/// The number of objects of a unit by default: about a minute's work for one core, at 200 µs each.
pub(crate) const UNIT_OBJECTS: u64 = 250_000;

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    /// The plan: a new or empty folder, or s3://BUCKET/PREFIX/
    #[arg(long, env = "CTVERIFY_OUTPUT", hide_env = true, short, value_name = "DIR", help_heading = "Plan")]
    pub output: String,

    /// The number of digests and log files that a unit of work should not exceed
    #[arg(
        long,
        env = "CTVERIFY_UNIT_OBJECTS",
        hide_env = true,
        value_name = "N",
        default_value_t = UNIT_OBJECTS,
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Plan"
    )]
    pub unit_objects: u64,

    /// Estimate the number of log files: list one drawn day of each month in place of all days
    #[arg(
        long,
        env = "CTVERIFY_ESTIMATE",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Plan"
    )]
    pub estimate: bool,

    /// The seed of the draw for --estimate
    #[arg(
        long,
        env = "CTVERIFY_SEED",
        hide_env = true,
        value_name = "N",
        default_value_t = 0,
        requires = "estimate",
        help_heading = "Plan"
    )]
    pub seed: u64,

    /// Order the units so that neighbours read below different prefixes, each of which S3 answers some
    /// 5,500 GETs a second
    #[arg(
        long,
        env = "CTVERIFY_GROUP_BY_PREFIX_RATE",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Plan"
    )]
    pub group_by_prefix_rate: bool,

    /// Have the units look for proven events that weaken logging, which 'ctverify merge --report tampering=FILE'
    /// reports. Log files that may have such a call are read twice, unless a unit also writes events
    #[arg(
        long,
        env = "CTVERIFY_TAMPERING",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Plan"
    )]
    pub tampering: bool,

    /// The form of the summary on standard output
    #[arg(
        long,
        env = "CTVERIFY_FORMAT",
        hide_env = true,
        value_enum,
        default_value_t = PlanFormat::Text,
        help_heading = "Plan"
    )]
    pub format: PlanFormat,

    #[command(flatten)]
    pub what: SelectArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    /// How long after its hour a digest may still come before its absence counts, at most 24h
    /// [default: 2h]
    #[arg(
        long,
        env = "CTVERIFY_GRACE",
        hide_env = true,
        value_name = "AGE",
        value_parser = parse_age,
        help_heading = "What to verify"
    )]
    pub grace: Option<SignedDuration>,

    #[command(flatten)]
    pub logs: LogArgs,

    /// The settings that were given, with their origin.
    #[arg(skip)]
    pub settings: Vec<Setting>,
}

/// The form of a plan's summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// Sentences
    Text,
    /// One JSON object on a line
    Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShardArgs {
    /// The plan: its manifest.json, or the folder of it, on disk or as s3://BUCKET/KEY
    #[arg(long, env = "CTVERIFY_PLAN", hide_env = true, value_name = "FILE")]
    pub plan: String,

    /// The units to verify, by number (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_UNIT",
        hide_env = true,
        value_name = "N",
        value_delimiter = ',',
        conflicts_with_all = ["stdin", "index_from_env"]
    )]
    pub unit: Vec<u64>,

    /// Read the units from standard input: lines of units.jsonl, or numbers
    #[arg(
        long,
        env = "CTVERIFY_STDIN",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        conflicts_with = "index_from_env"
    )]
    pub stdin: bool,

    /// Take the unit from the index of an array job: AWS_BATCH_JOB_ARRAY_INDEX, JOB_COMPLETION_INDEX
    /// (Kubernetes) or SLURM_ARRAY_TASK_ID
    #[arg(long, env = "CTVERIFY_INDEX_FROM_ENV", hide_env = true, value_parser = FalseyValueParser::new())]
    pub index_from_env: bool,

    /// The number of units of each index: index I verifies the units I*N to I*N+N-1 that the plan has
    #[arg(
        long,
        env = "CTVERIFY_UNITS_PER_INDEX",
        hide_env = true,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..),
        requires = "index_from_env"
    )]
    pub units_per_index: u64,

    /// Write a result file for each unit into this folder, or below s3://BUCKET/PREFIX/, and the
    /// records to standard output. A unit whose result is there, and its events if they are asked for, is
    /// not verified again [default: results go to standard output]
    #[arg(long, env = "CTVERIFY_OUTPUT", hide_env = true, short, value_name = "DIR")]
    pub output: Option<String>,

    /// Write the events of log files that are intact as a table below this folder, or below
    /// s3://BUCKET/PREFIX/, with the columns of 'events --parquet': files of its own for each unit
    #[arg(long, env = "CTVERIFY_EVENTS_PARQUET", hide_env = true, value_name = "DIR")]
    pub events_parquet: Option<String>,

    /// Write no records to standard output, but a line for each unit
    #[arg(
        short,
        long,
        env = "CTVERIFY_QUIET",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        requires = "output"
    )]
    pub quiet: bool,

    #[command(flatten)]
    pub aws: AwsArgs,

    /// How many objects are read at once [default: 192, fewer while S3 asks to slow down or log files
    /// are large]
    #[arg(
        long,
        env = "CTVERIFY_CONCURRENCY",
        hide_env = true,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=4096),
        help_heading = "AWS"
    )]
    pub concurrency: Option<u16>,

    #[command(flatten)]
    pub logs: LogArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MergeArgs {
    /// The plan: its manifest.json, or the folder of it, on disk or as s3://BUCKET/KEY
    #[arg(long, env = "CTVERIFY_PLAN", hide_env = true, value_name = "FILE")]
    pub plan: String,

    /// The results of all units: the folder or the s3://BUCKET/PREFIX/ that was the --output of the
    /// shards
    #[arg(long, env = "CTVERIFY_RESULTS", hide_env = true, value_name = "DIR")]
    pub results: String,

    /// Write a checkpoint, to a file or as s3://BUCKET/KEY, from which nightly runs with --state go on
    #[arg(long, env = "CTVERIFY_CHECKPOINT", hide_env = true, value_name = "FILE")]
    pub checkpoint: Option<Name>,

    #[command(flatten)]
    pub aws: AwsArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    /// Keep a kind in the reports and out of the verdict: gap, gap:CAUSE, or unlisted (repeatable, or
    /// comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_ALLOW",
        hide_env = true,
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = Suggested { parse: parse_allowance, suggestions: allowance_suggestions },
        hide_possible_values = true,
        help_heading = "Verdict"
    )]
    pub allow: Vec<Allowance>,

    #[command(flatten)]
    pub fail: FailArgs,
}
