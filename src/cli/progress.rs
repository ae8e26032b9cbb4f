//! The progress of the run, on standard error and only on a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};

use crate::audit::{ChainProgress, Progress};

/// A progress line that a thread keeps up to date until it is dropped.
pub(super) struct ProgressLine {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const EVERY: Duration = Duration::from_millis(100);
/// The time for which a refusal of the store is shown.
const REFUSAL_SHOWN: Duration = Duration::from_secs(3);
/// The time over which speed is measured.
const SPEED_OVER: Duration = Duration::from_secs(3);

impl ProgressLine {
    /// Shows the progress line for `progress`.
    pub(super) fn show(progress: Arc<Progress>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let stop = done.clone();
        let thread = std::thread::spawn(move || {
            let bar = ProgressBar::new(1);
            // The message is cut where the line ends, so that it never wraps.
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:16}] {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            let mut meter = Meter::new(Instant::now());
            while !stop.load(Ordering::Relaxed) {
                let snapshot = meter.look(&progress, Instant::now());
                // A length of zero would be drawn as a full bar.
                bar.set_length(snapshot.total.max(1));
                bar.set_position(snapshot.read);
                bar.set_message(snapshot.message());
                bar.tick();
                std::thread::park_timeout(EVERY);
            }
            bar.finish_and_clear();
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only draws, so its result is of no interest.
            let _ = thread.join();
        }
    }
}

/// The part of a run that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Listing,
    Digests,
    LogFiles,
    Finishing,
}

/// The state of a run at one moment.
#[derive(Debug, Clone)]
struct Snapshot {
    phase: Phase,
    /// The number of objects that were read; never more than `total`.
    read: u64,
    /// The number of objects that are to be read, as far as they are known.
    total: u64,
    /// The number of objects a second.
    speed: f64,
    bytes: u64,
    /// True if the store refused requests a moment ago, because they were too many.
    is_refused: bool,
    most_left: Option<ChainProgress>,
}

impl Snapshot {
    /// Returns the line, with the most important things first: it is cut at its end.
    fn message(&self) -> String {
        let phase = match self.phase {
            Phase::Listing => return self.with_wait("listing digests".to_owned()),
            Phase::Digests => "digests",
            Phase::LogFiles => "log files",
            Phase::Finishing => "finishing",
        };
        let Self { read, total, speed, .. } = self;
        let mut line = format!("{phase}  {read}/{total} objects  {speed:.0}/s  {}", ByteSize(self.bytes));
        let left = (total - read) as f64 / speed.max(0.01);
        // While digests are read, most log files are not known yet.
        if self.phase == Phase::LogFiles && *speed > 0.0 && left < 360_000.0 {
            line += &format!("  ETA {}", duration(left as u64));
        }
        self.with_wait(line)
    }

    fn with_wait(&self, line: String) -> String {
        if self.is_refused {
            return format!("{line}  S3 asked to slow down");
        }
        match &self.most_left {
            Some(ChainProgress { chain, found, read }) => {
                format!("{line}  most left: {} {} {read}/{found}", chain.account, chain.region)
            }
            None => line,
        }
    }
}

/// Formats seconds, such as `1 h 2 min` or `14 s`.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A meter of speed and of refusals.
struct Meter {
    /// The number of objects read at a moment, from which the speed is measured, and the moment before.
    since: (Instant, u64),
    next: (Instant, u64),
    refusals: u64,
    refused_at: Option<Instant>,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self { since: (now, 0), next: (now, 0), refusals: 0, refused_at: None }
    }

    /// Takes the state of a run.
    fn look(&mut self, progress: &Progress, now: Instant) -> Snapshot {
        // Read counters come before found counters: the latter can only have grown since.
        let (digests, log_files) = (progress.digests_read(), progress.log_files_read());
        let (digests_found, log_files_found) = (progress.digests_found(), progress.log_files_found());
        let total = digests_found + log_files_found;
        let read = (digests + log_files).min(total);
        let phase = match total {
            0 => Phase::Listing,
            _ if digests < digests_found => Phase::Digests,
            _ if log_files < log_files_found => Phase::LogFiles,
            _ => Phase::Finishing,
        };
        if now.duration_since(self.next.0) >= SPEED_OVER {
            (self.since, self.next) = (self.next, (now, read));
        }
        let seconds = now.duration_since(self.since.0).as_secs_f64();
        let speed = if seconds > 0.0 { read.saturating_sub(self.since.1) as f64 / seconds } else { 0.0 };
        let refusals = progress.refusals();
        if refusals > self.refusals {
            self.refusals = refusals;
            self.refused_at = Some(now);
        }
        Snapshot {
            phase,
            read,
            total,
            speed,
            bytes: progress.bytes_read(),
            is_refused: self.refused_at.is_some_and(|at| now.duration_since(at) < REFUSAL_SHOWN),
            most_left: progress.chain_with_most_left(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChainId;

    fn chain(region: &str) -> ChainId {
        let name = |text: &str| text.parse().unwrap();
        ChainId {
            organization: None,
            account: "111122223333".parse().unwrap(),
            region: region.parse().unwrap(),
            trail: name("management-events"),
            home_region: "us-east-1".parse().unwrap(),
        }
    }

    #[test]
    fn the_line_names_phase_speed_bytes_and_what_is_waited_for() {
        let (progress, begun) = (Progress::default(), Instant::now());
        let mut meter = Meter::new(begun);
        let at = |seconds| begun + Duration::from_secs(seconds);
        let first = meter.look(&progress, begun);
        assert_eq!((first.message().as_str(), first.read, first.total), ("listing digests", 0, 0));
        let (one, other) = (chain("us-east-1"), chain("eu-west-1"));
        progress.found_digests(&one, 20);
        progress.found_digests(&other, 4);
        (0..4).for_each(|_| progress.read_digest(&one));
        progress.read_bytes(2048);
        let line = meter.look(&progress, at(2)).message();
        assert_eq!(line, "digests  4/24 objects  2/s  2.0 KiB  most left: 111122223333 us-east-1 4/20");
        (0..16).for_each(|_| progress.read_digest(&one));
        (0..4).for_each(|_| progress.read_digest(&other));
        progress.found_log_files(&one, 36);
        progress.note_refusals(1);
        let line = meter.look(&progress, at(3)).message();
        assert_eq!(line, "log files  24/60 objects  8/s  2.0 KiB  ETA 4 s  S3 asked to slow down");
        let line = meter.look(&progress, at(6)).message();
        assert_eq!(line, "log files  24/60 objects  0/s  2.0 KiB", "nothing was read in the last seconds");
        // An object that nothing announced does not make more of what was read than there is.
        (0..40).for_each(|_| progress.read_log_file(&one, true));
        let last = meter.look(&progress, at(60));
        assert_eq!((last.read, last.total, last.phase), (60, 60, Phase::Finishing));
    }

    #[test]
    fn durations_are_short() {
        assert_eq!([7, 75, 7_500].map(duration), ["7 s", "1 min 15 s", "2 h 5 min"]);
    }
}
