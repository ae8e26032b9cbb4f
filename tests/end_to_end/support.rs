//! Helpers that run the real binary and read its output.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ctverify_testkit::{ACCESS_KEY, ForgedTrail, Layout, SECRET_KEY, Server, ServerOptions, TrailSpec};
use serde_json::Value;
use tempfile::TempDir;

/// Returns a folder of the test data that the repository carries.
pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// An organization's trail: two accounts, two regions, a prefix.
pub(crate) fn organization_spec() -> TrailSpec {
    TrailSpec {
        organization: Some("o-exampleorgid".to_owned()),
        accounts: vec!["111122223333".to_owned(), "444455556666".to_owned()],
        regions: vec!["us-east-1".to_owned(), "eu-west-1".to_owned()],
        prefix: "org/trail".to_owned(),
        hours: 3,
        busy_percent: 100,
        ..TrailSpec::default()
    }
}

/// The binary, in an environment that knows nothing of the machine's AWS configuration.
pub(crate) fn ctverify() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctverify"));
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    command
}

/// The binary with credentials for `server`.
pub(crate) fn ctverify_at(server: &Server) -> Command {
    let mut command = ctverify();
    command
        .env("AWS_ENDPOINT_URL", server.url())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
}

/// The exit code and the output of a run.
pub(crate) struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub records: Vec<Value>,
}

/// Runs a command that was given no format, with JSON Lines as its format, to get its records.
pub(crate) fn records(command: &mut Command) -> Run {
    run(command.args(["--format", "jsonl"]))
}

/// Runs a command.
pub(crate) fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    let lines = stdout.lines().filter(|line| line.starts_with("{\"record\""));
    let records: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    keep(&records);
    Run { code: status.code().unwrap_or(-1), stdout, stderr, records }
}

/// Keeps the records of a run for `tests/run`, which validates them all against the schema that the
/// program prints. Of more than 500, the first 500 and the last are kept: the others say nothing
/// new.
fn keep(records: &[Value]) {
    const MOST: usize = 500;
    let Some(folder) = std::env::var_os("CTVERIFY_TEST_RECORDS").filter(|_| !records.is_empty()) else { return };
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let place = format!("{}-{}.jsonl", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let last = records.last().into_iter().filter(|_| records.len() > MOST);
    let kept = records.iter().take(MOST).chain(last);
    // The line on a unit's result is none of the records of a run.
    let kept = kept.filter(|record| record["record"] != "unit");
    let lines: String = kept.map(|record| format!("{record}\n")).collect();
    std::fs::write(Path::new(&folder).join(place), lines).unwrap();
}

/// The most memory that a process had, in KiB.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    /// All resident memory, with the pages of the program's file, of which a build without optimisation has some
    /// 40 MB more.
    pub resident: u64,
    /// The memory that is no page of a file, of which a peak of a few milliseconds may be missed.
    pub anonymous: u64,
}

/// Runs a command, and returns the peak of its memory beside its output. Its records are not kept.
pub(crate) fn watched(command: &mut Command) -> (Run, Peak) {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["stdout", "stderr"].map(|name| folder.path().join(name));
    let [stdout, stderr] = paths.each_ref().map(|path| std::fs::File::create(path).unwrap());
    let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = Peak::default();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
        };
        peak.resident = peak.resident.max(kib("VmHWM:"));
        peak.anonymous = peak.anonymous.max(kib("RssAnon:"));
        std::thread::sleep(Duration::from_millis(2));
    };
    let [stdout, stderr] = paths.map(|path| std::fs::read_to_string(path).unwrap());
    (Run { code, stdout, stderr, records: Vec::new() }, peak)
}

