//! Reading a bag: checks whether it is unchanged since it was collected.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use ahash::{HashSet, RandomState};
use serde::Deserialize;

use super::custody::{HEAD, LOG};
use super::manifest::{self, Partial};
use super::{
    BagError, BagSource, CustodyLog, DATA, DECLARATION, EventOfBag, INFO, KEYS, MANIFEST, OBJECTS, OBJECTS_LIST,
    README, RECORDS, SOURCE, TAG_MANIFEST,
};
use crate::model::TimeRange;
use crate::records::Filters;

/// The maximum number of altered files that are reported: a manifest may name millions of files
/// that do not exist.
const MAX_ALTERED: usize = 10_000;

/// A complete bag.
#[derive(Debug)]
pub struct Bag {
    root: PathBuf,
}

/// A file of a bag that differs from what its manifests record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altered {
    /// The path of the file in the bag.
    pub path: String,
    /// A description of the difference.
    pub what: String,
}

/// The maximum number of files that prove one event: a log file, and three digests with their metadata.
const OBJECTS_OF_PROOF: usize = 7;

/// The maximum length of the first record of a run that is read, in bytes.
const MAX_RUN_RECORD: u64 = 1024 * 1024;

/// The collection of one run into a bag: its range, and the accounts and regions of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Collection {
    /// The range of which digests and log files were collected.
    #[serde(flatten)]
    pub range: TimeRange,
    /// The accounts and regions to which the run was limited.
    #[serde(default)]
    pub filters: Filters,
}

/// The first record of a run.
#[derive(Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum FirstRecord {
    Run(Collection),
}

/// Joins the ranges of the same filters that touch or overlap. An open start is the earliest, an open
/// end the latest time.
fn joined(mut collections: Vec<Collection>) -> Vec<Collection> {
    collections.sort_by_key(|collection| {
        let TimeRange { start, end } = collection.range;
        (format!("{:?}", collection.filters), start, end.is_none(), end)
    });
    let mut joined: Vec<Collection> = Vec::new();
    for collection in collections {
        let TimeRange { start, end } = collection.range;
        match joined.last_mut().filter(|last| last.filters == collection.filters).map(|last| &mut last.range) {
            Some(last) if last.end.is_none() || start <= last.end => {
                last.end = last.end.zip(end).map(|(one, other)| one.max(other));
            }
            _ => joined.push(collection),
        }
    }
    joined
}

impl Bag {
    /// Returns whether a folder is a bag, or was to become one. A bag that lost its declaration is
    /// still one: any other file of a bag beside `data/objects` identifies it.
    pub fn is_one(root: &Path) -> bool {
        let has = |name: &str| root.join(name).is_file();
        has(DECLARATION)
            || (root.join(OBJECTS).is_dir()
                && [SOURCE, INFO, MANIFEST, TAG_MANIFEST, LOG, OBJECTS_LIST].into_iter().any(has))
    }

