//! Escaping of names from a bucket for a terminal: they must neither move the cursor nor reorder
//! the line, and must still be shown exactly.

use std::borrow::Cow;
use std::fmt::Write;

/// Writes control characters, invisible characters and those that change the direction of writing
/// as `\u{…}`, and a backslash as `\\`, so that two different names never look the same because of
/// these characters.
///
/// The second of two number signs is escaped, too: the runners of GitHub Actions and Azure
/// Pipelines take `##[…]` and `##vso[…]` for commands anywhere in a line of a job's output.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut last = None;
    for character in text.chars() {
        let before = last.replace(character);
        match character {
            '\\' => escaped.push_str("\\\\"),
            '#' if before == Some('#') => escaped.push_str("\\u{23}"),
            plain if is_plain(plain) => escaped.push(plain),
            other => {
                // Writing to a String can't fail.
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(other));
            }
        }
    }
    Cow::Owned(escaped)
}

fn is_plain(character: char) -> bool {
    !matches!(character,
        '\\'
        // Soft hyphen, Arabic letter mark, zero-width and directional marks, separators,
        // embeddings, overrides, isolates.
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    ) && !character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in ["AWSLogs/111122223333/CloudTrail/a b+c%20.json.gz", "ключ/鍵/clé"] {
            assert!(matches!(printable(name), Cow::Borrowed(same) if same == name));
        }
    }

    #[test]
    fn what_a_terminal_would_act_on_is_told() {
        assert_eq!(printable("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
        assert_eq!(printable("a\\u{1b}"), "a\\\\u{1b}");
    }

    #[test]
    fn what_a_runner_of_jobs_would_act_on_is_told() {
        assert_eq!(printable("a##[add-mask]b"), "a#\\u{23}[add-mask]b");
        assert_eq!(printable("###vso[task]"), "#\\u{23}\\u{23}vso[task]");
        assert_eq!(printable("a#b#"), "a#b#");
    }
}
