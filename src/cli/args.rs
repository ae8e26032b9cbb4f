//! The command line as the user types it. What it means is worked out in `settings`.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args as ClapArgs, ColorChoice, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

use super::time_argument::{self, TimeArgument};
use crate::audit::SampleSize;
use crate::checkpoint::Name;
use crate::model::{AccountId, Depth, GapCause, OrganizationId, Region, TrailArn};
use crate::notice::Target;

const EXAMPLES: &str = "\
Examples:
  ctverify --trail-arn arn:aws:cloudtrail:us-east-1:111122223333:trail/my-trail --start 7d
      the last seven days of a trail, every account and region of it
  ctverify --from ./mirror --keys keys.json
      a local copy, offline; keys.json is what 'aws cloudtrail list-public-keys' prints,
      or {\"us-east-1\": that, …} so that the keys can also accuse
  ctverify file s3://my-trail-logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/….json.gz
      one log file: is it as AWS delivered it?
  ctverify --trail-arn ARN --start 365d --depth presence
      is every log file of a year still there? (reads digests, lists log files)
  ctverify --trail-arn ARN --start 365d --sample 5%
      reads one log file of twenty, and says what that bounds
  ctverify --trail-arn ARN --state trail.checkpoint --quiet
      every hour or every night: goes on where the last run ended, and speaks when something is wrong
  ctverify demo
      see it work on a small trail that the program carries

Every flag can also be set in the environment, as CTVERIFY_TRAIL_ARN or CTVERIFY_START; the command line counts more.

Exit codes:
  0 verified   1 violated   2 wrong command line or file   3 inconclusive   4 could not run   130 interrupted";

/// Prove that AWS CloudTrail log files are the ones CloudTrail delivered.
///
/// Walks the chain of signed digest files, verifies each signature with AWS's public keys, checks every log file against its
/// recorded hash, and says which are intact, modified or deleted.
#[derive(Debug, Parser)]
#[command(version, color = ColorChoice::Auto, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub verify: VerifyArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether these log files are as CloudTrail delivered them: find the digests that list them, and verify those and
    /// their links on both sides.
    File(FileArgs),
    /// Copy a trail's digests, log files, metadata and public keys into an evidence bag (BagIt), verifying as it goes. Goes on where an
    /// earlier run stopped
    Collect(Box<CollectArgs>),
    /// Note in a bag's custody log that it is handed over
    Handover(HandoverArgs),
    /// Make reports from records that were saved with --report jsonl=FILE: the costly run happens once
    Report(RemakeArgs),
    /// Check a report's signature, and its content against the records it was made from
    VerifyReport(VerifyReportArgs),
    /// Print the JSON Schema of the records
    Schema,
    /// Check a configuration file
    Config(ConfigArgs),
    /// Print what makes a shell complete commands, flags and their values
    Completions(CompletionsArgs),
    /// Print the man page, or one of a command
    Man(ManArgs),
    /// Unpack a small signed trail, verify it, and say what to break to see a tampering found.
    Demo(DemoArgs),
}

#[derive(Debug, ClapArgs)]
pub struct FileArgs {
    /// Log files: s3://BUCKET/KEY, or with --from also paths in that folder; '-' reads more names from standard input, one a line
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub reports: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub struct CollectArgs {
    /// The bag: a new or empty folder, or a bag that was begun for the same source
    #[arg(long, env = "CTVERIFY_OUTPUT", hide_env = true, short, value_name = "DIR")]
    pub output: PathBuf,

    /// Pack the bag into one file, too
    #[arg(long, env = "CTVERIFY_ZIP", hide_env = true, value_name = "FILE")]
    pub zip: Option<PathBuf>,

    #[command(flatten)]
    pub verify: VerifyArgs,
}

#[derive(Debug, ClapArgs)]
pub struct HandoverArgs {
    /// The bag
    #[arg(value_name = "BAG")]
    pub bag: PathBuf,

    /// To whom
    #[arg(long, env = "CTVERIFY_TO", hide_env = true, value_name = "NAME")]
    pub to: String,

    /// Why
    #[arg(long, env = "CTVERIFY_REASON", hide_env = true, value_name = "TEXT")]
    pub reason: String,

