//! Verifies a local copy of a trail and prints what is wrong with it.
//!
//! ```sh
//! cargo run --no-default-features --example verify_folder -- testdata/log-modified testdata/log-modified/keys.json
//! ```

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ctverify::audit::{Audit, AuditRequest};
use ctverify::keys::KeyFile;
use ctverify::model::Verdict;
use ctverify::records::Record;
use ctverify::store::Folder;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(dir), Some(keys)) = (arguments.next(), arguments.next()) else {
        return Err("give a folder with AWSLogs/ in it, and a file of public keys".into());
    };
    let folder = Folder::open(&dir, None)?;
    let keys = KeyFile::open(&keys)?;
    let request = AuditRequest::builder(jiff::Timestamp::now()).locations(folder.locations()).build()?;
    let audit = Audit::new(Arc::new(folder), Arc::new(keys), request);

    let mut print_findings = |record: &Record| {
        match record {
            Record::Digest(digest) if digest.fault.is_some() => {
                println!("{:<10} {}: {}", digest.status, digest.object, digest.detail.as_deref().unwrap_or_default());
            }
            Record::LogFile(file) if file.fault.is_some() => {
                println!("{:<10} {}: {}", file.status, file.object, file.detail.as_deref().unwrap_or_default());
            }
            Record::Chain(chain) if chain.fault.is_some() => {
                println!("{:<10} {}: {}", "chain", chain.chain, chain.detail.as_deref().unwrap_or_default());
            }
            Record::Gap(gap) => println!("{:<10} {} to {}: {}", "gap", gap.from, gap.to, gap.detail),
            _ => {}
        }
        Ok(())
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(audit.run(&mut print_findings, std::future::pending()))?;
    let verdict = outcome.summary.verdict;
    println!("{verdict}");
    Ok(if verdict == Verdict::Verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
