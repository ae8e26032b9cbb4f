//! The search for texts in the bytes of a log file, piece by piece, before it is parsed.
//!
//! JSON permits every character of a string to be written as an escape, so that bytes without a text
//! may hold it all the same. Only characters that encoders leave as they are (letters, digits and some
//! signs) are searched for, and bytes with an escape of one of those are not judged.

use std::io::{self, BufRead as _};
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, MatchKind, packed};
use memchr::memmem::Finder;

use crate::audit::{ContentSearch, ProvenContent};

/// Returns whether encoders of JSON write a character as it is, unless they escape everything.
pub(super) fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | ':' | '@')
}

/// The begin of an escape of one of these characters.
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u00"));
/// The number of bytes of an escape.
const ESCAPE_LENGTH: usize = 6;

/// Returns whether the bytes may hold an escape of a character that is searched for. An escape that their end
/// cuts counts if `cut` is true: in pieces of a text, it stands whole where the pieces overlap.
pub(super) fn has_escaped_letters(bytes: &[u8], cut: bool) -> bool {
    ESCAPE.find_iter(bytes).any(|position| {
        let Some(digits) = bytes.get(position + 4..position + 6) else { return cut };
        let digits = std::str::from_utf8(digits).ok();
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_none_or(|code| is_plain(char::from(code)))
    })
}

/// A set of texts, any of which is looked for in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    engine: Arc<Engine>,
    /// The length of the longest text in bytes.
    longest: usize,
}

#[derive(Debug)]
enum Engine {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// The number of texts for which the search with vector instructions is the fastest: some GB a second. Left to
/// choose, the crate looks for rare bytes first, of which identifiers have none, and then makes 0.2 GB a second.
const PACKED: RangeInclusive<usize> = 2..=64;
/// The least length of each of them in bytes.
const PACKED_LENGTH: usize = 3;

impl Texts {
    /// Returns a search for these texts; `None` if it can't be made.
    pub(super) fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Option<Self> {
        let texts: Vec<T> = texts.into_iter().collect();
        let lengths = || texts.iter().map(|text| text.as_ref().len());
        let longest = lengths().max().unwrap_or_default();
        let is_packed = PACKED.contains(&texts.len()) && lengths().all(|length| length >= PACKED_LENGTH);
        let packed = is_packed.then(|| {
            packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder().extend(&texts).build()
        });
        let engine = match packed.flatten() {
            Some(searcher) => Engine::Packed(searcher),
            None => {
                let mut builder = AhoCorasick::builder();
                builder.match_kind(MatchKind::LeftmostFirst).prefilter(texts.len() <= *PACKED.end());
                Engine::Automaton(builder.build(&texts).ok()?)
            }
        };
        Some(Self { engine: Arc::new(engine), longest })
    }

    /// Returns whether one of the texts stands in these bytes.
    pub(super) fn stand_in(&self, bytes: &[u8]) -> bool {
        match &*self.engine {
            Engine::Packed(searcher) => searcher.find(bytes).is_some(),
            Engine::Automaton(automaton) => automaton.is_match(bytes),
        }
    }
}

/// A search for texts in bytes that come piece by piece.
#[derive(Debug)]
pub(crate) struct TextSearch {
    /// The searches, each for any of its texts.
    searches: Vec<Search>,
    /// True if each of the searches has to find something, false if one is enough.
    needs_all: bool,
    /// True if a text that is searched for may be written as an escape.
    has_escapes: bool,
    /// The number of bytes of a piece that are looked at again with the next one: a text or an escape may stand
    /// in both, and none is longer.
    overlap: usize,
    /// The last bytes of the pieces so far.
    end: Vec<u8>,
}

#[derive(Debug)]
struct Search {
    /// `None` for one that could not be made, which finds something everywhere.
    texts: Option<Texts>,
    has_found: bool,
}

impl TextSearch {
    /// Creates a search that finds something where one of these does.
    pub(super) fn any_of(searches: Vec<Option<Texts>>) -> Self {
        Self::new(searches, false)
    }

    /// Creates a search that finds something where each of these does.
    pub(super) fn all_of(searches: Vec<Option<Texts>>) -> Self {
        Self::new(searches, true)
    }

    fn new(searches: Vec<Option<Texts>>, needs_all: bool) -> Self {
        let longest = searches.iter().flatten().map(|texts| texts.longest).max().unwrap_or(0);
        let searches = searches.into_iter().map(|texts| Search { has_found: texts.is_none(), texts }).collect();
        Self { searches, needs_all, has_escapes: false, overlap: longest.max(ESCAPE_LENGTH), end: Vec::new() }
    }

    /// Returns whether a content may have such texts.
    pub(super) fn finds_in(mut self, content: &ProvenContent) -> io::Result<bool> {
        let mut reader = content.reader();
        while !self.has_found() {
            let piece = reader.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            self.take(piece);
            let length = piece.len();
            reader.consume(length);
        }
        Ok(self.has_found())
    }

