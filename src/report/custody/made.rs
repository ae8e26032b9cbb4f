//! A custody report that was made earlier: its kind, and the inputs from which it was made.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::super::Report;
use super::{CustodyHtml, CustodyJson, InToto, Origin};
use crate::records::CaseInfo;

/// The origin that an earlier report records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    kind: Kind,
    /// The SHA-256 of the records from which it was made, in hex.
    pub records_sha256: String,
    /// The case as the examiner described it at that time, which takes precedence over what the
    /// records say.
    pub case: CaseInfo,
    /// The version that made it: another one may use other words.
    pub version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Json,
    InToto,
}

#[derive(Deserialize)]
struct Facts {
    schema: String,
    records: Records,
    made_with: Written,
}

#[derive(Deserialize)]
struct Records {
    sha256: String,
}

#[derive(Deserialize)]
struct Written {
    case: Option<String>,
    exhibit: Option<String>,
    examiner: Option<String>,
    notes: Vec<String>,
    version: String,
}

impl From<Written> for CaseInfo {
    fn from(written: Written) -> Self {
        let Written { case, exhibit, examiner, notes, .. } = written;
        Self { case, exhibit, examiner, notes }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
}

#[derive(Deserialize)]
struct Statement {
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Predicate {
    ctverify: InTotoFacts,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoFacts {
    records_sha256: String,
    made_with: Written,
}

/// The tags around the part of a page that records its origin.
const ORIGIN: (&str, &str) = ("<script type=\"application/json\" id=\"origin\">", "</script>");

impl Made {
    /// Recognises a report by its content.
    pub fn recognise(content: &[u8]) -> Option<Self> {
        let read = |kind, facts: Facts| {
            let known = facts.schema == super::facts::SCHEMA;
            known.then(|| Self {
                kind,
                records_sha256: facts.records.sha256,
                version: facts.made_with.version.clone(),
                case: facts.made_with.into(),
            })
        };
        if let Ok(facts) = serde_json::from_slice::<Facts>(content) {
            return read(Kind::Json, facts);
        }
        if let Ok(envelope) = serde_json::from_slice::<Envelope>(content) {
            let statement: Statement = serde_json::from_slice(&STANDARD.decode(envelope.payload).ok()?).ok()?;
            let InTotoFacts { records_sha256, made_with } = statement.predicate.ctverify;
            let version = made_with.version.clone();
            return Some(Self { kind: Kind::InToto, records_sha256, version, case: made_with.into() });
        }
        let page = std::str::from_utf8(content).ok()?.strip_prefix("<!DOCTYPE html>")?;
        let origin = page.split_once(ORIGIN.0)?.1.split_once(ORIGIN.1)?.0;
        read(Kind::Html, serde_json::from_str(origin).ok()?)
    }

    /// Returns a writer that makes the report again.
    pub fn writer<'a, W: Write + 'a>(&self, out: W, origin: Origin) -> Box<dyn Report + 'a> {
        match self.kind {
            Kind::Html => Box::new(CustodyHtml::new(out, origin)),
            Kind::Json => Box::new(CustodyJson::new(out, origin)),
            Kind::InToto => Box::new(InToto::new(out, origin, None)),
        }
    }

    /// Returns whether two reports have the same content. The signatures of an envelope do not
    /// count as content.
    pub fn same(&self, one: &[u8], other: &[u8]) -> bool {
        if self.kind != Kind::InToto {
            return one == other;
        }
        let payload = |bytes| serde_json::from_slice::<Envelope>(bytes).ok().map(|envelope| envelope.payload);
        payload(one).is_some_and(|one| payload(other) == Some(one))
    }
}
