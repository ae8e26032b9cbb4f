//! Filling a bag: every file appears complete or not at all, no existing file is overwritten, and
//! what a stopped run has collected need not be collected again.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, OnceLock};

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::manifest::{self, Partial, write_whole};
use super::objects_list::{self, Collected, Known, Stored};
use super::{
    Altered, Bag, BagError, CustodyLog, DISPLACED, KEYS, MANIFEST, OBJECTS, OBJECTS_LIST, README, RECORDS, SOURCE,
    TAG_MANIFEST, key_list,
};
use crate::debug::opaque_debug;
use crate::model::ObjectRef;
use crate::store::Head;
use crate::sync::lock;

/// The source and trail of which a bag holds objects. A bag has one source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BagSource {
    /// The source, as the store names it.
    pub source: String,
    /// The trail; `None` for all at the source.
    pub trail_arn: Option<String>,
    /// The event that the bag proves, if it holds what proves one event and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventOfBag>,
}

/// The event of a bag that holds what proves one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventOfBag {
    /// The event's identifier.
    pub event_id: String,
    /// The bucket of the log file that has the event.
    pub bucket: String,
    /// The key of that log file.
    pub key: String,
}

impl std::fmt::Display for BagSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(event) = &self.event {
            write!(f, "the proof of event {} in ", event.event_id)?;
        }
        match &self.trail_arn {
            Some(arn) => write!(f, "{arn} from {}", self.source),
            None => write!(f, "{}", self.source),
        }
    }
}

/// The maximum length of a part of a path, in bytes: file systems take 255, and the names of
/// metadata files and of earlier versions of a file are longer.
const MAX_PART_BYTES: usize = 220;

/// A bag that is being filled.
pub struct BagWriter {
    pub(super) root: PathBuf,
    pub(super) collected: Mutex<Known>,
    journal: Mutex<File>,
    /// The reason why something could not be written.
    trouble: OnceLock<String>,
    /// Completed once the manifests were removed.
    opened: Once,
    /// The lock on the bag, held as long as it is being filled.
    _lock: File,
}

opaque_debug!(BagWriter);

impl BagWriter {
    /// Records that something could not be written.
    pub(super) fn fail(&self, reason: &str) {
        self.trouble.get_or_init(|| reason.to_owned());
    }

    /// Returns the reason why something could not be written, if that happened: such a bag can't be
    /// closed.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }

    /// Begins a bag in a new or empty folder, or continues one that was begun for the same source.
    ///
    /// # Errors
    ///
    /// Fails if the folder is neither empty nor a bag of this source, if another process fills it, if
    /// a file of the closed bag was altered, or if it can't be read or written.
    pub fn begin(root: &Path, wanted: &BagSource) -> Result<Self, BagError> {
        let failed = BagError::io(root);
        std::fs::create_dir_all(root).map_err(&failed)?;
        let settings = root.join(SOURCE);
        match std::fs::read(&settings) {
            Ok(text) => {
                let held: BagSource =
                    serde_json::from_slice(&text).map_err(|error| BagError::form(&settings, error))?;
                if held != *wanted {
                    let (held, wanted) = (held.to_string(), wanted.to_string());
                    return Err(BagError::OtherSource { path: root.to_owned(), held, wanted });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if std::fs::read_dir(root).map_err(&failed)?.next().is_some() {
                    return Err(BagError::NotEmpty(root.to_owned()));
                }
                let text = serde_json::to_string_pretty(wanted).map_err(|error| BagError::form(&settings, error))?;
                CustodyLog::begin(root)?;
                write_whole(&settings, |out| writeln!(out, "{text}"))?;
            }
            Err(error) => return Err(BagError::io(&settings)(error)),
        }
        let lock = File::open(&settings).map_err(BagError::io(&settings))?;
        if lock.try_lock().is_err() {
            return Err(BagError::InUse(root.to_owned()));
        }
        if root.join(MANIFEST).is_file() {
            // A change made after the bag was closed must not get a manifest that covers it up.
            if let Some(Altered { path, what }) = Bag::open(root)?.altered()?.into_iter().next() {
                return Err(BagError::Altered { path: root.to_owned(), what: format!("{path} {what}") });
            }
        } else {
            clear_partial(root)?;
        }
        let folder = root.join(OBJECTS);
        std::fs::create_dir_all(&folder).map_err(BagError::io(&folder))?;
        let path = root.join(OBJECTS_LIST);
        let collected = objects_list::read(&path)?;
        let journal = OpenOptions::new().create(true).append(true).open(&path).map_err(BagError::io(&path))?;
        objects_list::end_line(&path, &journal)?;
        Ok(Self {
            root: root.to_owned(),
            collected: Mutex::new(collected),
            journal: Mutex::new(journal),
            trouble: OnceLock::new(),
            opened: Once::new(),
            _lock: lock,
        })
    }

    /// Removes the manifests of a closed bag before the first change: as long as it is being
    /// filled, it is not complete.
    pub(super) fn open_up(&self) -> Result<(), BagError> {
        let mut outcome = Ok(());
        self.opened.call_once(|| {
            for name in [MANIFEST, TAG_MANIFEST] {
                let path = self.root.join(name);
                if let Err(error) = std::fs::remove_file(&path)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    outcome = Err(BagError::io(&path)(error));
                }
            }
        });
        outcome
    }

