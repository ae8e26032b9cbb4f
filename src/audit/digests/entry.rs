//! One digest of a chain, either judged or known to be missing.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use crate::audit::digests::digest_spool::{DigestSpool, SpoolKey, SpooledDigest};
use crate::audit::error::AuditError;
use crate::model::{DigestKind, ObjectRef, earlier};
use crate::records::Versions;
use crate::verify::{Predecessor, RejectedDigest, ValidDigest};

/// One digest of a chain, either present or known to be missing. Chains are long, so the content of
/// a valid digest is kept on the chain's [`DigestSpool`].
#[derive(Debug)]
pub(crate) struct ChainEntry {
    pub kind: DigestKind,
    /// The end time in its name.
    pub named_end: Timestamp,
    pub state: EntryState,
    /// The time at which S3 last wrote it, if a listing showed it.
    pub last_modified: Option<Timestamp>,
    /// Boxed because it is rarely present and chains are long.
    pub remarks: Option<Box<Remarks>>,
}

/// Rarely present facts about a digest.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    /// The warning about its metadata.
    pub note: Option<String>,
    /// True if a copy holds it uncompressed.
    pub is_uncompressed: bool,
    /// The findings on its earlier versions in a versioned bucket.
    pub versions: Option<Versions>,
    /// The spool key of its content, if it is not valid and claims log files.
    pub claims: Option<SpoolKey>,
    /// The time at which it was generated, as a backfill digest states.
    pub generated: Option<Timestamp>,
    /// True if it starts the chain anew, directly after the digest before it.
    pub restarts: bool,
}

/// The state of a digest of a chain.
#[derive(Debug)]
pub(crate) enum EntryState {
    Valid(SpooledDigest),
    Rejected(Box<RejectedDigest>),
    /// It does not exist.
    Absent(Box<ObjectRef>, Absence),
}

/// The kind of absence of a digest: its successor names it or an earlier run verified it, and it
/// is not there, or may not be read where the trail no longer delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    Missing,
    /// It is recent enough that it may still be delivered.
    NotYetDelivered,
    /// A lifecycle rule removed it.
    Expired,
    /// It is unknown whether a lifecycle rule removed it.
    Unexplained,
    /// It precedes the first existing digest in a run whose range has no start, and its fate is
    /// unknown.
    BeforeFirst,
}

impl ChainEntry {
    /// The start of its period. For a digest that is not valid, an hour before its end, because
    /// what it claims itself is not to be trusted.
    pub(crate) fn start(&self) -> Timestamp {
        match &self.state {
            EntryState::Valid(digest) => digest.summary().period().start,
            _ => earlier(self.named_end, SignedDuration::from_hours(1)),
        }
    }

    /// The end of its period.
    pub(crate) fn end(&self) -> Timestamp {
        match &self.state {
            EntryState::Valid(digest) => digest.summary().period().end,
            _ => self.named_end,
        }
    }

    pub(crate) fn valid(&self) -> Option<&SpooledDigest> {
        match &self.state {
            EntryState::Valid(digest) => Some(digest),
            _ => None,
        }
    }

    pub(crate) fn absence(&self) -> Option<Absence> {
        match &self.state {
            EntryState::Absent(_, absence) => Some(*absence),
            _ => None,
        }
    }

    /// The number of log files that it claims, if it is not valid.
    pub(crate) fn claims(&self) -> usize {
        match &self.state {
            EntryState::Rejected(digest) => digest.claims,
            EntryState::Valid(_) | EntryState::Absent(..) => 0,
        }
    }

    /// The first `most` log files that it claims, if it is not valid.
    pub(crate) fn claimed(&self, spool: &DigestSpool, most: usize) -> Result<Vec<ObjectRef>, AuditError> {
        let spool_key = self.remarks.as_ref().and_then(|remarks| remarks.claims);
        match (&self.state, spool_key) {
            (EntryState::Rejected(digest), Some(spool_key)) => match &digest.summary {
                Some(summary) => Ok(spool.open(&spool_key, summary)?.claimed_log_files().take(most).collect()),
                None => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    /// Loads the entry's content from the spool.
    pub(crate) fn whole(&self, spool: &DigestSpool) -> Result<LoadedEntry<'_>, AuditError> {
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

/// A chain entry with its content, loaded from the spool.
#[derive(Debug)]
pub(crate) struct LoadedEntry<'a> {
    pub entry: &'a ChainEntry,
    pub object: Cow<'a, ObjectRef>,
    /// Its content, if it is valid.
    pub valid: Option<ValidDigest>,
}

impl LoadedEntry<'_> {
    /// The digest that it names as its predecessor.
    pub(crate) fn predecessor(&self) -> Option<&Predecessor> {
        match &self.entry.state {
            EntryState::Valid(_) => self.valid.as_ref()?.predecessor(),
            EntryState::Rejected(digest) => digest.predecessor.as_ref(),
            EntryState::Absent(..) => None,
        }
    }
}
