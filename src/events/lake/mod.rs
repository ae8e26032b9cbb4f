//! Events as a table in Parquet files, in folders by the day of the event.
//!
//! An event has a row, of the columns that AWS's documentation gives the table of CloudTrail logs in
//! Athena, so that queries made for it run on proven events. Rows of a day come from many log files, of
//! many chains: they wait until they fill a group of rows, in memory within a limit, and in temporary
//! files beyond it. The same events in the same order give the same files.

mod columns;
mod file;
mod row;

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Span;
use jiff::civil::Date;
use tempfile::{NamedTempFile, TempPath};

use self::file::{FileFormat, OpenFile, ProofTexts, RowGroup};
use self::row::{NO_DAY, Row, broken};
use super::output::Proof;
use crate::debug::opaque_debug;
use crate::disk::spill::{Chunk, SpillPool};

pub(super) use self::row::write as write_row;

/// The size of the rows of a group, in bytes.
const GROUP: usize = 8 << 20;
/// The memory that a row takes in columns beside its bytes: levels, and the proof.
const ROW_IN_COLUMNS: usize = 512;
/// The number of groups at which a file is complete and the next one begins: some 100 MB.
const GROUPS_OF_FILE: usize = 64;
/// The number of files that are written at once. What is known of their groups stays in memory.
const OPEN_FILES: usize = 8;
/// The memory that a day takes beside its rows, in bytes.
const DAY: usize = 256;
/// The largest row: a record, and each of its values once more, with escapes decoded.
const MAX_ROW: usize = 64 << 20;
/// The folder of events without a time, by the name that query engines take for null.
const NO_DAY_FOLDER: &str = "day=__HIVE_DEFAULT_PARTITION__";

/// Events on their way into files.
pub struct Lake {
    format: FileFormat,
    /// The begin of the files' names.
    prefix: String,
    /// The folder in which files are written.
    folder: PathBuf,
    spills: Arc<SpillPool>,
    /// The memory for rows that wait, in bytes.
    memory: usize,
    in_memory: usize,
    days: BTreeMap<i32, Day>,
    /// The number of files that are open.
    open: usize,
    /// The number of times that a group was written, by which the file that waits longest is found.
    written: u64,
    complete: Vec<LakeFile>,
}

opaque_debug!(Lake);

/// The rows of a day.
#[derive(Default)]
struct Day {
    /// Rows, and before those of each log file its proof.
    waiting: Vec<u8>,
    /// The rows before them, if they were moved to a temporary file.
    spilled: Vec<Chunk>,
    /// The length of these, in bytes.
    spilled_bytes: usize,
    /// The number of the log file whose proof was written last.
    of_file: Option<u64>,
    file: Option<Box<OpenFile>>,
    /// The number of rows that wait.
    rows: usize,
    /// The number of files of the day that are complete.
    files: usize,
    /// When a group was written last.
    last: u64,
}

/// A file that is complete, and waits under another name for the others. It is removed when it is dropped.
#[derive(Debug)]
pub struct LakeFile {
    /// The name beneath the table's folder: `day=YYYY-MM-DD/PREFIX-NNNN.parquet`.
    pub name: String,
    /// The number of events.
    pub events: u64,
    /// The content.
    pub content: TempPath,
}

/// The marks before the parts of a day's rows: a proof, for the rows behind it, or a row.
const PROOF_MARK: u8 = 0;
const ROW_MARK: u8 = 1;

impl Lake {
    /// Creates a table whose files' names begin with `prefix`. They are written in `folder` under other
    /// names. Rows that wait for others of their day take at most `memory` bytes of memory, and beyond it
    /// temporary files of the system, of at most 8 MiB a day.
    ///
    /// # Errors
    ///
    /// Fails if the library refuses the schema.
    pub fn new(prefix: String, folder: PathBuf, memory: usize) -> io::Result<Self> {
        let format = FileFormat::new()?;
        let (days, complete) = (BTreeMap::new(), Vec::new());
        let spills = SpillPool::new(0, 0);
        Ok(Self { format, prefix, folder, spills, memory, in_memory: 0, days, open: 0, written: 0, complete })
    }

