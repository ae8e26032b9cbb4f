//! Checking digests that are too large to be parsed. The hash that a valid successor recorded still
//! shows whether such a digest was changed, and hashing takes constant memory.

use std::sync::atomic::Ordering;

use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::{ChainEntry, EntryState};
use crate::audit::error::AuditError;
use crate::audit::shared::context::Context;
use crate::model::{Fault, ObjectRef, Sha256Hash};
use crate::verify::{Content, RejectedDigest, Rejection, limits};

/// Hashes each digest that is too large to be parsed and that a valid digest names. It is invalid
/// if another hash was recorded.
pub(crate) async fn judge(
    context: &Context,
    entries: &mut [ChainEntry],
    spool: &DigestSpool,
) -> Result<(), AuditError> {
    for index in 0..entries.len() {
        let Some(digest) = too_large(&entries[index]) else { continue };
        let object = digest.object.clone();
        let Some((by, recorded)) = recorded(context, entries, spool, &object)? else { continue };
        // This bounds the cost for the run when someone replaces a year's digests with
        // decompression bombs.
        if context.oversized_bytes.load(Ordering::Relaxed) >= limits::MAX_OVERSIZED_BYTES_OF_RUN {
            continue;
        }
        let Ok(content) = context.reader.read_content(&object, None, limits::MAX_OVERSIZED_BYTES).await else {
            continue;
        };
        context.oversized_bytes.fetch_add(content.hashed.max(content.size), Ordering::Relaxed);
        if let EntryState::Rejected(digest) = &mut entries[index].state {
            digest.sha256 = content.sha256;
            digest.rejection = compare(&content, recorded, &by);
        }
    }
    Ok(())
}

fn too_large(entry: &ChainEntry) -> Option<&RejectedDigest> {
    match &entry.state {
        EntryState::Rejected(digest) if digest.rejection.fault == Fault::TooLarge => Some(digest),
        _ => None,
    }
}

/// Returns the valid digest that names this one, and the hash that it recorded.
fn recorded(
    context: &Context,
    entries: &[ChainEntry],
    spool: &DigestSpool,
    object: &ObjectRef,
) -> Result<Option<(ObjectRef, Sha256Hash)>, AuditError> {
    let name = context.fingerprint(object);
    for digest in entries
        .iter()
        .filter_map(ChainEntry::valid)
        .filter(|digest| digest.spool_key.predecessor_fingerprint() == Some(name))
    {
        let digest = spool.valid(digest)?;
        if let Some(sha256) = digest.predecessor().and_then(|named| named.sha256) {
            return Ok(Some((digest.object().clone(), sha256)));
        }
    }
    Ok(None)
}

fn compare(content: &Content, recorded: Sha256Hash, by: &ObjectRef) -> Rejection {
    let limit = limits::MAX_DIGEST_BYTES;
    match (content.fault, content.sha256) {
        (Some(Fault::TooLarge), _) => {
            let detail = format!("is larger than {} bytes when decompressed", limits::MAX_OVERSIZED_BYTES);
            Rejection::unverified(Fault::TooLarge, detail)
        }
        (Some(fault), _) => Rejection::broken_gzip(fault),
        (None, Some(found)) if found != recorded => {
            let detail = format!(
                "has SHA-256 {found}, and its valid successor {by} recorded {recorded}; it is larger than \
                 {limit} bytes \
                 when decompressed"
            );
            Rejection::invalid(Fault::PredecessorHashMismatch, detail)
        }
        (None, _) => {
            let detail = format!(
                "is larger than {limit} bytes when decompressed, so it was not read; its hash is the one that \
                 its valid \
                 successor {by} recorded"
            );
            Rejection::unverified(Fault::TooLarge, detail)
        }
    }
}
