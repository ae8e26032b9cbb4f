//! A folder with a table of events, which one run writes.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::event_output::CannotWriteEvents;
use super::exit::Failure;
use crate::disk;
use crate::events::{Lake, LakeFile, Proof};
use crate::records::LogFileRecord;

/// The begin of the names of a run's files.
const PREFIX: &str = "events";
/// The memory for rows of a run that wait for others of their day, in bytes.
const MEMORY: usize = 24 << 20;

/// A table that is being written to a folder.
pub(super) struct TableFolder {
    folder: PathBuf,
    lake: Lake,
    /// The number of log files whose events were added.
    log_files: u64,
    /// The folder of files that are not complete, in the same file system.
    _temporary: TempDir,
    lock: LockFile,
}

/// A file that says that a run writes to a folder.
struct LockFile {
    path: PathBuf,
    _file: File,
}

/// The name of this file. Query engines pass over names that begin with a dot.
const LOCK: &str = ".ctverify-lock";

impl LockFile {
    fn take(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(LOCK);
        let failed = |error| CannotWriteEvents::new(folder, error);
        let file = File::options().create(true).write(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            // In a file system without locks, nothing keeps two runs apart.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path, _file: file }),
            Err(TryLockError::WouldBlock) => Err(Failure::Usage(format!(
                "another run writes to --parquet {}: give each run a folder of its own",
                folder.display()
            ))),
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Best effort: a file that stays locks nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Checks that nothing is in a folder but what a run that was killed has left.
fn check_empty(folder: &Path) -> Result<(), Failure> {
    let failed = |error| CannotWriteEvents::new(folder, error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK && !disk::is_partial(&name.to_string_lossy()) {
            return Err(Failure::Usage(format!(
                "--parquet {} is not empty, and events that are there already would be there twice: give each run an \
                 empty folder of its own, such as lake/run=1 and then lake/run=2",
                folder.display()
            )));
        }
    }
    Ok(())
}

impl TableFolder {
    /// Opens a folder, which is made if it is not there, and has to be empty: with the events of another
    /// run, some would be there twice.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let failed = |error| CannotWriteEvents::new(folder, error);
        if folder.exists() && !folder.is_dir() {
            return Err(Failure::Usage(format!("--parquet {} is no folder", folder.display())));
        }
        std::fs::create_dir_all(folder).map_err(failed)?;
        check_empty(folder)?;
        let lock = LockFile::take(folder)?;
        check_empty(folder)?;
        let temporary = disk::partial_folder(folder).map_err(failed)?;
        let lake = Lake::new(PREFIX.to_owned(), temporary.path().to_owned(), MEMORY).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), lake, log_files: 0, _temporary: temporary, lock })
    }

    /// Adds the events of a log file.
    ///
    /// # Errors
    ///
    /// Returns a [`CannotWriteEvents`] in an I/O error.
    pub(super) fn add(&mut self, file: &LogFileRecord, rows: impl io::BufRead) -> io::Result<()> {
        let Some(proof) = Proof::of(file) else { return Ok(()) };
        self.log_files += 1;
        let added = self.lake.add(self.log_files, &proof, rows);
        added.map_err(|error| io::Error::other(CannotWriteEvents::new(&self.folder, error)))
    }

    /// Ends the table: its files appear, all or none if that fails. Returns their number.
    pub(super) fn finish(self) -> Result<u64, Failure> {
        let Self { folder, lake, lock, .. } = self;
        let failed = |error| CannotWriteEvents::new(&folder, error);
        let files = lake.finish().map_err(failed)?;
        let count = files.len() as u64;
        let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(&file.name)).collect();
        let mut appeared = 0;
        let appear = || {
            for day in paths.iter().filter_map(|path| path.parent()) {
                std::fs::create_dir_all(day)?;
            }
            for (LakeFile { content, .. }, path) in files.into_iter().zip(&paths) {
                content.persist_noclobber(path).map_err(|error| error.error)?;
                appeared += 1;
            }
            Ok(())
        };
        if let Err(error) = appear() {
            // Best effort: what can't be removed stays beside the error.
            for path in &paths[..appeared] {
                let _ = std::fs::remove_file(path);
            }
            for day in paths.iter().filter_map(|path| path.parent()) {
                let _ = std::fs::remove_dir(day);
            }
            return Err(failed(error).into());
        }
        drop(lock);
        Ok(count)
    }
}
