//! The custody log: who did what with a bag. Each line has the SHA-256 of the one before it, so that none can be changed or taken out
//! without those after it showing that; the last is named in a file of its own.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::manifest::write_whole;
use super::{BagError, MANIFEST, manifest};

const LOG: &str = "custody.jsonl";
const HEAD: &str = "custody-head.txt";

/// What was done with a bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was filled.
    Collect,
    /// It was verified.
    Verify,
    /// It was handed over.
    Handover,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyEntry {
    /// Its number, from 1 on.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// What was done.
    pub action: Action,
    /// By whom, as they say.
    pub by: Option<String>,
    /// To whom it was handed over.
    pub to: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// On which machine.
    pub host: Option<String>,
    /// With which version of the tool.
    pub tool: String,
    /// What came of it: the verdict.
    pub result: Option<String>,
    /// The SHA-256 of the bag's manifest then, in hex.
    pub manifest_sha256: Option<String>,
    /// The SHA-256 of the line before, in hex.
    pub previous_sha256: Option<String>,
}

/// The log of a bag.
#[derive(Debug)]
pub struct CustodyLog {
    root: PathBuf,
    lines: Vec<String>,
    /// What is wrong with it.
    pub faults: Vec<String>,
}

impl CustodyLog {
    /// Reads the log of the bag at `root`, and finds what was changed in it.
    pub fn open(root: &Path) -> Result<Self, BagError> {
        let mut log = Self { root: root.to_owned(), lines: Vec::new(), faults: Vec::new() };
        let path = root.join(LOG);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(BagError::io(&path)(error)),
        };
        log.lines = text.lines().map(str::to_owned).collect();
        let mut before: Option<String> = None;
        let mut manifest = None;
        for (index, line) in log.lines.iter().enumerate() {
            let number = index as u64 + 1;
            match serde_json::from_str::<CustodyEntry>(line) {
                Ok(entry) => {
                    if entry.previous_sha256 != before || entry.number != number {
                        log.faults.push(format!(
                            "line {number} of {LOG} does not follow the one before it: a line was changed or taken out"
                        ));
                    }
                    if entry.action == Action::Collect {
                        manifest = entry.manifest_sha256;
                    }
                }
                Err(error) => log.faults.push(format!("line {number} of {LOG} is no entry: {error}")),
            }
            before = Some(sha256(line));
        }
        log.compare_head()?;
        let now = manifest_sha256(root)?;
        if manifest.is_some() && manifest != now {
            log.faults.push(format!("{MANIFEST} is not the one that {LOG} names for the last collection"));
        }
        Ok(log)
    }

    /// The head names the last line. It is written after the line, so a run that was killed may have left it one behind.
    fn compare_head(&mut self) -> Result<(), BagError> {
        let path = self.root.join(HEAD);
        let head = match std::fs::read_to_string(&path) {
            Ok(head) => head,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if self.lines.len() > 1 {
                    self.faults.push(format!("{HEAD} is gone"));
                }
                return Ok(());
            }
            Err(error) => return Err(BagError::io(&path)(error)),
        };
        let at = |count: usize| {
            count.checked_sub(1).and_then(|last| self.lines.get(last)).map(|line| head_line(count, line))
        };
        let count = self.lines.len();
        if at(count).as_deref() != Some(head.trim_end())
            && at(count.saturating_sub(1)).as_deref() != Some(head.trim_end())
        {
            self.faults.push(format!("{LOG} does not end as {HEAD} says: lines were taken out or changed"));
        }
        Ok(())
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line; number, manifest and the hash of the line before are filled in.
    pub fn add(&mut self, entry: CustodyEntry) -> Result<(), BagError> {
        let entry = CustodyEntry {
            number: self.lines.len() as u64 + 1,
            manifest_sha256: manifest_sha256(&self.root)?,
            previous_sha256: self.lines.last().map(|line| sha256(line)),
            ..entry
        };
        let path = self.root.join(LOG);
        let line = serde_json::to_string(&entry).map_err(|error| BagError::form(&path, error))?;
        let failed = BagError::io(&path);
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(&failed)?;
        // In one write: a line is there whole or not at all.
        file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(&failed)?;
        self.lines.push(line.clone());
        let head = head_line(self.lines.len(), &line);
        write_whole(&self.root.join(HEAD), |out| writeln!(out, "{head}"))
    }
}

fn head_line(count: usize, line: &str) -> String {
    format!("{count} {}", sha256(line))
}

fn sha256(line: &str) -> String {
    hex::encode(Sha256::digest(line.as_bytes()))
}

fn manifest_sha256(root: &Path) -> Result<Option<String>, BagError> {
    let path = root.join(MANIFEST);
    match manifest::hash(&path) {
        Ok((hash, _)) => Ok(Some(hash)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BagError::io(&path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: Action) -> CustodyEntry {
        CustodyEntry {
            number: 0,
            time: Timestamp::UNIX_EPOCH,
            action,
            by: Some("J. Doe".to_owned()),
            to: None,
            reason: None,
            host: None,
            tool: "ctverify".to_owned(),
            result: None,
            manifest_sha256: None,
            previous_sha256: None,
        }
    }

    #[test]
    fn a_line_that_is_changed_or_taken_out_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG);
        let open = || CustodyLog::open(folder.path()).unwrap();
        for action in [Action::Collect, Action::Verify, Action::Handover, Action::Verify] {
            open().add(entry(action)).unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!((open().len(), open().faults.len()), (4, 0));
        let lines: Vec<&str> = whole.lines().collect();
        for out in 0..4 {
            let kept: Vec<&str> =
                lines.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, line)| *line).collect();
            std::fs::write(&path, kept.join("\n") + "\n").unwrap();
            assert!(!open().faults.is_empty(), "line {out} taken out");
            std::fs::write(&path, whole.replacen(lines[out], &lines[out].replace("J. Doe", "R. Roe"), 1)).unwrap();
            assert!(!open().faults.is_empty(), "line {out} changed");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(open().faults.is_empty());
    }
}