    /// By whom
    #[arg(long, env = "CTVERIFY_EXAMINER", hide_env = true, value_name = "NAME")]
    pub examiner: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct RemakeArgs {
    /// The records, as --report jsonl=FILE wrote them
    #[arg(value_name = "RECORDS")]
    pub records: PathBuf,

    #[command(flatten)]
    pub reports: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub struct VerifyReportArgs {
    /// The report
    #[arg(value_name = "FILE")]
    pub report: PathBuf,

    /// The signature [default: FILE.sig]
    #[arg(long, env = "CTVERIFY_SIGNATURE", hide_env = true, value_name = "FILE")]
    pub signature: Option<PathBuf>,

    /// The examiner's public key, or a file of allowed signers as ssh-keygen takes it; without it nobody can say whose signature it is
    #[arg(long, env = "CTVERIFY_SIGNER", hide_env = true, value_name = "FILE")]
    pub signer: Option<PathBuf>,

    /// The records the report was made from: it is made again and compared
    #[arg(long, env = "CTVERIFY_RECORDS", hide_env = true, value_name = "RECORDS")]
    pub records: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the file as --config does, and say what it comes to; asks nothing of AWS
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl ConfigArgs {
    /// The file.
    pub fn file(&self) -> &std::path::Path {
        let ConfigCommand::Check { file } = &self.command;
        file
    }
}

impl Args {
    /// What is logged, where the command does anything worth logging.
    pub fn logs(&self) -> Option<&LogArgs> {
        let reports = match &self.command {
            None => &self.verify.reports,
            Some(Command::File(file)) => &file.reports,
            Some(Command::Collect(collect)) => &collect.verify.reports,
            Some(Command::Report(report)) => &report.reports,
            Some(_) => return None,
        };
        Some(&reports.logs)
    }
}

/// What is logged.
#[derive(Debug, Clone, ClapArgs)]
pub struct LogArgs {
    /// Log what the run does to standard error, for whoever collects that; there is no progress line then
    #[arg(long, env = "CTVERIFY_LOG_FORMAT", hide_env = true, value_enum, help_heading = "Logs")]
    pub log_format: Option<LogFormat>,

    /// How much is logged: error, warn, info, debug or trace; from debug on, what the AWS SDK says, too
    #[arg(
        long,
        env = "CTVERIFY_LOG_LEVEL",
        hide_env = true,
        value_name = "LEVEL",
        default_value = "info",
        help_heading = "Logs"
    )]
    pub log_level: tracing::Level,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
pub struct ManArgs {
    /// The command, such as collect
    pub command: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct DemoArgs {
    /// Where to unpack it; a new folder.
    #[arg(default_value = "ctverify-demo")]
    pub dir: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct VerifyArgs {
    /// Several trails in one run: a TOML file with these flags as settings, for all of them and, under [[trail]], for each. The environment
    /// counts more, and the command line most
    #[arg(long, env = "CTVERIFY_CONFIG", hide_env = true, value_name = "FILE", help_heading = "What to verify")]
    pub config: Option<PathBuf>,

    /// The trail. Without it, every trail found at the location is verified.
    #[arg(long, env = "CTVERIFY_TRAIL_ARN", hide_env = true, value_name = "ARN", help_heading = "What to verify")]
    pub trail_arn: Option<TrailArn>,

    /// Begin of the range: RFC 3339, a date, 20260301T000000Z, or an age such as 24h or 7d [default: each chain's first digest]
    #[arg(long, env = "CTVERIFY_START", hide_env = true, visible_alias = "start-time", value_name = "TIME", value_parser = time_argument::parse, help_heading = "What to verify")]
    pub start: Option<TimeArgument>,

    /// End of the range, in the same forms [default: now; for a local copy, each chain's last digest]
    #[arg(long, env = "CTVERIFY_END", hide_env = true, visible_alias = "end-time", value_name = "TIME", value_parser = time_argument::parse, help_heading = "What to verify")]
    pub end: Option<TimeArgument>,

    /// Only these accounts (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_ACCOUNT_ID",
        hide_env = true,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "What to verify"
    )]
    pub account_id: Vec<AccountId>,

    /// Only these regions (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_REGIONS",
        hide_env = true,
        value_name = "REGION",
        value_delimiter = ',',
        help_heading = "What to verify"
    )]
    pub regions: Vec<Region>,

