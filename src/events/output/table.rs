//! A table for people: when, in which account and region, who, what, from where, and the error.

use std::borrow::Cow;
use std::io::{self, Write};

use super::Proof;
use crate::events::event::Event;
use crate::model::printable;

/// The width from which on a terminal has an event on one line.
const WIDE: usize = 160;
/// The columns that stand first, with their widths.
const FIRST: [(&str, usize); 3] = [("TIME", 20), ("ACCOUNT", 12), ("REGION", 14)];
/// The columns that may be long, with the least width of each where nothing is cut.
const LONG: [(&str, usize); 3] = [("WHO", 36), ("WHAT", 30), ("FROM", 14)];
const ERROR: &str = "ERROR";

pub(super) fn header(width: Option<usize>) -> String {
    let cells = |columns: [(&str, usize); 3]| columns.map(|(name, _)| name.to_owned());
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = row(&cells(FIRST), &cells(LONG), ERROR, width, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn write(event: &Event<'_>, proof: &Proof<'_>, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let shown = |text: Option<Cow<'_, str>>| text.map_or_else(|| "-".to_owned(), |text| printable(&text).into_owned());
    let account = event.account().unwrap_or(Cow::Borrowed(proof.account));
    let who = shown(event.actor().map(|actor| short(actor, &account)));
    let region = event.text("awsRegion").or(Some(Cow::Borrowed(proof.region)));
    let first = [shown(event.time_text()), shown(Some(account)), shown(region)];
    let long = [who, shown(what(event)), shown(event.text("sourceIPAddress"))];
    let error = event.text("errorCode").map(|error| printable(&error).into_owned()).unwrap_or_default();
    row(&first, &long, &error, width, out)
}

/// Returns the service and the name of the call, such as `s3:PutBucketPolicy`.
fn what<'a>(event: &Event<'a>) -> Option<Cow<'a, str>> {
    let name = event.text("eventName").or_else(|| event.category());
    let source = event.text("eventSource");
    let service = source.as_deref().map(|source| source.strip_suffix(".amazonaws.com").unwrap_or(source));
    match (service, name) {
        (Some(service), Some(name)) => Some(format!("{service}:{name}").into()),
        (_, name) => name,
    }
}

/// Returns an ARN without the parts that are the same in nearly every row: `user/alice`, with its
/// account in front if that is another one than the event's.
fn short<'a>(actor: Cow<'a, str>, account: &str) -> Cow<'a, str> {
    let mut parts = actor.splitn(6, ':');
    let fields = (parts.next(), parts.nth(3), parts.next());
    let (Some("arn"), Some(owner), Some(name)) = fields else { return actor };
    if owner == account { name.to_owned().into() } else { format!("{owner}:{name}").into() }
}

/// Writes a row on one line, or on two where the terminal is narrow: columns are cut to the width of a
/// terminal, and nothing is cut elsewhere.
fn row(
    first: &[String; 3],
    long: &[String; 3],
    error: &str,
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut line = String::new();
    for (cell, (_, width)) in first.iter().zip(FIRST) {
        push(&mut line, cell, width);
    }
    let taken: usize = FIRST.iter().map(|(_, width)| width + 1).sum();
    match width.filter(|width| *width < WIDE) {
        Some(width) => {
            line.push_str(error);
            writeln!(out, "{}", cut(line.trim_end(), width))?;
            line.clear();
            line.push_str("  ");
            push_long(&mut line, long, Some(width - 2));
            writeln!(out, "{}", cut(line.trim_end(), width))
        }
        None => {
            // An error has some twenty characters.
            push_long(&mut line, long, width.map(|width| width - taken - 22));
            line.push_str(error);
            let line = line.trim_end();
            writeln!(out, "{}", width.map_or(line, |width| cut(line, width)))
        }
    }
}

/// Appends the columns that may be long, which share `room`; where nothing is cut, they have their least
/// width.
fn push_long(line: &mut String, cells: &[String; 3], room: Option<usize>) {
    let widths = match room {
        // ARNs are the longest, and an address of IPv4 has 15 characters.
        Some(room) => {
            let room = room.saturating_sub(LONG.len());
            let (who, what) = (room * 9 / 20, room * 7 / 20);
            [who, what, room - who - what]
        }
        None => LONG.map(|(_, width)| width),
    };
    for (cell, width) in cells.iter().zip(widths) {
        let cell = if room.is_some() { cut(cell, width) } else { cell };
        push(line, cell, width);
    }
}

/// Appends a cell and the space up to the next column.
fn push(line: &mut String, cell: &str, width: usize) {
    line.push_str(cell);
    let space = width.saturating_sub(cell.chars().count()) + 1;
    line.extend(std::iter::repeat_n(' ', space));
}

/// Returns the first characters of a text.
fn cut(text: &str, width: usize) -> &str {
    text.char_indices().nth(width).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: Option<usize>) -> String {
        let record = r#"{"eventTime":"2026-03-01T10:00:00Z","eventSource":"cloudtrail.amazonaws.com",
            "eventName":"StopLogging","awsRegion":"ap-northeast-1","sourceIPAddress":"198.51.100.7",
            "errorCode":"AccessDenied","recipientAccountId":"111122223333",
            "userIdentity":{"arn":"arn:aws:sts::444455556666:assumed-role/operators/somebody@example.com"}}"#;
        let mut out = header(width).into_bytes();
        write(&Event::parse(record).unwrap(), &Proof::example(), width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_fit_a_terminal() {
        for width in [60, 80, 130, 159, 160, 200] {
            let table = table(Some(width));
            assert!(table.lines().all(|line| line.chars().count() <= width), "{width}:\n{table}");
            assert_eq!(table.lines().count(), if width < WIDE { 4 } else { 2 }, "{table}");
            assert!(table.contains("cloudtrail:StopL"), "{table}");
        }
    }

    #[test]
    fn elsewhere_nothing_is_cut() {
        let table = table(None);
        assert!(table.contains("444455556666:assumed-role/operators/somebody@example.com "), "{table}");
        assert!(table.ends_with(" 198.51.100.7   AccessDenied\n"), "{table}");
        assert_eq!(table.lines().next().unwrap().find("WHAT"), Some(86), "{table}");
    }

    #[test]
    fn an_actor_of_the_same_account_needs_no_account() {
        assert_eq!(short("arn:aws:iam::1:user/a:b".into(), "1"), "user/a:b");
        assert_eq!(short("arn:aws:iam::2:user/a".into(), "1"), "2:user/a");
        assert_eq!(short("alice".into(), "1"), "alice");
    }
}
