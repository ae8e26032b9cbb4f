//! The custody log: a record of who did what with a bag. Each line holds the SHA-256 of the line
//! before it, so that no line can be changed or removed without the later ones showing it. A
//! separate file, the head, names the last line; a key may sign it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::manifest::write_whole;
use super::{BagError, MANIFEST, TAG_MANIFEST, manifest};

pub(super) const LOG: &str = "custody.jsonl";
pub(super) const HEAD: &str = "custody-head.txt";
/// The signature of the head, made when somebody with a key added a line.
const SIGNATURE: &str = "custody-head.txt.sig";

/// The maximum size of a log, in bytes: more than a hundred thousand lines. A bag that is verified
/// every hour for ten years has fewer.
const MAX_LOG_BYTES: u64 = 64 << 20;
/// The maximum length of a line, in bytes: its texts are typed by people.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// The maximum number of lines in a log, and of faults of the log itself that are reported.
const MAX_LINES: usize = 200_000;
const MAX_FAULTS: usize = 100;
/// The maximum number of heads that a signature is compared with: the head after the newest line
/// and after each line before it.
const MAX_HEADS: usize = 20_000;

/// A function that signs the head of a log. An error gives the reason why it can't.
pub type SignHead<'a> = &'a dyn Fn(&[u8]) -> Result<String, String>;

/// The action that was taken with a bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The bag was filled.
    Collect,
    /// The bag was verified.
    Verify,
    /// The bag was handed over.
    Handover,
}

impl Action {
    /// The word that stands in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Verify => "verify",
            Self::Handover => "handover",
        }
    }
}

/// One line of the custody log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyEntry {
    /// The number of the line, counted from 1.
    pub number: u64,
    /// The time at which the line was added.
    pub time: Timestamp,
    /// The action that was taken.
    pub action: Action,
    /// The name of the person who acted, as they give it.
    pub by: Option<String>,
    /// The recipient, for a handover.
    pub to: Option<String>,
    /// The reason for a handover.
    pub reason: Option<String>,
    /// The name of the machine on which it was done.
    pub host: Option<String>,
    /// The name and version of the tool.
    pub tool: String,
    /// The result: the verdict.
    pub result: Option<String>,
    /// The SHA-256 of the bag's manifest at that time, in hex.
    pub manifest_sha256: Option<String>,
    /// The SHA-256 of the bag's tag manifest at that time, which covers the bag's own metadata, in
    /// hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_manifest_sha256: Option<String>,
    /// The SHA-256 of the previous line, in hex.
    pub previous_sha256: Option<String>,
}

/// The custody log of a bag.
#[derive(Debug)]
pub struct CustodyLog {
    root: PathBuf,
    lines: Vec<String>,
    /// The faults that were found in the lines themselves.
    faults: Vec<String>,
    /// The manifests that each collection left, with the number of the collection's line.
    collections: Vec<(usize, Manifests)>,
    /// The manifests that the bag has now.
    manifests: Manifests,
    signature: Option<String>,
}

impl CustodyLog {
    /// Reads the log of the bag at `root` and checks it for changes.
    ///
    /// # Errors
    ///
    /// Fails if the log can't be read, or is none. A log that was changed is no error: it says so.
    pub fn open(root: &Path) -> Result<Self, BagError> {
        // Adding a line writes the log first and the head after it; the lock ensures that both are
        // read either before or after that. A log that can't be locked is not written to, either.
        let path = root.join(LOG);
        let lock = path.symlink_metadata().is_ok_and(|file| file.is_file()).then(|| File::open(&path).ok()).flatten();
        let _ = lock.as_ref().map(File::lock_shared);
        Self::read(root)
    }

