//! One digest of a chain, judged or known to be missing.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use crate::audit::digests::digest_spool::{Kept, Shelf, Shelved};
use crate::audit::error::AuditError;
use crate::model::{DigestKind, ObjectRef, Versions, earlier};
use crate::verify::{Predecessor, RejectedDigest, ValidDigest};

/// One digest of a chain: there, or known to be missing. Chains are long: what a valid one says waits on the chain's
/// [`Shelf`].
#[derive(Debug)]
pub(crate) struct Element {
    pub kind: DigestKind,
    /// The end that its name tells.
    pub named_end: Timestamp,
    pub state: State,
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
    pub claims: Option<Kept>,
    /// When it was generated, as a backfill digest says.
    pub generated: Option<Timestamp>,
    /// True if it begins the chain anew, right after the digest before it.
    pub restarts: bool,
}

/// What is known of it.
#[derive(Debug)]
pub(crate) enum State {
    Valid(Shelved),
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

impl Element {
    /// The begin of its period. Of a digest that is not valid, an hour before its end: what it claims itself is not to be trusted.
    pub fn start(&self) -> Timestamp {
        match &self.state {
            State::Valid(digest) => digest.outline().period().0,
            _ => earlier(self.named_end, SignedDuration::from_hours(1)),
        }
    }

    /// The end of its period.
    pub fn end(&self) -> Timestamp {
        match &self.state {
            State::Valid(digest) => digest.outline().period().1,
            _ => self.named_end,
        }
    }

    pub fn valid(&self) -> Option<&Shelved> {
        match &self.state {
            State::Valid(digest) => Some(digest),
            _ => None,
        }
    }

    pub fn absence(&self) -> Option<Absence> {
        match &self.state {
            State::Absent(_, absence) => Some(*absence),
            _ => None,
        }
    }

    /// How many log files it claims, if it is not valid.
    pub fn claims(&self) -> usize {
        match &self.state {
            State::Rejected(digest) => digest.claims,
            State::Valid(_) | State::Absent(..) => 0,
        }
    }

    /// The first `most` log files that it claims, if it is not valid.
    pub fn claimed(&self, shelf: &Shelf, most: usize) -> Result<Vec<ObjectRef>, AuditError> {
        let kept = self.remarks.as_ref().and_then(|remarks| remarks.claims);
        match (&self.state, kept) {
            (State::Rejected(digest), Some(kept)) => match &digest.outline {
                Some(outline) => Ok(shelf.open(&kept, outline)?.claimed_log_files().take(most).collect()),
                None => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    /// The digest with all that it says.
    pub fn whole(&self, shelf: &Shelf) -> Result<Whole<'_>, AuditError> {
        let (object, valid) = match &self.state {
            State::Valid(digest) => {
                let digest = shelf.valid(digest)?;
                (Cow::Owned(digest.object().clone()), Some(digest))
            }
            State::Rejected(digest) => (Cow::Borrowed(&digest.object), None),
            State::Absent(object, _) => (Cow::Borrowed(&**object), None),
        };
        Ok(Whole { element: self, object, valid })
    }
}

/// A digest with all that it says.
#[derive(Debug)]
pub(crate) struct Whole<'a> {
    pub element: &'a Element,
    pub object: Cow<'a, ObjectRef>,
    /// What it says, if it is valid.
    pub valid: Option<ValidDigest>,
}

impl Whole<'_> {
    /// The digest that it names as the one before it.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        match &self.element.state {
            State::Valid(_) => self.valid.as_ref()?.predecessor(),
            State::Rejected(digest) => digest.predecessor.as_ref(),
            State::Absent(..) => None,
        }
    }
}
