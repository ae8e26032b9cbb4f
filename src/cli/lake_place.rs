//! The place of a table of events: a folder.

use std::io;
use std::path::{Path, PathBuf};

use super::event_output::CannotWriteEvents;
use super::exit::Failure;
use crate::disk;
use crate::events::{Lake, LakeFile, Proof};
use crate::records::LogFileRecord;

/// The begin of the names of a run's files.
const PREFIX: &str = "events";
/// The memory for rows that wait for others of their day, in bytes.
const MEMORY: usize = 24 << 20;

/// A table that is being written to a folder.
pub(super) struct TableFolder {
    folder: PathBuf,
    lake: Lake,
    /// The number of log files whose events were added.
    log_files: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) files: u64,
    pub(super) events: u64,
}

impl TableFolder {
    /// Opens a folder, which is made if it is not there, and has to be empty: with the events of another
    /// run, some would be there twice.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let failed = |error| CannotWriteEvents::new(folder, error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // A run that was killed leaves its temporary files.
            if !disk::is_partial(&name.to_string_lossy()) {
                return Err(Failure::Usage(format!(
                    "--parquet {} is not empty, and events that are there already would be there twice: give each \
                     run a folder of its own, such as {}",
                    folder.display(),
                    folder.join("run=2").display()
                )));
            }
        }
        let lake = Lake::new(PREFIX.to_owned(), Some(folder.to_owned()), MEMORY).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), lake, log_files: 0 })
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

    /// Ends the table: its files appear.
    pub(super) fn finish(self) -> Result<Written, Failure> {
        let failed = |error| CannotWriteEvents::new(&self.folder, error);
        let mut written = Written::default();
        for LakeFile { name, events, content } in self.lake.finish().map_err(failed)? {
            let path = self.folder.join(name);
            if let Some(day) = path.parent() {
                std::fs::create_dir_all(day).map_err(failed)?;
            }
            content.as_file().sync_all().map_err(failed)?;
            content.persist_noclobber(path).map_err(|error| failed(error.error))?;
            written.files += 1;
            written.events += events;
        }
        Ok(written)
    }
}