    /// Returns the folder of the bag.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the name in the bag and the path of an object, if its name can be that of a file.
    pub(super) fn location(&self, object: &ObjectRef) -> Option<(String, PathBuf)> {
        let inside = format!("{}/{}", object.bucket, object.key);
        let is_part =
            |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0') && part.len() <= MAX_PART_BYTES;
        let safe = inside.split('/').all(is_part);
        let name = format!("{OBJECTS}/{inside}");
        let path = self.root.join(&name);
        safe.then_some((name, path))
    }

    /// Returns the path and the properties of an object that an earlier run collected, if the file
    /// is unchanged.
    pub(super) fn held(&self, object: &ObjectRef) -> Option<(PathBuf, Stored)> {
        let (name, path) = self.location(object)?;
        let known = lock(&self.collected).get(&name)?;
        let (hash, _) = manifest::hash(&path).ok()?;
        (hash == hex::encode(known.sha256)).then_some((path, known))
    }

    /// Makes room for a file at `path`: another file there is moved to the folder of displaced files.
    /// Returns whether there is anything to write, which is not so if the same content is there already.
    pub(super) fn make_room(&self, path: &Path, sha256: &str) -> Result<bool, BagError> {
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
            && manifest::hash(path).is_ok_and(|(held, _)| held == sha256)
        {
            return Ok(false);
        }
        self.open_up()?;
        // Beside the objects, it would count as one of the bucket.
        let inside = path.strip_prefix(self.root.join(OBJECTS)).unwrap_or(path);
        let base = self.root.join(DISPLACED).join(inside);
        let mut number = 1;
        while path.symlink_metadata().is_ok() {
            let mut aside = base.as_os_str().to_owned();
            aside.push(format!(".{number}"));
            let aside = PathBuf::from(aside);
            if aside.symlink_metadata().is_err() {
                if let Some(folder) = aside.parent() {
                    std::fs::create_dir_all(folder).map_err(BagError::io(folder))?;
                }
                std::fs::rename(path, &aside).map_err(BagError::io(path))?;
            }
            number += 1;
        }
        Ok(true)
    }

    /// Records an object whose file is at its final path.
    pub(super) fn note(
        &self,
        object: &ObjectRef,
        sha256: String,
        size: u64,
        head: Option<&Head>,
    ) -> Result<(), BagError> {
        let Some((name, _)) = self.location(object) else { return Ok(()) };
        let now = Timestamp::now();
        let collected = Collected {
            bucket: object.bucket.to_string(),
            key: object.key.to_string(),
            sha256,
            size,
            collected: now.round(Unit::Second).unwrap_or(now),
            last_modified: head.and_then(|head| head.last_modified),
            e_tag: head.and_then(|head| head.e_tag.clone()),
            version_id: head.and_then(|head| head.version_id.clone()),
        };
        self.open_up()?;
        let path = self.root.join(OBJECTS_LIST);
        let line = serde_json::to_string(&collected).map_err(|error| BagError::form(&path, error))?;
        let mut journal = lock(&self.journal);
        journal.write_all(format!("{line}\n").as_bytes()).map_err(BagError::io(&path))?;
        lock(&self.collected).insert(&name, &collected);
        Ok(())
    }

