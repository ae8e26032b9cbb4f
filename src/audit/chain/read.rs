//! Reading one digest and examining it by itself.

use std::cell::RefCell;

use bytes::Bytes;
use jiff::Timestamp;

use crate::audit::digests::digest_spool::{DigestSpool, SpoolKey};
use crate::audit::digests::listed_digests::{AbsentDigest, ListedDigest};
use crate::audit::error::AuditError;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DigestKind, DigestName, Fault, ObjectRef};
use crate::store::{Object, StoreError};
use crate::verify::{CheckedDigest, KeyRing, PendingDigest, RawDigest, Rejection, examine, inflates_beyond, limits};

/// The outcome of reading a digest.
pub(crate) enum Reading {
    Read(Box<ReadDigest>),
    Absent(AbsentDigest),
}

/// A digest that was read, examined by itself and written to its chain's spool.
pub(crate) struct ReadDigest {
    pub listed: ListedDigest,
    pub pending: PendingDigest,
    pub spool_key: SpoolKey,
    /// The warning about its metadata.
    pub note: Option<String>,
    /// True if a copy holds it uncompressed.
    pub is_uncompressed: bool,
    /// The name that the digest states for itself, if it was read under another one.
    pub bears: Option<ObjectRef>,
    /// The time at which it was generated, as a backfill digest states.
    pub generated: Option<Timestamp>,
    /// True if its own signature proves it and it begins past the end of the range.
    pub begins_past_end: bool,
}

/// Reads a digest, examines it by itself and writes its content to the spool: digests are kept
/// until their whole chain is verified, and large ones must not stay in memory.
pub(crate) async fn read_digest(
    context: &Context,
    id: &ChainId,
    digest: ListedDigest,
    spool: &DigestSpool,
) -> Result<Reading, AuditError> {
    let outcome = read_bytes(context, &digest.object, None).await;
    context.progress.read_digest(id);
    let (bytes, stored) = match outcome {
        Ok(read) => read,
        Err(error) if error.is_absence() => {
            let without_bucket = matches!(error, StoreError::NoSuchBucket(_));
            return Ok(Reading::Absent(AbsentDigest { listed: digest, without_bucket }));
        }
        Err(StoreError::Ambiguous(reason)) => return Err(AuditError::Ambiguous(reason)),
        Err(error) => {
            let rejection = Rejection::unverified(error.fault(), describe_failure(&error));
            return keep_on_spool(context, digest, closed(rejection), (None, None), spool);
        }
    };
    let note = stored.metadata_note.clone();
    if bytes.len() > CEILING {
        let rejection = Rejection::unverified(Fault::TooLarge, format!("is larger than {CEILING} bytes"));
        return keep_on_spool(context, digest, closed(rejection), (None, None), spool);
    }
    let is_uncompressed = stored.is_uncompressed;
    let is_large = bytes.len() > limits::SMALL_DIGEST_OBJECT_BYTES
        && (is_uncompressed || inflates_beyond(&bytes, limits::LARGE_DIGEST_BYTES));
    // Until its content is on the spool, no other large digest is decompressed.
    let turn = if is_large { Some(context.large_digests.acquire().await) } else { None };
    let written = stored.head.as_ref().and_then(|head| head.last_modified);
    let found = RawDigest {
        object: &digest.object,
        kind: digest.kind,
        bytes: &bytes,
        is_uncompressed,
        metadata: &stored.metadata,
        last_modified: written.or(digest.last_modified),
    };
    let examined = examine_with_keys(context, id, &found).await?;
    drop(bytes);
    if matches!(examined, CheckedDigest::Parsed(_, Ok(()))) {
        context.progress.proved_digest();
    }
    let generated = stored.metadata.generated().filter(|_| digest.kind == DigestKind::Backfill);
    let mut spooled = keep_on_spool(context, digest, |_| examined, (note, generated), spool);
    drop(turn);
    if let Ok(Reading::Read(read)) = &mut spooled {
        read.is_uncompressed = is_uncompressed;
    }
    spooled
}

