//! Which digests and log files of a chain are told of, where earlier runs verified it up to some digest.

use std::sync::Arc;

use super::context::Context;
use super::element::{Element, State};
use super::resume::Resume;
use crate::model::{DigestKind, TimeRange, VerifiedDigest};

impl Context {
    /// The same for a chain that earlier runs verified up to some digest.
    pub fn resumed(&self, resume: Arc<Resume>) -> Self {
        let range = TimeRange { start: resume.start(), end: self.range.end };
        Self { range, resume: Some(resume), ..self.clone() }
    }

    /// The same for the look into the log folder, which reaches further back.
    pub fn for_log_folder(&self) -> Self {
        let from = self.resume.as_ref().map_or(self.range.start, |resume| resume.unlisted_from());
        self.with_range(TimeRange { start: from, end: self.range.end })
    }

    /// Whether a digest is told of.
    pub fn tells(&self, element: &Element) -> bool {
        self.range.includes(element.start, element.end) || self.before_range(element, Resume::tells)
    }

    /// Whether its log files are judged.
    pub fn reads(&self, element: &Element) -> bool {
        self.range.includes(element.start, element.end) || self.before_range(element, Resume::reads)
    }

    fn before_range(&self, element: &Element, asks: fn(&Resume, &Element) -> bool) -> bool {
        let is_before = self.range.start.is_some_and(|start| element.end <= start);
        is_before && self.resume.as_ref().is_some_and(|resume| asks(resume, element))
    }
}

/// The last digest of a chain that is verified now, which the next run goes on from.
pub(super) fn last_verified(elements: &[Element], context: &Context) -> Option<VerifiedDigest> {
    let is_own = |element: &&Element| {
        element.kind == DigestKind::Standard
            && context.range.includes(element.start, element.end)
            && element.end <= context.request.now
    };
    let valid = elements.iter().filter(is_own).filter_map(|element| match &element.state {
        State::Valid(digest) => Some(digest),
        _ => None,
    });
    let newest = valid.max_by_key(|digest| digest.period().1)?;
    Some(VerifiedDigest {
        object: newest.object().clone(),
        sha256: newest.sha256(),
        signature: newest.signature().cloned(),
        end: newest.period().1,
    })
}
