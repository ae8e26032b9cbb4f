//! The handover of a bag from one person to another.

use crate::bag::{Action, Bag, CustodyEntry, CustodyLog};
use crate::cli::args::HandoverArgs;
use crate::cli::custody::{add, entry};
use crate::cli::evidence::Signing;
use crate::cli::exit::Failure;

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
    add(&args.bag, entry, &signing)?;
    Ok(0)
}
