//! A place for files that are written once: a folder, or a prefix in S3.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::args::AwsArgs;
use super::aws::connect;
use super::exit::Failure;
use super::plan_place::bucket_and_prefix;
use crate::disk;
use crate::model::ObjectRef;
use crate::shard::Question;
use crate::store::{ConditionalStore as _, S3, Written};

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

    /// Opens a file; `None` if there is none of this name. An object has at most `max_bytes` bytes.
    pub(super) async fn open(&self, file: &str, max_bytes: u64) -> Result<Option<File>, Failure> {
        let unreadable = |error: io::Error| Failure::CannotRun(format!("{} can't be read: {error}", self.name(file)));
        match self {
            Self::Folder(folder) => match File::open(folder.join(file)) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unreadable(error)),
            },
            Self::Bucket { s3, bucket, prefix } => {
                let found = s3.get_with_etag(&object(bucket, prefix, file), max_bytes).await;
                let found = found.map_err(|error| unreadable(io::Error::other(error)))?;
                let Some(found) = found else { return Ok(None) };
                let mut copy = tempfile::tempfile().map_err(unreadable)?;
                io::copy(&mut found.bytes.as_slice(), &mut copy).map_err(unreadable)?;
                copy.rewind().map_err(unreadable)?;
                Ok(Some(copy))
            }
        }
    }

    /// Puts a whole file in its place, unless one of this name is there: then nothing is changed.
    pub(super) async fn put_new(&self, file: &str, content: NamedTempFile) -> Result<Written, Failure> {
        let failed = |error: io::Error| Failure::CannotRun(format!("{} can't be written: {error}", self.name(file)));
        match self {
            Self::Folder(folder) => {
                let path = folder.join(file);
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(failed)?;
                }
                content.as_file().sync_all().map_err(failed)?;
                match content.persist_noclobber(path) {
                    Ok(_) => Ok(Written::Whole),
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Written::Changed),
                    Err(error) => Err(failed(error.error)),
                }
            }
            Self::Bucket { s3, bucket, prefix } => {
                let put = s3.put_new_file(&object(bucket, prefix, file), content.path()).await;
                put.map_err(|error| failed(io::Error::other(error)))
            }
        }
    }
}

fn object(bucket: &str, prefix: &str, file: &str) -> ObjectRef {
    ObjectRef::new(bucket, format!("{prefix}{file}"))
}
