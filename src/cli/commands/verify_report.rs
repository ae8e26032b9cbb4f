//! The check of a report: of its signature, and of its content against the records.

use std::io::{BufReader, Write as _};
use std::path::Path;

use super::report::{failure, open, sha256_of};
use crate::cli::args::VerifyReportArgs;
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::model::{exit_code, printable};
use crate::records::{ReadError, read_records};
use crate::report::{Made, Origin};
use crate::sign::{Checked, CheckedEnvelope, KnownSigners, check, check_envelope, signature_path};

/// The result of a check, in ascending order of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Good,
    Open,
    Bad,
}

impl Outcome {
    fn exit_code(self) -> u8 {
        match self {
            Self::Good => exit_code::VERIFIED,
            Self::Bad => exit_code::VIOLATED,
            Self::Open => exit_code::INCONCLUSIVE,
        }
    }
}

/// Checks a report, and returns the resulting exit code.
pub(crate) fn verify_report(args: &VerifyReportArgs) -> Result<u8, Failure> {
    let report = &args.report;
    let content = std::fs::read(report)
        .map_err(|error| Failure::Usage(format!("the report {} can't be read: {error}", report.display())))?;
    let known = args.signer.as_deref().map(KnownSigners::open).transpose()?;
    let signature = args.signature.clone().unwrap_or_else(|| signature_path(report));
    let mut lines: Vec<(Outcome, String)> = Vec::new();
    let envelope = check_envelope(&content, known.as_ref());
    let has_file = signature.exists() || args.signature.is_some();
    if let Some(envelope) = envelope.as_ref().filter(|_| !has_file) {
        lines.push(envelope_line(envelope));
    } else if has_file || args.signer.is_some() {
        lines.push(match check(report, Some(&signature), known.as_ref())? {
            Checked::Good { name, fingerprint } => {
                (Outcome::Good, format!("signed by {name} with key {fingerprint}, and unchanged since"))
            }
            Checked::Unknown { fingerprint } if known.is_some() => {
                (Outcome::Bad, format!("signed with key {fingerprint}, which is not one of the known signers"))
            }
            Checked::Unknown { fingerprint } => (
                Outcome::Open,
                format!("signed with key {fingerprint}, and unchanged since; whose key that is, --signer has to tell"),
            ),
            Checked::Bad => {
                (Outcome::Bad, "the signature does not fit: the report or the signature was changed, or the signature is of another file or purpose".to_owned())
            }
        });
    } else {
        let place = signature.display();
        lines.push((Outcome::Open, format!("not signed: there is no {place}")));
    }
    if let Some(envelope) = envelope.filter(|envelope| has_file && *envelope != CheckedEnvelope::Unsigned) {
        lines.push(envelope_line(&envelope));
    }
    let signed = lines.iter().any(|(_, line)| !line.starts_with("not signed"));
    lines.extend(compare(report, &content, args.records.as_deref(), signed)?);
    let worst = lines.iter().map(|(outcome, _)| *outcome).max().unwrap_or(Outcome::Open);
    let mut out = std::io::stdout();
    for (outcome, line) in lines {
        let mark = match outcome {
            Outcome::Good => "ok   ",
            Outcome::Open => "open ",
            Outcome::Bad => "BAD  ",
        };
        writeln!(out, "{mark} {}", printable(&line)).map_err(|error| cannot_write_standard(&error))?;
    }
    Ok(worst.exit_code())
}

/// Describes the result of checking the signatures that an envelope contains.
fn envelope_line(envelope: &CheckedEnvelope) -> (Outcome, String) {
    let by =
        |key_ids: &[String]| if key_ids.is_empty() { String::new() } else { format!(" with {}", key_ids.join(", ")) };
    match envelope {
        CheckedEnvelope::Unsigned => (Outcome::Open, "not signed: the envelope holds no signature".to_owned()),
        CheckedEnvelope::Good { name, fingerprint } => {
            (Outcome::Good, format!("the envelope is signed by {name} with key {fingerprint}, and unchanged since"))
        }
        CheckedEnvelope::Bad { key_ids } => {
            let what =
                format!("the envelope says that it is signed{}, and no known signer's key verifies that", by(key_ids));
            (Outcome::Bad, what)
        }
        CheckedEnvelope::Unknown { key_ids } => {
            let what = format!("the envelope says that it is signed{}; --signer checks that", by(key_ids));
            (Outcome::Open, what)
        }
    }
}

/// Compares a report with the one that results from its records.
fn compare(
    report: &Path,
    content: &[u8],
    records: Option<&Path>,
    signed: bool,
) -> Result<Option<(Outcome, String)>, Failure> {
    let Some(made) = Made::recognise(content) else {
        return Ok(match read_records(content, |_| Ok(())) {
            Ok(summary) => match records {
                Some(path) if sha256_of(path)? != sha256_of(report)? => {
                    let what = format!("these are other records than those in {}", path.display());
                    Some((Outcome::Bad, what))
                }
                Some(path) => Some((Outcome::Good, format!("the same records as those in {}", path.display()))),
                None => Some((Outcome::Good, format!("records of a whole run; verdict {}", summary.verdict))),
            },
            Err(error @ (ReadError::Contradiction { .. } | ReadError::Verdict { .. })) => {
                Some((Outcome::Bad, error.to_string()))
            }
            // Not every kind of report names the records that it was made from; the signature of
            // such a report has to suffice.
            Err(_) if signed && records.is_none() => None,
            Err(_) if signed => {
                let why = "what it says can't be compared with records: it does not tell what it was made from";
                Some((Outcome::Open, why.to_owned()))
            }
            Err(_) => return Err(Failure::Usage(format!("{} is no report of ctverify", report.display()))),
        });
    };
    let statement = format!("says that it was made from records with SHA-256 {}", made.records_sha256);
    let Some(records) = records else {
        return Ok(Some((Outcome::Good, format!("{statement}; --records compares it with them"))));
    };
    let sha256 = sha256_of(records)?;
    if sha256 != made.records_sha256 {
        return Ok(Some((Outcome::Bad, format!("{statement}, and those of {} have {sha256}", records.display()))));
    }
    if made.version != env!("CARGO_PKG_VERSION") {
        let version = &made.version;
        let why = format!("it was made by ctverify {version}, and only that version makes it again to the letter");
        return Ok(Some((Outcome::Open, why)));
    }
    let origin = Origin { records_sha256: Some(sha256), case: made.case.clone() };
    let mut again = Vec::new();
    let mut writer = made.writer(&mut again, origin);
    read_records(BufReader::new(open(records)?), |record| writer.record(record))
        .and_then(|_| Ok(writer.finish()?))
        .map_err(|error| failure(records, &error))?;
    drop(writer);
    Ok(Some(if made.same(content, &again) {
        (Outcome::Good, format!("says what the records in {} say", records.display()))
    } else {
        (
            Outcome::Bad,
            format!("does not say what the records in {} say: made from them again, it is another", records.display()),
        )
    }))
}
