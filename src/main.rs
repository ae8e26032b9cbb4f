//! The `ctverify` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctverify::cli::run()
}
