//! The place of units' results: a folder, or a prefix in S3.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

use super::args::AwsArgs;
use super::exit::Failure;
use super::place::Place;
use crate::shard::{
    BucketOfResults, FolderOfResults, Manifest, Question, ResultSource, Unit, UnitResult, read_unit_result,
};
use crate::store::Written;

/// The place of results.
pub(super) struct ResultPlace(Place);

/// A result that is being written: compressed, into a temporary file.
pub(super) struct Writing {
    out: GzEncoder<BufWriter<File>>,
    /// The same file, which is moved to its place once it is whole.
    file: NamedTempFile,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl ResultPlace {
    /// Names a place.
    pub(super) async fn of(name: &str, aws: &AwsArgs) -> Result<Self, Failure> {
        Place::of(name, aws).await.map(Self)
    }

    /// Checks that results are not written to where the trail delivers.
    pub(super) fn check_apart(&self, question: &Question) -> Result<(), Failure> {
        self.0.check_apart("--output", question)
    }

    /// The results there, for a merge.
    pub(super) fn source(self) -> Arc<dyn ResultSource> {
        match self.0 {
            Place::Folder(folder) => Arc::new(FolderOfResults(folder)),
            Place::Bucket { s3, bucket, prefix } => Arc::new(BucketOfResults::new(s3, bucket, prefix)),
        }
    }

    /// The file or object of a unit's result.
    pub(super) fn name(&self, unit: u64) -> String {
        self.0.name(&file_name(unit))
    }

    /// Returns the result of a unit and its file, if a whole one of this plan is there.
    pub(super) async fn read(&self, manifest: &Manifest, unit: &Unit) -> Result<Option<(UnitResult, File)>, Failure> {
        let Some(file) = self.0.open(&file_name(unit.unit)).await? else { return Ok(None) };
        let name = self.name(unit.unit);
        let unreadable = |error: io::Error| Failure::CannotRun(format!("{name} can't be read: {error}"));
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
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(not_whole(&name, &error.to_string())),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Begins a result.
    pub(super) fn create(&self, unit: u64) -> Result<Writing, Failure> {
        let failed = |error: io::Error| self.cannot_write(unit, &error);
        let file = self.0.temporary().map_err(failed)?;
        let out = file.reopen().map_err(failed)?;
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
        let failed = |error: io::Error| self.cannot_write(unit.unit, &error);
        let Writing { out, file } = writing;
        let out = out.finish().and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error));
        out.and_then(|out| out.sync_all()).map_err(failed)?;
        let mut whole = file.reopen().map_err(failed)?;
        if self.0.put_new(&file_name(unit.unit), file.into_temp_path()).await? == Written::Changed {
            let found = self.read(manifest, unit).await?;
            return found.ok_or_else(|| failed(io::Error::other("another run has written and removed it meanwhile")));
        }
        whole.rewind().map_err(failed)?;
        Ok((own, whole))
    }

    fn cannot_write(&self, unit: u64, error: &io::Error) -> Failure {
        Failure::CannotRun(format!("{} can't be written: {error}", self.name(unit)))
    }
}

fn file_name(unit: u64) -> String {
    format!("unit-{unit:06}.jsonl.gz")
}

fn not_whole(name: &str, reason: &str) -> Failure {
    Failure::Usage(format!("{name} is no whole result, and is not overwritten: {reason}. Remove it"))
}
