//! Arguments of the command that emits proven events.

use std::path::PathBuf;

use clap::builder::{FalseyValueParser, NonEmptyStringValueParser};
use clap::{Args as ClapArgs, ValueEnum};

use super::reports::{EvidenceArgs, LogArgs, ReportArgs, ReportKind, StandardOutput, report_parser};
use super::scheduled::StateArgs;
use super::values::{Allowance, Suggested, allowance_suggestions, parse_allowance};
use super::verify::{CopyArgs, FailArgs, SelectArgs, SourceArgs, VerifyArgs};
use crate::events::{AddressPattern, CountField, JqCondition};
use crate::model::{TimeArgument, parse_age, parse_time};
use crate::records::Setting;

#[derive(Debug, ClapArgs)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub conditions: ConditionArgs,

    /// The form in which events are written
    #[arg(
        long,
        env = "CTVERIFY_FORMAT",
        hide_env = true,
        value_enum,
        default_value_t = EventFormat::Jsonl,
        help_heading = "Output"
    )]
    pub format: EventFormat,

    /// Write the events to this file, which appears once it is complete [default: standard output]
    #[arg(long, env = "CTVERIFY_OUTPUT", hide_env = true, short, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Write the events as a table of Parquet files into this folder, which has to be empty: the columns of
    /// Athena's table for CloudTrail, the record and its proof, in folders by the event's day. They appear
    /// once all are complete
    #[arg(
        long,
        env = "CTVERIFY_PARQUET",
        hide_env = true,
        value_name = "DIR",
        conflicts_with = "count_by",
        help_heading = "Output"
    )]
    pub parquet: Option<PathBuf>,

    /// Write no events, but their number, first and last time by these fields (comma-separated): paths in the
    /// record, such as eventName or userIdentity.arn, or account, region, actor, category, day, hour
    #[arg(
        long,
        env = "CTVERIFY_COUNT_BY",
        hide_env = true,
        value_name = "FIELD",
        value_delimiter = ',',
        help_heading = "Output"
    )]
    pub count_by: Vec<CountField>,

    /// Say nothing on standard error if nothing was left out and the logs are verified
    #[arg(
        short,
        long,
        env = "CTVERIFY_QUIET",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Output"
    )]
    pub quiet: bool,

    #[command(flatten)]
    pub what: SelectArgs,

    #[command(flatten)]
    pub copy: CopyArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    /// The custody log of the bag has to be signed by the holder of this public key, or of one in a
    /// file of allowed signers as ssh-keygen takes it
    #[arg(long, env = "CTVERIFY_SIGNER", hide_env = true, value_name = "FILE", help_heading = "Where to look")]
    pub signer: Option<PathBuf>,

    /// How long after its hour a digest may still come before its absence counts, at most 24h
    /// [default: 2h]
    #[arg(
        long,
        env = "CTVERIFY_GRACE",
        hide_env = true,
        value_name = "AGE",
        value_parser = parse_age,
        help_heading = "Verdict"
    )]
    pub grace: Option<jiff::SignedDuration>,

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

    /// A report on the verification (repeatable); the kinds are those of the main command
    #[arg(
        long,
        env = "CTVERIFY_REPORT",
        hide_env = true,
        value_name = "KIND=PATH",
        value_parser = report_parser(),
        hide_possible_values = true,
        help_heading = "Reports"
    )]
    pub report: Vec<(ReportKind, PathBuf)>,

    #[command(flatten)]
    pub evidence: EvidenceArgs,

    #[command(flatten)]
    pub logs: LogArgs,

    /// The settings that were given, with their origin.
    #[arg(skip)]
    pub settings: Vec<Setting>,
}

/// The conditions that an event has to meet.
#[derive(Debug, ClapArgs)]
pub(crate) struct ConditionArgs {
    /// Only the events with these identifiers
    #[arg(
        long,
        env = "CTVERIFY_EVENT_ID",
        hide_env = true,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub event_id: Vec<String>,

    /// Only calls of these names, such as StopLogging or 'Put*Policy'
    #[arg(
        long,
        env = "CTVERIFY_EVENT_NAME",
        hide_env = true,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub event_name: Vec<String>,

    /// Only calls of these services, such as s3.amazonaws.com
    #[arg(
        long,
        env = "CTVERIFY_EVENT_SOURCE",
        hide_env = true,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub event_source: Vec<String>,

