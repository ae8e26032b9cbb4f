//! Earlier versions, in a versioned bucket, of objects that are gone or changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::stream::{self, StreamExt};

use crate::audit::chain::read;
use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState};
use crate::audit::error::AuditError;
use crate::audit::log_files::content;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DigestStatus, Fault, ObjectRef, WarningCode};
use crate::records::{Versions, WarningRecord};
use crate::store::{ObjectVersion, StoreError};
use crate::sync::lock;
use crate::verify::{CheckedDigest, ExpectedHash, Predecessor, limits};

/// Looks for an earlier version of a log file whose content is what the digests expect.
pub(crate) async fn of_log_file(context: &Context, object: &ObjectRef, expected: &[ExpectedHash]) -> Option<Versions> {
    let earlier = Earlier::of(context, object).await?;
    let mut versions = earlier.found();
    let mut left = limits::MAX_VERSION_BYTES.min(context.request.max_log_file_bytes);
    for version in earlier.versions {
        let read = context.reader.read_content(object, Some(&version.id), left).await;
        if let Ok(read) = &read {
            left = if read.fault == Some(Fault::TooLarge) { 0 } else { left.saturating_sub(read.hashed) };
        }
        match read {
            Ok(read) if content::is_intact(&read, expected) => {
                versions.intact_version_id = Some(version.id);
                versions.intact_last_modified = version.last_modified;
                break;
            }
            Ok(_) if left == 0 => {
                context.versions_cut.store(true, Ordering::Relaxed);
                break;
            }
            Ok(_) => {}
            Err(error) => context.note_denied_versions("s3:GetObjectVersion", object, &error),
        }
    }
    Some(versions)
}

/// Looks for earlier versions of a chain's missing and invalid digests: for each the newest one
/// that verifies.
pub(crate) async fn of_digests(
    context: &Arc<Context>,
    id: &Arc<ChainId>,
    entries: &mut [ChainEntry],
    spool: &DigestSpool,
) -> Result<(), AuditError> {
    if !context.store.properties().keeps_versions {
        return Ok(());
    }
    let inside = |entry: &ChainEntry| context.range.includes(entry.start(), entry.end());
    let mut damaged = Vec::new();
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| inside(entry)) {
        if let Some(object) = damaged_object(entry) {
            damaged.push((index, object.clone(), recorded(entries, object, spool)?));
        }
    }
    let found: Vec<(usize, Option<Versions>)> =
        stream::iter(damaged)
            .map(|(index, object, recorded)| async move {
                (index, of_digest(context, id, &object, recorded.as_ref()).await)
            })
            .buffer_unordered(context.request.concurrency)
            .collect()
            .await;
    for (index, versions) in found {
        if versions.is_some() {
            entries[index].remarks.get_or_insert_default().versions = versions;
        }
    }
    Ok(())
}

/// Returns what a valid digest recorded of this one as its predecessor.
fn recorded(
    entries: &[ChainEntry],
    object: &ObjectRef,
    spool: &DigestSpool,
) -> Result<Option<Predecessor>, AuditError> {
    let name = spool.name(object);
    let valid = entries.iter().filter_map(ChainEntry::valid);
    for digest in valid.filter(|digest| digest.summary().predecessor() == Some(name)) {
        if let Some(recorded) = spool.valid(digest)?.predecessor().filter(|recorded| recorded.object == *object) {
            return Ok(Some(recorded.clone()));
        }
    }
    Ok(None)
}

/// Returns the name of a digest that is missing or invalid.
fn damaged_object(entry: &ChainEntry) -> Option<&ObjectRef> {
    match &entry.state {
        EntryState::Absent(object, Absence::Missing) => Some(object),
        EntryState::Rejected(digest) if digest.rejection.status == DigestStatus::Invalid => Some(&digest.object),
        EntryState::Absent(..) | EntryState::Rejected(_) | EntryState::Valid(_) => None,
    }
}

