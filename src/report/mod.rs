//! Reports: one file per output format. They depend on [`crate::records`] and
//! [`crate::model`] alone.

mod annotations;
mod asff;
mod brief;
mod csv;
mod custody;
mod emf;
mod estimate;
mod finding;
mod json;
mod jsonl;
mod junit;
mod ocsf;
mod prometheus;
mod sarif;
mod tampering;
mod text;
mod text_findings;
mod text_style;
mod text_table;
mod text_verdict;
mod text_wrap;

use std::io;

pub use annotations::Annotations;
pub use asff::Asff;
pub use brief::Brief;
pub use csv::Csv;
pub use custody::{CustodyHtml, CustodyJson, InToto, Made, Origin, PAYLOAD_TYPE, SignEnvelope};
pub use emf::Emf;
pub use estimate::{estimate_json, estimate_text};
pub use finding::{Finding, Severity};
pub use json::Json;
pub use jsonl::Jsonl;
pub use junit::Junit;
pub use ocsf::Ocsf;
pub use prometheus::Prometheus;
pub use sarif::Sarif;
pub use tampering::Tampering;
pub use text::{Text, TextOptions};
#[cfg(feature = "cli")]
pub(crate) use text_style::counted;

use crate::model::WarningCode;
use crate::records::Record;

/// A report that is being written: it takes the records of one run in their order.
pub trait Report {
    /// Takes one record.
    fn record(&mut self, record: &Record) -> io::Result<()>;

    /// Writes the rest of the report, after the last record.
    fn finish(&mut self) -> io::Result<()>;
}

/// Returns whether a record counts for the chain whose record comes next: not one of a bag, of a
/// key, or of an object in the folder of no region.
fn belongs_to_chain(record: &Record) -> bool {
    match record {
        Record::Bag(_) => false,
        Record::LogFile(file) => file.chain.region.known().is_some(),
        Record::Warning(warning) => warning.code != WarningCode::KeyNotPublished,
        _ => true,
    }
}

/// The words for a run that was stopped, in reports that have nothing else to say so.
const INTERRUPTED: &str = "the run was stopped before its end, and says nothing of the rest";

/// Writes a command line so that a POSIX shell takes it for the same words.
pub fn quoted(words: &[impl AsRef<str>]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    let quote = |word: &str| match word.bytes().all(is_plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}
