//! The line that a run adds to the custody log of a bag.

use std::path::Path;

use jiff::{Timestamp, Unit};

use super::exit::Failure;
use crate::bag::{Action, BagError, CustodyEntry, CustodyLog};

impl From<BagError> for Failure {
    fn from(error: BagError) -> Self {
        match error {
            BagError::Io { .. } => Self::CannotRun(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

/// Adds a line to the custody log of a bag.
pub fn add(bag: &Path, entry: CustodyEntry) -> Result<(), BagError> {
    CustodyLog::add(bag, entry)
}

/// A line for what is done now, on this machine.
pub fn entry(action: Action, by: Option<String>) -> CustodyEntry {
    CustodyEntry {
        number: 0,
        time: now(),
        action,
        by,
        to: None,
        reason: None,
        host: gethostname::gethostname().into_string().ok(),
        tool: format!("ctverify {}", env!("CARGO_PKG_VERSION")),
        result: None,
        manifest_sha256: None,
        previous_sha256: None,
    }
}

/// The present, in whole seconds.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}
