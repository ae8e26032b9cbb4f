//! The command line as the user types it. The module `resolve` turns it into the inputs of a run.

mod distributed;
mod event;
mod events;
mod overview;
mod reports;
mod scheduled;
mod values;
mod verify;

use std::path::PathBuf;

use clap::builder::{FalseyValueParser, NonEmptyStringValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as ClapArgs, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub(super) use distributed::{MergeArgs, PlanArgs, PlanFormat, ShardArgs};
pub(super) use event::{EventArgs, EventForm};
pub(super) use events::{ConditionArgs, EventFormat, EventsArgs};
pub(super) use reports::{EvidenceArgs, Format, LogArgs, LogFormat, ReportArgs, ReportKind, StandardOutput};
pub(super) use scheduled::{NoticeArgs, NotifyOn};
pub(super) use values::{Allowance, MAX_SEED, Price, RegionChoice};
pub(super) use verify::{AwsArgs, CopyArgs, FailOn, SelectArgs, SourceArgs, VerifyArgs};

use super::secrets::without_secrets;
use crate::checkpoint::Name;
use crate::model::{FindingId, TimeArgument, parse_time};
use crate::records::Setting;

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
/// Follows the chain of signed digest files, verifies each signature with the public keys that
/// CloudTrail publishes or a file holds, checks the log files against their recorded hashes (all of
/// them, unless --depth or --sample asks for less), and says which are intact, modified or deleted.
#[derive(Debug, Parser)]
#[command(version, color = ColorChoice::Auto, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub verify: VerifyArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Verify single log files
    ///
    /// Finds the digests that list the log files, and verifies those digests, their links on both
    /// sides, and the files.
    File(FileArgs),
    /// Emit the events of log files that are proven
    ///
    /// Verifies as the main command does, and emits the records of log files that it finds intact, in
    /// their original bytes, and nothing of any other file. The conditions on events change neither
    /// what is verified nor the verdict, which the exit code tells. Each condition that is given has to
    /// hold; of several values of one, any. In names, * stands for any characters and ? for one.
    Events(Box<EventsArgs>),
    /// Prove single events, or compare given ones
    ///
    /// Verifies as the main command does, up to the log file that has the event, and says how the event
    /// is proven. With --match, says of each event in a file whether it is genuine. Exit codes: 0
    /// proven or genuine, 1 altered, 3 not found in what was verified.
    Event(Box<EventArgs>),
    /// Copy a trail into an evidence bag, verifying it
    ///
    /// Copies digests, the log files that --depth asks for, metadata and public keys into a bag
    /// (BagIt), and goes on where an earlier run stopped.
    Collect(Box<CollectArgs>),
    /// Note in a bag's custody log that it is handed over
    Handover(HandoverArgs),
    /// Acknowledge findings of a scheduled audit
    ///
    /// Later runs keep acknowledged findings out of the verdict. Without an ID, lists those that are
    /// open.
    Ack(AckArgs),
    /// Cut a large run into units of work for many machines
    ///
    /// Finds the chains, asks what only one run may ask (the trail's status, public keys, lifecycle
    /// rules), and counts objects by listing.
    Plan(Box<PlanArgs>),
    /// Verify units of a plan, on any machine
    ///
    /// Findings are in the result, and the exit code is 0; 4 says that a unit has no result and can be
    /// run again.
    Shard(Box<ShardArgs>),
    /// Merge the units' results into one verdict
    ///
    /// Refuses results that are missing, cut short, conflicting or of another plan, and judges what only
    /// the whole shows. The records are those of a run on one machine.
    Merge(Box<MergeArgs>),
    /// Write the public keys of each region to a file for --keys
    ///
    /// Asks CloudTrail (ListPublicKeys) in each region.
    Keys(KeysArgs),
    /// Make reports from records that were saved
    ///
    /// Takes what --report jsonl=FILE wrote, so that the costly run happens once.
    Report(RemakeArgs),
    /// Check a report's signature and content
    ///
    /// With --records, compares the content with the records that the report was made from.
    VerifyReport(VerifyReportArgs),
    /// Print the JSON Schema of the records
    Schema,
    /// Check a configuration file
    Config(ConfigArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Print the man page, or one of a command
    Man(ManArgs),
    /// Try it on a small trail, and see a tampering found
    ///
    /// Unpacks a small signed trail, verifies it, and says what to break.
    Demo(DemoArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct FileArgs {
    /// Log files: s3://BUCKET/KEY, or with --from also paths of files in the copy; '-' reads more names
    /// from standard input, one a line
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,

    #[command(flatten)]
    pub copy: CopyArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub reports: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct CollectArgs {
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
pub(super) struct HandoverArgs {
    /// The bag
    #[arg(value_name = "BAG")]
    pub bag: PathBuf,

    /// To whom
    #[arg(
        long,
        env = "CTVERIFY_TO",
        hide_env = true,
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub to: String,

    /// Why
    #[arg(
        long,
        env = "CTVERIFY_REASON",
        hide_env = true,
        value_name = "TEXT",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub reason: String,

    /// By whom
    #[arg(long, env = "CTVERIFY_EXAMINER", hide_env = true, value_name = "NAME")]
    pub examiner: Option<String>,

    /// Sign the custody log with this SSH key. A passphrase is asked for, or taken from
    /// CTVERIFY_SIGN_PASSPHRASE
    #[arg(long, env = "CTVERIFY_SIGN_KEY", hide_env = true, value_name = "KEY")]
    pub sign_key: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct AckArgs {
    /// The findings, by the identifiers that reports have beside them
    #[arg(value_name = "ID")]
    pub ids: Vec<FindingId>,

    /// The checkpoint of the audit: a file, or s3://BUCKET/KEY
    #[arg(long, env = "CTVERIFY_STATE", hide_env = true, value_name = "FILE")]
    pub state: Name,

    /// Why they need no further alarm
    #[arg(long, env = "CTVERIFY_REASON", hide_env = true, value_name = "TEXT", conflicts_with = "revoke")]
    pub reason: Option<String>,

    /// The name of the person who says so
    #[arg(long, env = "CTVERIFY_BY", hide_env = true, value_name = "NAME", conflicts_with = "revoke")]
    pub by: Option<String>,

    /// All that are open, also those of which the checkpoint has only the number
    #[arg(long, env = "CTVERIFY_ALL", hide_env = true, value_parser = FalseyValueParser::new(), conflicts_with = "ids")]
    pub all: bool,

    /// Undo the acknowledgement: the findings count again
    #[arg(long, env = "CTVERIFY_REVOKE", hide_env = true, value_parser = FalseyValueParser::new())]
    pub revoke: bool,

    #[command(flatten)]
    pub aws: AwsArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct KeysArgs {
    /// The file, which must not exist yet
    #[arg(long, env = "CTVERIFY_OUTPUT", hide_env = true, short, value_name = "FILE")]
    pub output: PathBuf,

    /// These regions, or all that this version knows of the partition (repeatable, or
    /// comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_REGIONS",
        hide_env = true,
        value_name = "all|REGION",
        value_delimiter = ',',
        default_value = "all"
    )]
    pub regions: Vec<RegionChoice>,

    /// Keys of digests from this time on, in the forms that verification takes [default: 2013-11-01,
    /// when CloudTrail began]
    #[arg(
        long,
        env = "CTVERIFY_START",
        hide_env = true,
        allow_hyphen_values = true,
        visible_alias = "start-time",
        value_name = "TIME",
        value_parser = parse_time
    )]
    pub start: Option<TimeArgument>,

    /// Keys of digests up to this time [default: now]
    #[arg(
        long,
        env = "CTVERIFY_END",
        hide_env = true,
        allow_hyphen_values = true,
        visible_alias = "end-time",
        value_name = "TIME",
        value_parser = parse_time
    )]
    pub end: Option<TimeArgument>,

    #[command(flatten)]
    pub aws: AwsArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RemakeArgs {
    /// The records, as --report jsonl=FILE wrote them; '-' reads them from standard input
    #[arg(value_name = "RECORDS")]
    pub records: PathBuf,

    #[command(flatten)]
    pub reports: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct VerifyReportArgs {
    /// The report
    #[arg(value_name = "FILE")]
    pub report: PathBuf,

    /// The signature [default: FILE.sig]
    #[arg(long, env = "CTVERIFY_SIGNATURE", hide_env = true, value_name = "FILE")]
    pub signature: Option<PathBuf>,

    /// The examiner's public key (OpenSSH, or Ed25519 or P-256 in PEM), or a file of allowed
    /// signers as ssh-keygen takes it; without it nobody can say whose signature it is
    #[arg(long, env = "CTVERIFY_SIGNER", hide_env = true, value_name = "FILE")]
    pub signer: Option<PathBuf>,

    /// The records the report was made from: it is made again and compared
    #[arg(long, env = "CTVERIFY_RECORDS", hide_env = true, value_name = "RECORDS")]
    pub records: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the file as --config does, and say what it comes to; asks nothing of AWS
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// The command line, as clap knows it. A variable that is set and empty counts as not set; without
/// `environment`, none counts.
pub(super) fn definition(environment: bool) -> clap::Command {
    fn heed(mut command: clap::Command, environment: bool) -> clap::Command {
        let counts = |argument: &clap::Arg| {
            let value = argument.get_env().and_then(std::env::var_os);
            environment && value.is_none_or(|value| !value.is_empty())
        };
        command = command.mut_args(|argument| if counts(&argument) { argument } else { argument.env(None::<&str>) });
        let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        names.iter().fold(command, |command, name| command.mut_subcommand(name, |command| heed(command, environment)))
    }
    heed(Args::command(), environment)
}

impl Args {
    /// Reads a command line.
    pub(super) fn read<I, T>(words: I, environment: bool) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let words: Vec<std::ffi::OsString> = words.into_iter().map(Into::into).collect();
        let definition = definition(environment);
        // The help of the main command is one screen; 'ctverify help' is the whole of it.
        let mut shown = definition.clone();
        if !matches!(&words[..], [_, only] if only == "help") {
            shown = shown.override_help(overview::overview(&definition));
        }
        let matches = shown.try_get_matches_from(words)?;
        let mut args = Self::from_arg_matches(&matches)?;
        let given = settings(&definition, &matches);
        match &mut args.command {
            Some(Command::Plan(plan)) => plan.settings = given,
            Some(Command::Events(events)) => events.settings = given,
            Some(Command::Event(event)) => event.settings = given,
            _ => {
                if let Some(reports) = args.reports_mut() {
                    reports.settings = given;
                }
            }
        }
        Ok(args)
    }
}

/// Returns the settings that were given, with their origin.
fn settings(command: &clap::Command, matches: &ArgMatches) -> Vec<Setting> {
    let mut found = Vec::new();
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let from = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "command line".to_owned(),
            Some(ValueSource::EnvVariable) => {
                argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
            _ => continue,
        };
        let name = argument.get_long().map_or_else(|| id.to_uppercase(), |long| format!("--{long}"));
        let values = matches.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy().into_owned());
        let values = if argument.get_action().takes_values() { values.collect() } else { vec!["true".to_owned()] };
        let value = without_secrets(values.into_iter()).join(",");
        found.push(Setting { name, value, from });
    }
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        found.extend(settings(command, matches));
    }
    found
}

