//! The layout of a local copy of a bucket: the locations of the copies of `AWSLogs/` in the folder,
//! and the bucket and prefix that each came from.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::{Location, StoreError};
use crate::model::{
    AWS_LOGS, AccountId, DIGEST_FOLDER, DigestName, LOG_FOLDER, LogRoot, ObjectRef, OrganizationId, Region,
};
use crate::verify::{limits, peek_object, uncompressed};

/// The depth below the folder to which copies of `AWSLogs/` are looked for: a key prefix has at
/// most 200 characters (CloudTrail API reference, `S3KeyPrefix`), and few have more than two or
/// three parts.
const MAX_DEPTH: usize = 12;

/// The maximum number of digests that are opened to find out where a copy came from, before its
/// digests count as unreadable.
const MAX_PEEKS: usize = 1000;

/// One copy of an `AWSLogs/` folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    /// The path of the content of `AWSLogs/`, relative to the folder that is read.
    pub path: PathBuf,
    /// The location that it came from, as far as its digests tell.
    pub location: Location,
    /// The organization whose folder this is a copy of, if it is one of `AWSLogs/O-ID/` and not of
    /// `AWSLogs/`.
    pub organization: Option<OrganizationId>,
}

impl Copy {
    /// Returns the path of the object at `inside` below `AWSLogs/`, relative to the folder that is
    /// read; `None` for an object that this copy can't hold.
    pub(super) fn file(&self, inside: &str) -> Option<PathBuf> {
        let below = match &self.organization {
            Some(organization) => inside.strip_prefix(organization.as_str())?.strip_prefix('/')?,
            None => inside,
        };
        Some(self.path.join(below))
    }

    /// The key of the object that lies at `below` this copy.
    pub(super) fn key(&self, below: &str) -> String {
        let organization = self.organization.as_ref().map(|id| format!("{id}/")).unwrap_or_default();
        format!("{}{organization}{below}", self.location.root.folder())
    }

    /// Returns whether it lies where `DIR/B/K` or `DIR/K` puts it.
    fn is_in_its_place(&self) -> bool {
        let folder = self.location.root.folder();
        let by_key = Path::new(folder.trim_end_matches('/'));
        self.path == Path::new(&self.location.bucket).join(by_key) || self.path == by_key
    }
}

/// The copies of `AWSLogs/` in a folder, and notes for a reader on copies that were left alone.
pub(super) struct Copies {
    pub copies: Vec<Copy>,
    pub notes: Vec<String>,
}