    /// Opens a complete bag.
    ///
    /// # Errors
    ///
    /// Fails if `root` is no bag, is not complete, or can't be read.
    pub fn open(root: &Path) -> Result<Self, BagError> {
        if !Self::is_one(root) {
            return Err(BagError::NoBag(root.to_owned()));
        }
        if !root.join(MANIFEST).is_file() {
            return Err(BagError::Half(root.to_owned()));
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Returns the folder that mirrors the buckets.
    pub fn objects(&self) -> PathBuf {
        self.root.join(OBJECTS)
    }

    /// Returns the event that the bag proves, if it holds what proves one event and nothing else.
    /// A description of the source that can't be read tells of none: its change is told by the manifests.
    ///
    /// # Errors
    ///
    /// Fails if the bag holds more than what proves one event: anybody can write the description of a bag
    /// that is not signed, by which the rest would go unexamined. `name` is the name of the bag for people.
    pub fn event(&self, name: &str) -> Result<Option<EventOfBag>, BagError> {
        let text = std::fs::read(self.root.join(SOURCE)).ok();
        let source = text.and_then(|text| serde_json::from_slice::<BagSource>(&text).ok());
        let Some(event) = source.and_then(|source| source.event) else { return Ok(None) };
        let mut objects = 0;
        manifest::walk(&self.root, OBJECTS, Partial::Counts, &mut |_| {
            objects += 1;
            Ok(())
        })?;
        if objects > OBJECTS_OF_PROOF {
            let reason = format!(
                "its {SOURCE} calls it the proof of one event, and it holds {objects} objects: that file was changed, \
                 or objects were added"
            );
            return Err(BagError::form(Path::new(name), reason));
        }
        Ok(Some(event))
    }

    /// Returns the KMS key of the trail, as CloudTrail named it when the bag was collected; `Some(None)` if
    /// the trail had none, `None` if CloudTrail was not asked.
    pub fn trail_key(&self) -> Option<Option<String>> {
        let text = std::fs::read(self.root.join(DATA).join("trail.json")).ok()?;
        let trail: serde_json::Value = serde_json::from_slice(&text).ok()?;
        Some(trail.get("KmsKeyId")?.as_str().map(ToOwned::to_owned))
    }

    /// Returns the text of `event.json`, which a bag that proves one event has.
    pub fn event_text(&self) -> Option<String> {
        std::fs::read_to_string(self.root.join(DATA).join("event.json")).ok()
    }

    /// Returns the file of public keys, if there is one: a run that found no digest asked for no
    /// keys.
    pub fn keys(&self) -> Option<PathBuf> {
        Some(self.root.join(KEYS)).filter(|keys| keys.is_file())
    }

    /// Returns what was collected, as the records of the runs that collected say, in the order of the
    /// ranges; ranges that touch are one. Empty if the records of one run do not say.
    ///
    /// # Errors
    ///
    /// Fails if the folder of records can't be read.
    pub fn collections(&self) -> Result<Vec<Collection>, BagError> {
        let folder = self.root.join(RECORDS);
        let files = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(BagError::io(&folder))?,
        };
        let mut collections = Vec::new();
        for file in files {
            let path = file.map_err(BagError::io(&folder))?.path();
            let mut line = String::new();
            let file = std::fs::File::open(&path).map_err(BagError::io(&path))?;
            // Records that can't be read as such are a matter of the manifests, and restrict nothing.
            let read = BufReader::new(file.take(MAX_RUN_RECORD)).read_line(&mut line);
            match read.ok().and_then(|_| serde_json::from_str::<FirstRecord>(&line).ok()) {
                Some(FirstRecord::Run(collection)) => collections.push(collection),
                None => return Ok(Vec::new()),
            }
        }
        Ok(joined(collections))
    }

    /// Returns every file that differs from what the manifests and the custody log record. Each
    /// file is read to its end.
    ///
    /// # Errors
    ///
    /// Fails if a file can't be read, so that it is unknown whether it was altered.
    pub fn altered(&self) -> Result<Vec<Altered>, BagError> {
        let mut found = Vec::new();
        let mut say = |path: &str, what: &str| match found.len() {
            ..MAX_ALTERED => found.push(Altered { path: path.to_owned(), what: what.to_owned() }),
            MAX_ALTERED => {
                let what = format!("has more faults than the {MAX_ALTERED} that are told");
                found.push(Altered { path: MANIFEST.to_owned(), what });
            }
            _ => {}
        };
        let tags = self.root.join(TAG_MANIFEST);
        if tags.is_file() {
            let listed = self.compare(&tags, TAG_MANIFEST, &mut say)?;
            let readme = Some(README).filter(|name| self.root.join(name).is_file());
            let tags = [DECLARATION, INFO, MANIFEST, SOURCE].into_iter().chain(readme);
            for name in tags.filter(|name| !listed.contains(name)) {
                say(name, &format!("is not in {TAG_MANIFEST}: a line was taken out"));
            }
        } else {
            say(TAG_MANIFEST, "is gone");
        }
        for name in self.further_manifests()? {
            say(&name, "is none of the manifests that this bag was made with: it was added");
        }
        if self.root.join(DATA).is_symlink() {
            say(DATA, "is a link");
        }
        let listed = self.compare(&self.root.join(MANIFEST), MANIFEST, &mut say)?;
        manifest::walk(&self.root, DATA, Partial::Counts, &mut |name| {
            if !listed.contains(&name) {
                say(&name, &format!("is not in {MANIFEST}: it was added, or its line was removed"));
            }
            Ok(())
        })?;
        let custody = CustodyLog::open(&self.root)?;
        if !custody.tells_of_collection() {
            say(LOG, "tells of no collection: lines were taken out");
        }
        for fault in custody.faults() {
            let of_head = fault.strip_prefix(HEAD).map(str::trim_start);
            let of_log = fault.strip_prefix(LOG).map(str::trim_start);
            match of_head {
                Some(what) => say(HEAD, what),
                None => say(LOG, &of_log.unwrap_or(&fault).replace(&format!(" of {LOG}"), "")),
            }
        }
        Ok(found)
    }

    /// Returns the names of manifests and lists of files to fetch (RFC 8493, 2.2) that a bag of
    /// this kind never has.
    fn further_manifests(&self) -> Result<Vec<String>, BagError> {
        let entries = std::fs::read_dir(&self.root).map_err(BagError::io(&self.root))?;
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(BagError::io(&self.root))?.file_name().to_string_lossy().into_owned();
            let is_manifest = name.starts_with("manifest-") || name.starts_with("tagmanifest-");
            if name == "fetch.txt" || (is_manifest && name != MANIFEST && name != TAG_MANIFEST) {
                found.push(name);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Compares the files with the entries of a manifest, and returns the names that it lists.
    fn compare(&self, manifest: &Path, named: &str, say: &mut impl FnMut(&str, &str)) -> Result<Names, BagError> {
        let mut names = Names::default();
        for entry in manifest::entries(manifest)? {
            let (name, wanted) = entry?;
            names.add(&name);
            let path = self.root.join(&name);
            // A bag has no links, which could lead anywhere.
            match path.symlink_metadata() {
                Ok(metadata) if metadata.is_file() => {
                    let (hash, _) = manifest::hash(&path).map_err(BagError::io(&path))?;
                    if hash != wanted {
                        say(&name, &format!("has SHA-256 {hash}, and {named} recorded {wanted}"));
                    }
                }
                Ok(_) => say(&name, "is no file"),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    say(&name, &format!("is gone, and {named} names it"));
                }
                Err(error) => return Err(BagError::io(&path)(error)),
            }
        }
        Ok(names)
    }
}

/// A set of very many names, stored as hashes under a random key that is kept secret.
#[derive(Default)]
struct Names {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Names {
    fn add(&mut self, name: &str) {
        self.hashes.insert(self.hasher.hash_one(name));
    }

    fn contains(&self, name: &str) -> bool {
        self.hashes.contains(&self.hasher.hash_one(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let at = |hour: i64| Some(jiff::Timestamp::from_second(hour * 3600).unwrap());
        let range = |start, end| TimeRange { start, end };
        for (ranges, expected) in [
            (vec![], vec![]),
            (vec![range(at(1), at(2)), range(at(2), at(3))], vec![range(at(1), at(3))]),
            (vec![range(at(5), None), range(at(1), at(2))], vec![range(at(1), at(2)), range(at(5), None)]),
            (vec![range(at(1), at(9)), range(at(2), at(3))], vec![range(at(1), at(9))]),
            (vec![range(None, at(2)), range(at(1), None)], vec![range(None, None)]),
            (
                vec![range(at(3), at(4)), range(at(2), None), range(None, at(1))],
                vec![range(None, at(1)), range(at(2), None)],
            ),
        ] {
            let of = |ranges: Vec<TimeRange>| -> Vec<Collection> {
                ranges.into_iter().map(|range| Collection { range, ..Collection::default() }).collect()
            };
            assert_eq!(joined(of(ranges.clone())), of(expected), "{ranges:?}");
        }
        let filters = Filters { regions: Some(vec!["eu-west-1".parse().unwrap()]), ..Filters::default() };
        let other = vec![
            Collection { range: range(at(1), at(2)), ..Collection::default() },
            Collection { range: range(at(2), at(3)), filters },
        ];
        assert_eq!(joined(other).len(), 2, "other regions are another collection");
    }
}
