//! Unpacking a bag that was packed into one file.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::ZipArchive;

use super::{Bag, BagError};

/// The number of bytes to which an archive may be unpacked, as a multiple of its own size. What a bag
/// holds is compressed already, except for its lists, so that no honest archive comes near.
const MAX_EXPANSION: u64 = 100;
/// The number of bytes to which any archive may be unpacked.
const MAX_SMALL: u64 = 64 << 20;

/// A bag that was unpacked into a temporary folder, which is removed when this value is dropped.
#[derive(Debug)]
pub struct UnpackedBag {
    root: PathBuf,
    _folder: TempDir,
}

impl UnpackedBag {
    /// The folder of the bag.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Unpacks the bag in a ZIP file, which [`zip`](super::zip()) or another program has made, into a
/// temporary folder. It ends early once `is_stopped` returns true.
///
/// # Errors
///
/// Fails if it was stopped, or if the file can't be read, is no ZIP file, has a name that leads outside the folder or a
/// content that is not a bag, or if the folder can't be written.
pub fn unzip(path: &Path, is_stopped: impl Fn() -> bool) -> Result<UnpackedBag, BagError> {
    let wrong = |reason: String| BagError::Archive { path: path.to_owned(), reason };
    let file = File::open(path).map_err(BagError::io(path))?;
    let size = file.metadata().map_err(BagError::io(path))?.len();
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|error| wrong(format!("it is no whole ZIP file ({error})")))?;
    let folder = TempDir::new().map_err(|error| wrong(format!("no temporary folder can be made: {error}")))?;
    let (mut left, mut known) = (size.saturating_mul(MAX_EXPANSION).max(MAX_SMALL), HashSet::new());
    for index in 0..archive.len() {
        if is_stopped() {
            return Err(wrong("it was not unpacked to its end".to_owned()));
        }
        let mut entry = archive.by_index(index).map_err(|error| wrong(error.to_string()))?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map(|name| name.into_owned()).unwrap_or_default();
        let inside = entry.enclosed_name().filter(|_| !entry.is_symlink());
        let Some(inside) = inside else {
            return Err(wrong(format!("its entry '{name}' is a link, or would lie outside the folder")));
        };
        if !known.insert(inside.clone()) {
            return Err(wrong(format!("it has two entries of the name '{name}'")));
        }
        let target = folder.path().join(inside);
        let unpack = |error: io::Error| {
            let place = folder.path().display();
            let hint = match error.kind() {
                io::ErrorKind::StorageFull => "; TMPDIR names another folder",
                _ => "",
            };
            wrong(format!("its entry '{name}' can't be unpacked to {place}: {error}{hint}"))
        };
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(unpack)?;
        }
        let mut out = BufWriter::new(File::create_new(&target).map_err(unpack)?);
        let written = io::copy(&mut (&mut entry).take(left), &mut out).map_err(unpack)?;
        out.flush().map_err(unpack)?;
        left -= written;
        if left == 0 {
            return Err(wrong(format!("it unpacks to more than {MAX_EXPANSION} times its size, which no bag does")));
        }
    }
    let root = root_of(folder.path()).ok_or_else(|| wrong("there is no bag in it".to_owned()))?;
    Ok(UnpackedBag { root, _folder: folder })
}

/// Returns the folder of the bag: the one that was unpacked into, or the only one in it.
fn root_of(folder: &Path) -> Option<PathBuf> {
    if Bag::is_one(folder) {
        return Some(folder.to_owned());
    }
    let entries: Vec<PathBuf> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let [only] = &entries[..] else { return None };
    Bag::is_one(only).then(|| only.clone())
}
