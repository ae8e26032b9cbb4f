//! The `ctverify` command: parse, run, exit code.

use std::process::ExitCode;

/// The global allocator. Long-lived digests interleave with short-lived buffers on all threads and
/// fragment glibc's heap: its memory grew by 3 MiB between 100,000 and 400,000 objects, and stays
/// flat with jemalloc. On other machines than x86-64, jemalloc would have to know the page size
/// when it is built.
#[cfg(all(target_arch = "x86_64", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ctverify::cli::run()
}
