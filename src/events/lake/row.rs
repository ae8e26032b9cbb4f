//! An event with its values by column, in bytes: made where log files are read, on all cores, and put
//! into columns in the order of the events.
//!
//! A row is its length, the day of the event, its index in the log file, the record, and an entry for
//! each value: the column, the levels as Parquet has them, and the offset of the value's text in the
//! record, or the text itself. Columns without an entry are null as a whole. Numbers are little-endian.

use std::io::{self, Write};

use serde_json::value::RawValue;

use super::columns::{Column, FIELDS, Shape};
use crate::events::event::{Event, decoded};

/// The length of a row's body before the record: the day, the index, and the record's length.
const HEAD: usize = 4 + 8 + 4;
/// The day of events without a time.
pub(super) const NO_DAY: i32 = i32::MIN;
/// The offset of texts that do not stand in the record.
const NOT_IN_RECORD: u32 = u32::MAX;
/// The bit of the levels that says that the value belongs to the row's list, and is not its first.
const REPEATED: u8 = 1 << 7;
/// The bit of the levels that says that the entry has a value.
const HAS_VALUE: u8 = 1 << 6;

/// Writes the row of one event, whose fields are those of `record`.
pub(in crate::events) fn write(event: &Event<'_>, record: &str, index: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut row = RowWriter { record, entries: Vec::with_capacity(1024) };
    row.fields(0, FIELDS, event, 0, false)?;
    let day = event.time().map_or(NO_DAY, |time| day_of(time.start.as_second()));
    let body = HEAD + record.len() + row.entries.len();
    out.write_all(&length(body)?.to_le_bytes())?;
    out.write_all(&day.to_le_bytes())?;
    out.write_all(&index.to_le_bytes())?;
    out.write_all(&length(record.len())?.to_le_bytes())?;
    out.write_all(record.as_bytes())?;
    out.write_all(&row.entries)
}

/// The number of the day of a moment, from 1970-01-01 on.
#[expect(clippy::cast_possible_truncation, reason = "years have at most four digits")]
fn day_of(second: i64) -> i32 {
    second.div_euclid(24 * 60 * 60) as i32
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::Error::other("a record is too large for a table"))
}

struct RowWriter<'r> {
    record: &'r str,
    entries: Vec<u8>,
}

impl RowWriter<'_> {
    /// Writes the values of an object's fields. `first` is the number of the first column, `definition`
    /// the number of its optional or repeated ancestors that are there.
    fn fields(
        &mut self,
        mut first: u8,
        columns: &[Column],
        object: &Event<'_>,
        definition: u8,
        repeated: bool,
    ) -> io::Result<()> {
        for column in columns {
            self.value(first, &column.shape, object.raw_of_any_case(column.name), definition, repeated)?;
            first += column.shape.leaves();
        }
        Ok(())
    }

    /// Writes the values of one field: a JSON text, or none where the field is null or absent.
    fn value(
        &mut self,
        first: u8,
        shape: &Shape,
        value: Option<&str>,
        definition: u8,
        repeated: bool,
    ) -> io::Result<()> {
        match shape {
            Shape::Text => match value {
                Some(value) => self.text(first, &decoded(value), definition + 1, repeated),
                None => self.null(first, shape, definition, repeated),
            },
            Shape::Object(columns) => match value.and_then(|value| Event::parse(value).ok()) {
                Some(object) => self.fields(first, columns, &object, definition + 1, repeated),
                None => self.null(first, shape, definition, repeated),
            },
            Shape::Array(columns) => {
                let Some(elements) = value.and_then(elements) else {
                    return self.null(first, shape, definition, repeated);
                };
                if elements.is_empty() {
                    return self.null(first, shape, definition + 1, repeated);
                }
                for (index, element) in elements.iter().enumerate() {
                    match Event::parse(element.get()) {
                        Ok(object) => self.fields(first, columns, &object, definition + 3, index > 0)?,
                        Err(_) => self.null(first, shape, definition + 2, index > 0)?,
                    }
                }
                Ok(())
            }
            Shape::Map => {
                let Some(map) = value.and_then(|value| Event::parse(value).ok()) else {
                    return self.null(first, shape, definition, repeated);
                };
                let mut index = 0;
                for (name, value) in map.entries() {
                    self.text(first, name, definition + 2, index > 0)?;
                    self.value(first + 1, &Shape::Text, value, definition + 2, index > 0)?;
                    index += 1;
                }
                if index == 0 {
                    self.null(first, shape, definition + 1, repeated)?;
                }
                Ok(())
            }
        }
    }

    /// Writes that the columns of a field are null. Those of which nothing is there need no entry.
    fn null(&mut self, first: u8, shape: &Shape, definition: u8, repeated: bool) -> io::Result<()> {
        if definition > 0 || repeated {
            for column in first..first + shape.leaves() {
                self.entries.extend([column, definition | if repeated { REPEATED } else { 0 }]);
            }
        }
        Ok(())
    }

    fn text(&mut self, column: u8, text: &str, definition: u8, repeated: bool) -> io::Result<()> {
        self.entries.extend([column, definition | HAS_VALUE | if repeated { REPEATED } else { 0 }]);
        let offset = offset(self.record, text);
        self.entries.extend(offset.unwrap_or(NOT_IN_RECORD).to_le_bytes());
        self.entries.extend(length(text.len())?.to_le_bytes());
        if offset.is_none() {
            self.entries.extend(text.as_bytes());
        }
        Ok(())
    }
}

