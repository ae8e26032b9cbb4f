//! The range, the filters, the sample and the allowances of the command line.

use std::collections::BTreeSet;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::Timestamp;

use crate::audit::{Recheck, SampleRequest};
use crate::cli::args::{Allowance, MAX_SEED, SourceArgs, VerifyArgs};
use crate::cli::exit::Failure;
use crate::model::TimeRange;
use crate::records::Allowances;
use crate::verify::limits;

pub(super) fn check_range(range: &TimeRange, now: Timestamp) -> Result<(), Failure> {
    match (range.start, range.end) {
        (Some(start), Some(end)) if start >= end => {
            Err(Failure::Usage(format!("the range ends before it begins: --start is {start}, --end is {end}")))
        }
        (Some(start), _) if start >= now => {
            Err(Failure::Usage(format!("--start is {start}, and it is {now} now: nothing was delivered yet")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn allowances(allow: &[Allowance]) -> Allowances {
    let gaps: BTreeSet<_> = allow
        .iter()
        .filter_map(|allowance| match allowance {
            Allowance::Gap(cause) => Some(*cause),
            Allowance::EveryGap | Allowance::Unlisted | Allowance::Sample => None,
        })
        .collect();
    let allowed = |allowance| allow.contains(&allowance);
    Allowances {
        every_gap: allowed(Allowance::EveryGap),
        gaps,
        unlisted: allowed(Allowance::Unlisted),
        sample: allowed(Allowance::Sample),
    }
}

pub(super) fn sample(args: &VerifyArgs) -> Result<Option<SampleRequest>, Failure> {
    let Some(size) = args.sample else { return Ok(None) };
    let seed = match args.seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    Ok(Some(SampleRequest { size, seed }))
}

pub(super) fn recheck(percent: f64) -> Result<Recheck, Failure> {
    Ok(Recheck { percent, seed: random_seed()? })
}

/// Returns a random seed. A sample must not be predictable: an attacker would know which files to
/// leave alone.
fn random_seed() -> Result<u64, Failure> {
    let mut random = [0; 8];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| Failure::CannotRun("the system gives no random numbers: choose a --seed".to_owned()))?;
    Ok(u64::from_be_bytes(random) & MAX_SEED)
}

/// Returns the uncompressed size up to which a log file is read.
pub(crate) fn max_log_file_bytes(args: &SourceArgs) -> u64 {
    args.max_log_file_size.map_or(limits::MAX_LOG_FILE_BYTES, |size| size.as_u64())
}