    /// Records that the bag holds an object as the uncompressed file that the copy has instead of
    /// it.
    pub(super) fn note_uncompressed(&self, object: &ObjectRef) {
        let Some((name, _)) = self.location(object) else { return };
        let mut collected = lock(&self.collected);
        let name = collected.hasher.hash_one(&name);
        collected.uncompressed.insert(name);
    }

    /// Returns whether an object is in the bag, compressed or not.
    pub fn holds(&self, object: &ObjectRef) -> bool {
        let Some((name, _)) = self.location(object) else { return false };
        let collected = lock(&self.collected);
        collected.get(&name).is_some() || collected.uncompressed.contains(&collected.hasher.hash_one(&name))
    }

    /// Returns the number of objects in the bag, and of their bytes.
    pub fn contents(&self) -> (u64, u64) {
        let collected = lock(&self.collected);
        (collected.objects.len() as u64, collected.objects.values().map(|object| object.size).sum())
    }

    /// Writes a file of the bag's own into its payload, and replaces an earlier one.
    ///
    /// # Errors
    ///
    /// Fails if it can't be written.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<(), BagError> {
        self.open_up()?;
        write_whole(&self.root.join("data").join(name), |out| out.write_all(content))
    }

    /// Writes the text for whoever gets the bag, beside the payload.
    ///
    /// # Errors
    ///
    /// Fails if it can't be written.
    pub fn put_readme(&self, text: &str) -> Result<(), BagError> {
        self.open_up()?;
        write_whole(&self.root.join(README), |out| out.write_all(text.as_bytes()))
    }

    /// Adds public keys to those that the bag has: each run asks only for the keys of its own
    /// range.
    ///
    /// # Errors
    ///
    /// Fails if the bag's own keys can't be read, or the file can't be written.
    pub fn put_keys(&self, keys: &Value) -> Result<(), BagError> {
        let path = self.root.join(KEYS);
        let held = match std::fs::read(&path) {
            Ok(held) => serde_json::from_slice(&held).map_err(|error| BagError::form(&path, error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::Object(Map::new()),
            Err(error) => return Err(BagError::io(&path)(error)),
        };
        let merged = key_list::merge(&held, keys);
        if merged.as_object().is_some_and(Map::is_empty) {
            return Ok(());
        }
        self.open_up()?;
        write_whole(&path, |out| writeln!(out, "{merged:#}"))
    }

    /// Returns a free path for the records of a run that began at this time.
    ///
    /// # Errors
    ///
    /// Fails if the folder of records can't be made.
    pub fn records(&self, started: Timestamp) -> Result<PathBuf, BagError> {
        let folder = self.root.join(RECORDS);
        std::fs::create_dir_all(&folder).map_err(BagError::io(&folder))?;
        let time = started.strftime("%Y%m%dT%H%M%SZ").to_string();
        // Two runs may begin in the same second, and must not overwrite each other's records.
        let names = std::iter::once(time.clone()).chain((2_u32..).map(|number| format!("{time}-{number}")));
        let mut free = names.map(|name| folder.join(format!("{name}.jsonl"))).filter(|path| !path.exists());
        free.next().ok_or_else(|| BagError::form(&folder, "it is full"))
    }

    /// Removes the records of an unfinished run from a bag in which nothing else was changed, so
    /// that the bag stays complete.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be removed.
    pub fn leave_whole(&self, records: &Path) -> Result<(), BagError> {
        if self.opened.is_completed() || !self.root.join(MANIFEST).is_file() {
            return Ok(());
        }
        match std::fs::remove_file(records) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(BagError::io(records)(error)),
            _ => Ok(()),
        }
    }
}

/// Removes the incomplete files of runs that were killed.
fn clear_partial(root: &Path) -> Result<(), BagError> {
    if !root.join("data").is_dir() {
        return Ok(());
    }
    manifest::walk(root, "data", Partial::Counts, &mut |name| {
        let path = root.join(&name);
        let is_partial = path.file_name().is_some_and(|name| manifest::is_partial(&name.to_string_lossy()));
        if is_partial { std::fs::remove_file(&path).map_err(BagError::io(&path)) } else { Ok(()) }
    })
}
