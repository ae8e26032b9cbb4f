//! The content of one log file: reading it, and comparing it with what digests recorded.

use crate::model::{Fault, LogFileStatus, Sha256Hash};
use crate::verify::{Content, ExpectedHash};

/// The judgement of a log file, without its name.
pub(crate) struct Judgement {
    pub status: LogFileStatus,
    pub fault: Option<Fault>,
    pub detail: Option<String>,
    pub actual: Option<Sha256Hash>,
    pub size: Option<u64>,
}

impl Judgement {
    pub(crate) fn not_read(status: LogFileStatus, fault: Fault, detail: String) -> Self {
        Self { status, fault: Some(fault), detail: Some(detail), actual: None, size: None }
    }
}

/// The detail of an object that a copy holds uncompressed.
pub(crate) const READ_UNCOMPRESSED: &str = "read from the uncompressed file that the copy has in its place";

/// Returns whether this is the content that digests expect.
pub(crate) fn is_intact(content: &Content, expected: &[ExpectedHash]) -> bool {
    compare(content, expected).status == LogFileStatus::Intact
}

/// Compares the content that was read with the hashes that digests expect.
pub(crate) fn compare(content: &Content, expected: &[ExpectedHash]) -> Judgement {
    let judged = |status, fault, detail: Option<String>| Judgement {
        status,
        fault,
        detail,
        actual: content.sha256,
        size: Some(content.size),
    };
    let known: Vec<&Sha256Hash> = expected
        .iter()
        .filter_map(|hash| match hash {
            ExpectedHash::Sha256(hash) => Some(hash),
            ExpectedHash::Unknown(_) => None,
        })
        .collect();
    let unknown = expected.iter().find_map(|hash| match hash {
        ExpectedHash::Unknown(reason) => Some(reason.clone()),
        ExpectedHash::Sha256(_) => None,
    });
    if let (true, Some(reason)) = (known.is_empty(), &unknown) {
        return judged(LogFileStatus::Unverified, Some(Fault::UnknownHashAlgorithm), Some(reason.clone()));
    }
    if content.fault == Some(Fault::TooLarge) {
        let detail = "it decompresses to more than --max-log-file-size: raise that to have it judged".to_owned();
        return Judgement::not_read(LogFileStatus::Unverified, Fault::TooLarge, detail);
    }
    if let Some(fault) = content.fault {
        let (status, detail) = match fault {
            Fault::NotGzip => (LogFileStatus::Modified, "it is not gzip"),
            Fault::Truncated if content.size == 0 => (LogFileStatus::Modified, "it is empty"),
            Fault::Truncated => (LogFileStatus::Modified, "its gzip stream ends early: it was cut short"),
            Fault::TrailingData => (LogFileStatus::Modified, "bytes follow the end of its gzip stream"),
            _ => (LogFileStatus::Modified, "its gzip stream is corrupt"),
        };
        return judged(status, Some(fault), Some(detail.to_owned()));
    }
    match known.iter().find(|hash| content.sha256.as_ref() != Some(**hash)) {
        Some(other) if known.len() > 1 => {
            let detail = format!("valid digests recorded different hashes for it, among them {other}");
            judged(LogFileStatus::Modified, Some(Fault::HashMismatch), Some(detail))
        }
        Some(_) => {
            let also = uncompressed(content).map(|detail| format!("; {detail}")).unwrap_or_default();
            let detail = format!("its content is not what the digest recorded{also}");
            judged(LogFileStatus::Modified, Some(Fault::HashMismatch), Some(detail))
        }
        None => match unknown {
            Some(reason) => judged(LogFileStatus::Unverified, Some(Fault::UnknownHashAlgorithm), Some(reason)),
            None => judged(LogFileStatus::Intact, None, uncompressed(content)),
        },
    }
}

/// Returns the note about a file that a copy has in place of the compressed one.
fn uncompressed(content: &Content) -> Option<String> {
    content.is_uncompressed.then(|| READ_UNCOMPRESSED.to_owned())
}
