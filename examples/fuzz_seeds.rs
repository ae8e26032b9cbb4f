//! Writes the seeds of every fuzz target to a folder, which `fuzz/run` does first.
//!
//! ```sh
//! cargo run --example fuzz_seeds -- CORPUS
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/seeds.rs"]
#[expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the module belongs to another crate, and reads our own testdata"
)]
mod seeds;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = PathBuf::from(std::env::args_os().nth(1).ok_or("give a folder for the seeds")?);
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    for (number, seed) in seeds::seeds(&testdata).iter().enumerate() {
        let folder = corpus.join(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{number:05}")), &seed.content)?;
    }
    Ok(())
}
