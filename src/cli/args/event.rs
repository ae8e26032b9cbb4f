//! Arguments of the command that proves single events.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args as ClapArgs, ValueEnum};

use super::reports::{LogArgs, ReportArgs, StandardOutput};
use super::verify::{CopyArgs, SelectArgs, SourceArgs, VerifyArgs};
use crate::records::Setting;

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "matched"]))]
pub(crate) struct EventArgs {
    /// The event: its eventID
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,

    /// Compare the events in this file with the proven ones: a record on each line, or an object that has one
    /// as 'event' or 'CloudTrailEvent'; '-' reads them from standard input
    #[arg(long = "match", env = "CTVERIFY_MATCH", hide_env = true, value_name = "FILE")]
    pub matched: Option<PathBuf>,

    /// The name of the field that has the record in each object of the file; of one inside of other objects,
    /// their names and its own with dots between them, such as '_source.event.original'
    #[arg(
        long,
        env = "CTVERIFY_MATCH_FIELD",
        hide_env = true,
        value_name = "NAME",
        requires = "matched",
        conflicts_with = "id"
    )]
    pub match_field: Option<String>,

    /// Write the proof to this ZIP file, which stands alone: the log file, the digest that lists it, those
    /// before and after it, the public keys, and a text for whoever gets it. 'ctverify event ID --from FILE.zip'
    /// verifies it offline
    #[arg(
        long,
        env = "CTVERIFY_OUTPUT",
        hide_env = true,
        short,
        value_name = "FILE.zip",
        conflicts_with = "matched",
        help_heading = "Output"
    )]
    pub output: Option<PathBuf>,

    /// The form of the result
    #[arg(long, env = "CTVERIFY_FORMAT", hide_env = true, value_enum, default_value_t = EventForm::Text)]
    pub format: EventForm,

    #[command(flatten)]
    pub what: SelectArgs,

    #[command(flatten)]
    pub copy: CopyArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub logs: LogArgs,

    /// The settings that were given, with their origin.
    #[arg(skip)]
    pub settings: Vec<Setting>,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventForm {
    /// For people
    Text,
    /// A JSON object on a line for each event
    Jsonl,
}

impl EventArgs {
    /// The arguments of the verification that proves the events.
    pub(crate) fn verification(&self) -> VerifyArgs {
        let reports = ReportArgs::without_reports(StandardOutput::Nothing, self.logs.clone(), self.settings.clone());
        VerifyArgs::of(self.what.clone(), self.copy.clone(), self.source.clone(), reports)
    }
}
