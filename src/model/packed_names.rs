//! Many names, kept small.

use std::sync::Arc;

/// Names in the order in which they were added, each kept as what differs from the one before it: the keys of a listing and those
/// that a digest lists differ by few characters.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PackedNames {
    packed: Vec<u8>,
    /// The last one, to which the next is compared.
    last: Vec<u8>,
    count: usize,
}

impl PackedNames {
    /// Adds a name.
    pub fn push(&mut self, name: &str) {
        let shared = self.last.iter().zip(name.as_bytes()).take_while(|(one, other)| one == other).count();
        let own = &name.as_bytes()[shared..];
        write_length(&mut self.packed, shared);
        write_length(&mut self.packed, own.len());
        self.packed.extend_from_slice(own);
        self.last.truncate(shared);
        self.last.extend_from_slice(own);
        self.count += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Gives back the room that nothing needs when no more names come.
    pub fn close(&mut self) {
        self.packed.shrink_to_fit();
        self.last = Vec::new();
    }

    /// Each name, made anew.
    pub fn iter(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        let mut cursor = Cursor::default();
        std::iter::from_fn(move || cursor.next(&self.packed))
    }
}

impl IntoIterator for PackedNames {
    type Item = Arc<str>;
    type IntoIter = UnpackedNames;

    fn into_iter(self) -> UnpackedNames {
        UnpackedNames { packed: self.packed, cursor: Cursor::default() }
    }
}

/// Names that are made anew, one after the other.
#[derive(Debug)]
pub struct UnpackedNames {
    packed: Vec<u8>,
    cursor: Cursor,
}

impl Iterator for UnpackedNames {
    type Item = Arc<str>;

    fn next(&mut self) -> Option<Arc<str>> {
        self.cursor.next(&self.packed)
    }
}

/// Where the next name is, and what the last one was.
#[derive(Debug, Default)]
struct Cursor {
    at: usize,
    name: Vec<u8>,
}

impl Cursor {
    fn next(&mut self, packed: &[u8]) -> Option<Arc<str>> {
        let mut rest = packed.get(self.at..)?;
        let shared = read_length(&mut rest)?;
        let own = read_length(&mut rest)?;
        let (own, after) = rest.split_at_checked(own)?;
        self.at = packed.len() - after.len();
        self.name.truncate(shared);
        self.name.extend_from_slice(own);
        // What went in was text, and so is what comes out.
        std::str::from_utf8(&self.name).ok().map(Arc::from)
    }
}

/// Writes a length as LEB128: seven bits a byte, the lowest first.
fn write_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn read_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        length |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let long = "k".repeat(1024);
        // The third shares the first of two bytes of a character with the one before it.
        let names = ["a/2026/x1.json.gz", "a/é", "a/è", "", "", &long, &long, "b"];
        let mut packed = PackedNames::default();
        names.iter().for_each(|name| packed.push(name));
        packed.close();
        assert_eq!(packed.iter().collect::<Vec<_>>(), names.map(Arc::from));
        assert!(packed.clone().into_iter().eq(packed.iter()));
        assert_eq!((packed.len(), PackedNames::default().iter().count()), (8, 0));
    }
}
