//! The output of events: standard output, or a file that appears once it is complete.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::exit::Failure;
use crate::disk;

/// The place to which events are written.
pub(super) struct EventOutput {
    out: BufWriter<Box<dyn Write>>,
    /// The path of the file, and the temporary file that is to be renamed to it.
    file: Option<(PathBuf, Option<NamedTempFile>)>,
}

/// The events could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the events can't be written to {place}: {error}")]
pub(super) struct CannotWriteEvents {
    place: String,
    error: io::Error,
}

impl CannotWriteEvents {
    pub(super) fn new(place: &Path, error: io::Error) -> Self {
        Self { place: place.display().to_string(), error }
    }
}

impl From<CannotWriteEvents> for Failure {
    fn from(failed: CannotWriteEvents) -> Self {
        match failed.error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::CannotRun(failed.to_string()),
        }
    }
}

impl EventOutput {
    /// Opens the file at `path`, or standard output without it.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self { out: BufWriter::new(Box::new(io::stdout())), file: None });
        };
        let failed = |error| CannotWriteEvents::new(path, error);
        let path = disk::target(path).map_err(failed)?;
        let (file, writer): (_, File) = disk::create(&path).map_err(failed)?;
        Ok(Self { out: BufWriter::new(Box::new(writer)), file: Some((path, file)) })
    }

    /// Writes what `write` writes.
    pub(super) fn write_with(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        write(&mut self.out).map_err(|error| self.failed(error).into())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write_with(|out| out.write_all(bytes))
    }

    /// Copies the events of a log file, and passes them on: whoever reads them need not wait for those of
    /// the next one.
    ///
    /// # Errors
    ///
    /// Returns a [`CannotWriteEvents`] in an I/O error.
    pub(super) fn copy(&mut self, mut events: impl BufRead) -> io::Result<()> {
        let copied = io::copy(&mut events, &mut self.out).and_then(|_| self.out.flush());
        copied.map_err(|error| io::Error::other(self.failed(error)))
    }

    /// Ends the output. A file appears if `is_complete`.
    pub(super) fn finish(mut self, is_complete: bool) -> Result<(), Failure> {
        self.out.flush().map_err(|error| self.failed(error))?;
        if let Some((path, Some(file))) = self.file
            && is_complete
        {
            let failed = |error| CannotWriteEvents::new(&path, error);
            file.as_file().sync_all().map_err(failed)?;
            file.persist(&path).map_err(|error| failed(error.error))?;
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> CannotWriteEvents {
        let place = self.file.as_ref().map_or("standard output".to_owned(), |(path, _)| path.display().to_string());
        CannotWriteEvents { place, error }
    }
}
