//! A finding in the form that other systems take: what is wrong, how severe it is, and which object
//! or chain it concerns.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Acknowledgement, BagStatus, ChainId, DigestStatus, Fault, FindingId, LogFileStatus, ObjectRef, Sha256Hash,
    TamperingOutcome, WarningCode,
};
use crate::records::{EventReference, EventSummary, Record, format_time as time};

/// The number of problems of a bag that a finding spells out.
const SHOWN_PROBLEMS: usize = 5;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The object or chain is not what CloudTrail delivered.
    Violation,
    /// It could not be determined whether something is wrong.
    Open,
    /// A proven event weakens logging or the protection of the logs. The logs themselves are not at fault.
    Event,
    /// A fact that is worth knowing, and no fault.
    Note,
}

/// A result that a reader has to look at.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The fault, the gap's cause, the rule of tampering or the warning's code.
    pub rule: Cow<'static, str>,
    /// The severity of the finding.
    pub severity: Severity,
    /// A description in a few words.
    pub title: String,
    /// The title with the details that are known.
    pub message: String,
    /// The object that the finding concerns.
    pub object: Option<ObjectRef>,
    /// The chain that the finding concerns.
    pub chain: Option<Arc<ChainId>>,
    /// The recorded and the actual SHA-256 of a log file.
    pub hashes: Option<(Option<Sha256Hash>, Option<Sha256Hash>)>,
    /// The begin of a gap, which identifies it, or the time of an event.
    pub from: Option<Timestamp>,
    /// The time at which the run began that first reported the finding, if that was an earlier one.
    pub since: Option<Timestamp>,
    /// The acknowledgement of the finding, if somebody has acknowledged it.
    pub acknowledged: Option<Acknowledgement>,
    /// The identifier of the finding in its record.
    pub record_id: Option<FindingId>,
}

impl Finding {
    /// Creates the finding of a record; `None` if the record has nothing to look at.
    pub fn of(record: &Record) -> Option<Self> {
        Some(match record {
            Record::Digest(digest) if digest.status != DigestStatus::Valid => {
                let title = format!("{} digest file", digest.status);
                Self {
                    rule: digest.fault.map_or("malformed", Fault::as_str).into(),
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
                    since: digest.history.since,
                    acknowledged: digest.history.acknowledged.clone(),
                    record_id: digest.id,
                }
            }
            Record::LogFile(file) if file.status != LogFileStatus::Intact => {
                let title = format!("{} log file", file.status);
                Self {
                    rule: file.fault.map_or("not_listed", Fault::as_str).into(),
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
                    since: file.history.since,
                    acknowledged: file.history.acknowledged.clone(),
                    record_id: file.id,
                }
            }
            Record::Bag(bag) if bag.status == BagStatus::Altered => {
                let title = "altered evidence bag".to_owned();
                let problems = bag.problems.iter().take(SHOWN_PROBLEMS);
                let shown: Vec<String> = problems.map(|found| format!("{}: {}", found.path, found.problem)).collect();
                let more = bag.problems.len().saturating_sub(SHOWN_PROBLEMS);
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                Self {
                    rule: "bag_altered".into(),
                    severity: Severity::Violation,
                    message: format!("{title} {}: {}{more}", bag.path, shown.join("; ")),
                    title,
                    object: None,
                    chain: None,
                    hashes: None,
                    from: None,
                    since: None,
                    acknowledged: None,
                    record_id: None,
                }
            }
            Record::Gap(gap) => Self {
                rule: gap.cause.as_str().into(),
                severity: match gap.cause {
                    cause if cause.is_violation() => Severity::Violation,
                    cause if cause.is_finding() => Severity::Open,
                    _ => Severity::Note,
                },
                title: format!("not covered by digest files: {}", gap.cause),
                message: format!("{} to {}: {}", time(gap.from), time(gap.to), gap.detail),
                object: None,
                chain: Some(gap.chain.clone()),
                hashes: None,
                from: Some(gap.from),
                since: gap.history.since,
                acknowledged: gap.history.acknowledged.clone(),
                record_id: gap.id,
            },
            Record::Chain(chain) => {
                let fault = chain.fault?;
                Self {
                    rule: fault.as_str().into(),
                    severity: Severity::Violation,
                    title: format!("chain of digest files: {fault}"),
                    message: chain.detail.clone().unwrap_or_default(),
                    object: None,
                    chain: Some(chain.chain.clone()),
                    hashes: None,
                    from: None,
                    since: chain.history.since,
                    acknowledged: chain.history.acknowledged.clone(),
                    record_id: chain.id,
                }
            }
            Record::Tampering(tampering) => {
                let EventReference { summary, bucket, key } = &tampering.event;
                let EventSummary { event_name, event_time, .. } = summary;
                let (what, severity) = match tampering.outcome {
                    TamperingOutcome::Succeeded => ("event of tampering", Severity::Event),
                    TamperingOutcome::Attempted => ("attempt of tampering", Severity::Note),
                };
                Self {
                    rule: tampering.rule.clone().into(),
                    severity,
                    title: format!("{what}: {event_name}"),
                    message: match event_time {
                        Some(at) => format!("{}: {}", time(*at), tampering.detail),
                        None => tampering.detail.clone(),
                    },
                    object: Some(ObjectRef { bucket: bucket.clone(), key: key.clone() }),
                    chain: Some(tampering.chain.clone()),
                    hashes: None,
                    from: *event_time,
                    since: None,
                    acknowledged: None,
                    record_id: tampering.id,
                }
            }
            Record::Warning(warning) => {
                let object = warning.bucket.clone().zip(warning.key.clone());
                Self {
                    rule: warning.code.as_str().into(),
                    severity: match warning.code {
                        WarningCode::KeyNotPublished => Severity::Violation,
                        _ => Severity::Note,
                    },
                    title: format!("warning: {}", warning.code),
                    message: warning.detail.clone(),
                    object: object.map(|(bucket, key)| ObjectRef { bucket, key }),
                    chain: None,
                    hashes: None,
                    from: None,
                    since: None,
                    acknowledged: None,
                    record_id: None,
                }
            }
            Record::Bag(_)
            | Record::Digest(_)
            | Record::LogFile(_)
            | Record::Run(_)
            | Record::Circumstances(_)
            | Record::Summary(_) => {
                return None;
            }
        })
    }

