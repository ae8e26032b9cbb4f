//! The records of a log file's content.
//!
//! CloudTrail writes `{"Records":[…]}`; files of aggregated events hold an array. Records are handed on
//! in their original bytes: numbers and escapes are not read, let alone written again.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::audit::ProvenContent;

/// The maximum size of a record in bytes, where a log file is read piece by piece. CloudTrail limits an
/// event to 1 MB (user guide, "Quotas in AWS CloudTrail").
const MAX_RECORD: u64 = 8 << 20;

/// Takes a record, with its index.
pub type TakeRecord<'t> = dyn FnMut(u64, &str) -> io::Result<()> + 't;

/// The result of looking for records in the content of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// It has the form that CloudTrail gives a log file, and this number of records.
    Records(u64),
    /// It has not; the text says why.
    Other(String),
}

/// Hands each record of a log file's content to `take`, with its index, in their order.
///
/// A content without the form of a log file may show only after some of its records: the caller drops
/// what it made of them when the result is [`Form::Other`].
///
/// # Errors
///
/// Returns an error of reading the content, or the first error of `take`.
pub fn each_record(content: ProvenContent, mut take: impl FnMut(u64, &str) -> io::Result<()>) -> io::Result<Form> {
    match content.in_memory() {
        Some(bytes) => each_record_of_bytes(bytes, &mut take),
        None => each_record_of_reader(content.into_reader(), &mut take),
    }
}

/// Hands on the records of bytes in memory, be they proven or not: see [`each_record`].
///
/// # Errors
///
/// Returns the first error of `take`.
pub fn each_record_of_bytes(bytes: &[u8], take: &mut TakeRecord<'_>) -> io::Result<Form> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut records = Records { take, count: 0, failure: None, on_record: || {} };
    let read = Content::<&RawValue, _> { records: &mut records, raw: PhantomData }.deserialize(&mut deserializer);
    let read = read.and_then(|()| deserializer.end());
    records.form(read)
}

/// Hands on the records of bytes that are read piece by piece, be they proven or not: see
/// [`each_record`]. A record may have at most 8 MiB.
///
/// # Errors
///
/// Returns an error of reading, or the first error of `take`.
pub fn each_record_of_reader(
    content: impl BufRead,
    take: &mut dyn FnMut(u64, &str) -> io::Result<()>,
) -> io::Result<Form> {
    let left = Rc::new(Cell::new(MAX_RECORD));
    let reader = LimitedRecords { content, left: left.clone() };
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let mut records = Records { take, count: 0, failure: None, on_record: || left.set(MAX_RECORD) };
    let read = Content::<Box<RawValue>, _> { records: &mut records, raw: PhantomData }.deserialize(&mut deserializer);
    let read = read.and_then(|()| deserializer.end());
    records.form(read)
}

/// Ends the content where a record is too large.
struct LimitedRecords<R> {
    content: R,
    /// The number of bytes that may still be read before the next record.
    left: Rc<Cell<u64>>,
}

impl<R: BufRead> Read for LimitedRecords<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let what = format!("a record has more than {MAX_RECORD} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let count = self.content.read(out)?;
        self.left.set(left.saturating_sub(count as u64));
        Ok(count)
    }
}

/// The records of a content, as they are found.
struct Records<'t, F> {
    take: &'t mut TakeRecord<'t>,
    count: u64,
    /// The error of `take`.
    failure: Option<io::Error>,
    /// Called after each record.
    on_record: F,
}

impl<F: Fn()> Records<'_, F> {
    /// The form of the content by the result of reading it.
    fn form(self, read: Result<(), serde_json::Error>) -> io::Result<Form> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match read {
            Ok(()) => Ok(Form::Records(self.count)),
            Err(error) if error.is_io() => {
                let error = io::Error::from(error);
                match error.kind() {
                    io::ErrorKind::InvalidData => Ok(Form::Other(error.to_string())),
                    _ => Err(error),
                }
            }
            Err(error) => Ok(Form::Other(error.to_string())),
        }
    }

    fn on(&mut self, record: &RawValue) -> Result<(), String> {
        let text = record.get();
        if !text.starts_with('{') {
            return Err(format!("the element {} of its records is no object", self.count));
        }
        let index = self.count;
        self.count += 1;
        (self.on_record)();
        (self.take)(index, text).map_err(|error| {
            self.failure = Some(error);
            "the record was not taken".to_owned()
        })
    }
}

/// Reads a content with records of the type `R`, borrowed or owned.
struct Content<'r, 't, R, F> {
    records: &'r mut Records<'t, F>,
    raw: PhantomData<R>,
}

/// Reads the array of records.
struct Elements<'r, 't, R, F>(Content<'r, 't, R, F>);

