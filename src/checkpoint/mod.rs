//! The checkpoint of a scheduled audit, which holds what the audit proved: in a file, or in an
//! object in S3.
//!
//! A checkpoint is written completely or not at all. If another job has written it in the meantime,
//! the two are merged, so that neither loses what the other found.

mod activity;
mod error;
mod wire;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use error::CheckpointError;
pub use wire::{parse, to_json};

use crate::debug::opaque_debug;
use crate::disk::{target, write_whole};
use crate::model::{Checkpoint, Depth, ObjectRef, TrailArn};
use crate::store::{ConditionalStore, Tagged, Written};

/// The maximum size of a checkpoint that is read, in bytes: it holds open points, and nobody keeps
/// millions of them.
pub const MAX_BYTES: u64 = 256 << 20;
/// The maximum number of times that a checkpoint is merged with one that another job wrote in the
/// meantime.
const MERGES: usize = 8;

/// The name of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A file.
    File(PathBuf),
    /// An object in S3.
    Object(ObjectRef),
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("s3://") {
            None if text.is_empty() => Err("the name of a file is missing".to_owned()),
            None => Ok(Self::File(text.into())),
            Some(rest) => match rest.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()) {
                Some((bucket, key)) => Ok(Self::Object(ObjectRef::new(bucket, key))),
                None => Err("an object is written as s3://BUCKET/KEY".to_owned()),
            },
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object(object) => object.fmt(f),
        }
    }
}

/// The location of a checkpoint.
pub enum Place {
    /// A file.
    File(PathBuf),
    /// An object in S3, with the store through which it is reached.
    Object(Box<dyn ConditionalStore>, ObjectRef),
}

/// A checkpoint that was opened.
pub struct Kept {
    place: Place,
    base: Checkpoint,
    /// The stored revision: the bytes of a file, the entity tag of an object.
    revision: Option<Vec<u8>>,
}

opaque_debug!(Place, Kept);

/// The stored checkpoint and its revision, if there is one.
type Found = Option<(Checkpoint, Vec<u8>)>;

impl Kept {
    /// Opens the checkpoint of these audits, or begins a new one if there is none yet.
    ///
    /// # Errors
    ///
    /// Fails if the checkpoint can't be read, is none, or is of another trail, source or depth.
    pub async fn open(
        place: Place,
        trail: Option<&TrailArn>,
        source: &str,
        depth: Depth,
    ) -> Result<Self, CheckpointError> {
        let (base, revision) = match place.read().await? {
            Some((found, revision)) => {
                place.check(&found, trail, source, depth)?;
                (found, Some(revision))
            }
            None => (Checkpoint::new(trail.cloned(), source.to_owned(), depth), None),
        };
        Ok(Self { place, base, revision })
    }

    /// Opens the checkpoint of whatever audit; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// Fails if the checkpoint can't be read, or is none.
    pub async fn load(place: Place) -> Result<Option<Self>, CheckpointError> {
        let found = place.read().await?;
        Ok(found.map(|(base, revision)| Self { place, base, revision: Some(revision) }))
    }

    /// Returns whether the checkpoint was stored before it was opened.
    pub fn exists(&self) -> bool {
        self.revision.is_some()
    }

    /// Returns the checkpoint that earlier runs left.
    pub fn base(&self) -> &Checkpoint {
        &self.base
    }

    /// Writes the checkpoint that a run leaves.
    ///
    /// # Errors
    ///
    /// Fails if it can't be written, or if other jobs kept writing it in the meantime.
    pub async fn save(self, next: Checkpoint) -> Result<(), CheckpointError> {
        let Self { place, base, mut revision } = self;
        let mut next = next;
        for _ in 0..MERGES {
            match place.write(&next, revision.as_deref()).await? {
                Written::Whole => return Ok(()),
                Written::Changed => {
                    let found = place.read().await?;
                    revision = found.as_ref().map(|(_, revision)| revision.clone());
                    if let Some((theirs, _)) = found {
                        place.check(&theirs, next.trail.as_ref(), &next.source, next.depth)?;
                        next = next.merged_with(theirs, &base);
                    }
                }
            }
        }
        Err(place.failed("other jobs write it again and again"))
    }
}

