//! The command that prints the JSON Schema of the records.

use std::io::Write as _;

use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::report::RECORDS_SCHEMA;

/// Prints the JSON Schema of the records.
pub(crate) fn schema() -> Result<u8, Failure> {
    std::io::stdout().write_all(RECORDS_SCHEMA.as_bytes()).map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}
