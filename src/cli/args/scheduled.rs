//! Arguments of scheduled jobs: the checkpoint, and notices.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use jiff::SignedDuration;

use super::values::parse_share;
use crate::checkpoint::Name;
use crate::model::parse_age;

/// What a scheduled audit keeps.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct StateArgs {
    /// Keep here, in a file or as s3://BUCKET/KEY, up to where each chain is verified, and what was
    /// found: the next run goes on from there, reports again what is open, needs no --start, and
    /// checks that history still leads there
    #[arg(
        long,
        env = "CTVERIFY_STATE",
        hide_env = true,
        value_name = "FILE",
        conflicts_with_all = ["sample", "estimate"],
        help_heading = "Scheduled audit"
    )]
    pub state: Option<Name>,

    /// How long after its hour a digest may still come before its absence counts, at most 24h
    /// [default: 2h]
    #[arg(
        long,
        env = "CTVERIFY_GRACE",
        hide_env = true,
        value_name = "AGE",
        value_parser = parse_age,
        help_heading = "Scheduled audit"
    )]
    pub grace: Option<SignedDuration>,

    /// Read so many of a hundred days that earlier runs verified once more, drawn for each chain:
    /// all their digests and log files, and what no digest lists
    #[arg(
        long,
        env = "CTVERIFY_RECHECK",
        hide_env = true,
        value_name = "P%",
        value_parser = parse_share,
        requires = "state",
        help_heading = "Scheduled audit"
    )]
    pub recheck: Option<f64>,
}

/// Who is told of what a run found.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct NoticeArgs {
    /// Tell this SNS topic, or POST a signed webhook: sns:TOPIC-ARN or webhook:URL (repeatable). A
    /// notice that can't be delivered ends the run with 4, after its reports were written
    #[arg(
        long,
        env = "CTVERIFY_NOTIFY",
        hide_env = true,
        value_name = "TARGET",
        value_delimiter = ' ',
        help_heading = "Notices"
    )]
    pub notify: Vec<String>,

    /// When: on change (another verdict than the last run's, or new findings; without --state, any
    /// verdict but 'verified'), or on every violation
    #[arg(
        long,
        env = "CTVERIFY_NOTIFY_ON",
        hide_env = true,
        value_enum,
        default_value_t = NotifyOn::Change,
        requires = "notify",
        help_heading = "Notices"
    )]
    pub notify_on: NotifyOn,

    /// The secret that webhooks are signed with, as whsec_… or any text of 24 bytes and more
    /// [default: the variable CTVERIFY_WEBHOOK_SECRET]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum NotifyOn {
    /// Where something is new
    #[default]
    Change,
    /// After each run that came to 'violated'
    Violation,
}
