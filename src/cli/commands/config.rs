//! Runs over several trails, as a configuration file has them.

use std::io::Write as _;
use std::path::Path;

use crate::cli::config::{Configured, read};
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::report::printable;

/// The exit codes, the gravest first: what is violated must not hide behind what could not run.
const GRAVITY: [u8; 5] = [130, 1, 4, 3, 0];

/// Verifies each trail in turn; the exit code is that of the gravest result.
pub fn verify_configured(path: &Path) -> Result<u8, Failure> {
    let mut gravest = 0;
    for Configured { args, .. } in read(path, &words())? {
        let code = match super::verify(&args) {
            Ok(code) => code,
            Err(failure) => {
                failure.tell();
                failure.code()
            }
        };
        let rank = |code: u8| GRAVITY.iter().position(|known| *known == code).unwrap_or(0);
        if rank(code) < rank(gravest) {
            gravest = code;
        }
        if code == INTERRUPTED {
            break;
        }
    }
    Ok(gravest)
}

const INTERRUPTED: u8 = 130;

/// Says what a configuration file comes to; asks nothing of AWS.
pub fn config_check(path: &Path) -> Result<u8, Failure> {
    let configured = read(path, &["ctverify".to_owned()])?;
    let mut out = std::io::stdout().lock();
    let mut write = || {
        for Configured { name, from_file, overruled, .. } in &configured {
            writeln!(out, "{}", printable(name))?;
            for flag in from_file {
                writeln!(out, "  {}", printable(flag))?;
            }
            for flag in overruled {
                writeln!(out, "  {}  (the environment says otherwise)", printable(flag))?;
            }
        }
        let trails = if configured.len() == 1 { "1 trail".to_owned() } else { format!("{} trails", configured.len()) };
        writeln!(out, "{} is right: {trails}", path.display())
    };
    write().map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}

fn words() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}
