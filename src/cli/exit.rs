//! The failures that end a run without a verdict, and their exit codes.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::event_output::CannotWriteEvents;
use super::logs;
use crate::audit::AuditError;
use crate::checkpoint::CheckpointError;
use crate::keys::KeyFileError;
use crate::model::{exit_code, printable};
use crate::shard::{PlanError, ResultError};
use crate::store::StoreError;
use crate::trail::TrailError;

/// The flag that helps where there are no credentials.
const PROFILE: &str = "--profile chooses a profile";

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// The reason why a run ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, or a file that it names, is wrong.
    #[error("{0}")]
    Usage(String),
    /// The run could not be carried out.
    #[error("{0}")]
    CannotRun(String),
    /// The program that read standard output has closed it, as `head` does. Nothing is printed.
    #[error("standard output was closed")]
    OutputClosed,
    /// The user interrupted the run; the text says what is left of it.
    #[error("{0}")]
    Stopped(String),
    /// The user interrupted the run before anything was examined.
    #[error("interrupted before anything was examined")]
    Interrupted,
}

impl Failure {
    /// Prints the failure and how to resolve it to standard error, and returns the exit code.
    pub fn report(&self) -> u8 {
        self.print();
        self.code()
    }

    /// Puts the name of the trail in front of the message, for a run over several trails.
    pub fn of(self, trail: &str) -> Self {
        match self {
            Self::Usage(text) => Self::Usage(format!("{trail}: {text}")),
            Self::CannotRun(text) => Self::CannotRun(format!("{trail}: {text}")),
            Self::Stopped(text) => Self::Stopped(format!("{trail}: {text}")),
            Self::OutputClosed => Self::OutputClosed,
            Self::Interrupted => Self::Interrupted,
        }
    }

    /// Returns the exit code of the failure.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit_code::USAGE,
            Self::CannotRun(_) | Self::OutputClosed => exit_code::CANNOT_RUN,
            Self::Stopped(_) | Self::Interrupted => exit_code::INTERRUPTED,
        }
    }

    /// Prints the failure and how to resolve it to standard error.
    pub fn print(&self) {
        if let Self::OutputClosed = self {
            return;
        }
        let text = self.to_string();
        let text = printable(&text);
        if logs::are_on() {
            tracing::error!(exit_code = self.code(), "{text}");
            return;
        }
        // If standard error is closed, only the exit code is left to report the failure.
        let _ = writeln!(anstream::stderr(), "{ERROR}error:{ERROR:#} {text}");
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Failed { .. } => Self::CannotRun(error.to_string()),
            CheckpointError::Malformed { .. } => Self::Usage(format!(
                "{error}. Move it away to begin anew; the next run then verifies everything from --start on"
            )),
            CheckpointError::Other { .. } => Self::Usage(format!("{error}: give each its own --state")),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Failed(_) => Self::CannotRun(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

impl From<ResultError> for Failure {
    fn from(error: ResultError) -> Self {
        match error {
            ResultError::Plan(error) => error.into(),
            ResultError::Foreign { .. } | ResultError::Conflicting { .. } => Self::Usage(error.to_string()),
            _ => Self::CannotRun(error.to_string()),
        }
    }
}

impl From<TrailError> for Failure {
    fn from(error: TrailError) -> Self {
        Self::CannotRun(match error {
            TrailError::NotFound(_) => {
                format!("{error}: check the ARN, or name the place of its logs with --bucket and --prefix")
            }
            TrailError::Denied(_) => format!("{error}, or name the place with --bucket and --prefix"),
            TrailError::Credentials(reason) => {
                format!("no AWS credentials that work: set AWS_PROFILE or --profile, or run 'aws sso login' ({reason})")
            }
            TrailError::NoCredentials(_) => format!("{error}; {PROFILE}"),
            TrailError::Failed { .. } => error.to_string(),
        })
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Ambiguous(reason) => Self::Usage(reason),
            // Only standard output keeps the kind of its errors.
            AuditError::Observer(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            AuditError::Observer(error) if error.get_ref().is_some_and(|inner| inner.is::<CannotWriteEvents>()) => {
                match error.into_inner().map(|inner| inner.downcast::<CannotWriteEvents>()) {
                    Some(Ok(failed)) => (*failed).into(),
                    _ => Self::OutputClosed,
                }
            }
            AuditError::Observer(error) => Self::CannotRun(format!("the report can't be written: {error}")),
            AuditError::Listing { error: StoreError::NoSuchBucket(bucket), .. } => {
                Self::CannotRun(format!("there is no bucket {bucket}: check --bucket, or the trail's settings"))
            }
            AuditError::Listing { error: StoreError::Credentials(_), .. } => {
                Self::CannotRun(format!("{error}; {PROFILE}"))
            }
            other => Self::CannotRun(other.to_string()),
        }
    }
}
