//! The records of digests.

use crate::audit::coverage::examined_chain::JudgedChain;
use crate::audit::coverage::expiry::Explanation;
use crate::audit::digests::entry::{Absence, EntryState, LoadedEntry};
use crate::audit::emit::step::{Step, record_step};
use crate::audit::log_files::content::READ_UNCOMPRESSED;
use crate::audit::shared::context::Context;
use crate::model::{DigestStatus, Fault, WarningCode};
use crate::records::{DigestRecord, History, Record, WarningRecord};
use crate::verify::{ValidDigest, limits};

/// Returns the record of a digest and its warnings; nothing for one that is reported as a gap only.
pub(crate) fn digest_steps(chain: &JudgedChain, digest: &LoadedEntry<'_>, context: &Context) -> Vec<Step> {
    let Some(record) = digest_record(chain, digest, context) else { return Vec::new() };
    let warnings = warnings(digest).into_iter().map(Record::Warning);
    [Record::Digest(record)].into_iter().chain(warnings).map(record_step).collect()
}

/// Returns the record of a digest; `None` for one that may still come, has expired or has an
/// unknown fate, and is reported as a gap only.
fn digest_record(chain: &JudgedChain, whole: &LoadedEntry<'_>, context: &Context) -> Option<DigestRecord> {
    let LoadedEntry { entry, object, valid } = whole;
    let mut record = DigestRecord {
        id: None,
        status: DigestStatus::Valid,
        kind: entry.kind,
        chain: chain.id.clone(),
        object: object.clone().into_owned(),
        start: entry.start(),
        end: entry.end(),
        sha256: None,
        fault: None,
        detail: None,
        signature_from: None,
        versions: entry.remarks.as_ref().and_then(|remarks| remarks.versions.clone()),
        history: History::default(),
    };
    if let Some(digest) = valid {
        record.sha256 = Some(digest.sha256());
        record.signature_from = Some(digest.signature_from());
    }
    match &entry.state {
        EntryState::Valid(_) => {
            let is_uncompressed = entry.remarks.as_ref().is_some_and(|remarks| remarks.is_uncompressed);
            record.detail = is_uncompressed.then(|| READ_UNCOMPRESSED.to_owned());
        }
        EntryState::Absent(
            _,
            Absence::NotYetDelivered | Absence::Expired | Absence::BeforeFirst | Absence::Unexplained,
        ) => {
            return None;
        }
        EntryState::Absent(object, Absence::Missing) => {
            record.status = DigestStatus::Missing;
            record.fault = Some(Fault::NotFound);
            let by = match &context.resume {
                Some(resume) if resume.was_verified(object) => "an earlier run verified it",
                _ => "its successor names it",
            };
            let mut detail = format!("{by}; {}", context.store.absence());
            if let Explanation::Hint(hint) = chain.expiry.of_digest(object, entry.end()) {
                detail += &format!("; {hint}");
            }
            record.detail = Some(detail);
        }
        EntryState::Rejected(digest) => {
            record.status = digest.rejection.status;
            record.sha256 = digest.sha256;
            record.fault = Some(digest.rejection.fault);
            let unnamed = digest.claims.saturating_sub(limits::MAX_NAMED_CLAIMS);
            let rest = if unnamed == 0 {
                String::new()
            } else {
                format!(
                    "; it lists {} log files, of which no more than {} are named",
                    digest.claims,
                    digest.claims - unnamed
                )
            };
            record.detail = Some(format!("{}{rest}", digest.rejection.detail));
        }
    }
    Some(record)
}

fn warnings(whole: &LoadedEntry<'_>) -> Vec<WarningRecord> {
    let LoadedEntry { entry, object, valid } = whole;
    let about = |code, detail: String| WarningRecord {
        code,
        bucket: Some(object.bucket.clone()),
        key: Some(object.key.clone()),
        detail,
    };
    let mut warnings = Vec::new();
    if entry.remarks.as_ref().is_some_and(|remarks| remarks.restarts) {
        let detail = "it is a starting digest, and begins less than 30 minutes after the digest before it ends: the \
                      chain was begun anew, and no link joins the two";
        warnings.push(about(WarningCode::ChainRestarted, detail.to_owned()));
    }
    if let Some(note) = entry.remarks.as_ref().and_then(|remarks| remarks.note.clone()) {
        warnings.push(about(WarningCode::MetadataUnreadable, note));
    }
    if valid.as_ref().is_some_and(ValidDigest::was_touched) {
        let detail = "the signature in its metadata is gone or changed; the one that its successor recorded proves the \
                      digest. CloudTrail does not do that: someone touched this object";
        warnings.push(about(WarningCode::ObjectTouched, detail.to_owned()));
    }
    if let EntryState::Rejected(digest) = &entry.state
        && digest.lost_signature
    {
        let detail = "its metadata holds no signature. CloudTrail does not do that: someone touched this object";
        warnings.push(about(WarningCode::ObjectTouched, detail.to_owned()));
    }
    if let EntryState::Rejected(digest) = &entry.state
        && digest.rejection.disputed
    {
        warnings.push(about(WarningCode::WitnessesDisagree, digest.rejection.detail.clone()));
    }
    warnings
}
