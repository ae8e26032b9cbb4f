//! Running a command and measuring it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

/// The time and the memory that a run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub wall: Duration,
    /// The peak resident memory, in bytes.
    peak: u64,
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak as f64 / f64::from(1 << 20)
    }
}

/// Runs a command that has to succeed.
pub(crate) fn run(command: &mut Command) -> Measured {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let ended = child.wait4().unwrap();
    let wall = begun.elapsed();
    assert!(ended.status.success(), "{command:?} ends with {}", ended.status);
    Measured { wall, peak: ended.rusage.maxrss }
}

/// Runs a command as [`run`] does, from a small process, and returns its peak memory in MiB and its time: the peak
/// that this process has reached, with a trail in its memory, counts as that of its children, too.
pub(crate) fn run_apart(command: &Command) -> (f64, Duration) {
    let mut apart = Command::new(std::env::current_exe().unwrap());
    apart.arg("measured").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => apart.env(name, value),
            None => apart.env_remove(name),
        };
    }
    let output = apart.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?} ends with {}", output.status);
    let (peak, seconds) = serde_json::from_slice(&output.stdout).unwrap();
    (peak, Duration::from_secs_f64(seconds))
}

/// Runs a command for [`run_apart`], and prints what it took.
pub(crate) fn print(command: &[&str]) {
    let [program, arguments @ ..] = command else { panic!("a command is missing") };
    let measured = run(Command::new(program).args(arguments));
    println!("[{}, {}]", measured.peak_mib(), measured.wall.as_secs_f64());
}

/// Runs each in turn, so many times, and keeps the fastest run of each.
pub(crate) fn fastest<const N: usize>(runs: usize, mut commands: [&mut dyn FnMut() -> Command; N]) -> [Measured; N] {
    let mut best: [Option<Measured>; N] = [None; N];
    for _ in 0..runs {
        for (command, best) in commands.iter_mut().zip(&mut best) {
            let measured = run(&mut command());
            if best.is_none_or(|best| measured.wall < best.wall) {
                *best = Some(measured);
            }
        }
    }
    best.map(|best| best.expect("it ran"))
}

/// Describes the machine: its number of cores and its CPU model.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    format!("{cores} cores, {}", model.trim_start_matches([' ', '\t', ':']))
}
