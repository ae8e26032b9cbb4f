//! A folder that mirrors a bucket, such as `aws s3 sync` makes.
//!
//! An object is looked for in the copy of its own bucket and prefix, if the digests reveal one;
//! then, for `s3://B/K`, at `DIR/B/K`, at `DIR/K`, and in the copy of `AWSLogs/` below DIR whose
//! remainder is the same. Names come from digests, so an attacker may have chosen them: every file
//! is opened beneath the folder's own handle, which neither `..` nor a symbolic link can leave.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions};

use super::error::check_length;
use super::folder_layout::{Copies, Copy, files, find_copies, folders, is_safe_name};
use super::{
    Body, Counter, Head, LifecycleRule, ListRequest, ListedObject, Location, Object, ObjectVersion, Page, Store,
    StoreError, StoreProperties,
};
use crate::debug::opaque_debug;
use crate::model::{AWS_LOGS, AWS_LOGS_FOLDER, DIGEST_FOLDER, DigestName, ObjectRef, Requests};
use crate::verify::DigestMetadata;

/// The number of bytes of a file that are read at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// The minimum number of objects in a page of a listing, unless it is the last. Pages keep a
/// listing from being held in memory whole.
const PAGE: usize = 1000;
/// The maximum size of a metadata file, in bytes: the output of `aws s3api head-object` is far
/// smaller.
const MAX_METADATA_BYTES: u64 = 64 * 1024;

/// A local copy of one or more buckets.
pub struct Folder {
    name: String,
    dir: Dir,
    copies: Vec<Copy>,
    notes: Vec<String>,
    /// The bucket that this is a copy of, if the caller states it.
    recorded_bucket: Option<String>,
    counter: Counter,
}

opaque_debug!(Folder);