/// The elements of an array; `None` if the value is no array.
fn elements(value: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value).ok()
}

/// The offset of `text` in `record`, if it is a part of it.
fn offset(record: &str, text: &str) -> Option<u32> {
    let offset = (text.as_ptr() as usize).checked_sub(record.as_ptr() as usize)?;
    let is_part = offset.checked_add(text.len())? <= record.len();
    u32::try_from(offset).ok().filter(|offset| is_part && *offset != NOT_IN_RECORD)
}

/// A row, as it lies in its bytes.
pub(super) struct Row<'b> {
    pub(super) index: u64,
    pub(super) record: &'b [u8],
    rest: &'b [u8],
}

/// An entry of a row.
pub(super) struct Entry<'b> {
    pub(super) column: u8,
    pub(super) definition: i16,
    pub(super) repetition: i16,
    pub(super) value: Option<&'b [u8]>,
}

impl<'b> Row<'b> {
    /// Reads a row from its body: the bytes behind its length.
    pub(super) fn read(body: &'b [u8]) -> io::Result<Self> {
        let mut rest = body;
        let _day: &[u8; 4] = take(&mut rest)?;
        let index = u64::from_le_bytes(*take(&mut rest)?);
        let length = u32::from_le_bytes(*take(&mut rest)?);
        let record = bytes(&mut rest, length)?;
        Ok(Self { index, record, rest })
    }

    /// Reads the next entry; none at the end.
    pub(super) fn next_entry(&mut self) -> io::Result<Option<Entry<'b>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let [column, levels] = *take(&mut self.rest)?;
        let value = if levels & HAS_VALUE == 0 {
            None
        } else {
            let offset = u32::from_le_bytes(*take(&mut self.rest)?);
            let length = u32::from_le_bytes(*take(&mut self.rest)?);
            Some(match offset {
                NOT_IN_RECORD => bytes(&mut self.rest, length)?,
                offset => {
                    let mut record = self.record.get(offset as usize..).ok_or_else(broken)?;
                    bytes(&mut record, length)?
                }
            })
        };
        let definition = i16::from(levels & !(REPEATED | HAS_VALUE));
        Ok(Some(Entry { column, definition, repetition: i16::from(levels & REPEATED != 0), value }))
    }
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> io::Result<&'b [u8; N]> {
    let (first, behind) = rest.split_first_chunk().ok_or_else(broken)?;
    *rest = behind;
    Ok(first)
}