    /// Reads the log without locking it, for callers that hold the lock.
    fn read(root: &Path) -> Result<Self, BagError> {
        let root_of = root.to_owned();
        let mut log = Self {
            root: root_of,
            lines: Vec::new(),
            faults: Vec::new(),
            collections: Vec::new(),
            manifests: Manifests::of(root)?,
            signature: signature(root)?,
        };
        let path = root.join(LOG);
        if path.symlink_metadata().is_ok() {
            let file = manifest::open_file(&path, MAX_LOG_BYTES)?;
            let lines = manifest::lines(file, path.clone(), MAX_LINE_BYTES);
            log.lines = lines.take(MAX_LINES + 1).collect::<Result<_, _>>()?;
            if log.lines.len() > MAX_LINES {
                return Err(BagError::form(&path, format!("it has more than {MAX_LINES} lines")));
            }
        }
        let mut before: Option<String> = None;
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
                        let manifests = Manifests { manifest: entry.manifest_sha256, tags: entry.tag_manifest_sha256 };
                        log.collections.push((index + 1, manifests));
                    }
                }
                Err(error) => log.faults.push(format!("line {number} of {LOG} is no entry: {error}")),
            }
            before = Some(sha256(line));
            if log.faults.len() > MAX_FAULTS {
                log.faults.push(format!("no more than {MAX_FAULTS} of the faults of {LOG} are told"));
                break;
            }
        }
        log.compare_head()?;
        Ok(log)
    }

    /// Checks that the head names the last line. The head is written after the line, so a run that
    /// was killed may have left it one line behind.
    fn compare_head(&mut self) -> Result<(), BagError> {
        let path = self.root.join(HEAD);
        if path.symlink_metadata().is_err() {
            self.faults.push(format!("{HEAD} is gone"));
            return Ok(());
        }
        let file = manifest::open_file(&path, MAX_LINE_BYTES)?;
        let mut lines = manifest::lines(file, path, MAX_LINE_BYTES);
        let head = lines.next().transpose()?.unwrap_or_default();
        if lines.next().is_some() {
            self.faults.push(format!("{HEAD} has more than one line"));
        }
        let at = |count: usize| match count.checked_sub(1) {
            None => Some(NO_LINES.to_owned()),
            Some(last) => self.lines.get(last).map(|line| head_line(count, line)),
        };
        let count = self.lines.len();
        if at(count).as_deref() != Some(head.trim_end())
            && at(count.saturating_sub(1)).as_deref() != Some(head.trim_end())
        {
            self.faults.push(format!("{LOG} does not end as {HEAD} says: lines were taken out or changed"));
        }
        Ok(())
    }

    /// Returns the faults of the log: lines that were changed or removed, or a manifest that
    /// differs from the one that the last collection left.
    pub fn faults(&self) -> Vec<String> {
        let other = self.other_manifest(self.lines.len());
        let other = other.map(|name| format!("{name} is not the one that {LOG} names for the last collection"));
        self.faults.iter().cloned().chain(other).collect()
    }

    /// Returns the name of the manifest that differs from the one left by the last collection among
    /// the first `lines` lines.
    pub fn other_manifest(&self, lines: usize) -> Option<&'static str> {
        let (_, left) = self.collections.iter().rfind(|(line, _)| *line <= lines)?;
        let differs = |left: &Option<String>, now: &Option<String>| left.is_some() && left != now;
        match left {
            left if differs(&left.manifest, &self.manifests.manifest) => Some(MANIFEST),
            left if differs(&left.tags, &self.manifests.tags) => Some(TAG_MANIFEST),
            _ => None,
        }
    }

    /// Returns the signature of the head as text, if there is one.
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// Returns the texts that the signature may cover, newest first: the head after each of the
    /// newest lines, with the number of lines at that point.
    pub fn heads(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        let lines = self.lines.iter().enumerate().rev().take(MAX_HEADS);
        lines.map(|(index, line)| (index + 1, format!("{}\n", head_line(index + 1, line))))
    }

    /// Returns whether the lines follow each other and the head fits them.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns the newest `count` lines that can be read, in their order.
    pub fn entries(&self, count: usize) -> Vec<CustodyEntry> {
        let newest = self.lines.iter().skip(self.lines.len().saturating_sub(count));
        newest.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Returns the SHA-256 of the manifest that the bag has now, in hex; `None` if it has none.
    pub fn manifest_sha256(&self) -> Option<String> {
        self.manifests.manifest.clone()
    }

    /// Returns whether the log has no lines.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Begins the log of a new bag, without lines and with a head that says so.
    pub(super) fn begin(root: &Path) -> Result<(), BagError> {
        write_whole(&root.join(HEAD), |out| writeln!(out, "{NO_LINES}"))
    }

    /// Returns whether the log records a collection, as the log of every complete bag does.
    pub(super) fn tells_of_collection(&self) -> bool {
        let is_collection = |entry: CustodyEntry| entry.action == Action::Collect;
        self.lines.iter().any(|line| serde_json::from_str(line).is_ok_and(is_collection))
    }

    /// Adds a line to the log of the bag at `root`; the number, the manifests and the hash of the
    /// previous line are filled in. A log that was tampered with gets no further line, which would
    /// only cover that up. With `sign`, the new head is signed.
    ///
    /// # Errors
    ///
    /// Fails if the log was tampered with, or can't be read, written or signed.
    pub fn add(root: &Path, entry: CustodyEntry, sign: Option<SignHead<'_>>) -> Result<(), BagError> {
        let path = root.join(LOG);
        let failed = BagError::io(&path);
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(&failed)?;
        // Two processes that write at the same time would both follow the same line.
        file.lock().map_err(&failed)?;
        let log = Self::read(root)?;
        // A collection leaves a new manifest, which is the one that its line has to name.
        let faults = if entry.action == Action::Collect { log.faults.clone() } else { log.faults() };
        if let Some(fault) = faults.first() {
            return Err(BagError::form(&path, format!("{fault}; nothing is added to it")));
        }
        let entry = CustodyEntry {
            number: log.lines.len() as u64 + 1,
            manifest_sha256: log.manifests.manifest.clone(),
            tag_manifest_sha256: log.manifests.tags.clone(),
            previous_sha256: log.lines.last().map(|line| sha256(line)),
            ..entry
        };
        let line = serde_json::to_string(&entry).map_err(|error| BagError::form(&path, error))?;
        if line.len() as u64 >= MAX_LINE_BYTES {
            let what = format!("a line of it would be longer than {MAX_LINE_BYTES} bytes: shorten the texts");
            return Err(BagError::form(&path, what));
        }
        let length = file.metadata().map_err(&failed)?.len();
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all()) {
            // An incomplete line would be taken for one that was changed. If even truncating fails,
            // the error that is returned says enough.
            let _ = file.set_len(length);
            return Err(failed(error));
        }
        let head = head_line(log.lines.len() + 1, &line);
        write_whole(&root.join(HEAD), |out| writeln!(out, "{head}"))?;
        let Some(sign) = sign else { return Ok(()) };
        let path = root.join(SIGNATURE);
        let signature = sign(format!("{head}\n").as_bytes()).map_err(|reason| BagError::form(&path, reason))?;
        write_whole(&path, |out| out.write_all(signature.as_bytes()))
    }
}

