//! The events of a plan's units as one table, in a folder or in S3.

use std::fs::File;
use std::io::{self, BufReader};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::args::AwsArgs;
use super::exit::Failure;
use super::place::Place;
use crate::audit::{Extract, Observer};
use crate::events::{EventFilter, EventReader, Format, Lake, LakeFile, Proof};
use crate::model::{DigestName, TimeRange};
use crate::records::{LogFileRecord, Record};
use crate::shard::{EventsOfUnit, Manifest, Question, Unit, UnitResult};
use crate::store::Written;

/// The memory for rows that wait for others of their day, in bytes. A machine may verify several units at once.
const MEMORY_OF_UNIT: usize = 12 << 20;

/// The place of the events of a plan's units. Each has files of its own, and a note that names them, which is
/// written before them: the events of two different results are never beside each other.
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
        if self.0.put_new(&note_name(manifest, unit), content.into_temp_path()).await? == Written::Changed {
            let gone = || failed(io::Error::other("another run has written and removed its note meanwhile"));
            let other = self.note(manifest, unit).await?.ok_or_else(gone)?;
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
            "{} names the events of another result of unit {} than the one of SHA-256 {result}: remove it, and the \
             files {}, and verify the unit again",
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

fn is_same(one: File, other: File) -> io::Result<bool> {
    let hash = |mut file: File| {
        let mut hasher = Sha256::new();
        io::copy(&mut file, &mut hasher).map(|_| hasher.finalize())
    };
    Ok(hash(one)? == hash(other)?)
}
