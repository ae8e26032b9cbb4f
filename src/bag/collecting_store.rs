//! A store that copies each object into a bag as it is read, so that every object is read only
//! once, for verification and collection alike.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ahash::{HashMap, RandomState};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::BagWriter;
use super::manifest::{partial_in, write_whole};
use crate::debug::opaque_debug;
use crate::model::{DIGEST_FOLDER, LogFileKey, ObjectRef, PackedNames, Requests, TimeRange, is_copy_artefact};
use crate::store::{
    Body, Head, LifecycleRule, ListRequest, Object, ObjectVersion, Page, Store, StoreError, StoreProperties,
};
use crate::sync::lock;
use crate::verify::DigestMetadata;

/// The reason why an object that was read is not in the bag.
pub const NO_FILE_NAME: &str = "its name can't be that of a file beside the others in the bag";

/// The number of bytes that are read at a time from a file that the bag holds already.
const PIECE_BYTES: usize = 256 * 1024;

/// The size of an object in bytes and its time of modification in seconds, for objects whose
/// listing shows both.
type Shown = (u64, i64);

/// A store that puts a copy of every object it reads into a bag.
pub struct CollectingStore {
    inner: Arc<dyn Store>,
    bag: Arc<BagWriter>,
    /// The log files that listings showed, by bucket; no digest lists some of them.
    listed: Mutex<BTreeMap<String, PackedNames>>,
    /// The size and time of each object that listings showed, by the hash of its name.
    shown: Mutex<HashMap<u64, Shown>>,
    hasher: RandomState,
}

opaque_debug!(CollectingStore);

impl CollectingStore {
    /// Wraps `inner` and copies what is read from it into `bag`.
    pub fn new(inner: Arc<dyn Store>, bag: Arc<BagWriter>) -> Self {
        Self { inner, bag, listed: Mutex::default(), shown: Mutex::default(), hasher: RandomState::new() }
    }

    /// Copies the log files of a range that lie in the trail's folders and were never requested,
    /// because no digest lists them. Returns those that could not be copied, each with the reason.
    pub async fn copy_the_rest(&self, range: &TimeRange) -> Vec<(ObjectRef, String)> {
        let listed = std::mem::take(&mut *lock(&self.listed));
        let mut failed = Vec::new();
        for (bucket, keys) in listed {
            for key in keys.iter() {
                let object = ObjectRef::new(bucket.as_str(), key);
                let is_artefact =
                    object.key.ends_with('/') || (self.properties().is_copy && is_copy_artefact(&object.key));
                // An object outside the folders of days has no time, and no digest lists it.
                let inside = LogFileKey::parse(&object.key).is_none_or(|name| {
                    range.start.is_none_or(|start| start <= name.time.to)
                        && range.end.is_none_or(|end| name.time.from < end)
                });
                if !inside || is_artefact || self.bag.holds(&object) {
                    continue;
                }
                match self.copy(&object).await {
                    Ok(()) if self.bag.holds(&object) => {}
                    Ok(()) => failed.push((object, NO_FILE_NAME.to_owned())),
                    Err(error) => failed.push((object, error.to_string())),
                }
            }
        }
        failed
    }

    /// Copies an object into the bag.
    ///
    /// # Errors
    ///
    /// Fails if the object can't be read to its end, or not be put into the bag.
    pub async fn copy(&self, object: &ObjectRef) -> Result<(), StoreError> {
        let mut opened = self.get(object, None).await?;
        while opened.body.next().await?.is_some() {}
        Ok(())
    }

    /// Returns the copy that an earlier run collected, if this run's listing shows that the object
    /// is still the same: it need not be fetched again. Any other object is requested anew;
    /// otherwise a change since then would go unnoticed.
    fn held(&self, object: &ObjectRef) -> Option<Object> {
        let name = self.hasher.hash_one(object);
        let (size, last_modified) = *lock(&self.shown).get(&name)?;
        let (path, known) = self.bag.held(object)?;
        if !known.is_listed_as(size, last_modified) {
            return None;
        }
        let metadata = match std::fs::read(beside(&path)) {
            Ok(head) if is_digest(object) => DigestMetadata::from_head_object(&head).ok()?,
            _ => DigestMetadata::default(),
        };
        let file = std::fs::File::open(path).ok()?;
        Some(Object {
            metadata,
            metadata_note: None,
            head: None,
            is_uncompressed: false,
            body: Box::new(HeldBody(file)),
        })
    }
}

fn is_digest(object: &ObjectRef) -> bool {
    object.key.contains(DIGEST_FOLDER)
}

fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".metadata.json");
    beside.into()
}

/// Returns whether a folder can't be made because something else has its name, or a name that no
/// file can have.
fn is_conflict(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AlreadyExists, InvalidFilename, NotADirectory};
    matches!(error.kind(), AlreadyExists | InvalidFilename | NotADirectory)
}

/// Returns a closure that turns the error of writing an object into a [`StoreError`], and marks the
/// bag as failed.
fn failed<E: std::fmt::Display>(bag: &BagWriter) -> impl Fn(E) -> StoreError + '_ {
    |error| {
        let reason = format!("it can't be put into the bag: {error}");
        bag.fail(&format!("the bag can't be filled: {error}"));
        StoreError::Unwritable(reason)
    }
}

/// Returns the metadata of an object in the form that `aws s3api head-object` prints.
fn head_object(head: &Head) -> serde_json::Value {
    json!({
        "LastModified": head.last_modified.map(|at| at.to_string()),
        "ETag": head.e_tag,
        "VersionId": head.version_id,
        "Metadata": head.metadata,
    })
}

