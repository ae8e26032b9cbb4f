//! The commands for a configuration file: a run over its trails, and its check.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use crate::bag::Bag;
use crate::cli::args::{Format, VerifyArgs};
use crate::cli::config::{Configured, read};
use crate::cli::custody::now;
use crate::cli::exit::Failure;
use crate::cli::logs;
use crate::cli::output::cannot_write_standard;
use crate::cli::secrets::without_secrets;
use crate::cli::{notifier, paths, resolve};
use crate::model::{exit_code, printable};

/// The exit codes, the gravest first: a violation must not be hidden by a trail that could not be
/// verified.
const GRAVITY: [u8; 6] = [
    exit_code::INTERRUPTED,
    exit_code::VIOLATED,
    exit_code::CANNOT_RUN,
    exit_code::USAGE,
    exit_code::INCONCLUSIVE,
    exit_code::VERIFIED,
];

/// Verifies each trail in turn; the exit code is that of the gravest result.
pub(crate) fn verify_configured(path: &Path) -> Result<u8, Failure> {
    let (mut gravest, mut says_all) = (exit_code::VERIFIED, false);
    let words: Vec<OsString> = std::env::args_os().collect();
    let configured = read(path, &words)?;
    if let Some(first) = configured.first() {
        // The file may ask for logs even if the command line does not.
        logs::begin(&first.args.reports.logs);
    }
    let several = configured.len() > 1;
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for Configured { name, args, .. } in configured {
        let titled = several && args.reports.format == Format::Text && !args.reports.quiet;
        if titled {
            writeln!(std::io::stdout(), "== {}", printable(&name)).map_err(|error| cannot_write_standard(&error))?;
        }
        let code = match super::verify(&args) {
            Ok(code) => code,
            Err(failure) => {
                let failure = failure.of(&name);
                failure.print();
                failure.code()
            }
        };
        let rank = |code: u8| GRAVITY.iter().position(|known| *known == code).unwrap_or(0);
        *counts.entry(code).or_default() += 1;
        if rank(code) < rank(gravest) {
            gravest = code;
        }
        if titled {
            writeln!(std::io::stdout()).map_err(|error| cannot_write_standard(&error))?;
            says_all = true;
        }
        if code == exit_code::INTERRUPTED {
            break;
        }
    }
    if says_all {
        let count = |code: &u8| counts.get(code).map(|count| format!("{count} {}", word_of(*code)));
        let counts: Vec<String> = GRAVITY.iter().filter_map(count).collect();
        let overall = word_of(gravest).to_uppercase();
        writeln!(std::io::stdout(), "OVERALL {overall}  {}", counts.join(", "))
            .map_err(|error| cannot_write_standard(&error))?;
    }
    Ok(gravest)
}

/// The word for the result of one trail.
fn word_of(code: u8) -> &'static str {
    match code {
        exit_code::VERIFIED => "verified",
        exit_code::VIOLATED => "violated",
        exit_code::INCONCLUSIVE => "inconclusive",
        exit_code::INTERRUPTED => "interrupted",
        exit_code::USAGE => "not run, wrong settings",
        _ => "not run",
    }
}

/// Checks the settings of a trail as far as that asks nothing of AWS and opens no file: the machine of
/// the check need not be the one of the runs.
fn check(args: &VerifyArgs) -> Result<(), Failure> {
    resolve::check(args, now())?;
    notifier::targets(&args.notices.notify)?;
    let (source, bag) = (&args.source, args.copy.from.as_deref().is_some_and(|dir| Bag::is_one(dir) || dir.is_file()));
    if source.keys.is_none() && args.copy.from.is_some() && !bag {
        return Err(Failure::Usage("from needs keys: without public keys nothing can be verified".to_owned()));
    }
    paths::compare_verify(args)
}

/// Prints the settings that a configuration file results in; asks nothing of AWS.
pub(crate) fn config_check(path: &Path) -> Result<u8, Failure> {
    let configured = read(path, &[OsString::from("ctverify")])?;
    for Configured { name, args, .. } in &configured {
        if args.what.trail_arn.is_none() && args.what.bucket.is_none() && args.copy.from.is_none() {
            return Err(Failure::Usage(format!(
                "the configuration {}: '{name}' names nothing to verify: give it a trail-arn, a bucket, or from",
                path.display()
            )));
        }
        check(args).map_err(|failure| failure.of(&format!("the configuration {}: '{name}'", path.display())))?;
    }
    let mut out = std::io::stdout().lock();
    let mut write = || {
        for Configured { name, from_file, overruled, .. } in &configured {
            writeln!(out, "{}", printable(name))?;
            for flag in without_secrets(from_file.iter().cloned()) {
                writeln!(out, "  {}", printable(&flag))?;
            }
            for flag in without_secrets(overruled.iter().cloned()) {
                writeln!(out, "  {}  (the environment says otherwise)", printable(&flag))?;
            }
        }
        let trails = if configured.len() == 1 { "1 trail".to_owned() } else { format!("{} trails", configured.len()) };
        writeln!(out, "{} is right: {trails}", path.display())
    };
    write().map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}
