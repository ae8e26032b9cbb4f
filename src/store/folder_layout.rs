//! How a local copy of a bucket is laid out: where in the folder the copies of `AWSLogs/` are, and whose they are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::{Location, StoreError};
use crate::model::{AWS_LOGS, AccountId, DIGEST_FOLDER, DigestName, LogRoot, ObjectRef, OrganizationId};
use crate::verify::{gunzip, limits, peek_object};

/// How deep below the folder copies of `AWSLogs/` are looked for: a key prefix has at most 200 characters (CloudTrail
/// API reference, `S3KeyPrefix`), and few have more than two or three parts.
const MAX_DEPTH: usize = 12;

/// How many digests are opened to find out whose a copy is, before it is taken as nobody's.
const MAX_PEEKS: usize = 1000;

/// One copy of an `AWSLogs/` folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    /// Where the content of `AWSLogs/` lies, relative to the folder that is read.
    pub path: PathBuf,
    /// Where it came from, as far as its digests tell.
    pub location: Location,
}

/// Finds the copies of `AWSLogs/` below `dir`: the folders of that name, or else `dir` itself.
pub(super) fn find_copies(dir: &Dir, name: &str, recorded_bucket: Option<&str>) -> Result<Vec<Copy>, StoreError> {
    let mut paths = Vec::new();
    walk(dir, Path::new(""), 0, &mut paths)?;
    if is_copy_of_aws_logs(dir)? {
        paths.push(PathBuf::new());
    }
    paths.sort();
    let mut copies: Vec<Copy> = Vec::new();
    for path in paths {
        let object = match whose(dir, &path)? {
            Owner::Told(object) => object,
            Owner::Unreadable => by_layout(&path),
            Owner::NoDigests => continue,
        };
        let prefix = object.key.rsplit_once(&format!("{AWS_LOGS}/")).map_or("", |(prefix, _)| prefix);
        let root = LogRoot { prefix: prefix.trim_end_matches('/').to_owned() };
        let bucket = recorded_bucket.unwrap_or(&object.bucket).to_owned();
        let location = Location { bucket, root };
        if let Some(other) = copies.iter().find(|copy| copy.location == location) {
            return Err(StoreError::Ambiguous(format!(
                "{name} holds two copies of s3://{}/{}: '{}' and '{}'; name one of them with --from",
                location.bucket,
                location.root.folder(),
                other.path.display(),
                path.display()
            )));
        }
        copies.push(Copy { path, location });
    }
    Ok(copies)
}

fn walk(dir: &Dir, path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    for name in folders(dir, path)? {
        let below = path.join(&name);
        if name == AWS_LOGS {
            found.push(below);
        } else if depth < MAX_DEPTH && !is_account_folder(dir, &name, &below)? {
            walk(dir, &below, depth + 1, found)?;
        }
    }
    Ok(())
}

/// Whether this is an account's folder in a copy of `AWSLogs/`. A bucket or a prefix may be named like an account, too.
fn is_account_folder(dir: &Dir, name: &str, path: &Path) -> Result<bool, StoreError> {
    let of_cloudtrail = |folder: &String| folder == DIGEST_FOLDER || folder == "CloudTrail";
    Ok(name.parse::<AccountId>().is_ok() && folders(dir, path)?.iter().any(of_cloudtrail))
}

