//! Reading one digest.

use std::cell::RefCell;

use bytes::Bytes;

use super::context::Context;
use super::error::AuditError;
use super::fetch;
use super::listed::ListedDigest;
use crate::model::{ChainId, DigestKind, DigestName, Fault, ObjectRef};
use crate::store::{Object, StoreError};
use crate::verify::{Examined, FoundDigest, KeyRing, Rejection, examine, limits};

/// What came of reading a digest.
pub(super) enum Reading {
    /// The digest, and what a reader should know about its metadata.
    Read(ListedDigest, Examined, Option<String>),
    Absent(ListedDigest),
}

/// Reads a digest and examines it by itself.
pub(super) async fn read_digest(context: &Context, id: &ChainId, digest: ListedDigest) -> Result<Reading, AuditError> {
    let outcome = read_bytes(context, &digest.place, None).await;
    context.progress.read_digest();
    let rejected = |digest: ListedDigest, rejection| {
        let closed = Examined::closed(digest.place.clone(), None, rejection);
        Ok(Reading::Read(digest, closed, None))
    };
    let (bytes, object) = match outcome {
        Ok(read) => read,
        Err(error) if error.is_absence() => return Ok(Reading::Absent(digest)),
        Err(StoreError::Ambiguous(reason)) => return Err(AuditError::Ambiguous(reason)),
        Err(error) => {
            return rejected(digest, Rejection::unverified(error.fault(), unreadable(&error)));
        }
    };
    if bytes.len() > CEILING {
        let detail = format!("is larger than {CEILING} bytes");
        return rejected(digest, Rejection::unverified(Fault::TooLarge, detail));
    }
    let found = FoundDigest { place: &digest.place, kind: digest.kind, bytes: &bytes, metadata: &object.metadata };
    let examined = examine_with_keys(context, id, &found).await?;
    if matches!(examined, Examined::Open(_, Ok(()))) {
        context.progress.proved_digest();
    }
    Ok(Reading::Read(digest, examined, object.metadata_note))
}

/// Reads an earlier version of a digest and examines it by itself.
pub(super) async fn examine_version(
    context: &Context,
    id: &ChainId,
    place: &ObjectRef,
    version: &str,
) -> Result<Examined, StoreError> {
    let (bytes, object) = read_bytes(context, place, Some(version)).await?;
    let kind = DigestName::parse(&place.key).map_or(DigestKind::Standard, |name| name.kind);
    let found = FoundDigest { place, kind, bytes: &bytes, metadata: &object.metadata };
    examine_with_keys(context, id, &found).await.map_err(|error| StoreError::Failed(error.to_string()))
}

/// The largest object that is read as a digest.
const CEILING: usize = limits::MAX_DIGEST_OBJECT_BYTES as usize;

pub(super) async fn read_bytes(
    context: &Context,
    place: &ObjectRef,
    version: Option<&str>,
) -> Result<(Bytes, Object), StoreError> {
    let (pieces, object) = fetch::read(context, place, version, Vec::new, |pieces: &mut Vec<Bytes>, piece| {
        pieces.push(piece);
        pieces.iter().map(Bytes::len).sum::<usize>() <= CEILING
    })
    .await?;
    // Nearly every digest comes in one piece.
    let bytes = match <[Bytes; 1]>::try_from(pieces) {
        Ok([bytes]) => bytes,
        Err(pieces) => Bytes::from(pieces.concat()),
    };
    Ok((bytes, object))
}

async fn examine_with_keys(context: &Context, id: &ChainId, found: &FoundDigest<'_>) -> Result<Examined, AuditError> {
    let examined = examine_in_place(context, found, context.keys.for_range(&id.region).await.as_ref())?;
    // Before a key is called unknown, it is asked for once more up to now.
    if let Examined::Open(_, Err(unproven)) = &examined
        && matches!(unproven.rejection().fault, Fault::KeyUnknown | Fault::KeyNotValidThen)
    {
        return examine_in_place(context, found, context.keys.up_to_now(&id.region).await.as_ref());
    }
    Ok(examined)
}

fn examine_in_place(context: &Context, found: &FoundDigest<'_>, keys: &KeyRing) -> Result<Examined, AuditError> {
    let trouble = RefCell::new(None);
    let examined = examine(
        found,
        |claimed| match context.store.in_place(found.place, claimed) {
            Ok(in_place) => in_place,
            Err(error) => {
                trouble.replace(Some(error));
                false
            }
        },
        keys,
    );
    match trouble.into_inner() {
        Some(error) => Err(AuditError::Ambiguous(error.to_string())),
        None => Ok(examined),
    }
}

fn unreadable(error: &StoreError) -> String {
    format!("could not be read: {error}")
}