    /// Adds the events of one log file, as [`Format::Rows`](super::Format::Rows) wrote them. `number` tells the log
    /// file from those before it.
    ///
    /// # Errors
    ///
    /// Returns the errors of reading `rows` and of writing files.
    pub fn add(&mut self, number: u64, proof: &Proof<'_>, mut rows: impl BufRead) -> io::Result<()> {
        let proof = proof_bytes(proof)?;
        while !rows.fill_buf()?.is_empty() {
            self.add_row(number, &proof, &mut rows)?;
        }
        Ok(())
    }

    fn add_row(&mut self, number: u64, proof: &[u8], rows: &mut impl BufRead) -> io::Result<()> {
        // A row begins with its length and its day.
        let (mut length, mut day_bytes) = ([0; 4], [0; 4]);
        rows.read_exact(&mut length)?;
        rows.read_exact(&mut day_bytes)?;
        let size = u32::from_le_bytes(length) as usize;
        if !(day_bytes.len()..=MAX_ROW).contains(&size) {
            return Err(broken());
        }
        let key = i32::from_le_bytes(day_bytes);
        let day = self.days.entry(key).or_insert_with(|| {
            self.in_memory += DAY;
            Day::default()
        });
        let before = day.waiting.capacity();
        if day.of_file != Some(number) {
            day.of_file = Some(number);
            push_part(&mut day.waiting, PROOF_MARK, proof)?;
        }
        day.waiting.push(ROW_MARK);
        day.waiting.extend(length);
        day.waiting.extend(day_bytes);
        let begin = day.waiting.len();
        day.waiting.resize(begin + size - day_bytes.len(), 0);
        rows.read_exact(&mut day.waiting[begin..])?;
        self.in_memory += day.waiting.capacity() - before;
        day.rows += 1;
        if day.size() >= GROUP {
            self.write_group(key)?;
        }
        while self.in_memory > self.memory {
            let largest = self.days.iter().max_by_key(|(key, day)| (day.waiting.capacity(), **key));
            let Some(key) = largest.filter(|(_, day)| !day.waiting.is_empty()).map(|(key, _)| *key) else { break };
            self.spill(key)?;
        }
        Ok(())
    }

    /// Moves the rows of a day that are in memory to its file.
    fn spill(&mut self, key: i32) -> io::Result<()> {
        let Some(day) = self.days.get_mut(&key) else { return Ok(()) };
        let spilled = self.spills.spill(&day.waiting);
        // Not in the folder of the table, which the caller's message names.
        let spilled = spilled.map_err(|error| {
            io::Error::new(error.kind(), format!("{} can't be written to: {error}", std::env::temp_dir().display()))
        });
        day.spilled.push(spilled?);
        day.spilled_bytes += day.waiting.len();
        self.in_memory -= day.waiting.capacity();
        day.waiting = Vec::new();
        Ok(())
    }

    /// Writes all rows of a day that wait as a group.
    fn write_group(&mut self, key: i32) -> io::Result<()> {
        let Some(day) = self.days.get_mut(&key) else { return Ok(()) };
        let waiting = std::mem::take(&mut day.waiting);
        self.in_memory -= waiting.capacity();
        (day.of_file, day.rows) = (None, 0);
        let rows = if day.spilled.is_empty() {
            waiting
        } else {
            let mut rows = Vec::with_capacity(day.spilled_bytes + waiting.len());
            let mut piece = Vec::new();
            for chunk in day.spilled.drain(..) {
                chunk.read(&mut piece)?;
                rows.extend_from_slice(&piece);
            }
            day.spilled_bytes = 0;
            rows.extend(waiting);
            rows
        };
        let group = group(&self.format, &rows)?;
        drop(rows);
        if group.rows() == 0 {
            return Ok(());
        }
        self.written += 1;
        day.last = self.written;
        let file = match &mut day.file {
            Some(file) => file,
            None => {
                self.open += 1;
                day.file.insert(Box::new(OpenFile::create(&self.format, temporary_file(&self.folder)?)?))
            }
        };
        file.append(&self.format, group)?;
        if file.groups >= GROUPS_OF_FILE {
            self.complete(key)?;
        }
        while self.open > OPEN_FILES {
            let open = self.days.iter().filter(|(_, day)| day.file.is_some());
            let Some(oldest) = open.min_by_key(|(_, day)| day.last).map(|(key, _)| *key) else { break };
            self.complete(oldest)?;
        }
        Ok(())
    }

