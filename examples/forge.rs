//! Makes a large trail to try ctverify on: signed as CloudTrail signs, with keys of its own.
//!
//! ```sh
//! cargo run --release --example forge -- /tmp/trail --regions 4 --hours 720
//! ```

#![allow(clippy::print_stdout, reason = "an example speaks to the one who runs it")]

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use ctverify_testkit::{REGIONS, TrailSpec};
use jiff::Timestamp;

/// Make a signed trail, with its public keys in keys.json, in a new folder.
#[derive(Parser)]
struct Options {
    /// The folder; it must not exist yet
    dir: PathBuf,
    /// How many accounts
    #[arg(long, default_value_t = 1)]
    accounts: usize,
    /// How many regions an account has
    #[arg(long, default_value_t = 4)]
    regions: usize,
    /// How many hours
    #[arg(long, default_value_t = 180)]
    hours: u32,
    /// From when on
    #[arg(long, default_value = "2026-03-01T00:00:00Z")]
    start: Timestamp,
    /// In how many of a hundred hours a region other than the home region has log files
    #[arg(long, default_value_t = 25)]
    busy_percent: u8,
    /// At most how many log files a busy hour has
    #[arg(long, default_value_t = 12)]
    log_files: usize,
    /// At most how many events a log file has
    #[arg(long, default_value_t = 30)]
    events: usize,
    /// Another seed makes another trail
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if options.dir.exists() {
        return Err(format!("{} exists: name a new folder", options.dir.display()).into());
    }
    let spec = TrailSpec {
        accounts: (0..options.accounts.max(1)).map(|number| format!("{:012}", 111_122_223_333 + number)).collect(),
        regions: REGIONS.iter().take(options.regions.max(1)).map(ToString::to_string).collect(),
        start: options.start,
        hours: options.hours,
        busy_percent: options.busy_percent,
        log_files: options.log_files,
        events: options.events,
        seed: options.seed,
        ..TrailSpec::default()
    };
    let trail = spec.forge();
    std::fs::create_dir_all(&options.dir)?;
    trail.write_with_keys(&options.dir)?;
    let dir = options.dir.display();
    println!("{} digests and {} log files in {dir}", trail.digest_count(), trail.log_file_count());
    println!("try: ctverify --from {dir} --keys {dir}/keys.json");
    Ok(())
}
