//! The progress of the run, on standard error and only on a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::audit::Progress;

/// A progress line that a thread keeps up to date until it is dropped.
pub(super) struct ProgressLine {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const EVERY: Duration = Duration::from_millis(100);

impl ProgressLine {
    /// Shows the progress line for `progress`.
    pub(super) fn show(progress: Arc<Progress>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let stop = done.clone();
        let thread = std::thread::spawn(move || {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  [{bar:30}] {elapsed}") {
                bar.set_style(style);
            }
            while !stop.load(Ordering::Relaxed) {
                let (digests, log_files) = (progress.digests_read(), progress.log_files_read());
                let total = progress.digests_found() + progress.log_files_found();
                bar.set_length(total);
                bar.set_position(digests + log_files);
                bar.set_message(match total {
                    0 => "looking for digests".to_owned(),
                    _ => {
                        let (proven, intact) = (progress.digests_proven(), progress.log_files_intact());
                        format!(
                            "{proven} of {digests} digests signed, {intact} of {log_files} log files intact, {total} objects known so far"
                        )
                    }
                });
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