impl Args {
    /// Returns the report arguments of the command, if it has any: their reports state the settings.
    fn reports_mut(&mut self) -> Option<&mut ReportArgs> {
        match &mut self.command {
            Some(Command::Merge(merge)) => Some(&mut merge.reports),
            None => Some(&mut self.verify.reports),
            Some(Command::File(file)) => Some(&mut file.reports),
            Some(Command::Collect(collect)) => Some(&mut collect.verify.reports),
            Some(Command::Report(report)) => Some(&mut report.reports),
            Some(_) => None,
        }
    }
}

impl ConfigArgs {
    /// The file.
    pub(super) fn file(&self) -> &std::path::Path {
        let ConfigCommand::Check { file } = &self.command;
        file
    }
}

impl Args {
    /// What is logged, where the command does anything worth logging.
    pub(super) fn logs(&self) -> Option<&LogArgs> {
        let reports = match &self.command {
            None => &self.verify.reports,
            Some(Command::File(file)) => &file.reports,
            Some(Command::Collect(collect)) => &collect.verify.reports,
            Some(Command::Report(report)) => &report.reports,
            Some(Command::Merge(merge)) => &merge.reports,
            Some(Command::Plan(plan)) => return Some(&plan.logs),
            Some(Command::Events(events)) => return Some(&events.logs),
            Some(Command::Event(event)) => return Some(&event.logs),
            Some(Command::Shard(shard)) => return Some(&shard.logs),
            Some(_) => return None,
        };
        Some(&reports.logs)
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ManArgs {
    /// The command, such as collect
    pub command: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DemoArgs {
    /// The folder to unpack it into: a new one, or one that an earlier demo made
    #[arg(default_value = "ctverify-demo")]
    pub dir: PathBuf,
}
