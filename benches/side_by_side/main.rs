//! ctverify beside what bounds it and what it replaces, on the same trails in the same run: the
//! bare floor (read, inflate, hash, parse, one RSA check, no chain logic), a bare GetObject loop
//! through the same SDK, and the official client.
//!
//! ```sh
//! cargo bench --bench side_by_side                    # everything; the official client if $CTVERIFY_TEST_AWS names it
//! cargo bench --bench side_by_side -- folder memory   # only these; the others are events, s3, linear, workers, unit,
//!                                                     # start, first
//! ```
//!
//! Machines are noisy: only the ratios are worth comparing. Each contestant runs in turn, several
//! times, in a process of its own, and the fastest run counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark speaks to the one who runs it, and one that can't go on has failed"
)]

mod floor;
mod get_loop;
mod measure;
mod trails;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ctverify_testkit::{ACCESS_KEY, ForgedTrail, SECRET_KEY, Server, ServerOptions};

use measure::{Measured, fastest};
use trails::Trail;

const RUNS: usize = 7;
/// The number of objects that ctverify reads from S3 at once by default.
const CONCURRENCY: &str = "192";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["forge", name] => trails::forge(name),
        ["floor", dir] => floor::run(dir.as_ref()),
        ["measured", command @ ..] => measure::print(command),
        ["get-loop", bucket, concurrency] => get_loop::run(bucket, concurrency.parse().unwrap()),
        chosen => {
            let wants = |part: &str| chosen.is_empty() || chosen.contains(&part);
            println!("{}", measure::machine());
            // Memory comes first: the peak that this process has reached counts as its children's,
            // too.
            if wants("memory") {
                memory();
            }
            if wants("folder") {
                folder();
            }
            if wants("events") {
                events();
            }
            if wants("s3") {
                s3();
            }
            if wants("linear") {
                linear();
            }
            if wants("workers") {
                workers();
            }
            if wants("unit") {
                unit();
            }
            if wants("start") {
                start();
            }
            if wants("first") {
                first();
            }
        }
    }
}

fn myself(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments);
    command
}

fn ctverify() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ctverify"))
}

fn from_folder(trail: &Trail) -> Command {
    let mut command = ctverify();
    command.arg("--from").arg(&trail.dir).arg("--keys").arg(trail.dir.join("keys.json")).arg("--quiet");
    command
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

fn folder() {
    println!("\nA folder, warm cache                            ctverify    the floor   ratio");
    for trail in [trails::small_files(), trails::empty_digests(), trails::large_files()] {
        let dir = trail.dir.display().to_string();
        let [own, floor] = fastest(RUNS, [&mut || from_folder(&trail), &mut || myself(&["floor", &dir])]);
        let ratio = own.wall.as_secs_f64() / floor.wall.as_secs_f64();
        println!("  {:<42} {:>12} {:>12}   {ratio:.2}", trail.about, ms(own.wall), ms(floor.wall));
    }
}

/// The events of proven log files beside the verification alone: those that few log files or few events
/// meet, and all.
fn events() {
    println!("\nEvents of a folder, warm cache");
    let events = |trail: &Trail, conditions: &[&str]| {
        let mut command = ctverify();
        command.args(["events", "--from"]).arg(&trail.dir).arg("--keys").arg(trail.dir.join("keys.json"));
        command.arg("--quiet").args(conditions);
        command
    };
    let few = ["--event-name", "CreateAccessKey", "--username", "alice"];
    for (trail, runs) in [(trails::small_files(), RUNS), (trails::large_files(), 3), (trails::one_giant(), 1)] {
        let table = tempfile::tempdir().unwrap();
        let [plain, none, few, all, parquet] = fastest(
            runs,
            [
                &mut || from_folder(&trail),
                &mut || events(&trail, &["--event-name", "StopLogging"]),
                &mut || events(&trail, &few),
                &mut || events(&trail, &[]),
                &mut || {
                    // Each run has a folder of its own.
                    let folder = tempfile::tempdir_in(table.path()).unwrap().keep();
                    let mut command = events(&trail, &["--parquet"]);
                    command.arg(folder);
                    command
                },
            ],
        );
        println!("  {}: verified in {}", trail.about, ms(plain.wall));
        for (about, measured) in [
            ("a name that does not occur", none),
            ("one event of 60", few),
            ("all events", all),
            ("all events to Parquet", parquet),
        ] {
            let ratio = measured.wall.as_secs_f64() / plain.wall.as_secs_f64();
            println!("    {about:<40} {:>12}   {ratio:.2}   {:>8.1} MiB", ms(measured.wall), measured.peak_mib());
        }
    }
}

fn at(server: &Server, command: &mut Command) -> Command {
    command.env_remove("AWS_PROFILE").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command.env("AWS_ENDPOINT_URL", server.url());
    std::mem::replace(command, Command::new("true"))
}

fn over_s3(server: &Server, trail: &ForgedTrail) -> Command {
    let mut command = at(server, &mut ctverify());
    command
        .args(["--trail-arn", &trail.spec.arn(), "--start", "2026-03-01T01:00:00Z", "--end"])
        .arg(trails::end(trail));
    command.arg("--quiet");
    command
}

/// One worker beside two, each with a core of its own, on the units of a plan over large log files: the
/// worker's own time dominates there, not the server's.
fn workers() {
    let trail = trails::large_files().forge();
    let server = Server::start(&trail, ServerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan");
    let mut make = at(&server, &mut ctverify());
    make.args(["plan", "--trail-arn", &trail.spec.arn(), "--end"]).arg(trails::end(&trail));
    make.args(["--unit-objects", "50", "--output"]).arg(&plan);
    measure::run(&mut make);
    let units = std::fs::read_to_string(plan.join("units.jsonl")).unwrap().lines().count();
    // A shell starts them, since a worker's share is known by its units alone.
    let worker = |core: usize, of: usize, output: &str| {
        let numbers: Vec<String> = (core..units).step_by(of).map(|unit| unit.to_string()).collect();
        let (binary, plan, output) = (env!("CARGO_BIN_EXE_ctverify"), plan.display(), folder.path().join(output));
        let (numbers, output) = (numbers.join(","), output.display().to_string());
        format!("taskset -c {core} {binary} shard --plan {plan} --unit {numbers} --output {output} --quiet")
    };
    let shell = |command: String| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]);
        at(&server, &mut shell)
    };
    let mut round = 0;
    let mut one = || {
        round += 1;
        shell(worker(0, 1, &format!("one-{round}")))
    };
    let mut rounds_of_two = 0;
    let mut two = || {
        rounds_of_two += 1;
        let output = format!("two-{rounds_of_two}");
        shell(format!("{} & {}; wait", worker(0, 2, &output), worker(1, 2, &output)))
    };
    let [one, two] = fastest(3, [&mut one, &mut two]);
    let merge = || {
        let mut merge = at(&server, &mut ctverify());
        merge.arg("merge").arg("--plan").arg(&plan).arg("--results").arg(folder.path().join("one-1")).arg("--quiet");
        merge
    };
    let [merge] = fastest(3, [&mut || merge()]);
    let ratio = two.wall.as_secs_f64() / one.wall.as_secs_f64();
    println!("\n{units} units of {} objects", trail.objects.len());
    println!("  one worker on a core        {:>12}", ms(one.wall));
    println!("  two workers on two cores    {:>12}   {ratio:.2} of that", ms(two.wall));
    println!("  the merge                   {:>12}", ms(merge.wall));
}

