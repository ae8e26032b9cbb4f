//! Verified digests that the history no longer leads to.

use jiff::Timestamp;

use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::{Absence, ChainEntry, EntryState, LoadedEntry};
use crate::audit::digests::identity::identity;
use crate::audit::error::AuditError;
use crate::audit::resume::state::Resume;
use crate::model::{DigestStatus, ObjectRef, Open, Sha256Hash};
use crate::verify::ValidDigest;

/// A verified digest that the history no longer leads to.
#[derive(Debug, Clone)]
pub(crate) struct Contradiction {
    pub object: ObjectRef,
    /// Its hash at that time, if the checkpoint has it.
    pub sha256: Option<Sha256Hash>,
    pub end: Timestamp,
    pub detail: String,
}

impl Resume {
    /// Returns the verified digests that the history no longer leads to: another object has
    /// replaced the digest, or it is gone and no rule explains that.
    pub(crate) fn contradictions(
        &self,
        entries: &[ChainEntry],
        spool: &DigestSpool,
    ) -> Result<Vec<Contradiction>, AuditError> {
        let through = self.before.through.iter().map(|digest| (&digest.object, Some(digest.sha256), digest.end, false));
        let gone = self.gone.iter().map(|(object, end)| (object, None, *end, false));
        let known = self.before.open.iter().filter_map(|point| match &point.what {
            Open::Contradicted { object, sha256, end } => Some((object, *sha256, *end, true)),
            _ => None,
        });
        let points: Vec<_> = known.chain(through).chain(gone).collect();
        let mut sights: Vec<Sighted> = Vec::new();
        sights.resize_with(points.len(), Sighted::default);
        let names: Vec<_> = points.iter().map(|(object, ..)| identity(object, self.exact)).collect();
        for entry in entries {
            let digest = entry.whole(spool)?;
            let own_name = identity(&digest.object, self.exact);
            let predecessor = digest.valid.as_ref().and_then(ValidDigest::predecessor);
            let predecessor = predecessor.map(|recorded| (identity(&recorded.object, self.exact), recorded.sha256));
            for (((_, sha256, ..), name), sighted) in points.iter().zip(&names).zip(&mut sights) {
                if let Some((_, Some(other))) = predecessor.as_ref().filter(|(named, _)| named == name)
                    && sha256.is_some_and(|sha256| *other != sha256)
                    && sighted.recorded.is_none()
                {
                    let by = &digest.object.key;
                    sighted.recorded = Some(format!("its successor {by} recorded SHA-256 {other}"));
                }
                if own_name == *name && !sighted.is_there {
                    sighted.is_there = true;
                    sighted.replaced = replaced(&digest, sha256.as_ref());
                    sighted.is_back = match &digest.valid {
                        Some(digest) => sha256.is_none_or(|sha256| digest.sha256() == sha256),
                        None => entry.absence() == Some(Absence::Expired),
                    };
                }
            }
        }
        let mut found: Vec<Contradiction> = Vec::new();
        for ((object, sha256, end, is_known), sighted) in points.into_iter().zip(sights) {
            if found.iter().any(|other| other.object == *object) {
                continue;
            }
            // Cleared only when the original digest is seen again; a read error does not clear it.
            let still = (is_known && !sighted.is_back).then(|| "it was not seen to be back since".to_owned());
            if let Some(detail) = sighted.replaced.or(sighted.recorded).or(still) {
                let with = sha256.map(|sha256| format!(" with SHA-256 {sha256}")).unwrap_or_default();
                let detail = format!("an earlier run verified {object}{with}, and {detail}");
                found.push(Contradiction { object: object.clone(), sha256, end, detail });
            }
        }
        Ok(found)
    }
}

/// The observations of this run about a digest that was verified.
#[derive(Default)]
struct Sighted {
    /// True if an entry of the chain has its name.
    is_there: bool,
    is_back: bool,
    /// The description of the object that replaced it.
    replaced: Option<String>,
    /// The description of a different hash that its successor recorded.
    recorded: Option<String>,
}

/// Describes the object that replaced a digest with this hash; `None` if it is the same.
fn replaced(whole: &LoadedEntry<'_>, sha256: Option<&Sha256Hash>) -> Option<String> {
    let differs = |found: Sha256Hash| sha256.is_some_and(|sha256| found != *sha256);
    if let Some(digest) = &whole.valid {
        let is_another = differs(digest.sha256());
        return is_another.then(|| format!("another one stands there, with SHA-256 {}", digest.sha256()));
    }
    match &whole.entry.state {
        EntryState::Rejected(digest) => match digest.sha256 {
            Some(found) if differs(found) => Some(format!("another one stands there, with SHA-256 {found}")),
            None if digest.rejection.status == DigestStatus::Invalid => {
                Some(format!("what stands there is no digest: it {}", digest.rejection.detail))
            }
            _ => None,
        },
        EntryState::Absent(_, Absence::Missing) => Some("it is gone, and no lifecycle rule explains that".to_owned()),
        EntryState::Valid(_) | EntryState::Absent(..) => None,
    }
}
