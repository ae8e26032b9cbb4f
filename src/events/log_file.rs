//! The records of a log file's content.
//!
//! CloudTrail writes `{"Records":[…]}`; files of aggregated events hold an array. Records are handed on
//! in their original bytes: numbers and escapes are not read, let alone written again.

use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::audit::ProvenContent;

/// The maximum size of a record in bytes, which is held in memory. CloudTrail limits an event to 1 MB
/// (user guide, "Quotas in AWS CloudTrail").
const MAX_RECORD: usize = 8 << 20;
/// The least number of bytes of a content that are read at once.
const PIECE: usize = 1 << 20;

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
        None => each_record_of_reader(content.into_reader(), PIECE, &mut take),
    }
}

/// Hands on the records of a content that stays: see [`each_record`].
///
/// # Errors
///
/// Returns an error of reading the content, or the first error of `take`.
pub(super) fn each_record_kept(
    content: &ProvenContent,
    mut take: impl FnMut(u64, &str) -> io::Result<()>,
) -> io::Result<Form> {
    match content.in_memory() {
        Some(bytes) => each_record_of_bytes(bytes, &mut take),
        None => each_record_of_reader(content.reader(), PIECE, &mut take),
    }
}

/// Hands on the records of bytes in memory, be they proven or not: see [`each_record`].
///
/// # Errors
///
/// Returns the first error of `take`.
pub fn each_record_of_bytes(bytes: &[u8], take: &mut TakeRecord<'_>) -> io::Result<Form> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut records = Records { take, count: 0, failure: None };
    let read = Content(&mut records).deserialize(&mut deserializer);
    let read = read.and_then(|()| deserializer.end());
    match records.form(read)? {
        // The reason and its position are those of the other reading, since either may be used for a content.
        Form::Other(reason) => match each_record_of_reader(bytes, PIECE, &mut |_, _| Ok(()))? {
            Form::Records(_) => Ok(Form::Other(reason)),
            other @ Form::Other(_) => Ok(other),
        },
        records @ Form::Records(_) => Ok(records),
    }
}

/// Hands on the records of bytes that are read piece by piece, at least `piece` bytes at once, be they
/// proven or not: see [`each_record`]. A record may have at most 8 MiB.
///
/// # Errors
///
/// Returns an error of reading, or the first error of `take`.
pub fn each_record_of_reader(content: impl Read, piece: usize, take: &mut TakeRecord<'_>) -> io::Result<Form> {
    let mut window =
        Window { content, piece: piece.max(1), bytes: Vec::new(), dropped: 0, position: 0, is_whole: false };
    let mut count = 0;
    match window.records(&mut |record| {
        let index = count;
        count += 1;
        take(index, record)
    }) {
        Ok(()) => Ok(Form::Records(count)),
        Err(Trouble::Form(reason)) => {
            Ok(Form::Other(format!("{reason}, at byte {}", window.dropped + window.position as u64)))
        }
        Err(Trouble::Io(error)) => Err(error),
    }
}

/// A part of a content, in which a value is looked for: serde_json finds its end, and where that is not
/// in the window yet, more is read. Its own reader takes a byte at a time, which is ten times as slow.
struct Window<R> {
    content: R,
    /// The least number of bytes that are read at once.
    piece: usize,
    bytes: Vec<u8>,
    /// The number of bytes of the content before those.
    dropped: u64,
    /// The position of the next byte that was not used yet.
    position: usize,
    /// True if the content has no more bytes.
    is_whole: bool,
}

