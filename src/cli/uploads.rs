//! Reports that are written to S3: each is made in a temporary folder and uploaded once it is whole.

use std::path::PathBuf;

use tempfile::TempDir;

use super::args::{AwsArgs, ReportArgs};
use super::aws::connect;
use super::exit::Failure;
use super::plan_place::bucket_and_prefix;
use crate::model::ObjectRef;
use crate::sign::signature_path;
use crate::store::{ListRequest, S3, Store as _, Written};

/// The reports of a run that are uploaded after it.
pub(super) struct Uploads {
    folder: TempDir,
    /// Each report's file in the folder, and the object that it becomes.
    reports: Vec<(PathBuf, ObjectRef)>,
    s3: Option<S3>,
}

impl Uploads {
    /// Gives each report that is named as `s3://BUCKET/KEY` a file in a temporary folder, and checks
    /// that no such object is there. `refused` are buckets that nothing is written to.
    pub(super) async fn prepare(args: &mut ReportArgs, aws: &AwsArgs, refused: &[String]) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::CannotRun(format!("no temporary folder can be made for reports: {error}")))?;
        let mut uploads = Self { folder, reports: Vec::new(), s3: None };
        for (index, (_, path)) in args.report.iter_mut().enumerate() {
            let name = path.to_string_lossy().into_owned();
            let Some((bucket, key)) = bucket_and_prefix(&name)? else { continue };
            let key = key.trim_end_matches('/');
            if key.is_empty() || name.ends_with('/') {
                return Err(Failure::Usage(format!("the report {name} names no object: write s3://BUCKET/KEY")));
            }
            if refused.contains(&bucket) {
                return Err(Failure::Usage(format!(
                    "the report {name} lies in the bucket that is examined, which ctverify never writes to: give \
                     another one"
                )));
            }
            let object = ObjectRef::new(bucket.as_str(), key);
            let s3 = match &uploads.s3 {
                Some(s3) => s3,
                None => uploads.s3.insert(S3::new(connect(aws, "us-east-1").await?, name.clone())),
            };
            let request = ListRequest { bucket, prefix: key.to_owned(), start_after: None, folders: false };
            let page = s3.list(&request, None).await;
            let page =
                page.map_err(|error| Failure::CannotRun(format!("the report {object} can't be written: {error}")))?;
            if page.objects.iter().any(|found| *found.key == *object.key) {
                return Err(Failure::Usage(format!(
                    "the report {object} is there already, and nothing is overwritten: give another name"
                )));
            }
            *path = uploads.folder.path().join(format!("report-{index}"));
            args.uploaded.push(path.clone());
            uploads.reports.push((path.clone(), object));
        }
        Ok(uploads)
    }

    /// Uploads the reports and their signatures.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        let Some(s3) = &self.s3 else { return Ok(()) };
        for (path, object) in &self.reports {
            let signature = ObjectRef::new(object.bucket.clone(), format!("{}.sig", object.key));
            for (path, object) in [(path.clone(), object), (signature_path(path), &signature)] {
                let failed =
                    |reason: String| Failure::CannotRun(format!("the report {object} can't be written: {reason}"));
                // Not every report has a signature.
                if !path.exists() {
                    continue;
                }
                match s3.put_new_file(object, &path).await.map_err(|error| failed(error.to_string()))? {
                    Written::Whole => {}
                    Written::Changed => return Err(failed("another one was written there meanwhile".to_owned())),
                }
            }
        }
        Ok(())
    }
}
