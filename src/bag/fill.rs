//! Filling a bag: every file appears whole or not at all, nothing that is there is written over, and what a run that stopped has
//! collected need not be collected again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ahash::{HashMap, HashSet, RandomState};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use super::manifest::{self, write_whole};
use super::{BagError, DECLARATION, INFO, KEYS, MANIFEST, OBJECTS, OBJECTS_LIST, SOURCE, TAG_MANIFEST};
use crate::model::{CaseInfo, ObjectRef};
use crate::store::Head;

/// What a bag is of. A bag is of one source and trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    source: String,
    trail_arn: Option<String>,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.trail_arn {
            Some(arn) => write!(f, "{arn} from {}", self.source),
            None => write!(f, "{}", self.source),
        }
    }
}

/// What is known of one object that was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Collected {
    pub bucket: String,
    pub key: String,
    /// Of the bytes as they were stored, in hex.
    pub sha256: String,
    pub size: u64,
    pub collected: Timestamp,
    pub last_modified: Option<Timestamp>,
    pub e_tag: Option<String>,
    pub version_id: Option<String>,
}

/// What was collected, as little as will do: a trail has millions of objects. By the hash of an object's path in the bag, under a key
/// that nobody else knows.
#[derive(Default)]
struct Known {
    hasher: RandomState,
    objects: HashMap<u64, Stored>,
}

/// The SHA-256 and the size of an object as it was stored.
#[derive(Clone, Copy)]
struct Stored {
    sha256: [u8; 32],
    size: u64,
}

impl Known {
    fn insert(&mut self, name: &str, object: &Collected) {
        let mut sha256 = [0; 32];
        if hex::decode_to_slice(&object.sha256, &mut sha256).is_ok() {
            self.objects.insert(self.hasher.hash_one(name), Stored { sha256, size: object.size });
        }
    }

    fn get(&self, name: &str) -> Option<Stored> {
        self.objects.get(&self.hasher.hash_one(name)).copied()
    }
}

/// What `bag-info.txt` says.
#[derive(Debug, Clone, Default)]
pub struct BagInfo {
    /// The case.
    pub case: CaseInfo,
    /// Where the objects came from.
    pub source: String,
    /// The range, for people.
    pub range: String,
}

/// A bag that is being filled.
pub struct Filling {
    root: PathBuf,
    collected: Mutex<Known>,
    journal: Mutex<File>,
    /// Why something could not be written.
    trouble: OnceLock<String>,
}

impl Filling {
    /// Notes that something could not be written.
    pub(super) fn fail(&self, reason: &str) {
        self.trouble.get_or_init(|| reason.to_owned());
    }

    /// Why something could not be written, if so: the bag can't be closed.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }

    /// Begins a bag in a new or empty folder, or goes on with one that was begun for the same source.
    pub fn begin(root: &Path, source: &str, trail_arn: Option<String>) -> Result<Self, BagError> {
        let failed = BagError::io(root);
        std::fs::create_dir_all(root).map_err(&failed)?;
        let wanted = Source { source: source.to_owned(), trail_arn };
        let place = root.join(SOURCE);
        match std::fs::read(&place) {
            Ok(text) => {
                let held: Source = serde_json::from_slice(&text).map_err(|error| BagError::form(&place, error))?;
                if held != wanted {
                    let (held, wanted) = (held.to_string(), wanted.to_string());
                    return Err(BagError::OtherSource { path: root.to_owned(), held, wanted });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if std::fs::read_dir(root).map_err(&failed)?.next().is_some() {
                    return Err(BagError::NotEmpty(root.to_owned()));
                }
                let text = serde_json::to_string_pretty(&wanted).map_err(|error| BagError::form(&place, error))?;
                write_whole(&place, |out| writeln!(out, "{text}"))?;
            }
            Err(error) => return Err(BagError::io(&place)(error)),
        }
        let folder = root.join(OBJECTS);
        std::fs::create_dir_all(&folder).map_err(BagError::io(&folder))?;
        let path = root.join(OBJECTS_LIST);
        let collected = read_list(&path)?;
        let journal = OpenOptions::new().create(true).append(true).open(&path).map_err(BagError::io(&path))?;
        // As long as it is being filled, it is no whole bag.
        for name in [MANIFEST, TAG_MANIFEST] {
            let path = root.join(name);
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(BagError::io(&path)(error));
            }
        }
        Ok(Self {
            root: root.to_owned(),
            collected: Mutex::new(collected),
            journal: Mutex::new(journal),
            trouble: OnceLock::new(),
        })
    }

