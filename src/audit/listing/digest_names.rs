//! The names of digests below one prefix, parsed quickly.

use crate::model::{DigestKind, DigestName, parse_compact_time};

/// The form of the part of a key that states its day.
pub(super) const DAY: &str = "2026/03/01";

/// Parses the names of digests below one prefix. Those of a chain differ only in their times, so
/// the rest is parsed once.
pub(super) struct DigestNames {
    /// The length of the prefix.
    prefix: usize,
    /// The previous file's name up to its time, and its parsed form.
    last: Option<(String, DigestName)>,
}

impl DigestNames {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.len(), last: None }
    }

    pub(super) fn parse(&mut self, key: &str) -> Option<DigestName> {
        let file = self.file(key);
        if let (Some((last, name)), Some(file)) = (&self.last, file)
            && let Some(time) = file.strip_prefix(last.as_str()).and_then(|rest| rest.strip_suffix(DigestName::SUFFIX))
            && let Some(end) = parse_compact_time(time)
        {
            return Some(DigestName { end, ..name.clone() });
        }
        let name = DigestName::parse(key)?;
        let stem = file.and_then(|file| Some(&file[..=file.rfind('_')?]));
        self.last = stem.filter(|_| name.kind == DigestKind::Standard).map(|stem| (stem.to_owned(), name.clone()));
        Some(name)
    }

    /// Returns the file's name if the key lies in a day's folder.
    fn file<'a>(&self, key: &'a str) -> Option<&'a str> {
        let (day, file) = key.get(self.prefix..)?.split_at_checked(DAY.len() + 1)?;
        let is_slash = |byte: u8| byte == b'/';
        let same = day.bytes().map(is_slash).eq(DAY.bytes().map(is_slash).chain([true]));
        same.then_some(file)
    }
}
