//! A place for files that are written once: a folder, or a prefix in S3.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::{NamedTempFile, TempDir, TempPath};

use super::args::AwsArgs;
use super::aws::connect;
use super::exit::Failure;
use super::plan_place::bucket_and_prefix;
use crate::disk;
use crate::model::ObjectRef;
use crate::shard::Question;
use crate::store::{ListRequest, S3, Store as _, StoreError, Written};

/// A place for files.
#[derive(Clone)]
pub(super) enum Place {
    Folder(PathBuf),
    Bucket { s3: Arc<S3>, bucket: String, prefix: String },
}

impl Place {
    /// Names a place.
    pub(super) async fn of(name: &str, aws: &AwsArgs) -> Result<Self, Failure> {
        match bucket_and_prefix(name)? {
            Some((bucket, prefix)) => {
                let s3 = Arc::new(S3::new(connect(aws, "us-east-1").await?, name.to_owned()));
                Ok(Self::Bucket { s3, bucket, prefix })
            }
            None => Ok(Self::Folder(PathBuf::from(name))),
        }
    }

    /// Checks that nothing is written to where the trail delivers. `flag` is the flag that names the place.
    pub(super) fn check_apart(&self, flag: &str, question: &Question) -> Result<(), Failure> {
        let Self::Bucket { bucket, .. } = self else { return Ok(()) };
        if question.buckets().contains(bucket) {
            return Err(Failure::Usage(format!(
                "{flag} lies in {bucket}, the bucket that is examined, which ctverify never writes to: give another \
                 one, out of reach of whoever can change the trail"
            )));
        }
        Ok(())
    }

    /// The whole name of a file.
    pub(super) fn name(&self, file: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(file).display().to_string(),
            Self::Bucket { bucket, prefix, .. } => format!("s3://{bucket}/{prefix}{file}"),
        }
    }

    /// Creates a temporary file for a file that is to be put here.
    pub(super) fn temporary(&self) -> io::Result<NamedTempFile> {
        match self {
            Self::Folder(folder) => {
                std::fs::create_dir_all(folder)?;
                disk::partial(folder)
            }
            Self::Bucket { .. } => NamedTempFile::new(),
        }
    }

    /// Creates a temporary folder for files that are to be put here.
    pub(super) fn temporary_folder(&self) -> io::Result<TempDir> {
        match self {
            Self::Folder(folder) => {
                std::fs::create_dir_all(folder)?;
                disk::partial_folder(folder)
            }
            Self::Bucket { .. } => tempfile::tempdir(),
        }
    }

    /// Opens a file, or a copy of an object; `None` if there is none of this name.
    pub(super) async fn open(&self, file: &str) -> Result<Option<File>, Failure> {
        let unreadable = |error: io::Error| Failure::CannotRun(format!("{} can't be read: {error}", self.name(file)));
        match self {
            Self::Folder(folder) => match File::open(folder.join(file)) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unreadable(error)),
            },
            Self::Bucket { s3, bucket, prefix } => {
                let of_store = |error: StoreError| unreadable(io::Error::other(error));
                let mut opened = match s3.get(&object(bucket, prefix, file), None).await {
                    Ok(opened) => opened,
                    Err(StoreError::NotFound) => return Ok(None),
                    Err(error) => return Err(of_store(error)),
                };
                let mut copy = tempfile::tempfile().map_err(unreadable)?;
                while let Some(piece) = opened.body.next().await.map_err(of_store)? {
                    copy.write_all(&piece).map_err(unreadable)?;
                }
                copy.rewind().map_err(unreadable)?;
                Ok(Some(copy))
            }
        }
    }

    /// Returns whether a file is there.
    pub(super) async fn has(&self, file: &str) -> Result<bool, Failure> {
        match self {
            Self::Folder(folder) => Ok(folder.join(file).is_file()),
            Self::Bucket { s3, bucket, prefix } => {
                let key = format!("{prefix}{file}");
                let request =
                    ListRequest { bucket: bucket.clone(), prefix: key.clone(), start_after: None, folders: false };
                let page = s3.list(&request, None).await;
                let page = page
                    .map_err(|error| Failure::CannotRun(format!("{} can't be looked for: {error}", self.name(file))))?;
                Ok(page.objects.iter().any(|object| object.key == key))
            }
        }
    }

    /// Puts a whole file in its place, unless one of this name is there: then nothing is changed.
    pub(super) async fn put_new(&self, file: &str, content: TempPath) -> Result<Written, Failure> {
        let failed = |error: io::Error| Failure::CannotRun(format!("{} can't be written: {error}", self.name(file)));
        match self {
            Self::Folder(folder) => {
                let path = folder.join(file);
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(failed)?;
                }
                match content.persist_noclobber(path) {
                    Ok(()) => Ok(Written::Whole),
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Written::Changed),
                    Err(error) => Err(failed(error.error)),
                }
            }
            Self::Bucket { s3, bucket, prefix } => {
                let put = s3.put_new_file(&object(bucket, prefix, file), &content).await;
                put.map_err(|error| failed(io::Error::other(error)))
            }
        }
    }
}

fn object(bucket: &str, prefix: &str, file: &str) -> ObjectRef {
    ObjectRef::new(bucket, format!("{prefix}{file}"))
}
