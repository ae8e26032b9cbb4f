//! The handover of a bag from one person to another.

use std::io::Write as _;

use crate::bag::{Action, Bag, CustodyEntry, CustodyLog};
use crate::cli::args::HandoverArgs;
use crate::cli::custody::{add, entry};
use crate::cli::evidence::Signing;
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::model::printable;

/// Records the handover in the custody log. A log in which lines were changed gets no new one.
pub(crate) fn handover(args: &HandoverArgs) -> Result<u8, Failure> {
    Bag::open(&args.bag)?;
    let signing = Signing::of_custody(args.sign_key.as_deref())?;
    let log = CustodyLog::open(&args.bag)?;
    if let Some(fault) = log.faults().first() {
        return Err(Failure::Usage(format!("the custody log of {} was tampered with: {fault}", args.bag.display())));
    }
    let entry = CustodyEntry {
        to: Some(args.to.clone()),
        reason: Some(args.reason.clone()),
        ..entry(Action::Handover, args.examiner.clone())
    };
    let by = entry.by.clone();
    add(&args.bag, entry, &signing)?;
    let (bag, to) = (args.bag.display(), printable(&args.to));
    let by = match &by {
        Some(by) => format!("by {}", printable(by)),
        None => "without the name of who hands it over: --examiner gives it".to_owned(),
    };
    writeln!(std::io::stdout(), "a line was added to the custody log of {bag}: handed over to {to}, {by}")
        .map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}