    /// Where the bag lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an object belongs, if its name can be a file's.
    pub(super) fn place(&self, object: &ObjectRef) -> Option<(String, PathBuf)> {
        let inside = format!("{}/{}", object.bucket, object.key);
        let safe = inside.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
        let name = format!("{OBJECTS}/{inside}");
        let path = self.root.join(&name);
        safe.then_some((name, path))
    }

    /// What an earlier run collected of this object, if it is there as it was then.
    pub(super) fn held(&self, object: &ObjectRef) -> Option<PathBuf> {
        let (name, path) = self.place(object)?;
        let known = self.collected.lock().unwrap_or_else(PoisonError::into_inner).get(&name)?;
        let (hash, _) = manifest::hash(&path).ok()?;
        (hash == hex::encode(known.sha256)).then_some(path)
    }

    /// Makes room for an object: one that is there and is not what was collected is kept under another name.
    pub(super) fn make_room(&self, path: &Path) -> Result<(), BagError> {
        let mut number = 1;
        while path.symlink_metadata().is_ok() {
            let mut aside = path.as_os_str().to_owned();
            aside.push(format!(".altered-{number}"));
            let aside = PathBuf::from(aside);
            if aside.symlink_metadata().is_err() {
                std::fs::rename(path, &aside).map_err(BagError::io(path))?;
            }
            number += 1;
        }
        Ok(())
    }

    /// Notes an object that is in its place now.
    pub(super) fn note(
        &self,
        object: &ObjectRef,
        sha256: String,
        size: u64,
        head: Option<&Head>,
    ) -> Result<(), BagError> {
        let Some((name, _)) = self.place(object) else { return Ok(()) };
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
        let path = self.root.join(OBJECTS_LIST);
        let line = serde_json::to_string(&collected).map_err(|error| BagError::form(&path, error))?;
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.write_all(format!("{line}\n").as_bytes()).map_err(BagError::io(&path))?;
        self.collected.lock().unwrap_or_else(PoisonError::into_inner).insert(&name, &collected);
        Ok(())
    }

    /// Whether an object is in the bag.
    pub fn holds(&self, object: &ObjectRef) -> bool {
        let Some((name, _)) = self.place(object) else { return false };
        self.collected.lock().unwrap_or_else(PoisonError::into_inner).get(&name).is_some()
    }

    /// How many objects are in the bag, and how many bytes they have.
    pub fn contents(&self) -> (u64, u64) {
        let collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        (collected.objects.len() as u64, collected.objects.values().map(|object| object.size).sum())
    }