/// Finds the copies of `AWSLogs/` below `dir`: the folders of that name, or else `dir` itself.
pub(super) fn find_copies(dir: &Dir, name: &str, recorded_bucket: Option<&str>) -> Result<Copies, StoreError> {
    let mut paths = Vec::new();
    walk(dir, Path::new(""), 0, &mut paths)?;
    if is_copy_of_aws_logs(dir, Path::new(""))? {
        paths.push(PathBuf::new());
    }
    paths.sort();
    let mut found: Vec<Copy> = Vec::new();
    let (mut notes, mut without_digests) = (Vec::new(), Vec::new());
    for path in paths {
        let (object, organization) = match whose(dir, &path)? {
            Owner::Told { object, organization } => (object, organization),
            Owner::Unreadable => (by_layout(&path), None),
            Owner::NoDigests if is_copy_of_aws_logs(dir, &path)? => {
                without_digests.push(path);
                continue;
            }
            Owner::NoDigests => continue,
        };
        let prefix = object.key.rsplit_once(&format!("{AWS_LOGS}/")).map_or("", |(prefix, _)| prefix);
        let root = LogRoot { prefix: prefix.trim_end_matches('/').to_owned() };
        let bucket = recorded_bucket.unwrap_or(&object.bucket).to_owned();
        let copy = Copy { path, location: Location { bucket, root }, organization };
        let same = |other: &Copy| other.location == copy.location && other.organization == copy.organization;
        let Some(at) = found.iter().position(same) else {
            found.push(copy);
            continue;
        };
        // A copy that lies where its names put it takes precedence; one that somebody put elsewhere
        // is left alone.
        let other = &found[at];
        let left_alone = match (other.is_in_its_place(), copy.is_in_its_place()) {
            (true, false) => copy.path.clone(),
            (false, true) => std::mem::replace(&mut found[at], copy.clone()).path,
            _ => {
                return Err(StoreError::Ambiguous(format!(
                    "{name} holds two copies of s3://{}/{}: '{}' and '{}'; name one of them with --from",
                    copy.location.bucket,
                    copy.location.root.folder(),
                    other.path.display(),
                    copy.path.display()
                )));
            }
        };
        notes.push(format!(
            "'{}' holds digests of s3://{}/{}, whose copy lies elsewhere in {name}: it was left alone",
            left_alone.display(),
            copy.location.bucket,
            copy.location.root.folder()
        ));
    }
    // The origin of log files without digests follows from the layout alone, so a copy that is
    // known by its digests takes precedence.
    for path in without_digests {
        let object = by_layout(&path);
        let prefix = object.key.rsplit_once(&format!("{AWS_LOGS}/")).map_or("", |(prefix, _)| prefix);
        let root = LogRoot { prefix: prefix.trim_end_matches('/').to_owned() };
        let bucket = recorded_bucket.unwrap_or(&object.bucket).to_owned();
        let copy = Copy { path, location: Location { bucket, root }, organization: None };
        if found.iter().any(|other| other.location == copy.location) {
            let shown = copy.path.display();
            notes.push(format!(
                "'{shown}' holds log files and no digests, and lies beside another copy of its \
                bucket: it was left alone"
            ));
        } else {
            found.push(copy);
        }
    }
    Ok(Copies { copies: found, notes })
}

fn walk(dir: &Dir, path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    for name in folders(dir, path)? {
        let below = path.join(&name);
        if name.contains(char::REPLACEMENT_CHARACTER) {
            continue;
        }
        if name == AWS_LOGS && is_copy_of_aws_logs(dir, &below)? {
            found.push(below);
        } else if depth < MAX_DEPTH && !is_account_folder(dir, &name, &below)? {
            // A prefix may be named like the folder, or like an account.
            walk(dir, &below, depth + 1, found)?;
        }
    }
    Ok(())
}

/// Returns whether this is an account's folder in a copy of `AWSLogs/`. A bucket or a prefix may be
/// named like an account, too.
fn is_account_folder(dir: &Dir, name: &str, path: &Path) -> Result<bool, StoreError> {
    if name.parse::<AccountId>().is_err() {
        return Ok(false);
    }
    let below = folders(dir, path)?;
    if below.iter().any(|folder| folder == DIGEST_FOLDER) {
        return Ok(true);
    }
    // A folder of log files has folders of regions.
    Ok(below.iter().any(|folder| folder == LOG_FOLDER)
        && folders(dir, &path.join(LOG_FOLDER))?.iter().any(|region| region.parse::<Region>().is_ok()))
}