impl Place {
    fn failed(&self, reason: impl ToString) -> CheckpointError {
        CheckpointError::Failed { place: self.to_string(), reason: reason.to_string() }
    }

    async fn read(&self) -> Result<Found, CheckpointError> {
        let found = match self {
            Self::File(path) => {
                read_file(path).map_err(|error| self.failed(error))?.map(|bytes| (bytes.clone(), bytes))
            }
            Self::Object(store, object) => {
                let found = store.get_with_etag(object, MAX_BYTES).await.map_err(|error| self.failed(error))?;
                found.map(|Tagged { bytes, etag }| (bytes, etag))
            }
        };
        let Some((bytes, revision)) = found else { return Ok(None) };
        let wrong = |reason| CheckpointError::Malformed { place: self.to_string(), reason };
        Ok(Some((parse(&bytes).map_err(wrong)?, revision)))
    }

    /// Writes a checkpoint if the stored one still has this `revision`, or, without a revision, if
    /// there is still none.
    async fn write(&self, checkpoint: &Checkpoint, revision: Option<&[u8]>) -> Result<Written, CheckpointError> {
        let json = to_json(checkpoint).map_err(|error| self.failed(error))?;
        if json.len() as u64 > MAX_BYTES {
            let what = "so much is open that it would be larger than can be read again: mend the cause (such as \
                a permission that is missing), \
                        or begin anew";
            return Err(self.failed(what));
        }
        match self {
            Self::File(path) => {
                // The lock makes other jobs wait. If the folder can't be locked, the time between
                // reading and renaming is still short.
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let lock = File::open(folder).ok();
                let _ = lock.as_ref().map(File::lock);
                if read_file(path).map_err(|error| self.failed(error))?.as_deref() != revision {
                    return Ok(Written::Changed);
                }
                // If the path is a symbolic link, its target is written.
                let path = &target(path).map_err(|error| self.failed(error))?;
                write_whole(path, &json).map_err(|error| self.failed(error))?;
                Ok(Written::Whole)
            }
            Self::Object(store, object) => {
                store.put_if_match(object, json, revision).await.map_err(|error| self.failed(error))
            }
        }
    }

    /// Checks that a checkpoint was made for this trail and depth, and, if no trail is named, for
    /// this source.
    fn check(
        &self,
        found: &Checkpoint,
        trail: Option<&TrailArn>,
        source: &str,
        depth: Depth,
    ) -> Result<(), CheckpointError> {
        let name =
            |trail: Option<&TrailArn>| trail.map_or("runs over every trail found".to_owned(), ToString::to_string);
        let other =
            |what, kept: String, asked: String| CheckpointError::Other { place: self.to_string(), what, kept, asked };
        if found.trail.as_ref() != trail {
            return Err(other("", name(found.trail.as_ref()), name(trail)));
        }
        if trail.is_none() && found.source != source {
            return Err(other("source ", found.source.clone(), source.to_owned()));
        }
        if found.depth != depth {
            return Err(other("depth ", found.depth.to_string(), depth.to_string()));
        }
        Ok(())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object(_, object) => object.fmt(f),
        }
    }
}

/// Returns the bytes of a file; `None` if it does not exist.
fn read_file(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let path = &target(path)?;
    match path.metadata() {
        Ok(file) if file.len() > MAX_BYTES => {
            Err(std::io::Error::other(format!("it is larger than {MAX_BYTES} bytes, which no checkpoint is")))
        }
        Ok(file) if !file.is_file() => Err(std::io::Error::other("it is no file")),
        Ok(_) => std::fs::read(path).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
