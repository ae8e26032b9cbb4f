//! Which digests and log files of a chain are told of, where earlier runs verified it up to some digest.

use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::digests::digest_spool::{Shelf, Shelved};
use crate::audit::digests::entry::{Element, Whole};
use crate::audit::error::AuditError;
use crate::audit::resume::selection::Resume;
use crate::audit::shared::context::Context;
use crate::model::{DigestKind, TimeRange, VerifiedDigest};

impl Context {
    /// The same for a chain that earlier runs verified up to some digest.
    /// `seen`: when S3 has last written a digest of it.
    pub fn resumed(&self, resume: Arc<Resume>, seen: Option<Timestamp>) -> Self {
        let range = TimeRange { start: resume.start(), end: self.range.end };
        let written_after = resume.seen().into_iter().chain(seen).min();
        Self { range, resume: Some(resume), written_after, ..self.clone() }
    }

    /// The same for the look into the log folder, which reaches further back.
    pub fn for_log_folder(&self) -> Self {
        let from = self.resume.as_ref().map_or(self.range.start, |resume| resume.unlisted_from());
        self.with_range(TimeRange { start: from, end: self.range.end })
    }

    /// Whether a digest is told of.
    pub fn tells(&self, element: &Element, shelf: &Shelf) -> Result<bool, AuditError> {
        self.concerns(element, shelf, Resume::tells)
    }

    /// Whether its log files are judged.
    pub fn reads(&self, element: &Element, shelf: &Shelf) -> Result<bool, AuditError> {
        self.concerns(element, shelf, Resume::reads)
    }

    fn concerns(
        &self,
        element: &Element,
        shelf: &Shelf,
        before_range: fn(&Resume, &Whole<'_>) -> bool,
    ) -> Result<bool, AuditError> {
        if self.range.includes(element.start(), element.end()) {
            return Ok(true);
        }
        let is_before = self.range.start.is_some_and(|start| element.end() <= start);
        match self.resume.as_ref().filter(|_| is_before) {
            Some(resume) => Ok(before_range(resume, &element.whole(shelf)?)),
            None => Ok(false),
        }
    }
}

/// The last digest of a chain that is verified now, which the next run goes on from.
pub(crate) fn last_verified(
    elements: &[Element],
    shelf: &Shelf,
    context: &Context,
) -> Result<Option<VerifiedDigest>, AuditError> {
    let is_own = |element: &&Element| {
        element.kind == DigestKind::Standard
            && context.range.includes(element.start(), element.end())
            && element.end() <= context.request.now
    };
    let end = |digest: &Shelved| digest.outline().period().1;
    let valid = elements.iter().filter(is_own).filter_map(Element::valid);
    let Some(newest) = valid.max_by_key(|digest| end(digest)) else { return Ok(None) };
    let digest = shelf.valid(newest)?;
    Ok(Some(VerifiedDigest {
        object: digest.object().clone(),
        sha256: digest.sha256(),
        signature: digest.signature().cloned(),
        end: end(newest),
    }))
}