pub(super) fn bytes<'b>(rest: &mut &'b [u8], length: u32) -> io::Result<&'b [u8]> {
    let (first, behind) = rest.split_at_checked(length as usize).ok_or_else(broken)?;
    *rest = behind;
    Ok(first)
}

/// Rows come from memory or temporary files of this process; nobody else writes them.
pub(super) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a temporary file with events was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of a record's row, as column, definition, repetition and text.
    fn entries(record: &str) -> Vec<(u8, i16, i16, Option<String>)> {
        let event = Event::parse(record).unwrap();
        let mut bytes = Vec::new();
        write(&event, record, 7, &mut bytes).unwrap();
        let (length, body) = bytes.split_at(4);
        assert_eq!(u32::from_le_bytes(length.try_into().unwrap()) as usize, body.len());
        let mut row = Row::read(body).unwrap();
        assert_eq!((row.index, row.record), (7, record.as_bytes()));
        let mut entries = Vec::new();
        while let Some(entry) = row.next_entry().unwrap() {
            let text = entry.value.map(|value| String::from_utf8(value.to_vec()).unwrap());
            entries.push((entry.column, entry.definition, entry.repetition, text));
        }
        entries
    }

    #[test]
    fn values_have_their_columns_and_levels() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(entries("{}"), []);
        // In any case, decoded where it has escapes; the last of two counts.
        let record = r#"{"EVENTVERSION":"0","eventVersion":"1\u002e08","userIdentity":null}"#;
        assert_eq!(entries(record), [(0, 1, 0, text("1.08"))]);
        // An object without fields is there, and its fields are not.
        let of_object = entries(r#"{"userIdentity":{"type":"Root"}}"#);
        assert_eq!(of_object[..2], [(1, 2, 0, text("Root")), (2, 1, 0, None)]);
        assert_eq!(of_object.len(), 18 + 2);
        assert_eq!(entries(r#"{"userIdentity":7}"#), []);
        let resources = FIRST_OF_RESOURCES;
        for (record, expected) in [
            (
                r#"{"resources":[]}"#,
                vec![(resources, 1, 0, None), (resources + 1, 1, 0, None), (resources + 2, 1, 0, None)],
            ),
            (
                r#"{"resources":[{"ARN":"a"},7,{"type":"t"}]}"#,
                vec![
                    (resources, 4, 0, text("a")),
                    (resources + 1, 3, 0, None),
                    (resources + 2, 3, 0, None),
                    (resources, 2, 1, None),
                    (resources + 1, 2, 1, None),
                    (resources + 2, 2, 1, None),
                    (resources, 3, 1, None),
                    (resources + 1, 3, 1, None),
                    (resources + 2, 4, 1, text("t")),
                ],
            ),
            (r#"{"resources":"x"}"#, vec![]),
        ] {
            assert_eq!(entries(record), expected, "{record}");
        }
    }

    /// The first column of `resources`.
    const FIRST_OF_RESOURCES: u8 = 1 + 20 + 14;

    #[test]
    fn maps_have_each_name_once() {
        let record =
            r#"{"userIdentity":{"sessionContext":{"webIdFederationData":{"attributes":{"a":"1","b":null,"a":"2"}}}}}"#;
        let of_map: Vec<_> = entries(record).into_iter().filter(|entry| (19..=20).contains(&entry.0)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of_map, [(19, 5, 0, text("b")), (20, 5, 0, None), (19, 5, 1, text("a")), (20, 6, 1, text("2"))]);
    }

    #[test]
    fn broken_bytes_are_errors() {
        let record = r#"{"eventVersion":"1\u002e08","eventName":"x"}"#;
        let mut bytes = Vec::new();
        write(&Event::parse(record).unwrap(), record, 0, &mut bytes).unwrap();
        let body = &bytes[4..];
        for end in 0..body.len() {
            let mut at_end = false;
            let read = Row::read(&body[..end]).and_then(|mut row| {
                while row.next_entry()?.is_some() {}
                at_end = true;
                Ok(())
            });
            // Entries end where the body ends: a cut between two is not seen.
            assert!(read.is_err() || at_end);
        }
    }
}