    /// How deep to look: chain (digests only), presence (also whether each log file exists, by listing), content
    #[arg(long, env = "CTVERIFY_DEPTH", hide_env = true, value_parser = parse_depth, default_value = "content", value_name = "DEPTH", help_heading = "What to verify")]
    pub depth: Depth,

    /// Read a random part of the log files only: so many, or so many percent (2000, or 5%). Digests and the existence of every
    /// file are checked all the same, and the report says what the sample bounds
    #[arg(long, env = "CTVERIFY_SAMPLE", hide_env = true, value_parser = parse_sample, value_name = "N|P%", help_heading = "What to verify")]
    pub sample: Option<SampleSize>,

    /// Draw the sample that an earlier report names by this seed
    #[arg(long, env = "CTVERIFY_SEED", hide_env = true, value_name = "N", requires = "sample", value_parser = clap::value_parser!(u64).range(..=MAX_SEED), help_heading = "What to verify")]
    pub seed: Option<u64>,

    /// Say what the run would read, how long it would take and what S3 would charge; lists, and reads a few digests alone
    #[arg(long, env = "CTVERIFY_ESTIMATE", hide_env = true, help_heading = "What to verify", conflicts_with_all = ["from", "report"])]
    pub estimate: bool,

    /// Prices for the estimate in US dollars, as get=0.0004,list=0.005,gb=0.09: a thousand GETs, a thousand LISTs, a GB of transfer
    #[arg(long, env = "CTVERIFY_PRICES", hide_env = true, value_name = "NAME=DOLLARS", value_delimiter = ',', value_parser = parse_price, requires = "estimate", help_heading = "What to verify")]
    pub prices: Vec<(Price, f64)>,

    /// An account that has to be there: without any digest of it, the report has a gap (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_EXPECT_ACCOUNT",
        hide_env = true,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "What has to be there"
    )]
    pub expect_account: Vec<AccountId>,

    /// A region in which every account has to have digests (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_EXPECT_REGION",
        hide_env = true,
        value_name = "REGION",
        value_delimiter = ',',
        help_heading = "What has to be there"
    )]
    pub expect_region: Vec<Region>,

    /// The trail's bucket [default: what GetTrail tells]
    #[arg(
        long,
        env = "CTVERIFY_BUCKET",
        hide_env = true,
        visible_alias = "s3-bucket",
        value_name = "NAME",
        conflicts_with = "from",
        help_heading = "Where to look"
    )]
    pub bucket: Option<String>,

    /// The key prefix before AWSLogs/
    #[arg(
        long,
        env = "CTVERIFY_PREFIX",
        hide_env = true,
        visible_alias = "s3-prefix",
        value_name = "PREFIX",
        requires = "bucket",
        help_heading = "Where to look"
    )]
    pub prefix: Option<String>,

    /// The organization whose folder holds the digests [default: whichever is found]
    #[arg(
        long,
        env = "CTVERIFY_ORGANIZATION_ID",
        hide_env = true,
        value_name = "O-ID",
        help_heading = "Where to look"
    )]
    pub organization_id: Option<OrganizationId>,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub scheduled: StateArgs,

    #[command(flatten)]
    pub notices: NoticeArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    /// Keep a kind in the reports and out of the verdict: gap, gap:CAUSE, unlisted, or sample (repeatable, or comma-separated)
    #[arg(long, env = "CTVERIFY_ALLOW", hide_env = true, value_name = "KIND", value_delimiter = ',', value_parser = parse_allowance, help_heading = "Verdict")]
    pub allow: Vec<Allowance>,
}

/// What a scheduled audit keeps.
#[derive(Debug, Clone, ClapArgs)]
pub struct StateArgs {
    /// Keep here, in a file or as s3://BUCKET/KEY, up to where each chain is verified: the next run goes on from there, needs no --start, and checks
    /// that history still leads there
    #[arg(long, env = "CTVERIFY_STATE", hide_env = true, value_name = "FILE", conflicts_with_all = ["sample", "estimate"], help_heading = "Scheduled audit")]
    pub state: Option<Name>,

