//! The list of the objects in a bag, `data/objects.jsonl`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;

use ahash::{HashMap, HashSet, RandomState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::manifest::write_whole;
use super::{BagError, OBJECTS};

/// The facts known of one object that was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Collected {
    pub bucket: String,
    pub key: String,
    /// The hash of the bytes as they were stored, in hex.
    pub sha256: String,
    pub size: u64,
    pub collected: Timestamp,
    pub last_modified: Option<Timestamp>,
    pub e_tag: Option<String>,
    pub version_id: Option<String>,
}

/// The collected objects, held as compactly as possible because a trail has millions of objects: by
/// the hash of an object's path in the bag, under a random key that is kept secret.
#[derive(Default)]
pub(super) struct Known {
    pub hasher: RandomState,
    pub objects: HashMap<u64, Stored>,
    /// Objects that are uncompressed in the copy, and that this run collected uncompressed.
    pub uncompressed: HashSet<u64>,
}

/// The SHA-256 and the size of an object as it was stored.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub sha256: [u8; 32],
    pub size: u64,
    /// The time of modification, in seconds.
    last_modified: Option<i64>,
}

impl Stored {
    /// Returns whether a listing shows the object as it was when it was collected.
    pub(super) fn is_listed_as(&self, size: u64, last_modified: i64) -> bool {
        size == self.size && Some(last_modified) == self.last_modified
    }
}

impl Known {
    pub(super) fn insert(&mut self, name: &str, object: &Collected) {
        let mut sha256 = [0; 32];
        if hex::decode_to_slice(&object.sha256, &mut sha256).is_ok() {
            let last_modified = object.last_modified.map(Timestamp::as_second);
            self.objects.insert(self.hasher.hash_one(name), Stored { sha256, size: object.size, last_modified });
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Stored> {
        self.objects.get(&self.hasher.hash_one(name)).copied()
    }
}

/// Returns the path of an object in the bag.
fn path_of(object: &Collected) -> String {
    format!("{OBJECTS}/{}/{}", object.bucket, object.key)
}

/// Rewrites the list of objects with one line for each object, the one that matches what is in
/// the bag, and drops incomplete lines of runs that were killed.
pub(super) fn tidy(path: &Path, collected: &Known) -> Result<(), BagError> {
    let file = File::open(path).map_err(BagError::io(path))?;
    let mut listed = HashSet::default();
    write_whole(path, |out| {
        for line in BufReader::new(file).lines() {
            let line = line?;
            let Ok(object) = serde_json::from_str::<Collected>(&line) else { continue };
            let name = path_of(&object);
            let counts = collected.get(&name).is_some_and(|known| hex::encode(known.sha256) == object.sha256);
            if counts && listed.insert(collected.hasher.hash_one(&name)) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    })
}

/// Terminates the last line if a run was killed while writing it, so that the next line does not
/// continue it.
pub(super) fn end_line(path: &Path, mut journal: &File) -> Result<(), BagError> {
    let failed = BagError::io(path);
    let content = std::fs::read(path).map_err(&failed)?;
    if content.last().is_some_and(|last| *last != b'\n') {
        journal.write_all(b"\n").map_err(&failed)?;
    }
    Ok(())
}

/// Reads what earlier runs recorded. A last line that a killed run left incomplete is ignored.
pub(super) fn read(path: &Path) -> Result<Known, BagError> {
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
