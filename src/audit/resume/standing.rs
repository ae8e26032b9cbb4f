//! Violations that earlier runs reported, in the records of a run that could not judge them again.

use std::sync::Arc;

use crate::model::{ChainFault, ChainId, DigestStatus, ObjectRef, Open, OpenPoint, earlier};
use crate::records::{ChainRecord, DigestRecord, History, LogFileRecord};

/// Returns the object of an open point, and whether it is a digest.
pub(crate) fn name_of(point: &OpenPoint) -> Option<(ObjectRef, bool)> {
    match &point.what {
        Open::Digest { object, .. } => Some((object.clone(), true)),
        Open::LogFile { object, .. } | Open::Unlisted { object } => Some((object.clone(), false)),
        Open::Gap { .. } | Open::Contradicted { .. } | Open::TailCut => None,
    }
}

/// Returns the status of an object that a run reported.
pub(crate) fn status_of(point: &OpenPoint) -> Option<&'static str> {
    match &point.what {
        Open::Digest { status, .. } => Some(status.as_str()),
        Open::LogFile { status, .. } => Some(status.as_str()),
        Open::Unlisted { .. } | Open::Gap { .. } | Open::Contradicted { .. } | Open::TailCut => None,
    }
}

/// States a violation of an earlier run in the record of a digest that could not be judged again.
pub(crate) fn restate_digest(record: &mut DigestRecord, point: &OpenPoint) {
    let Open::Digest { status, fault, sha256, .. } = &point.what else { return };
    let reason = record.detail.take().unwrap_or_default();
    record.detail = Some(format!("{}, and could not be judged again: it {reason}", found_earlier(*status)));
    (record.status, record.fault, record.sha256, record.id) = (*status, *fault, *sha256, Some(point.id));
}

/// States a violation of an earlier run in the record of a log file that could not be judged again.
pub(crate) fn restate_log_file(record: &mut LogFileRecord, point: &OpenPoint) {
    let Open::LogFile { status, fault, actual, size, .. } = &point.what else { return };
    let reason = record.detail.take().unwrap_or_default();
    record.detail = Some(format!("an earlier run found it {status}, and it could not be judged again: {reason}"));
    (record.status, record.fault, record.id) = (*status, *fault, Some(point.id));
    (record.actual_sha256, record.size) = (*actual, *size);
}

/// States in the record of a chain that an earlier run found its tail cut.
pub(crate) fn restate_cut_tail(record: &mut ChainRecord, point: &OpenPoint) {
    record.fault = Some(ChainFault::TailCut);
    record.id = Some(point.id);
    record.detail = Some(
        "an earlier run found that the newest digests were removed, and this run could not ask CloudTrail about the \
         last delivery or could not list the digests"
            .to_owned(),
    );
}

/// Returns the begin of the detail of a digest; that of an invalid one follows the words "the digest".
fn found_earlier(status: DigestStatus) -> String {
    let subject = if status == DigestStatus::Missing { "it " } else { "" };
    format!("{subject}was found {status} by an earlier run")
}

/// Returns the record of a violated digest that a run does not look at.
pub(crate) fn digest_record(chain: &Arc<ChainId>, point: &OpenPoint) -> Option<DigestRecord> {
    let Open::Digest { object, kind, end, status, fault, sha256, .. } = &point.what else { return None };
    Some(DigestRecord {
        id: Some(point.id),
        status: *status,
        kind: *kind,
        chain: chain.clone(),
        object: object.clone(),
        start: earlier(*end, jiff::SignedDuration::from_hours(1)),
        end: *end,
        sha256: *sha256,
        fault: *fault,
        detail: Some(format!("{}, and this run did not look at it again", found_earlier(*status))),
        signature_from: None,
        versions: None,
        history: History::default(),
    })
}

/// Returns the record of a violated log file that a run does not look at.
pub(crate) fn log_file_record(chain: &Arc<ChainId>, point: &OpenPoint) -> Option<LogFileRecord> {
    let Open::LogFile { object, digest, sha256, status, fault, actual, size } = &point.what else { return None };
    Some(LogFileRecord {
        id: Some(point.id),
        status: *status,
        chain: chain.clone(),
        object: object.clone(),
        digest: Some(digest.clone()),
        expected_sha256: *sha256,
        actual_sha256: *actual,
        size: *size,
        fault: *fault,
        detail: Some(format!("an earlier run found it {status}, and this run did not look at it again")),
        versions: None,
        history: History::default(),
    })
}
