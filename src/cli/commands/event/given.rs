//! Events that somebody has: an export of a SIEM, or records by themselves.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::cli::commands::is_standard_input;
use crate::cli::exit::Failure;
use crate::events::{Event, readable};

/// The maximum size of events that are compared in one run, which are held in memory, in bytes.
const MAX_BYTES: usize = 256 << 20;
/// The fields in which an object may have its record: that of this program's events, and that of
/// `aws cloudtrail lookup-events`.
const FIELDS: [&str; 2] = ["event", "CloudTrailEvent"];

/// An event that is compared with the proven one.
#[derive(Debug, Clone)]
pub(super) struct GivenEvent {
    /// The line of the file, from 1 on.
    pub line: usize,
    pub id: String,
    /// The event as JSON.
    pub event: String,
}

/// Reads the events of a file, each in the field of this name if one is given.
pub(super) fn read(path: &Path, field: Option<&str>) -> Result<Vec<GivenEvent>, Failure> {
    let name = if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() };
    let failed = |error: io::Error| Failure::Usage(format!("the events in {name} can't be read: {error}"));
    let input: Box<dyn BufRead> = match is_standard_input(path) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(std::fs::File::open(path).map_err(failed)?)),
    };
    let mut input = io::Read::take(input, MAX_BYTES as u64 + 1);
    let (mut events, mut line, mut number, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    while input.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        number += 1;
        bytes += line.len();
        if bytes > MAX_BYTES {
            return Err(Failure::Usage(format!("{name} has more than {} MiB: compare it in parts", MAX_BYTES >> 20)));
        }
        let of_line = |reason: String| Failure::Usage(format!("line {number} of {name} {reason}"));
        let text = std::str::from_utf8(&line).map_err(|_| of_line("is not in UTF-8".to_owned()))?;
        // A byte order mark, as PowerShell writes it, is white space at the begin of a file.
        let text = text.trim_start_matches('\u{feff}').trim();
        // The summary of this program's own events is no event.
        let event = if text.is_empty() { None } else { parse(text, field).map_err(of_line)? };
        events.extend(event.map(|(id, event)| GivenEvent { line: number, id, event }));
        line.clear();
    }
    if events.is_empty() {
        return Err(Failure::Usage(format!("{name} has no event: it needs one on each line, as JSON")));
    }
    Ok(events)
}

/// Reads the event of a line; `None` if it is the summary that ends this program's events.
fn parse(line: &str, field: Option<&str>) -> Result<Option<(String, String)>, String> {
    let event: Cow<'_, str> = match Event::parse(line) {
        Ok(object) => {
            let named = field.and_then(|field| inner(line, field));
            let is_event = named.is_some() || object.raw("event").is_some() || object.id().is_some();
            if object.raw("summary").is_some() && !is_event {
                return Ok(None);
            }
            let inside = match field {
                Some(field) => Some(named.ok_or_else(|| format!("has no field '{field}'"))?),
                None => FIELDS.iter().find_map(|field| object.raw(field)),
            };
            match inside {
                Some(value) if value.starts_with('"') => serde_json::from_str::<String>(value)
                    .map_err(|error| format!("has an event that is no text: {error}"))?
                    .into(),
                Some(value) => value.into(),
                None => line.into(),
            }
        }
        // A record may have a name with half of a surrogate pair. It is compared as it was written.
        Err(error) if field.is_some() || Event::parse(&readable(line)).is_err() => {
            return Err(format!("is no JSON object: {error}"));
        }
        Err(_) => line.into(),
    };
    let readable_event = readable(&event);
    let fields =
        Event::parse(&readable_event).map_err(|error| format!("has an event that is no JSON object: {error}"))?;
    let id = fields.raw("eventID").or_else(|| fields.raw("eventId")).filter(|id| id.starts_with('"'));
    match id.and_then(|_| fields.id()) {
        Some(id) => Ok(Some((id.into_owned(), event.into_owned()))),
        None => {
            Err("has no event with an eventID: if the record stands in a field, name it with --match-field".to_owned())
        }
    }
}

/// Returns the JSON of a field by its name, or by the names of the objects that it lies in and its own,
/// with dots between them. A name may have dots itself: of several ways, that by the longest name counts.
fn inner<'j>(object: &'j str, name: &str) -> Option<&'j str> {
    let fields = Event::parse(object).ok()?;
    fields.raw(name).or_else(|| {
        let mut dots = name.rmatch_indices('.');
        dots.find_map(|(dot, _)| inner(fields.raw(&name[..dot])?, &name[dot + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_may_lie_in_other_objects() {
        for (object, name, found) in [
            (r#"{"a":{"b":{"c":1}}}"#, "a.b.c", Some("1")),
            (r#"{"a":{"b.c":1}}"#, "a.b.c", Some("1")),
            (r#"{"a.b":{"c":1}}"#, "a.b.c", Some("1")),
            (r#"{"a":{"b":{"c":1}},"a.b":{"c":2}}"#, "a.b.c", Some("2")),
            (r#"{"a":{"b":{"c":1}},"a.b":{}}"#, "a.b.c", Some("1")),
            (r#"{"a.":1,"":{"b":2}}"#, "a.", Some("1")),
            (r#"{"":{"b":2}}"#, ".b", Some("2")),
            (r#"{"a":[{"b":1}]}"#, "a.b", None),
            (r#"{"a":"{\"b\":1}"}"#, "a.b", None),
            (r#"{"a":1}"#, "", None),
        ] {
            assert_eq!(inner(object, name), found, "{name} of {object}");
        }
    }

    #[test]
    fn an_event_is_the_object_or_stands_in_it() {
        let id = |line: &str, field| parse(line, field).unwrap().map(|(id, _)| id);
        for line in [
            r#"{"eventID":"e"}"#,
            r#"{"eventId":"e"}"#,
            r#"{"event":{"eventID":"e"},"proof":{}}"#,
            r#"{"CloudTrailEvent":"{\"eventID\":\"e\"}","EventTime":"x"}"#,
            r#"{"eventID":"e","n":1e400,"\ud83d":"\ud83d"}"#,
        ] {
            assert_eq!(id(line, None).as_deref(), Some("e"), "{line}");
        }
        assert_eq!(id(r#"{"_raw":"{\"eventID\":\"e\"}"}"#, Some("_raw")).as_deref(), Some("e"));
        assert_eq!(id(r#"{"summary":{}}"#, None), None);
        assert_eq!(id(r#"{"summary":"x","_source":{"eventID":"e"}}"#, Some("_source")).as_deref(), Some("e"));
        for (line, field, says) in [
            ("x", None, "is no JSON object"),
            ("7", None, "is no JSON object"),
            ("{}", Some("_raw"), "has no field '_raw'"),
            (r#"{"_raw":"x"}"#, Some("_raw"), "an event that is no JSON object"),
            (r#"{"eventID":7}"#, None, "no event with an eventID"),
        ] {
            assert!(parse(line, field).unwrap_err().contains(says), "{line}");
        }
    }
}