/// The reason why records can't be found.
enum Trouble {
    /// The content has not the form of a log file.
    Form(String),
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: Read> Window<R> {
    fn records(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> Result<(), Trouble> {
        match self.next_byte()? {
            Some(b'[') => self.elements(take)?,
            Some(b'{') => self.members(take)?,
            _ => return Err(form("it is neither an object nor an array")),
        }
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(form("bytes follow its end")),
        }
    }

    /// Reads the members of an object, of which its opening brace was read.
    fn members(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> Result<(), Trouble> {
        let mut has_records = false;
        if self.peek()? == Some(b'}') {
            return Err(form("it has no Records"));
        }
        loop {
            let name: String = serde_json::from_slice(self.value()?).map_err(of_json)?;
            self.expect(b':')?;
            if name == "Records" {
                // Readers disagree on which of two counts.
                if std::mem::replace(&mut has_records, true) {
                    return Err(form("it has Records twice"));
                }
                self.expect(b'[')?;
                self.elements(take)?;
            } else {
                self.value()?;
            }
            match self.next_byte()? {
                Some(b',') => {}
                Some(b'}') if has_records => return Ok(()),
                Some(b'}') => return Err(form("it has no Records")),
                _ => return Err(form("a comma or a closing brace is missing")),
            }
        }
    }

    /// Reads the elements of an array, of which its opening bracket was read.
    fn elements(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> Result<(), Trouble> {
        if self.peek()? == Some(b']') {
            self.position += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != Some(b'{') {
                return Err(form("an element of its records is no object"));
            }
            let record = std::str::from_utf8(self.value()?).map_err(|_| form("a record is no UTF-8"))?;
            if record.len() > MAX_RECORD {
                return Err(form(too_large()));
            }
            take(record)?;
            match self.next_byte()? {
                Some(b',') => {}
                Some(b']') => return Ok(()),
                _ => return Err(form("a comma or a closing bracket is missing")),
            }
        }
    }

    /// Reads a value, and returns its bytes, in which strings may be no UTF-8.
    fn value(&mut self) -> Result<&[u8], Trouble> {
        let length = loop {
            let mut values =
                serde_json::Deserializer::from_slice(&self.bytes[self.position..]).into_iter::<IgnoredAny>();
            let value = values.next();
            let length = values.byte_offset();
            match value {
                // A number at the end of the window may go on behind it.
                Some(Ok(_)) if self.is_whole || self.position + length < self.bytes.len() => break length,
                // A number that the window cuts, as in `1.` or `1e`, is no end of the input for serde_json
                // but an error, so that every error is looked at again with more of the content.
                Some(Err(error)) if self.is_whole || (!error.is_eof() && self.has_largest_record()) => {
                    return Err(of_json(error));
                }
                None if self.is_whole => return Err(form("it ends early")),
                _ => self.read_more()?,
            }
        };
        let begin = self.position;
        self.position += length;
        Ok(&self.bytes[begin..self.position])
    }

    /// True if the window holds more than a record may have.
    fn has_largest_record(&self) -> bool {
        self.bytes.len() - self.position > MAX_RECORD
    }

    /// Returns the next byte that is not white space, without using it.
    fn peek(&mut self) -> Result<Option<u8>, Trouble> {
        loop {
            match self.bytes.get(self.position) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.position += 1,
                Some(byte) => return Ok(Some(*byte)),
                None if self.is_whole => return Ok(None),
                None => self.read_more()?,
            }
        }
    }

    fn next_byte(&mut self) -> Result<Option<u8>, Trouble> {
        let byte = self.peek()?;
        self.position += usize::from(byte.is_some());
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Trouble> {
        match self.next_byte()? {
            Some(found) if found == byte => Ok(()),
            _ => Err(form(format!("'{}' is missing", char::from(byte)))),
        }
    }

    /// Drops the bytes that were used, and reads as many again as are left, at least a piece.
    fn read_more(&mut self) -> Result<(), Trouble> {
        self.bytes.drain(..self.position);
        self.dropped += self.position as u64;
        self.position = 0;
        if self.bytes.len() > MAX_RECORD {
            return Err(form(too_large()));
        }
        let more = self.bytes.len().max(self.piece);
        let read = (&mut self.content).take(more as u64).read_to_end(&mut self.bytes)?;
        self.is_whole = read < more;
        Ok(())
    }
}

fn too_large() -> String {
    format!("a record has more than {MAX_RECORD} bytes")
}

fn form(reason: impl ToString) -> Trouble {
    Trouble::Form(reason.to_string())
}

/// The reason without its position, which counts from the begin of a value.
fn of_json(error: serde_json::Error) -> Trouble {
    let reason = error.to_string();
    form(reason.split(" at line ").next().unwrap_or_default())
}

/// The records of a content, as they are found.
struct Records<'t> {
    take: &'t mut TakeRecord<'t>,
    count: u64,
    /// The error of `take`.
    failure: Option<io::Error>,
}

impl Records<'_> {
    /// The form of the content by the result of reading it.
    fn form(self, read: Result<(), serde_json::Error>) -> io::Result<Form> {
        match (self.failure, read) {
            (Some(failure), _) => Err(failure),
            (None, Ok(())) => Ok(Form::Records(self.count)),
            (None, Err(error)) => Ok(Form::Other(error.to_string())),
        }
    }

    fn on(&mut self, record: &RawValue) -> Result<(), String> {
        let text = record.get();
        if !text.starts_with('{') {
            return Err(format!("the element {} of its records is no object", self.count));
        }
        if text.len() > MAX_RECORD {
            return Err(too_large());
        }
        let index = self.count;
        self.count += 1;
        (self.take)(index, text).map_err(|error| {
            self.failure = Some(error);
            "the record was not taken".to_owned()
        })
    }
}

/// Reads a content.
struct Content<'r, 't>(&'r mut Records<'t>);

/// Reads the array of records.
struct Elements<'r, 't>(&'r mut Records<'t>);

impl<'de> DeserializeSeed<'de> for Content<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Content<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Records, or an array of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_records = false;
        while let Some(name) = map.next_key::<String>()? {
            if name != "Records" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            // Readers disagree on which of two counts.
            if std::mem::replace(&mut has_records, true) {
                return Err(A::Error::custom("it has Records twice"));
            }
            map.next_value_seed(Elements(&mut *self.0))?;
        }
        if has_records { Ok(()) } else { Err(A::Error::custom("it has no Records")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<(), A::Error> {
        Elements(self.0).visit_seq(elements)
    }
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(record) = elements.next_element::<&RawValue>()? {
            self.0.on(record).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
        let words = |form: &Form| matches!(form, Form::Records(_));
        // A large content in single bytes would take minutes.
        let small = [1, 2, 7].into_iter().filter(|_| content.len() < 1 << 20);
        for piece in small.chain([PIECE]) {
            let pieces = of(&mut |take| each_record_of_reader(content, piece, take));
            assert_eq!((&whole.0, words(&whole.1)), (&pieces.0, words(&pieces.1)), "pieces of {piece}");
        }
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

    /// Found by the fuzzer: a number that a window cuts looked like an error.
    #[test]
    fn a_number_may_be_cut_anywhere() {
        let content = r#"{"x":-1.5e+10,"Records":[{"a":"\/\u00fc\ud800","n":1e400,"m":-0.25E-3},{"t":true}],"y":1e5}"#;
        let whole = read(content.as_bytes());
        assert_eq!(whole.1, Form::Records(2));
        for piece in 1..content.len() {
            let mut found = Vec::new();
            let form = each_record_of_reader(content.as_bytes(), piece, &mut |_, record| {
                found.push(record.to_owned());
                Ok(())
            });
            assert_eq!((found, form.unwrap()), whole, "pieces of {piece}");
        }
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
    fn the_reason_has_its_place_in_the_content() {
        let large = "x".repeat(3 << 20);
        for (content, reason) in [
            (format!("{{\"Records\":[{{\"a\":\"{large}\"}},{{\"b\":nul}}]}}"), "expected ident, at byte 3145749"),
            (format!("[{{\"a\":\"{large}\"}},\n7]"), "an element of its records is no object, at byte 3145739"),
            ("[{}]x".to_owned(), "bytes follow its end, at byte 4"),
        ] {
            for form in [
                each_record_of_bytes(content.as_bytes(), &mut |_, _| Ok(())),
                each_record_of_reader(content.as_bytes(), PIECE, &mut |_, _| Ok(())),
            ] {
                assert_eq!(form.unwrap(), Form::Other(reason.to_owned()));
            }
        }
    }

    #[test]
    fn a_record_without_end_is_not_held() {
        let begin = b"{\"Records\":[{},{\"a\":\"".as_slice();
        let mut count = 0;
        let endless = begin.chain(io::repeat(b'a'));
        let form = each_record_of_reader(endless, PIECE, &mut |_, _| {
            count += 1;
            Ok(())
        });
        assert_eq!(count, 1);
        assert!(matches!(form.unwrap(), Form::Other(why) if why.contains("more than 8388608 bytes")));
    }

    #[test]
    fn a_record_that_is_too_large_is_refused_in_memory_too() {
        let large = format!("[{{\"a\":\"{}\"}}]", "x".repeat(MAX_RECORD));
        assert!(matches!(read(large.as_bytes()).1, Form::Other(why) if why.contains("more than 8388608 bytes")));
        let fits = format!("[{{\"a\":\"{}\"}}]", "x".repeat(MAX_RECORD - 8));
        assert_eq!(read(fits.as_bytes()).1, Form::Records(1));
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