    /// Ends the file of a day.
    fn complete(&mut self, key: i32) -> io::Result<()> {
        let Some(day) = self.days.get_mut(&key) else { return Ok(()) };
        let Some(file) = day.file.take() else { return Ok(()) };
        self.open -= 1;
        let name = format!("{}/{}-{:04}.parquet", folder(key), self.prefix, day.files);
        day.files += 1;
        let events = file.events;
        self.complete.push(LakeFile { name, events, content: file.finish()? });
        Ok(())
    }

    /// Writes all rows that wait, and returns the files, in the order of their names.
    ///
    /// # Errors
    ///
    /// Returns the errors of writing files.
    pub fn finish(mut self) -> io::Result<Vec<LakeFile>> {
        let keys: Vec<i32> = self.days.keys().copied().collect();
        for key in keys {
            self.write_group(key)?;
            self.complete(key)?;
        }
        self.complete.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(self.complete)
    }
}

impl Day {
    fn size(&self) -> usize {
        self.waiting.len() + self.spilled_bytes + self.rows * ROW_IN_COLUMNS
    }
}

/// A temporary file that is to get a name.
fn temporary_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // The mode of any file that a program creates: the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// The name of a day's folder.
fn folder(day: i32) -> String {
    let epoch = Date::constant(1970, 1, 1);
    let date = (day != NO_DAY).then(|| epoch.checked_add(Span::new().try_days(day).ok()?).ok()).flatten();
    date.map_or_else(|| NO_DAY_FOLDER.to_owned(), |date| format!("day={date}"))
}

fn push_part(rows: &mut Vec<u8>, mark: u8, body: &[u8]) -> io::Result<()> {
    rows.push(mark);
    push_text(rows, body)
}

/// Appends bytes with their length before them.
fn push_text(to: &mut Vec<u8>, text: &[u8]) -> io::Result<()> {
    to.extend(u32::try_from(text.len()).map_err(|_| broken())?.to_le_bytes());
    to.extend(text);
    Ok(())
}

fn proof_bytes(proof: &Proof<'_>) -> io::Result<Vec<u8>> {
    let hash = proof.sha256.to_string();
    let mut bytes = Vec::new();
    for text in [proof.bucket, proof.key, &hash, proof.digest, proof.account, proof.region] {
        push_text(&mut bytes, text.as_bytes())?;
    }
    Ok(bytes)
}

/// Puts the rows of a day into columns.
fn group(format: &FileFormat, rows: &[u8]) -> io::Result<RowGroup> {
    let mut group = RowGroup::new(format);
    let mut proof: ProofTexts<'_> = [b""; columns::PROOF.len()];
    let mut rest = rows;
    while let Some((mark, behind)) = rest.split_first() {
        rest = behind;
        let body = part(&mut rest)?;
        if *mark == ROW_MARK {
            group.add(format, Row::read(body)?, &proof)?;
        } else {
            let mut body = body;
            for text in &mut proof {
                *text = part(&mut body)?;
            }
        }
    }
    Ok(group)
}

