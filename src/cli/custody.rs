//! The custody log of a bag: the line that a run adds to it, and the check of its signature.

use std::path::Path;

use jiff::{Timestamp, Unit};

use super::evidence::Signing;
use super::exit::Failure;
use crate::bag::{Action, BagError, CustodyEntry, CustodyLog};
use crate::sign::{Checked, DetachedSignature, KnownSigners};

impl From<BagError> for Failure {
    fn from(error: BagError) -> Self {
        match error {
            BagError::Io { .. } => Self::CannotRun(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

/// Adds a line to the custody log of a bag, and signs the head if there is a key.
pub(super) fn add(bag: &Path, entry: CustodyEntry, signing: &Signing) -> Result<(), BagError> {
    let sign = |head: &[u8]| match signing.signer() {
        Some(signer) => signer.sign(head).map_err(|error| error.to_string()),
        None => Err("there is no key".to_owned()),
    };
    // A new signature would cover up a fault that the old one shows.
    if let LogSignature::Wrong(what) = check_signature(&CustodyLog::open(bag)?, None)
        && entry.action != Action::Collect
    {
        return Err(BagError::Form {
            path: bag.join("custody.jsonl"),
            reason: format!("it {what}; nothing is added to it"),
        });
    }
    CustodyLog::add(bag, entry, signing.signer().is_some().then_some(&sign))
}

/// The result of checking the signature of a bag's custody log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogSignature {
    /// The signature covers the whole log, or there is none and none was asked for.
    Fits,
    /// The signature covers the log up to some line; the text names the other lines.
    Partial(String),
    /// The signature does not fit the log, is not by a known signer, or is missing; the text says
    /// which.
    Wrong(String),
}

/// Checks the signature of a custody log. With `known`, a signature by one of these keys is
/// required.
pub(super) fn check_signature(log: &CustodyLog, known: Option<&KnownSigners>) -> LogSignature {
    let Some(text) = log.signature() else {
        return match known {
            Some(_) => LogSignature::Wrong("is not signed, and --signer asks for a signature".to_owned()),
            None => LogSignature::Fits,
        };
    };
    let signature = match DetachedSignature::parse(text) {
        Ok(signature) => signature,
        Err(reason) => return LogSignature::Wrong(format!("has a signature that can't be checked: {reason}")),
    };
    if known.is_some_and(|known| !signature.is_by(known)) {
        let key = signature.fingerprint();
        return LogSignature::Wrong(format!("is signed with key {key}, which is not one of the known signers"));
    }
    if !log.is_whole() {
        // The log's own faults are reported already, and none of its lines can be trusted.
        return LogSignature::Fits;
    }
    let fits = |(_, head): &(usize, String)| signature.check(head.as_bytes(), known) != Checked::Bad;
    let Some((lines, _)) = log.heads().find(fits) else {
        let what = "does not fit its signature, which is of none of its newest lines: lines were changed or taken out";
        return LogSignature::Wrong(what.to_owned());
    };
    // Anybody may add a line for another collection.
    if let Some(name) = log.other_manifest(lines).filter(|_| known.is_some()) {
        return LogSignature::Wrong(format!("names another {name} in the part that is signed, up to line {lines}"));
    }
    if lines == log.len() {
        return LogSignature::Fits;
    }
    let (first, last) = (lines + 1, log.len());
    let rest = if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
    LogSignature::Partial(format!("is signed up to line {lines}; {rest} may be anybody's"))
}

/// Creates an entry for an action that is taken now, on this machine.
pub(super) fn entry(action: Action, by: Option<String>) -> CustodyEntry {
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
        tag_manifest_sha256: None,
        previous_sha256: None,
    }
}

/// Returns the current time, in whole seconds.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}