    /// How long after its hour a digest may still come before its absence counts [default: 2h]
    #[arg(long, env = "CTVERIFY_GRACE", hide_env = true, value_name = "AGE", value_parser = time_argument::age, help_heading = "Scheduled audit")]
    pub grace: Option<SignedDuration>,

    /// Read a random part of what earlier runs proved once more: so many of a hundred digests, with their log files
    #[arg(long, env = "CTVERIFY_RECHECK", hide_env = true, value_name = "P%", value_parser = parse_share, requires = "state", help_heading = "Scheduled audit")]
    pub recheck: Option<f64>,
}

/// Who is told of what a run found.
#[derive(Debug, Clone, ClapArgs)]
pub struct NoticeArgs {
    /// Tell this SNS topic, or POST a signed webhook: sns:TOPIC-ARN or webhook:URL (repeatable). A notice that can't be delivered ends the run
    /// with 4, after its reports were written
    #[arg(
        long,
        env = "CTVERIFY_NOTIFY",
        hide_env = true,
        value_name = "TARGET",
        value_delimiter = ' ',
        help_heading = "Notices"
    )]
    pub notify: Vec<Target>,

    /// When: on change (another verdict than the last run's, or new findings; without --state, any verdict but 'verified'), or on every
    /// violation
    #[arg(long, env = "CTVERIFY_NOTIFY_ON", hide_env = true, value_enum, default_value_t = NotifyOn::Change, help_heading = "Notices")]
    pub notify_on: NotifyOn,

    /// The secret that webhooks are signed with, as whsec_… or any text of 24 bytes and more [default: the variable
    /// CTVERIFY_WEBHOOK_SECRET]
    #[arg(
        long,
        env = "CTVERIFY_WEBHOOK_SECRET_FILE",
        hide_env = true,
        value_name = "FILE",
        requires = "notify",
        help_heading = "Notices"
    )]
    pub webhook_secret_file: Option<PathBuf>,
}

/// When a notice is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NotifyOn {
    /// Where something is new
    Change,
    /// After each run that came to 'violated'
    Violation,
}

/// Where bytes and keys come from.
#[derive(Debug, Clone, ClapArgs)]
pub struct SourceArgs {
    /// A local copy of the bucket, such as 'aws s3 sync' makes, or an evidence bag; nothing is asked of AWS
    #[arg(long, env = "CTVERIFY_FROM", hide_env = true, value_name = "DIR", help_heading = "Where to look")]
    pub from: Option<PathBuf>,

    /// Public keys, as 'aws cloudtrail list-public-keys' prints them, or {REGION: that, …} [default for a bag: its own]
    #[arg(long, env = "CTVERIFY_KEYS", hide_env = true, value_name = "FILE", help_heading = "Where to look")]
    pub keys: Option<PathBuf>,

    /// Compare the public keys of a bag, or of --keys, with those that CloudTrail publishes: asks AWS
    #[arg(long, env = "CTVERIFY_CHECK_KEYS", hide_env = true, help_heading = "Where to look")]
    pub check_keys: bool,

    /// The bucket that the digests record, where the one that is read is a replica or a restored copy of it
    #[arg(
        long,
        env = "CTVERIFY_RECORDED_BUCKET",
        hide_env = true,
        value_name = "NAME",
        help_heading = "Where to look"
    )]
    pub recorded_bucket: Option<String>,

    /// The uncompressed size to which a log file is read, such as 100GiB; a larger one is unverified [default: 64GiB]
    #[arg(
        long,
        env = "CTVERIFY_MAX_LOG_FILE_SIZE",
        hide_env = true,
        value_name = "SIZE",
        help_heading = "What to verify"
    )]
    pub max_log_file_size: Option<ByteSize>,

    /// Profile of the AWS configuration
    #[arg(long, env = "CTVERIFY_PROFILE", hide_env = true, value_name = "NAME", help_heading = "AWS")]
    pub profile: Option<String>,

    /// Region of the API calls that need one; filters nothing
    #[arg(long, env = "CTVERIFY_REGION", hide_env = true, value_name = "REGION", help_heading = "AWS")]
    pub region: Option<Region>,

    /// Another endpoint for every AWS service
    #[arg(long, env = "CTVERIFY_ENDPOINT_URL", hide_env = true, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,

    /// How many objects are read at once [default: 192 from S3, fewer while it asks to slow down; the number of cores from a folder]
    #[arg(long, env = "CTVERIFY_CONCURRENCY", hide_env = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096), help_heading = "AWS")]
    pub concurrency: Option<u16>,
}