    /// Looks at bytes. An escape that their end cuts is not looked at: it stands whole where the pieces overlap.
    fn look(&mut self, bytes: &[u8]) {
        for search in self.searches.iter_mut().filter(|search| !search.has_found) {
            search.has_found = search.texts.as_ref().is_none_or(|texts| texts.stand_in(bytes));
        }
        self.has_escapes = self.has_escapes || has_escaped_letters(bytes, false);
    }
}

impl ContentSearch for TextSearch {
    fn take(&mut self, bytes: &[u8]) {
        if self.has_found() {
            return;
        }
        if !self.end.is_empty() {
            let mut end = std::mem::take(&mut self.end);
            end.extend_from_slice(&bytes[..bytes.len().min(self.overlap)]);
            self.look(&end);
            self.end = end;
        }
        self.look(bytes);
        if bytes.len() >= self.overlap {
            self.end.clear();
            self.end.extend_from_slice(&bytes[bytes.len() - self.overlap..]);
        } else {
            if self.end.is_empty() {
                self.end.extend_from_slice(bytes);
            }
            let whole = self.end.len();
            self.end.drain(..whole.saturating_sub(self.overlap));
        }
    }

    fn has_found(&self) -> bool {
        let mut searches = self.searches.iter().map(|search| search.has_found);
        self.has_escapes || if self.needs_all { searches.all(|found| found) } else { searches.any(|found| found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::logging::{CALLS, trail_calls};
    use crate::events::tampering::{RULES, TamperingFinder};

    fn finds(mut search: TextSearch, text: &str, piece: usize) -> bool {
        for bytes in text.as_bytes().chunks(piece) {
            search.take(bytes);
        }
        search.has_found()
    }

    #[test]
    fn a_call_is_found_wherever_the_pieces_are_cut() {
        let fill = "x".repeat(100);
        let of_rules = RULES.iter().flat_map(|rule| rule.calls).copied();
        let calls: Vec<&str> = CALLS.into_iter().chain(of_rules).collect();
        let finder = TamperingFinder::new(Default::default());
        for piece in 1..150 {
            let finds = |text: String| finds(trail_calls(Some(&finder)), &text, piece);
            for call in &calls {
                assert!(finds(format!("{fill}{call}{fill}")), "{call} {piece}");
            }
            assert!(finds(format!("{fill}\\u0053topLogging{fill}")), "{piece}");
            assert!(!finds(format!("{fill}DescribeTrails{fill}")), "{piece}");
            assert!(!finds(format!("StopLog{fill}ging")), "{piece}");
            assert!(!finds(format!("{fill}a\\u003db{fill}\\u0026{fill}")), "{piece}");
        }
    }

    #[test]
    fn every_number_of_texts_of_every_length_is_found() {
        let mut random = fastrand::Rng::with_seed(5);
        for number in [0, 1, 2, 8, 30, 64, 65, 300] {
            for length in [1, 2, 3, 4, 10, 36, 200] {
                let mut text =
                    || (0..length).map(|_| *random.choice(b"0123456789abcdef-").unwrap()).collect::<Vec<u8>>();
                let texts: Vec<Vec<u8>> = (0..number).map(|_| text()).collect();
                let search = Texts::new(&texts).unwrap();
                assert_eq!(search.longest, if number > 0 { length } else { 0 });
                for _ in 0..200 {
                    let bytes: Vec<u8> =
                        (0..random.usize(..300)).map(|_| *random.choice(b"0123456789abcdef-").unwrap()).collect();
                    let naive = texts.iter().any(|text| memchr::memmem::find(&bytes, text).is_some());
                    assert_eq!(search.stand_in(&bytes), naive, "{number} texts of {length} bytes");
                    for text in texts.iter().take(3) {
                        let at = random.usize(..=bytes.len());
                        let with = [&bytes[..at], text, &bytes[at..]].concat();
                        assert!(search.stand_in(&with), "{number} texts of {length} bytes");
                    }
                }
            }
        }
    }

    #[test]
    fn texts_of_any_length_are_found_in_pieces_of_any_length() {
        let texts = |texts: &[&str]| Some(Texts::new(texts).unwrap());
        let long = "arn:aws:iam::111122223333:role/".to_owned() + &"long".repeat(60);
        for piece in [1, 2, 5, 6, 7, 100, 250, 269, 270, 271, 272, 400, 2000] {
            let both = || TextSearch::all_of(vec![texts(&[&long, "other"]), texts(&["StopLogging"])]);
            for (text, expected) in [
                (format!("{}{long}{}StopLogging", "x".repeat(333), "y".repeat(555)), true),
                (format!("StopLogging{}other", "x".repeat(300)), true),
                (format!("{}{long}", "x".repeat(333)), false),
                (format!("StopLogging{}", &long[1..]), false),
                (format!("{}\\u004cogin", "x".repeat(333)), true),
                (String::new(), false),
            ] {
                assert_eq!(finds(both(), &text, piece), expected, "{piece} {text}");
            }
            assert!(finds(TextSearch::all_of(vec![None, texts(&["a"])]), "xxa", piece));
            assert!(!finds(TextSearch::all_of(vec![None, texts(&["a"])]), "xx", piece));
            assert!(finds(TextSearch::any_of(vec![None, texts(&["a"])]), "xx", piece));
        }
    }
}
