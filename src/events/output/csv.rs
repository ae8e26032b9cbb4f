//! Rows for spreadsheets. Cells that a spreadsheet would take for a formula get an apostrophe in front.

use std::borrow::Cow;
use std::io::{self, Write};

use super::Proof;
use crate::events::event::Event;
use crate::model::spreadsheet_cell;

/// The columns before those of the proof, with the path of each in the record.
const FIELDS: [(&str, &str); 15] = [
    ("event_source", "eventSource"),
    ("event_name", "eventName"),
    ("aws_region", "awsRegion"),
    ("identity_type", "userIdentity.type"),
    ("arn", "userIdentity.arn"),
    ("user_name", "userIdentity.userName"),
    ("access_key_id", "userIdentity.accessKeyId"),
    ("source_ip", "sourceIPAddress"),
    ("user_agent", "userAgent"),
    ("error_code", "errorCode"),
    ("error_message", "errorMessage"),
    ("read_only", "readOnly"),
    ("resources", "resources"),
    ("request_parameters", "requestParameters"),
    ("response_elements", "responseElements"),
];
const BEFORE: [&str; 4] = ["event_time", "account", "event_id", "category"];
const PROOF: [&str; 5] = ["bucket", "key", "sha256", "digest", "index"];

pub(super) fn header() -> String {
    let fields = FIELDS.iter().map(|(column, _)| *column);
    let columns: Vec<&str> = BEFORE.into_iter().chain(fields).chain(PROOF).collect();
    format!("{}\n", columns.join(","))
}

pub(super) fn write(event: &Event<'_>, proof: &Proof<'_>, out: &mut dyn Write) -> io::Result<()> {
    let account = event.account().unwrap_or(Cow::Borrowed(proof.account));
    let mut cells = vec![event.time_text(), Some(account), event.id(), event.category()];
    cells.extend(FIELDS.iter().map(|(_, path)| event.at(path)));
    let (sha256, index) = (proof.sha256.to_string(), proof.index.to_string());
    let of_proof = [proof.bucket, proof.key, &sha256, proof.digest, &index];
    cells.extend(of_proof.map(|cell| Some(Cow::Borrowed(cell))));
    // A row has no need of the writer's usual 8 KiB.
    let mut row = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(out);
    row.write_record(cells.iter().map(|cell| spreadsheet_cell(cell.as_deref().unwrap_or_default()).into_owned()))?;
    row.flush()
}