fn is_copy_of_aws_logs(dir: &Dir) -> Result<bool, StoreError> {
    for name in folders(dir, Path::new(""))? {
        let below =
            if name.parse::<OrganizationId>().is_ok() { folders(dir, Path::new(&name))? } else { vec![name.clone()] };
        let parent = if name.parse::<OrganizationId>().is_ok() { PathBuf::from(&name) } else { PathBuf::new() };
        for account in below.iter().filter(|account| account.parse::<AccountId>().is_ok()) {
            if folders(dir, &parent.join(account))?.iter().any(|folder| folder == DIGEST_FOLDER) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The name that the first readable digest of a copy bears, if it lies where that name belongs.
fn whose(dir: &Dir, copy: &Path) -> Result<Owner, StoreError> {
    let mut peeks = 0;
    let mut pending = vec![(copy.to_path_buf(), 0_usize)];
    while let Some((path, depth)) = pending.pop() {
        let mut below: Vec<PathBuf> = folders(dir, &path)?.iter().map(|name| path.join(name)).collect();
        if depth == 0 || (depth == 1 && below.iter().all(|path| !path.ends_with(DIGEST_FOLDER))) {
            below.retain(|path| file_name(path).is_some_and(|name| is_account_or_organization(&name)));
        } else if below.iter().any(|path| path.ends_with(DIGEST_FOLDER)) {
            below.retain(|path| path.ends_with(DIGEST_FOLDER));
        }
        // The stack hands out the last one first.
        below.reverse();
        pending.extend(below.into_iter().map(|path| (path, depth + 1)));
        for file in files(dir, &path)?.into_iter().filter(|file| file.ends_with(".json.gz")) {
            let path = path.join(&file);
            let inside = path.strip_prefix(copy).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            let key = format!("{AWS_LOGS}/{inside}");
            if DigestName::parse(&key).is_none() {
                continue;
            }
            peeks += 1;
            if let Some(object) = peek(dir, &path).filter(|object| object.key.ends_with(&key)) {
                return Ok(Owner::Told(object));
            }
            if peeks >= MAX_PEEKS {
                return Ok(Owner::Unreadable);
            }
        }
    }
    Ok(if peeks > 0 { Owner::Unreadable } else { Owner::NoDigests })
}

/// What the digests of a copy say of where it came from.
enum Owner {
    /// One of them bears this name.
    Told(ObjectRef),
    /// There are digests, and none can be read.
    Unreadable,
    /// There are none.
    NoDigests,
}

/// Where a copy came from, if nothing but the layout tells: the first folder is the bucket, as `DIR/BUCKET/KEY` has it.
fn by_layout(path: &Path) -> ObjectRef {
    let path = path.to_string_lossy().replace('\\', "/");
    let key = |inside: &str| if inside.ends_with(AWS_LOGS) { format!("{inside}/") } else { format!("{AWS_LOGS}/") };
    match path.split_once('/') {
        Some((bucket, inside)) => ObjectRef::new(bucket, key(inside)),
        None => ObjectRef::new("unknown-bucket", key(&path)),
    }
}

/// Whether a name stays below the folder that it is looked for in.
pub(super) fn is_safe_name(object: &ObjectRef) -> bool {
    let is_separator = |c: char| c == '\0' || (cfg!(windows) && c == '\\');
    let is_safe = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(is_separator);
    is_safe(&object.bucket) && !object.bucket.contains('/') && object.key.split('/').all(is_safe)
}

fn peek(dir: &Dir, path: &Path) -> Option<ObjectRef> {
    let metadata = dir.metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > limits::MAX_DIGEST_OBJECT_BYTES {
        return None;
    }
    let json = gunzip(&dir.read(path).ok()?, limits::MAX_DIGEST_BYTES).ok()?;
    peek_object(&json).filter(is_safe_name)
}

fn is_account_or_organization(name: &str) -> bool {
    name.parse::<AccountId>().is_ok() || name.parse::<OrganizationId>().is_ok()
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// The folders directly below `path`, by name. Symbolic links are not followed here.
pub(super) fn folders(dir: &Dir, path: &Path) -> Result<Vec<String>, StoreError> {
    entries(dir, path, |kind| kind.is_dir())
}

/// The files directly below `path`, by name. A symbolic link counts: reading it is refused if it leads outside.
pub(super) fn files(dir: &Dir, path: &Path) -> Result<Vec<String>, StoreError> {
    entries(dir, path, |kind| !kind.is_dir())
}

fn entries(dir: &Dir, path: &Path, wanted: fn(cap_std::fs::FileType) -> bool) -> Result<Vec<String>, StoreError> {
    let failed = |error| StoreError::Failed(format!("the folder '{}' can't be read: {error}", path.display()));
    let listing = if path.as_os_str().is_empty() { dir.entries() } else { dir.read_dir(path) };
    let listing = match listing {
        Ok(listing) => listing,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(failed)?;
        // A name that is not UTF-8 is no S3 key.
        if let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string())
            && wanted(kind)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
