//! The selection of the digests and log files of a chain that are emitted, if earlier runs verified
//! it up to some digest.

use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::digests::digest_spool::{DigestSpool, SpooledDigest};
use crate::audit::digests::entry::{ChainEntry, LoadedEntry};
use crate::audit::error::AuditError;
use crate::audit::resume::state::Resume;
use crate::audit::shared::context::Context;
use crate::model::{DigestKind, TimeRange, VerifiedDigest};

impl Context {
    /// Returns the context for a chain that earlier runs verified up to some digest. `seen` is the
    /// time at which S3 last wrote a digest of it.
    pub(crate) fn resumed(&self, resume: Arc<Resume>, seen: Option<Timestamp>) -> Self {
        let range = TimeRange { start: resume.start(), end: self.range.end };
        let written_after = resume.seen().into_iter().chain(seen).min();
        Self { range, resume: Some(resume), written_after, ..self.clone() }
    }

    /// Returns the context for examining the log folder, which reaches further back.
    pub(crate) fn for_log_folder(&self) -> Self {
        let from = self.resume.as_ref().map_or(self.range.start, |resume| resume.unlisted_from());
        self.with_range(TimeRange { start: from, end: self.range.end })
    }

    /// Returns whether a digest is emitted.
    pub(crate) fn emits(&self, entry: &ChainEntry, spool: &DigestSpool) -> Result<bool, AuditError> {
        self.concerns(entry, spool, Resume::emits)
    }

    /// Returns whether its log files are judged.
    pub(crate) fn reads(&self, entry: &ChainEntry, spool: &DigestSpool) -> Result<bool, AuditError> {
        self.concerns(entry, spool, Resume::reads)
    }

    fn concerns(
        &self,
        entry: &ChainEntry,
        spool: &DigestSpool,
        before_range: fn(&Resume, &LoadedEntry<'_>) -> bool,
    ) -> Result<bool, AuditError> {
        if self.range.includes(entry.start(), entry.end()) {
            return Ok(true);
        }
        let is_before = self.range.start.is_some_and(|start| entry.end() <= start);
        match self.resume.as_ref().filter(|_| is_before) {
            Some(resume) => Ok(before_range(resume, &entry.whole(spool)?)),
            None => Ok(false),
        }
    }
}

/// Returns the last digest of a chain that is verified now, from which the next run continues.
pub(crate) fn last_verified(
    entries: &[ChainEntry],
    spool: &DigestSpool,
    context: &Context,
) -> Result<Option<VerifiedDigest>, AuditError> {
    let is_own = |entry: &&ChainEntry| {
        entry.kind == DigestKind::Standard
            && context.range.includes(entry.start(), entry.end())
            && entry.end() <= context.request.now
    };
    let end = |digest: &SpooledDigest| digest.summary().period().end;
    let valid = entries.iter().filter(is_own).filter_map(ChainEntry::valid);
    let Some(newest) = valid.max_by_key(|digest| end(digest)) else { return Ok(None) };
    let digest = spool.valid(newest)?;
    Ok(Some(VerifiedDigest {
        object: digest.object().clone(),
        sha256: digest.sha256(),
        signature: digest.signature().cloned(),
        end: end(newest),
    }))
}
