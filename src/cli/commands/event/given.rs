//! Events that somebody has: an export of a SIEM, or records by themselves.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::cli::commands::is_standard_input;
use crate::cli::exit::Failure;

/// The maximum number of events that are compared in one run, which are held in memory.
const MAX_EVENTS: usize = 1_000_000;
/// The fields in which an object may have its record: that of this program's events, and that of
/// `aws cloudtrail lookup-events`.
const FIELDS: [&str; 2] = ["event", "CloudTrailEvent"];

/// An event that is compared with the proven one.
#[derive(Debug, Clone)]
pub(super) struct GivenEvent {
    /// The line of the file, from 1 on.
    pub line: usize,
    pub id: String,
    pub event: Value,
}

/// Reads the events of a file, each in the field of this name if one is given.
pub(super) fn read(path: &Path, field: Option<&str>) -> Result<Vec<GivenEvent>, Failure> {
    let name = if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() };
    let failed = |error: io::Error| Failure::Usage(format!("the events in {name} can't be read: {error}"));
    let input: Box<dyn BufRead> = match is_standard_input(path) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(std::fs::File::open(path).map_err(failed)?)),
    };
    let mut events = Vec::new();
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            continue;
        }
        let of_line = |reason: String| Failure::Usage(format!("line {} of {name} {reason}", index + 1));
        let event = parse(line.trim(), field).map_err(of_line)?;
        // The summary of this program's own events is none.
        let Some((id, event)) = event else { continue };
        if events.len() == MAX_EVENTS {
            return Err(Failure::Usage(format!("{name} has more than {MAX_EVENTS} events: compare it in parts")));
        }
        events.push(GivenEvent { line: index + 1, id, event });
    }
    if events.is_empty() {
        return Err(Failure::Usage(format!("{name} has no event: it needs one on each line, as JSON")));
    }
    Ok(events)
}

/// Reads the event of a line; `None` if it is the summary that ends this program's events.
fn parse(line: &str, field: Option<&str>) -> Result<Option<(String, Value)>, String> {
    let object: Value = serde_json::from_str(line).map_err(|error| format!("is no JSON: {error}"))?;
    if object.as_object().is_some_and(|object| object.len() == 1 && object.contains_key("summary")) {
        return Ok(None);
    }
    let inside = match field {
        Some(field) => Some(object.get(field).ok_or_else(|| format!("has no field '{field}'"))?),
        None => FIELDS.iter().find_map(|field| object.get(field)),
    };
    let event = match inside {
        Some(Value::String(text)) => {
            serde_json::from_str(text).map_err(|error| format!("has an event that is no JSON: {error}"))?
        }
        Some(event) => event.clone(),
        None => object,
    };
    let id = event.get("eventID").or_else(|| event.get("eventId")).and_then(Value::as_str).map(str::to_owned);
    match id {
        Some(id) => Ok(Some((id, event))),
        None => {
            Err("has no event with an eventID: if the record stands in a field, name it with --match-field".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_object_or_stands_in_it() {
        let id = |line: &str, field| parse(line, field).unwrap().map(|(id, _)| id);
        for line in [
            r#"{"eventID":"e"}"#,
            r#"{"eventId":"e"}"#,
            r#"{"event":{"eventID":"e"},"proof":{}}"#,
            r#"{"CloudTrailEvent":"{\"eventID\":\"e\"}","EventTime":"x"}"#,
        ] {
            assert_eq!(id(line, None).as_deref(), Some("e"), "{line}");
        }
        assert_eq!(id(r#"{"_raw":"{\"eventID\":\"e\"}"}"#, Some("_raw")).as_deref(), Some("e"));
        assert_eq!(id(r#"{"summary":{}}"#, None), None);
        for (line, field, says) in [
            ("x", None, "is no JSON"),
            ("7", None, "no event with an eventID"),
            ("{}", Some("_raw"), "has no field '_raw'"),
            (r#"{"_raw":"x"}"#, Some("_raw"), "an event that is no JSON"),
            (r#"{"eventID":7}"#, None, "no event with an eventID"),
        ] {
            assert!(parse(line, field).unwrap_err().contains(says), "{line}");
        }
    }
}
