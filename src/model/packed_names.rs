//! A compact list of many names.

use std::sync::Arc;

/// A coder that writes each name as its difference from the one before it, and reads the names
/// again in that order: the keys of a listing and those that a digest lists differ by few
/// characters in their middle.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct NameCoder {
    /// The last name, to which the next one is compared.
    last: Vec<u8>,
}

impl NameCoder {
    /// Writes a name.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, name: &str) {
        let name = name.as_bytes();
        let front = same(self.last.iter(), name.iter());
        let back = same(self.last[front..].iter().rev(), name[front..].iter().rev());
        let own = &name[front..name.len() - back];
        for length in [front, back, own.len()] {
            write_number(out, length as u64);
        }
        out.extend_from_slice(own);
        self.last.splice(front..self.last.len() - back, own.iter().copied());
    }

    /// Reads the next name from the rest of the written bytes; `None` at their end.
    pub(crate) fn read(&mut self, rest: &mut &[u8]) -> Option<Arc<str>> {
        let mut length = || read_number(rest).and_then(|length| usize::try_from(length).ok());
        let (front, back, own) = (length()?, length()?, length()?);
        let (own, after) = rest.split_at_checked(own)?;
        *rest = after;
        let replaced = front..self.last.len().checked_sub(back).filter(|end| front <= *end)?;
        self.last.splice(replaced, own.iter().copied());
        // Only text was written, so what is read is valid UTF-8.
        std::str::from_utf8(&self.last).ok().map(Arc::from)
    }
}

fn same<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}

/// Writes a number as LEB128: seven bits a byte, the lowest first.
pub(crate) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a number that [`write_number`] wrote, and removes it from `rest`.
pub(crate) fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A compact list of names, in the order in which they were added.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PackedNames {
    packed: Vec<u8>,
    coder: NameCoder,
    count: usize,
}

impl PackedNames {
    /// Adds a name.
    pub(crate) fn push(&mut self, name: &str) {
        self.coder.write(&mut self.packed, name);
        self.count += 1;
    }

    /// Returns the number of names.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are no names.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns an iterator that unpacks each name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        let (mut coder, mut rest) = (NameCoder::default(), self.packed.as_slice());
        (0..self.count).map_while(move |_| coder.read(&mut rest))
    }
}

impl IntoIterator for PackedNames {
    type Item = Arc<str>;
    type IntoIter = Box<dyn Iterator<Item = Arc<str>> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        let Self { packed, count, .. } = self;
        let (mut coder, mut at) = (NameCoder::default(), 0);
        Box::new((0..count).map_while(move |_| {
            let mut rest = packed.get(at..)?;
            let name = coder.read(&mut rest);
            at = packed.len() - rest.len();
            name
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let long = "k".repeat(1024);
        // The third shares the first of two bytes of a character with the one before it, the next
        // the last of two.
        let names = [
            "a/2026/x1.json.gz",
            "a/é",
            "a/è",
            "a/Ũ",
            "",
            "",
            &long,
            &long,
            &long[1..],
            "kk",
            "b",
            "a/2026/x1.json.gz",
        ];
        let mut packed = PackedNames::default();
        names.iter().for_each(|name| packed.push(name));
        assert_eq!(packed.iter().collect::<Vec<_>>(), names.map(Arc::from));
        assert_eq!((packed.len(), PackedNames::default().iter().count()), (12, 0));
        assert_eq!(packed.into_iter().collect::<Vec<_>>(), names.map(Arc::from));
    }

    #[test]
    fn a_number_is_read_as_it_was_written() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut written = Vec::new();
            write_number(&mut written, number);
            let mut rest = written.as_slice();
            assert_eq!((read_number(&mut rest), rest), (Some(number), [].as_slice()));
        }
        assert_eq!(read_number(&mut [0x80].as_slice()), None);
    }
}