/// The next bytes with their length before them.
fn part<'b>(rest: &mut &'b [u8]) -> io::Result<&'b [u8]> {
    let length = row::bytes(rest, 4)?.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    row::bytes(rest, length)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::*;
    use crate::events::event::Event;

    const SECONDS_OF_DAY: i64 = 24 * 60 * 60;

    fn write(lake: &mut Lake, number: u64, records: &[String]) {
        let mut rows = Vec::new();
        for (index, record) in records.iter().enumerate() {
            write_row(&Event::parse(record).unwrap(), record, index as u64, &mut rows).unwrap();
        }
        lake.add(number, &Proof::example(), &*rows).unwrap();
    }

    fn record(second: i64, name: &str, padding: usize) -> String {
        let time = jiff::Timestamp::from_second(second).unwrap();
        format!("{{\"eventTime\":\"{time}\",\"eventName\":\"{name}\",\"pad\":\"{}\"}}", "x".repeat(padding))
    }

    /// The names of the events in a file, in their order, and the number of groups.
    fn read(file: &LakeFile) -> (Vec<String>, usize) {
        let reader = SerializedFileReader::new(std::fs::File::open(&file.content).unwrap()).unwrap();
        let schema = reader.metadata().file_metadata().schema();
        let name = schema.get_fields().iter().position(|field| field.name() == "eventname").unwrap();
        let rows = reader.get_row_iter(None).unwrap();
        let names: Vec<String> = rows.map(|row| row.unwrap().get_string(name).unwrap().clone()).collect();
        assert_eq!(names.len() as u64, file.events);
        (names, reader.num_row_groups())
    }

    /// More days than files may be open, and more rows than there is memory for.
    #[test]
    fn rows_of_many_days_keep_their_order_within_little_memory() {
        const DAYS: i64 = 30;
        let mut lake = Lake::new("events".to_owned(), std::env::temp_dir(), 20_000).unwrap();
        for number in 0..200 {
            let on_day = |day: i64| record(day * SECONDS_OF_DAY + number, &format!("{day}-{number}"), 300);
            let records: Vec<String> = (0..DAYS).map(on_day).collect();
            write(&mut lake, number as u64, &records);
            assert!(lake.in_memory <= 20_000, "{}", lake.in_memory);
        }
        let files = lake.finish().unwrap();
        let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        assert_eq!(names[..2], ["day=1970-01-01/events-0000.parquet", "day=1970-01-02/events-0000.parquet"]);
        assert_eq!(names.len() as i64, DAYS);
        for (day, file) in files.iter().enumerate() {
            let expected: Vec<String> = (0..200).map(|number| format!("{day}-{number}")).collect();
            assert_eq!(read(file), (expected, 1));
        }
    }

    #[test]
    fn groups_are_bounded_and_files_of_few_days_are_open() {
        let mut lake = Lake::new("unit".to_owned(), std::env::temp_dir(), 64 << 20).unwrap();
        for day in 0..10_i64 {
            let names = |round: i64| (0..9).map(move |number| format!("{day}-{round}-{number}"));
            for round in 0..2 {
                let records: Vec<String> =
                    names(round).map(|name| record(day * SECONDS_OF_DAY, &name, 1 << 20)).collect();
                write(&mut lake, 0, &records);
                assert!(lake.open <= OPEN_FILES);
            }
        }
        // The ninth and the tenth day closed the files of the first two.
        assert_eq!((lake.complete.len(), lake.open), (2, OPEN_FILES));
        write(&mut lake, 1, &[record(0, "late", 0)]);
        let files = lake.finish().unwrap();
        let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        assert_eq!(
            names[..3],
            [
                "day=1970-01-01/unit-0000.parquet",
                "day=1970-01-01/unit-0001.parquet",
                "day=1970-01-02/unit-0000.parquet"
            ]
        );
        let (of_day, groups) = read(&files[0]);
        assert_eq!((of_day.len(), groups), (16, 2));
        let (rest, _) = read(&files[1]);
        assert_eq!(rest, ["0-1-7", "0-1-8", "late"]);
    }

    #[test]
    fn days_have_names_that_engines_know() {
        for (day, name) in
            [(0, "day=1970-01-01"), (-1, "day=1969-12-31"), (NO_DAY, NO_DAY_FOLDER), (i32::MAX, NO_DAY_FOLDER)]
        {
            assert_eq!(folder(day), name);
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let mut rows = Vec::new();
        let record = record(0, "a", 10);
        write_row(&Event::parse(&record).unwrap(), &record, 0, &mut rows).unwrap();
        for end in 1..rows.len() {
            let mut lake = Lake::new("events".to_owned(), std::env::temp_dir(), 1 << 20).unwrap();
            let added = lake.add(0, &Proof::example(), &rows[..end]);
            assert!(added.is_err(), "{end}");
        }
    }
}
