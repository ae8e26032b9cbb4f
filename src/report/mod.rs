//! Reports: one file per output format. They depend on [`crate::model`] alone.

mod annotations;
mod asff;
mod brief;
mod csv;
mod custody;
mod emf;
mod escape;
mod estimate;
mod finding;
mod json;
mod jsonl;
mod junit;
mod ocsf;
mod prometheus;
mod read;
mod sarif;
mod text;
mod text_findings;
mod text_style;
mod wire;

use std::io;

pub use annotations::Annotations;
pub use asff::Asff;
pub use brief::Brief;
pub use csv::Csv;
pub use custody::{CustodyHtml, CustodyJson, InToto, Made, Origin, PAYLOAD_TYPE, SignEnvelope};
pub use emf::Emf;
pub use escape::printable;
pub use estimate::{estimate_json, estimate_text};
pub use finding::{Finding, Severity};
pub use json::Json;
pub use jsonl::Jsonl;
pub use junit::Junit;
pub use ocsf::Ocsf;
pub use prometheus::Prometheus;
pub use read::{ReadError, read_records};
pub use sarif::Sarif;
pub use text::{Text, TextOptions};

use crate::model::Record;

/// The JSON Schema of the records in the form that `--format jsonl` writes.
pub const RECORDS_SCHEMA: &str = include_str!("records.schema.json");

/// A report that is being written: it takes the records of one run in their order.
pub trait Report {
    /// Takes one record.
    fn record(&mut self, record: &Record) -> io::Result<()>;

    /// Writes the rest of the report, after the last record.
    fn finish(&mut self) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChainFault, Depth, DigestKind, DigestStatus, Fault, GapCause, LogFileStatus, Verdict};

    #[test]
    fn the_schema_lists_every_word_of_the_records() {
        let schema: serde_json::Value = serde_json::from_str(RECORDS_SCHEMA).unwrap();
        let listed = |record: &str, property: &str| -> Vec<String> {
            let words = &schema["$defs"][record]["properties"][property]["enum"];
            words.as_array().unwrap().iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let words = |all: &[&'static str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let faults: Vec<_> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
        let causes: Vec<_> = GapCause::ALL.iter().map(|cause| cause.as_str()).collect();
        for (record, property, all) in [
            ("run", "depth", Depth::ALL.iter().map(|word| word.as_str()).collect()),
            ("digest", "status", DigestStatus::ALL.iter().map(|word| word.as_str()).collect()),
            ("digest", "kind", DigestKind::ALL.iter().map(|word| word.as_str()).collect()),
            ("digest", "fault", faults.clone()),
            ("log_file", "status", LogFileStatus::ALL.iter().map(|word| word.as_str()).collect()),
            ("log_file", "fault", faults),
            ("gap", "cause", causes),
            ("chain", "fault", ChainFault::ALL.iter().map(|word| word.as_str()).collect()),
            ("summary", "verdict", Verdict::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),
        ] {
            let (mut listed, mut all) = (listed(record, property), words(&all));
            listed.sort();
            all.sort();
            assert_eq!(listed, all, "{record}.{property}");
        }
    }
}
