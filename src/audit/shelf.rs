//! What the digests of a chain say, kept aside until it is asked for: a chain has to be judged as a whole, and may be long.

use std::borrow::Cow;
use std::num::NonZero;

use super::context::Context;
use super::element::{Element, State};
use super::error::AuditError;
use super::spool::{Spool, Ticket};
use crate::model::ObjectRef;
use crate::verify::{
    Examined, HashKey, NameHash, OpenDigest, Outline, Predecessor, ProvenDigest, ValidDigest, WaitingDigest,
};

/// Keeps what the digests of a chain say.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    spool: Spool,
    key: HashKey,
}

/// Where a shelf keeps a digest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    ticket: Ticket,
    follows: Option<NonZero<u64>>,
}

impl Kept {
    /// The digest that this one names as its predecessor, by [`Context::fingerprint`].
    pub fn follows(&self) -> Option<u64> {
        self.follows.map(NonZero::get)
    }
}

/// A valid digest, and where the whole of it is kept.
#[derive(Debug)]
pub(super) struct Shelved {
    pub proven: ProvenDigest,
    pub kept: Kept,
}

impl Shelved {
    pub fn outline(&self) -> &Outline {
        self.proven.outline()
    }
}

/// A digest with all that it says.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub element: &'a Element,
    pub object: Cow<'a, ObjectRef>,
    /// What it says, if it is valid.
    pub valid: Option<ValidDigest>,
}

impl Whole<'_> {
    /// The digest that it names as the one before it.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        match &self.element.state {
            State::Valid(_) => self.valid.as_ref()?.predecessor(),
            State::Rejected(digest) => digest.predecessor.as_ref(),
            State::Absent(..) => None,
        }
    }
}

impl Shelf {
    /// Keeps a digest that was examined.
    pub fn keep(&mut self, context: &Context, examined: Examined) -> Result<(WaitingDigest, Kept), AuditError> {
        let predecessor = match &examined {
            Examined::Open(open, _) => open.predecessor(),
            Examined::Closed(_) => None,
        };
        let follows = predecessor.and_then(|recorded| NonZero::new(context.fingerprint(&recorded.object)));
        let packed = self.spool.put(|out| WaitingDigest::pack(examined, &self.key, out));
        let (waiting, ticket) = packed.map_err(|error| AuditError::PutAside(error.to_string()))?;
        Ok((waiting, Kept { ticket, follows }))
    }

    /// A digest that was kept.
    pub fn open(&self, kept: &Kept, outline: &Outline) -> Result<OpenDigest, AuditError> {
        let unpacked = self.spool.get(kept.ticket, |packed| outline.unpack(packed, &self.key));
        flatten(unpacked)
    }

    /// A valid digest that was kept.
    pub fn valid(&self, Shelved { proven, kept }: &Shelved) -> Result<ValidDigest, AuditError> {
        flatten(self.spool.get(kept.ticket, |packed| proven.unpack(packed, &self.key)))
    }

    /// A digest with all that it says.
    pub fn whole<'a>(&self, element: &'a Element) -> Result<Whole<'a>, AuditError> {
        let (object, valid) = match &element.state {
            State::Valid(digest) => {
                let digest = self.valid(digest)?;
                (Cow::Owned(digest.object().clone()), Some(digest))
            }
            State::Rejected(digest) => (Cow::Borrowed(&digest.object), None),
            State::Absent(object, _) => (Cow::Borrowed(&**object), None),
        };
        Ok(Whole { element, object, valid })
    }

    /// The hash of a name, as outlines have it.
    pub fn name(&self, object: &ObjectRef) -> NameHash {
        self.key.name(object)
    }

    /// What a valid digest recorded of this one.
    pub fn recorded(&self, elements: &[Element], object: &ObjectRef) -> Result<Option<Predecessor>, AuditError> {
        let name = self.name(object);
        let valid = elements.iter().filter_map(Element::valid);
        for digest in valid.filter(|digest| digest.outline().predecessor() == Some(name)) {
            if let Some(recorded) = self.valid(digest)?.predecessor().filter(|recorded| recorded.object == *object) {
                return Ok(Some(recorded.clone()));
            }
        }
        Ok(None)
    }
}

fn flatten<T>(unpacked: std::io::Result<Result<T, crate::verify::PackError>>) -> Result<T, AuditError> {
    match unpacked {
        Ok(Ok(digest)) => Ok(digest),
        Ok(Err(error)) => Err(AuditError::PutAside(error.to_string())),
        Err(error) => Err(AuditError::PutAside(error.to_string())),
    }
}