impl Folder {
    /// Opens a folder and finds the copies of `AWSLogs/` in it. With `recorded_bucket`, all of it
    /// is a copy of that bucket, and a digest that names another one is at the wrong location.
    ///
    /// # Errors
    ///
    /// Fails if it is no folder, can't be read, or has no `AWSLogs/`.
    pub fn open(path: &Path, recorded_bucket: Option<String>) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let dir = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|error| StoreError::Failed(format!("the folder {name} can't be opened: {error}")))?;
        let Copies { copies, notes } = find_copies(&dir, &name, recorded_bucket.as_deref())?;
        Ok(Self { name, dir, copies, notes, recorded_bucket, counter: Counter::default() })
    }

    /// Sets the name by which reports call the folder, in place of its path.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Notes on the copies that were found.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The locations that the folder holds copies of.
    pub fn locations(&self) -> Vec<Location> {
        self.copies.iter().map(|copy| copy.location.clone()).collect()
    }

    /// Returns the paths at which an object may lie, in the order in which they are tried; those of
    /// the last rule are tried in one step.
    fn candidates(&self, object: &ObjectRef) -> Result<[Vec<PathBuf>; 3], StoreError> {
        let ObjectRef { bucket, key } = object;
        self.check_name(object)?;
        let inside =
            key.rsplit_once(&format!("{AWS_LOGS}/")).filter(|(above, _)| above.is_empty() || above.ends_with('/'));
        let below = inside
            .map_or_else(Vec::new, |(_, inside)| self.copies.iter().filter_map(|copy| copy.file(inside)).collect());
        Ok([vec![Path::new(&**bucket).join(&**key)], vec![PathBuf::from(&**key)], below])
    }

    fn check_name(&self, object: &ObjectRef) -> Result<(), StoreError> {
        check_length(object)?;
        if is_safe_name(object) { Ok(()) } else { Err(StoreError::UnsafeName(self.name.clone())) }
    }

    /// Returns the path of an object, relative to the folder: in the copy of its own bucket and
    /// prefix, if the digests reveal one; else wherever the rules of a mirror's layout find it.
    fn resolve(&self, object: &ObjectRef) -> Result<PathBuf, StoreError> {
        let candidates = self.candidates(object)?;
        for step in [self.own_copy(object)].into_iter().chain(candidates) {
            let mut found = None;
            for path in step {
                match self.dir.metadata(&path) {
                    Ok(_) => match found.replace(path) {
                        Some(other) => return Err(self.ambiguous(object, &other, found.as_deref())),
                        None => continue,
                    },
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(self.explain(&path, &error)),
                }
            }
            if let Some(path) = found {
                return Ok(path);
            }
        }
        Err(StoreError::NotFound)
    }

    /// Returns the path of an object's file, or of the uncompressed one that the copy has in its place.
    fn resolve_either(&self, object: &ObjectRef) -> Result<PathBuf, StoreError> {
        match (self.resolve(object), uncompressed_name(object)) {
            (Err(StoreError::NotFound), Some(plain)) => self.resolve(&plain),
            (found, _) => found,
        }
    }

    /// Opens an object's file. Nearly every object lies where its own name puts it, so that file is
    /// opened without checking first that it exists.
    fn open_object(&self, object: &ObjectRef) -> Result<(PathBuf, File), StoreError> {
        self.check_name(object)?;
        if let Ok([path]) = <[PathBuf; 1]>::try_from(self.own_copy(object)) {
            match self.open_file(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(self.explain(&path, &error)),
            }
        }
        let path = self.resolve(object)?;
        let file = self.open_file(&path).map_err(|error| self.explain(&path, &error))?;
        Ok((path, file))
    }

    /// Opens a file for reading. Opening a pipe would block until it has a writer; `O_NONBLOCK`
    /// prevents that.
    fn open_file(&self, path: &Path) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            options.custom_flags(libc::O_NONBLOCK);
        }
        self.dir.open_with(path, &options)
    }

    fn own_copy(&self, object: &ObjectRef) -> Vec<PathBuf> {
        let own = self.copies.iter().filter(|copy| *copy.location.bucket == *object.bucket);
        own.filter_map(|copy| copy.file(object.key.strip_prefix(&copy.location.root.folder())?)).collect()
    }

    fn ambiguous(&self, object: &ObjectRef, one: &Path, other: Option<&Path>) -> StoreError {
        let other = other.unwrap_or(Path::new("")).display();
        StoreError::Ambiguous(format!(
            "{object} fits two files of {}: '{}' and '{other}'; name the one copy that you mean with --from",
            self.name,
            one.display()
        ))
    }

    fn explain(&self, path: &Path, error: &std::io::Error) -> StoreError {
        let path = Path::new(&self.name).join(path);
        match error.kind() {
            // cap-std refuses a path that leaves its folder with this kind and without an OS error
            // code.
            ErrorKind::PermissionDenied if error.raw_os_error().is_none() => StoreError::UnsafeName(self.name.clone()),
            ErrorKind::PermissionDenied => StoreError::AccessDenied(format!("{} may not be read", path.display())),
            _ => StoreError::Failed(format!("{} can't be read: {error}", path.display())),
        }
    }

    /// Returns the name of the object that the file at `path` is a copy of.
    ///
    /// # Errors
    ///
    /// Returns why the file is no copy of an object: it lies elsewhere, or its name is not UTF-8.
    pub fn object_at(&self, path: &Path) -> Result<ObjectRef, String> {
        let shown = path.display();
        let top = Path::new(&self.name).canonicalize().map_err(|error| format!("{}: {error}", self.name))?;
        // The file's own name is not resolved: the target of a symbolic link is another file.
        // Folders of deleted files may be gone, so the nearest one that exists is resolved.
        let mut gone = vec![path.file_name().unwrap_or_default().to_owned()];
        let mut above = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let real = loop {
            let folder = if above.as_os_str().is_empty() { Path::new(".") } else { above.as_path() };
            match folder.canonicalize() {
                Ok(real) => break gone.iter().rev().fold(real, |path, name| path.join(name)),
                Err(error) if is_absent(&error) && above.file_name().is_some() => {
                    gone.push(above.file_name().unwrap_or_default().to_owned());
                    above.pop();
                }
                Err(error) => return Err(format!("{shown}: {error}")),
            }
        };
        let inside = real.strip_prefix(&top).map_err(|_| format!("{shown} does not lie in {}", self.name))?;
        let copy = self.copies.iter().filter(|copy| inside.starts_with(&copy.path));
        let copy = copy.max_by_key(|copy| copy.path.components().count());
        let copy = copy.ok_or_else(|| format!("{shown} lies in no copy of an AWSLogs/ folder"))?;
        let below = inside.strip_prefix(&copy.path).unwrap_or(inside);
        let below: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let key = copy.key(&below.join("/"));
        Ok(ObjectRef::new(copy.location.bucket.as_str(), key))
    }

    /// Reads the metadata file beside a digest, and returns a note on what is wrong with it.
    fn metadata(&self, path: &Path) -> (DigestMetadata, Option<String>) {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".metadata.json");
        let beside = PathBuf::from(beside);
        let shown = beside.display();
        let unreadable = |error: std::io::Error| {
            (DigestMetadata::default(), Some(format!("the metadata file '{shown}' can't be read: {error}")))
        };
        let mut file = match self.open_file(&beside) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return (DigestMetadata::default(), None),
            Err(error) => return unreadable(error),
        };
        let length = match file.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_METADATA_BYTES => metadata.len(),
            Ok(_) => return (DigestMetadata::default(), Some(format!("'{shown}' is no metadata file"))),
            Err(error) => return unreadable(error),
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        if let Err(error) = file.read_exact(&mut bytes) {
            return unreadable(error);
        }
        match DigestMetadata::from_head_object(&bytes) {
            Ok(metadata) => (metadata, None),
            Err(error) => {
                let note = format!("the metadata file '{shown}' is not what 'aws s3api head-object' prints: {error}");
                (DigestMetadata::default(), Some(note))
            }
        }
    }

    /// Reads the metadata of a digest that somebody decompressed: the file beside it may be named
    /// after the compressed or the uncompressed one.
    fn metadata_of_uncompressed(&self, path: &Path) -> (DigestMetadata, Option<String>) {
        let mut compressed = path.as_os_str().to_owned();
        compressed.push(GZIP);
        match self.metadata(Path::new(&compressed)) {
            (metadata, None) if !metadata.kept => self.metadata(path),
            found => found,
        }
    }

    /// Collects the requested objects below `path`, in the byte order of keys, until the page is
    /// full. Returns whether it is full.
    fn collect(
        &self,
        path: &Path,
        key: &str,
        request: &Wanted<'_>,
        found: &mut Vec<ListedObject>,
    ) -> Result<bool, StoreError> {
        let mut files = files(&self.dir, path)?;
        if key.contains(DIGEST_FOLDER) {
            name_as_compressed(&mut files, key);
        }
        let files = files.into_iter().map(|(name, is_file)| (format!("{key}{name}"), None, is_file));
        let folders = folders(&self.dir, path)?.into_iter();
        let folders = folders.map(|name| (format!("{key}{name}/"), Some(name), false));
        let mut below: Vec<(String, Option<String>, bool)> = files.chain(folders).collect();
        below.sort();
        let mut is_full = false;
        for (key, folder, is_file) in below {
            match folder {
                // A page ends between folders, so that no folder has to be read twice.
                Some(_) if found.len() >= PAGE => return Ok(true),
                None if key.starts_with(request.prefix) && request.after.is_none_or(|after| *key > *after) => {
                    found.push(ListedObject { key, last_modified: None, size: None, is_file });
                }
                None => {}
                Some(name) => {
                    // A folder whose every key comes before the first one asked for need not be
                    // entered.
                    let before = request.after.is_some_and(|after| *key < *after && !after.starts_with(&key));
                    let on_path = key.starts_with(request.prefix) || request.prefix.starts_with(&key);
                    if on_path && !before {
                        is_full = self.collect(&path.join(&name), &key, request, found)?;
                    }
                }
            }
            if is_full {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The objects that are requested of a listing.
struct Wanted<'a> {
    prefix: &'a str,
    /// Keys up to and with this one are left out.
    after: Option<&'a str>,
}

#[async_trait]
impl Store for Folder {
    fn source(&self) -> String {
        self.name.clone()
    }

    fn properties(&self) -> StoreProperties {
        StoreProperties::FOLDER
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        self.counter.list();
        let mut page = Page::default();
        let mut end: Option<String> = None;
        // The last key of a page is the continuation of the next one.
        let wanted = Wanted { prefix: &request.prefix, after: continuation.or(request.start_after.as_deref()) };
        for copy in self.copies.iter().filter(|copy| copy.location.bucket == request.bucket) {
            let folder = copy.location.root.folder();
            let Some(inside) = request.prefix.strip_prefix(&folder) else { continue };
            if let Some(organization) = copy.organization.as_ref().filter(|_| inside.is_empty()) {
                // The copy holds only the content of this organization's folder.
                if request.folders {
                    page.folders.push(format!("{folder}{organization}/"));
                }
                continue;
            }
            if request.folders {
                let Some(path) = copy.file(inside) else { continue };
                let names = folders(&self.dir, &path)?;
                page.folders.extend(names.iter().map(|name| format!("{}{name}/", request.prefix)));
                let names = files(&self.dir, &path)?.into_iter();
                page.objects.extend(names.map(|(name, is_file)| ListedObject {
                    key: format!("{}{name}", request.prefix),
                    last_modified: None,
                    size: None,
                    is_file,
                }));
            } else {
                let inside = inside.rsplit_once('/').map_or("", |(inside, _)| inside);
                let top = if inside.is_empty() { folder } else { format!("{folder}{inside}/") };
                let mut objects = Vec::new();
                let Some(path) = copy.file(inside) else { continue };
                let is_full = self.collect(&path, &top, &wanted, &mut objects)?;
                let last = objects.last().filter(|_| is_full).map(|object| object.key.clone());
                // With several copies, the page ends where the first of their pages does: beyond
                // that key, its copy has not been listed yet.
                end = [end, last].into_iter().flatten().min();
                page.objects.extend(objects);
            }
        }
        page.objects.sort();
        page.folders.sort();
        if let Some(end) = &end {
            page.objects.retain(|object| object.key <= *end);
        }
        page.next = end;
        Ok(page)
    }

    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError> {
        if version.is_some() {
            return Err(StoreError::NotFound);
        }
        self.counter.get();
        let (path, file, is_uncompressed) = match self.open_object(object) {
            Ok((path, file)) => (path, file, false),
            // Fall back to a file that somebody decompressed: every hash is that of the
            // uncompressed bytes.
            Err(error @ StoreError::NotFound) => {
                let (path, file) = self.open_object(&uncompressed_name(object).ok_or(error)?)?;
                (path, file, true)
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata().map_err(|error| self.explain(&path, &error))?;
        if !metadata.is_file() {
            return Err(StoreError::Failed(format!("{} is not a file", Path::new(&self.name).join(&path).display())));
        }
        let length = metadata.len();
        let is_digest = object.key.contains(DIGEST_FOLDER);
        let (metadata, metadata_note) = match is_digest {
            false => Default::default(),
            true if is_uncompressed => self.metadata_of_uncompressed(&path),
            true => self.metadata(&path),
        };
        let head = is_digest.then(|| Head { metadata: metadata.pairs(), ..Head::default() }).filter(|_| metadata.kept);
        let body = Box::new(FileBody { file, left: length, at_end: false });
        Ok(Object { metadata, metadata_note, head, is_uncompressed, body })
    }

    async fn versions(&self, _object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        Ok(Vec::new())
    }

    async fn lifecycle_rules(&self, _bucket: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        Ok(Vec::new())
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        if self.recorded_bucket.as_deref().is_some_and(|bucket| *bucket != *claimed.bucket) {
            return Ok(false);
        }
        if place == claimed {
            return Ok(true);
        }
        match (self.resolve_either(place), self.resolve_either(claimed)) {
            (Ok(one), Ok(other)) => Ok(one == other),
            (Err(error @ StoreError::Ambiguous(_)), _) | (_, Err(error @ StoreError::Ambiguous(_))) => Err(error),
            _ => Ok(false),
        }
    }

    fn listed_name<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        let is_own = |copy: &Copy| *copy.location.bucket == *object.bucket && copy.location.root.holds(&object.key);
        if self.copies.iter().any(is_own) {
            return Cow::Borrowed(object);
        }
        let Some(at) = object.key.rfind(AWS_LOGS_FOLDER) else { return Cow::Borrowed(object) };
        let inside = &object.key[at + AWS_LOGS_FOLDER.len()..];
        Cow::Owned(match self.copies.as_slice() {
            // The only copy is of another bucket or prefix: the object is looked for there.
            [only] => {
                let Location { bucket, root } = &only.location;
                ObjectRef::new(bucket.as_str(), format!("{}{inside}", root.folder()))
            }
            _ => ObjectRef::new("", inside),
        })
    }

    fn absence(&self) -> &'static str {
        "not in this copy"
    }

    fn requests(&self) -> Requests {
        self.counter.sum()
    }

    fn refusals(&self) -> u64 {
        0
    }
}

struct FileBody {
    file: File,
    /// The number of bytes still to come of the length that the file had when it was opened.
    left: u64,
    at_end: bool,
}

#[async_trait]
impl Body for FileBody {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.at_end {
            return Ok(None);
        }
        // One byte more than is left, so that the same read shows the end.
        let room = usize::try_from(self.left.saturating_add(1)).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let mut piece = vec![0; room];
        let length =
            self.file.read(&mut piece).map_err(|error| StoreError::Failed(format!("reading broke off: {error}")))?;
        self.left = self.left.saturating_sub(length as u64);
        // A file ends where a read gives less than it was asked for.
        self.at_end = length < room && self.left == 0;
        piece.truncate(length);
        Ok(Some(Bytes::from(piece)).filter(|piece| !piece.is_empty()))
    }
}

/// The suffix of compressed files.
const GZIP: &str = ".gz";
/// The suffix of digests and log files as CloudTrail delivers them.
const COMPRESSED: &str = ".json.gz";

/// Returns the name of the file that somebody gets who decompresses a digest or a log file.
fn uncompressed_name(object: &ObjectRef) -> Option<ObjectRef> {
    let name = object.key.strip_suffix(GZIP).filter(|_| object.key.ends_with(COMPRESSED))?;
    Some(ObjectRef::new(Arc::clone(&object.bucket), name))
}

/// Renames digests that somebody decompressed to the names that they have in S3, unless a file of
/// that name is there, too. `files` are those of one folder, sorted by name, and `key` is that
/// folder's.
fn name_as_compressed(files: &mut [(String, bool)], key: &str) {
    let is_digest = |name: &str| DigestName::parse(&format!("{key}{name}{GZIP}")).is_some();
    for at in 0..files.len() {
        // The name with the suffix sorts after the one without, and nothing comes between but names
        // that begin with that.
        let (name, later) = (&files[at].0, &files[at + 1..]);
        if !name.ends_with(GZIP) && is_digest(name) {
            let compressed = format!("{name}{GZIP}");
            let is_there = later.iter().map(|(other, _)| other).take_while(|other| other.starts_with(name.as_str()));
            if !is_there.into_iter().any(|other| *other == compressed) {
                files[at].0 = compressed;
            }
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