/// What is written where.
#[derive(Debug, Clone, ClapArgs)]
pub struct ReportArgs {
    /// What is written to standard output
    #[arg(long, env = "CTVERIFY_FORMAT", hide_env = true, value_enum, default_value_t = Format::Text, help_heading = "Reports")]
    pub format: Format,

    /// A further report of the same run (repeatable). KIND: text, jsonl, json, csv, prometheus, junit, sarif, ocsf, asff (for Security Hub), emf (for
    /// CloudWatch), html (chain of custody, a page to print), custody (the same as JSON), intoto (a signed statement)
    #[arg(long, env = "CTVERIFY_REPORT", hide_env = true, value_name = "KIND=PATH", value_parser = parse_report, help_heading = "Reports")]
    pub report: Vec<(ReportKind, PathBuf)>,

    #[command(flatten)]
    pub evidence: EvidenceArgs,

    #[command(flatten)]
    pub logs: LogArgs,

    /// List the valid digests and intact log files in text, too
    #[arg(short, long, env = "CTVERIFY_VERBOSE", hide_env = true, help_heading = "Reports")]
    pub verbose: bool,

    /// Keep text and progress silent when all is well
    #[arg(short, long, env = "CTVERIFY_QUIET", hide_env = true, help_heading = "Reports")]
    pub quiet: bool,

    /// When to use colour
    #[arg(long, env = "CTVERIFY_COLOR", hide_env = true, value_enum, default_value_t = ColorChoice::Auto, help_heading = "Reports")]
    pub color: ColorChoice,
}

/// What a report that is evidence says of its case, and who signs it.
#[derive(Debug, ClapArgs, Default, Clone)]
pub struct EvidenceArgs {
    /// The case that reports are for
    #[arg(long, env = "CTVERIFY_CASE", hide_env = true, value_name = "TEXT", help_heading = "Evidence")]
    pub case: Option<String>,

    /// The exhibit
    #[arg(long, env = "CTVERIFY_EXHIBIT", hide_env = true, value_name = "TEXT", help_heading = "Evidence")]
    pub exhibit: Option<String>,

    /// Who examines it
    #[arg(long, env = "CTVERIFY_EXAMINER", hide_env = true, value_name = "NAME", help_heading = "Evidence")]
    pub examiner: Option<String>,

    /// Something that reports shall say (repeatable)
    #[arg(long, env = "CTVERIFY_NOTE", hide_env = true, value_name = "TEXT", help_heading = "Evidence")]
    pub note: Vec<String>,

    /// The same in a file: {"case": …, "exhibit": …, "examiner": …, "notes": […]}; flags count more
    #[arg(long, env = "CTVERIFY_CASE_FILE", hide_env = true, value_name = "FILE", help_heading = "Evidence")]
    pub case_file: Option<PathBuf>,

    /// Sign each report with this SSH key, as REPORT.sig; an in-toto statement also with an Ed25519 or P-256 key in PEM. A passphrase is
    /// asked for, or taken from CTVERIFY_SIGN_PASSPHRASE
    #[arg(long, env = "CTVERIFY_SIGN_KEY", hide_env = true, value_name = "KEY", help_heading = "Evidence")]
    pub sign_key: Option<PathBuf>,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportKind {
    /// For people, as plain text
    Text,
    /// One JSON object a line
    Jsonl,
    /// One JSON document
    Json,
    /// A table for spreadsheets
    Csv,
    /// Metrics for Prometheus' textfile collector
    Prometheus,
    /// Test results
    Junit,
    /// SARIF 2.1.0
    Sarif,
    /// OCSF detection findings, one a line
    Ocsf,
    /// Findings for Security Hub: each line is one batch for batch-import-findings
    Asff,
    /// Metrics in CloudWatch's embedded metric format
    Emf,
    /// The chain-of-custody report as a page
    Html,
    /// The same facts as JSON
    Custody,
    /// An in-toto statement in a DSSE envelope
    Intoto,
}

impl From<Format> for ReportKind {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Jsonl => Self::Jsonl,
            Format::Json => Self::Json,
        }
    }
}

