//! The place of a table of events: a folder for one run, or a place that the units of a plan share.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::args::AwsArgs;
use super::event_output::CannotWriteEvents;
use super::exit::Failure;
use super::place::Place;
use crate::audit::{Extract, Observer};
use crate::disk;
use crate::events::{EventFilter, EventReader, Format, Lake, LakeFile, Proof};
use crate::model::{DigestName, TimeRange};
use crate::records::{LogFileRecord, Record};
use crate::shard::{EventsOfUnit, Manifest, Question, Unit};
use crate::store::Written as Put;

/// The begin of the names of a run's files.
const PREFIX: &str = "events";
/// The memory for rows of a run that wait for others of their day, in bytes.
const MEMORY: usize = 24 << 20;
/// The same for a unit, of which a machine may verify several at once.
const MEMORY_OF_UNIT: usize = 12 << 20;
/// The largest file of a table that is compared with what is there, in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// A table that is being written to a folder.
pub(super) struct TableFolder {
    folder: PathBuf,
    lake: Lake,
    /// The number of log files whose events were added.
    log_files: u64,
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

    /// Ends the table: its files appear. Returns their number.
    pub(super) fn finish(self) -> Result<u64, Failure> {
        let failed = |error| CannotWriteEvents::new(&self.folder, error);
        let mut files = 0;
        for LakeFile { name, content, .. } in self.lake.finish().map_err(failed)? {
            let path = self.folder.join(name);
            if let Some(day) = path.parent() {
                std::fs::create_dir_all(day).map_err(failed)?;
            }
            content.as_file().sync_all().map_err(failed)?;
            content.persist_noclobber(path).map_err(|error| failed(error.error))?;
            files += 1;
        }
        Ok(files)
    }
}

/// The place of the events of a plan's units. Each has files of its own, and a note that it is complete.
pub(super) struct UnitTables(Place);

/// The note that all events of a unit are there.
#[derive(Serialize)]
struct Note<'n> {
    unit: u64,
    /// The SHA-256 of the plan, in hex.
    plan: &'n str,
    /// The SHA-256 of the unit's description, in hex.
    description: String,
    #[serde(flatten)]
    events: EventsOfUnit,
    files: Vec<NamedFile<'n>>,
}

#[derive(Serialize)]
struct NamedFile<'n> {
    name: &'n str,
    events: u64,
}

/// The events of a unit that is being verified.
pub(super) struct UnitTable {
    unit: Unit,
    /// The range of the plan.
    whole: TimeRange,
    reader: Arc<EventReader>,
    lake: Lake,
    log_files: u64,
}

impl UnitTables {
    /// Names a place.
    pub(super) async fn of(name: &str, question: &Question, aws: &AwsArgs) -> Result<Self, Failure> {
        let place = Place::of(name, aws).await?;
        place.check_apart("--events-parquet", question)?;
        Ok(Self(place))
    }

    /// Returns true if the events of a unit are there.
    pub(super) async fn has(&self, manifest: &Manifest, unit: &Unit) -> Result<bool, Failure> {
        Ok(self.0.open(&note_name(manifest, unit), MAX_BYTES).await?.is_some())
    }

    /// Begins the table of a unit.
    pub(super) fn begin(&self, manifest: &Manifest, unit: &Unit) -> Result<UnitTable, Failure> {
        let folder = match &self.0 {
            Place::Folder(folder) => Some(folder.clone()),
            Place::Bucket { .. } => None,
        };
        let made = || {
            folder.as_deref().map_or(Ok(()), std::fs::create_dir_all)?;
            Lake::new(file_prefix(manifest, unit), folder.clone(), MEMORY_OF_UNIT)
        };
        let lake = made().map_err(|error| self.failed(&error))?;
        let reader = Arc::new(EventReader::new(EventFilter::default(), Format::Rows));
        Ok(UnitTable { unit: unit.clone(), whole: manifest.question.range, reader, lake, log_files: 0 })
    }

