//! The result as an in-toto statement in a DSSE envelope: the verified files and the verdict, in a
//! form that other tools can process.
//!
//! Statement v1 (github.com/in-toto/attestation, spec/v1/statement.md), predicate "Verification
//! Summary" (slsa.dev/verification_summary/v1), envelope and pre-authentication encoding as defined
//! by DSSE v1 (github.com/secure-systems-lab/dsse). The SHA-256 of a subject is that of the
//! uncompressed content, as in the digest files.

use std::io::{self, Seek, SeekFrom, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::SpooledTempFile;

use super::super::Report;
use super::facts::{Gathering, Origin};
use crate::debug::opaque_debug;
use crate::model::LogFileStatus;
use crate::records::Record;

/// The type of the payload of an envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/verification_summary/v1";

/// The number of bytes of the subjects that are kept in memory.
const SPOOL_BYTES: usize = 4 * 1024 * 1024;

/// A signer of the pre-authentication encoding of an envelope.
pub trait SignEnvelope {
    /// Returns the signature, and the name of the key that made it.
    fn sign(&self, encoded: &[u8]) -> io::Result<(Vec<u8>, String)>;
}

/// The result as an in-toto statement.
pub struct InToto<W> {
    out: W,
    gathering: Gathering,
    subjects: SpooledTempFile,
    any: bool,
    signer: Option<Box<dyn SignEnvelope>>,
}

opaque_debug!(InToto<W>);

impl<W: Write> InToto<W> {
    /// Creates a report that is written to `out`; without a signer, the envelope has no signature.
    pub fn new(out: W, origin: Origin, signer: Option<Box<dyn SignEnvelope>>) -> Self {
        let subjects = SpooledTempFile::new(SPOOL_BYTES);
        Self { out, gathering: Gathering::new(origin), subjects, any: false, signer }
    }
}

impl<W: Write> Report for InToto<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.gathering.take(record)?;
        let (object, hash) = match record {
            Record::LogFile(file) if file.status == LogFileStatus::Intact => (&file.object, file.actual_sha256),
            Record::Digest(digest) if digest.fault.is_none() => (&digest.object, digest.sha256),
            _ => return Ok(()),
        };
        if let Some(hash) = hash {
            if self.any {
                self.subjects.write_all(b",")?;
            }
            self.any = true;
            let subject = json!({ "name": object.to_string(), "digest": { "sha256": hash.to_string() } });
            serde_json::to_writer(&mut self.subjects, &subject)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let facts = self.gathering.facts()?;
        let passed = facts.verdict.word == "verified";
        let predicate = json!({
            "verifier": { "id": "https://crates.io/crates/ctverify", "version": { "ctverify": facts.examination.version } },
            "timeVerified": facts.examination.finished,
            "resourceUri": facts.examination.trail_arn.as_ref().unwrap_or(&facts.examination.source),
            "policy": { "uri": "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html" },
            "verificationResult": if passed { "PASSED" } else { "FAILED" },
            "verifiedLevels": if passed { vec!["CTVERIFY_VERIFIED"] } else { Vec::new() },
            "ctverify": {
                "verdict": facts.verdict,
                "case": facts.case,
                "counts": facts.counts,
                "subjectDigestOf": "uncompressed content",
                "recordsSha256": facts.records.sha256,
                "madeWith": facts.made_with,
            },
        });
        let mut payload = format!("{{\"_type\":\"{STATEMENT}\",\"subject\":[").into_bytes();
        self.subjects.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.subjects, &mut payload)?;
        write!(payload, "],\"predicateType\":\"{PREDICATE}\",\"predicate\":{predicate}}}")?;
        let signatures = match &self.signer {
            Some(signer) => {
                let (signature, key) = signer.sign(&pre_authentication(&payload))?;
                vec![json!({ "keyid": key, "sig": STANDARD.encode(signature) })]
            }
            None => Vec::new(),
        };
        let envelope =
            json!({ "payloadType": PAYLOAD_TYPE, "payload": STANDARD.encode(&payload), "signatures": signatures });
        writeln!(self.out, "{envelope}")?;
        self.out.flush()
    }
}

/// Returns DSSE's pre-authentication encoding of a payload, which is the content that is signed.
fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}