struct HeldBody(std::fs::File);

#[async_trait]
impl Body for HeldBody {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut piece = vec![0; PIECE_BYTES];
        let length =
            self.0.read(&mut piece).map_err(|error| StoreError::Failed(format!("reading broke off: {error}")))?;
        piece.truncate(length);
        Ok(Some(Bytes::from(piece)).filter(|piece| !piece.is_empty()))
    }
}

struct CollectingBody {
    inner: Box<dyn Body>,
    bag: Arc<BagWriter>,
    object: ObjectRef,
    /// The object whose uncompressed content this is, if it is not `object` itself.
    stands_for: Option<ObjectRef>,
    path: PathBuf,
    head: Option<Head>,
    /// The temporary file; taken once the object is complete and moved to its final path.
    file: Option<NamedTempFile>,
    hash: Sha256,
    size: u64,
}

impl CollectingBody {
    /// Moves the complete object to its final path and records it in the bag.
    fn keep(&mut self) -> Result<(), StoreError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        if self.path.is_dir() {
            // After the object was opened, another object made a folder of its name.
            return Ok(());
        }
        let bag = &*self.bag;
        let sha256 = hex::encode(std::mem::take(&mut self.hash).finalize());
        if let Some(head) = self.head.as_ref().filter(|_| is_digest(&self.object)) {
            let text = format!("{:#}\n", head_object(head));
            let place = beside(&self.path);
            let hash = hex::encode(Sha256::digest(text.as_bytes()));
            if bag.make_room(&place, &hash).map_err(failed(bag))? {
                write_whole(&place, |out| out.write_all(text.as_bytes())).map_err(failed(bag))?;
            }
        }
        if bag.make_room(&self.path, &sha256).map_err(failed(bag))? {
            file.persist_noclobber(&self.path).map_err(|error| failed(bag)(error.error))?;
        }
        bag.note(&self.object, sha256, self.size, self.head.as_ref()).map_err(failed(bag))?;
        if let Some(object) = &self.stands_for {
            bag.note_uncompressed(object);
        }
        Ok(())
    }
}

#[async_trait]
impl Body for CollectingBody {
    fn announced_length(&self) -> Option<u64> {
        self.inner.announced_length()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self.inner.next().await? {
            Some(piece) => {
                if let Some(file) = &mut self.file {
                    file.write_all(&piece).map_err(failed(&self.bag))?;
                    self.hash.update(&piece);
                    self.size += piece.len() as u64;
                }
                Ok(Some(piece))
            }
            None => {
                self.keep()?;
                Ok(None)
            }
        }
    }
}

#[async_trait]
impl Store for CollectingStore {
    fn source(&self) -> String {
        self.inner.source()
    }

    fn properties(&self) -> StoreProperties {
        self.inner.properties()
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        let page = self.inner.list(request, continuation).await?;
        let mut listed = lock(&self.listed);
        for object in page.objects.iter().filter(|object| !object.key.contains(DIGEST_FOLDER)) {
            listed.entry(request.bucket.clone()).or_default().push(&object.key);
        }
        drop(listed);
        let mut shown = lock(&self.shown);
        for object in &page.objects {
            let name = self.hasher.hash_one(ObjectRef::new(request.bucket.as_str(), object.key.as_str()));
            if let (Some(size), Some(at)) = (object.size, object.last_modified) {
                shown.insert(name, (size, at.as_second()));
            }
        }
        drop(shown);
        Ok(page)
    }

    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError> {
        if version.is_some() {
            return self.inner.get(object, version).await;
        }
        if let Some(held) = self.held(object) {
            return Ok(held);
        }
        let opened = self.inner.get(object, None).await?;
        // A file that somebody decompressed is not a copy of the object, so it keeps its own name.
        let name = if opened.is_uncompressed { object.key.trim_end_matches(".gz") } else { &*object.key };
        let kept = ObjectRef::new(object.bucket.clone(), name);
        let Some((_, path)) = self.bag.location(&kept) else { return Ok(opened) };
        let folder = path.parent().unwrap_or(Path::new("."));
        match std::fs::create_dir_all(folder) {
            Ok(()) if !path.is_dir() => {}
            // One key is a file where another needs a folder: S3 can hold both, a file system
            // can't. The object is read all the same.
            Ok(()) => return Ok(opened),
            Err(error) if is_conflict(&error) => return Ok(opened),
            Err(error) => return Err(failed(&self.bag)(error)),
        }
        let file = partial_in(folder).map_err(failed(&self.bag))?;
        let Object { metadata, metadata_note, head, is_uncompressed, body } = opened;
        let body = CollectingBody {
            inner: body,
            bag: self.bag.clone(),
            object: kept,
            stands_for: is_uncompressed.then(|| object.clone()),
            path,
            head: head.clone(),
            file: Some(file),
            hash: Sha256::new(),
            size: 0,
        };
        Ok(Object { metadata, metadata_note, head, is_uncompressed, body: Box::new(body) })
    }

    async fn versions(&self, object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        self.inner.versions(object).await
    }

    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        self.inner.lifecycle_rules(bucket).await
    }

    fn listed_name<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        self.inner.listed_name(object)
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        self.inner.in_place(place, claimed)
    }

    fn absence(&self) -> &'static str {
        self.inner.absence()
    }

    fn requests(&self) -> Requests {
        self.inner.requests()
    }

    fn refusals(&self) -> u64 {
        self.inner.refusals()
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        self.inner.clock_ahead_ms()
    }
}