/// The memory of a worker for a unit that is a whole trail in one region, its home, whose log files are searched
/// for the calls that explain gaps.
fn unit() {
    println!("\nPeak resident memory of a worker, S3 on loopback, {CONCURRENCY} requests at once");
    for trail in [trails::hundred_thousand(), trails::one_chain(), trails::large_files()] {
        let about = trail.about.clone();
        let trail = trail.forge();
        let server = Server::start(&trail, ServerOptions::default());
        for depth in ["presence", "content"] {
            let folder = tempfile::tempdir().unwrap();
            let plan = folder.path().join("plan");
            let mut make = at(&server, &mut ctverify());
            make.args(["plan", "--trail-arn", &trail.spec.arn(), "--end"]).arg(trails::end(&trail));
            make.args(["--depth", depth, "--unit-objects", "250000", "--output"]).arg(&plan);
            measure::run(&mut make);
            let mut shard = at(&server, &mut ctverify());
            shard.arg("shard").arg("--plan").arg(&plan).args(["--unit", "0", "--output"]);
            shard.arg(folder.path().join("results")).arg("--quiet");
            let (peak, wall) = measure::run_apart(&shard);
            println!("  {about:<42} {depth:<10} {peak:>8.1} MiB {:>12}", ms(wall));
        }
    }
}

fn official(aws: &str, server: &Server, trail: &ForgedTrail) -> Vec<Command> {
    let one_region = |region: &String| {
        let mut command = Command::new(aws);
        command.args(["cloudtrail", "validate-logs", "--trail-arn", &trail.spec.arn(), "--region", region]);
        command.args(["--start-time", "2026-03-01T01:00:00Z", "--end-time"]).arg(trails::end(trail));
        at(server, &mut command)
    };
    trail.spec.regions.iter().map(one_region).collect()
}

