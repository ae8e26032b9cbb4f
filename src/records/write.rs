//! Writing records as JSON.

use std::io::{self, Write};

use super::v2::{Line, Record};

/// Writes a record as one JSON object, without a line break after it.
///
/// # Errors
///
/// Fails if `out` can't be written to.
pub fn write_record(record: &Record, out: impl Write) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &Line::from(record))?)
}