fn closed(rejection: Rejection) -> impl FnOnce(&ObjectRef) -> CheckedDigest {
    |object| CheckedDigest::unparsed(object.clone(), None, rejection)
}

fn keep_on_spool(
    context: &Context,
    listed: ListedDigest,
    examined: impl FnOnce(&ObjectRef) -> CheckedDigest,
    (note, generated): (Option<String>, Option<Timestamp>),
    spool: &DigestSpool,
) -> Result<Reading, AuditError> {
    let examined = examined(&listed.object);
    let (mut bears, mut begins_past_end) = (None, false);
    if let CheckedDigest::Parsed(parsed, own) = &examined {
        bears = Some(parsed.object()).filter(|object| **object != listed.object).cloned();
        begins_past_end = own.is_ok() && context.range.end.is_some_and(|end| parsed.start() >= end);
    }
    let (pending, spool_key) = spool.keep(examined, |object| context.fingerprint(object))?;
    Ok(Reading::Read(Box::new(ReadDigest {
        listed,
        pending,
        spool_key,
        note,
        is_uncompressed: false,
        bears,
        generated,
        begins_past_end,
    })))
}

/// Reads an earlier version of a digest and examines it by itself.
pub(crate) async fn examine_version(
    context: &Context,
    id: &ChainId,
    object: &ObjectRef,
    version: &str,
) -> Result<CheckedDigest, StoreError> {
    let (bytes, stored) = read_bytes(context, object, Some(version)).await?;
    let kind = DigestName::parse(&object.key).map_or(DigestKind::Standard, |name| name.kind);
    let last_modified = stored.head.as_ref().and_then(|head| head.last_modified);
    let is_uncompressed = stored.is_uncompressed;
    let found = RawDigest { object, kind, bytes: &bytes, is_uncompressed, metadata: &stored.metadata, last_modified };
    examine_with_keys(context, id, &found).await.map_err(|error| StoreError::Failed(error.to_string()))
}

/// The largest object that is read as a digest.
const CEILING: usize = limits::MAX_DIGEST_OBJECT_BYTES as usize;

pub(crate) async fn read_bytes(
    context: &Context,
    object: &ObjectRef,
    version: Option<&str>,
) -> Result<(Bytes, Object), StoreError> {
    let (pieces, stored) = context
        .reader
        .read(
            object,
            version,
            |_| Vec::new(),
            |pieces: &mut Vec<Bytes>, piece| {
                pieces.push(piece);
                pieces.iter().map(Bytes::len).sum::<usize>() <= CEILING
            },
        )
        .await?;
    // Avoid a copy: nearly every digest arrives in one piece.
    let bytes = match <[Bytes; 1]>::try_from(pieces) {
        Ok([bytes]) => bytes,
        Err(pieces) => Bytes::from(pieces.concat()),
    };
    Ok((bytes, stored))
}

async fn examine_with_keys(
    context: &Context,
    id: &ChainId,
    found: &RawDigest<'_>,
) -> Result<CheckedDigest, AuditError> {
    let examined = examine_in_place(context, found, context.keys.for_range(&id.region).await.as_ref())?;
    // Before a key is reported as unknown, the keys up to the present are requested once.
    if let CheckedDigest::Parsed(_, Err(unproven)) = &examined
        && matches!(unproven.rejection().fault, Fault::KeyUnknown | Fault::KeyNotValidThen)
    {
        return examine_in_place(context, found, context.keys.up_to_now(&id.region).await.as_ref());
    }
    Ok(examined)
}

fn examine_in_place(context: &Context, found: &RawDigest<'_>, keys: &KeyRing) -> Result<CheckedDigest, AuditError> {
    let trouble = RefCell::new(None);
    let examined = examine(
        found,
        |claimed| match context.store.in_place(found.object, claimed) {
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

fn describe_failure(error: &StoreError) -> String {
    format!("could not be read: {error}")
}
