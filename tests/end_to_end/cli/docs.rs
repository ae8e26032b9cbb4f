//! The documentation: its commands are run, its sample outputs are what the program prints, and its
//! links lead somewhere.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ctverify_testkit::{ACCESS_KEY, SECRET_KEY, Server, ServerOptions, TrailSpec};
use jiff::{SignedDuration, Timestamp};

use crate::support::{ctverify, has_jq, outside_agrees, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the documentation.
struct Page {
    /// The path below the root of the project.
    path: String,
    text: String,
}

impl Page {
    fn open(path: &str) -> Self {
        Self { path: path.to_owned(), text: std::fs::read_to_string(root().join(path)).unwrap() }
    }

    /// Returns the blocks of code of one language, each with the line before it.
    fn blocks(&self, language: &str) -> Vec<(String, String)> {
        let fence = format!("```{language}");
        let (mut blocks, mut before) = (Vec::new(), String::new());
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if line == fence {
                let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                blocks.push((before.clone(), body.join("\n") + "\n"));
            }
            before = line.to_owned();
        }
        blocks
    }

    /// Returns the text without blocks of code.
    fn prose(&self) -> String {
        let mut is_code = false;
        let prose = self.text.lines().filter(|line| {
            is_code ^= line.starts_with("```");
            !is_code && !line.starts_with("```")
        });
        prose.collect::<Vec<_>>().join("\n")
    }

    /// Returns the link targets of the headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
        headings
            .map(|heading| {
                let text = heading.trim_start_matches('#').trim().to_lowercase();
                let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }
}

/// The chapters of the book, README and the documents beside it.
fn pages() -> Vec<Page> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    names.sort();
    names.extend(["README.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(str::to_owned));
    names.iter().map(|name| Page::open(name)).collect()
}

/// The way to run a block of commands, as the line before it says.
#[derive(Debug, PartialEq)]
enum Place {
    Folder,
    Server,
    /// A server, with Spark on the path.
    Spark,
    /// A server, and jq.
    Jq,
    Nowhere,
}

/// Reads the line before a block: `<!-- run: folder, exits 1,1 -->`, or `<!-- not run: … -->`.
fn place(line: &str) -> Option<(Place, String)> {
    let text = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    if text.starts_with("not run: ") {
        return Some((Place::Nowhere, String::new()));
    }
    let (place, exits) = text.strip_prefix("run: ")?.split_once(", exits ").unwrap_or((&text[5..], ""));
    let place = match place {
        "folder" => Place::Folder,
        "server" => Place::Server,
        "spark" => Place::Spark,
        "jq" => Place::Jq,
        _ => return None,
    };
    Some((place, exits.to_owned()))
}

/// A folder in which the commands of a page are run, with a `ctverify` on the path that notes the exit
/// codes which are not zero.
struct Shell {
    folder: tempfile::TempDir,
    tools: tempfile::TempDir,
}

impl Shell {
    fn new() -> Self {
        let (folder, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (log, wrapper) = (tools.path().join("codes"), tools.path().join("ctverify"));
        let binary = env!("CARGO_BIN_EXE_ctverify");
        let script = format!(
            "#!/bin/bash\n'{binary}' \"$@\"\ncode=$?\n[ $code = 0 ] || printf '%s,' $code >> '{}'\nexit $code\n",
            log.display()
        );
        std::fs::write(&wrapper, script).unwrap();
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
        // Commands name what the repository carries as in a clone of it.
        std::os::unix::fs::symlink(root().join("deploy"), folder.path().join("deploy")).unwrap();
        Self { folder, tools }
    }

    /// Runs a block. Returns the exit codes that are not zero, and all output.
    fn run(&self, script: &str, server: Option<&Server>) -> (String, String) {
        let log = self.tools.path().join("codes");
        let _ = std::fs::remove_file(&log);
        let spark = spark().map(|bin| format!(":{}", bin.display())).unwrap_or_default();
        let path = format!("{}{spark}:{}", self.tools.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        // Nothing of Spark listens but on loopback.
        command.envs([("SPARK_LOCAL_IP", "127.0.0.1"), ("SPARK_SUBMIT_OPTS", "-Dspark.ui.enabled=false")]);
        command.args(["-c", script]).current_dir(self.folder.path()).env("PATH", path).env("HOME", self.folder.path());
        if let Some(server) = server {
            command
                .envs([("AWS_ENDPOINT_URL", server.url()), ("AWS_REGION", "us-east-1".to_owned())])
                .envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]);
        }
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let codes = std::fs::read_to_string(&log).unwrap_or_default();
        (codes.trim_end_matches(',').to_owned(), said)
    }
}

/// The folder with `spark-submit`, if `tests/run` has installed it.
fn spark() -> Option<PathBuf> {
    let python = std::env::var_os("CTVERIFY_TEST_SPARK");
    assert!(python.is_some() || std::env::var_os("CTVERIFY_TEST_ALL").is_none(), "CTVERIFY_TEST_SPARK has to be set");
    Some(PathBuf::from(python?).parent()?.to_owned())
}

/// A server with nine days of a trail up to now, and a bucket for what is made of it.
fn server() -> Server {
    let start = Timestamp::now() - SignedDuration::from_hours(9 * 24);
    let trail = TrailSpec {
        name: "my-trail".to_owned(),
        bucket: "my-trail-logs".to_owned(),
        regions: vec!["us-east-1".to_owned(), "eu-west-1".to_owned()],
        hours: 9 * 24,
        busy_percent: 10,
        log_files: 1,
        start,
        ..TrailSpec::default()
    };
    let server = Server::start(&trail.forge(), ServerOptions::default());
    server.make_bucket("my-audit", "us-east-1");
    server
}

#[test]
fn every_command_block_runs_as_it_stands() {
    let server = server();
    let mut ran = 0;
    for page in pages() {
        let shell = Shell::new();
        for (before, script) in page.blocks("sh") {
            let (place, exits) = place(&before).unwrap_or_else(|| panic!("{}: '{before}' before {script}", page.path));
            // Those that need other programs have tests of their own.
            if matches!(place, Place::Nowhere | Place::Spark | Place::Jq) {
                let syntax = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
                assert!(syntax.status.success(), "{}: {script}", page.path);
                continue;
            }
            let (codes, said) = shell.run(&script, (place == Place::Server).then_some(&server));
            assert_eq!(codes, exits, "{}:\n{script}\n{said}", page.path);
            ran += 1;
        }
    }
    assert!(ran > 25, "{ran}");
}

/// The commands of "From incident to evidence" come to what the page says of them.
#[test]
fn from_incident_to_evidence_works_as_it_is_written() {
    let page = Page::open("docs/evidence.md");
    let (_, script) = &page.blocks("sh")[0];
    let shell = Shell::new();
    let (codes, said) = shell.run(script, None);
    assert_eq!(codes, "1,1", "{said}");
    assert!(said.contains("signed by J. Doe") && said.contains("says what the records"), "{said}");
    assert_eq!(said.matches("VIOLATED").count(), 2, "{said}");
    for defect in ["1 log file modified", "1 log file deleted", "at least 1 digest missing"] {
        assert_eq!(said.matches(defect).count(), 2, "{defect}: {said}");
    }
    assert!(shell.folder.path().join("bag.zip").is_file() && !said.contains("altered bag"), "{said}");
}

/// The five commands of "Ten times the machines, one verdict" come to a signed report.
#[test]
fn five_commands_lead_from_a_plan_to_a_signed_report() {
    if spark().is_none() {
        return;
    }
    let page = Page::open("docs/distributed.md");
    let (_, script) = page.blocks("sh").into_iter().find(|(before, _)| before == "<!-- run: spark -->").unwrap();
    let commands = script.lines().filter(|line| line.starts_with(char::is_alphabetic));
    assert_eq!(commands.count(), 5);
    let (codes, said) = Shell::new().run(&format!("set -e\n{script}"), Some(&server()));
    assert_eq!(codes, "", "{said}");
    assert!(said.contains("VERIFIED  ") && said.contains("merged  the results of"), "{said}");
    assert!(said.contains("signed by J. Doe") && said.contains("says what the records"), "{said}");
}

/// The recipes for jq on the page of events print something.
#[test]
fn the_recipes_for_jq_work() {
    if !has_jq() {
        return;
    }
    let (page, server, shell) = (Page::open("docs/events.md"), server(), Shell::new());
    let blocks = page.blocks("sh");
    let (_, emits) = blocks.iter().find(|(_, script)| script.contains("--output events.jsonl")).unwrap();
    assert_eq!(shell.run(emits, Some(&server)).0, "");
    let events = std::fs::read_to_string(shell.folder.path().join("events.jsonl")).unwrap();
    // No call of the forge fails.
    let failed = events.replacen("\"readOnly\"", "\"errorCode\":\"AccessDenied\",\"readOnly\"", 1);
    std::fs::write(shell.folder.path().join("events.jsonl"), failed).unwrap();
    let recipes: Vec<_> = blocks.iter().filter(|(before, _)| before == "<!-- run: jq -->").collect();
    for (_, script) in &recipes {
        let (codes, said) = shell.run(&format!("set -eo pipefail\n{script}"), Some(&server));
        assert!(codes.is_empty() && said.contains('\t') && !said.contains("error"), "{script}\n{said}");
    }
    assert_eq!(recipes.len(), 3);
}

/// The statements for DuckDB on the page of events run, and that for Athena has the columns of the files.
#[test]
fn the_statements_on_a_table_run() {
    let (page, server, shell) = (Page::open("docs/events.md"), server(), Shell::new());
    let (_, writes) = page.blocks("sh").into_iter().find(|(_, script)| script.contains("--parquet lake")).unwrap();
    assert_eq!(shell.run(&writes, Some(&server)).0, "");
    let path = root().join("docs/events.md");
    let arguments = [shell.folder.path().as_os_str(), path.as_os_str()];
    let Some(said) = outside_agrees("statements.py", &arguments) else { return };
    assert!(said.contains("3 statements ran"), "{said}");
}

/// The commands of README on a copy end with a verified one.
#[test]
fn the_offline_recipe_ends_verified() {
    let page = Page::open("README.md");
    let (_, script) = page.blocks("sh").into_iter().find(|(_, script)| script.contains("collect")).unwrap();
    let (codes, said) = Shell::new().run(&script, Some(&server()));
    assert!(codes.is_empty() && said.matches("VERIFIED  ").count() == 2, "{said}");
}

#[test]
fn readme_is_short() {
    let readme = Page::open("README.md");
    assert!(readme.text.lines().count() <= 150, "{}", readme.text.lines().count());
    let long: Vec<&str> = readme.text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn every_chapter_is_wrapped_and_in_the_summary() {
    let summary = Page::open("docs/SUMMARY.md").text;
    for page in pages().into_iter().filter(|page| page.path.starts_with("docs/")) {
        let prose = page.prose();
        let long = prose.lines().find(|line| {
            line.chars().count() > 100 && !line.starts_with('|') && !line.contains("](") && !line.contains("http")
        });
        assert!(long.is_none(), "{}: {long:?}", page.path);
        let name = page.path.strip_prefix("docs/").filter(|name| *name != "SUMMARY.md");
        assert!(name.is_none_or(|name| summary.contains(&format!("]({name})"))), "{}", page.path);
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for page in pages() {
        let base = PathBuf::from(&page.path).parent().unwrap().to_owned();
        let prose = page.prose();
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.contains(' ') {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let joined = if path.is_empty() { PathBuf::from(&page.path) } else { base.join(path) };
            assert!(root().join(&joined).exists(), "{}: {target}", page.path);
            if !anchor.is_empty() {
                let other = Page::open(joined.to_str().unwrap());
                assert!(other.anchors().contains(anchor), "{}: {target}", page.path);
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

/// Every code that a record may bear is explained.
#[test]
fn reading_a_report_explains_every_code() {
    let page = Page::open("docs/reading-a-report.md").text;
    let schema: serde_json::Value = serde_json::from_str(&run(ctverify().arg("schema")).stdout).unwrap();
    let mut codes = BTreeSet::new();
    constants(&schema, &mut codes);
    for code in ["hash_mismatch", "tail_cut", "logging_stopped", "uncovered", "altered"] {
        assert!(codes.contains(code), "{code}: {codes:?}");
    }
    let others =
        ["digest", "log_file", "gap", "chain", "run", "bag", "tampering", "warning", "circumstances", "summary"];
    let is_code = |code: &&String| code.len() > 4 && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let unexplained: Vec<&String> = codes
        .iter()
        .filter(is_code)
        .filter(|code| !others.contains(&code.as_str()) && !page.contains(&format!("| `{code}` |")))
        .collect();
    // Values of fields that are no findings.
    let known = ["backfill", "content", "file", "metadata", "presence", "standard", "successor"];
    let rest: Vec<_> = unexplained.into_iter().filter(|code| !known.contains(&code.as_str())).collect();
    assert!(rest.is_empty(), "{rest:?}");
}

/// Every field of a record is described.
#[test]
fn the_page_of_records_describes_every_field() {
    fn fields(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(entries) => {
                if let Some(serde_json::Value::Object(properties)) = entries.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                entries.values().for_each(|value| fields(value, found));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
            _ => {}
        }
    }
    let page = Page::open("docs/records.md").text;
    let schema: serde_json::Value = serde_json::from_str(&run(ctverify().arg("schema")).stdout).unwrap();
    let mut names = BTreeSet::new();
    fields(&schema, &mut names);
    assert!(names.len() > 60 && names.contains("custody_entries"), "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Collects the texts that a schema lists as values.
fn constants(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("const", serde_json::Value::String(text)) => drop(found.insert(text.clone())),
                    ("enum", serde_json::Value::Array(values)) => {
                        found.extend(values.iter().filter_map(|value| value.as_str().map(str::to_owned)));
                    }
                    _ => constants(value, found),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| constants(value, found)),
        _ => {}
    }
}

/// Returns the text that a run prints for a folder of testdata.
fn printed(name: &str) -> String {
    let dir = format!("testdata/{name}");
    let mut command = ctverify();
    command.current_dir(root()).args(["--from", &dir, "--keys", &format!("{dir}/keys.json")]);
    // The line on the requests says how long the run took.
    let text = run(&mut command).stdout;
    text.lines().filter(|line| !line.contains(" to AWS APIs")).map(|line| format!("{line}\n")).collect()
}

/// Returns the sample output of a page that begins with `from`.
fn shown(page: &str, from: &str) -> String {
    let blocks = Page::open(page).blocks("text");
    blocks.into_iter().map(|(_, body)| body).find(|body| body.starts_with(from)).unwrap()
}

/// Joins the lines of a sample that were wrapped to fit the page.
fn joined(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn the_sample_is_shown_as_it_is_printed() {
    let sample = shown("README.md", "CloudTrail log file integrity");
    assert_eq!(joined(&sample), joined(&printed("sample-trail")));
}

#[test]
fn a_tampering_is_shown_as_it_is_printed() {
    let sample = joined(&shown("docs/getting-started.md", "Violations"));
    assert!(joined(&printed("log-modified")).ends_with(&sample), "{sample}");
}

#[test]
fn every_configuration_is_one_that_the_program_takes() {
    let mut checked = 0;
    for page in pages() {
        for (before, body) in page.blocks("toml") {
            assert_eq!(before, "<!-- configuration: checked by the tests -->", "{}", page.path);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ctverify.toml");
            std::fs::write(&path, body).unwrap();
            let said = run(ctverify().args(["config", "check"]).arg(&path));
            assert_eq!(said.code, 0, "{}: {}", page.path, said.stderr);
            checked += 1;
        }
    }
    assert!(checked >= 2, "{checked}");
}