fn s3() {
    let trail = trails::small_files().forge();
    let objects = trail.objects.len();
    for latency in [Duration::ZERO, Duration::from_millis(20)] {
        let server = Server::start(&trail, ServerOptions { latency, ..ServerOptions::default() });
        println!("\nS3 on loopback, {} ms to the first byte, {objects} objects", latency.as_millis());
        let get_loop = || at(&server, &mut myself(&["get-loop", &trail.spec.bucket, CONCURRENCY]));
        let [own, bare] = fastest(3, [&mut || over_s3(&server, &trail), &mut || get_loop()]);
        println!("  ctverify                    {:>12}", ms(own.wall));
        #[expect(clippy::cast_precision_loss, reason = "a few thousand objects")]
        let rate = |measured: &Measured| objects as f64 / measured.wall.as_secs_f64();
        let share = 100.0 * rate(&own) / rate(&bare);
        println!("  bare GetObject loop         {:>12}   ctverify reaches {share:.0} % of its rate", ms(bare.wall));
        let slow = ServerOptions { latency, slow_down_permille: 50, ..ServerOptions::default() };
        let slow = Server::start(&trail, slow);
        let [refused] = fastest(3, [&mut || over_s3(&slow, &trail)]);
        let times = refused.wall.as_secs_f64() / own.wall.as_secs_f64();
        println!("  ctverify, 5 % SlowDown      {:>12}   {times:.2} times as long", ms(refused.wall));
        if let Some(aws) = std::env::var("CTVERIFY_TEST_AWS").ok().filter(|aws| !aws.is_empty()) {
            let wall: Duration = official(&aws, &server, &trail).iter_mut().map(|run| measure::run(run).wall).sum();
            let times = wall.as_secs_f64() / own.wall.as_secs_f64();
            println!("  aws cloudtrail validate-logs{:>12}   ctverify is {times:.0} times as fast", ms(wall));
        }
    }
}

fn memory() {
    println!("\nPeak resident memory");
    let shown = |trail: &Trail| {
        let measured = measure::run(&mut from_folder(trail));
        println!("  {:<42} {:>8.1} MiB {:>12}", trail.about, measured.peak_mib(), ms(measured.wall));
        measured.peak_mib()
    };
    let ten = shown(&trails::ten_thousand());
    let hundred = shown(&trails::hundred_thousand());
    println!("  … {:.2} times as much for ten times the objects", hundred / ten);
    let (ten, hundred) = (shown(&trails::ten_thousand_of_one_chain()), shown(&trails::one_chain()));
    println!("  … {:.2} times as much", hundred / ten);
    for trail in [trails::one_giant(), trails::wide_digest()] {
        shown(&trail);
    }
}

fn linear() {
    println!("\nCost grows linearly");
    let (small, large) = (trails::ten_thousand(), trails::hundred_thousand());
    let [ten, hundred] = fastest(3, [&mut || from_folder(&small), &mut || from_folder(&large)]);
    #[expect(clippy::cast_precision_loss, reason = "counts of objects")]
    let objects = large.objects() as f64 / small.objects() as f64;
    let times = hundred.wall.as_secs_f64() / ten.wall.as_secs_f64();
    println!(
        "  {objects:.1} times the objects take {times:.1} times the time ({} and {})",
        ms(ten.wall),
        ms(hundred.wall)
    );
}

/// Measures the time until a terminal shows a digest as proven, over a range of three years.
fn first() {
    println!("\nThe first result on a terminal, S3 on loopback, 20 ms to the first byte");
    let trail = trails::three_years().forge();
    let latency = Duration::from_millis(20);
    let server = Server::start(&trail, ServerOptions { latency, ..ServerOptions::default() });
    let (from, to, digests) = (trail.spec.start, trails::end(&trail), trail.objects.len());
    let run = format!(
        "stty cols 200; exec {} --trail-arn {} --start {from} --end {to}",
        env!("CARGO_BIN_EXE_ctverify"),
        trail.spec.arn()
    );
    let mut terminal = Command::new("script");
    terminal.args(["-qefc", &run, "/dev/null"]);
    let begun = Instant::now();
    let mut child = at(&server, &mut terminal).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut shown, mut told) = (Vec::new(), None);
    let mut output = child.stdout.take().unwrap();
    let mut piece = [0; 4096];
    loop {
        let count = output.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        shown.extend_from_slice(&piece[..count]);
        if told.is_none() && proven(&String::from_utf8_lossy(&shown)) > 0 {
            told = Some(begun.elapsed());
        }
    }
    assert!(child.wait().unwrap().success());
    println!(
        "  {digests} digests of three years: a digest is proven after {}, all of them after {}",
        ms(told.unwrap()),
        ms(begun.elapsed())
    );
}

/// Returns the highest number of digests that the progress line has shown as proven.
fn proven(shown: &str) -> u64 {
    let lines = shown.split(" digests signed").filter_map(|line| line.rsplit_once(" of "));
    lines.filter_map(|(before, _)| before.rsplit(' ').next()?.parse().ok()).max().unwrap_or(0)
}

fn start() {
    println!("\nStart-up");
    let one = trails::one_digest();
    let version = || {
        let mut command = ctverify();
        command.arg("--version");
        command
    };
    let [version, digest] = fastest(20, [&mut || version(), &mut || from_folder(&one)]);
    println!("  --version                   {:>12}", ms(version.wall));
    println!("  one digest from a folder    {:>12}", ms(digest.wall));
}