impl<'de, R: Deserialize<'de> + Deref<Target = RawValue>, F: Fn()> DeserializeSeed<'de> for Content<'_, '_, R, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, R: Deserialize<'de> + Deref<Target = RawValue>, F: Fn()> Visitor<'de> for Content<'_, '_, R, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Records, or an array of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_records = false;
        while let Some(name) = map.next_key::<String>()? {
            if name != "Records" {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            }
            // Readers disagree on which of two counts.
            if std::mem::replace(&mut has_records, true) {
                return Err(A::Error::custom("it has Records twice"));
            }
            map.next_value_seed(Elements(Content::<R, F> { records: &mut *self.records, raw: PhantomData }))?;
        }
        if has_records { Ok(()) } else { Err(A::Error::custom("it has no Records")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(record) = elements.next_element::<R>()? {
            self.records.on(&record).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

impl<'de, R: Deserialize<'de> + Deref<Target = RawValue>, F: Fn()> DeserializeSeed<'de> for Elements<'_, '_, R, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, R: Deserialize<'de> + Deref<Target = RawValue>, F: Fn()> Visitor<'de> for Elements<'_, '_, R, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<(), A::Error> {
        self.0.visit_seq(elements)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// The records as both readings find them.
    fn read(content: &[u8]) -> (Vec<String>, Form) {
        let of = |read: &mut dyn FnMut(&mut TakeRecord<'_>) -> io::Result<Form>| {
            let mut found = Vec::new();
            let form = read(&mut |index, record| {
                assert_eq!(index, found.len() as u64);
                found.push(record.to_owned());
                Ok(())
            });
            (found, form.unwrap())
        };
        let whole = of(&mut |take| each_record_of_bytes(content, take));
        let pieces = of(&mut |take| each_record_of_reader(BufReader::with_capacity(3, content), take));
        let words = |form: &Form| matches!(form, Form::Records(_));
        assert_eq!((&whole.0, words(&whole.1)), (&pieces.0, words(&pieces.1)), "both readings agree");
        whole
    }

    #[test]
    fn records_come_in_their_original_bytes() {
        let records =
            [r#"{"a":"\/\u00fc","n":1.0}"#, r#"{ "big" : 9007199254740993 , "e":1e400}"#, "{\"a\":\"\u{fc}\"}"];
        let list = records.join(" ,\n");
        for content in [
            format!("{{\"Records\":[{list}]}}"),
            format!(" {{ \"x\":[1,{{}}], \"Records\" : [ {list} ] , \"y\":null}} \n"),
            format!("[{list}]"),
        ] {
            assert_eq!(read(content.as_bytes()), (records.map(str::to_owned).to_vec(), Form::Records(3)), "{content}");
        }
        assert_eq!(read(b"{\"Records\":[]}"), (Vec::new(), Form::Records(0)));
        let deep = format!("{{\"Records\":[{{\"a\":{}1{}}}]}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(deep.as_bytes()).1, Form::Records(1), "depth needs no stack");
    }

    #[test]
    fn other_forms_are_told_apart() {
        for content in [
            "",
            " ",
            "{}",
            "7",
            "null",
            "\"Records\"",
            "{\"records\":[]}",
            "{\"Records\":{}}",
            "{\"Records\":null}",
            "{\"Records\":[7]}",
            "{\"Records\":[{}",
            "{\"Records\":[{}]}x",
            "{\"Records\":[{}],\"Records\":[]}",
            "{\"Records\":[{}]}{\"Records\":[{}]}",
            "[{},]",
            "[[]]",
            "{\"Records\":[{\"a\":\u{1}}]}",
        ] {
            assert!(matches!(read(content.as_bytes()).1, Form::Other(_)), "{content}");
        }
        assert!(matches!(read(b"{\"Records\":[{\"a\":\"\xff\"}]}").1, Form::Other(_)), "no UTF-8");
    }

    #[test]
    fn a_record_without_end_is_not_held() {
        let begin = b"{\"Records\":[{},{\"a\":\"".as_slice();
        let mut count = 0;
        let endless = BufReader::new(begin.chain(io::repeat(b'a')));
        let form = each_record_of_reader(endless, &mut |_, _| {
            count += 1;
            Ok(())
        });
        assert_eq!(count, 1);
        assert!(matches!(form.unwrap(), Form::Other(why) if why.contains("more than 8388608 bytes")));
    }

    #[test]
    fn an_error_of_the_taker_ends_the_reading() {
        let mut count = 0;
        let read = each_record_of_bytes(b"[{},{},{}]", &mut |_, _| {
            count += 1;
            Err(io::Error::other("full"))
        });
        assert_eq!((read.unwrap_err().to_string(), count), ("full".to_owned(), 1));
    }
}
