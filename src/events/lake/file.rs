//! The files of the table: rows in groups, in a temporary file until the file is complete.

use std::fs::File;
use std::io;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, TypePtr};
use tempfile::{NamedTempFile, TempPath};

use super::columns::{self, INDEX_LEAF, PROOF_LEAF, RAW, RAW_LEAF};
use super::row::{Row, broken};

/// The level of Zstandard. Higher ones gain a few percent of size and cost several times as much.
const COMPRESSION: i32 = 1;

/// The schema, and how files are written.
#[derive(Clone)]
pub(super) struct FileFormat {
    schema: TypePtr,
    properties: WriterPropertiesPtr,
    /// For each column of a file, the level at which a value is there, and if it has several in a row.
    levels: Vec<(i16, bool)>,
}

impl FileFormat {
    pub(super) fn new() -> io::Result<Self> {
        let schema = columns::schema().map_err(failed)?;
        let compression = Compression::ZSTD(ZstdLevel::try_new(COMPRESSION).map_err(failed)?);
        let raw = || ColumnPath::from(RAW);
        let properties = WriterProperties::builder()
            .set_created_by(concat!("ctverify version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(compression)
            // Each record is there once: a dictionary and bounds of its values serve no query.
            .set_column_dictionary_enabled(raw(), false)
            .set_column_statistics_enabled(raw(), EnabledStatistics::None)
            .set_max_row_group_row_count(None);
        let descriptor = SchemaDescriptor::new(schema.clone());
        let levels = descriptor.columns().iter().map(|column| (column.max_def_level(), column.max_rep_level() > 0));
        Ok(Self { levels: levels.collect(), schema, properties: properties.build().into() })
    }
}

/// An error of the library that writes Parquet.
pub(super) fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

/// The proof of a log file, as texts in the order of the columns.
pub(super) type ProofTexts<'p> = [&'p [u8]; columns::PROOF.len()];

/// The values of rows, by column.
pub(super) struct RowGroup {
    columns: Vec<ColumnValues>,
    rows: usize,
}

/// The values of a column.
#[derive(Clone, Default)]
struct ColumnValues {
    bytes: Vec<u8>,
    /// The end of each value in these bytes.
    ends: Vec<usize>,
    definitions: Vec<i16>,
    /// Only of columns that have several values in a row.
    repetitions: Vec<i16>,
    /// The number of rows that have an entry.
    rows: usize,
}

impl ColumnValues {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.ends.push(self.bytes.len());
    }
}

impl RowGroup {
    pub(super) fn new(format: &FileFormat) -> Self {
        Self { columns: vec![ColumnValues::default(); format.levels.len()], rows: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row and the proof of its log file.
    pub(super) fn add(&mut self, format: &FileFormat, mut row: Row<'_>, proof: &ProofTexts<'_>) -> io::Result<()> {
        self.rows += 1;
        while let Some(entry) = row.next_entry()? {
            let place = usize::from(entry.column);
            let (column, levels) = self.columns.get_mut(place).zip(format.levels.get(place)).ok_or_else(broken)?;
            if entry.value.is_some() != (entry.definition == levels.0) {
                return Err(broken());
            }
            column.definitions.push(entry.definition);
            if levels.1 {
                column.repetitions.push(entry.repetition);
            }
            column.rows += usize::from(entry.repetition == 0);
            if let Some(value) = entry.value {
                column.push(value);
            }
        }
        for (column, levels) in self.columns.iter_mut().zip(&format.levels) {
            if levels.0 > 0 && column.rows < self.rows {
                column.rows += 1;
                column.definitions.push(0);
                if levels.1 {
                    column.repetitions.push(0);
                }
            }
        }
        self.columns[usize::from(RAW_LEAF)].push(row.record);
        for (column, text) in self.columns[usize::from(PROOF_LEAF)..].iter_mut().zip(proof) {
            column.push(text);
        }
        self.columns[usize::from(INDEX_LEAF)].push(&row.index.to_le_bytes());
        Ok(())
    }
}

/// A file that is being written.
pub(super) struct OpenFile {
    writer: SerializedFileWriter<File>,
    file: NamedTempFile,
    pub(super) groups: usize,
    pub(super) events: u64,
}

impl OpenFile {
    pub(super) fn create(format: &FileFormat, file: NamedTempFile) -> io::Result<Self> {
        let handle = file.as_file().try_clone()?;
        let writer = SerializedFileWriter::new(handle, format.schema.clone(), format.properties.clone());
        Ok(Self { writer: writer.map_err(failed)?, file, groups: 0, events: 0 })
    }

    /// Appends a group of rows.
    pub(super) fn append(&mut self, format: &FileFormat, group: RowGroup) -> io::Result<()> {
        let mut writer = self.writer.next_row_group().map_err(failed)?;
        for (values, levels) in group.columns.into_iter().zip(&format.levels) {
            let mut column =
                writer.next_column().map_err(failed)?.ok_or_else(|| io::Error::other("a column is missing"))?;
            write_column(&mut column, values, *levels).map_err(failed)?;
            column.close().map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        self.groups += 1;
        self.events += group.rows as u64;
        Ok(())
    }

    /// Ends the file, and closes it: a table may have more files than a process may have open.
    pub(super) fn finish(self) -> io::Result<TempPath> {
        self.writer.close().map_err(failed)?;
        self.file.as_file().sync_all()?;
        Ok(self.file.into_temp_path())
    }
}

fn write_column(
    column: &mut SerializedColumnWriter<'_>,
    values: ColumnValues,
    (present, repeats): (i16, bool),
) -> Result<(), ParquetError> {
    let definitions = (present > 0).then_some(&*values.definitions);
    let repetitions = repeats.then_some(&*values.repetitions);
    let bytes = Bytes::from(values.bytes);
    let mut begin = 0;
    let slices = values.ends.into_iter().map(|end| bytes.slice(std::mem::replace(&mut begin, end)..end));
    if let parquet::column::writer::ColumnWriter::Int64ColumnWriter(writer) = column.untyped() {
        let number = |slice: Bytes| slice.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
        let numbers: Vec<i64> = slices.map(number).collect();
        debug_assert!(repetitions.is_none());
        writer.write_batch(&numbers, definitions, repetitions)?;
        return Ok(());
    }
    let texts: Vec<ByteArray> = slices.map(ByteArray::from).collect();
    column.typed::<ByteArrayType>().write_batch(&texts, definitions, repetitions)?;
    Ok(())
}
