//! The time and the memory of a merge, by the number of result lines: a generated organization of
//! many chains is planned and verified by this program, and merged by the real one.
//!
//! ```sh
//! cargo bench --bench merge_at_scale                      # 2,000 and 20,000 chains
//! cargo bench --bench merge_at_scale -- 1000000           # a million chains, some 100 million lines: an hour or more
//! ```
//!
//! Each chain has a digest, signed with a key of its region, and [`LOG_FILES`] log files. The results
//! have a line of evidence and a record for each, and some listings. `CTVERIFY_SCALE_DIR` names the
//! folder for them, beside the build by default: 3 KB a chain.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark speaks to the one who runs it, and one that can't go on has failed"
)]

mod generated;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use ctverify::audit::{Audit, AuditRequest, LogFileCount};
use ctverify::records::KeysAsked;
use ctverify::shard::{Manifest, Plan, PlanFiles, PlanInputs, PlanOptions, Unit, make_plan, run_unit};
use ctverify::store::Store;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt as _};
use wait4::Wait4 as _;

use generated::{Generated, GeneratedKeys, LOG_FILES};

/// The number of units that are verified at once.
const AT_ONCE: usize = 2;

/// The argument with which this program generates results in place of measuring a merge.
const GENERATE: &str = "--generate";

fn main() {
    let sizes: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    if std::env::args().any(|argument| argument == GENERATE) {
        println!("{}", generate(sizes[0], &folder(sizes[0])));
        return;
    }
    let sizes = if sizes.is_empty() { vec![2_000, 20_000] } else { sizes };
    println!("    chains  result lines   generated      merge  processor   per million lines   peak memory   verdict");
    for chains in sizes {
        measure(chains);
    }
}

/// The folder for results of so many chains.
fn folder(chains: u64) -> PathBuf {
    std::env::var_os("CTVERIFY_SCALE_DIR").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("merge-at-scale-{chains}")),
        |folder| PathBuf::from(folder).join(chains.to_string()),
    )
}

fn measure(chains: u64) {
    let folder = folder(chains);
    let begun = Instant::now();
    // In a process of its own: on Linux, the peak memory of a child is at least that of its parent.
    let this = std::env::current_exe().unwrap();
    let generated = Command::new(this).arg(GENERATE).arg(chains.to_string()).stderr(Stdio::inherit()).output().unwrap();
    let lines: u64 = String::from_utf8(generated.stdout).unwrap().trim().parse().unwrap();
    let generated = begun.elapsed();
    let records = File::create(folder.join("merged.jsonl")).unwrap();
    let mut merge = Command::new(env!("CARGO_BIN_EXE_ctverify"));
    merge.arg("merge").arg("--plan").arg(folder.join("plan")).arg("--results").arg(folder.join("results"));
    // Nothing is asked of AWS: all is in the results.
    merge.args(["--format", "jsonl"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let begun = Instant::now();
    let mut child = merge.stdin(Stdio::null()).stdout(records).spawn().unwrap();
    let ended = child.wait4().unwrap();
    let merged = begun.elapsed();
    let processor = ended.rusage.utime + ended.rusage.stime;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let (millions, peak) = (lines as f64 / 1e6, ended.rusage.maxrss as f64 / f64::from(1 << 20));
    println!(
        "{chains:>10} {lines:>13} {:>9.1} s {:>8.1} s {:>8.1} s {:>17.2} s {peak:>9.1} MiB   exit code {}",
        generated.as_secs_f64(),
        merged.as_secs_f64(),
        processor.as_secs_f64(),
        processor.as_secs_f64() / millions,
        ended.status.code().unwrap_or(-1),
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Plans and verifies a trail of so many chains. Returns the number of lines of its results.
fn generate(chains: u64, folder: &Path) -> u64 {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder.join("results")).unwrap();
    let store: Arc<dyn Store> = Arc::new(Generated::new(chains));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let request = AuditRequest::builder(generated::now()).locations(vec![generated::location()]);
        let request = request.range(generated::range()).concurrency(64).build().unwrap();
        let audit = Audit::new(store.clone(), Arc::new(GeneratedKeys), request);
        let inputs = PlanInputs {
            audit,
            read_bucket: None,
            tampering: None,
            asked: KeysAsked::default(),
            expected_accounts: Default::default(),
            expected_regions: Default::default(),
        };
        let options = PlanOptions { unit_objects: 50_000, count: LogFileCount::Listed, by_prefix: false };
        let Plan { manifest, units, chains } = make_plan(inputs, options).await.unwrap();
        let plan = folder.join("plan");
        std::fs::create_dir_all(&plan).unwrap();
        std::fs::write(plan.join("manifest.json"), manifest.to_json()).unwrap();
        std::fs::write(plan.join("units.jsonl"), units).unwrap();
        std::fs::write(plan.join("chains.jsonl"), chains).unwrap();
        let mut units = Vec::new();
        PlanFiles::of(&plan).each_unit(&manifest, |unit| units.push(unit)).unwrap();
        let manifest = Arc::new(manifest);
        let verified = stream::iter(units).map(|unit| {
            let (manifest, store, results) = (manifest.clone(), store.clone(), folder.join("results"));
            // An audit is no task that may move between threads.
            tokio::task::spawn_blocking(move || {
                tokio::runtime::Handle::current().block_on(verify(&manifest, &unit, store, &results))
            })
        });
        verified.buffer_unordered(AT_ONCE).map(Result::unwrap).collect::<Vec<u64>>().await.into_iter().sum()
    })
}

/// Verifies a unit, and returns the number of lines of its result.
async fn verify(manifest: &Manifest, unit: &Unit, store: Arc<dyn Store>, results: &Path) -> u64 {
    let file = File::create(results.join(format!("unit-{:06}.jsonl.gz", unit.unit))).unwrap();
    let out = GzEncoder::new(BufWriter::new(file), Compression::fast());
    let never = std::future::pending();
    let (result, out) = run_unit(manifest, unit, store, 64, None, out, never).await.unwrap();
    out.finish().unwrap();
    assert!(result.records > unit.chains.len() as u64 * LOG_FILES);
    result.records + result.evidence
}
