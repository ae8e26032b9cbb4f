//! A finding as other systems take one: what is wrong, how grave that is, and with what.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::wire::time;
use crate::model::{ChainId, DigestStatus, Fault, GapCause, LogFileStatus, ObjectRef, Record, Sha256Hash, WarningCode};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What is there is not what CloudTrail delivered.
    Violation,
    /// Nobody can say.
    Open,
    /// Worth knowing.
    Note,
}

/// Something that a reader has to look at.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The fault, the gap's cause or the warning's code.
    pub rule: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What it is, in a few words.
    pub title: String,
    /// The title and what is known beside it.
    pub message: String,
    /// The object it is about.
    pub object: Option<ObjectRef>,
    /// The chain it is about.
    pub chain: Option<Arc<ChainId>>,
    /// The recorded and the found SHA-256 of a log file.
    pub hashes: Option<(Option<Sha256Hash>, Option<Sha256Hash>)>,
    /// Where a gap begins, by which it is known.
    pub from: Option<Timestamp>,
    /// The begin of the earlier run that told of it first.
    pub since: Option<Timestamp>,
}

impl Finding {
    /// What a record says; `None` where that is nothing to look at.
    pub fn of(record: &Record) -> Option<Self> {
        Some(match record {
            Record::Digest(digest) if digest.status != DigestStatus::Valid => {
                let title = format!("{} digest file", digest.status);
                Self {
                    rule: digest.fault.map_or("malformed", Fault::as_str),
                    severity: match digest.status {
                        DigestStatus::Unverified => Severity::Open,
                        _ => Severity::Violation,
                    },
                    message: format!("{title}: {}", digest.detail.as_deref().unwrap_or_default()),
                    title,
                    object: Some(digest.object.clone()),
                    chain: Some(digest.chain.clone()),
                    hashes: None,
                    from: None,
                    since: digest.since,
                }
            }
            Record::LogFile(file) if file.status != LogFileStatus::Intact => {
                let title = format!("{} log file", file.status);
                Self {
                    rule: file.fault.map_or("not_listed", Fault::as_str),
                    severity: match file.status {
                        LogFileStatus::Modified | LogFileStatus::Deleted => Severity::Violation,
                        _ => Severity::Open,
                    },
                    message: format!("{title}: {}", file.detail.as_deref().unwrap_or_default()),
                    title,
                    object: Some(file.object.clone()),
                    chain: Some(file.chain.clone()),
                    hashes: Some((file.expected_sha256, file.actual_sha256)),
                    from: None,
                    since: file.since,
                }
            }
            Record::Gap(gap) => Self {
                rule: gap.cause.as_str(),
                severity: match gap.cause {
                    GapCause::DigestsMissing => Severity::Violation,
                    GapCause::NotYetDelivered => Severity::Note,
                    _ => Severity::Open,
                },
                title: format!("not covered by digest files: {}", gap.cause),
                message: format!("{} to {}: {}", time(gap.from), time(gap.to), gap.detail),
                object: None,
                chain: Some(gap.chain.clone()),
                hashes: None,
                from: Some(gap.from),
                since: gap.since,
            },
            Record::Chain(chain) => {
                let fault = chain.fault?;
                Self {
                    rule: fault.as_str(),
                    severity: Severity::Violation,
                    title: format!("chain of digest files: {fault}"),
                    message: chain.detail.clone().unwrap_or_default(),
                    object: None,
                    chain: Some(chain.chain.clone()),
                    hashes: None,
                    from: None,
                    since: chain.since,
                }
            }
            Record::Warning(warning) => {
                let object = warning.bucket.clone().zip(warning.key.clone());
                Self {
                    rule: warning.code.as_str(),
                    severity: match warning.code {
                        WarningCode::BagAltered => Severity::Violation,
                        _ => Severity::Note,
                    },
                    title: format!("warning: {}", warning.code),
                    message: warning.detail.clone(),
                    object: object.map(|(bucket, key)| ObjectRef { bucket, key }),
                    chain: None,
                    hashes: None,
                    from: None,
                    since: None,
                }
            }
            Record::Digest(_) | Record::LogFile(_) | Record::Run(_) | Record::Circumstances(_) | Record::Summary(_) => {
                return None;
            }
        })
    }

    /// What the same finding is called from run to run: 32 hexadecimal digits.
    pub fn id(&self) -> String {
        let object = self.object.as_ref().map(ToString::to_string);
        let chain = self.chain.as_ref().map(ToString::to_string);
        let what = object.or_else(|| self.from.map(time)).unwrap_or_else(|| self.message.clone());
        let name = format!("{}\n{}\n{what}", self.rule, chain.unwrap_or_default());
        hex::encode(&Sha256::digest(name)[..16])
    }

    /// The object's ARN.
    pub fn object_arn(&self, partition: &str) -> Option<String> {
        self.object.as_ref().map(|object| format!("arn:{partition}:s3:::{}/{}", object.bucket, object.key))
    }
}

/// As much of a text as fits into so many bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    &text[..end]
}