/// Reads the signature of a bag's custody log, if there is one.
fn signature(root: &Path) -> Result<Option<String>, BagError> {
    let path = root.join(SIGNATURE);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let file = manifest::open_file(&path, MAX_LINE_BYTES)?;
    let lines: Vec<String> = manifest::lines(file, path, MAX_LINE_BYTES).collect::<Result<_, _>>()?;
    Ok(Some(lines.join("\n") + "\n"))
}

/// The head of a log that has no lines.
const NO_LINES: &str = "0 -";

fn head_line(count: usize, line: &str) -> String {
    format!("{count} {}", sha256(line))
}

fn sha256(line: &str) -> String {
    hex::encode(Sha256::digest(line.as_bytes()))
}

/// The SHA-256 of each of a bag's manifests that exists, in hex.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Manifests {
    manifest: Option<String>,
    tags: Option<String>,
}

impl Manifests {
    fn of(root: &Path) -> Result<Self, BagError> {
        let hash = |name: &str| {
            let path = root.join(name);
            match path.symlink_metadata() {
                Ok(file) if file.is_file() => {
                    manifest::hash(&path).map(|(hash, _)| Some(hash)).map_err(BagError::io(&path))
                }
                _ => Ok(None),
            }
        };
        Ok(Self { manifest: hash(MANIFEST)?, tags: hash(TAG_MANIFEST)? })
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
            tag_manifest_sha256: None,
            previous_sha256: None,
        }
    }

    #[test]
    fn a_line_that_is_changed_or_taken_out_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG);
        let open = || CustodyLog::open(folder.path()).unwrap();
        CustodyLog::begin(folder.path()).unwrap();
        for action in [Action::Collect, Action::Verify, Action::Handover, Action::Verify] {
            CustodyLog::add(folder.path(), entry(action), None).unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!((open().len(), open().faults().len()), (4, 0));
        let lines: Vec<&str> = whole.lines().collect();
        for out in 0..4 {
            let kept: Vec<&str> =
                lines.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, line)| *line).collect();
            std::fs::write(&path, kept.join("\n") + "\n").unwrap();
            assert!(!open().faults().is_empty(), "line {out} taken out");
            assert!(CustodyLog::add(folder.path(), entry(Action::Verify), None).is_err(), "a new line would cover it");
            std::fs::write(&path, whole.replacen(lines[out], &lines[out].replace("J. Doe", "R. Roe"), 1)).unwrap();
            assert!(!open().faults().is_empty(), "line {out} changed");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(open().faults().is_empty());
    }
}