impl Run {
    /// Returns the records of one kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["record"] == kind).collect()
    }

    /// Returns the `verdict` of the summary.
    pub(crate) fn verdict(&self) -> &str {
        self.of("summary")[0]["verdict"].as_str().unwrap()
    }

    /// Returns the number of records of this kind that have this status.
    pub(crate) fn count(&self, kind: &str, status: &str) -> usize {
        self.of(kind).iter().filter(|record| record["status"] == status).count()
    }

    /// Returns the causes of all gaps.
    pub(crate) fn gaps(&self) -> Vec<&str> {
        self.of("gap").iter().map(|gap| gap["cause"].as_str().unwrap()).collect()
    }

    /// Returns the records about the trail, without those about the run, and with one wording for
    /// absence, which stores word differently.
    pub(crate) fn findings(&self) -> Vec<Value> {
        let about_the_run =
            |record: &&Value| matches!(record["record"].as_str(), Some("run" | "bag" | "circumstances" | "summary"));
        let text: Vec<String> = self.records.iter().filter(|r| !about_the_run(r)).map(Value::to_string).collect();
        text.iter().map(|line| serde_json::from_str(&one_absence(line)).unwrap()).collect()
    }
}

/// Replaces the wordings of different stores for absence with one.
pub(crate) fn one_absence(line: &str) -> String {
    line.replace("S3 answers that it does not exist", "absent").replace("not in this copy", "absent")
}

/// A local copy of a trail with its keys by region.
pub(crate) struct Mirror {
    folder: TempDir,
}

impl Mirror {
    pub(crate) fn new(trail: &ForgedTrail, layout: Layout, metadata: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        trail.write(&folder.path().join("copy"), layout, metadata).unwrap();
        let mirror = Self { folder };
        mirror.write_keys(&trail.keys_by_region());
        mirror
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    pub(crate) fn write_keys(&self, keys: &Value) {
        std::fs::write(self.keys(), keys.to_string()).unwrap();
    }

    /// The binary, told to verify this copy.
    pub(crate) fn command(&self) -> Command {
        let mut command = ctverify();
        command.arg("--from").arg(self.dir()).arg("--keys").arg(self.keys());
        command
    }
}

/// Verifies a trail from a folder.
pub(crate) fn verify_folder(trail: &ForgedTrail) -> Run {
    records(&mut Mirror::new(trail, Layout::Keys, true).command())
}

/// Verifies a trail over S3, in the range that the forge made.
pub(crate) fn verify_s3(trail: &ForgedTrail) -> Run {
    let server = Server::start(trail, ServerOptions::default());
    records(ctverify_at(&server).args(range_of(trail)))
}

/// Returns the arguments that name the trail and exactly the range that its first chain covers.
pub(crate) fn range_of(trail: &ForgedTrail) -> Vec<String> {
    let digests = &trail.chains[0].digests;
    let (first, last) = (&digests[0].document, &digests[digests.len() - 1].document);
    let (start, end) = (first.digest_start_time.clone(), last.digest_end_time.clone());
    vec!["--trail-arn".into(), trail.spec.arn(), "--start".into(), start, "--end".into(), end]
}

/// Keeps a figure for the end of `tests/run`, such as the number of changes that were tried.
pub(crate) fn figure(name: &str, told: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), format!("{told}\n")).unwrap();
}

/// Returns whether jq is there, which `tests/run` installs.
pub(crate) fn has_jq() -> bool {
    let has_jq = Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(has_jq || std::env::var_os("CTVERIFY_TEST_ALL").is_none(), "tests/run installs jq");
    has_jq
}

/// Runs one of the scripts in `tests/outside` with the tools that `tests/run` installs, or returns
/// `None` if they are not installed.
pub(crate) fn outside(script: &str, arguments: &[&std::ffi::OsStr]) -> Option<Output> {
    let Some(python) = std::env::var_os("CTVERIFY_TEST_PYTHON") else {
        assert!(
            std::env::var_os("CTVERIFY_TEST_ALL").is_none(),
            "CTVERIFY_TEST_PYTHON has to name a Python with the tools"
        );
        eprintln!("skipped: CTVERIFY_TEST_PYTHON names no Python with the tools; tests/run installs it");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside").join(script);
    Some(Command::new(python).arg(script).args(arguments).output().unwrap())
}

/// Runs a script as [`outside`] does, asserts that it succeeds, and returns its standard output.
pub(crate) fn outside_agrees(script: &str, arguments: &[&std::ffi::OsStr]) -> Option<String> {
    let output = outside(script, arguments)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}: {text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}
