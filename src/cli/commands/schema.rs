//! The command that prints the JSON Schema of the records.

use std::io::Write as _;

use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::records;

/// Prints the JSON Schema of the records.
pub(crate) fn schema() -> Result<u8, Failure> {
    writeln!(std::io::stdout(), "{:#}", records::schema()).map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}
