//! The place of a plan: a folder, or a prefix in S3.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::args::AwsArgs;
use super::aws::connect;
use super::exit::Failure;
use crate::disk;
use crate::model::ObjectRef;
use crate::shard::{Manifest, Plan, PlanError, PlanFiles};
use crate::store::{ConditionalStore as _, Location, S3, Written};

/// The largest file of a plan that is read from S3, in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// The place of a plan.
pub(super) enum PlanPlace {
    Folder(PathBuf),
    Bucket { s3: Box<S3>, bucket: String, prefix: String },
}

/// A plan that was opened.
pub(super) struct OpenPlan {
    pub files: PlanFiles,
    pub manifest: Manifest,
    /// The copy of a plan from S3.
    _copy: Option<TempDir>,
}

impl OpenPlan {
    /// The failure for a unit that the plan does not have.
    pub(super) fn no_unit(&self, unit: u64) -> Failure {
        PlanError::NoUnit { unit, last: self.manifest.last_unit() }.into()
    }
}

/// Splits `s3://BUCKET/PREFIX`; `None` for a path.
pub(super) fn bucket_and_prefix(name: &str) -> Result<Option<(String, String)>, Failure> {
    let Some(rest) = name.strip_prefix("s3://") else {
        // A folder of such a name would be a surprise, and on a cluster its files would be lost.
        return match name.split_once("://") {
            Some((scheme, _)) => Err(Failure::Usage(format!(
                "{name} is neither a path nor s3://BUCKET/PREFIX: {scheme}:// is not known here"
            ))),
            None => Ok(None),
        };
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(Failure::Usage(format!("{name} names no bucket: write s3://BUCKET/PREFIX/")));
    }
    let prefix = if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
    Ok(Some((bucket.to_owned(), prefix)))
}

impl PlanPlace {
    /// Names a place by its folder or its manifest.
    pub(super) async fn of(name: &str, aws: &AwsArgs) -> Result<Self, Failure> {
        let folder = name.strip_suffix(PlanFiles::MANIFEST).unwrap_or(name);
        match bucket_and_prefix(folder)? {
            Some((bucket, prefix)) => {
                let s3 = Box::new(S3::new(connect(aws, "us-east-1").await?, name.to_owned()));
                Ok(Self::Bucket { s3, bucket, prefix })
            }
            None => Ok(Self::Folder(PathBuf::from(name))),
        }
    }

    /// Checks that no plan is there yet, nor anything else in its folder. What a run that was ended left
    /// of a plan, which has no manifest, is written anew.
    pub(super) async fn check_new(&self) -> Result<(), Failure> {
        match self {
            Self::Folder(folder) => {
                let shown = folder.display();
                let entries = match std::fs::read_dir(folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                    Err(error) => return Err(Failure::Usage(format!("--output {shown} is no folder: {error}"))),
                };
                let is_left = |name: &str| [PlanFiles::UNITS, PlanFiles::CHAINS].contains(&name);
                let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
                if names.any(|name| !is_left(&name)) {
                    return Err(Failure::Usage(format!(
                        "--output {shown} is not empty, and nothing in it is overwritten: give a new folder"
                    )));
                }
            }
            Self::Bucket { s3, bucket, prefix } => {
                let object = ObjectRef::new(bucket.as_str(), format!("{prefix}{}", PlanFiles::MANIFEST));
                let found = s3.get_with_etag(&object, MAX_BYTES).await;
                let found = found.map_err(|error| Failure::CannotRun(format!("{object} can't be read: {error}")))?;
                if found.is_some() {
                    return Err(Failure::Usage(format!(
                        "{object} is there already, and nothing is overwritten: give another --output"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Checks that the plan is not written to where the trail delivers.
    pub(super) fn check_apart(&self, locations: &[Location], read: Option<&str>) -> Result<(), Failure> {
        let Self::Bucket { bucket, .. } = self else { return Ok(()) };
        if locations.iter().any(|location| location.bucket == *bucket) || read == Some(bucket) {
            return Err(Failure::Usage(format!(
                "--output lies in {bucket}, the bucket that is examined, which ctverify never writes to: give another \
                 one, out of reach of whoever can change the trail"
            )));
        }
        Ok(())
    }

    /// Writes a plan; the manifest comes last, so that a plan with one is whole.
    pub(super) async fn write(&self, plan: &Plan) -> Result<(), Failure> {
        let manifest = plan.manifest.to_json();
        Manifest::check_size(&manifest)?;
        let files =
            [(PlanFiles::UNITS, &plan.units), (PlanFiles::CHAINS, &plan.chains), (PlanFiles::MANIFEST, &manifest)];
        match self {
            Self::Folder(folder) => {
                let failed = |path: &Path, error: std::io::Error| {
                    Failure::CannotRun(format!("{} can't be written: {error}", path.display()))
                };
                std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
                for (name, content) in files {
                    let path = folder.join(name);
                    // Two plans may be made at once: the first manifest stays.
                    if name == PlanFiles::MANIFEST && path.exists() {
                        return Err(Failure::Usage(format!(
                            "{} is there already, and is not overwritten",
                            path.display()
                        )));
                    }
                    disk::write_whole(&path, content).map_err(|error| failed(&path, error))?;
                }
            }
            Self::Bucket { s3, bucket, prefix } => {
                // Another plan may have been finished there meanwhile.
                self.check_new().await?;
                for (name, content) in files {
                    let object = ObjectRef::new(bucket.as_str(), format!("{prefix}{name}"));
                    let failed = |reason: String| Failure::CannotRun(format!("{object} can't be written: {reason}"));
                    // Only what a run that was ended left behind is replaced.
                    let left = match name {
                        PlanFiles::MANIFEST => None,
                        _ => s3.get_with_etag(&object, MAX_BYTES).await.map_err(|error| failed(error.to_string()))?,
                    };
                    let tag = left.as_ref().map(|left| left.etag.as_slice());
                    let written = s3.put_if_match(&object, content.clone(), tag).await;
                    match written.map_err(|error| failed(error.to_string()))? {
                        Written::Whole => {}
                        Written::Changed => {
                            return Err(Failure::Usage(format!(
                                "{object} is there already, and nothing is overwritten: give another --output"
                            )));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens the plan; one in S3 is copied into a temporary folder.
    pub(super) async fn open(&self) -> Result<OpenPlan, Failure> {
        let (files, copy) = match self {
            Self::Folder(path) => (PlanFiles::of(path), None),
            Self::Bucket { s3, bucket, prefix } => {
                let failed = |error: std::io::Error| {
                    Failure::CannotRun(format!("the plan can't be copied into a temporary folder: {error}"))
                };
                let copy = tempfile::tempdir().map_err(failed)?;
                for name in [PlanFiles::MANIFEST, PlanFiles::UNITS, PlanFiles::CHAINS] {
                    let object = ObjectRef::new(bucket.as_str(), format!("{prefix}{name}"));
                    let found = s3.get_with_etag(&object, MAX_BYTES).await;
                    let found = found
                        .map_err(|error| Failure::CannotRun(format!("the plan's {object} can't be read: {error}")))?;
                    let found =
                        found.ok_or_else(|| Failure::Usage(format!("there is no plan at {object}: check --plan")))?;
                    std::fs::write(copy.path().join(name), found.bytes).map_err(failed)?;
                }
                (PlanFiles::of(copy.path()), Some(copy))
            }
        };
        let manifest = files.read_manifest()?;
        Ok(OpenPlan { files, manifest, _copy: copy })
    }
}