async fn of_digest(
    context: &Context,
    id: &ChainId,
    object: &ObjectRef,
    recorded: Option<&Predecessor>,
) -> Option<Versions> {
    let earlier = Earlier::of(context, object).await?;
    let mut versions = earlier.found();
    for version in earlier.versions {
        match read::examine_version(context, id, object, &version.id).await {
            Ok(examined) if verifies(context, id, &examined, recorded).await => {
                versions.intact_version_id = Some(version.id);
                versions.intact_last_modified = version.last_modified;
                break;
            }
            Ok(_) => {}
            Err(error) => context.note_denied_versions("s3:GetObjectVersion", object, &error),
        }
    }
    Some(versions)
}

/// Returns whether a digest is what CloudTrail delivered, according to its own signature or the one
/// that its valid successor recorded.
async fn verifies(context: &Context, id: &ChainId, examined: &CheckedDigest, recorded: Option<&Predecessor>) -> bool {
    let CheckedDigest::Parsed(digest, own) = examined else { return false };
    let kept = recorded.and_then(|recorded| recorded.signature.as_ref());
    let keys = context.keys.for_range(&id.region).await;
    let is_signed = match own {
        Ok(()) => true,
        Err(unproven) => kept.is_some_and(|signature| unproven.check(signature, &keys).is_ok()),
    };
    let is_recorded = recorded.and_then(|recorded| recorded.sha256).is_none_or(|hash| hash == digest.sha256());
    is_signed && is_recorded
}

/// The versions of an object that are older than the one that a read returns.
struct Earlier {
    /// The earlier versions, newest first, without delete markers.
    versions: Vec<ObjectVersion>,
    deletion: Option<ObjectVersion>,
}

impl Earlier {
    /// Returns `None` if there are none, or they may not be listed.
    async fn of(context: &Context, object: &ObjectRef) -> Option<Self> {
        if context.may_not_list_versions(object) {
            return None;
        }
        let all = match context.store.versions(object).await {
            Ok(all) => all,
            Err(error) => {
                context.note_denied_versions(LIST_VERSIONS, object, &error);
                return None;
            }
        };
        let deletion = all.iter().find(|version| version.is_latest && version.is_delete_marker).cloned();
        let versions: Vec<ObjectVersion> =
            all.into_iter().filter(|version| !version.is_delete_marker && !version.is_latest).collect();
        (deletion.is_some() || !versions.is_empty()).then_some(Self { versions, deletion })
    }

    fn found(&self) -> Versions {
        let deleted_at = self.deletion.as_ref().and_then(|deletion| deletion.last_modified);
        Versions { deleted_at, ..Versions::default() }
    }
}

/// The permission that a listing of versions needs.
const LIST_VERSIONS: &str = "s3:ListBucketVersions";

impl Context {
    /// Records the permission that is missing for reading versions.
    fn note_denied_versions(&self, action: &str, object: &ObjectRef, error: &StoreError) {
        if error.fault() == Fault::AccessDenied {
            let mut denied = lock(&self.versions_denied);
            denied.insert(format!("{action} on {}", object.bucket));
        }
    }

    /// Returns whether listing versions in this object's bucket was denied before, so that another
    /// request is useless.
    fn may_not_list_versions(&self, object: &ObjectRef) -> bool {
        let denied = lock(&self.versions_denied);
        denied.contains(&format!("{LIST_VERSIONS} on {}", object.bucket))
    }

    /// Returns the warnings that versions could not be listed or read, or that not all were read.
    pub(crate) fn versions_warnings(&self) -> impl Iterator<Item = WarningRecord> {
        let cut = self.versions_cut.load(Ordering::Relaxed).then(|| WarningRecord {
            code: WarningCode::VersionsUnavailable,
            bucket: None,
            key: None,
            detail: format!(
                "not all earlier versions of every damaged log file were read: of each, no more than {} \
                 uncompressed bytes are",
                limits::MAX_VERSION_BYTES
            ),
        });
        self.versions_denied_warning().into_iter().chain(cut)
    }

    fn versions_denied_warning(&self) -> Option<WarningRecord> {
        let denied = lock(&self.versions_denied);
        let missing: Vec<&str> = denied.iter().map(String::as_str).collect();
        let detail = format!(
            "what a versioned bucket still holds of the objects that are gone or changed can't be seen: the \
             caller needs {}",
            missing.join(" and ")
        );
        let code = WarningCode::VersionsUnavailable;
        (!missing.is_empty()).then_some(WarningRecord { code, bucket: None, key: None, detail })
    }
}
