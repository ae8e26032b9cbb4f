//! The command that makes reports from records that were saved earlier.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::audit::Observer as _;
use crate::cli::args::RemakeArgs;
use crate::cli::evidence::{self, Signing};
use crate::cli::exit::Failure;
use crate::cli::logs;
use crate::cli::output::Reports;
use crate::cli::paths;
use crate::records::{Allowances, ReadError, read_records};
use crate::report::Origin;

/// Makes the reports that are asked for, and returns the exit code of the run that the records are
/// of.
pub(crate) fn report(args: &RemakeArgs) -> Result<u8, Failure> {
    paths::check_report(args)?;
    let standard_input = if is_standard_input(&args.records) { Some(spool()?) } else { None };
    let records_sha256 = match &standard_input {
        Some(spooled) => sha256_of_file(reopened(spooled)?, &args.records)?,
        None => sha256_of(&args.records)?,
    };
    let origin = Origin { records_sha256: Some(records_sha256), case: evidence::case(&args.reports.evidence)? };
    let signing = Signing::open(&args.reports)?;
    signing.check_use(&args.reports, false)?;
    let mut reports = Reports::open(&args.reports, &Allowances::default(), &origin, &[], Arc::new(signing))?;
    let lines = BufReader::new(match &standard_input {
        Some(spooled) => reopened(spooled)?,
        None => open(&args.records)?,
    });
    let summary = read_records(lines, |record| {
        logs::record(record);
        reports.record(record)
    })
    .map_err(|error| failure(&args.records, &error))?;
    reports.finish()?;
    Ok(summary.exit_code)
}

/// Returns whether records are to be read from standard input.
pub(in crate::cli) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Copies standard input to a temporary file, since the records are read twice.
fn spool() -> Result<NamedTempFile, Failure> {
    let spooled = || -> io::Result<NamedTempFile> {
        let mut file = NamedTempFile::new()?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        Ok(file)
    };
    spooled().map_err(|error| Failure::CannotRun(format!("the records on standard input can't be read: {error}")))
}

fn reopened(file: &NamedTempFile) -> Result<File, Failure> {
    file.reopen().map_err(|error| Failure::CannotRun(format!("the records of standard input can't be read: {error}")))
}

/// Opens a file of records.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::Usage(format!("the records {} can't be read: {error}", path.display())))
}

/// Creates the failure for an error of reading a file of records.
pub(super) fn failure(path: &Path, error: &ReadError) -> Failure {
    match error {
        ReadError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        ReadError::Io(error) => Failure::CannotRun(format!("reports of {} can't be made: {error}", path.display())),
        other => Failure::Usage(format!("the records {} can't be used: {other}", path.display())),
    }
}

/// Computes the SHA-256 of a file, in hex.
pub(super) fn sha256_of(path: &Path) -> Result<String, Failure> {
    sha256_of_file(open(path)?, path)
}

fn sha256_of_file(mut file: File, path: &Path) -> Result<String, Failure> {
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 256 * 1024]);
    loop {
        let length = file
            .read(&mut piece)
            .map_err(|error| Failure::Usage(format!("the records {} can't be read: {error}", path.display())))?;
        if length == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&piece[..length]);
    }
}
