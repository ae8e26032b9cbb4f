//! The verification of single log files.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::verify::run;
use crate::audit::AuditRequest;
use crate::cli::args::{FileArgs, ReportArgs, SourceArgs};
use crate::cli::aws;
use crate::cli::custody::now;
use crate::cli::exit::Failure;
use crate::cli::paths;
use crate::cli::resolve::{self, Opened, S3_CONCURRENCY, Settings, ShownAs, cores};
use crate::model::{DigestName, KeysFrom, LogFileKey, ObjectRef, TimeRange};
use crate::store::Folder;
use crate::trail::caller_identity;

/// Verifies single log files, and returns the exit code for the verdict.
pub(crate) fn file(args: &FileArgs) -> Result<u8, Failure> {
    paths::check_file(args)?;
    let names = names(&args.names)?;
    run(&args.reports, async { resolve(args.copy.from.as_deref(), &args.source, &args.reports, &names, now()).await })
}

/// Returns the names, with those from standard input in place of '-'.
fn names(given: &[String]) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for name in given {
        if name != "-" {
            names.push(name.clone());
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line =
                line.map_err(|error| Failure::Usage(format!("the list on standard input can't be read: {error}")))?;
            names.extend(Some(line.trim()).filter(|line| !line.is_empty()).map(str::to_owned));
        }
    }
    if names.is_empty() {
        return Err(Failure::Usage("the list on standard input names no log file".to_owned()));
    }
    Ok(names)
}

async fn resolve(
    from: Option<&Path>,
    args: &SourceArgs,
    reports: &ReportArgs,
    names: &[String],
    now: Timestamp,
) -> Result<Settings, Failure> {
    let mut request = AuditRequest::new(TimeRange::default(), now);
    request.statement.settings = reports.settings.clone();
    request.max_log_file_bytes = resolve::max_log_file_bytes(args);
    request.warnings_before.extend(resolve::check_keys(args).await?);
    match from {
        Some(dir) => {
            let (folder, keys) = resolve::open_folder(args, dir, &ShownAs::default(), args.check_keys)?;
            request.files = names.iter().map(|name| local(&folder, name)).collect::<Result<_, _>>()?;
            request.concurrency = args.concurrency.map_or_else(cores, usize::from);
            if let Some(path) = &args.keys {
                request.statement.keys = resolve::keys_of_file(&keys, path, KeysFrom::File);
            }
            Ok(Settings::new(Arc::new(folder), Arc::new(keys), request))
        }
        None => {
            let files: Vec<ObjectRef> = names.iter().map(|name| remote(name)).collect::<Result<_, _>>()?;
            let bucket = files[0].bucket.clone();
            let other = files.iter().find(|file| args.recorded_bucket.is_some() && file.bucket != bucket);
            if let Some(other) = other {
                return Err(Failure::Usage(format!(
                    "--recorded-bucket says what one bucket is a copy of, and the files lie in {bucket} and {}",
                    other.bucket
                )));
            }
            let recorded = args.recorded_bucket.as_deref();
            let under = |file: &ObjectRef| ObjectRef::new(recorded.unwrap_or(&file.bucket), file.key.clone());
            request.files = files.iter().map(under).collect();
            request.concurrency = args.concurrency.map_or(S3_CONCURRENCY, usize::from);
            let region = LogFileKey::parse(&files[0].key).map(|key| key.region);
            let home = region.as_ref().map_or("us-east-1", |region| region.as_str());
            let partition = region.as_ref().map_or("aws", |region| region.partition()).to_owned();
            let config = aws::connect(&args.aws, home).await?;
            let identity = if reports.is_evidence() { caller_identity(&config).await } else { None };
            request.requests_before += u64::from(reports.is_evidence());
            request.statement.endpoints = Some(config.endpoints()).filter(|endpoints| !endpoints.is_empty());
            let Opened { store, keys, asked } =
                resolve::open_s3(args, config, format!("s3://{bucket}"), &bucket, partition)?;
            request.statement.keys = asked;
            Ok(Settings { identity, ..Settings::new(store, keys, request) })
        }
    }
}

/// Parses `s3://BUCKET/KEY`.
fn remote(name: &str) -> Result<ObjectRef, Failure> {
    let parts = name.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    let Some((bucket, key)) = parts.filter(|(bucket, _)| !bucket.is_empty()) else {
        let hint = "write s3://BUCKET/KEY, or name a path in a local copy with --from DIR --keys FILE";
        return Err(Failure::Usage(format!("'{name}' names no object in S3: {hint}")));
    };
    is_log_file(ObjectRef::new(bucket, key))
}

/// Parses a path in the copy, or the name that the object had in S3.
fn local(folder: &Folder, name: &str) -> Result<ObjectRef, Failure> {
    if name.starts_with("s3://") {
        return remote(name);
    }
    let object = folder.object_at(Path::new(name)).map_err(Failure::Usage)?;
    // A file that somebody decompressed is identified by the name that digests list.
    let listed =
        object.key.strip_suffix(".json").map(|stem| ObjectRef::new(object.bucket.clone(), format!("{stem}.json.gz")));
    is_log_file(
        listed.filter(|listed| LogFileKey::parse(&listed.key).is_some_and(|key| !key.time.is_odd())).unwrap_or(object),
    )
}

fn is_log_file(object: ObjectRef) -> Result<ObjectRef, Failure> {
    if LogFileKey::parse(&object.key).is_some() {
        return Ok(object);
    }
    Err(Failure::Usage(if DigestName::parse(&object.key).is_some() {
        format!("{object} is a digest file, and 'file' is about log files: verify its hour with --start and --end")
    } else {
        format!("{object} is not the name of a log file: those lie in …AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/")
    }))
}
