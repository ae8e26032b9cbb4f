//! The `ctverify` command: parse, run, exit code.

use std::process::ExitCode;

/// What waits long lies among what is short-lived, on all threads: the C library's allocator grows by what it can't use again.
#[cfg(all(target_arch = "x86_64", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ctverify::cli::run()
}
