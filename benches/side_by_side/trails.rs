//! The trails that are measured. Each is forged once and kept beside the build.

use std::path::{Path, PathBuf};

use ctverify_testkit::{ForgedTrail, REGIONS, TrailSpec};
use jiff::{SignedDuration, Timestamp};

/// A trail in a folder.
pub(crate) struct Trail {
    pub about: String,
    pub dir: PathBuf,
    spec: TrailSpec,
}

impl Trail {
    /// The same trail, to be served.
    pub(crate) fn forge(&self) -> ForgedTrail {
        self.spec.clone().forge()
    }

    /// Returns the number of digests and log files.
    pub(crate) fn objects(&self) -> usize {
        count(&self.dir)
    }
}

fn count(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { count(&path) } else { usize::from(path.extension() == Some("gz".as_ref())) })
        .sum()
}

const FORGING: &str = "CTVERIFY_SIDE_BY_SIDE_FORGES";

/// Makes the trail of this name, if it is one.
pub(crate) fn forge(name: &str) {
    for trail in ALL {
        if trail.0 == name {
            (trail.1)();
        }
    }
}

type Make = fn() -> Trail;

const ALL: [(&str, Make); 11] = [
    ("small", small_files),
    ("empty", empty_digests),
    ("large", large_files),
    ("ten-thousand", ten_thousand),
    ("hundred-thousand", hundred_thousand),
    ("ten-thousand-of-one-chain", ten_thousand_of_one_chain),
    ("one-chain", one_chain),
    ("three-years", three_years),
    ("giant", one_giant),
    ("fifty-thousand-entries", wide_digest),
    ("one", one_digest),
];

fn make(name: &str, about: &str, spec: TrailSpec) -> Trail {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !dir.join("keys.json").is_file() {
        // The forge runs in its own process: the peak memory of this one counts as its children's.
        if std::env::var_os(FORGING).is_none() {
            let mut forge = std::process::Command::new(std::env::current_exe().unwrap());
            assert!(forge.args(["forge", name]).env(FORGING, "1").status().unwrap().success());
        } else {
            let forged = spec.clone().forge();
            std::fs::create_dir_all(&dir).unwrap();
            forged.write_with_keys(&dir).unwrap();
        }
    }
    let objects = count(&dir);
    Trail { about: about.replace("{}", &objects.to_string()), dir, spec }
}

fn regions(count: usize) -> Vec<String> {
    REGIONS.iter().take(count).map(ToString::to_string).collect()
}

/// The time up to which every chain has digests.
pub(crate) fn end(trail: &ForgedTrail) -> String {
    let end: Timestamp = trail.spec.start + SignedDuration::from_hours(i64::from(trail.spec.hours) - 1);
    end.to_string()
}

/// 720 digests, a quarter of the hours busy, and about 2,200 log files of a few KB.
pub(crate) fn small_files() -> Trail {
    let spec = TrailSpec { regions: regions(4), hours: 179, log_files: 13, events: 30, ..TrailSpec::default() };
    make("small", "720 digests, 2,198 small log files", spec)
}

/// Digests of hours in which nothing happened.
pub(crate) fn empty_digests() -> Trail {
    let spec = TrailSpec { regions: regions(8), hours: 2499, log_files: 0, ..TrailSpec::default() };
    make("empty", "{} empty digests", spec)
}

/// Busy hours, with large log files.
pub(crate) fn large_files() -> Trail {
    let spec = TrailSpec { hours: 199, log_files: 2, events: 5_600, busy_percent: 100, ..TrailSpec::default() };
    make("large", "{} digests and log files of up to 8 MB", spec)
}

/// Ten thousand objects.
pub(crate) fn ten_thousand() -> Trail {
    let spec = TrailSpec {
        regions: regions(8),
        hours: 124,
        busy_percent: 100,
        log_files: 17,
        events: 5,
        ..TrailSpec::default()
    };
    make("ten-thousand", "{} objects", spec)
}

/// A hundred thousand objects.
pub(crate) fn hundred_thousand() -> Trail {
    let spec = TrailSpec {
        regions: regions(8),
        hours: 1249,
        busy_percent: 100,
        log_files: 17,
        events: 5,
        ..TrailSpec::default()
    };
    make("hundred-thousand", "{} objects", spec)
}

/// Ten thousand objects in a single chain.
pub(crate) fn ten_thousand_of_one_chain() -> Trail {
    make("ten-thousand-of-one-chain", "{} objects in a single chain", busy_chain(999))
}

/// A hundred thousand objects in a single chain.
pub(crate) fn one_chain() -> Trail {
    make("one-chain", "{} objects in a single chain", busy_chain(9999))
}

fn busy_chain(hours: u32) -> TrailSpec {
    TrailSpec { hours, busy_percent: 100, log_files: 17, events: 5, ..TrailSpec::default() }
}

/// A chain of three years of empty digests.
pub(crate) fn three_years() -> Trail {
    let start = Timestamp::constant(1_680_307_200, 0);
    make("three-years", "{} empty digests", TrailSpec { start, hours: 26_279, log_files: 0, ..TrailSpec::default() })
}

/// One log file of a gigabyte.
pub(crate) fn one_giant() -> Trail {
    let spec =
        TrailSpec { hours: 0, log_files: 1, busy_percent: 100, events: 1_400_000, seed: 12, ..TrailSpec::default() };
    make("giant", "one log file of a GB", spec)
}

/// A digest with a great many entries.
pub(crate) fn wide_digest() -> Trail {
    let spec = TrailSpec { hours: 0, log_files: 64_200, busy_percent: 100, events: 1, seed: 5, ..TrailSpec::default() };
    make("fifty-thousand-entries", "a digest that lists {} log files", spec)
}

/// The smallest trail: one digest.
pub(crate) fn one_digest() -> Trail {
    make("one", "one digest", TrailSpec { hours: 0, log_files: 0, ..TrailSpec::default() })
}
