//! A bag goes from one to another.

use std::path::Path;

use super::verify::now;
use crate::bag::{Action, Bag, BagError, CustodyEntry, CustodyLog};
use crate::cli::args::HandoverArgs;
use crate::cli::exit::Failure;

impl From<BagError> for Failure {
    fn from(error: BagError) -> Self {
        match error {
            BagError::Io { .. } => Self::CannotRun(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

/// Notes the handover. A log in which lines were changed gets no new one.
pub fn handover(args: &HandoverArgs) -> Result<u8, Failure> {
    Bag::open(&args.bag)?;
    let log = CustodyLog::open(&args.bag)?;
    if let Some(fault) = log.faults.first() {
        return Err(Failure::Usage(format!("the custody log of {} was tampered with: {fault}", args.bag.display())));
    }
    let entry = CustodyEntry {
        to: Some(args.to.clone()),
        reason: Some(args.reason.clone()),
        ..entry(Action::Handover, args.examiner.clone())
    };
    add(&args.bag, entry)?;
    Ok(0)
}

/// Adds a line to the custody log of a bag.
pub fn add(bag: &Path, entry: CustodyEntry) -> Result<(), BagError> {
    CustodyLog::open(bag)?.add(entry)
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