    /// Puts a file of the bag's own into its payload, in the place of an earlier one.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<(), BagError> {
        write_whole(&self.root.join("data").join(name), |out| out.write_all(content))
    }

    /// Puts the public keys into it.
    pub fn put_keys(&self, keys: &serde_json::Value) -> Result<(), BagError> {
        write_whole(&self.root.join(KEYS), |out| writeln!(out, "{keys:#}"))
    }

    /// Where the records of a run go that began at this time.
    pub fn records(&self, started: Timestamp) -> Result<PathBuf, BagError> {
        let folder = self.root.join("data/records");
        std::fs::create_dir_all(&folder).map_err(BagError::io(&folder))?;
        Ok(folder.join(format!("{}.jsonl", started.strftime("%Y%m%dT%H%M%SZ"))))
    }

    /// Closes the bag: everything in it gets its line in a manifest.
    pub fn close(&self, info: &BagInfo) -> Result<(), BagError> {
        let collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        self.tidy_list(&collected)?;
        let (mut count, mut bytes) = (0_u64, 0_u64);
        let manifest = self.root.join(MANIFEST);
        // Named whole at the very end: until then it is no bag.
        let waiting = self.root.join(WAITING);
        let mut trouble = Ok(());
        write_whole(&waiting, |out| {
            trouble = manifest::walk(&self.root, "data", &mut |name| {
                let path = self.root.join(&name);
                let (hash, size) = match collected.get(&name) {
                    Some(known) => (hex::encode(known.sha256), known.size),
                    None => manifest::hash(&path).map_err(BagError::io(&path))?,
                };
                (count, bytes) = (count + 1, bytes + size);
                manifest::write_entry(out, &name, &hash).map_err(BagError::io(&waiting))
            });
            Ok(())
        })?;
        trouble?;
        drop(collected);
        write_whole(&self.root.join(DECLARATION), |out| {
            out.write_all(b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
        })?;
        let CaseInfo { case, exhibit, examiner, .. } = &info.case;
        let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
        let version = format!("ctverify {}", env!("CARGO_PKG_VERSION"));
        let oxum = format!("{bytes}.{count}");
        let description = format!("AWS CloudTrail digest and log files of {}, {}", info.source, info.range);
        let lines = [
            ("Bagging-Date", Some(&today)),
            ("Bag-Software-Agent", Some(&version)),
            ("Payload-Oxum", Some(&oxum)),
            ("External-Description", Some(&description)),
            ("External-Identifier", case.as_ref()),
            ("Internal-Sender-Identifier", exhibit.as_ref()),
            ("Contact-Name", examiner.as_ref()),
        ];
        write_whole(&self.root.join(INFO), |out| {
            let told = lines.iter().filter_map(|(name, value)| Some((name, (*value)?)));
            // A line of its own is all that a value may have.
            told.map(|(name, value)| (name, value.replace(['\n', '\r'], " ")))
                .try_for_each(|(name, value)| writeln!(out, "{name}: {value}"))
        })?;
        std::fs::rename(&waiting, &manifest).map_err(BagError::io(&manifest))?;
        let tags = [DECLARATION, INFO, MANIFEST, SOURCE].map(|name| {
            let path = self.root.join(name);
            manifest::hash(&path).map(|(hash, _)| (name, hash)).map_err(BagError::io(&path))
        });
        let tags: Vec<(&str, String)> = tags.into_iter().collect::<Result<_, _>>()?;
        write_whole(&self.root.join(TAG_MANIFEST), |out| {
            tags.iter().try_for_each(|(name, hash)| manifest::write_entry(out, name, hash))
        })
    }

    /// Leaves of the list of objects what counts: of each the last line, whatever runs that were killed had begun to write.
    fn tidy_list(&self, collected: &Known) -> Result<(), BagError> {
        let path = self.root.join(OBJECTS_LIST);
        let file = File::open(&path).map_err(BagError::io(&path))?;
        let mut told = HashSet::default();
        write_whole(&path, |out| {
            for line in BufReader::new(file).lines() {
                let line = line?;
                let Ok(object) = serde_json::from_str::<Collected>(&line) else { continue };
                let name = path_of(&object);
                let counts = collected.get(&name).is_some_and(|known| hex::encode(known.sha256) == object.sha256);
                if counts && told.insert(collected.hasher.hash_one(&name)) {
                    writeln!(out, "{line}")?;
                }
            }
            Ok(())
        })
    }
}

/// The path of an object in the bag.
fn path_of(object: &Collected) -> String {
    format!("{OBJECTS}/{}/{}", object.bucket, object.key)
}

/// The manifest before the bag is whole.
const WAITING: &str = ".ctverify-partial-manifest";

/// What earlier runs noted. A last line that a run was killed over does not count.
fn read_list(path: &Path) -> Result<Known, BagError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Known::default()),
        Err(error) => return Err(BagError::io(path)(error)),
    };
    let mut known = Known::default();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(BagError::io(path))?;
        if let Ok(object) = serde_json::from_str::<Collected>(&line) {
            known.insert(&path_of(&object), &object);
        }
    }
    Ok(known)
}
