//! One digest of a chain, judged or known to be missing.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use crate::audit::digests::digest_spool::{DigestSpool, SpoolKey, SpooledDigest};
use crate::audit::error::AuditError;
use crate::model::{DigestKind, ObjectRef, Versions, earlier};
use crate::verify::{Predecessor, RejectedDigest, ValidDigest};

/// One digest of a chain: there, or known to be missing. Chains are long: what a valid one says waits on the chain's
/// [`DigestSpool`].
#[derive(Debug)]
pub(crate) struct ChainEntry {
    pub kind: DigestKind,
    /// The end that its name tells.
    pub named_end: Timestamp,
    pub state: EntryState,
    /// When S3 last wrote it, where a listing told.
    pub last_modified: Option<Timestamp>,
    /// Few have any.
    pub remarks: Option<Box<Remarks>>,
}

/// What else is known of a digest.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    /// What a reader should know about its metadata.
    pub note: Option<String>,
    /// True if a copy holds it uncompressed.
    pub is_uncompressed: bool,
    /// What a versioned bucket still holds of it.
    pub versions: Option<Versions>,
    /// The log files that it claims, where it is not valid.
    pub claims: Option<SpoolKey>,
    /// When it was generated, as a backfill digest says.
    pub generated: Option<Timestamp>,
    /// True if it begins the chain anew, right after the digest before it.
    pub restarts: bool,
}

/// What is known of it.
#[derive(Debug)]
pub(crate) enum EntryState {
    Valid(SpooledDigest),
    Rejected(Box<RejectedDigest>),
    /// It is not there.
    Absent(Box<ObjectRef>, Absence),
}

/// Why a digest that is named by its successor is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    Missing,
    /// It is young enough that it may still come.
    NotYetDelivered,
    /// A lifecycle rule removed it.
    Expired,
    /// Nobody can say whether a lifecycle rule removed it.
    Unexplained,
    /// It lies before the first digest that is there, where no begin was asked about, and nobody can say what
    /// became of it.
    BeforeFirst,
}

impl ChainEntry {
    /// The begin of its period. Of a digest that is not valid, an hour before its end: what it claims itself is not to be trusted.
    pub fn start(&self) -> Timestamp {
        match &self.state {
            EntryState::Valid(digest) => digest.summary().period().start,
            _ => earlier(self.named_end, SignedDuration::from_hours(1)),
        }
    }

    /// The end of its period.
    pub fn end(&self) -> Timestamp {
        match &self.state {
            EntryState::Valid(digest) => digest.summary().period().end,
            _ => self.named_end,
        }
    }

    pub fn valid(&self) -> Option<&SpooledDigest> {
        match &self.state {
            EntryState::Valid(digest) => Some(digest),
            _ => None,
        }
    }

    pub fn absence(&self) -> Option<Absence> {
        match &self.state {
            EntryState::Absent(_, absence) => Some(*absence),
            _ => None,
        }
    }

    /// How many log files it claims, if it is not valid.
    pub fn claims(&self) -> usize {
        match &self.state {
            EntryState::Rejected(digest) => digest.claims,
            EntryState::Valid(_) | EntryState::Absent(..) => 0,
        }
    }

    /// The first `most` log files that it claims, if it is not valid.
    pub fn claimed(&self, spool: &DigestSpool, most: usize) -> Result<Vec<ObjectRef>, AuditError> {
        let spool_key = self.remarks.as_ref().and_then(|remarks| remarks.claims);
        match (&self.state, spool_key) {
            (EntryState::Rejected(digest), Some(spool_key)) => match &digest.summary {
                Some(summary) => Ok(spool.open(&spool_key, summary)?.claimed_log_files().take(most).collect()),
                None => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    /// The digest with all that it says.
    pub fn whole(&self, spool: &DigestSpool) -> Result<LoadedEntry<'_>, AuditError> {
        let (object, valid) = match &self.state {
            EntryState::Valid(digest) => {
                let digest = spool.valid(digest)?;
                (Cow::Owned(digest.object().clone()), Some(digest))
            }
            EntryState::Rejected(digest) => (Cow::Borrowed(&digest.object), None),
            EntryState::Absent(object, _) => (Cow::Borrowed(&**object), None),
        };
        Ok(LoadedEntry { entry: self, object, valid })
    }
}

/// A digest with all that it says.
#[derive(Debug)]
pub(crate) struct LoadedEntry<'a> {
    pub entry: &'a ChainEntry,
    pub object: Cow<'a, ObjectRef>,
    /// What it says, if it is valid.
    pub valid: Option<ValidDigest>,
}

impl LoadedEntry<'_> {
    /// The digest that it names as the one before it.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        match &self.entry.state {
            EntryState::Valid(_) => self.valid.as_ref()?.predecessor(),
            EntryState::Rejected(digest) => digest.predecessor.as_ref(),
            EntryState::Absent(..) => None,
        }
    }
}
