//! Arguments about reports and logs.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args as ClapArgs, ColorChoice, ValueEnum};

use super::values::Suggested;
use crate::records::Setting;

/// What is written where.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ReportArgs {
    /// What is written to standard output
    #[arg(
        long,
        env = "CTVERIFY_FORMAT",
        hide_env = true,
        value_enum,
        default_value_t = Format::Text,
        help_heading = "Reports"
    )]
    pub format: Format,

    /// A further report of the same run (repeatable). KIND: text, jsonl, json, tampering (events that
    /// weaken logging, which the other reports then have, too), csv, prometheus, junit, sarif, ocsf,
    /// asff (for Security Hub), emf (for CloudWatch), html (chain of custody, a page to print), custody
    /// (the same as JSON), intoto (a signed statement)
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

    /// List each digest and log file in text, also those that are valid or intact, and spell out every
    /// finding
    #[arg(
        short,
        long,
        env = "CTVERIFY_VERBOSE",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Reports"
    )]
    pub verbose: bool,

    /// Keep text and progress silent when all is well
    #[arg(
        short,
        long,
        env = "CTVERIFY_QUIET",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Reports"
    )]
    pub quiet: bool,

    /// The settings that were given, with their origin.
    #[arg(skip)]
    pub settings: Vec<Setting>,

    /// The files of reports that are uploaded after the run, and not kept.
    #[arg(skip)]
    pub uploaded: Vec<PathBuf>,

    /// The kind of output that the command writes to standard output.
    #[arg(skip)]
    pub standard: StandardOutput,

    /// When to use colour
    #[arg(
        long,
        env = "CTVERIFY_COLOR",
        hide_env = true,
        value_enum,
        default_value_t = ColorChoice::Auto,
        help_heading = "Reports"
    )]
    pub color: ColorChoice,
}

impl ReportArgs {
    /// The arguments of a command that writes `standard` to standard output and no report.
    pub(super) fn without_reports(standard: StandardOutput, logs: LogArgs, settings: Vec<Setting>) -> Self {
        Self {
            format: Format::Text,
            report: Vec::new(),
            evidence: EvidenceArgs::default(),
            logs,
            verbose: false,
            quiet: false,
            settings,
            uploaded: Vec::new(),
            standard,
            color: ColorChoice::Auto,
        }
    }
}

/// The kind of output that a command writes to standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum StandardOutput {
    /// A report, in the format that is asked for.
    #[default]
    Report,
    /// Something other than a report.
    Other,
    /// Nothing.
    Nothing,
}

/// What a report that is evidence says of its case, and who signs it.
#[derive(Debug, ClapArgs, Default, Clone)]
pub(crate) struct EvidenceArgs {
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

    /// Sign each report in a file with this SSH key, as REPORT.sig, and the custody log of a bag; an in-toto
    /// statement also with an Ed25519 or P-256 key in PEM. A passphrase is asked for, or taken from
    /// CTVERIFY_SIGN_PASSPHRASE
    #[arg(long, env = "CTVERIFY_SIGN_KEY", hide_env = true, value_name = "KEY", help_heading = "Evidence")]
    pub sign_key: Option<PathBuf>,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportKind {
    /// For people, as plain text
    Text,
    /// One JSON object a line
    Jsonl,
    /// One JSON document
    Json,
    /// Proven events that weaken logging, as JSON
    Tampering,
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
    pub(crate) fn is_evidence(&self) -> bool {
        let evidence = |kind: &ReportKind| matches!(kind, ReportKind::Html | ReportKind::Custody | ReportKind::Intoto);
        let EvidenceArgs { case, exhibit, examiner, note, case_file, sign_key } = &self.evidence;
        self.report.iter().any(|(kind, _)| evidence(kind))
            || [case, exhibit, examiner].iter().any(|text| text.is_some())
            || [case_file, sign_key].iter().any(|path| path.is_some())
            || !note.is_empty()
    }
}

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Jsonl,
    /// One JSON document
    Json,
}

/// What is logged.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct LogArgs {
    /// Log what the run does to standard error, for whoever collects that; there is no progress
    /// line then
    #[arg(long, env = "CTVERIFY_LOG_FORMAT", hide_env = true, value_enum, help_heading = "Logs")]
    pub log_format: Option<LogFormat>,

    /// How much is logged: error, warn, info, debug or trace; from debug on, what the AWS SDK says,
    /// too
    #[arg(
        long,
        env = "CTVERIFY_LOG_LEVEL",
        hide_env = true,
        value_name = "LEVEL",
        default_value = "info",
        requires = "log_format",
        help_heading = "Logs"
    )]
    pub log_level: tracing::Level,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// The beginnings of values of `--report`, which shells suggest.
fn report_suggestions() -> Vec<String> {
    let names = ReportKind::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    names.map(|kind| format!("{}=", kind.get_name())).collect()
}

/// The parser of `--report`.
pub(super) fn report_parser() -> Suggested<(ReportKind, PathBuf)> {
    Suggested { parse: parse_report, suggestions: report_suggestions }
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