impl ReportArgs {
    /// Whether anything that is asked for tells of who ran it.
    pub fn is_evidence(&self) -> bool {
        let evidence = |kind: &ReportKind| matches!(kind, ReportKind::Html | ReportKind::Custody | ReportKind::Intoto);
        let EvidenceArgs { case, exhibit, examiner, note, case_file, sign_key } = &self.evidence;
        self.report.iter().any(|(kind, _)| evidence(kind))
            || [case, exhibit, examiner].iter().any(|text| text.is_some())
            || [case_file, sign_key].iter().any(|path| path.is_some())
            || !note.is_empty()
    }
}

/// Seeds stay within what every JSON reader can hold exactly.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Jsonl,
    /// One JSON document
    Json,
}

/// Something that S3 charges for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    Get,
    List,
    Gigabyte,
}

fn parse_price(text: &str) -> Result<(Price, f64), String> {
    let (name, dollars) = text.split_once('=').ok_or("write a price as get=0.0004")?;
    let price = match name {
        "get" => Price::Get,
        "list" => Price::List,
        "gb" => Price::Gigabyte,
        _ => return Err(format!("there is no price '{name}': choose get, list or gb")),
    };
    let dollars: f64 = dollars.parse().map_err(|_| format!("'{dollars}' is no number of dollars"))?;
    if dollars.is_finite() && dollars >= 0.0 { Ok((price, dollars)) } else { Err("a price is not negative".to_owned()) }
}

/// One kind of finding that is kept out of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    EveryGap,
    Gap(GapCause),
    Unlisted,
    Sample,
}

fn parse_report(text: &str) -> Result<(ReportKind, PathBuf), String> {
    let (kind, path) = text.split_once('=').ok_or("a report is written as KIND=PATH, such as jsonl=records.jsonl")?;
    let format = ReportKind::from_str(kind, false).map_err(|_| {
        let kinds: Vec<String> = ReportKind::value_variants()
            .iter()
            .filter_map(|kind| Some(kind.to_possible_value()?.get_name().to_owned()))
            .collect();
        format!("there is no report '{kind}': choose one of {}", kinds.join(", "))
    })?;
    if path.is_empty() { Err("the report's path is missing after '='".to_owned()) } else { Ok((format, path.into())) }
}

fn parse_sample(text: &str) -> Result<SampleSize, String> {
    let wrong = || "write a number of log files, such as 2000, or a share of them, such as 5%".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => match percent.trim().parse::<f64>() {
            Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(SampleSize::Percent(percent)),
            Ok(_) => Err("a share lies above 0% and goes up to 100%".to_owned()),
            Err(_) => Err(wrong()),
        },
        None => match text.parse() {
            Ok(0) => Err("a sample has at least one log file".to_owned()),
            Ok(files) => Ok(SampleSize::Files(files)),
            Err(_) => Err(wrong()),
        },
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match parse_sample(text)? {
        SampleSize::Percent(percent) => Ok(percent),
        SampleSize::Files(_) => Err("write a share, such as 5%".to_owned()),
    }
}

fn parse_depth(text: &str) -> Result<Depth, String> {
    let found = Depth::ALL.iter().find(|depth| depth.as_str() == text);
    found.copied().ok_or_else(|| "choose chain, presence or content".to_owned())
}

fn parse_allowance(text: &str) -> Result<Allowance, String> {
    match text.split_once(':') {
        None if text == "gap" => Ok(Allowance::EveryGap),
        None if text == "unlisted" => Ok(Allowance::Unlisted),
        None if text == "sample" => Ok(Allowance::Sample),
        Some(("gap", cause)) => {
            let found = GapCause::ALL.iter().find(|known| known.as_str() == cause);
            found.copied().map(Allowance::Gap).ok_or_else(|| {
                let known: Vec<&str> = GapCause::ALL.iter().map(|cause| cause.as_str()).collect();
                format!("there is no gap cause '{cause}': choose one of {}", known.join(", "))
            })
        }
        _ => Err(format!("'{text}' can't be allowed: choose gap, gap:CAUSE, unlisted or sample")),
    }
}