/// Returns whether a folder has the content of `AWSLogs/`, or of `AWSLogs/O-ID/`: folders of
/// accounts.
fn is_copy_of_aws_logs(dir: &Dir, path: &Path) -> Result<bool, StoreError> {
    for name in folders(dir, path)? {
        let below = path.join(&name);
        if is_account_folder(dir, &name, &below)? {
            return Ok(true);
        }
        if name.parse::<OrganizationId>().is_ok() {
            for account in folders(dir, &below)? {
                if is_account_folder(dir, &account, &below.join(&account))? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Returns the origin of a copy: the name in its first readable digest that lies where that name
/// belongs.
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
        // The stack returns the last one first.
        below.reverse();
        pending.extend(below.into_iter().map(|path| (path, depth + 1)));
        for (file, _) in files(dir, &path)?.into_iter() {
            let path = path.join(&file);
            let mut inside = path.strip_prefix(copy).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if is_uncompressed(&path) {
                inside.push_str(".gz");
            }
            let key = format!("{AWS_LOGS}/{inside}");
            if DigestName::parse(&key).is_none() {
                continue;
            }
            peeks += 1;
            if let Some(object) = peek(dir, &path) {
                if object.key.ends_with(&key) {
                    return Ok(Owner::Told { object, organization: None });
                }
                // The paths in a copy of an organization's folder lack the organization's ID.
                let organization = DigestName::parse(&object.key).and_then(|name| name.chain.organization);
                let whole = organization.as_ref().map(|id| format!("{AWS_LOGS}/{id}/{inside}"));
                if whole.is_some_and(|whole| object.key.ends_with(&whole)) {
                    return Ok(Owner::Told { object, organization });
                }
            }
            if peeks >= MAX_PEEKS {
                return Ok(Owner::Unreadable);
            }
        }
    }
    Ok(if peeks > 0 { Owner::Unreadable } else { Owner::NoDigests })
}

/// The origin of a copy, as its digests state it.
enum Owner {
    /// A digest names `object` as its own; `organization` is set if the copy is one of that
    /// organization's folder and not of `AWSLogs/`.
    Told { object: ObjectRef, organization: Option<OrganizationId> },
    /// There are digests, and none of them gives an origin.
    Unreadable,
    /// There are no digests.
    NoDigests,
}

/// Returns the origin of a copy by its layout alone: the first folder is the bucket, as in
/// `DIR/BUCKET/KEY`.
fn by_layout(path: &Path) -> ObjectRef {
    let path = path.to_string_lossy().replace('\\', "/");
    let key = |inside: &str| if inside.ends_with(AWS_LOGS) { format!("{inside}/") } else { format!("{AWS_LOGS}/") };
    match path.split_once('/') {
        Some((bucket, inside)) => ObjectRef::new(bucket, key(inside)),
        None => ObjectRef::new("unknown-bucket", key(&path)),
    }
}

/// Returns whether a name stays below the folder that it is looked for in.
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
    let bytes = dir.read(path).ok()?;
    let json = uncompressed(&bytes, is_uncompressed(path), limits::MAX_DIGEST_BYTES).ok()?;
    peek_object(&json).filter(is_safe_name)
}

/// Returns whether a file has the name of a digest or log file that somebody decompressed.
fn is_uncompressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn is_account_or_organization(name: &str) -> bool {
    name.parse::<AccountId>().is_ok() || name.parse::<OrganizationId>().is_ok()
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// The folders directly below `path`, by name. Symbolic links are not followed here.
pub(super) fn folders(dir: &Dir, path: &Path) -> Result<Vec<String>, StoreError> {
    let found = entries(dir, path, |kind| kind.is_dir().then_some(()))?;
    Ok(found.into_iter().map(|(name, ())| name).collect())
}

/// The files directly below `path`, by name, and whether each is a regular file. A symbolic link
/// counts: reading it is refused if it leads outside.
pub(super) fn files(dir: &Dir, path: &Path) -> Result<Vec<(String, bool)>, StoreError> {
    entries(dir, path, |kind| (!kind.is_dir()).then_some(kind.is_file()))
}

fn entries<T: Ord>(
    dir: &Dir,
    path: &Path,
    wanted: fn(cap_std::fs::FileType) -> Option<T>,
) -> Result<Vec<(String, T)>, StoreError> {
    let failed = |error| StoreError::Failed(format!("the folder '{}' can't be read: {error}", path.display()));
    let listing = if path.as_os_str().is_empty() { dir.entries() } else { dir.read_dir(path) };
    let listing = match listing {
        Ok(listing) => listing,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            if path.to_string_lossy().contains(char::REPLACEMENT_CHARACTER) {
                let what = format!("the folder '{}' has a name that is not UTF-8: rename it", path.display());
                return Err(StoreError::Failed(what));
            }
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(failed)?;
        // A name that is not UTF-8 can't be an S3 key, but is listed all the same: somebody may
        // have put a file there.
        if let Some(kind) = entry.file_type().ok().and_then(wanted) {
            names.push((entry.file_name().to_string_lossy().into_owned(), kind));
        }
    }
    names.sort();
    Ok(names)
}
