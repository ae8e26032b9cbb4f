//! The place of a table of events: a folder for one run, or a place that the units of a plan share.

use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::args::AwsArgs;
use super::event_output::CannotWriteEvents;
use super::exit::Failure;
use super::place::Place;
use crate::audit::{Extract, Observer};
use crate::disk;
use crate::events::{EventFilter, EventReader, Format, Lake, LakeFile, Proof};
use crate::model::{DigestName, TimeRange};
use crate::records::{LogFileRecord, Record};
use crate::shard::{EventsOfUnit, Manifest, Question, Unit, UnitResult};
use crate::store::Written;

/// The begin of the names of a run's files.
const PREFIX: &str = "events";
/// The memory for rows of a run that wait for others of their day, in bytes.
const MEMORY: usize = 24 << 20;
/// The same for a unit, of which a machine may verify several at once.
const MEMORY_OF_UNIT: usize = 12 << 20;

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
            // Where files can't be locked, two runs are the caller's to keep apart.
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
                "--parquet {} is not empty, and events that are there already would be there twice: give each run a \
                 folder of its own, such as {}",
                folder.display(),
                folder.join("run=2").display()
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

/// The place of the events of a plan's units. Each has files of its own, and a note that names them, which is
/// written before them: events of another attempt, which read other objects, are never beside them.
pub(super) struct UnitTables(Place);

/// The files of a unit.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    unit: u64,
    /// The SHA-256 of the plan, in hex.
    plan: String,
    /// The SHA-256 of the unit's description, in hex.
    description: String,
    /// The SHA-256 of the unit's result, in hex: the events are those of the log files that it calls intact.
    result: String,
    #[serde(flatten)]
    events: EventsOfUnit,
    files: Vec<NamedFile>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NamedFile {
    name: String,
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
    /// The folder of files that are not complete.
    _temporary: TempDir,
}

impl UnitTables {
    /// Names a place.
    pub(super) async fn of(name: &str, question: &Question, aws: &AwsArgs) -> Result<Self, Failure> {
        let place = Place::of(name, aws).await?;
        place.check_apart("--events-parquet", question)?;
        Ok(Self(place))
    }

    /// Returns whether all events of a unit are there, those of the result with this SHA-256.
    pub(super) async fn has(&self, manifest: &Manifest, unit: &Unit, result: &str) -> Result<bool, Failure> {
        let Some(note) = self.note(manifest, unit).await? else { return Ok(false) };
        self.check(manifest, unit, &note, result)?;
        for file in &note.files {
            if !self.0.has(&file.name).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins the table of a unit.
    pub(super) fn begin(&self, manifest: &Manifest, unit: &Unit) -> Result<UnitTable, Failure> {
        let temporary = self.0.temporary_folder().map_err(|error| self.failed(&error))?;
        let lake = Lake::new(file_prefix(manifest, unit), temporary.path().to_owned(), MEMORY_OF_UNIT);
        let lake = lake.map_err(|error| self.failed(&error))?;
        let reader = Arc::new(EventReader::new(EventFilter::default(), Format::Rows));
        let (unit, whole) = (unit.clone(), manifest.question.range);
        Ok(UnitTable { unit, whole, reader, lake, log_files: 0, _temporary: temporary })
    }

    /// Puts the note of a unit and its files in their place. What is there already is of another run of the
    /// unit, which has to have the same result.
    pub(super) async fn finish(
        &self,
        manifest: &Manifest,
        unit: &Unit,
        result: &UnitResult,
        table: UnitTable,
    ) -> Result<EventsOfUnit, Failure> {
        let failed = |error: io::Error| self.failed(&error);
        let UnitTable { reader, lake, _temporary, .. } = table;
        let (totals, _) = reader.finish().map_err(failed)?;
        let files = lake.finish().map_err(failed)?;
        let events = EventsOfUnit {
            events: totals.events,
            log_files: totals.files - totals.other_form,
            duplicate_event_ids: totals.duplicates,
            other_form: totals.other_form,
            parquet_files: files.len() as u64,
        };
        let note = Note {
            unit: unit.unit,
            plan: manifest.sha256.clone(),
            description: unit.sha256(),
            result: result.sha256.clone(),
            events,
            files: files.iter().map(|file| NamedFile { name: file.name.clone(), events: file.events }).collect(),
        };
        let mut content = self.0.temporary().map_err(failed)?;
        serde_json::to_writer(&mut content, &note).map_err(|error| failed(error.into()))?;
        content.as_file().sync_all().map_err(failed)?;
        if self.0.put_new(&note_name(manifest, unit), content.into_temp_path()).await? == Written::Changed
            && let Some(other) = self.note(manifest, unit).await?
        {
            self.check(manifest, unit, &other, &result.sha256)?;
        }
        for LakeFile { name, content, .. } in files {
            let own = File::open(&content).map_err(failed)?;
            if self.0.put_new(&name, content).await? == Written::Changed {
                let other = self.0.open(&name).await?;
                if !other.map_or(Ok(false), |other| is_same(own, other)).map_err(failed)? {
                    return Err(Failure::Usage(format!(
                        "{} is not the file that this unit gives, and is not overwritten: remove it and verify the \
                         unit again",
                        self.0.name(&name)
                    )));
                }
            }
        }
        Ok(events)
    }

    /// Reads the note of a unit.
    async fn note(&self, manifest: &Manifest, unit: &Unit) -> Result<Option<Note>, Failure> {
        let name = note_name(manifest, unit);
        let Some(file) = self.0.open(&name).await? else { return Ok(None) };
        let note = serde_json::from_reader(BufReader::new(file));
        note.map(Some).map_err(|error| {
            Failure::Usage(format!("{} is no note about a unit: {error}. Remove it", self.0.name(&name)))
        })
    }

    /// Checks that a note is about this unit and this result of it.
    fn check(&self, manifest: &Manifest, unit: &Unit, note: &Note, result: &str) -> Result<(), Failure> {
        if note.plan == manifest.sha256 && note.description == unit.sha256() && note.result == result {
            return Ok(());
        }
        let prefix = file_prefix(manifest, unit);
        Err(Failure::Usage(format!(
            "{} is of another result of unit {}, whose log files were not the same: remove it, and the files {}, and \
             verify the unit again",
            self.0.name(&note_name(manifest, unit)),
            unit.unit,
            self.0.name(&format!("*/{prefix}-*.parquet"))
        )))
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
        let added = self.lake.add(self.log_files, &proof, extract.into_reader());
        added.map_err(|error| io::Error::new(error.kind(), format!("the events can't be written: {error}")))
    }
}

/// The begin of the names of a unit's files, with that of its plan's hash.
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
