//! The errors of a store.

use serde::{Deserialize, Serialize};

use crate::model::{Fault, ObjectRef};
use crate::verify::limits::MAX_KEY_BYTES;

/// The reason why an object could not be read. Absence is a kind of its own: it is an answer, all
/// else is a failure to look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoreError {
    /// The store says that the object does not exist.
    #[error("it does not exist")]
    NotFound,
    /// The store says that the bucket does not exist.
    #[error("the bucket {0} does not exist")]
    NoSuchBucket(String),
    /// The store denies access to it.
    #[error("access denied: {0}")]
    AccessDenied(String),
    /// The object lies in an archive tier.
    #[error("it is archived ({0}) and has to be restored before it can be read")]
    Archived(String),
    /// No credentials, or none that the store takes.
    #[error("{0}")]
    Credentials(String),
    /// The name would lead outside the folder that is read.
    #[error("its name would lead outside the folder {0}")]
    UnsafeName(String),
    /// The name is longer than any that S3 can hold.
    #[error("its name has {0} bytes, and no object's has more than {MAX_KEY_BYTES}")]
    NameTooLong(usize),
    /// Two files in a folder fit one name.
    #[error("{0}")]
    Ambiguous(String),
    /// The object could not be written to where it is collected.
    #[error("{0}")]
    Unwritable(String),
    /// The transfer broke off; reading it again may help.
    #[error("{0}")]
    Broken(String),
    /// The store gave no answer at all, after all retries: the network or the service is down.
    #[error("{0}")]
    Unreachable(String),
    /// Any other failure, after all retries.
    #[error("{0}")]
    Failed(String),
}

impl StoreError {
    /// Returns whether reading again may help although the store itself has no more retries.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// Returns whether the answer is that there is no such object.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound | Self::NoSuchBucket(_))
    }

    /// The fault that a record names for it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NotFound | Self::NoSuchBucket(_) => Fault::NotFound,
            Self::AccessDenied(_) => Fault::AccessDenied,
            Self::Archived(_) => Fault::Archived,
            Self::UnsafeName(_) | Self::NameTooLong(_) => Fault::UnsafeName,
            Self::Credentials(_)
            | Self::Ambiguous(_)
            | Self::Unwritable(_)
            | Self::Broken(_)
            | Self::Unreachable(_)
            | Self::Failed(_) => Fault::ReadFailed,
        }
    }
}

/// Refuses a name that no object can have, so that no request is made for it.
pub(super) fn check_length(object: &ObjectRef) -> Result<(), StoreError> {
    let length = object.key.len();
    if length > MAX_KEY_BYTES { Err(StoreError::NameTooLong(length)) } else { Ok(()) }
}
