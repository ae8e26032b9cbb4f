//! Reading a bag: checks whether it is unchanged since it was collected.

use std::path::{Path, PathBuf};

use ahash::{HashSet, RandomState};

use super::custody::{HEAD, LOG};
use super::manifest::{self, Partial};
use super::{
    BagError, CustodyLog, DATA, DECLARATION, INFO, KEYS, MANIFEST, OBJECTS, OBJECTS_LIST, SOURCE, TAG_MANIFEST,
};

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

    /// Returns the file of public keys, if there is one: a run that found no digest asked for no
    /// keys.
    pub fn keys(&self) -> Option<PathBuf> {
        Some(self.root.join(KEYS)).filter(|keys| keys.is_file())
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
            for name in [DECLARATION, INFO, MANIFEST, SOURCE].into_iter().filter(|name| !listed.contains(name)) {
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
