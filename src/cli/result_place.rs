//! The place of units' results: a folder, or a prefix in S3.

use std::fs::File;
use std::io::{BufWriter, Seek as _, Write};
use std::path::PathBuf;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

use super::args::AwsArgs;
use super::aws::connect;
use super::exit::Failure;
use super::plan_place::bucket_and_prefix;
use crate::disk;
use crate::model::ObjectRef;
use crate::shard::{
    BucketOfResults, FolderOfResults, Manifest, Question, ResultSource, Unit, UnitResult, read_unit_result,
};
use crate::store::{ConditionalStore as _, S3, Written};

/// The largest result that is read to see whether it is whole, in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// The place of results.
pub(super) enum ResultPlace {
    Folder(PathBuf),
    Bucket { s3: Arc<S3>, bucket: String, prefix: String },
}

/// A result that is being written: compressed, into a temporary file.
pub(super) struct Writing {
    out: GzEncoder<BufWriter<File>>,
    /// The same file, which is moved to its place once it is whole.
    file: NamedTempFile,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl ResultPlace {
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

    /// Checks that results are not written to where the trail delivers.
    pub(super) fn check_apart(&self, question: &Question) -> Result<(), Failure> {
        let Self::Bucket { bucket, .. } = self else { return Ok(()) };
        if question.buckets().contains(bucket) {
            return Err(Failure::Usage(format!(
                "--output lies in {bucket}, the bucket that is examined, which ctverify never writes to: give another \
                 one, out of reach of whoever can change the trail"
            )));
        }
        Ok(())
    }

    /// The results there, for a merge.
    pub(super) fn source(self) -> Arc<dyn ResultSource> {
        match self {
            Self::Folder(folder) => Arc::new(FolderOfResults(folder)),
            Self::Bucket { s3, bucket, prefix } => Arc::new(BucketOfResults::new(s3, bucket, prefix)),
        }
    }

    /// The file or object of a unit's result.
    pub(super) fn name(&self, unit: u64) -> String {
        match self {
            Self::Folder(folder) => folder.join(file_name(unit)).display().to_string(),
            Self::Bucket { bucket, prefix, .. } => format!("s3://{bucket}/{prefix}{}", file_name(unit)),
        }
    }

    /// Returns the result of a unit and its file, if a whole one of this plan is there.
    pub(super) async fn read(&self, manifest: &Manifest, unit: &Unit) -> Result<Option<(UnitResult, File)>, Failure> {
        let name = self.name(unit.unit);
        let unreadable = |error: std::io::Error| Failure::CannotRun(format!("{name} can't be read: {error}"));
        let file = match self {
            Self::Folder(folder) => match File::open(folder.join(file_name(unit.unit))) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(unreadable(error)),
            },
            Self::Bucket { s3, .. } => {
                let found = s3.get_with_etag(&self.object(unit.unit), MAX_BYTES).await;
                let found = found.map_err(|error| Failure::CannotRun(format!("{name} can't be read: {error}")))?;
                let Some(found) = found else { return Ok(None) };
                let mut file = tempfile::tempfile().map_err(unreadable)?;
                std::io::copy(&mut found.bytes.as_slice(), &mut file).map_err(unreadable)?;
                file.rewind().map_err(unreadable)?;
                file
            }
        };
        let again = file.try_clone().map_err(unreadable)?;
        match read_unit_result(file) {
            Ok(Some(result)) if result.plan == manifest.sha256 && result.description == unit.sha256() => {
                let mut file = again;
                file.rewind().map_err(unreadable)?;
                Ok(Some((result, file)))
            }
            Ok(Some(result)) => Err(Failure::Usage(format!(
                "{name} is the result of unit {} of another plan, and is not overwritten: give each plan a place of \
                 its own",
                result.unit
            ))),
            Ok(None) => Err(not_whole(&name, "it is empty")),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(not_whole(&name, &error.to_string())),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Begins a result.
    pub(super) fn create(&self, unit: u64) -> Result<Writing, Failure> {
        let name = self.name(unit);
        let failed = |error: std::io::Error| Failure::CannotRun(format!("{name} can't be written: {error}"));
        let (file, out) = match self {
            Self::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(failed)?;
                let (file, out) = disk::create(&folder.join(file_name(unit))).map_err(failed)?;
                (file.ok_or_else(|| failed(std::io::Error::other("it is no file")))?, out)
            }
            Self::Bucket { .. } => {
                let file = NamedTempFile::new().map_err(failed)?;
                let out = file.reopen().map_err(failed)?;
                (file, out)
            }
        };
        Ok(Writing { out: GzEncoder::new(BufWriter::new(out), Compression::fast()), file })
    }

    /// Puts a whole result in its place, and returns its file. Where another run of the same unit was
    /// faster, that one's is left as it is.
    pub(super) async fn finish(
        &self,
        manifest: &Manifest,
        unit: &Unit,
        own: UnitResult,
        writing: Writing,
    ) -> Result<(UnitResult, File), Failure> {
        let name = self.name(unit.unit);
        let failed = |error: std::io::Error| Failure::CannotRun(format!("{name} can't be written: {error}"));
        let Writing { out, file } = writing;
        let out = out.finish().and_then(|out| out.into_inner().map_err(std::io::IntoInnerError::into_error));
        out.and_then(|out| out.sync_all()).map_err(failed)?;
        let mut whole = file.reopen().map_err(failed)?;
        match self {
            Self::Folder(folder) => match file.persist_noclobber(folder.join(file_name(unit.unit))) {
                Ok(_) => {}
                Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                    self.read(manifest, unit).await?;
                }
                Err(error) => return Err(failed(error.error)),
            },
            Self::Bucket { s3, .. } => {
                let put = s3.put_new_file(&self.object(unit.unit), file.path()).await;
                let put = put.map_err(|error| Failure::CannotRun(format!("{name} can't be written: {error}")))?;
                if put == Written::Changed {
                    return self.others(manifest, unit).await;
                }
            }
        }
        whole.rewind().map_err(failed)?;
        Ok((own, whole))
    }

    /// Returns the result of a unit that another run has written meanwhile.
    async fn others(&self, manifest: &Manifest, unit: &Unit) -> Result<(UnitResult, File), Failure> {
        let found = self.read(manifest, unit).await?;
        found.ok_or_else(|| {
            let name = self.name(unit.unit);
            Failure::CannotRun(format!("{name} can't be written: another run has written and removed it meanwhile"))
        })
    }

    fn object(&self, unit: u64) -> ObjectRef {
        match self {
            Self::Folder(_) => ObjectRef::new("", file_name(unit)),
            Self::Bucket { bucket, prefix, .. } => {
                ObjectRef::new(bucket.as_str(), format!("{prefix}{}", file_name(unit)))
            }
        }
    }
}

fn file_name(unit: u64) -> String {
    format!("unit-{unit:06}.jsonl.gz")
}

fn not_whole(name: &str, reason: &str) -> Failure {
    Failure::Usage(format!("{name} is no whole result, and is not overwritten: {reason}. Remove it"))
}