    /// Returns the identifier of the finding, which is the same in every run: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        let computed = || {
            let object = self.object.as_ref().map(ToString::to_string).unwrap_or_default();
            let chain = self.chain.as_ref().map(ToString::to_string).unwrap_or_default();
            FindingId::of(&["report", &self.rule, &object, &chain, &self.message])
        };
        // Warnings, and records of earlier versions, have no identifier of their own.
        self.record_id.unwrap_or_else(computed).to_string()
    }

    /// Returns whether somebody has to look at the finding: it is no mere note, and nobody has
    /// acknowledged it.
    pub fn is_alarm(&self) -> bool {
        self.severity != Severity::Note && self.acknowledged.is_none()
    }

    /// Returns the ARN of the object.
    pub fn object_arn(&self, partition: &str) -> Option<String> {
        self.object.as_ref().map(|object| format!("arn:{partition}:s3:::{}/{}", object.bucket, object.key))
    }
}

/// Returns a key that records share which differ in nothing but the object: digests and log files that
/// could not be judged for the same reason, and warnings of the same text. Reports for people group
/// them.
pub(super) fn group_of(record: &Record) -> Option<String> {
    let of_chain = |kind: &str, chain: &ChainId, fault: Option<Fault>, detail: Option<&str>| {
        let fault = fault.map_or("", Fault::as_str);
        format!("{kind}\n{chain}\n{fault}\n{}", detail.unwrap_or_default())
    };
    match record {
        Record::Digest(digest) if digest.status == DigestStatus::Unverified => {
            Some(of_chain("digest", &digest.chain, digest.fault, digest.detail.as_deref()))
        }
        Record::LogFile(file) if file.status == LogFileStatus::Unverified => {
            // The detail names the digest, which differs from hour to hour.
            let claimed = file.fault == Some(Fault::ListedByInvalidDigest);
            Some(of_chain("log file", &file.chain, file.fault, file.detail.as_deref().filter(|_| !claimed)))
        }
        Record::Warning(warning) => Some(format!("warning\n{}\n{}", warning.code, warning.detail)),
        _ => None,
    }
}

/// Returns the same key for records that also have the same history: a time or an acknowledgement of
/// one finding must not be shown for another.
pub(super) fn group_with_history(record: &Record) -> Option<String> {
    let history = record.history().map(|history| format!("{history:?}")).unwrap_or_default();
    group_of(record).map(|group| group + &history)
}

/// Describes an acknowledgement: by whom, when, and why.
pub(super) fn acknowledgement(by: &Acknowledgement) -> String {
    let who = by.by.as_deref().map_or("by somebody who gave no name".to_owned(), |name| format!("by {name}"));
    format!("{who} at {}: {}", time(by.at), by.reason)
}

/// Returns as much of a text as fits into `bytes` bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    &text[..end]
}