    /// Only calls by this user, role or session of a role, by name; root for the root user (repeatable)
    #[arg(
        long,
        env = "CTVERIFY_USERNAME",
        hide_env = true,
        value_name = "NAME",
        help_heading = "Which events",
        value_parser = NonEmptyStringValueParser::new(),
    )]
    pub username: Vec<String>,

    /// Only calls with these access keys
    #[arg(
        long,
        env = "CTVERIFY_ACCESS_KEY_ID",
        hide_env = true,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub access_key_id: Vec<String>,

    /// Only calls about this resource: its ARN, its name, or a text that stands in the request or the
    /// response (repeatable)
    #[arg(
        long,
        env = "CTVERIFY_RESOURCE_NAME",
        hide_env = true,
        value_name = "NAME",
        help_heading = "Which events",
        value_parser = NonEmptyStringValueParser::new(),
    )]
    pub resource_name: Vec<String>,

    /// Only calls about resources of these types, such as AWS::S3::Bucket, where the event names them
    #[arg(
        long,
        env = "CTVERIFY_RESOURCE_TYPE",
        hide_env = true,
        value_name = "TYPE",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub resource_type: Vec<String>,

    /// Only calls that read, or with =false those that change something
    #[arg(
        long,
        env = "CTVERIFY_READ_ONLY",
        hide_env = true,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Which events"
    )]
    pub read_only: Option<bool>,

    /// Only calls by this identity, or by the role with this ARN (repeatable)
    #[arg(
        long,
        env = "CTVERIFY_ARN",
        hide_env = true,
        value_name = "ARN",
        help_heading = "Which events",
        value_parser = NonEmptyStringValueParser::new(),
    )]
    pub arn: Vec<String>,

    /// Only calls from these addresses, networks (198.51.100.0/24) or AWS services
    #[arg(
        long,
        env = "CTVERIFY_SOURCE_IP",
        hide_env = true,
        value_name = "CIDR",
        value_delimiter = ',',
        help_heading = "Which events"
    )]
    pub source_ip: Vec<AddressPattern>,

    /// Only calls that failed with these errors; '*' for all that failed
    #[arg(
        long,
        env = "CTVERIFY_ERROR_CODE",
        hide_env = true,
        value_name = "CODE",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub error_code: Vec<String>,

    /// Only events that name these regions; --regions chooses the log files that are read
    #[arg(
        long,
        env = "CTVERIFY_EVENT_REGION",
        hide_env = true,
        value_name = "REGION",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub event_region: Vec<String>,

    /// Only events of these accounts; --account-id chooses the log files that are read
    #[arg(
        long,
        env = "CTVERIFY_EVENT_ACCOUNT",
        hide_env = true,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub event_account: Vec<String>,

    /// Only events of these categories, such as Management, Data or Insight
    #[arg(
        long,
        env = "CTVERIFY_CATEGORY",
        hide_env = true,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Which events", value_parser = NonEmptyStringValueParser::new())]
    pub category: Vec<String>,

    /// Only events from this time on, in the forms of --start, which is about the delivery of log files
    #[arg(
        long,
        env = "CTVERIFY_AFTER",
        hide_env = true,
        allow_hyphen_values = true,
        value_name = "TIME",
        value_parser = parse_time,
        help_heading = "Which events"
    )]
    pub after: Option<TimeArgument>,

    /// Only events that meet this condition in the language of jq, such as '.userIdentity.type == "Root"'
    #[arg(
        long = "where",
        env = "CTVERIFY_WHERE",
        hide_env = true,
        value_name = "JQ",
        value_parser = parse_condition,
        help_heading = "Which events"
    )]
    pub condition: Option<String>,

    /// Only events that weaken logging or the protection of the logs, or failed calls that would: those
    /// that --report tampering=FILE has
    #[arg(
        long,
        env = "CTVERIFY_TAMPERING",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Which events"
    )]
    pub tampering: bool,

    /// Only events before this time
    #[arg(
        long,
        env = "CTVERIFY_BEFORE",
        hide_env = true,
        allow_hyphen_values = true,
        value_name = "TIME",
        value_parser = parse_time,
        help_heading = "Which events"
    )]
    pub before: Option<TimeArgument>,
}

/// Checks a condition, which is read again where it is used: it can't be copied.
fn parse_condition(text: &str) -> Result<String, String> {
    JqCondition::new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The form of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventFormat {
    /// A JSON object on a line: {"event": the record, "proof": where it stands}; the last line is a
    /// summary
    Jsonl,
    /// The records alone, each on a line
    Raw,
    /// A table for people
    Table,
    /// A table for spreadsheets
    Csv,
    /// Lines for Timesketch
    Timesketch,
    /// Lines as 'aws cloudtrail lookup-events' has its events, which plaso reads
    LookupEvents,
}

impl EventsArgs {
    /// The arguments of the verification that precedes the events.
    pub(crate) fn verification(&self) -> VerifyArgs {
        let standard = if self.output.is_some() { StandardOutput::Nothing } else { StandardOutput::Other };
        let reports = ReportArgs {
            report: self.report.clone(),
            evidence: self.evidence.clone(),
            quiet: self.quiet,
            ..ReportArgs::without_reports(standard, self.logs.clone(), self.settings.clone())
        };
        VerifyArgs {
            signer: self.signer.clone(),
            scheduled: StateArgs { grace: self.grace, ..StateArgs::default() },
            allow: self.allow.clone(),
            fail: self.fail.clone(),
            ..VerifyArgs::of(self.what.clone(), self.copy.clone(), self.source.clone(), reports)
        }
    }
}
