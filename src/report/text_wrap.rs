//! Lines of the text report that fit a terminal: they break at spaces, and names after slashes.

use std::io::{self, Write};

use textwrap::core::{Word, display_width};
use textwrap::wrap_algorithms::wrap_first_fit;

/// The additional indentation of the rest of a line.
const HANGING: usize = 2;

/// A writer that wraps the lines that are written to it.
pub(super) struct Wrapped<'a, W> {
    out: &'a mut W,
    /// The width of the terminal; without one, lines stay as they are.
    width: Option<usize>,
    line: Vec<u8>,
}

impl<'a, W: Write> Wrapped<'a, W> {
    pub(super) fn new(out: &'a mut W, width: Option<usize>) -> Self {
        Self { out, width, line: Vec::new() }
    }
}

impl<W: Write> Write for Wrapped<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(width) = self.width else { return self.out.write(bytes) };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if let Some(text) = self.line.strip_suffix(b"\n") {
                // The report writes text only.
                writeln!(self.out, "{}", wrap(&String::from_utf8_lossy(text), width))?;
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.line)?;
        self.line.clear();
        self.out.flush()
    }
}

/// Wraps a line. A part of a name that does not fit a line of its own is divided after underscores; a
/// hash never is.
fn wrap(line: &str, width: usize) -> String {
    if display_width(line) <= width {
        return line.to_owned();
    }
    let indent = " ".repeat(line.len() - line.trim_start_matches(' ').len());
    let rest = format!("{indent}{}", " ".repeat(HANGING));
    let room = width.saturating_sub(rest.len()).max(1);
    let text = line.trim_start_matches(' ');
    let mut words = Vec::new();
    let mut begin = 0;
    for end in breaks(text, room).into_iter().chain([text.len()]) {
        words.push(Word::from(&text[begin..end]));
        begin = end;
    }
    let lines = wrap_first_fit(&words, &[width.saturating_sub(indent.len()) as f64, room as f64]);
    let written = lines.iter().enumerate().map(|(number, words)| {
        let prefix = if number == 0 { &indent } else { &rest };
        let body: String = words.iter().flat_map(|word| [word.word, word.whitespace]).collect();
        format!("{prefix}{}", body.trim_end_matches(' '))
    });
    written.collect::<Vec<_>>().join("\n")
}

/// Returns the places after which a text may break: after spaces, after slashes, and in parts that are
/// longer than `room` after underscores.
fn breaks(text: &str, room: usize) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut places = Vec::new();
    let mut begin = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        let is_break = match byte {
            b' ' => next.is_some_and(|next| *next != b' '),
            b'/' => next.is_some_and(|next| *next != b'/' && *next != b' '),
            _ => false,
        };
        if is_break {
            divide(text, begin, at + 1, room, &mut places);
            places.push(at + 1);
            begin = at + 1;
        }
    }
    divide(text, begin, text.len(), room, &mut places);
    places
}

fn divide(text: &str, begin: usize, end: usize, room: usize, places: &mut Vec<usize>) {
    let part = &text[begin..end];
    if display_width(part) > room {
        places.extend(part.match_indices('_').map(|(at, _)| begin + at + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_after_slashes_and_a_hash_never_does() {
        let name = "    s3://example-trail-logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0255Z_uBCuMo90no0yKdKA.json.gz";
        let hash = format!("    recorded         {}", "0123456789abcdef".repeat(4));
        for width in [60, 80, 130] {
            let text = wrap(name, width);
            assert!(text.lines().all(|line| line.len() <= width), "{text}");
            let joined: String = text.lines().map(str::trim_start).collect();
            assert_eq!(joined, name.trim_start(), "nothing is lost");
            let text = wrap(&hash, width);
            assert!(text.contains(&"0123456789abcdef".repeat(4)), "{text}");
        }
        assert!(wrap(name, 80).lines().next().unwrap().ends_with('/'));
    }

    #[test]
    fn prose_breaks_at_spaces_and_styles_have_no_width() {
        let style = super::super::text_style::BAD;
        let line = format!("{style}VIOLATED{style:#}  what was found is not what CloudTrail delivered: 1 log file");
        assert_eq!(wrap(&line, 70), line);
        let text = wrap(&line, 40);
        assert!(text.lines().all(|line| display_width(line) <= 40), "{text}");
        assert_eq!(text.lines().count(), 2);
        let mut out = Vec::new();
        Wrapped::new(&mut out, None).write_all(line.as_bytes()).unwrap();
        assert_eq!(out, line.as_bytes());
    }
}