    /// Puts the files of a unit in their place, and then the note. Files that are there already, of another
    /// run of the unit, have to be the same.
    pub(super) async fn finish(
        &self,
        manifest: &Manifest,
        unit: &Unit,
        table: UnitTable,
    ) -> Result<EventsOfUnit, Failure> {
        let failed = |error: io::Error| self.failed(&error);
        let (totals, _) = table.reader.finish().map_err(failed)?;
        let files = table.lake.finish().map_err(failed)?;
        let events = EventsOfUnit {
            events: totals.events,
            log_files: totals.files - totals.other_form,
            other_form: totals.other_form,
            parquet_files: files.len() as u64,
        };
        let named: Vec<(String, u64)> = files.iter().map(|file| (file.name.clone(), file.events)).collect();
        for LakeFile { name, content, .. } in files {
            self.put(&name, content).await?;
        }
        let files = named.iter().map(|(name, events)| NamedFile { name, events: *events }).collect();
        let (plan, description) = (&*manifest.sha256, unit.sha256());
        let note = Note { unit: unit.unit, plan, description, events, files };
        let mut content = self.0.temporary().map_err(failed)?;
        serde_json::to_writer(&mut content, &note).map_err(|error| failed(error.into()))?;
        self.put(&note_name(manifest, unit), content).await?;
        Ok(events)
    }

    /// Puts a file in its place, where nothing or the same file is.
    async fn put(&self, name: &str, content: tempfile::NamedTempFile) -> Result<(), Failure> {
        let failed = |error: io::Error| self.failed(&error);
        let own = content.reopen().map_err(failed)?;
        if self.0.put_new(name, content).await? == Put::Whole {
            return Ok(());
        }
        let other = self.0.open(name, MAX_BYTES).await?;
        match other.map_or(Ok(false), |other| is_same(own, other)).map_err(failed)? {
            true => Ok(()),
            false => Err(Failure::Usage(format!(
                "{} is another file than this unit gives, and is not overwritten: give each plan a place of its own",
                self.0.name(name)
            ))),
        }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::CannotRun(format!("the events can't be written to {}: {error}", self.0.name("")))
    }
}

impl UnitTable {
    /// The consumer of the audit whose events are written.
    pub(super) fn consumer(&self) -> Arc<EventReader> {
        self.reader.clone()
    }

    /// Returns whether the events of a log file belong to this unit: its neighbour verifies the digests at
    /// its edges, too.
    fn owns(&self, file: &LogFileRecord) -> bool {
        let digest = file.digest.as_deref().and_then(DigestName::parse);
        digest.is_none_or(|digest| self.unit.owns_digest(digest.end, self.whole))
    }
}

impl Observer for UnitTable {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::LogFile(file) if self.owns(file) => self.reader.emitted(file),
            Record::LogFile(file) => {
                self.reader.passed_over(file);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> io::Result<()> {
        let Some(proof) = Proof::of(file).filter(|_| self.owns(file)) else { return Ok(()) };
        self.log_files += 1;
        self.lake.add(self.log_files, &proof, extract.into_reader())
    }
}

/// The begin of the names of a unit's files: of no other unit, and of no other plan.
fn file_prefix(manifest: &Manifest, unit: &Unit) -> String {
    format!("unit-{:06}-{}", unit.unit, manifest.sha256.get(..12).unwrap_or_default())
}

/// The name of a unit's note. Query engines pass over folders whose names begin with an underscore.
fn note_name(manifest: &Manifest, unit: &Unit) -> String {
    format!("_units/{}.json", file_prefix(manifest, unit))
}

fn is_same(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut first, mut second) = ([0; 64 << 10], [0; 64 << 10]);
    loop {
        let length = fill(&mut one, &mut first)?;
        if fill(&mut other, &mut second)? != length || first[..length] != second[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the end is there.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
